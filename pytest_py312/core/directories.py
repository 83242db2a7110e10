"""The folder of a run: private, outside the repository, and swept by the next run when its owner was killed.

Outside, because pytest in a scratch copy would otherwise find the repository's own configuration above it.
"""

import os
import shutil
import tempfile
from pathlib import Path

from pytest_py312.core import clock, process
from pytest_py312.core.errors import StateError
from pytest_py312.core.process_identity import is_abandoned, this_process


def runs_folder() -> Path:
    """Where this user's run folders are.

    :raises StateError: it is somebody else's: what is run from there could be theirs.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"pytest-py312-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise StateError(f"{folder}: cannot be made: {error.strerror}. Set TMPDIR to a folder that can") from error
    if folder.is_symlink() or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        raise StateError(f"{folder} belongs to somebody else. Remove it, or set TMPDIR to a folder of your own")
    return folder


def open_run(run_id: str) -> Path:
    """Make the folder of run ``run_id`` and return it."""
    folder = runs_folder() / run_id
    try:
        folder.mkdir(mode=0o700)
        (folder / "owner").write_text(str(this_process()), encoding="ascii")
    except OSError as error:
        raise StateError(f"{folder}: cannot be made: {error.strerror}. Set TMPDIR to a folder with room") from error
    return folder


def sweep() -> list[str]:
    """Remove what killed runs left behind, their processes first; returns their run ids."""
    removed = []
    me = this_process()
    for folder in runs_folder().iterdir():
        try:
            owner = (folder / "owner").read_text(encoding="ascii")
            created = folder.stat().st_mtime
        except (OSError, UnicodeDecodeError):
            continue
        if is_abandoned(owner, created=created, now=clock.timestamp(), me=me):
            prefix = f"{folder.name}:"
            process.kill_marked(lambda value, prefix=prefix: value.startswith(prefix))  # type: ignore[misc]  # bound now
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
    return removed


STATE_FOLDER = ".py312"
"""Beside the plan: what runs remember, and the journal of the rollout."""


def default_cache() -> Path:
    """The user's cache folder for this tool."""
    from platformdirs import user_cache_path

    return user_cache_path("pytest-py312")
