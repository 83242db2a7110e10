"""Faults around a cell on a real engine: limits, killed processes, and hostile code."""

import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from pytest_py312.core.process import ExitReason
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench
from tests.integration.docker_runner.second_engine import SecondEngine, running_engine

pytestmark = pytest.mark.docker

SLEEP = "import time; say(event='before'); time.sleep(600)"


def test_records_before_the_time_limit_are_kept(bench: Bench, isolation: str) -> None:
    """SIGINT comes first: the probe can still report that it was interrupted."""
    code = """if True:
        import time
        say(event="before")
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            say(event="interrupted")
            raise
    """
    run = bench.run(bench.runner(isolation=isolation), code, time_limit=2.0)
    assert run.exit_reason is ExitReason.TIMED_OUT
    assert run.records == ({"event": "before"}, {"event": "interrupted"})
    assert run.failure == "time limit of 2 s reached"


def test_a_process_that_ignores_sigint_is_killed(bench: Bench, isolation: str) -> None:
    """After the grace time."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);" + SLEEP
    run = bench.run(bench.runner(isolation=isolation), code, time_limit=2.0, grace=0.5)
    assert run.exit_reason is ExitReason.TIMED_OUT
    assert run.records == ({"event": "before"},)


def test_the_memory_limit_is_reported(bench: Bench) -> None:
    """A kill by the kernel is reported as out of memory."""
    code = "say(event='before'); hoard = bytearray(400 * 1024**2); say(event='after')"
    run = bench.run(bench.runner(), code, memory_limit=128 * 1024**2)
    assert run.exit_reason is ExitReason.OUT_OF_MEMORY
    assert "memory limit of 128 MiB" in run.failure
    assert run.records == ({"event": "before"},)


def test_a_full_tmp_is_a_full_disk_and_not_the_limit_of_the_memory(bench: Bench) -> None:
    """Its pages count towards that limit, so it has to be smaller."""
    code = """if True:
        import errno
        try:
            with open("/tmp/hoard", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(1024**2))
        except OSError as error:
            say(error=errno.errorcode[error.errno])
    """
    run = bench.run(bench.runner(), code, memory_limit=256 * 1024**2)
    assert (run.exit_reason, run.records[0]) == (ExitReason.EXITED, {"error": "ENOSPC"})


def test_an_out_of_memory_kill_of_a_child_is_reported(bench: Bench) -> None:
    """The suite itself exits with 0, as with a pool that restarts its workers."""
    code = """if True:
        import subprocess, sys
        child = subprocess.run([sys.executable, "-c", "bytearray(400 * 1024**2)"])
        say(child=child.returncode)
    """
    run = bench.run(bench.runner(), code, memory_limit=128 * 1024**2)
    assert (run.exit_reason, run.exit_code) == (ExitReason.OUT_OF_MEMORY, 0), run
    assert run.records[0] == {"child": -9}


def test_the_memory_limit_in_a_shared_container_ends_one_job(bench: Bench) -> None:
    """Only the greedy job is killed; the container stays for the next."""
    runner = bench.runner(isolation="interpreter")
    code = "say(event='before'); hoard = bytearray(400 * 1024**2); say(event='after')"
    greedy = bench.run(runner, code, memory_limit=64 * 1024**2)
    assert greedy.exit_reason is ExitReason.OUT_OF_MEMORY, greedy
    assert greedy.records == ({"event": "before"},)
    modest = bench.run(runner, "say(event='here')", memory_limit=64 * 1024**2)
    assert (modest.exit_reason, modest.exit_code) == (ExitReason.EXITED, 0), modest


def test_a_larger_job_widens_the_shared_container(bench: Bench) -> None:
    """The container was started for a small job; a later job gets the memory it requests."""
    runner = bench.runner(isolation="interpreter")
    assert bench.run(runner, "say(ran=True)", memory_limit=32 * 1024**2).exit_reason is ExitReason.EXITED
    code = "hoard = bytearray(200 * 1024**2); say(event='after')"
    assert bench.run(runner, code, memory_limit=512 * 1024**2).exit_reason is ExitReason.EXITED


def test_a_child_that_outlives_the_suite_is_killed(bench: Bench, isolation: str) -> None:
    """Even one with its own session that holds standard output open."""
    code = """if True:
        import subprocess, sys
        script = "import os, time; os.setsid(); os.fork() and os._exit(0); time.sleep(4321)"
        subprocess.run([sys.executable, "-c", script])
        say(event="left it behind")
    """
    runner = bench.runner(isolation=isolation)
    run = bench.run(runner, code)
    assert (run.exit_reason, run.exit_code) == (ExitReason.EXITED, 0), run
    left = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            left += [path] if b"time.sleep(4321)" in path.read_bytes() and b"os.setsid" in path.read_bytes() else []
        except OSError:
            continue
    assert left == []


@pytest.mark.parametrize("plant", ["os.symlink('/etc/passwd', path)", "os.mkfifo(path)", "os.mkdir(path)"])
def test_a_planted_records_file_is_not_followed(bench: Bench, isolation: str, plant: str) -> None:
    """A link, a pipe or a folder in place of the records file gives no records and does not block."""
    code = f"import os, sys; path = sys.argv[2]; say(event='x'); os.unlink(path); {plant}; os._exit(0)"
    run = bench.run(bench.runner(isolation=isolation), code)
    assert (run.exit_reason, run.records) == (ExitReason.EXITED, ()), run


def test_invalid_records_are_ignored(bench: Bench, isolation: str) -> None:
    """Lines that are not JSON objects are skipped; the rest counts."""
    code = "open(sys.argv[2], 'ab').write(b'\\xff\\x00{\\n[1]\\n' + b'[' * 100000 + b'\\n'); say(event='good')"
    run = bench.run(bench.runner(isolation=isolation), "import sys;" + code)
    assert run.records == ({"event": "good"}, {"event": "end"})


def test_a_job_that_kills_all_processes_does_not_affect_later_jobs(bench: Bench) -> None:
    """kill(-1) ends a shared container; that is reported, and the next job gets a new one."""
    runner = bench.runner(isolation="interpreter")
    run = bench.run(runner, "import os, signal; os.kill(-1, signal.SIGKILL); import time; time.sleep(600)")
    assert run.exit_reason in (ExitReason.KILLED, ExitReason.OUT_OF_MEMORY), run
    assert run.failure
    assert bench.run(runner, "say(event='here')").exit_reason is ExitReason.EXITED


def test_a_container_that_is_removed_meanwhile(bench: Bench) -> None:
    """The cell ends at once and counts as killed."""
    runner = bench.runner()
    job = bench.job(runner, SLEEP)
    runner.run_tool(job.build, ["{python}", "-c", ""])
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(runner.run, job)
        _remove_when_running(bench)
        run = future.result(timeout=60)
    assert run.exit_reason in (ExitReason.KILLED, ExitReason.OUT_OF_MEMORY), run
    assert run.failure


def _remove_when_running(bench: Bench) -> None:
    import docker

    client = docker.APIClient(version="auto")

    def cells() -> list[str]:
        listed = client.containers(filters={"label": f"pytest-py312.run={bench.run_id}"})
        return [
            str(container["Id"]) for container in listed if container["Labels"]["pytest-py312.cell"].endswith("suite")
        ]

    try:
        _wait_for(cells)
        client.remove_container(cells()[0], force=True)
    finally:
        client.close()


def test_close_cancels_running_jobs(bench: Bench, isolation: str) -> None:
    """close() in another thread ends a long run promptly."""
    runner = bench.runner(isolation=isolation)
    job = bench.job(runner, SLEEP)
    runs = []
    thread = Thread(target=lambda: runs.append(runner.run(job)))
    thread.start()
    _wait_for(lambda: list((bench.folder / "run").rglob("records.jsonl")))
    runner.close()
    thread.join(timeout=30)
    assert [run.exit_reason for run in runs] == [ExitReason.CANCELLED]


def _wait_for(happens: Callable[[], object]) -> None:
    for _ in range(3000):
        if happens():
            return
        select.select([], [], [], 0.01)
    pytest.fail("what the test waits for did not happen")


CONTROLLER = """
import sys
sys.path[:0] = [{here!r}]
from pathlib import Path
from conftest import Bench
bench = Bench(folder=Path({folder!r}), run_id={run_id!r})
runner = bench.runner(isolation={isolation!r})
runner.run_tool(runner.find_interpreter(bench.job(runner, "").build.interpreter), ["{{python}}", "-c", ""])
bench.run(runner, {code!r}, time_limit=600.0)
"""


def test_containers_of_a_killed_run_are_removed_by_the_next(
    bench: Bench, isolation: str, containers: Callable[[str], list[str]], tmp_path: Path
) -> None:
    """kill -9 of the controller leaves its containers; the next runner sees that their owner is gone."""
    run_id = f"{bench.run_id}-killed"
    script = CONTROLLER.format(
        here=str(Path(__file__).parent), folder=str(tmp_path / "other"), run_id=run_id, isolation=isolation, code=SLEEP
    )
    with subprocess.Popen([sys.executable, "-c", script]) as controller:
        try:
            _wait_for(lambda: list(tmp_path.glob("other/run/docker-*/**/records.jsonl")))
            assert len(containers(run_id)) == 2  # the builder and the cell
            bench.runner()
            assert len(containers(run_id)) == 2, "a living run's containers were swept"
        finally:
            controller.send_signal(signal.SIGKILL)
    bench.runner()
    _wait_for(lambda: not containers(run_id))  # a runner of another test may be removing them at this moment


@pytest.fixture
def second_engine(images: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecondEngine]:
    """A private engine that may be killed, as the one of the runner."""
    with running_engine(f"python:{INTERPRETERS[-1]}-slim") as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.address)
        yield engine


def test_a_killed_engine_is_no_verdict(
    second_engine: SecondEngine, bench: Bench, isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell ends at once as lost, never as passed or failed, and close() works."""
    runner = bench.runner(isolation=isolation)
    job = bench.job(runner, SLEEP)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(runner.run, job)
        _wait_for(lambda: list((bench.folder / "run").rglob("records.jsonl")))
        second_engine.process.kill()
        run = future.result(timeout=60)
    assert run.exit_reason is ExitReason.ENGINE_LOST, run
    assert "the Docker engine does not answer" in run.failure
    assert run.records == ({"event": "before"},)
    assert runner.run(job).exit_reason is ExitReason.ENGINE_LOST
    runner.close()
    monkeypatch.delenv("DOCKER_HOST")
