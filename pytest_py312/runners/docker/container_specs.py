"""Specifications of containers: what each kind runs, sees and may do. Nothing is started here.

There are six kinds. A *cell* container runs one probe without privileges, and without network unless the job asks for
it. A *session* container does that for several jobs of one cell, one after the other. A *pool* container is as isolated
and runs one clean process per job of any cell of an interpreter. A *tool* container runs our own tools (uv, the byte
compiler) with network and a writable cache. A *build* container builds one dependency from its source: it is as
isolated as a cell, and can write only to the folder of that build. In a *packages* container (system_packages.py) apt
adds packages to an image.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_py312.runners.confinement import variables_without_secrets
from pytest_py312.runners.fingerprints import linked_paths
from pytest_py312.runners.runner import TOOL_VARIABLES, ConfinedCommand, ProbeJob

HOME = PurePosixPath("/py312")
CACHE = str(HOME / "cache")
SOURCE = str(HOME / "source")
SCRATCH = str(HOME / "scratch")
OUT = str(HOME / "out")
RECORDS = f"{OUT}/records.jsonl"
SPOOL = str(HOME / "spool")
PROBE = str(HOME / "probe.py")
PROBE_MODULES = (
    "benchmark_probe.py", "import_probe.py", "pytest_probe.py", "time_limit.py", "unittest_probe.py",
    "warning_probe.py",
)  # fmt: skip
"""What the probe loads from its own folder, except for shared_ports.py, which only cells of one machine need."""
SUPERVISOR = str(HOME / "job_supervisor.py")
SUPERVISOR_VARIABLES: Mapping[str, str] = {"HOME": SCRATCH, "USER": "app", "LOGNAME": "app", "LANG": "C.UTF-8"}
FOLDERS_TO_EMPTY = (SCRATCH, "/tmp", "/dev/shm", "/dev/mqueue")
"""Folders where a job could leave something for the next one in the same container."""
UV = str(HOME / "uv")
CERTIFICATES = str(HOME / "certificates.pem")

OWNER_LABEL = "pytest-py312.owner"
RUN_LABEL = "pytest-py312.run"
CELL_LABEL = "pytest-py312.cell"

UNPRIVILEGED_ID = 10001
"""The user and group of cells if this process is root: they own nothing."""
MAX_PROCESSES = 512
TOOL_CONTAINER_LIFETIME = 24 * 3600
"""Seconds after which a tool container stops by itself, even if the run that started it was killed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """What all containers of one run have in common. Paths are on this machine.

    ``cell_user`` is the ``uid:gid`` of cells, ``tool_user`` that of tool containers; ``extra_security`` are further
    security options that this engine needs (``label=disable`` with SELinux).
    """

    run_id: str
    owner: str
    cache: Path
    uv: Path
    probe: Path
    supervisor: Path
    cell_user: str
    tool_user: str
    extra_security: tuple[str, ...] = ()

    def labels(self, what: str) -> dict[str, str]:
        """Return the labels by which a container and its owner are found again."""
        return {RUN_LABEL: self.run_id, OWNER_LABEL: self.owner, CELL_LABEL: what}


@dataclass(frozen=True, kw_only=True, slots=True)
class BindMount:
    """A file or folder of this machine that a container sees at ``target``."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeMount:
    """A volume of the engine that a container sees at ``target``. One without a name is removed with the container."""

    target: str
    name: str = ""
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerSpec:
    """The specification of a container. ``isolated`` ones have no capabilities and a read-only root file system.

    If ``capabilities`` is not empty, a container that is not isolated has only these.
    ``memory`` is in bytes, ``None`` for no limit; ``tmpfs`` maps a folder to its mount options.
    """

    image: str
    entrypoint: tuple[str, ...]
    user: str
    labels: Mapping[str, str]
    mounts: tuple[BindMount, ...]
    variables: Mapping[str, str]
    working_folder: str
    isolated: bool = True
    capabilities: tuple[str, ...] = ()
    network: str = "none"
    memory: int | None = None
    max_processes: int | None = None
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    security: tuple[str, ...] = ()
    volumes: tuple[VolumeMount, ...] = ()


def cell_user(uid: int, gid: int, *, rootless: bool = False) -> str:
    """Return the ``uid:gid`` of cells. A rootless engine maps the container's root to this user, and no other id."""
    if rootless:
        return "0:0"
    return f"{uid}:{gid}" if uid else f"{UNPRIVILEGED_ID}:{UNPRIVILEGED_ID}"


def path_in_container(cache: Path, path: Path) -> str:
    """Return the path by which containers see ``path``.

    :raises ValueError: ``path`` is not in ``cache``.
    """
    plain = Path(os.path.normpath(path))
    for base in (cache, cache.resolve()):
        if plain.is_relative_to(base):
            return str(PurePosixPath(CACHE) / plain.relative_to(base).as_posix())
    raise ValueError(f"{path} is not in the cache folder {cache}, the only folder that containers see")


def source_mounts(root: Path, folders: tuple[str, ...]) -> tuple[BindMount, ...]:
    """Return the mounts of the folders that a cell reads, each at its relative path below :data:`SOURCE`.

    A folder inside another one of ``folders`` needs no mount of its own. What their symlinks point to elsewhere in
    ``root`` is mounted as well.

    :raises ValueError: one is missing, or outside of ``root`` (by ``..`` or a symlink). The text is a sentence.
    """
    base = root.resolve()
    requested_folders = sorted({_plain_folder(folder) for folder in folders})
    relative_folders = sorted({*requested_folders, *linked_paths(base, requested_folders)})
    mounts = []
    for folder in relative_folders:
        if any(other != folder and folder.is_relative_to(other) for other in relative_folders):
            continue
        source = (base / folder).resolve()
        if not source.is_relative_to(base):
            raise ValueError(f"{folder} leads out of the repository, to {source}; cells cannot see it there")
        if not source.exists():
            raise ValueError(f"{folder} does not exist in {root}")
        mounts.append(BindMount(source=source, target=str(PurePosixPath(SOURCE) / folder)))
    return tuple(mounts)


def _plain_folder(folder: str) -> PurePosixPath:
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts or "\0" in folder:
        raise ValueError(f"{folder!r} is not a folder relative to the repository's root")
    return path


def request_for(job: ProbeJob, *, scratch: str = SCRATCH) -> dict[str, Any]:
    """Return the probe's request: the job's, and the paths of the source and of the writable folder."""
    return {**job.request, "source": SOURCE, "scratch": scratch, "folders": list(job.folders)}


def cell_variables(job: ProbeJob, *, home: str = SCRATCH) -> dict[str, str]:
    """Return a job's environment variables: home, user name (there is no passwd entry), UTF-8, and the job's own."""
    return {"HOME": home, "USER": "app", "LOGNAME": "app", "LANG": "C.UTF-8", **dict(job.variables)}


def cell_spec(context: RunContext, job: ProbeJob, *, image: str, out: Path) -> ContainerSpec:
    """Return the container for one job.

    :raises ValueError: its environment is not in the cache, or a folder is missing.
    """
    return replace(
        _base_cell_spec(context, job, image=image),
        entrypoint=(
            f"{path_in_container(context.cache, job.environment)}/bin/python",
            PROBE,
            f"{OUT}/request.json",
            RECORDS,
        ),
        mounts=(*_cell_mounts(context, job), BindMount(source=out, target=OUT, writable=True)),
        variables=cell_variables(job),
    )


def session_spec(context: RunContext, job: ProbeJob, *, image: str, spool: Path, memory: int) -> ContainerSpec:
    """Return the container for consecutive jobs of one cell: as for a single job, but with the job supervisor.

    :raises ValueError: as for :func:`cell_spec`.
    """
    return replace(
        _base_cell_spec(context, job, image=image),
        entrypoint=(job.build.executable, "-I", SUPERVISOR, SPOOL, SCRATCH, PROBE, *FOLDERS_TO_EMPTY),
        mounts=(*_cell_mounts(context, job), *_supervisor_mounts(context, spool)),
        variables=SUPERVISOR_VARIABLES,
        memory=memory,
        tmpfs=_tmpfs(context, memory),
    )


def _base_cell_spec(context: RunContext, job: ProbeJob, *, image: str) -> ContainerSpec:
    """Return what all containers of a cell have in common, without command and mounts."""
    return ContainerSpec(
        image=image,
        entrypoint=(),
        user=context.cell_user,
        labels=context.labels(job.identifier),
        mounts=(),
        variables={},
        working_folder=SCRATCH,
        network="bridge" if job.network else "none",
        memory=job.memory_limit,
        max_processes=MAX_PROCESSES,
        tmpfs=_tmpfs(context, job.memory_limit),
        security=("no-new-privileges:true", *context.extra_security),
    )


def _cell_mounts(context: RunContext, job: ProbeJob) -> tuple[BindMount, ...]:
    environment = path_in_container(context.cache, job.environment)
    return (
        BindMount(source=job.environment, target=environment),
        *source_mounts(job.root, job.folders),
        *_probe_mounts(context),
    )


def _supervisor_mounts(context: RunContext, spool: Path) -> tuple[BindMount, BindMount]:
    return BindMount(source=context.supervisor, target=SUPERVISOR), BindMount(source=spool, target=SPOOL, writable=True)


def pool_spec(
    context: RunContext, *, image: str, executable: str, what: str, root: Path, spool: Path, memory: int, parallel: int
) -> ContainerSpec:
    """Return the container for all jobs of one interpreter. ``memory`` is in bytes, for all ``parallel`` jobs."""
    return ContainerSpec(
        image=image,
        entrypoint=(executable, "-I", SUPERVISOR, SPOOL, SCRATCH, PROBE),
        user=context.cell_user,
        labels=context.labels(what),
        mounts=(
            BindMount(source=context.cache / "envs", target=f"{CACHE}/envs"),
            BindMount(source=root.resolve(), target=SOURCE),
            *_probe_mounts(context),
            *_supervisor_mounts(context, spool),
        ),
        variables=SUPERVISOR_VARIABLES,
        working_folder=SCRATCH,
        memory=memory,
        max_processes=MAX_PROCESSES * parallel,
        tmpfs=_tmpfs(context, memory),
        security=("no-new-privileges:true", *context.extra_security),
    )


def _probe_mounts(context: RunContext) -> tuple[BindMount, ...]:
    """Return the mounts of the probe and of its modules, which are in the same folder on both sides."""
    modules = (BindMount(source=context.probe.with_name(name), target=str(HOME / name)) for name in PROBE_MODULES)
    return (BindMount(source=context.probe, target=PROBE), *modules)


def _tmpfs(context: RunContext, memory: int) -> dict[str, str]:
    # exec, because Docker's default is noexec and suites execute files they write; pages count towards the memory limit
    uid, gid = context.cell_user.split(":")
    # smaller than the limit: a full folder is a full disk for the process that fills it, and does not kill it
    common = f"rw,exec,nosuid,nodev,size={max(memory * 7 // 8, 64 * 1024**2)}"
    return {"/tmp": f"{common},mode=1777", SCRATCH: f"{common},mode=0700,uid={uid},gid={gid}"}


def tool_spec(context: RunContext, *, image: str, executable: str, environ: Mapping[str, str]) -> ContainerSpec:
    """Return the container for our own tools with one interpreter; ``environ`` is this process's environment.

    It shares this machine's network, so that its proxies and index mirrors work in the container too.
    """
    variables = {
        **TOOL_VARIABLES,
        **{name: value for name, value in environ.items() if FORWARDED_VARIABLES.fullmatch(name)},
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "UV_CACHE_DIR": f"{CACHE}/uv",
        "UV_LINK_MODE": "hardlink",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "PIP_CACHE_DIR": f"{CACHE}/pip",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    mounts = [
        BindMount(source=context.cache, target=CACHE, writable=True),
        BindMount(source=context.uv.resolve(), target=UV),
        *_wheel_folder_mounts(environ),
    ]
    certificates = certificate_bundle(environ)
    if certificates is not None:
        mounts.append(BindMount(source=certificates, target=CERTIFICATES))
        variables |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), CERTIFICATES)
    return ContainerSpec(
        image=image,
        entrypoint=(executable, "-I", "-S", "-c", f"import time; time.sleep({TOOL_CONTAINER_LIFETIME})"),
        user=context.tool_user,
        labels=context.labels("tool"),
        mounts=tuple(mounts),
        variables=variables,
        working_folder="/tmp",
        isolated=False,
        network="host",
        security=context.extra_security,
    )


def build_spec(
    context: RunContext,
    command: ConfinedCommand,
    *,
    image: str,
    executable: str,
    environ: Mapping[str, str],
    network: str,
    memory: int,
) -> ContainerSpec:
    """Return the container for one command that builds a dependency: a tool's with the rights of a cell.

    :raises ValueError: a folder is not in the cache.
    """
    tool = tool_spec(context, image=image, executable=executable, environ=environ)
    folder = path_in_container(context.cache, command.folder)
    folders = [BindMount(source=path, target=path_in_container(context.cache, path)) for path in command.readable] + [
        BindMount(source=command.folder, target=folder, writable=True)
    ]
    variables = tool.variables if command.fetches else variables_without_secrets(tool.variables)
    return replace(
        tool,
        user=context.cell_user,
        labels=context.labels("build"),
        mounts=(*folders, *(mount for mount in tool.mounts if not mount.writable)),
        variables={**variables, "USER": "app", "LOGNAME": "app", "TMPDIR": f"{folder}/tmp"}
        | dict.fromkeys(("UV_CACHE_DIR", "PIP_CACHE_DIR"), f"{folder}/cache"),
        isolated=True,
        network=network,
        memory=memory,
        max_processes=MAX_PROCESSES,
        tmpfs={"/tmp": f"rw,exec,nosuid,nodev,size={memory},mode=1777"},
        security=("no-new-privileges:true", *context.extra_security),
    )


_ON_THIS_MACHINE = re.compile(r"://(?:[^/@\s]+@)?(?:localhost|127\.|\[::1\])")


def network_of_build(command: ConfinedCommand, environ: Mapping[str, str], *, allowed: bool) -> str:
    """Return the network of a build's container; ``allowed``: the plan lets builds use the network.

    A command that fetches from an index or through a proxy on this machine reaches it only from this machine's network.
    """
    if not (command.fetches or allowed):
        return "none"
    settings = " ".join(value for name, value in environ.items() if FORWARDED_VARIABLES.fullmatch(name))
    return "host" if command.fetches and _ON_THIS_MACHINE.search(settings) else "bridge"


FORWARDED_VARIABLES = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX\w*|EXTRA_INDEX_URL|FIND_LINKS|INSECURE_HOST|HTTP_TIMEOUT|OFFLINE)"
    r"|PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|TRUSTED_HOST|DEFAULT_TIMEOUT|NO_INDEX)"
    r"|(HTTP|HTTPS|ALL|NO)_PROXY|(http|https|all|no)_proxy|SOURCE_DATE_EPOCH",
    re.ASCII,
)


def certificate_bundle(environ: Mapping[str, str]) -> Path | None:
    """Return the certificate bundle of this machine: the configured one, or the one at the usual path."""
    names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
    paths = [environ[name] for name in names if environ.get(name)]
    for path in (*paths, "/etc/ssl/certs/ca-certificates.crt"):
        if Path(path).is_file():
            return Path(path).resolve()
    return None


def _wheel_folder_mounts(environ: Mapping[str, str]) -> list[BindMount]:
    """Return mounts of the folders of wheels in this machine's settings, at the same paths inside."""
    text = f"{environ.get('UV_FIND_LINKS', '')} {environ.get('PIP_FIND_LINKS', '')}"
    words = {word.removeprefix("file://") for word in re.split(r"[\s,]+", text)}
    return [
        BindMount(source=Path(word), target=word)
        for word in sorted(words)
        if word.startswith("/") and os.path.normpath(word) not in ("/", "/tmp") and Path(word).is_dir()
    ]
