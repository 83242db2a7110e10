"""Folders of this tool: one private folder per run, the state folder of a repository, the user's cache folder.

Run folders are outside of the repository: pytest in a scratch copy would otherwise find the repository's configuration
in a parent folder. The next run removes the folders of killed runs.
"""

import os
import shutil
import tempfile
from pathlib import Path

from pytest_py312.core import clock, process
from pytest_py312.core.errors import StateError
from pytest_py312.core.process_identity import is_abandoned, this_process


def runs_folder() -> Path:
    """Return the folder that contains this user's run folders, creating it if necessary.

    :raises StateError: it belongs to another user, who could replace the programs that are run from it.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"pytest-py312-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise StateError(
            f"{folder}: cannot be created: {error.strerror}. Set TMPDIR to a folder that you can write to"
        ) from error
    if folder.is_symlink() or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        raise StateError(f"{folder} belongs to another user. Remove it, or set TMPDIR to a folder of your own")
    return folder


def create_run_folder(run_id: str) -> Path:
    """Create and return the folder of run ``run_id``, with the identity of this process in it."""
    folder = runs_folder() / run_id
    try:
        folder.mkdir(mode=0o700)
        (folder / "owner").write_text(str(this_process()), encoding="ascii")
    except OSError as error:
        raise StateError(
            f"{folder}: cannot be created: {error.strerror}. Set TMPDIR to a folder with free space"
        ) from error
    return folder


def remove_abandoned_runs() -> list[str]:
    """Kill the processes and remove the folders of killed runs; return their run ids."""
    removed_runs = []
    own_identity = this_process()
    for folder in runs_folder().iterdir():
        try:
            owner = (folder / "owner").read_text(encoding="ascii")
            created = folder.stat().st_mtime
        except (OSError, UnicodeDecodeError):
            continue
        if is_abandoned(owner, created=created, now=clock.timestamp(), observer=own_identity):
            prefix = f"{folder.name}:"
            process.kill_marked(lambda value, prefix=prefix: value.startswith(prefix))  # type: ignore[misc]  # a default argument binds the current value
            shutil.rmtree(folder, ignore_errors=True)
            removed_runs.append(folder.name)
    return removed_runs


STATE_FOLDER = ".py312"
"""Name of the folder beside the plan that holds the state of runs and the rollout's journal."""


def default_cache_folder() -> Path:
    """Return the user's cache folder for this tool."""
    from platformdirs import user_cache_path

    return user_cache_path("pytest-py312")


def checkout_root(folder: Path) -> Path:
    """Return the root of the checkout around ``folder``, or ``folder`` itself.

    Without a plan the paths of services are relative to it.
    """
    return next((ancestor for ancestor in (folder, *folder.parents) if (ancestor / ".git").exists()), folder)


def path_in_checkout(folder: Path, workspace: str = "") -> str:
    """Return the path from the workspace (default: the checkout) to ``folder``, such as ``platform/``, or empty."""
    folder = folder.resolve()
    start = Path(workspace).resolve() if workspace else checkout_root(folder)
    inner = folder.relative_to(start if folder.is_relative_to(start) else checkout_root(folder)).as_posix()
    return "" if inner == "." else f"{inner}/"
