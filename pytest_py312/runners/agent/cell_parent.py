"""The parent of a command: starts it, and ends only when no descendant of it is left. Linux.

    python -E -S cell_parent.py STARTER REPORT SCRATCH COMMAND...

Standard library only, in the grammar of Python 3.8. A process that opens a session of its own, and drops its
environment variables, cannot be found by its group or by a variable. When its parent ends, the kernel gives it to this
process (``PR_SET_CHILD_SUBREAPER``), which kills it. SIGINT is passed on to the command's group. On SIGTERM everything
is killed at once; also when the process with the id STARTER ends, which has started this one, be it by SIGKILL. Then
the folder SCRATCH is removed, since nobody else does; it may be empty for none.

One line is written to the file descriptor REPORT: 0 if the command was started, else the number of the error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys

from job_supervisor import _kill_descendants, _make_subreaper  # type: ignore[import-not-found]  # beside this script

PR_SET_PDEATHSIG = 1


def main(starter: int, report: int, scratch: str, command: list[str]) -> None:
    """Run ``command``, kill what it leaves behind, and end as it ended."""
    _make_subreaper()()
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD))
    _end_with_parent(signal.SIGTERM)
    status = _run(report, command) if os.getppid() == starter else None
    if scratch and os.getppid() != starter:
        shutil.rmtree(scratch, ignore_errors=True)
    if status is None or os.WIFSIGNALED(status):
        number = signal.SIGKILL if status is None else os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status or 0))


def _run(report: int, command: list[str]) -> int | None:
    """Run ``command`` and kill what it leaves behind; return its status, ``None`` if it was killed from here."""
    os.set_inheritable(report, False)
    failure, failed = os.pipe()  # both are closed when the command is executed
    pid = os.fork()
    if pid == 0:
        _exec(command, failed)
    os.close(failed)
    with contextlib.suppress(OSError):
        os.write(report, (os.read(failure, 32) or b"0") + b"\n")
    os.close(failure)
    os.close(report)
    status = _wait(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    _kill_descendants()
    return status


def _end_with_parent(number: int) -> None:
    """Let the kernel send a signal to this process when its parent ends."""
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def _exec(command: list[str], failed: int) -> None:
    parent = os.getppid()
    try:
        os.setsid()
        _end_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execvp(command[0], command)
    except OSError as error:
        os.write(failed, str(error.errno).encode("ascii"))
    finally:
        os._exit(127)


def _wait(pid: int) -> int | None:
    """Return the status of the command; ``None`` if it is to be killed. Adopted orphans are reaped as well."""
    while True:
        with contextlib.suppress(ChildProcessError):
            while True:
                exited, status = os.waitpid(-1, os.WNOHANG)
                if exited == pid:
                    return status
                if exited == 0:
                    break
        number = signal.sigwait((signal.SIGINT, signal.SIGTERM, signal.SIGCHLD))
        if number == signal.SIGTERM:
            return None
        if number == signal.SIGINT:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGINT)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
