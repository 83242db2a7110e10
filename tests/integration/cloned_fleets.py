"""A repository of a test that is cloned, and the comparison of reports of runs on different machines."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.plugin.gate_helpers import REAL_FLEET
from tests.support.fakes import service_tree

WAIVER = """
[[waiver]]
service = "mail-service"
code = "PY101"
reason = "not needed"
owner = "core"
until = 2999-01-01
"""
FLEET = {
    **REAL_FLEET,
    "py312.toml": REAL_FLEET["py312.toml"].replace('["user-service"]', '["user-service", "mail-service"]') + WAIVER,
    "services/mail-service/Dockerfile": "FROM python:3.10-slim\n",
    "services/mail-service/requirements.txt": "iniconfig\n",
    "services/mail-service/mail.py": "import asyncio\nimport iniconfig\n\n\nLOOP = asyncio.coroutine\n",
    "services/mail-service/tests/test_mail.py": "import iniconfig\n\ndef test_mail():\n    assert iniconfig\n",
}
"""A service that is ready, one that fails and one with a finding in its source and a waiver that is not needed."""
TIMES = frozenset({"generated", "seconds"})
"""Names of the document whose values may differ from one run to another."""


def git(root: Path, *arguments: str) -> str:
    fixed = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-C", str(root)]
    return subprocess.run([*fixed, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit_fleet(root: Path, files: dict[str, str]) -> Path:
    """Write ``files`` into a new repository, and commit them."""
    service_tree(root, files)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def differences(left: Any, right: Any, path: str = "") -> Iterator[str]:
    """Yield where two documents differ, but for times."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted({*left, *right}):
            if name not in TIMES:
                yield from differences(left.get(name), right.get(name), f"{path}.{name}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif left != right:
        yield f"{path}: {left!r:.200} and {right!r:.200}"
