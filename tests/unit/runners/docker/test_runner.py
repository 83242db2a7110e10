"""The docker runner's pure parts: recipes, judgements, and starts on a fake engine."""

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
from pytest_py312.core.process import Ended
from pytest_py312.runners.docker.cell_container import judged, not_run, refused_end
from pytest_py312.runners.docker.container_specs import (
    Ground,
    attendant_recipe,
    builder_recipe,
    cell_recipe,
    inside,
    request_for,
    source_binds,
    station_recipe,
    user_of_cells,
)
from pytest_py312.runners.docker.engine import Engine, State
from pytest_py312.runners.docker.errors import EngineLost, Refused
from pytest_py312.runners.docker.job_container import end_of
from pytest_py312.runners.docker.runner import DockerRunner
from pytest_py312.runners.runner import TOOL_VARIABLES, CellJob

INTERPRETERS = [Interpreter(3, minor) for minor in (9, 10, 12)]
MIB = 1024**2


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A run's common ground, with a cache that has one environment per interpreter."""
    for interpreter in INTERPRETERS:
        (tmp_path / f"cache/envs/{interpreter}").mkdir(parents=True)
    (tmp_path / "repository/services/user-service/deep").mkdir(parents=True)
    (tmp_path / "repository/libs").mkdir()
    return Ground(
        run_id="run-1",
        owner="boot/ns/0/1/2",
        cache=tmp_path / "cache",
        uv=tmp_path / "uv",
        probe=tmp_path / "probe.py",
        attendant=tmp_path / "attendant.py",
        user="10001:10001",
        builder="0:0",
    )


def job_of(ground: Ground, interpreter: Interpreter = INTERPRETERS[-1], **settings: Any) -> CellJob:
    """A job of user-service on ``interpreter``."""
    build = InterpreterBuild(
        interpreter=interpreter,
        version=f"{interpreter}.1",
        executable=f"/usr/local/bin/python{interpreter}",
        origin=f"image python:{interpreter}-slim",
        digest="d" * 16,
        flags="plain",
    )
    given = {
        "environment": ground.cache / f"envs/{interpreter}",
        "root": ground.cache.parent / "repository",
        "folders": ("services/user-service",),
        "request": {"kind": "suite"},
        "memory_limit": 256 * MIB,
    }
    return CellJob(identifier=f"user-service-{interpreter.label}-suite", build=build, **{**given, **settings})


# ---- recipes


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=str)
def test_a_cell_is_closed(ground: Ground, interpreter: Interpreter) -> None:
    """No network, read-only mounts but for its own folder, limits, no privileges to gain."""
    recipe = cell_recipe(ground, job_of(ground, interpreter), image="sha256:1", out=ground.cache.parent / "out")
    assert recipe.closed
    assert (recipe.network, recipe.memory, recipe.user) == ("none", 256 * MIB, "10001:10001")
    assert recipe.entry[0] == f"/py312/cache/envs/{interpreter}/bin/python"
    assert [bind.target for bind in recipe.binds if bind.writable] == ["/py312/out"]
    assert "/py312/source/services/user-service" in [bind.target for bind in recipe.binds]
    assert recipe.security == ("no-new-privileges:true",)
    assert "exec" in recipe.tmpfs["/tmp"].split(",")
    assert recipe.labels["pytest-py312.cell"] == f"user-service-{interpreter.label}-suite"


def test_a_job_that_asks_for_network_gets_one(ground: Ground) -> None:
    """A bridge, not this machine's own network."""
    recipe = cell_recipe(ground, job_of(ground, network=True), image="sha256:1", out=ground.cache)
    assert recipe.network == "bridge"


def test_the_variables_of_a_job_win(ground: Ground) -> None:
    """What the plan sets for a service is laid over what the runner sets."""
    job = job_of(ground, variables=(("LANG", "de_DE.UTF-8"), ("MODE", "test")))
    variables = cell_recipe(ground, job, image="i", out=ground.cache).variables
    assert variables == {
        "HOME": "/py312/scratch",
        "USER": "app",
        "LOGNAME": "app",
        "LANG": "de_DE.UTF-8",
        "MODE": "test",
    }


def test_the_probe_is_told_its_places(ground: Ground) -> None:
    """The request is passed on, with source, scratch and folders."""
    assert request_for(job_of(ground)) == {
        "kind": "suite",
        "source": "/py312/source",
        "scratch": "/py312/scratch",
        "folders": ["services/user-service"],
    }


def test_an_attendant_is_as_closed_as_a_cell(ground: Ground) -> None:
    """Only its spool is writable, and its memory is for all jobs together."""
    recipe = attendant_recipe(
        ground,
        image="i",
        executable="/usr/local/bin/python3.9",
        what="attendant",
        root=ground.cache.parent / "repository",
        spool=ground.cache.parent / "spool",
        memory=512 * MIB,
        parallel=2,
    )
    assert recipe.closed
    assert (recipe.network, recipe.memory, recipe.processes) == ("none", 512 * MIB, 1024)
    assert [bind.target for bind in recipe.binds if bind.writable] == ["/py312/spool"]


def test_a_station_sees_and_may_what_a_job_of_its_cell_would(ground: Ground) -> None:
    """All but where its jobs come in and go out, and none of the variables that are of one job."""
    job = job_of(ground, variables=(("PYTHONHASHSEED", "3"),))
    folder = ground.cache.parent / "out"
    cell = cell_recipe(ground, job, image="i", out=folder)
    station = station_recipe(ground, job, image="i", spool=folder, memory=job.memory_limit)
    differing = {field.name for field in fields(cell) if getattr(cell, field.name) != getattr(station, field.name)}
    assert differing == {"entry", "binds", "variables"}
    targets, others = ({bind.target: bind for bind in recipe.binds} for recipe in (cell, station))
    assert others.keys() - targets.keys() == {"/py312/spool", "/py312/attendant.py"}
    assert [bind.target for bind in station.binds if bind.writable] == ["/py312/spool"]
    assert set(station.entry[-4:]) == {*station.tmpfs, "/dev/shm", "/dev/mqueue"}
    assert "PYTHONHASHSEED" not in station.variables


def test_a_builder_works_with_this_machines_index_and_proxy(ground: Ground) -> None:
    """Index, proxy and trusted certificates are passed on; nothing else of the environment is."""
    bundle = ground.cache.parent / "ca.pem"
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
    recipe = builder_recipe(ground, image="i", executable="python3.12", environ=environ)
    for name in ("UV_INDEX_COMPANY_PASSWORD", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "https_proxy"):
        assert recipe.variables[name] == environ[name]
    assert "PYTHONPATH" not in recipe.variables
    assert "AWS_SECRET_ACCESS_KEY" not in recipe.variables
    assert recipe.variables["UV_CACHE_DIR"] == "/py312/cache/uv"
    assert recipe.variables["UV_PYTHON_DOWNLOADS"] == "never"
    assert recipe.variables.items() >= TOOL_VARIABLES.items()
    assert recipe.variables["SSL_CERT_FILE"] == recipe.variables["PIP_CERT"] == "/py312/certificates.pem"
    assert {bind.target: bind.writable for bind in recipe.binds} == {
        "/py312/cache": True,
        "/py312/uv": False,
        "/py312/certificates.pem": False,
    }


def test_folders_of_wheels_are_seen_at_their_own_path(ground: Ground) -> None:
    """UV_FIND_LINKS may name folders of this machine; addresses are left alone."""
    wheels = ground.cache.parent / "wheels"
    wheels.mkdir()
    environ = {"UV_FIND_LINKS": f"{wheels},index.example/simple"}
    recipe = builder_recipe(ground, image="i", executable="python3.12", environ=environ)
    assert str(wheels) in [bind.target for bind in recipe.binds]


def test_only_the_cache_is_seen_inside(tmp_path: Path) -> None:
    """Paths of the cache are mapped, all others refused, however they are written."""
    assert inside(tmp_path, tmp_path / "envs/a") == "/py312/cache/envs/a"
    for path in (tmp_path / "../elsewhere", tmp_path.parent, Path("/etc/passwd"), Path("envs/a")):
        with pytest.raises(ValueError, match="is not in the cache folder"):
            inside(tmp_path, path)


def test_folders_within_folders_come_once(ground: Ground) -> None:
    """A needed folder that lies in another one is not mounted again."""
    root = ground.cache.parent / "repository"
    binds = source_binds(root, ("services/user-service/deep", "libs", "services/user-service", "libs/"))
    assert [bind.target for bind in binds] == ["/py312/source/libs", "/py312/source/services/user-service"]
    assert [bind.target for bind in source_binds(root, (".", "libs"))] == ["/py312/source"]


@pytest.mark.parametrize("folder", ["../secrets", "/etc", "services/../../secrets", "a\0b"])
def test_a_folder_outside_of_the_repository_is_refused(ground: Ground, folder: str) -> None:
    """By its text alone."""
    with pytest.raises(ValueError, match="is not a folder relative to the repository's root"):
        source_binds(ground.cache.parent / "repository", (folder,))


def test_a_link_out_of_the_repository_is_refused(ground: Ground) -> None:
    """By where it leads."""
    root = ground.cache.parent / "repository"
    (root / "escape").symlink_to("/etc")
    with pytest.raises(ValueError, match="leads out of the repository"):
        source_binds(root, ("escape",))
    with pytest.raises(ValueError, match="does not exist"):
        source_binds(root, ("missing",))


def test_cells_never_run_as_root() -> None:
    """Except where root inside is this user outside."""
    assert user_of_cells(1000, 100) == "1000:100"
    assert user_of_cells(0, 0) == "10001:10001"
    assert user_of_cells(1000, 100, rootless=True) == "0:0"


# ---- judgements


def test_how_a_container_ended() -> None:
    """Its exit code counts, unless memory ran out: seen by the engine, or by a SIGKILL that nobody here sent."""
    ended = {
        (code, oom): judged(State(running=False, exit_code=code, out_of_memory=oom), memory_limit=256 * MIB)
        for code in (0, 1, 137)
        for oom in (False, True)
    }
    assert {key: end.ended for key, end in ended.items()} == {
        (0, False): Ended.EXITED,
        (1, False): Ended.EXITED,
        (137, False): Ended.OUT_OF_MEMORY,
        (0, True): Ended.OUT_OF_MEMORY,
        (1, True): Ended.OUT_OF_MEMORY,
        (137, True): Ended.OUT_OF_MEMORY,
    }
    assert ended[0, True].trouble == "memory limit of 256 MiB reached"
    assert "most likely" in ended[137, False].trouble
    assert ended[1, False].trouble == ""


@pytest.mark.parametrize(
    ("said", "shared", "ended"),
    [
        ({"exit_code": 0, "oom_before": 0, "oom_after": 0}, False, Ended.EXITED),
        ({"exit_code": 0, "oom_before": 0, "oom_after": 1}, False, Ended.OUT_OF_MEMORY),
        ({"exit_code": 0, "oom_before": 0, "oom_after": 1}, True, Ended.EXITED),
        ({"exit_code": 1, "oom_before": 0, "oom_after": 1}, True, Ended.OUT_OF_MEMORY),
        ({"signal": 9, "oom_before": 1, "oom_after": 1}, False, Ended.KILLED),
        ({"signal": 9, "oom_before": None, "oom_after": None}, False, Ended.OUT_OF_MEMORY),
        ({"signal": 11, "oom_before": 0, "oom_after": 0}, False, Ended.EXITED),
        ({"signal": 9, "timed_out": True}, False, Ended.TIMED_OUT),
        ({"not_started": "no such file", "exit_code": 127}, False, Ended.NOT_STARTED),
        ({}, False, Ended.KILLED),
    ],
)
def test_how_a_job_in_a_shared_container_ended(
    ground: Ground, said: dict[str, object], shared: bool, ended: Ended
) -> None:
    """The keeper's words are weighed; the container's memory counter is not held against a neighbour that did well."""
    assert end_of(said, job_of(ground), shared=shared).ended is ended


@given(
    st.dictionaries(
        st.sampled_from(["exit_code", "signal", "oom_before", "oom_after", "timed_out"]),
        st.integers() | st.text() | st.none(),
    )
)
def test_no_words_of_a_keeper_raise(said: dict[str, object]) -> None:
    """They come from where untrusted code runs."""
    job = CellJob(
        identifier="x",
        build=None,  # type: ignore[arg-type]  # not looked at
        environment=Path(),
        root=Path(),
        folders=(),
        request={},
    )
    assert isinstance(end_of(said, job, shared=False).ended, Ended)


def test_what_the_engine_refuses_is_told_apart() -> None:
    """A full disk and a missing image are not the same, and neither is a verdict."""
    full = refused_end(Refused("write /x: no space left on device", 500), "sha256:1")
    assert full.ended is Ended.DISK_FULL
    gone = refused_end(Refused("No such image: sha256:1", 404), "sha256:1")
    assert (gone.ended, "is gone" in gone.trouble) == (Ended.NOT_STARTED, True)
    far = refused_end(Refused("bind source path does not exist: /cache", 400), "sha256:1")
    assert "does not see the files of this machine" in far.trouble


def test_a_full_disk_on_this_side() -> None:
    """ENOSPC while the request is written."""
    assert not_run(OSError(28, "No space left on device"), 0.0).ended is Ended.DISK_FULL
    assert not_run(ValueError("libs does not exist"), 0.0).ended is Ended.NOT_STARTED


# ---- the runner as a whole


def test_importing_the_runner_does_not_import_the_sdk() -> None:
    """It costs time that a run without containers need not pay."""
    code = (
        "import sys, pytest_py312.runners.docker.runner; sys.exit('docker' in sys.modules or 'requests' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_engine_is_told_with_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for containers where there are none: one sentence, no traceback of the SDK."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(RunnerUnavailable, match="--py312-runner=local"):
        DockerRunner(
            plan=Plan(root=tmp_path), cache=tmp_path, uv=tmp_path / "uv", run_id="r", run_folder=tmp_path / "run"
        )


# ---- starting, on a fake of the SDK's client


class FakeClient:
    """An engine whose starts fail as told, and which remembers what it was asked."""

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
    """The SDK's error for a start that the engine refused."""
    import docker.errors
    import requests

    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("refused", response, text)


def launch(client: FakeClient, ground: Ground) -> str:
    """Launch a builder on the fake engine."""
    engine = Engine(client)  # type: ignore[arg-type]  # as much of a client as a launch needs
    return engine.launch(builder_recipe(ground, image="i", executable="python3", environ={}), listen=False).id


HICCUP = "runc create failed: unable to start container process: read init-p: connection reset by peer"


def test_a_failed_start_is_tried_again(ground: Ground) -> None:
    """With a new container; those that failed are removed."""
    client = FakeClient(failed_start(HICCUP), failed_start(HICCUP), None)
    assert launch(client, ground) == "container-3"
    assert client.removed == ["container-1", "container-2"]


def test_a_start_that_keeps_failing_is_given_up(ground: Ground) -> None:
    """After three attempts, with the engine's own words, and nothing left behind."""
    client = FakeClient(*[failed_start(HICCUP)] * 5)
    with pytest.raises(Refused, match="read init-p"):
        launch(client, ground)
    assert client.removed == ["container-1", "container-2", "container-3"]


@pytest.mark.parametrize("words", ["no space left on device", 'exec: "python3": executable file not found in $PATH'])
def test_what_no_second_attempt_mends_is_told_at_once(ground: Ground, words: str) -> None:
    """A full disk and a missing program stay what they are."""
    client = FakeClient(failed_start(words))
    with pytest.raises(Refused):
        launch(client, ground)
    assert client.created == 1
    assert client.removed == ["container-1"]


class Executing:
    """An engine in which processes run: each attempt prints the next of ``outputs`` and ends with its code."""

    def __init__(self, *outputs: tuple[list[bytes], int]) -> None:
        self.outputs = list(outputs)
        self.attempts = 0

    def exec_create(self, container: str, argv: list[str]) -> dict[str, str]:
        self.attempts += 1
        return {"Id": "exec"}

    def exec_start(self, number: str, *, socket: bool) -> Any:
        """The raw stream of a process's standard output, as the engine frames it."""
        ours, theirs = socketpair()
        with theirs:
            for part in self.outputs[self.attempts - 1][0]:
                theirs.sendall(b"\1\0\0\0" + len(part).to_bytes(4, "big") + part)
        stream = SocketIO(ours, "rb")
        stream._response = ours  # type: ignore[attr-defined]  # as in the SDK's, to be closed with it
        return stream

    def exec_inspect(self, number: str) -> dict[str, Any]:
        return {"Running": False, "ExitCode": self.outputs[self.attempts - 1][1]}


def execute(client: Executing) -> tuple[int, bytes]:
    """The exit code and the output of one process."""
    printed = bytearray()
    code = Engine(client).execute("c", ["true"], lambda kind, part: printed.extend(part))  # type: ignore[arg-type]  # as much of a client as this needs
    return code, bytes(printed)


NEVER_BEGUN = (
    b"OCI runtime exec failed: exec failed: unable to start container process: waiting for init preliminary setup: "
    b"read init-p: connection reset by peer: unknown"
)


def test_a_process_that_never_began_is_tried_again() -> None:
    """What the runtime said of the failed attempts is no output of the process."""
    client = Executing(([NEVER_BEGUN], 126), ([NEVER_BEGUN[:9], NEVER_BEGUN[9:]], 126), ([b"3.12", b".1"], 0))
    assert execute(client) == (0, b"3.12.1")
    assert client.attempts == 3


def test_a_process_that_keeps_not_beginning_is_given_up() -> None:
    """After three attempts, with the runtime's own words."""
    client = Executing(*[([NEVER_BEGUN], 126)] * 5)
    assert execute(client) == (126, NEVER_BEGUN)
    assert client.attempts == 3


@pytest.mark.parametrize(
    "said",
    [
        b'OCI runtime exec failed: exec failed: exec: "uv": executable file not found',
        b"OCI",
        b"",
        b"read init-p: connection reset by peer",
        NEVER_BEGUN.ljust(5000, b"."),
    ],
)
def test_what_a_process_prints_is_its_own(said: bytes) -> None:
    """It is passed on whole, and the process is run once, whatever its output resembles."""
    client = Executing(([said[:2], said[2:]] if said else [], 1))
    assert execute(client) == (1, said)
    assert client.attempts == 1


def test_an_engine_that_goes_away_is_not_a_refusal(ground: Ground) -> None:
    """A broken connection is told as what it is, not tried again."""
    import requests

    client = FakeClient(requests.ConnectionError("connection reset"))
    with pytest.raises(EngineLost, match="does not answer"):
        launch(client, ground)
    assert client.created == 1
