"""The only way to start processes.

Commands are argument lists (never shell strings) and run in a session of their own. Both pipes are drained while a
command runs, so that much output on either cannot block it. When :func:`run` returns, no process of the command is
left: its process group is killed, and so is every process with the environment variable :data:`MARK_VARIABLE`, even
outside of that group. A ``parent`` that adopts orphans finds those as well that have neither.
"""

import os
import selectors
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import IO, Protocol, TextIO, Union

from pytest_py312.core import clock

MARK_VARIABLE = "PY312_CELL"
"""Environment variable that identifies the processes of a cell, whatever their parent or session is."""

POLL_INTERVAL = 0.1
"""Seconds between two checks of the limits."""

EXEC_INTERVAL, EXEC_LOOKS = 0.001, 200
"""Seconds between two looks at a process that is executing a new program, and how many there are at most."""

END_LIMIT = 10.0
"""Seconds that the parent of a command has for ending it with all its descendants."""


def enable_interrupts() -> None:
    """Let SIGINT interrupt this process even if it was started with SIGINT ignored.

    A shell without job control starts background commands with SIGINT ignored (POSIX, "Signals and Error Handling" of
    the shell command language). Python then installs no handler, and all child processes inherit that: a CI system that
    cancels its job with SIGINT would not stop the run. A handler other than "ignore" is left unchanged.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP was received, see :func:`interrupt_on_termination`."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{signal.Signals(number).name} received")
        self.exit_code = 128 + number


@contextmanager
def interrupt_on_termination() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the main thread as SIGINT does, so that everything is cleaned up.

    They raise :class:`Terminated`. A handler that is not the default is left unchanged.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    is_main = threading.current_thread() is threading.main_thread()
    numbers = [
        number for number in (signal.SIGTERM, signal.SIGHUP) if is_main and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def discard_output(stream: TextIO | None) -> None:
    """Send further output of a stream nowhere: its terminal or its reader is gone, or its disk is full.

    What the work itself does must not depend on who still reads about it.
    """
    if stream is None:
        return
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def print_or_discard(text: str, stream: TextIO | None) -> None:
    """Write and flush; if that is not possible, :func:`discard_output`. Never raises for the stream."""
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # ValueError: it is closed
        discard_output(stream)


class _TailBuffer:
    """The end of a stream, limited to ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._is_cut = False

    def add(self, chunk: bytes) -> None:
        self._bytes += chunk
        if len(self._bytes) > 2 * self._limit:
            del self._bytes[: -self._limit]
            self._is_cut = True

    def text(self) -> str:
        last_bytes = bytes(self._bytes[-self._limit :])
        text = last_bytes.decode("utf-8", "replace")
        return f"[... cut ...]{text}" if self._is_cut or len(self._bytes) > self._limit else text


class Cancellation(Protocol):
    """Whether to end a command early, such as a :class:`threading.Event`."""

    def is_set(self) -> bool:
        """Return whether the command is to end now."""
        ...


class ExitReason(Enum):
    """Why the process of a command or a cell ended."""

    EXITED = "exited"
    TIMED_OUT = "time limit reached"
    OUT_OF_MEMORY = "memory limit reached"
    KILLED = "killed"
    NOT_STARTED = "not started"
    ENGINE_LOST = "engine lost"
    DISK_FULL = "disk full"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandResult:
    """A finished command. ``stdout`` and ``stderr`` hold the end of its output, up to the requested limit."""

    argv: tuple[str, ...]
    exit_reason: ExitReason
    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.exit_reason is ExitReason.EXITED and self.exit_code == 0


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    time_limit: float = 600.0,
    grace_period: float = 2.0,
    memory_limit: int | None = None,
    tail_limit: int = 65536,
    merge_stderr: bool = False,
    mark: str = "",
    cancelled: Cancellation | None = None,
    ends_itself: bool = False,
    parent: Sequence[str] = (),
    scratch: Path | None = None,
    server: "ProcessStarter | None" = None,
) -> CommandResult:
    """Run ``argv`` and return its result.

    :param time_limit: seconds of wall time; then SIGINT to the process group, ``grace_period`` seconds, then SIGKILL.
    :param memory_limit: bytes of resident memory of the command and all its descendants together; SIGKILL above it.
    :param tail_limit: bytes that are kept of the end of each stream.
    :param merge_stderr: send stderr to stdout.
    :param mark: value of :data:`MARK_VARIABLE` for the command; its leftover processes are found by it.
    :param cancelled: when it is set, by another thread or a signal handler, the command is killed.
    :param ends_itself: a cancelled command gets SIGTERM first, and ``grace_period`` seconds to end what it has started.
    :param parent: a command that starts ``argv``, and ends only with all of its descendants; it gets SIGTERM instead of
        SIGKILL, so that it can. It gets three more arguments before ``argv``: the id of this process, with which it
        ends as well; the descriptor of a pipe to which it writes the number of the error if ``argv`` cannot be started,
        else 0; and ``scratch``.
    :param scratch: a folder of the caller that the ``parent`` removes if this process is killed.
    :param server: starts the process as its fork, without input and with stderr in stdout; the first of ``argv`` is a
        name.

    Never raises because of the command, even if it cannot be started (``ExitReason.NOT_STARTED``, with the reason in
    ``stderr``).
    """
    start_time = clock.stopwatch()
    variables = {**(os.environ if env is None else env), **({MARK_VARIABLE: mark} if mark else {})}
    out, err = _TailBuffer(tail_limit), _TailBuffer(tail_limit)
    try:
        process: _Process = (
            server.start(argv, cwd, variables)
            if server is not None
            else _start_process(argv, cwd, variables, stdin, merge_stderr=merge_stderr, parent=parent, scratch=scratch)
        )
    except (OSError, ValueError) as error:
        return _not_started_result(argv, error)
    monitor = _ProcessMonitor(
        process, [(process.stdout, out), (process.stderr, err)], time_limit, grace_period, memory_limit, cancelled
    )
    monitor.kill_signal = signal.SIGTERM if parent else signal.SIGKILL
    monitor.ends_itself = ends_itself
    try:
        exit_reason = monitor.wait()
    finally:
        if parent:
            _end_with_descendants(process)
        kill_group(process.pid)
        process.wait()
        if mark:
            kill_marked(lambda value: value == mark)
        monitor.drain()
    return CommandResult(
        argv=tuple(argv),
        exit_reason=exit_reason,
        exit_code=process.returncode,
        stdout=out.text(),
        stderr=err.text(),
        seconds=clock.stopwatch() - start_time,
    )


def _start_process(
    argv: Sequence[str],
    cwd: Path | None,
    variables: Mapping[str, str],
    stdin: str,
    *,
    merge_stderr: bool,
    parent: Sequence[str],
    scratch: Path | None,
) -> "subprocess.Popen[bytes]":
    """Start the command in a new session. It reads ``stdin`` from a file, since a pipe could fill up and block."""
    with tempfile.TemporaryFile() as stdin_file:
        stdin_file.write(stdin.encode("utf-8", "surrogateescape"))
        stdin_file.seek(0)

        def start(command: Sequence[str], descriptors: Sequence[int] = ()) -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                list(command), cwd=cwd, env=variables, stdin=stdin_file, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merge_stderr else subprocess.PIPE, start_new_session=True,
                pass_fds=descriptors,
            )  # fmt: skip

        return _start_by_parent(start, parent, argv, scratch) if parent else start(argv)


def _start_by_parent(
    start: "Callable[..., subprocess.Popen[bytes]]", parent: Sequence[str], argv: Sequence[str], scratch: Path | None
) -> "subprocess.Popen[bytes]":
    """Start ``argv`` by ``parent``; raise the error that it reports."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as report:
        try:
            process = start([*parent, str(os.getpid()), str(writer), str(scratch or ""), *argv], (writer,))
        finally:
            os.close(writer)
        try:
            error = int(report.readline() or b"0")
        except BaseException:  # an interruption
            process.terminate()
            raise
    if error:
        process.communicate()
        raise OSError(error, os.strerror(error), argv[0])
    return process


BackgroundProcess = subprocess.Popen[bytes]


def start_in_background(argv: Sequence[str], *, descriptors: Sequence[int], stderr: IO[bytes]) -> BackgroundProcess:
    """Start a process that goes on, in a session of its own and without input; the caller ends it.

    :param descriptors: those of this process that it has as well.
    :raises OSError: it cannot be started.
    """
    return subprocess.Popen(
        list(argv), stdin=subprocess.DEVNULL, stderr=stderr, pass_fds=descriptors, start_new_session=True
    )


def _not_started_result(argv: Sequence[str], error: Exception) -> CommandResult:
    reason = f"{argv[0]} could not be started: {error}"
    return CommandResult(
        argv=tuple(argv), exit_reason=ExitReason.NOT_STARTED, exit_code=None, stdout="", stderr=reason, seconds=0.0
    )


class UnrelatedProcess(Protocol):
    """A process that is no child of this one: what a ``subprocess.Popen`` has, as far as it is needed here."""

    pid: int
    stdout: IO[bytes]
    stderr: IO[bytes] | None
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def exit_descriptor(self) -> int | None:
        """Return a descriptor that becomes readable when the exit code is known."""
        ...


class ProcessStarter(Protocol):
    """Starts processes as forks of one that has imported what they need (core/fork_server)."""

    def start(self, argv: Sequence[str], cwd: Path | None, environment: Mapping[str, str]) -> UnrelatedProcess: ...


_Process = Union["subprocess.Popen[bytes]", UnrelatedProcess]


class _ProcessMonitor:
    """Reader of the pipes of a running command, which it stops when a limit is reached."""

    def __init__(
        self,
        process: _Process,
        pipes: "Sequence[tuple[IO[bytes] | None, _TailBuffer]]",
        time_limit: float,
        grace_period: float,
        memory_limit: int | None,
        cancelled: Cancellation | None,
    ) -> None:
        self._process = process
        self._grace_period = grace_period
        self._memory_limit = memory_limit
        self._cancelled = cancelled
        self._deadline = clock.stopwatch() + time_limit
        self._exit_reason = ExitReason.EXITED
        self.kill_signal = signal.SIGKILL
        self.ends_itself = False
        self._selector = selectors.DefaultSelector()
        for pipe, tail in pipes:
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, tail)
        self._exit_fd = (
            _exit_descriptor(process.pid) if isinstance(process, subprocess.Popen) else process.exit_descriptor()
        )
        if self._exit_fd is not None:
            self._selector.register(self._exit_fd, selectors.EVENT_READ, None)

    def wait(self) -> ExitReason:
        while self._process.poll() is None:
            self._read(POLL_INTERVAL if self._exit_fd is not None else POLL_INTERVAL / 10)
            self._enforce_limits()
        if self._exit_reason is ExitReason.EXITED and (self._process.returncode or 0) < 0:
            return ExitReason.KILLED
        return self._exit_reason

    def drain(self) -> None:
        """Read the remaining output. A process that escaped and still holds a pipe open gets one second."""
        deadline = clock.stopwatch() + 1.0
        self._forget_exit()
        while self._selector.get_map() and clock.stopwatch() < deadline:
            self._read(0.05)
        for key in list(self._selector.get_map().values()):
            self._close(key)
        self._selector.close()

    def _forget_exit(self) -> None:
        if self._exit_fd is not None:
            self._selector.unregister(self._exit_fd)
            os.close(self._exit_fd)
            self._exit_fd = None

    def _read(self, wait: float) -> None:
        for key, _ in self._selector.select(wait):
            if key.data is None:  # stays readable
                self._forget_exit()
                continue
            try:
                chunk = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            except OSError:
                chunk = b""
            if chunk:
                key.data.add(chunk)
            else:
                self._close(key)

    def _close(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        with suppress(OSError):
            getattr(key.fileobj, "close", lambda: None)()

    def _enforce_limits(self) -> None:
        now = clock.stopwatch()
        is_cancelled = self._cancelled is not None and self._cancelled.is_set()
        if is_cancelled and not self.ends_itself:
            self._terminate(ExitReason.CANCELLED, self.kill_signal)
        elif is_cancelled and self._exit_reason is ExitReason.EXITED:
            self._terminate(ExitReason.CANCELLED, signal.SIGTERM)
            self._deadline = now + self._grace_period
        elif now >= self._deadline:
            is_first_signal = self._exit_reason is ExitReason.EXITED
            self._terminate(ExitReason.TIMED_OUT, signal.SIGINT if is_first_signal else self.kill_signal)
            self._deadline = now + self._grace_period
        elif self._memory_limit is not None and resident_memory(self._process.pid) > self._memory_limit:
            self._terminate(ExitReason.OUT_OF_MEMORY, self.kill_signal)

    def _terminate(self, exit_reason: ExitReason, signal_number: signal.Signals) -> None:
        if self._exit_reason is ExitReason.EXITED:
            self._exit_reason = exit_reason
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal_number)


def _end_with_descendants(process: _Process) -> None:
    """Let the parent of a command kill all of its descendants, if it has not ended yet."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_LIMIT)


def _exit_descriptor(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; ``None`` if the system has none (not Linux)."""
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return opener(pid)
    except OSError:
        return None


def resident_memory(pid: int) -> int:
    """Return the resident memory of ``pid`` and all its descendants in bytes; 0 if the process is gone."""
    if Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return _resident_memory_from_proc(pid)
    import psutil

    total = 0
    try:
        parent = psutil.Process(pid)
        processes = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _resident_memory_from_proc(pid: int) -> int:
    # psutil finds children by reading every process of the machine, which is too slow for a frequent check
    total, pending = 0, [pid]
    while pending:
        process = pending.pop()
        with suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in Path(f"/proc/{process}/task").iterdir():
                pending += [int(child) for child in (task / "children").read_text().split()]
    return total


def kill_group(group_id: int) -> None:
    """Kill the remaining processes of a process group, if there are any."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, signal.SIGKILL)


def kill_marked(is_wanted: Callable[[str], bool]) -> int:
    """Kill every process whose value of :data:`MARK_VARIABLE` satisfies ``is_wanted``; return how many there were.

    Finds children that created their own session or were adopted by init. Looks three times, since a child may fork
    between the search and the kill.
    """
    killed: set[int] = set()
    for _ in range(3):
        pids = [pid for pid, value in _marked_processes() if is_wanted(value)]
        if not pids:
            break
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    return len(killed)


def _marked_processes() -> list[tuple[int, str]]:
    """Return pid and mark of all marked processes of this user except the current one."""
    if Path("/proc/self/environ").exists():
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [marked for pid in pids for marked in _marks_from_proc(pid)]
    import psutil

    return [
        (process.pid, value)
        for process in psutil.process_iter()
        if process.pid != os.getpid() and (value := _mark_from_psutil(process))
    ]


def _marks_from_proc(pid: int) -> list[tuple[int, str]]:
    # psutil parses each environment into a dict, which takes 10 times as long; this runs after every cell
    prefix = MARK_VARIABLE.encode() + b"="
    try:
        data = _read_environment(pid)
    except OSError:
        return []
    if prefix not in data or pid == os.getpid():
        return []
    values = [item[len(prefix) :] for item in data.split(b"\0") if item.startswith(prefix)]
    return [(pid, value.decode("utf-8", "replace")) for value in values]


def _read_environment(pid: int) -> bytes:
    environment, looks = Path(f"/proc/{pid}/environ"), EXEC_LOOKS
    data = environment.read_bytes()
    while not data and looks and _is_in_exec(pid):
        clock.pause(EXEC_INTERVAL)
        data = environment.read_bytes()
        looks -= 1
    return data or environment.read_bytes()  # the program may have started between the last two calls


def _is_in_exec(pid: int) -> bool:
    """Return whether a process is executing a new program whose environment the kernel does not show yet.

    Until the stack of the program is set up, ``environ`` is empty and the end of the environment (field 51 of ``stat``,
    see proc(5)) is 0, as for a kernel thread, which has no executable, however.

    :raises OSError: it is a kernel thread, or has ended.
    """
    Path(f"/proc/{pid}/exe").readlink()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return fields[51 - 3] == "0"


def _mark_from_psutil(process: object) -> str:
    import psutil

    try:
        return str(process.environ().get(MARK_VARIABLE, ""))  # type: ignore[attr-defined]  # psutil is imported lazily
    except (psutil.Error, OSError):
        return ""
