"""Small file systems for tests of full disks."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_AS_ROOT = [] if os.getuid() == 0 else ["sudo", "-n"]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of ``size`` in memory. Needs root, or sudo without a password.

    Without it the test is skipped, or fails in CI.
    """
    folder.mkdir()
    if not _mounted(folder, f"size={size},uid={os.getuid()},gid={os.getgid()}"):
        lack = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        lack("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run([*_AS_ROOT, "umount", "-l", str(folder)], check=True)


def enlarge(folder: Path, size: str) -> None:
    """Give a :func:`small_disk` more room."""
    assert _mounted(folder, f"remount,size={size}")


def _mounted(folder: Path, options: str) -> bool:
    command = [*_AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
