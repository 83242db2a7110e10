"""The gate as a process of its own, on a repository that a test has written."""

import subprocess
import sys
from pathlib import Path


def gate(
    root: Path, cache: Path, *arguments: str, checks: str = "py312_dependencies", seconds: float = 300
) -> "subprocess.CompletedProcess[str]":
    """``pytest --py312`` on this machine's interpreters, asking about ``checks`` alone (an expression of marks).

    :raises subprocess.TimeoutExpired: it has not come to its end within ``seconds``.
    """
    fixed = ["--py312", "--py312-runner=local", f"--py312-cache-dir={cache}"]
    fixed += ["-m", checks, "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *fixed, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
