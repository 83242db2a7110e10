"""Several engines: cells run where there is room, and a lost engine costs only time."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_py312.core.process import ExitReason
from pytest_py312.runners.docker.cell_container import OUT_LIMIT
from pytest_py312.runners.docker.runner import DockerRunner
from pytest_py312.runners.runner import ProbeResult
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench
from tests.integration.docker_runner.second_engine import SecondEngine, running_engine

pytestmark = pytest.mark.docker
IMAGE = f"python:{INTERPRETERS[-1]}-slim"
BUSY = "import time; say(event='busy'); time.sleep(600)"


@pytest.fixture(scope="module")
def second(images: None) -> Iterator[SecondEngine]:
    """An engine of the plan besides that of this machine; it has one image."""
    with running_engine(IMAGE) as engine:
        yield engine


@pytest.fixture
def mortal(images: None) -> Iterator[SecondEngine]:
    """As ``second``, for one test, which may kill it."""
    with running_engine(IMAGE) as engine:
        yield engine


def wait_for(happens: Callable[[], object]) -> None:
    """Wait at most a minute."""
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.05)


def own_engine_is_busy(bench: Bench, runner: DockerRunner, pool: ThreadPoolExecutor) -> None:
    """Let jobs take all room of this machine's engine, as a runner for one job in parallel has."""
    job = bench.job(runner, BUSY, time_limit=600.0)
    pool.submit(runner.run, job)
    wait_for(lambda: list((bench.folder / "run").rglob("records.jsonl")))


def elsewhere(bench: Bench, runner: DockerRunner, code: str) -> ProbeResult:
    """Run ``code`` while this machine's engine has no room."""
    job = bench.job(runner, code, identifier="other-py3.12-suite")
    with ThreadPoolExecutor(1) as pool:
        own_engine_is_busy(bench, runner, pool)
        result = runner.run(job)
        runner.close()  # ends the busy job
    return result


def test_a_cell_sees_the_same_on_another_engine(bench: Bench, second: SecondEngine) -> None:
    """The service's files, its environment and its rights."""
    (bench.repository / "services/user-service/data").mkdir()
    (bench.repository / "services/user-service/data/link.py").symlink_to("../app.py")
    code = """if True:
        import os, sys
        service = request["source"] + "/services/user-service/"
        def refused(path):
            try:
                open(path, "w")
            except OSError as error:
                return type(error).__name__
        say(
            answer=open(service + "data/link.py").read(), prefix=sys.prefix, version=sys.version_info[:2],
            refused=[refused(service + "new"), refused(sys.prefix + "/new"), refused("/py312/probe.py")],
            user=os.getuid(), writable=refused(request["scratch"] + "/file"), listed=sorted(os.listdir("/py312")),
        )
    """
    own = bench.run(bench.runner(), code)
    runner = bench.runner_with(second.address)
    away = elsewhere(bench, runner, code)
    assert (away.exit_reason, away.exit_code, away.failure) == (ExitReason.EXITED, 0, "")
    assert away.records == own.records
    assert own.records[0]["answer"] == "ANSWER = 42\n"
    assert runner.further_cells >= 1
    assert runner.notes() == ()


def test_nothing_is_left_on_another_engine(bench: Bench, second: SecondEngine) -> None:
    """Neither containers nor volumes, after a job of which several volumes were made."""
    runner = bench.runner_with(second.address)
    assert elsewhere(bench, runner, "say(event='ran')").records[0] == {"event": "ran"}
    assert second.listed("ps", "--all", "--quiet") == []
    assert second.listed("volume", "ls", "--quiet") == []


def test_limits_hold_on_another_engine(bench: Bench, second: SecondEngine) -> None:
    """Of time, of memory, and of what a job may write."""
    hoard = "say(event='before'); hoard = bytearray(400 * 1024**2); say(event='after')"
    runner = bench.runner_with(second.address)
    with ThreadPoolExecutor(1) as pool:
        own_engine_is_busy(bench, runner, pool)
        other = "other-py3.12-suite"
        late = runner.run(bench.job(runner, BUSY, time_limit=1.0, identifier=other))
        large = runner.run(bench.job(runner, hoard, memory_limit=128 * 1024**2, identifier=other))
        filler = f"open('/py312/out/file', 'wb').truncate({OUT_LIMIT + 1})"
        full = runner.run(bench.job(runner, filler, identifier=other))
        runner.close()
    assert (late.exit_reason, late.records) == (ExitReason.TIMED_OUT, ({"event": "busy"},))
    assert (large.exit_reason, large.records) == (ExitReason.OUT_OF_MEMORY, ({"event": "before"},))
    assert full.exit_reason is ExitReason.KILLED
    assert "wrote more than 256 MiB" in full.failure


def test_the_job_of_a_lost_engine_runs_again(bench: Bench, mortal: SecondEngine) -> None:
    """Its result is that of the mortal attempt, and the report names the engine."""
    code = """if True:
        import os, time
        say(event="started")
        if len(request["code"]) and not os.path.exists("/py312/source/services/user-service/here"):
            time.sleep(600)
        say(event="ended")
    """
    runner = bench.runner_with(mortal.address)
    with ThreadPoolExecutor(2) as pool:
        busy = bench.job(runner, BUSY, time_limit=4.0)
        first = pool.submit(runner.run, busy)
        wait_for(lambda: list((bench.folder / "run").rglob("records.jsonl")))
        moved = pool.submit(runner.run, bench.job(runner, code, identifier="other-py3.12-suite"))
        wait_for(lambda: mortal.listed("ps", "--quiet", "--filter", "status=running"))
        (bench.repository / "services/user-service/here").touch()  # the copy over there does not have it
        mortal.process.kill()
        assert first.result(60).exit_reason is ExitReason.TIMED_OUT
        result = moved.result(60)
    assert (result.exit_reason, result.exit_code) == (ExitReason.EXITED, 0)
    assert [record["event"] for record in result.records] == ["started", "ended", "end"]
    assert [note for note in runner.notes() if mortal.address in note and "given up" in note]


def test_an_engine_that_cannot_be_used_is_named(bench: Bench, second: SecondEngine) -> None:
    """Without an answer, or without an image that the own engine has; the own engine, given again, is not."""
    addresses = ("unix:///nowhere/docker.sock", "unix:///var/run/docker.sock", second.address)
    runner = bench.runner_with(*addresses, interpreters=INTERPRETERS)
    assert bench.run(runner, "say(event='ran')").records[0] == {"event": "ran"}
    assert runner.further_cells == 0
    assert runner.notes() == (
        "The engine unix:///nowhere/docker.sock was not used: no Docker engine answers there.",
        f"The engine {second.address} was not used: it does not have the same python:3.10-slim and python:3.9-slim "
        "(load the image there).",
    )


FAKE_SSH = """\
#!{python}
import os, socket, sys, threading
local, _, remote = sys.argv[sys.argv.index("-L") + 1].partition(":")
if sys.argv[-2:] != ["--", "ci@build-1"] or remote != "/var/run/docker.sock":
    sys.exit("unexpected: %s" % sys.argv)
if os.environ.get("FAKE_SSH_FAILS"):
    sys.exit("ci@build-1: Permission denied (publickey).")
def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
server = socket.socket(socket.AF_UNIX)
server.bind(local)
server.listen()
while True:
    near, far = server.accept()[0], socket.socket(socket.AF_UNIX)
    far.connect({engine!r})
    for pair in ((near, far), (far, near)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""


@pytest.fixture
def fake_ssh(second: SecondEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program ``ssh`` that forwards its socket to the second engine."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(FAKE_SSH.format(python=sys.executable, engine=second.address.removeprefix("unix://")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.mark.usefixtures("fake_ssh")
def test_an_engine_is_reached_through_ssh(bench: Bench) -> None:
    """And its limits of time hold there, too."""
    runner = bench.runner_with("ssh://ci@build-1")
    with ThreadPoolExecutor(1) as pool:
        own_engine_is_busy(bench, runner, pool)
        late = runner.run(bench.job(runner, BUSY, time_limit=1.0, identifier="other-py3.12-suite"))
        runner.close()
    assert (late.exit_reason, late.records) == (ExitReason.TIMED_OUT, ({"event": "busy"},))
    assert runner.notes() == ()


@pytest.mark.usefixtures("fake_ssh")
def test_a_connection_that_ssh_refuses_is_a_reason(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No question is asked."""
    monkeypatch.setenv("FAKE_SSH_FAILS", "1")
    (note,) = bench.runner_with("ssh://ci@build-1").notes()
    assert note == (
        "The engine ssh://ci@build-1 was not used: ssh does not connect to it (ci@build-1: Permission denied "
        "(publickey).)."
    )
