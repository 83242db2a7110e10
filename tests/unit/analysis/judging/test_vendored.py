"""Vendored files block where an import reaches them, and not where none does."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.vendored import is_vendored, mark_unused_vendored
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Finding, Location, Severity

SIX = "svc/src/app/vendored/six.py"
OLD = "svc/src/app/vendored/pkg/old.py"
VENDORED = {
    SIX: "import imp\n",
    OLD: "import imp\n",
    "svc/src/app/vendored/__init__.py": "",
    "svc/src/app/vendored/pkg/__init__.py": "",
    "svc/src/app/vendored/pkg/tests/test_old.py": "from app.vendored.pkg import old\n",
}


def blocking(files: Mapping[str, str], target: tuple[int, int] = (3, 12), programs: tuple[str, ...] = ()) -> set[str]:
    """Return the vendored files whose finding still blocks."""
    texts = {**VENDORED, **files}
    facts = [scan_text(text.encode("utf-8", "replace"), path) for path, text in texts.items()]
    contents = {path: text.encode("utf-8", "replace") for path, text in texts.items()}
    findings = [
        Finding(code="PY201", message="module 'imp' was removed", location=Location(path=path, line=1))
        for path in texts
        if path in (SIX, OLD) or path.endswith("/inner/commands.py")
    ]
    answers = (InterpreterAnswers(version=version, answers={}, origin="a test") for version in ((3, 9), target))
    evidence = Evidence(baseline=next(answers), target=next(answers))
    marked = mark_unused_vendored(findings, facts, contents, evidence, programs)
    return {str(found.location.path) for found in marked if found.location and found.severity is Severity.ERROR}


@pytest.mark.parametrize("target", [(3, 9), (3, 10), (3, 12)])
def test_what_nothing_imports_does_not_block(target: tuple[int, int]) -> None:
    """Tests of the vendored project are no reason to import it."""
    assert blocking({"svc/src/app/main.py": "import json\nfrom app import config\n"}, target) == set()


@pytest.mark.parametrize(
    ("files", "used"),
    [
        ({"svc/src/app/main.py": "from app.vendored import six\n"}, {SIX}),
        ({"svc/src/app/main.py": "from .vendored.pkg.old import x\n"}, {OLD}),
        ({"svc/src/app/main.py": "from .vendored import pkg\n"}, set()),
        ({"svc/src/app/main.py": "def f():\n    import app.vendored.six\n"}, {SIX}),
        ({"svc/src/app/main.py": "import six\n"}, {SIX}),
        ({"svc/tests/test_a.py": "import app.vendored.pkg.old as old\n"}, {OLD}),
        ({"svc/src/app/main.py": "from .vendored import six\n", SIX: "from .pkg import old\nimport imp\n"}, {SIX, OLD}),
        ({"svc/src/app/main.py": "import importlib\nimportlib.import_module('app.vendored.' + x)\n"}, {SIX, OLD}),
        ({"svc/src/app/main.py": "import sys\nif sys.version_info < (3, 10):\n    from .vendored import six\n"}, set()),
        ({"svc/src/app/main.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import six\n"}, set()),
    ],
)
def test_what_the_service_or_its_tests_import_blocks(files: Mapping[str, str], used: set[str]) -> None:
    assert blocking(files) == used


ON_PATH = "import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), 'vendored'))\n"
FIRST = ON_PATH.replace("append(", "insert(0, ")
INNERMOST = "svc/src/app/vendored/pkg/inner/commands.py"


@pytest.mark.parametrize(
    ("files", "used"),
    [
        ({"svc/src/app/__init__.py": ON_PATH}, set()),
        ({"svc/src/app/__init__.py": ON_PATH, "svc/setup.py": "setup(entry_points={})\n"}, set()),
        ({"svc/src/app/__init__.py": ON_PATH + "import six\n"}, {SIX}),
        ({"svc/src/app/__init__.py": ON_PATH + "from pkg import old\n"}, {OLD}),
        ({"svc/src/app/__init__.py": ON_PATH, "svc/src/app/a.py": "from pkg.old import x\n"}, {OLD}),
        ({"svc/src/app/__init__.py": ON_PATH, "svc/src/app/a.py": "import importlib\nimportlib.import_module(n)\n"},
         {SIX, OLD, INNERMOST}),
        ({"svc/src/app/__init__.py": FIRST}, {SIX, OLD}),
    ],
)  # fmt: skip
def test_a_folder_on_the_path_is_used_where_an_import_reaches(files: Mapping[str, str], used: set[str]) -> None:
    """Installed projects find what is first on the path; imports by name may find anything."""
    assert blocking({INNERMOST: "def f():\n    import imp\n", **files}) == used


def test_a_module_that_a_start_command_runs_blocks() -> None:
    assert blocking({}, programs=("app.vendored.pkg.old",)) == {OLD}


def test_other_folders_are_not_vendored() -> None:
    assert is_vendored("svc/third_party/a/b.py")
    assert not is_vendored("svc/app/vendor.py")


@given(st.text(max_size=60))
def test_no_source_breaks_it(text: str) -> None:
    assert blocking({"svc/main.py": text}) <= {SIX, OLD}
