"""Findings about setuptools, pkg_resources and distutils depend on the lock of the cell."""

import pytest

from pytest_py312.core.model.findings import Severity
from tests.unit.analysis.fake_interpreters import judge_texts


@pytest.mark.parametrize(
    ("module", "lock", "severity"),
    [
        ("setuptools", {}, Severity.ERROR),
        ("setuptools", {"setuptools": "70.0"}, None),
        ("setuptools.command", {"Set_uptools": "70.0"}, Severity.ERROR),
        ("pkg_resources", {}, Severity.ERROR),
        ("pkg_resources", {"setuptools": "81.0.0"}, None),
        ("pkg_resources", {"setuptools": "82.0.0"}, Severity.ERROR),
        ("pkg_resources", {"setuptools": "66.0.0"}, Severity.ERROR),
        ("pkg_resources", {"setuptools": "66.1"}, None),
        ("setuptools", {"setuptools": "56.2.0"}, None),
        ("distutils.util", {}, Severity.ERROR),
        ("distutils.util", {"setuptools": "59.8"}, Severity.ERROR),
        ("distutils.util", {"setuptools": "70.0"}, Severity.WARNING),
    ],
)
def test_what_the_lock_provides(module: str, lock: dict[str, str], severity: Severity | None) -> None:
    found = judge_texts(f"import {module}\n", lock=lock)

    assert [(one.code, one.severity) for one in found] == ([("PY209", severity)] if severity else [])


@pytest.mark.parametrize(("path", "severity"), [("main.py", Severity.ERROR), ("tests/test_a.py", Severity.WARNING)])
def test_production_may_turn_off_the_distutils_of_setuptools(path: str, severity: Severity) -> None:
    (finding,) = judge_texts(
        {path: "import distutils.util\n"}, lock={"setuptools": "70.0"}, without_shim="Dockerfile:2"
    )

    assert finding.severity is severity
    assert ("which SETUPTOOLS_USE_DISTUTILS in Dockerfile:2 turns off" in finding.message) is (path == "main.py")


@pytest.mark.parametrize(
    ("module", "declared", "severity"),
    [
        ("setuptools", ["setuptools"], None),
        ("pkg_resources", ["Setuptools"], None),
        ("distutils.util", ["setuptools"], Severity.WARNING),
        ("setuptools", ["wheel"], Severity.ERROR),
    ],
)
def test_without_a_lock_the_declared_requirements_count(
    module: str, declared: list[str], severity: Severity | None
) -> None:
    found = judge_texts(f"import {module}\n", lock=None, declared=declared)

    assert [(one.code, one.severity) for one in found] == ([("PY209", severity)] if severity else [])


@pytest.mark.parametrize("project", ["pyasyncore", "standard-asyncore", "Standard_Asyncore"])
@pytest.mark.parametrize("known", [True, False])
def test_a_project_may_restore_a_removed_module(project: str, known: bool) -> None:
    lock, declared = ({project: "1.0"}, []) if known else (None, [project])
    text = "import asyncore\nasyncore.loop()\nfrom asyncore import dispatcher\n"

    assert judge_texts(text, gone=["asyncore"], lock=lock, declared=declared) == ()
    assert [one.code for one in judge_texts(text, gone=["asyncore"], lock={}, declared=[project])] != []


@pytest.mark.parametrize(
    "text", ["__import__('pkg_resources')", "from importlib import import_module\nimport_module('pkg_resources')"]
)
def test_imports_by_name_count_as_well(text: str) -> None:
    assert [one.code for one in judge_texts(text, lock={})] == ["PY209"]


def test_a_build_script_runs_with_setuptools() -> None:
    assert [one.severity for one in judge_texts({"setup.py": "from distutils.core import setup\n"})] == [
        Severity.WARNING
    ]
    assert judge_texts({"setup.py": "from setuptools import setup\n"}, lock={}) == ()


def test_guards_and_older_targets() -> None:
    assert judge_texts("try:\n    import pkg_resources\nexcept ImportError:\n    pkg_resources = None\n", lock={}) == ()
    assert judge_texts("import pkg_resources\n", lock={}, target=(3, 11)) == ()
