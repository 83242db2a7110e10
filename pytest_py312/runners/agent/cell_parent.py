"""The parent of a local cell: starts its command, and ends only when no descendant of it is left. Linux.

    python -E -S cell_parent.py COMMAND...

Standard library only, in the grammar of Python 3.8. A process that opens a session of its own, and drops its
environment variables, cannot be found by its group or by a variable. When its parent ends, the kernel gives it to this
process (``PR_SET_CHILD_SUBREAPER``), which kills it. SIGINT is passed on to the command's group. On SIGTERM everything
is killed at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from job_supervisor import _kill_descendants, _make_subreaper  # type: ignore[import-not-found]  # beside this script

PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> None:
    """Run ``command``, kill what it leaves behind, and end as it ended."""
    _make_subreaper()()
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD))
    pid = os.fork()
    if pid == 0:
        _exec(command)
    status = _wait(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    _kill_descendants()
    if status is None or os.WIFSIGNALED(status):
        number = signal.SIGKILL if status is None else os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status or 0))


def _exec(command: list[str]) -> None:
    parent = os.getppid()
    try:
        os.setsid()
        with contextlib.suppress(Exception):
            import ctypes

            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]} could not be started: {error}\n".encode("utf-8", "replace"))
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
    main(sys.argv[1:])
