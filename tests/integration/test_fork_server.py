"""Processes that are forks of a server: used as any other, and nothing is left of them."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_py312.core.fork_server.client import UNKNOWN_EXIT_CODE, ForkedProcess, ForkServer
from pytest_py312.core.process import CommandResult, ExitReason, run

PROGRAM = """
import os, signal, sys, time

def prepare():
    pass

def main(argv):
    word, *rest = argv
    if word == "show":
        print(*rest, os.getcwd(), os.environ.get("COLOR"), os.getsid(0) == os.getpid())
        print("to stderr", file=sys.stderr)
        return 3
    if word == "wait":
        open(rest[0], "w").close()
        time.sleep(60)
    if word == "import":
        name = "pytest_py312.core.text"
        print("known" if name in sys.modules else "new")
        import pytest_py312.core.text
    if word == "raise":
        raise ValueError("wrong")
    return 0
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    (tmp_path / "program_of_forks.py").write_text(PROGRAM, encoding="ascii")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = ForkServer("program_of_forks")
    yield server
    server.close()


def fork(server: ForkServer, *argv: str, cwd: Path | None = None, **variables: str) -> CommandResult:
    return run(["program", *argv], cwd=cwd, env={**os.environ, **variables}, server=server, time_limit=60.0)


def test_a_fork_has_its_own_folder_variables_output_and_exit_code(server: ForkServer, tmp_path: Path) -> None:
    result = fork(server, "show", "a b", cwd=tmp_path, COLOR="red")

    assert (result.exit_reason, result.exit_code) == (ExitReason.EXITED, 3)
    assert result.stdout == f"a b {tmp_path} red True\nto stderr\n"


def test_an_exception_is_in_the_output(server: ForkServer) -> None:
    result = fork(server, "raise")

    assert (result.exit_reason, result.exit_code) == (ExitReason.EXITED, 1)
    assert result.stdout.endswith("ValueError: wrong\n")


def test_what_a_fork_imports_the_next_one_has(server: ForkServer) -> None:
    assert [fork(server, "import").stdout for _ in range(2)] == ["new\n", "known\n"]


def test_two_forks_run_at_the_same_time(server: ForkServer, tmp_path: Path) -> None:
    begun, cancelled = tmp_path / "begun", threading.Event()
    results: list[CommandResult] = []
    waiting = threading.Thread(
        target=lambda: results.append(run(["program", "wait", str(begun)], server=server, cancelled=cancelled))
    )
    waiting.start()
    wait_for(begun)

    assert fork(server, "show").exit_code == 3
    cancelled.set()
    waiting.join()
    assert [result.exit_reason for result in results] == [ExitReason.CANCELLED]


def test_a_fork_whose_server_is_gone_goes_on_and_the_server_is_started_again(
    server: ForkServer, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    process = server.start(["program", "wait", str(begun)], None, dict(os.environ))
    wait_for(begun)
    server_pid = parent_of(process.pid)
    os.kill(server_pid, signal.SIGKILL)

    assert fork(server, "show").exit_code == 3
    assert process.poll() is None
    end(process)
    assert process.returncode == UNKNOWN_EXIT_CODE
    assert fork(server, "show").exit_code == 3


def test_the_server_ends_with_its_client(server: ForkServer, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    process = server.start(["program", "wait", str(begun)], None, dict(os.environ))
    wait_for(begun)
    server_pid = parent_of(process.pid)
    server.close()

    assert not Path(f"/proc/{server_pid}").exists()
    end(process)


def test_a_server_that_cannot_start_is_a_process_that_cannot_be_started(tmp_path: Path) -> None:
    result = fork(ForkServer("no_such_module_of_forks"), "show")

    assert result.exit_reason is ExitReason.NOT_STARTED
    assert "No module named 'no_such_module_of_forks'" in result.stderr


def test_a_server_that_cannot_fork_says_so_and_goes_on(server: ForkServer) -> None:
    with pytest.raises(OSError, match="no process can be forked: JSONDecodeError"), open_pipes() as (output, status):
        server._fork(__file__, output, status)
    assert fork(server, "show").exit_code == 3


def test_a_signal_reaches_a_fork_that_has_just_been_started(server: ForkServer, tmp_path: Path) -> None:
    for _ in range(20):
        process = server.start(["program", "wait", str(tmp_path / "begun")], None, dict(os.environ))
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()


def test_a_launcher_may_have_blocked_the_signal_of_ended_processes(server: ForkServer) -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        assert fork(server, "show").exit_code == 3
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def open_pipes() -> Iterator[tuple[int, int]]:
    descriptors = (*os.pipe(), *os.pipe())
    yield descriptors[1], descriptors[3]
    for descriptor in descriptors:
        os.close(descriptor)


def end(process: ForkedProcess) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
