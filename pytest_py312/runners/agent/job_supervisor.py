# Runs on 3.8+: neither newer syntax, nor the methods of pathlib that came later.
# ruff: noqa: UP031, UP035, PTH102, PTH104, PTH108, PTH118, PTH123, PTH208
"""Starts one clean process per job inside a container that many jobs share, and leaves nothing of any job behind.

Usage: ``python -I job_supervisor.py SPOOL SCRATCH PROBE [EMPTIED...]``. Standard library only, Python 3.8+, Linux.

The other side puts ``SPOOL/jobs/ID.json`` (by an atomic rename) and rings ``SPOOL/bell``, a named pipe. Each job is
given to a *keeper*, a fork of this process that adopts whatever the job leaves orphaned, so that at the end all of it
can be found and killed, even what made itself a session of its own. The keeper says how the job ended in
``SPOOL/ID/end.json``, which also appears by a rename, after the last process of the job is gone.

With folders that are to be ``EMPTIED``, jobs come one at a time: before the end of one is reported, every process that
is not ours has been killed and all that these folders hold removed. What could not be is told as ``left``.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import time
from typing import Any, Callable, Iterator

IDLE_LIMIT = 900.0
"""Seconds without a job after which this process ends: whoever started it is likely gone."""
JOB_LIMIT = 4 * 1024 * 1024
"""Bytes of a job file that are read."""
OUTPUT_LIMIT = 64 * 1024
"""Bytes of a job's output that are reported: the last ones."""
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
PR_SET_CHILD_SUBREAPER = 36


SYSTEM_V = ("msg", "sem", "shm")
"""What processes leave to each other beside files: each has a table in /proc/sysvipc, under one line of titles."""


def main(spool: str, scratch: str, probe: str, *emptied: str) -> None:
    """Serve jobs until there have been none for a while."""
    adopt = _adopter()
    bell = os.open(os.path.join(spool, "bell"), os.O_RDWR | os.O_NONBLOCK)
    last = time.monotonic()
    keepers = 0
    while keepers or time.monotonic() - last < IDLE_LIMIT:
        for job in _new_jobs(os.path.join(spool, "jobs")):
            last = time.monotonic()
            if os.fork() == 0:
                _be_keeper(Keeper(job, spool, scratch, probe, emptied), adopt)
            keepers += 1
        # the time limit is for file systems that pass on files but not the bell
        select.select([bell], [], [], 0.05)
        with contextlib.suppress(BlockingIOError):
            os.read(bell, 4096)
        with contextlib.suppress(ChildProcessError):
            while keepers and os.waitpid(-1, os.WNOHANG)[0]:
                keepers -= 1


def _adopter() -> Callable[[], object]:
    """A function that makes its process adopt orphaned descendants; prepared once, as ctypes is slow to import."""
    try:
        import ctypes

        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):
        return lambda: None  # orphans that left their process group then live until the container ends
    return lambda: prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _new_jobs(folder: str) -> Iterator[dict[str, Any]]:
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".json"):
            continue
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                job = json.loads(file.read(JOB_LIMIT).decode("utf-8"))
            os.unlink(path)
        except (OSError, ValueError):
            continue
        if isinstance(job, dict) and job.get("id") == name[: -len(".json")]:
            yield job


def _be_keeper(keeper: Keeper, adopt: Callable[[], object]) -> None:
    """Keep one job and end this process; never returns."""
    try:
        adopt()
        keeper.keep()
    except BaseException as error:
        os.write(2, ("keeper of %s: %r\n" % (keeper.job.get("id"), error)).encode("utf-8", "replace"))
    finally:
        os._exit(0)


class Keeper:
    """One job, from its start to the death of its last process."""

    def __init__(
        self, job: dict[str, Any], spool: str, scratch: str, probe: str, emptied: tuple[str, ...] = ()
    ) -> None:
        self.job = job
        self.emptied = emptied
        self.folder = os.path.join(spool, job["id"])
        self.home = os.path.join(scratch, job["id"])
        self.probe = probe
        self.tail = b""
        self.failure = -1
        self.killed = False
        self.timed_out = False
        self.status: int | None = None

    def keep(self) -> None:
        """Run the job and report its end."""
        for name in ("", "scratch", "tmp"):
            os.mkdir(os.path.join(self.home, name))
        before = oom_kills()
        begin = time.monotonic()
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        pid, output = self._start()
        try:
            self._attend(pid, output, wake, begin)
        finally:
            self._kill(pid)
            _kill_descendants()
        self._read(output)
        seconds = time.monotonic() - begin
        left = _leave_nothing(self.emptied) if self.emptied else []
        self._report(before, seconds, left)
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self) -> tuple[int, int]:
        output, write = os.pipe()
        os.set_blocking(output, False)
        self.failure, failed = os.pipe()  # closed by the start of the new program: what can be read in it is a failure
        pid = os.fork()
        if pid:
            os.close(write)
            os.close(failed)
            return pid, output
        try:
            self._become_job(write)
        except BaseException as error:
            os.write(failed, ("%s: %s" % (self.job["python"], error)).encode("utf-8", "replace")[:4096])
        finally:
            os._exit(127)

    def _become_job(self, output: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):
            # Python ignores SIGPIPE, which a new program would inherit
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")  # when memory runs out, a job is killed and not its keeper
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        home = os.path.join(self.home, "scratch")
        os.chdir(home)
        os.umask(0o022)
        variables = dict(os.environ, HOME=home, TMPDIR=os.path.join(self.home, "tmp"))
        variables.update(self.job["variables"])
        records = os.path.join(self.folder, "records.jsonl")
        request = os.path.join(self.folder, "request.json")
        os.execve(self.job["python"], [self.job["python"], self.probe, request, records], variables)

    def _attend(self, pid: int, output: int, wake: int, begin: float) -> None:
        warn_at = begin + self.job["time_limit"]
        kill_at = warn_at + self.job["grace"]
        pipes = [output, wake]
        while not self._reaped(pid):
            now = time.monotonic()
            if now >= warn_at and not self.timed_out:
                self.timed_out = True
                os.kill(pid, signal.SIGINT)
            if now >= kill_at:
                self._kill(pid)
            left = (kill_at if self.timed_out else warn_at) - now
            ready = select.select(pipes, [], [], max(0.0, left) if not self.killed else 0.05)[0]
            if wake in ready:
                os.read(wake, 4096)
            if output in ready and not self._read(output):
                pipes.remove(output)

    def _reaped(self, pid: int) -> bool:
        """Whether the job's first process has ended; orphans that were adopted are reaped on the way."""
        with contextlib.suppress(ChildProcessError):
            while self.status is None:
                found, status = os.waitpid(-1, os.WNOHANG)
                if found == 0:
                    break
                if found == pid:
                    self.status = status
        return self.status is not None

    def _read(self, output: int) -> bool:
        """Take what is there to read; false at the end of the pipe. Bounded, so that a flood cannot hold the clock."""
        for _ in range(16):
            try:
                part = os.read(output, 65536)
            except BlockingIOError:
                return True
            if not part:
                return False
            self.tail = (self.tail + part)[-OUTPUT_LIMIT:]
        return True

    def _kill(self, pid: int) -> None:
        if self.status is None:
            self.killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def _report(self, before: int | None, seconds: float, left: list[str]) -> None:
        status = self.status
        number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
        end = {
            "not_started": os.read(self.failure, 4096).decode("utf-8", "replace"),
            "exit_code": os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None,
            "signal": number,
            "timed_out": self.timed_out,
            "killed": self.killed,
            "oom_before": before,
            "oom_after": oom_kills(),
            "seconds": seconds,
            "left": left,
            "output": self.tail.decode("utf-8", "replace"),
        }
        part = os.path.join(self.folder, "end.part")
        with open(part, "w", encoding="utf-8") as file:
            json.dump(end, file)
        os.rename(part, os.path.join(self.folder, "end.json"))


def oom_kills() -> int | None:
    """How many processes of this container were killed for want of memory; ``None`` where that is not to be seen."""
    for path in OOM_COUNTERS:
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        return int(count)
        except (OSError, ValueError):
            continue
    return None


def _kill_descendants() -> None:
    """Kill what this process has adopted, and its children, until nothing is left (or 5 s have passed)."""
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def _leave_nothing(folders: tuple[str, ...]) -> list[str]:
    """Kill every process of this container but init, the attendant and this one, and empty the folders; what is left
    all the same."""
    ours = {1, os.getpid(), os.getppid()}
    until = time.monotonic() + 5.0
    while True:
        strangers = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in ours]
        if not strangers or time.monotonic() > until:
            break
        for pid in strangers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    left = ["process %d" % pid for pid in strangers]
    for folder in folders:
        with contextlib.suppress(OSError):  # not every kernel has all of them
            left += _emptied(folder)
    for name in SYSTEM_V:
        with contextlib.suppress(OSError), open("/proc/sysvipc/" + name, encoding="ascii") as file:
            left += [name for _ in list(file)[1:]]
    return left


def _emptied(folder: str) -> list[str]:
    """Remove all that a folder holds; the paths of what cannot be removed."""
    with os.scandir(folder) as found:
        for entry in list(found):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
    return [os.path.join(folder, name) for name in os.listdir(folder)]


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.extend(below)
        waiting.extend(below)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
