# Runs on 3.8+: neither newer syntax, nor the methods of pathlib that came later.
# ruff: noqa: UP031, UP035, PTH102, PTH104, PTH108, PTH118, PTH123, PTH208
"""Start one clean process per job inside a container that several jobs share, and clean up after each job.

Usage: ``python -I job_supervisor.py SPOOL SCRATCH PROBE [FOLDER_TO_EMPTY...]``. Standard library only, Python 3.8+,
Linux.

The runner writes ``SPOOL/jobs/ID.json`` (by an atomic rename) and wakes this process through the named pipe
``SPOOL/bell``. Each job gets a *supervisor*: a fork of this process that adopts orphaned processes of the job, so that
all of them can be killed at the end, even those in a session of their own. The supervisor reports the end of the job in
``SPOOL/ID/end.json``, which also appears by a rename, after the last process of the job is gone.

With folders to empty, jobs run one at a time. Before the end of a job is reported, every other process in the container
is killed and these folders are emptied. What could not be removed is reported under the key ``left``.
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
"""Seconds without a job after which this process ends: the run that started it is probably gone."""
JOB_LIMIT = 4 * 1024 * 1024
"""Bytes read of a job file."""
OUTPUT_LIMIT = 64 * 1024
"""Bytes reported of the end of a job's output."""
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
PR_SET_CHILD_SUBREAPER = 36


SYSTEM_V_IPC = ("msg", "sem", "shm")
"""Kinds of System V IPC objects, which outlive processes; /proc/sysvipc has a table of each, with one header line."""


def main(spool: str, scratch: str, probe: str, *folders_to_empty: str) -> None:
    """Serve jobs until there were none for :data:`IDLE_LIMIT` seconds."""
    adopt = _make_subreaper()
    bell = os.open(os.path.join(spool, "bell"), os.O_RDWR | os.O_NONBLOCK)
    last_job_at = time.monotonic()
    supervisors = 0
    while supervisors or time.monotonic() - last_job_at < IDLE_LIMIT:
        for job in _new_jobs(os.path.join(spool, "jobs")):
            last_job_at = time.monotonic()
            while supervisors and folders_to_empty:  # one has reported the end of its job, and is about to exit
                os.waitpid(-1, 0)
                supervisors -= 1
            if os.fork() == 0:
                _supervise(JobSupervisor(job, spool, scratch, probe, folders_to_empty), adopt)
            supervisors += 1
        # the timeout is for file systems that share files with the runner, but not the pipe
        select.select([bell], [], [], 0.05)
        with contextlib.suppress(BlockingIOError):
            os.read(bell, 4096)
        with contextlib.suppress(ChildProcessError):
            while supervisors and os.waitpid(-1, os.WNOHANG)[0]:
                supervisors -= 1


def _make_subreaper() -> Callable[[], object]:
    """Return a function that makes its process adopt orphaned descendants; ctypes is slow to import, so do it once."""
    try:
        import ctypes

        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):
        return lambda: None  # then orphans outside of the job's process group live until the container ends
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


def _supervise(supervisor: JobSupervisor, adopt: Callable[[], object]) -> None:
    """Run one job and end this process; never returns."""
    try:
        adopt()
        supervisor.run()
    except BaseException as error:
        os.write(2, ("supervisor of %s: %r\n" % (supervisor.job.get("id"), error)).encode("utf-8", "replace"))
    finally:
        os._exit(0)


class JobSupervisor:
    """Supervisor of one job, from its start to the end of its last process."""

    def __init__(
        self, job: dict[str, Any], spool: str, scratch: str, probe: str, folders_to_empty: tuple[str, ...] = ()
    ) -> None:
        self.job = job
        self.folders_to_empty = folders_to_empty
        self.folder = os.path.join(spool, job["id"])
        self.home = os.path.join(scratch, job["id"])
        self.probe = probe
        self.output_tail = b""
        self.start_failure_pipe = -1
        self.killed = False
        self.timed_out = False
        self.status: int | None = None

    def run(self) -> None:
        """Run the job and report how it ended."""
        for name in ("", "scratch", "tmp"):
            os.mkdir(os.path.join(self.home, name))
        oom_kills_before = oom_kills()
        begin = time.monotonic()
        wake, wake_writer = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_writer, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        pid, output = self._start()
        try:
            self._wait(pid, output, wake, begin)
        finally:
            self._kill(pid)
            _kill_descendants()
        self._read_output(output)
        seconds = time.monotonic() - begin
        leftovers = _clean_up(self.folders_to_empty) if self.folders_to_empty else []
        self._report(oom_kills_before, seconds, leftovers)
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self) -> tuple[int, int]:
        output, write = os.pipe()
        os.set_blocking(output, False)
        self.start_failure_pipe, failed = os.pipe()  # exec closes the pipe: its content is the error of a failed exec
        pid = os.fork()
        if pid:
            os.close(write)
            os.close(failed)
            return pid, output
        try:
            self._exec_job(write)
        except BaseException as error:
            os.write(failed, ("%s: %s" % (self.job["python"], error)).encode("utf-8", "replace")[:4096])
        finally:
            os._exit(127)

    def _exec_job(self, output: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):
            # Python ignores SIGPIPE, and the new program would inherit that
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")  # when memory runs out, the kernel kills the job and not its supervisor
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

    def _wait(self, pid: int, output: int, wake: int, begin: float) -> None:
        warn_at = begin + self.job["time_limit"]
        kill_at = warn_at + self.job["grace"]
        pipes = [output, wake]
        while not self._has_exited(pid):
            now = time.monotonic()
            if now >= warn_at and not self.timed_out:
                self.timed_out = True
                os.kill(pid, signal.SIGINT)
            if now >= kill_at:
                self._kill(pid)
            remaining = (kill_at if self.timed_out else warn_at) - now
            ready = select.select(pipes, [], [], max(0.0, remaining) if not self.killed else 0.05)[0]
            if wake in ready:
                os.read(wake, 4096)
            if output in ready and not self._read_output(output):
                pipes.remove(output)

    def _has_exited(self, pid: int) -> bool:
        """Return whether the job's first process has ended; adopted orphans are reaped as well."""
        with contextlib.suppress(ChildProcessError):
            while self.status is None:
                exited_pid, status = os.waitpid(-1, os.WNOHANG)
                if exited_pid == 0:
                    break
                if exited_pid == pid:
                    self.status = status
        return self.status is not None

    def _read_output(self, output: int) -> bool:
        """Read available output; false at the end of the pipe. Bounded, so that a flood cannot delay the time limit."""
        for _ in range(16):
            try:
                part = os.read(output, 65536)
            except BlockingIOError:
                return True
            if not part:
                return False
            self.output_tail = (self.output_tail + part)[-OUTPUT_LIMIT:]
        return True

    def _kill(self, pid: int) -> None:
        if self.status is None:
            self.killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def _report(self, oom_kills_before: int | None, seconds: float, leftovers: list[str]) -> None:
        status = self.status
        number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
        report = {
            "not_started": os.read(self.start_failure_pipe, 4096).decode("utf-8", "replace"),
            "exit_code": os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None,
            "signal": number,
            "timed_out": self.timed_out,
            "killed": self.killed,
            "oom_before": oom_kills_before,
            "oom_after": oom_kills(),
            "seconds": seconds,
            "left": leftovers,
            "output": self.output_tail.decode("utf-8", "replace"),
        }
        temporary_file = os.path.join(self.folder, "end.part")
        with open(temporary_file, "w", encoding="utf-8") as file:
            json.dump(report, file)
        os.rename(temporary_file, os.path.join(self.folder, "end.json"))


def oom_kills() -> int | None:
    """Return how many processes of this container the OOM killer has ended; ``None`` if that is unknown."""
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
    """Kill this process's children and adopted orphans until none is left, for 5 s at most."""
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


def _clean_up(folders: tuple[str, ...]) -> list[str]:
    """Kill all processes of this container but init, the main process and this one, and empty the folders.

    Return what is left all the same.
    """
    own_pids = {1, os.getpid(), os.getppid()}
    until = time.monotonic() + 5.0
    while True:
        foreign_pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own_pids]
        if not foreign_pids or time.monotonic() > until:
            break
        for pid in foreign_pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    leftovers = ["process %d" % pid for pid in foreign_pids]
    for folder in folders:
        with contextlib.suppress(OSError):  # not every kernel has all of these folders
            leftovers += _empty_folder(folder)
    for name in SYSTEM_V_IPC:
        with contextlib.suppress(OSError), open("/proc/sysvipc/" + name, encoding="ascii") as file:
            leftovers += [name for _ in list(file)[1:]]
    return leftovers


def _empty_folder(folder: str) -> list[str]:
    """Remove the content of a folder, and return the paths that could not be removed."""
    with os.scandir(folder) as entries:
        for entry in list(entries):
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
    descendants = []
    waiting = [root]
    while waiting:
        child_pids = children.get(waiting.pop(), [])
        descendants.extend(child_pids)
        waiting.extend(child_pids)
    return descendants


if __name__ == "__main__":
    main(*sys.argv[1:])
