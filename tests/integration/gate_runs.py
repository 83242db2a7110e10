"""The gate as a process of its own, on a repository that a test has written."""

import subprocess
import sys
from pathlib import Path


def gate(root: Path, cache: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """``pytest --py312``, asking about requirements alone."""
    fixed = ["--py312", "--py312-runner=local", f"--py312-cache-dir={cache}"]
    fixed += ["-m", "py312_dependencies", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *fixed, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
