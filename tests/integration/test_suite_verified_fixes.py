"""Fixes of source that the service's own suite has to pass with, end to end."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.gate_runs import gate
from tests.support.fakes import service_tree

pytestmark = pytest.mark.network

FILES = {
    "Dockerfile": "FROM python:3.11\n",
    "pyproject.toml": '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n',
    "requirements-dev.txt": "pytest\n",
    "tests/test_mocks.py": (
        "from unittest.mock import Mock\n\n\n"
        "def test_holds():\n    m = Mock()\n    m(1)\n    assert m.called_once()\n\n\n"
        "def test_does_not_hold():\n    m = Mock()\n    m(1)\n    m.called_once_with(2)\n    assert m.called\n\n\n"
        "def test_unclear():\n    m = Mock()\n    assert [m.called_with(1)]\n"
    ),
}
CHANGED = """\
-    assert m.called_once()
+    m.assert_called_once()
"""
REMOVED = "-    m.called_once_with(2)\n     assert m.called\n"


def test_misspelt_assertions_are_tried(tmp_path: Path, gate_cache: Path) -> None:
    root = service_tree(tmp_path / "demo", FILES)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)

    run = gate(root, gate_cache, "--py312-diff", checks="py312_source or py312_suite or py312_dependencies")

    assert CHANGED in run.stdout, run.stdout
    assert REMOVED in run.stdout
    assert "assert_called_once_with fails here on the baseline" in run.stdout
    changed_lines = [line for line in run.stdout.splitlines() if line[:1] in "+-"]
    assert not any("called_with(1)" in line for line in changed_lines)


ABOVE = {
    "shop/src/a/Dockerfile": "FROM python:3.11\n",
    "shop/src/a/requirements.txt": "",
    "shop/src/a/app.py": "",
    "shop/tests/requirements.txt": "pytest\n",
    "shop/tests/unit/test_mocks.py": (
        "from unittest.mock import Mock\n\n\ndef test_holds():\n    m = Mock()\n    m(1)\n    assert m.called_once()\n"
    ),
}


def test_assertions_of_a_suite_above_its_service_are_tried(tmp_path: Path, gate_cache: Path) -> None:
    root = service_tree(tmp_path / "demo", ABOVE)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)

    run = gate(root, gate_cache, "--py312-diff", checks="py312_source or py312_suite or py312_dependencies")

    assert CHANGED in run.stdout, run.stdout
