"""Sessions on a real engine: consecutive jobs of one cell in one container do not see each other."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_py312.core.process import ExitReason
from pytest_py312.runners.docker.container_pool import DockerSession
from pytest_py312.runners.docker.container_specs import CELL_LABEL, RUN_LABEL
from pytest_py312.runners.runner import ProbeResult
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench

pytestmark = pytest.mark.docker

LEAVE_TRACES = """if True:
    import os, subprocess, sys
    places = [os.environ["TMPDIR"], os.environ["HOME"], "/tmp", "/dev/shm", "/py312/scratch"]
    for place in places:
        os.makedirs(place + "/left/deep")
        open(place + "/file", "w").close()
    os.environ["LEAKED"] = "to the next"
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    hoard = bytearray(100 * 1024**2)
    say(event="left")
"""
LIST_TRACES = """if True:
    import os
    mine = {"1", str(os.getpid()), str(os.getppid())}
    def parent(of):
        with open("/proc/%s/stat" % of) as file:
            return file.read().rpartition(")")[2].split()[1]
    mine.add(parent(os.getppid()))
    with open("/proc/self/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    say(
        found=[os.listdir(place) for place in ("/tmp", "/dev/shm", os.environ["TMPDIR"], os.environ["HOME"])],
        scratches=len(os.listdir("/py312/scratch")),
        others=[name for name in os.listdir("/proc") if name.isdigit() and name not in mine],
        leaked=os.environ.get("LEAKED"),
        peak=peak,
    )
"""
"""Lists files, processes and variables that are not this job's, and this job's peak memory in KiB."""


@pytest.fixture
def make_session(bench: Bench) -> Iterator[Callable[[], DockerSession]]:
    """Return a function that opens sessions of a runner; they are closed after the test."""
    runner = bench.runner()
    made: list[DockerSession] = []

    def session() -> DockerSession:
        made.append(runner.session())
        return made[-1]

    yield session
    for opened in made:
        opened.close()


def containers(bench: Bench) -> list[str]:
    """Return the ids of the sessions' containers, without the tool container that inspected the image."""
    listed = bench.runners[0]._engine.client.containers(all=True, filters={"label": f"{RUN_LABEL}={bench.run_id}"})
    return [str(container["Id"]) for container in listed if container["Labels"][CELL_LABEL] != "tool"]


def run(bench: Bench, session: DockerSession, code: str, **settings: Any) -> ProbeResult:
    return session.run(bench.job(bench.runners[0], code, **settings))


def test_a_job_leaves_nothing_for_the_next(bench: Bench, make_session: Callable[[], DockerSession]) -> None:
    """Neither files, processes, variables nor memory usage; and the container is reused."""
    session = make_session()
    first = run(bench, session, LEAVE_TRACES)
    assert (first.exit_reason, first.failure) == (ExitReason.EXITED, "")
    container = containers(bench)
    traces = run(bench, session, LIST_TRACES).records[0]
    assert (traces["found"], traces["scratches"], traces["others"], traces["leaked"]) == ([[], [], [], []], 1, [], None)
    assert traces["peak"] < 50 * 1024
    assert len(container) == 1
    assert containers(bench) == container


def test_a_container_with_leftovers_is_replaced(bench: Bench, make_session: Callable[[], DockerSession]) -> None:
    """System V shared memory outlives its processes."""
    session = make_session()
    share = """if True:
        import ctypes
        assert ctypes.CDLL(None).shmget(312, 4096, 0o1600) >= 0
    """
    assert run(bench, session, share).exit_code == 0
    assert containers(bench) == []
    assert run(bench, session, share.replace("0o1600", "0o3600")).exit_code == 0  # fails where there is one


@pytest.mark.parametrize(
    ("code", "exit_reason", "failure"),
    [
        ("import time; time.sleep(600)", ExitReason.TIMED_OUT, "time limit of 1 s reached"),
        ("hoard = bytearray(400 * 1024**2)", ExitReason.OUT_OF_MEMORY, "memory limit of 128 MiB reached"),
        # the supervisor is killed as well, which looks like exhausted memory
        ("import os; os.kill(-1, 9)", ExitReason.OUT_OF_MEMORY, "their container ended"),
    ],
)
def test_limits_are_those_of_each_job(
    bench: Bench, make_session: Callable[[], DockerSession], code: str, exit_reason: ExitReason, failure: str
) -> None:
    """A job that exceeds a limit ends with its container, and the next job gets a new one."""
    session = make_session()
    settings: dict[str, Any] = {"memory_limit": 128 * 1024**2, "time_limit": 20.0}
    assert run(bench, session, "say(event='well')", **settings).exit_reason is ExitReason.EXITED
    if exit_reason is ExitReason.TIMED_OUT:
        settings["time_limit"] = 1.0
    done = run(bench, session, code, **settings)
    assert done.exit_reason is exit_reason
    assert failure in done.failure
    assert containers(bench) == []
    assert run(bench, session, LIST_TRACES, **settings).records[0]["others"] == []


def test_a_container_that_is_removed_meanwhile_is_no_measurement(
    bench: Bench, make_session: Callable[[], DockerSession]
) -> None:
    """The running job fails; the next one gets another container."""
    session = make_session()
    run(bench, session, "pass")
    (container,) = containers(bench)
    bench.runners[0]._engine.remove(container)
    done = run(bench, session, "say(event='well')")
    if done.exit_reason is not ExitReason.EXITED:  # else the removal was noticed before the job started
        assert "ended during the job" in done.failure
        assert done.records == ()
    assert run(bench, session, "say(event='well')").exit_reason is ExitReason.EXITED


def test_a_session_belongs_to_one_cell(bench: Bench, make_session: Callable[[], DockerSession]) -> None:
    """A job with other folders gets another container and sees no folder of the first."""
    (bench.repository / "services/other-service").mkdir()
    session = make_session()
    look = "import os; say(services=os.listdir('/py312/source/services'), envs=os.listdir('/py312/cache/envs'))"
    bench.environment(INTERPRETERS[0])
    seen = [run(bench, session, look, folders=(f"services/{name}",)) for name in ("user-service", "other-service")]
    assert [result.records[0] for result in seen] == [
        {"services": ["user-service"], "envs": ["env-3.12"]},
        {"services": ["other-service"], "envs": ["env-3.12"]},
    ]
    assert len(containers(bench)) == 1
