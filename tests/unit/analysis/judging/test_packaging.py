"""setuptools, pkg_resources and distutils hang on the lock of the cell."""

import pytest

from pytest_py312.core.model.findings import Severity
from tests.unit.analysis.hearing import heard


@pytest.mark.parametrize(
    ("module", "lock", "severity"),
    [
        ("setuptools", {}, Severity.ERROR),
        ("setuptools", {"setuptools": "70.0"}, None),
        ("setuptools.command", {"Set_uptools": "70.0"}, Severity.ERROR),
        ("pkg_resources", {}, Severity.ERROR),
        ("pkg_resources", {"setuptools": "81.0.0"}, None),
        ("pkg_resources", {"setuptools": "82.0.0"}, Severity.ERROR),
        ("distutils.util", {}, Severity.ERROR),
        ("distutils.util", {"setuptools": "59.8"}, Severity.ERROR),
        ("distutils.util", {"setuptools": "70.0"}, Severity.WARNING),
    ],
)
def test_what_the_lock_brings(module: str, lock: dict[str, str], severity: Severity | None) -> None:
    found = heard(f"import {module}\n", lock=lock)

    assert [(one.code, one.severity) for one in found] == ([("PY209", severity)] if severity else [])


@pytest.mark.parametrize(
    ("module", "declared", "severity"),
    [
        ("setuptools", ["setuptools"], None),
        ("pkg_resources", ["Setuptools"], None),
        ("distutils.util", ["setuptools"], Severity.WARNING),
        ("setuptools", ["wheel"], Severity.ERROR),
    ],
)
def test_without_a_lock_what_the_service_requires_counts(
    module: str, declared: list[str], severity: Severity | None
) -> None:
    found = heard(f"import {module}\n", lock=None, declared=declared)

    assert [(one.code, one.severity) for one in found] == ([("PY209", severity)] if severity else [])


@pytest.mark.parametrize("project", ["pyasyncore", "standard-asyncore", "Standard_Asyncore"])
@pytest.mark.parametrize("known", [True, False])
def test_a_project_may_bring_back_what_the_library_has_lost(project: str, known: bool) -> None:
    lock, declared = ({project: "1.0"}, []) if known else (None, [project])
    text = "import asyncore\nasyncore.loop()\nfrom asyncore import dispatcher\n"

    assert heard(text, gone=["asyncore"], lock=lock, declared=declared) == ()
    assert [one.code for one in heard(text, gone=["asyncore"], lock={}, declared=[project])] != []


@pytest.mark.parametrize(
    "text", ["__import__('pkg_resources')", "from importlib import import_module\nimport_module('pkg_resources')"]
)
def test_imports_by_name_count_as_well(text: str) -> None:
    assert [one.code for one in heard(text, lock={})] == ["PY209"]


def test_a_build_file_is_run_by_what_brings_them() -> None:
    assert [one.severity for one in heard({"setup.py": "from distutils.core import setup\n"})] == [Severity.WARNING]
    assert heard({"setup.py": "from setuptools import setup\n"}, lock={}) == ()


def test_guards_and_older_targets() -> None:
    assert heard("try:\n    import pkg_resources\nexcept ImportError:\n    pkg_resources = None\n", lock={}) == ()
    assert heard("import pkg_resources\n", lock={}, target=(3, 11)) == ()
