"""How each kind of container is made: what it runs, sees and may do. Pure: nothing is started here.

Four kinds: a *cell* runs one probe and knows neither network nor privileges; a *station* is that for several jobs of
one cell, one after the other; an *attendant* is as closed and starts one clean process per job of any cell; a *builder*
runs our own tools (uv, the byte compiler) with network and the cache writable.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_py312.runners.runner import TOOL_VARIABLES, CellJob

HOME = PurePosixPath("/py312")
CACHE = str(HOME / "cache")
SOURCE = str(HOME / "source")
SCRATCH = str(HOME / "scratch")
OUT = str(HOME / "out")
RECORDS = f"{OUT}/records.jsonl"
SPOOL = str(HOME / "spool")
PROBE = str(HOME / "probe.py")
BENCHMARK_PROBE = "benchmark_probe.py"
ATTENDANT = str(HOME / "attendant.py")
ATTENDANT_VARIABLES: Mapping[str, str] = {"HOME": SCRATCH, "USER": "app", "LOGNAME": "app", "LANG": "C.UTF-8"}
EMPTIED = (SCRATCH, "/tmp", "/dev/shm", "/dev/mqueue")
"""Where a job can leave something for the next one of its container."""
UV = str(HOME / "uv")
CERTIFICATES = str(HOME / "certificates.pem")

OWNER_LABEL = "pytest-py312.owner"
RUN_LABEL = "pytest-py312.run"
CELL_LABEL = "pytest-py312.cell"

STRANGER = 10001
"""The user and group of cells when this process is root: one that owns nothing."""
PROCESSES = 512
BUILDER_LIFE = 24 * 3600
"""Seconds after which a builder ends by itself, whatever has become of the run that started it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What all containers of one run have in common. Paths are on this machine.

    ``user`` is the ``uid:gid`` of cells, ``builder`` that of builders; ``extra_security`` are further security
    options that this engine needs (``label=disable`` under SELinux).
    """

    run_id: str
    owner: str
    cache: Path
    uv: Path
    probe: Path
    attendant: Path
    user: str
    builder: str
    extra_security: tuple[str, ...] = ()

    def labels(self, what: str) -> dict[str, str]:
        """The labels by which a container is found again and its owner is known."""
        return {RUN_LABEL: self.run_id, OWNER_LABEL: self.owner, CELL_LABEL: what}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bind:
    """A file or folder of this machine, seen at ``target``."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A container to be. ``closed`` ones have no network unless ``network`` says so, no capability, a read-only root.

    ``memory`` is in bytes and ``None`` for no limit; ``tmpfs`` maps a folder to its mount options.
    """

    image: str
    entry: tuple[str, ...]
    user: str
    labels: Mapping[str, str]
    binds: tuple[Bind, ...]
    variables: Mapping[str, str]
    working_folder: str
    closed: bool = True
    network: str = "none"
    memory: int | None = None
    processes: int | None = None
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    security: tuple[str, ...] = ()


def user_of_cells(uid: int, gid: int, *, rootless: bool = False) -> str:
    """``uid:gid`` that cells run as. Under a rootless engine the container's root *is* this user, and no other is."""
    if rootless:
        return "0:0"
    return f"{uid}:{gid}" if uid else f"{STRANGER}:{STRANGER}"


def inside(cache: Path, path: Path) -> str:
    """The path by which containers see ``path``.

    :raises ValueError: ``path`` does not lie in ``cache``.
    """
    plain = Path(os.path.normpath(path))
    for base in (cache, cache.resolve()):
        if plain.is_relative_to(base):
            return str(PurePosixPath(CACHE) / plain.relative_to(base).as_posix())
    raise ValueError(f"{path} is not in the cache folder {cache}, and only that is seen inside of containers")


def source_binds(root: Path, folders: tuple[str, ...]) -> tuple[Bind, ...]:
    """The parts of the repository at ``root`` that a cell reads, each at its place below :data:`SOURCE`.

    A folder within another one of ``folders`` comes with that one.

    :raises ValueError: one is missing, or lies (by ``..`` or a symlink) outside of ``root``. The text is a sentence.
    """
    base = root.resolve()
    wanted = sorted({_plain_folder(folder) for folder in folders})
    binds = []
    for folder in wanted:
        if any(other != folder and folder.is_relative_to(other) for other in wanted):
            continue
        found = (base / folder).resolve()
        if not found.is_relative_to(base):
            raise ValueError(f"{folder} leads out of the repository, to {found}; a cell sees nothing outside of it")
        if not found.exists():
            raise ValueError(f"{folder} does not exist in {root}")
        binds.append(Bind(source=found, target=str(PurePosixPath(SOURCE) / folder)))
    return tuple(binds)


def _plain_folder(folder: str) -> PurePosixPath:
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts or "\0" in folder:
        raise ValueError(f"{folder!r} is not a folder relative to the repository's root")
    return path


def request_for(job: CellJob, *, scratch: str = SCRATCH) -> dict[str, Any]:
    """What the probe is asked: the job's request, and where it finds the source and may write."""
    return {**job.request, "source": SOURCE, "scratch": scratch, "folders": list(job.folders)}


def cell_variables(job: CellJob, *, home: str = SCRATCH) -> dict[str, str]:
    """The environment variables of a job: a home, a name (there is no passwd entry), UTF-8; and what the job sets."""
    return {"HOME": home, "USER": "app", "LOGNAME": "app", "LANG": "C.UTF-8", **dict(job.variables)}


def cell_recipe(ground: Ground, job: CellJob, *, image: str, out: Path) -> Recipe:
    """A container for one job.

    :raises ValueError: its environment is not in the cache, or a folder of it cannot be had.
    """
    return replace(
        _cell(ground, job, image=image),
        entry=(f"{inside(ground.cache, job.environment)}/bin/python", PROBE, f"{OUT}/request.json", RECORDS),
        binds=(*_cell_binds(ground, job), Bind(source=out, target=OUT, writable=True)),
        variables=cell_variables(job),
    )


def station_recipe(ground: Ground, job: CellJob, *, image: str, spool: Path, memory: int) -> Recipe:
    """A container for jobs of one cell that come one after the other: as for one of them, with the attendant.

    :raises ValueError: as for :func:`cell_recipe`.
    """
    return replace(
        _cell(ground, job, image=image),
        entry=(job.build.executable, "-I", ATTENDANT, SPOOL, SCRATCH, PROBE, *EMPTIED),
        binds=(*_cell_binds(ground, job), *_attendant_binds(ground, spool)),
        variables=ATTENDANT_VARIABLES,
        memory=memory,
        tmpfs=_tmpfs(ground, memory),
    )


def _cell(ground: Ground, job: CellJob, *, image: str) -> Recipe:
    """What a cell may do, before it is said what runs there and what it sees."""
    return Recipe(
        image=image,
        entry=(),
        user=ground.user,
        labels=ground.labels(job.identifier),
        binds=(),
        variables={},
        working_folder=SCRATCH,
        network="bridge" if job.network else "none",
        memory=job.memory_limit,
        processes=PROCESSES,
        tmpfs=_tmpfs(ground, job.memory_limit),
        security=("no-new-privileges:true", *ground.extra_security),
    )


def _cell_binds(ground: Ground, job: CellJob) -> tuple[Bind, ...]:
    environment = inside(ground.cache, job.environment)
    return (
        Bind(source=job.environment, target=environment),
        *source_binds(job.root, job.folders),
        *_probe_binds(ground),
    )


def _attendant_binds(ground: Ground, spool: Path) -> tuple[Bind, Bind]:
    return Bind(source=ground.attendant, target=ATTENDANT), Bind(source=spool, target=SPOOL, writable=True)


def attendant_recipe(
    ground: Ground, *, image: str, executable: str, what: str, root: Path, spool: Path, memory: int, parallel: int
) -> Recipe:
    """A container for all jobs of one interpreter. ``memory``, in bytes, is for all ``parallel`` jobs together."""
    return Recipe(
        image=image,
        entry=(executable, "-I", ATTENDANT, SPOOL, SCRATCH, PROBE),
        user=ground.user,
        labels=ground.labels(what),
        binds=(
            Bind(source=ground.cache / "envs", target=f"{CACHE}/envs"),
            Bind(source=root.resolve(), target=SOURCE),
            *_probe_binds(ground),
            *_attendant_binds(ground, spool),
        ),
        variables=ATTENDANT_VARIABLES,
        working_folder=SCRATCH,
        memory=memory,
        processes=PROCESSES * parallel,
        tmpfs=_tmpfs(ground, memory),
        security=("no-new-privileges:true", *ground.extra_security),
    )


def _probe_binds(ground: Ground) -> tuple[Bind, Bind]:
    """The probe, and what it measures benchmarks with, which lies beside it on both sides."""
    beside = Bind(source=ground.probe.with_name(BENCHMARK_PROBE), target=str(HOME / BENCHMARK_PROBE))
    return Bind(source=ground.probe, target=PROBE), beside


def _tmpfs(ground: Ground, memory: int) -> dict[str, str]:
    # exec, because Docker's default is noexec and suites do run what they write; pages count towards the memory limit
    uid, gid = ground.user.split(":")
    common = f"rw,exec,nosuid,nodev,size={max(memory, 64 * 1024**2)}"
    return {"/tmp": f"{common},mode=1777", SCRATCH: f"{common},mode=0700,uid={uid},gid={gid}"}


def builder_recipe(ground: Ground, *, image: str, executable: str, environ: Mapping[str, str]) -> Recipe:
    """A container for our own tools beside one interpreter; ``environ`` is this process's environment.

    It shares this machine's network, so that its proxies and index mirrors work there as they do here.
    """
    variables = {
        **TOOL_VARIABLES,
        **{name: value for name, value in environ.items() if _PASSED_ON.fullmatch(name)},
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "UV_CACHE_DIR": f"{CACHE}/uv",
        "UV_LINK_MODE": "hardlink",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "PIP_CACHE_DIR": f"{CACHE}/pip",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    binds = [
        Bind(source=ground.cache, target=CACHE, writable=True),
        Bind(source=ground.uv.resolve(), target=UV),
        *_link_folders(environ),
    ]
    certificates = certificates_of(environ)
    if certificates is not None:
        binds.append(Bind(source=certificates, target=CERTIFICATES))
        variables |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), CERTIFICATES)
    return Recipe(
        image=image,
        entry=(executable, "-I", "-S", "-c", f"import time; time.sleep({BUILDER_LIFE})"),
        user=ground.builder,
        labels=ground.labels("builder"),
        binds=tuple(binds),
        variables=variables,
        working_folder="/tmp",
        closed=False,
        network="host",
        security=ground.extra_security,
    )


_PASSED_ON = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX\w*|EXTRA_INDEX_URL|FIND_LINKS|INSECURE_HOST|HTTP_TIMEOUT|OFFLINE)"
    r"|PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|TRUSTED_HOST|DEFAULT_TIMEOUT|NO_INDEX)"
    r"|(HTTP|HTTPS|ALL|NO)_PROXY|(http|https|all|no)_proxy|SOURCE_DATE_EPOCH",
    re.ASCII,
)


def certificates_of(environ: Mapping[str, str]) -> Path | None:
    """The bundle of certificates that this machine trusts, where it names one or has one at the usual place."""
    names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
    paths = [environ[name] for name in names if environ.get(name)]
    for path in (*paths, "/etc/ssl/certs/ca-certificates.crt"):
        if Path(path).is_file():
            return Path(path).resolve()
    return None


def _link_folders(environ: Mapping[str, str]) -> list[Bind]:
    """Folders of wheels that this machine's settings name, seen at the same path inside."""
    text = f"{environ.get('UV_FIND_LINKS', '')} {environ.get('PIP_FIND_LINKS', '')}"
    words = {word.removeprefix("file://") for word in re.split(r"[\s,]+", text)}
    return [
        Bind(source=Path(word), target=word)
        for word in sorted(words)
        if word.startswith("/") and os.path.normpath(word) not in ("/", "/tmp") and Path(word).is_dir()
    ]
