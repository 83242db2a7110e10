"""The one door to processes.

Every command is an argv (never a shell string) in a session of its own, both pipes are drained while it runs, so that
a flood on either cannot block it, and nothing of it is left when :func:`run` returns: neither a child in its process
group nor one that left the group, as long as it carries the environment variable :data:`MARK`.
"""

import os
import selectors
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO

from pytest_py312.core import clock

MARK = "PY312_CELL"
"""Environment variable by which leftovers of a cell are known, whatever they did to their parent or session."""

TICK = 0.1
"""Seconds between two looks at the limits."""


def enable_interrupts() -> None:
    """Let SIGINT interrupt this process, also where it was started with SIGINT ignored.

    A shell without job control starts what runs in the background so (POSIX, "Signals and Error Handling" of the shell
    command language), Python then installs no handler, and every child inherits it: a CI that cancels its job with
    SIGINT would not stop the run. Another handler than "ignore" is left as it is.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Tail:
    """Keeps the end of a stream, at most ``limit`` bytes of it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._cut = False

    def add(self, chunk: bytes) -> None:
        self._bytes += chunk
        if len(self._bytes) > 2 * self._limit:
            del self._bytes[: -self._limit]
            self._cut = True

    def text(self) -> str:
        kept = bytes(self._bytes[-self._limit :])
        text = kept.decode("utf-8", "replace")
        return f"[... cut ...]{text}" if self._cut or len(self._bytes) > self._limit else text


class Ended(Enum):
    """How a command or a cell's process came to its end."""

    EXITED = "exited"
    TIMED_OUT = "time limit reached"
    OUT_OF_MEMORY = "memory limit reached"
    KILLED = "killed"
    NOT_STARTED = "not started"
    ENGINE_LOST = "engine lost"
    DISK_FULL = "disk full"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandRun:
    """A finished command. ``stdout`` and ``stderr`` are the ends of what it printed, at most the limit asked for."""

    argv: tuple[str, ...]
    ended: Ended
    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.ended is Ended.EXITED and self.exit_code == 0


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    time_limit: float = 600.0,
    grace: float = 2.0,
    memory_limit: int | None = None,
    tail: int = 65536,
    merge: bool = False,
    mark: str = "",
    cancelled: threading.Event | None = None,
) -> CommandRun:
    """Run ``argv`` to its end and return how it ended.

    :param time_limit: seconds of wall time; then SIGINT to the process group, ``grace`` seconds, then a kill.
    :param memory_limit: bytes of resident memory of the command and all its descendants together; over it: a kill.
    :param tail: bytes kept of the end of each stream.
    :param merge: stderr goes into stdout.
    :param mark: value of :data:`MARK` for the command; its leftovers are looked for by it.
    :param cancelled: when set from another thread, the command is killed.

    Never raises for what the command does, nor when it cannot be started (``Ended.NOT_STARTED``, with the reason in
    ``stderr``).
    """
    started = clock.stopwatch()
    variables = {**(os.environ if env is None else env), **({MARK: mark} if mark else {})}
    out, err = _Tail(tail), _Tail(tail)
    try:
        process = _start(argv, cwd, variables, stdin, merge=merge)
    except (OSError, ValueError) as error:
        return _not_started(argv, error)
    watch = _Watch(process, [(process.stdout, out), (process.stderr, err)], time_limit, grace, memory_limit, cancelled)
    try:
        ended = watch.to_the_end()
    finally:
        kill_group(process.pid)
        process.wait()
        if mark:
            kill_marked(lambda value: value == mark)
        watch.drain()
    return CommandRun(
        argv=tuple(argv),
        ended=ended,
        exit_code=process.returncode,
        stdout=out.text(),
        stderr=err.text(),
        seconds=clock.stopwatch() - started,
    )


def _start(
    argv: Sequence[str], cwd: Path | None, variables: Mapping[str, str], stdin: str, *, merge: bool
) -> "subprocess.Popen[bytes]":
    """The command, in a session of its own, reading ``stdin`` from a file: a pipe could fill up before it is read."""
    with tempfile.TemporaryFile() as source:
        source.write(stdin.encode("utf-8", "surrogateescape"))
        source.seek(0)
        return subprocess.Popen(
            list(argv), cwd=cwd, env=variables, stdin=source, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE, start_new_session=True,
        )  # fmt: skip


def _not_started(argv: Sequence[str], error: Exception) -> CommandRun:
    reason = f"{argv[0]} could not be started: {error}"
    return CommandRun(argv=tuple(argv), ended=Ended.NOT_STARTED, exit_code=None, stdout="", stderr=reason, seconds=0.0)


class _Watch:
    """One running command: reads its pipes, and ends it when a limit is reached."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        pipes: "Sequence[tuple[IO[bytes] | None, _Tail]]",
        time_limit: float,
        grace: float,
        memory_limit: int | None,
        cancelled: threading.Event | None,
    ) -> None:
        self._process = process
        self._grace = grace
        self._memory_limit = memory_limit
        self._cancelled = cancelled
        self._deadline = clock.stopwatch() + time_limit
        self._ended = Ended.EXITED
        self._selector = selectors.DefaultSelector()
        for pipe, tail in pipes:
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, tail)
        self._exit_fd = _exit_descriptor(process.pid)
        if self._exit_fd is not None:
            self._selector.register(self._exit_fd, selectors.EVENT_READ, None)

    def to_the_end(self) -> Ended:
        while self._process.poll() is None:
            self._read(TICK if self._exit_fd is not None else TICK / 10)
            self._look_at_limits()
        if self._ended is Ended.EXITED and self._process.returncode < 0:
            return Ended.KILLED
        return self._ended

    def drain(self) -> None:
        """Read what is still in the pipes; whoever could write to them is gone, or has a second."""
        until = clock.stopwatch() + 1.0
        if self._exit_fd is not None:
            self._selector.unregister(self._exit_fd)
            os.close(self._exit_fd)
        while self._selector.get_map() and clock.stopwatch() < until:
            self._read(0.05)
        for key in list(self._selector.get_map().values()):
            self._close(key)
        self._selector.close()

    def _read(self, wait: float) -> None:
        for key, _ in self._selector.select(wait):
            if key.data is None:
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

    def _look_at_limits(self) -> None:
        now = clock.stopwatch()
        if self._cancelled is not None and self._cancelled.is_set():
            self._end(Ended.CANCELLED, signal.SIGKILL)
        elif now >= self._deadline:
            first = self._ended is Ended.EXITED
            self._end(Ended.TIMED_OUT, signal.SIGINT if first else signal.SIGKILL)
            self._deadline = now + self._grace
        elif self._memory_limit is not None and resident_memory(self._process.pid) > self._memory_limit:
            self._end(Ended.OUT_OF_MEMORY, signal.SIGKILL)

    def _end(self, ended: Ended, number: signal.Signals) -> None:
        if self._ended is Ended.EXITED:
            self._ended = ended
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _exit_descriptor(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; ``None`` where the system has none (not Linux)."""
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return opener(pid)
    except OSError:
        return None


def resident_memory(pid: int) -> int:
    """Bytes of resident memory of ``pid`` and all its descendants; 0 for a process that is gone."""
    if Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return _resident_from_proc(pid)
    import psutil

    total = 0
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _resident_from_proc(pid: int) -> int:
    # psutil finds children by reading every process of the machine: too dear for a look that is made all the time
    total, pending = 0, [pid]
    while pending:
        process = pending.pop()
        with suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in Path(f"/proc/{process}/task").iterdir():
                pending += [int(child) for child in (task / "children").read_text().split()]
    return total


def kill_group(group: int) -> None:
    """Kill what is left of a process group; none left is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_marked(wanted: Callable[[str], bool]) -> int:
    """Kill every process whose :data:`MARK` is ``wanted``, and return how many there were.

    Catches children that made a session of their own or were inherited by init. Looks three times, since a child may
    fork between the look and the kill.
    """
    killed: set[int] = set()
    for _ in range(3):
        found = [process for process, value in _marked() if wanted(value)]
        if not found:
            break
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
                killed.add(process)
    return len(killed)


def _marked() -> list[tuple[int, str]]:
    """(pid, value of MARK) of all processes of ours that carry it, this one excepted."""
    if Path("/proc/self/environ").exists():
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [found for pid in pids for found in _mark_from_proc(pid)]
    import psutil

    return [
        (process.pid, value)
        for process in psutil.process_iter()
        if process.pid != os.getpid() and (value := _mark_from_psutil(process))
    ]


def _mark_from_proc(pid: int) -> list[tuple[int, str]]:
    # psutil parses each environment into a dict: 10 times the cost of this look, which is made after every cell
    needle = MARK.encode() + b"="
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return []
    if needle not in data or pid == os.getpid():
        return []
    values = [item[len(needle) :] for item in data.split(b"\0") if item.startswith(needle)]
    return [(pid, value.decode("utf-8", "replace")) for value in values]


def _mark_from_psutil(process: object) -> str:
    import psutil

    try:
        return str(process.environ().get(MARK, ""))  # type: ignore[attr-defined]  # psutil is imported lazily
    except (psutil.Error, OSError):
        return ""
