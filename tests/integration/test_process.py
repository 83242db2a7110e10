"""core.process with real processes: large output, limits and leftover children."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from pytest_py312.core import process
from pytest_py312.core.process import CommandResult, ExitReason

PYTHON = sys.executable


def python(code: str, **options: object) -> CommandResult:
    return process.run([PYTHON, "-c", code], **options)  # type: ignore[arg-type]  # options are passed on as they are


def ends(pid: int, within: float = 10.0) -> bool:
    """Whether a process ends within some seconds: a kill takes a moment."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor):
        return bool(select.select([descriptor], [], [], within)[0])


def test_output_and_exit_code_of_a_command() -> None:
    done = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")

    assert (done.exit_reason, done.exit_code, done.ok) == (ExitReason.EXITED, 3, False)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert done.argv[0] == PYTHON


def test_large_output_does_not_block_and_its_end_is_kept() -> None:
    code = (
        "import os\nfor _ in range(80):\n    os.write(1, b'o' * 65536); os.write(2, b'e' * 65536)\n"
        "os.write(1, b'last words'); os.write(2, b'last cry')"
    )

    done = python(code, tail_limit=4096, time_limit=60)

    assert done.ok
    assert done.stdout.endswith("last words")
    assert done.stderr.endswith("last cry")
    assert done.stdout.startswith("[... cut ...]")
    assert len(done.stdout) < 5000


def test_invalid_utf8_is_replaced() -> None:
    assert python(r"import os; os.write(1, b'a\xff\x00z')").stdout == "a\ufffd\x00z"


def test_merged_streams_keep_their_order() -> None:
    code = "import os\nfor n in range(3):\n    os.write(1, b'o%d ' % n); os.write(2, b'e%d ' % n)"

    done = python(code, merge_stderr=True)

    assert done.stdout == "o0 e0 o1 e1 o2 e2 "
    assert done.stderr == ""


def test_stdin_is_complete_and_then_closed() -> None:
    done = python("import sys; text = sys.stdin.read(); print(len(text), text[-1])", stdin="ä" * 300_000)

    assert done.stdout == "300000 ä\n"


def test_stdin_is_empty_by_default() -> None:
    assert python("import sys; print(repr(sys.stdin.read()))", time_limit=20).stdout == "''\n"


def test_folder_and_variables_are_as_given(tmp_path: Path) -> None:
    done = python("import os; print(os.getcwd()); print(sorted(os.environ))", cwd=tmp_path, env={"ONLY": "1"})

    folder, variables = done.stdout.splitlines()
    assert Path(folder) == tmp_path
    assert "ONLY" in variables
    assert "HOME" not in variables


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["/no/such/program"], "No such file"),
        ([__file__], "Permission denied"),
        (["/"], "Permission denied"),
        (["py\0thon"], "null byte"),
    ],
)
def test_a_command_that_cannot_be_started_raises_nothing(argv: list[str], word: str) -> None:
    done = process.run(argv)

    assert (done.exit_reason, done.exit_code, done.ok) == (ExitReason.NOT_STARTED, None, False)
    assert "could not be started" in done.stderr
    assert word in done.stderr


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    done = python("pass", cwd=tmp_path / "none")

    assert done.exit_reason is ExitReason.NOT_STARTED
    assert "none" in done.stderr


def test_a_command_may_clean_up_at_the_time_limit() -> None:
    code = "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('cleaned')"

    done = python(code, time_limit=1.0, grace_period=20.0)

    assert done.exit_reason is ExitReason.TIMED_OUT
    assert done.stdout == "cleaned\n"
    assert done.exit_code == 0


@pytest.mark.parametrize("ignored", [True, False])
def test_a_process_that_was_started_with_interrupts_ignored_enables_them(ignored: bool) -> None:
    """A shell without job control starts background jobs in this way; an installed handler is kept."""
    code = (
        "import os, signal; from pytest_py312.core.process import enable_interrupts\n"
        f"signal.signal(signal.SIGINT, signal.SIG_IGN if {ignored} else lambda *_: print('own handler'))\n"
        "enable_interrupts()\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    print('interrupted')"
    )

    assert python(code).stdout == ("interrupted\n" if ignored else "own handler\n")


def test_a_command_that_ignores_the_time_limit_is_killed() -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )

    done = python(code, time_limit=1.0, grace_period=0.3)

    assert (done.exit_reason, done.exit_code) == (ExitReason.TIMED_OUT, -signal.SIGKILL)
    assert done.stdout == "deaf\n"


def test_the_memory_limit_includes_children() -> None:
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; kept = bytearray(200 * 1024**2); time.sleep(600)'])\n"
        "time.sleep(600)"
    )

    done = python(code, memory_limit=120 * 1024**2, time_limit=60)

    assert (done.exit_reason, done.exit_code) == (ExitReason.OUT_OF_MEMORY, -signal.SIGKILL)


def test_a_foreign_signal_is_distinguished() -> None:
    done = python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")

    assert (done.exit_reason, done.exit_code) == (ExitReason.KILLED, -signal.SIGTERM)


def cancelled_once_started(folder: Path, code: str, **options: object) -> CommandResult:
    """Run ``code``, and cancel it from another thread when it has begun to sleep."""
    cancelled = threading.Event()
    started = folder / "started"
    os.mkfifo(started)

    def cancel() -> None:
        started.read_text()  # returns when the command has written to it
        cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    sleep = f"import time; open({str(started)!r}, 'w').write('x'); time.sleep(600)"
    done = python(f"{code}\n{sleep}", cancelled=cancelled, **options)
    thread.join(10)
    return done


def test_a_command_can_be_cancelled_from_another_thread(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, lambda *_: print('ended by itself', flush=True))"
    done = cancelled_once_started(tmp_path, code)

    assert (done.exit_reason, done.stdout) == (ExitReason.CANCELLED, "")


def test_a_cancelled_command_may_end_what_it_has_started(tmp_path: Path) -> None:
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit('ended by itself'))"
    done = cancelled_once_started(tmp_path, code, ends_itself=True, grace_period=60.0)

    assert (done.exit_reason, done.stderr) == (ExitReason.CANCELLED, "ended by itself\n")


def test_a_cancelled_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    done = cancelled_once_started(tmp_path, code, ends_itself=True, grace_period=0.1)

    assert (done.exit_reason, done.exit_code) == (ExitReason.CANCELLED, -signal.SIGKILL)


FORKS: dict[str, str] = {
    "a child": "pid = subprocess.Popen([sys.executable, '-c', sleep]).pid; print(pid)",
    "a child that holds no pipe": (
        "null = subprocess.DEVNULL\n"
        "print(subprocess.Popen([sys.executable, '-c', sleep], stdout=null, stderr=null).pid)"
    ),
    "a child that does not heed": (
        "print(subprocess.Popen([sys.executable, '-c', "
        "'import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);' + sleep]).pid)"
    ),
}


@pytest.mark.parametrize("what", FORKS)
def test_no_child_outlives_its_command(what: str) -> None:
    done = python(f"import subprocess, sys\nsleep = 'import time; time.sleep(600)'\n{FORKS[what]}", time_limit=60)

    assert done.ok, done.stderr
    assert ends(int(done.stdout))


DAEMON = """
import os, sys, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write, str(os.getpid()).encode())
        os.close(0); os.close(1); os.close(2)
        time.sleep(600)
    os._exit(0)
os.wait()
print(os.read(read, 20).decode())
"""


def test_a_daemon_is_found_by_its_mark() -> None:
    done = python(DAEMON, mark=uuid4().hex, time_limit=60)

    assert done.ok, done.stderr
    assert ends(int(done.stdout))


def test_processes_with_other_marks_are_not_killed() -> None:
    mine, other = uuid4().hex, uuid4().hex
    done = python(DAEMON, env={**os.environ, process.MARK_VARIABLE: other}, time_limit=60)
    daemon = int(done.stdout)

    python("pass", mark=mine)
    assert not ends(daemon, within=0)

    assert process.kill_marked(lambda value: value == other) == 1
    assert ends(daemon)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_is_found_while_it_executes_its_program() -> None:
    """Just after the start of a process the kernel shows an empty environment, in about half of all cases."""
    marks = []
    for _ in range(50):
        with subprocess.Popen(["sleep", "600"], env={process.MARK_VARIABLE: "mine"}) as started:
            marks += [mark for _, mark in process._marks_from_proc(started.pid)]
            started.kill()

    assert marks == ["mine"] * 50


def test_an_ended_process_uses_no_memory() -> None:
    done = python("import os; print(os.getpid())")

    assert process.resident_memory(int(done.stdout)) == 0
    assert process.resident_memory(os.getpid()) > 0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_that_nobody_reads_is_discarded(stream: str) -> None:
    """Also what Python writes when it ends, which would change the exit code."""
    code = (
        "import os, sys\nfrom pytest_py312.core.process import print_or_discard\n"
        f"stream = sys.{stream}\nreader, writer = os.pipe()\nos.dup2(writer, stream.fileno())\n"
        "os.close(writer)\nos.close(reader)\n"
        "for _ in range(3):\n    print_or_discard('x' * 10, stream)\nstream.write('y')\nsys.exit(7)"
    )
    assert python(code).exit_code == 7


def test_a_process_without_output_goes_on() -> None:
    code = "from pytest_py312.core.process import print_or_discard; print_or_discard('x', None); print('done')"
    assert python(code).stdout == "done\n"


@pytest.mark.parametrize("words", ["cache size", "emit github --shards=2"])
def test_output_that_is_lost_is_no_success(tmp_path: Path, words: str) -> None:
    """Such as a table that is written to a full disk: the file looks complete."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "pytest_py312", *words.split()],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (4, "py312: the output cannot be written: No space left on device\n")
