"""Confine a command on this machine with bubblewrap: an own user namespace without network, where all is read-only.

Not confined: it reads what the user can read.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.process import CommandResult
from pytest_py312.runners.confinement import CONFINED_SCRIPT, variables_without_secrets
from pytest_py312.runners.runner import ConfinedCommand

HIDDEN_FOLDERS = ("/tmp", "/var/tmp", "/run", "/dev/shm")
"""Folders that are empty and writable inside: files of other programs, and the sockets of services."""

MOUNT_TRIES = 5
"""How often a command is started that bubblewrap could not confine because a mount disappeared."""

_MOUNT_DISAPPEARED = "bwrap: Can't bind mount / on /: "

_NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")


@cache
def find_bubblewrap() -> str:
    """Return the path of ``bwrap``; empty if there is none, or if this system lets it make no namespaces."""
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    if program is None:
        return ""
    trial = [program, "--ro-bind", "/", "/", *_NAMESPACES, "--unshare-net", "--proc", "/proc", "true"]
    return program if retry_lost_mounts(lambda: process.run(trial, time_limit=20.0)).ok else ""


def retry_lost_mounts(run: Callable[[], CommandResult]) -> CommandResult:
    """Call ``run`` again while bubblewrap stops before the command because a mount disappeared.

    ``--ro-bind / /`` makes each mount below ``/`` read-only, one after the other, and fails at one that is gone by
    then: that of a container that ends at this moment.
    """
    for _ in range(MOUNT_TRIES - 1):
        result = run()
        if result.ok or not result.stderr.startswith(_MOUNT_DISAPPEARED):
            return result
    return run()


def confined_argv(
    program: str, command: ConfinedCommand, argv: Sequence[str], *, python: str, needed: Sequence[Path], network: bool
) -> list[str]:
    """Return the command line that runs ``argv`` confined by ``program``, which is bubblewrap.

    ``needed`` are further paths that it reads, if they are in a folder that is otherwise hidden.
    """
    words = [program, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    hidden = [folder for folder in HIDDEN_FOLDERS if Path(folder).is_dir() and not Path(folder).is_symlink()]
    words += [word for folder in hidden for word in ("--tmpfs", folder)]
    for path in (*needed, *command.readable):
        if any(path.is_relative_to(folder) for folder in hidden):
            words += ["--ro-bind", str(path), str(path)]
    words += ["--bind", str(command.folder), str(command.folder), "--chdir", str(command.folder)]
    words += [*_NAMESPACES, *([] if network else ["--unshare-net"]), "--cap-drop", "ALL", "--die-with-parent"]
    return [*words, "--new-session", "--", python, "-I", "-S", "-c", CONFINED_SCRIPT, *argv]


def confined_variables(environ: Mapping[str, str], command: ConfinedCommand) -> dict[str, str]:
    """Return the environment variables of a confined command: those given, but a home and caches in its folder."""
    kept = dict(environ) if command.fetches else variables_without_secrets(environ)
    folder = command.folder
    own = {"HOME": folder / "tmp", "TMPDIR": folder / "tmp", "UV_CACHE_DIR": folder / "cache"}
    return {**kept, **{name: str(path) for name, path in own.items()}, "PIP_CACHE_DIR": str(folder / "cache")}
