"""Jobs of one cell that follow each other in a container that stays, on a real engine: each as if it were the first."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_py312.core.process import Ended
from pytest_py312.runners.docker.container_pool import DockerStation
from pytest_py312.runners.docker.container_specs import CELL_LABEL, RUN_LABEL
from pytest_py312.runners.runner import CellRun
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench

pytestmark = pytest.mark.docker

LEAVE = """if True:
    import os, subprocess, sys
    places = [os.environ["TMPDIR"], os.environ["HOME"], "/tmp", "/dev/shm", "/py312/scratch"]
    for place in places:
        os.makedirs(place + "/left/deep")
        open(place + "/file", "w").close()
    os.environ["TOLD"] = "the next"
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    hoard = bytearray(100 * 1024**2)
    say(event="left")
"""
LOOK = """if True:
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
        told=os.environ.get("TOLD"),
        peak=peak,
    )
"""
"""What there is beside this job: files, processes, variables; and the most memory it has had itself, in KiB."""


@pytest.fixture
def stations(bench: Bench) -> Iterator[Callable[[], DockerStation]]:
    """Stations of a runner, closed after the test."""
    runner = bench.runner()
    made: list[DockerStation] = []

    def station() -> DockerStation:
        made.append(runner.station())
        return made[-1]

    yield station
    for one in made:
        one.close()


def containers(bench: Bench) -> list[str]:
    """Ids of the containers of stations; there is one beside them in which it was found out what the image holds."""
    found = bench.runners[0]._engine.client.containers(all=True, filters={"label": f"{RUN_LABEL}={bench.run_id}"})
    return [str(one["Id"]) for one in found if one["Labels"][CELL_LABEL] != "builder"]


def run(bench: Bench, station: DockerStation, code: str, **settings: Any) -> CellRun:
    return station.run(bench.job(bench.runners[0], code, **settings))


def test_nothing_is_left_to_the_next(bench: Bench, stations: Callable[[], DockerStation]) -> None:
    """Neither files nor processes nor variables, nor the memory that one had; and the container is the same."""
    station = stations()
    first = run(bench, station, LEAVE)
    assert (first.ended, first.trouble) == (Ended.EXITED, "")
    container = containers(bench)
    found = run(bench, station, LOOK).records[0]
    assert (found["found"], found["scratches"], found["others"], found["told"]) == ([[], [], [], []], 1, [], None)
    assert found["peak"] < 50 * 1024
    assert len(container) == 1
    assert containers(bench) == container


def test_what_cannot_be_removed_takes_the_container_along(bench: Bench, stations: Callable[[], DockerStation]) -> None:
    """Memory that processes share by a number outlives them."""
    station = stations()
    share = """if True:
        import ctypes
        assert ctypes.CDLL(None).shmget(312, 4096, 0o1600) >= 0
    """
    assert run(bench, station, share).exit_code == 0
    assert containers(bench) == []
    assert run(bench, station, share.replace("0o1600", "0o3600")).exit_code == 0  # fails where there is one


@pytest.mark.parametrize(
    ("code", "ended", "trouble"),
    [
        ("import time; time.sleep(600)", Ended.TIMED_OUT, "time limit of 1 s reached"),
        ("hoard = bytearray(400 * 1024**2)", Ended.OUT_OF_MEMORY, "memory limit of 128 MiB reached"),
        # the attendant is killed as well, which looks as if memory had run out
        ("import os; os.kill(-1, 9)", Ended.OUT_OF_MEMORY, "their container ended"),
    ],
)
def test_limits_are_those_of_each_job(
    bench: Bench, stations: Callable[[], DockerStation], code: str, ended: Ended, trouble: str
) -> None:
    """What was ended by one ends with its container, and the next job is as the first."""
    station = stations()
    settings: dict[str, Any] = {"memory_limit": 128 * 1024**2, "time_limit": 20.0}
    assert run(bench, station, "say(event='well')", **settings).ended is Ended.EXITED
    if ended is Ended.TIMED_OUT:
        settings["time_limit"] = 1.0
    done = run(bench, station, code, **settings)
    assert done.ended is ended
    assert trouble in done.trouble
    assert containers(bench) == []
    assert run(bench, station, LOOK, **settings).records[0]["others"] == []


def test_a_container_that_somebody_removes_is_no_measurement(
    bench: Bench, stations: Callable[[], DockerStation]
) -> None:
    """The job that was under way has failed; the next one gets another container."""
    station = stations()
    run(bench, station, "pass")
    (container,) = containers(bench)
    bench.runners[0]._engine.remove(container)
    done = run(bench, station, "say(event='well')")
    if done.ended is not Ended.EXITED:  # else it was noticed before the job was handed in
        assert "ended while it ran" in done.trouble
        assert done.records == ()
    assert run(bench, station, "say(event='well')").ended is Ended.EXITED


def test_a_station_is_of_one_cell(bench: Bench, stations: Callable[[], DockerStation]) -> None:
    """A job that sees something else has a container of its own, and does not see what the first one did."""
    (bench.repository / "services/other-service").mkdir()
    station = stations()
    look = "import os; say(services=os.listdir('/py312/source/services'), envs=os.listdir('/py312/cache/envs'))"
    bench.environment(INTERPRETERS[0])
    seen = [run(bench, station, look, folders=(f"services/{name}",)) for name in ("user-service", "other-service")]
    assert [one.records[0] for one in seen] == [
        {"services": ["user-service"], "envs": ["env-3.12"]},
        {"services": ["other-service"], "envs": ["env-3.12"]},
    ]
    assert len(containers(bench)) == 1
