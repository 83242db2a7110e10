"""The Docker runner's pure parts: container specifications, exits of jobs, and starts on a fake engine."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from socket import SocketIO, socketpair
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import ExitReason
from pytest_py312.runners.docker.cell_container import exit_of_refusal, exit_of_state, not_started_result
from pytest_py312.runners.docker.container_specs import (
    ContainerSpec,
    RunContext,
    build_spec,
    cell_spec,
    cell_user,
    network_of_build,
    path_in_container,
    pool_spec,
    request_for,
    session_spec,
    source_mounts,
    tool_spec,
)
from pytest_py312.runners.docker.engine import ContainerState, DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
from pytest_py312.runners.docker.job_container import exit_from_report
from pytest_py312.runners.docker.runner import DockerRunner
from pytest_py312.runners.runner import TOOL_VARIABLES, ConfinedCommand, ProbeJob
from tests.support.fakes import service_tree

INTERPRETERS = [Interpreter(3, minor) for minor in (9, 10, 12)]
MIB = 1024**2


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    """A run's context, with a cache that has one environment per interpreter."""
    for interpreter in INTERPRETERS:
        (tmp_path / f"cache/envs/{interpreter}").mkdir(parents=True)
    (tmp_path / "repository/services/user-service/deep").mkdir(parents=True)
    (tmp_path / "repository/libs").mkdir()
    return RunContext(
        run_id="run-1",
        owner="boot/ns/0/1/2",
        cache=tmp_path / "cache",
        uv=tmp_path / "uv",
        probe=tmp_path / "probe.py",
        supervisor=tmp_path / "job_supervisor.py",
        cell_user="10001:10001",
        tool_user="0:0",
    )


def job_of(context: RunContext, interpreter: Interpreter = INTERPRETERS[-1], **settings: Any) -> ProbeJob:
    """A job of user-service on ``interpreter``."""
    build = InterpreterBuild(
        interpreter=interpreter,
        version=f"{interpreter}.1",
        executable=f"/usr/local/bin/python{interpreter}",
        origin=f"image python:{interpreter}-slim",
        digest="d" * 16,
        flags="plain",
    )
    defaults = {
        "environment": context.cache / f"envs/{interpreter}",
        "root": context.cache.parent / "repository",
        "folders": ("services/user-service",),
        "request": {"kind": "suite"},
        "memory_limit": 256 * MIB,
    }
    return ProbeJob(identifier=f"user-service-{interpreter.label}-suite", build=build, **{**defaults, **settings})


# ---- container specifications


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=str)
def test_a_cell_is_isolated(context: RunContext, interpreter: Interpreter) -> None:
    """It has no network, read-only mounts except its own folder, limits, and no way to gain privileges."""
    spec = cell_spec(context, job_of(context, interpreter), image="sha256:1", out=context.cache.parent / "out")
    assert spec.isolated
    assert (spec.network, spec.memory, spec.user) == ("none", 256 * MIB, "10001:10001")
    assert spec.entrypoint[0] == f"/py312/cache/envs/{interpreter}/bin/python"
    assert [mount.target for mount in spec.mounts if mount.writable] == ["/py312/out"]
    assert "/py312/source/services/user-service" in [mount.target for mount in spec.mounts]
    assert spec.security == ("no-new-privileges:true",)
    assert "exec" in spec.tmpfs["/tmp"].split(",")
    # a full folder is a full disk before it is the limit of the memory, which it counts towards
    assert {f"size={224 * MIB}"} == {
        option for one in spec.tmpfs.values() for option in one.split(",") if "size" in option
    }
    assert spec.labels["pytest-py312.cell"] == f"user-service-{interpreter.label}-suite"


def test_a_job_that_needs_network_gets_it(context: RunContext) -> None:
    """It is a bridge, not this machine's own network."""
    spec = cell_spec(context, job_of(context, network=True), image="sha256:1", out=context.cache)
    assert spec.network == "bridge"


def test_the_variables_of_a_job_take_precedence(context: RunContext) -> None:
    """The plan's variables of a service override the runner's."""
    job = job_of(context, variables=(("LANG", "de_DE.UTF-8"), ("MODE", "test")))
    variables = cell_spec(context, job, image="i", out=context.cache).variables
    assert variables == {
        "HOME": "/py312/scratch",
        "USER": "app",
        "LOGNAME": "app",
        "LANG": "de_DE.UTF-8",
        "MODE": "test",
    }


def test_the_request_contains_the_probes_folders(context: RunContext) -> None:
    """Source, scratch and folders are added to it."""
    assert request_for(job_of(context)) == {
        "kind": "suite",
        "source": "/py312/source",
        "scratch": "/py312/scratch",
        "folders": ["services/user-service"],
    }


def test_a_pool_container_is_as_isolated_as_a_cell(context: RunContext) -> None:
    """Only its spool is writable, and its memory limit is for all jobs together."""
    spec = pool_spec(
        context,
        image="i",
        executable="/usr/local/bin/python3.9",
        what="pool",
        root=context.cache.parent / "repository",
        spool=context.cache.parent / "spool",
        memory=512 * MIB,
        parallel=2,
    )
    assert spec.isolated
    assert (spec.network, spec.memory, spec.max_processes) == ("none", 512 * MIB, 1024)
    assert [mount.target for mount in spec.mounts if mount.writable] == ["/py312/spool"]


def test_a_session_has_the_same_rights_as_a_job_of_its_cell(context: RunContext) -> None:
    """Exceptions are the spool, and variables that belong to a single job."""
    job = job_of(context, variables=(("PYTHONHASHSEED", "3"),))
    folder = context.cache.parent / "out"
    cell = cell_spec(context, job, image="i", out=folder)
    session = session_spec(context, job, image="i", spool=folder, memory=job.memory_limit)
    differing = {field.name for field in fields(cell) if getattr(cell, field.name) != getattr(session, field.name)}
    assert differing == {"entrypoint", "mounts", "variables"}
    targets, others = ({mount.target: mount for mount in spec.mounts} for spec in (cell, session))
    assert others.keys() - targets.keys() == {"/py312/spool", "/py312/job_supervisor.py"}
    assert [mount.target for mount in session.mounts if mount.writable] == ["/py312/spool"]
    assert set(session.entrypoint[-4:]) == {*session.tmpfs, "/dev/shm", "/dev/mqueue"}
    assert "PYTHONHASHSEED" not in session.variables


def test_a_tool_container_uses_this_machines_index_and_proxy(context: RunContext) -> None:
    """Index, proxy and trusted certificates are forwarded, but no other variables."""
    bundle = context.cache.parent / "ca.pem"
    bundle.write_text("certificates")
    environ = {
        "UV_INDEX_COMPANY_PASSWORD": "secret",
        "UV_DEFAULT_INDEX": "mirror",
        "PIP_INDEX_URL": "mirror",
        "https_proxy": "proxy",
        "SSL_CERT_FILE": str(bundle),
        "PYTHONPATH": "/elsewhere",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "UV_CACHE_DIR": "/elsewhere",
    }
    spec = tool_spec(context, image="i", executable="python3.12", environ=environ)
    for name in ("UV_INDEX_COMPANY_PASSWORD", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "https_proxy"):
        assert spec.variables[name] == environ[name]
    assert "PYTHONPATH" not in spec.variables
    assert "AWS_SECRET_ACCESS_KEY" not in spec.variables
    assert spec.variables["UV_CACHE_DIR"] == "/py312/cache/uv"
    assert spec.variables["UV_PYTHON_DOWNLOADS"] == "never"
    assert spec.variables.items() >= TOOL_VARIABLES.items()
    assert spec.variables["SSL_CERT_FILE"] == spec.variables["PIP_CERT"] == "/py312/certificates.pem"
    assert {mount.target: mount.writable for mount in spec.mounts} == {
        "/py312/cache": True,
        "/py312/uv": False,
        "/py312/certificates.pem": False,
    }


def test_folders_of_wheels_are_mounted_at_their_own_path(context: RunContext) -> None:
    """UV_FIND_LINKS may contain folders of this machine; addresses need no mount."""
    wheels = context.cache.parent / "wheels"
    wheels.mkdir()
    environ = {"UV_FIND_LINKS": f"{wheels},index.example/simple"}
    spec = tool_spec(context, image="i", executable="python3.12", environ=environ)
    assert str(wheels) in [mount.target for mount in spec.mounts]


def test_only_paths_in_the_cache_can_be_mapped(tmp_path: Path) -> None:
    """All other paths are rejected, in whatever form."""
    assert path_in_container(tmp_path, tmp_path / "envs/a") == "/py312/cache/envs/a"
    for path in (tmp_path / "../elsewhere", tmp_path.parent, Path("/etc/passwd"), Path("envs/a")):
        with pytest.raises(ValueError, match="is not in the cache folder"):
            path_in_container(tmp_path, path)


def test_nested_folders_are_mounted_once(context: RunContext) -> None:
    """A folder inside another one is not mounted again."""
    root = context.cache.parent / "repository"
    mounts = source_mounts(root, ("services/user-service/deep", "libs", "services/user-service", "libs/"))
    assert [mount.target for mount in mounts] == ["/py312/source/libs", "/py312/source/services/user-service"]
    assert [mount.target for mount in source_mounts(root, (".", "libs"))] == ["/py312/source"]


def test_what_links_point_to_elsewhere_in_the_repository_is_mounted_as_well(context: RunContext) -> None:
    root = service_tree(context.cache.parent / "linked", {"services/a/app.py": "", "services/common.txt": "six\n"})
    (root / "services/a/common.txt").symlink_to("../common.txt")
    (root / "services/a/outside").symlink_to("/etc")

    assert [mount.target for mount in source_mounts(root, ("services/a",))] == [
        "/py312/source/services/a",
        "/py312/source/services/common.txt",
    ]


@pytest.mark.parametrize("folder", ["../secrets", "/etc", "services/../../secrets", "a\0b"])
def test_a_folder_outside_of_the_repository_is_rejected(context: RunContext, folder: str) -> None:
    """Its text is sufficient."""
    with pytest.raises(ValueError, match="is not a folder relative to the repository's root"):
        source_mounts(context.cache.parent / "repository", (folder,))


def test_a_link_out_of_the_repository_is_rejected(context: RunContext) -> None:
    """Its target decides."""
    root = context.cache.parent / "repository"
    (root / "escape").symlink_to("/etc")
    with pytest.raises(ValueError, match="leads out of the repository"):
        source_mounts(root, ("escape",))
    with pytest.raises(ValueError, match="does not exist"):
        source_mounts(root, ("missing",))


def test_cells_never_run_as_root() -> None:
    """The exception is a rootless engine, whose root is this user."""
    assert cell_user(1000, 100) == "1000:100"
    assert cell_user(0, 0) == "10001:10001"
    assert cell_user(1000, 100, rootless=True) == "0:0"


# ---- exits


def test_how_a_container_ended() -> None:
    """Its exit code counts, unless memory ran out according to the engine or to a SIGKILL of unknown origin."""
    ended = {
        (code, oom): exit_of_state(
            ContainerState(running=False, exit_code=code, out_of_memory=oom), memory_limit=256 * MIB
        )
        for code in (0, 1, 137)
        for oom in (False, True)
    }
    assert {key: end.reason for key, end in ended.items()} == {
        (0, False): ExitReason.EXITED,
        (1, False): ExitReason.EXITED,
        (137, False): ExitReason.OUT_OF_MEMORY,
        (0, True): ExitReason.OUT_OF_MEMORY,
        (1, True): ExitReason.OUT_OF_MEMORY,
        (137, True): ExitReason.OUT_OF_MEMORY,
    }
    assert ended[0, True].failure == "memory limit of 256 MiB reached"
    assert "most likely" in ended[137, False].failure
    assert ended[1, False].failure == ""


@pytest.mark.parametrize(
    ("report", "shared", "reason"),
    [
        ({"exit_code": 0, "oom_before": 0, "oom_after": 0}, False, ExitReason.EXITED),
        ({"exit_code": 0, "oom_before": 0, "oom_after": 1}, False, ExitReason.OUT_OF_MEMORY),
        ({"exit_code": 0, "oom_before": 0, "oom_after": 1}, True, ExitReason.EXITED),
        ({"exit_code": 1, "oom_before": 0, "oom_after": 1}, True, ExitReason.OUT_OF_MEMORY),
        ({"signal": 9, "oom_before": 1, "oom_after": 1}, False, ExitReason.KILLED),
        ({"signal": 9, "oom_before": None, "oom_after": None}, False, ExitReason.OUT_OF_MEMORY),
        ({"signal": 11, "oom_before": 0, "oom_after": 0}, False, ExitReason.EXITED),
        ({"signal": 9, "timed_out": True}, False, ExitReason.TIMED_OUT),
        ({"not_started": "no such file", "exit_code": 127}, False, ExitReason.NOT_STARTED),
        ({}, False, ExitReason.KILLED),
    ],
)
def test_how_a_job_in_a_shared_container_ended(
    context: RunContext, report: dict[str, object], shared: bool, reason: ExitReason
) -> None:
    """The memory counter is the container's: it does not count for a job that succeeded while others ran."""
    assert exit_from_report(report, job_of(context), shared=shared).reason is reason


@given(
    st.dictionaries(
        st.sampled_from(["exit_code", "signal", "oom_before", "oom_after", "timed_out"]),
        st.integers() | st.text() | st.none(),
    )
)
def test_no_report_of_a_supervisor_raises(report: dict[str, object]) -> None:
    """Untrusted code could have written it."""
    job = ProbeJob(
        identifier="x",
        build=None,  # type: ignore[arg-type]  # not used
        environment=Path(),
        root=Path(),
        folders=(),
        request={},
    )
    assert isinstance(exit_from_report(report, job, shared=False).reason, ExitReason)


def test_refusals_of_the_engine_are_distinguished() -> None:
    """A full disk differs from a missing image, and neither is a verdict."""
    full = exit_of_refusal(EngineRefused("write /x: no space left on device", 500), "sha256:1")
    assert full.reason is ExitReason.DISK_FULL
    gone = exit_of_refusal(EngineRefused("No such image: sha256:1", 404), "sha256:1")
    assert (gone.reason, "is gone" in gone.failure) == (ExitReason.NOT_STARTED, True)
    far = exit_of_refusal(EngineRefused("bind source path does not exist: /cache", 400), "sha256:1")
    assert "does not see the files of this machine" in far.failure


def test_a_full_disk_of_this_machine() -> None:
    """Writing the request fails with ENOSPC."""
    assert not_started_result(OSError(28, "No space left on device"), 0.0).exit_reason is ExitReason.DISK_FULL
    assert not_started_result(ValueError("libs does not exist"), 0.0).exit_reason is ExitReason.NOT_STARTED


# ---- the runner as a whole


def test_importing_the_runner_does_not_import_the_sdk() -> None:
    """A run without containers should not spend the time."""
    code = (
        "import sys, pytest_py312.runners.docker.runner; sys.exit('docker' in sys.modules or 'requests' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_error_for_a_missing_engine_suggests_alternatives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one sentence, without a traceback of the SDK."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(RunnerUnavailable, match="--py312-runner=local"):
        DockerRunner(
            plan=Plan(root=tmp_path), cache=tmp_path, uv=tmp_path / "uv", run_id="r", run_folder=tmp_path / "run"
        )


# ---- starting, on a fake of the SDK's client


class FakeClient:
    """An engine whose starts fail with ``failures``, and which counts its containers."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.created = 0
        self.removed: list[str] = []

    def create_host_config(self, **settings: Any) -> dict[str, Any]:
        return settings

    def create_container(self, image: str, **settings: Any) -> dict[str, str]:
        self.created += 1
        return {"Id": f"container-{self.created}"}

    def start(self, container: str) -> None:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure

    def remove_container(self, container: str, **settings: Any) -> None:
        self.removed.append(container)


def failed_start(text: str, status: int = 500) -> Exception:
    """Return the SDK's error for a start that the engine refused."""
    import docker.errors
    import requests

    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("refused", response, text)


def launch(client: FakeClient, context: RunContext) -> str:
    """Launch a tool container on the fake engine."""
    engine = DockerEngine(client)  # type: ignore[arg-type]  # as much of a client as a launch needs
    return engine.launch(tool_spec(context, image="i", executable="python3", environ={}), listen=False).id


HICCUP = "runc create failed: unable to start container process: read init-p: connection reset by peer"


def test_a_failed_start_is_repeated(context: RunContext) -> None:
    """Each attempt has a new container, and failed ones are removed."""
    client = FakeClient(failed_start(HICCUP), failed_start(HICCUP), None)
    assert launch(client, context) == "container-3"
    assert client.removed == ["container-1", "container-2"]


def test_a_start_that_keeps_failing_is_an_error(context: RunContext) -> None:
    """After three attempts the engine's message is raised, and all containers are removed."""
    client = FakeClient(*[failed_start(HICCUP)] * 5)
    with pytest.raises(EngineRefused, match="read init-p"):
        launch(client, context)
    assert client.removed == ["container-1", "container-2", "container-3"]


@pytest.mark.parametrize("message", ["no space left on device", 'exec: "python3": executable file not found in $PATH'])
def test_a_permanent_failure_is_not_repeated(context: RunContext, message: str) -> None:
    """A full disk and a missing program are permanent."""
    client = FakeClient(failed_start(message))
    with pytest.raises(EngineRefused):
        launch(client, context)
    assert client.created == 1
    assert client.removed == ["container-1"]


class Executing:
    """An engine that runs processes: each attempt prints the next of ``outputs`` and ends with its code."""

    def __init__(self, *outputs: tuple[list[bytes], int]) -> None:
        self.outputs = list(outputs)
        self.attempts = 0

    def exec_create(self, container: str, argv: list[str]) -> dict[str, str]:
        self.attempts += 1
        return {"Id": "exec"}

    def exec_start(self, number: str, *, socket: bool) -> Any:
        """Return the raw stream of a process's standard output, as the engine frames it."""
        ours, theirs = socketpair()
        with theirs:
            for part in self.outputs[self.attempts - 1][0]:
                theirs.sendall(b"\1\0\0\0" + len(part).to_bytes(4, "big") + part)
        stream = SocketIO(ours, "rb")
        stream._response = ours  # type: ignore[attr-defined]  # the SDK's streams have it, to be closed with them
        return stream

    def exec_inspect(self, number: str) -> dict[str, Any]:
        return {"Running": False, "ExitCode": self.outputs[self.attempts - 1][1]}


def execute(client: Executing) -> tuple[int, bytes]:
    """Return the exit code and the output of one process."""
    printed = bytearray()
    code = DockerEngine(client).execute("c", ["true"], lambda kind, part: printed.extend(part))  # type: ignore[arg-type]  # as much of a client as this needs
    return code, bytes(printed)


START_FAILURE = (
    b"OCI runtime exec failed: exec failed: unable to start container process: waiting for init preliminary setup: "
    b"read init-p: connection reset by peer: unknown"
)


def test_a_process_that_failed_to_start_is_repeated() -> None:
    """The runtime's messages about failed attempts are no output of the process."""
    client = Executing(([START_FAILURE], 126), ([START_FAILURE[:9], START_FAILURE[9:]], 126), ([b"3.12", b".1"], 0))
    assert execute(client) == (0, b"3.12.1")
    assert client.attempts == 3


def test_a_process_that_keeps_failing_to_start_has_the_runtimes_message() -> None:
    """There are three attempts."""
    client = Executing(*[([START_FAILURE], 126)] * 5)
    assert execute(client) == (126, START_FAILURE)
    assert client.attempts == 3


@pytest.mark.parametrize(
    "output",
    [
        b'OCI runtime exec failed: exec failed: exec: "uv": executable file not found',
        b"OCI",
        b"",
        b"read init-p: connection reset by peer",
        START_FAILURE.ljust(5000, b"."),
    ],
)
def test_other_output_is_passed_on_unchanged(output: bytes) -> None:
    """The process runs once, even if its output resembles an error of the runtime."""
    client = Executing(([output[:2], output[2:]] if output else [], 1))
    assert execute(client) == (1, output)
    assert client.attempts == 1


def test_a_broken_connection_is_not_a_refusal(context: RunContext) -> None:
    """It is reported as such, without another attempt."""
    import requests

    client = FakeClient(requests.ConnectionError("connection reset"))
    with pytest.raises(EngineUnavailable, match="does not answer"):
        launch(client, context)
    assert client.created == 1


def build_spec_of(context: RunContext, **environ: str) -> ContainerSpec:
    folder = context.cache / "tmp/x/scratch"
    folder.mkdir(parents=True, exist_ok=True)
    command = ConfinedCommand(argv=("{uv}",), folder=folder, readable=(folder.parent,))
    return build_spec(
        context, command, image="image", executable="python", environ=environ, network="none", memory=512 * MIB
    )


def test_a_build_has_the_rights_of_a_cell(context: RunContext) -> None:
    """Its own folder is all that it can write to, and of the cache it sees nothing else."""
    spec = build_spec_of(context)
    cell = cell_spec(context, job_of(context), image="image", out=context.cache)
    assert (spec.user, spec.isolated, spec.network) == (cell.user, True, "none")
    assert (spec.security, spec.max_processes, spec.memory) == (cell.security, cell.max_processes, 512 * MIB)
    assert [mount.target for mount in spec.mounts if mount.writable] == ["/py312/cache/tmp/x/scratch"]
    assert [mount.target for mount in spec.mounts if "cache" in mount.target] == [
        "/py312/cache/tmp/x",
        "/py312/cache/tmp/x/scratch",
    ]
    assert spec.variables["UV_CACHE_DIR"] == "/py312/cache/tmp/x/scratch/cache"


def test_a_build_gets_no_password_of_the_index(context: RunContext) -> None:
    spec = build_spec_of(context, UV_DEFAULT_INDEX="https://user:secret@host/simple", HTTPS_PROXY="http://u:p@proxy")
    assert spec.variables["UV_DEFAULT_INDEX"] == "https://host/simple"
    assert spec.variables["HTTPS_PROXY"] == "http://proxy"


@pytest.mark.parametrize(
    ("fetches", "allowed", "index", "network"),
    [
        (False, False, "https://host/simple", "none"),
        (False, True, "http://localhost:3141/simple", "bridge"),
        (True, False, "https://host/simple", "bridge"),
        (True, False, "http://user:secret@127.0.0.1:3141/simple", "host"),
        (True, False, "http://localhost:3141/simple", "host"),
    ],
)
def test_a_build_has_a_network_only_where_it_is_allowed(fetches: bool, allowed: bool, index: str, network: str) -> None:
    command = ConfinedCommand(argv=(), folder=Path(), fetches=fetches)
    assert network_of_build(command, {"PIP_INDEX_URL": index}, allowed=allowed) == network
