"""Runs the gate as a process on a repository that a test has written."""

import subprocess
from pathlib import Path

from tests.support.child_pytest import PYTEST


def gate(
    root: Path, cache: Path, *arguments: str, checks: str = "py312_dependencies", seconds: float = 300
) -> "subprocess.CompletedProcess[str]":
    """Run ``pytest --py312`` with the local runner and the checks of ``checks`` only (an expression of marks).

    :raises subprocess.TimeoutExpired: it did not finish within ``seconds``.
    """
    fixed = ["--py312", "--py312-runner=local", f"--py312-cache-dir={cache}"]
    fixed += ["-m", checks, "-p", "no:cacheprovider"]
    return subprocess.run(
        [*PYTEST, *fixed, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
