"""Vendored files and data of tests block where an import reaches them, and not where none does."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.unused_files import is_test_data, is_vendored, mark_unused_files
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
        if path in (SIX, OLD) or path.endswith(("/inner/commands.py", "/data/old.py", "/plugin.py"))
    ]
    answers = (InterpreterAnswers(version=version, answers={}, origin="a test") for version in ((3, 9), target))
    evidence = Evidence(baseline=next(answers), target=next(answers))
    marked = mark_unused_files(findings, facts, contents, evidence, programs, folder="svc", shared=("libs/common",))
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


DATA = "svc/tests/data/old.py"
PLUGIN = "svc/tests/fixtures/plugin.py"
READS = "import ast\nfrom pathlib import Path\nast.parse((Path(__file__).parent / 'data' / 'old.py').read_text())\n"
RUNS = "import runpy\nrunpy.run_path(path)\n"


@pytest.mark.parametrize(
    ("files", "used"),
    [
        ({}, set()),
        ({"svc/tests/test_a.py": READS}, set()),
        ({"svc/tests/test_a.py": "from .data import old\n"}, {DATA}),
        ({"svc/tests/test_a.py": "from tests.data.old import x\n"}, {DATA}),
        ({"svc/tests/test_a.py": "def test_a():\n    import old\n"}, {OLD, DATA}),
        ({"svc/tests/test_a.py": "pytest_plugins = ['tests.fixtures.plugin']\n"}, {PLUGIN}),
        ({"svc/tests/test_a.py": "x = 'tests.data.old.Settings'\n"}, {DATA}),
        ({"svc/tests/test_a.py": "x = 'python -m tests.data.old --all'\n"}, {DATA}),
        ({"svc/tests/test_a.py": READS, "svc/app/run.py": RUNS}, {DATA}),
        ({"svc/tests/test_a.py": "x = f'{HERE}/data/*.py'\nsubprocess.run(x)\n"}, {DATA}),
        ({"svc/tests/test_a.py": "x = Path('fixtures').glob('*')\n", "svc/tests/conftest.py": RUNS}, {PLUGIN}),
        ({"svc/tests/test_a.py": "from tests.fixtures import plugin\n", PLUGIN: READS + RUNS}, {PLUGIN, DATA}),
        ({"svc/tests/test_a.py": "cursor.execute(x, 'data')\n"}, set()),
        ({"svc/tests/data/test_old.py": "from . import old\n"}, {DATA}),
    ],
)
def test_data_of_tests_blocks_only_where_something_imports_or_runs_it(files: Mapping[str, str], used: set[str]) -> None:
    data = {DATA: "import asyncore\n", PLUGIN: "import asyncore\n", "svc/tests/data/__init__.py": ""}
    assert blocking({**data, **files}) == used


def test_what_a_start_command_runs_is_no_data() -> None:
    assert blocking({DATA: "import asyncore\n"}, programs=("tests.data.old",)) == {DATA}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("svc/tests/data/old.py", True),
        ("svc/app/tests/unit/resources/deep/old.py", True),
        ("svc/pkg/testdata/old.py", True),
        ("svc/tests/old.py", False),
        ("svc/data/old.py", False),
        ("svc/data/tests/old.py", False),
        ("svc/tests/data/test_old.py", False),
        ("svc/tests/data/conftest.py", False),
        ("svc/tests/data/old.so", False),
    ],
)
def test_data_of_tests_is_known_by_its_folders(path: str, expected: bool) -> None:
    assert is_test_data(path, "svc") is expected


def test_a_service_may_lie_among_the_data_of_tests_above_it() -> None:
    assert not is_test_data("tests/data/svc/app/old.py", "tests/data/svc")


@pytest.mark.parametrize(
    ("main", "used"),
    [
        ("from common import plugin\n", True),
        ("def run():\n    import common.plugin\n", True),
        ("from common import other\n", False),
        ("import importlib\nimportlib.import_module('common.' + name)\n", True),
        ("import json\n", False),
        ("INSTALLED_APPS = ['common']\n", True),
        ("celery = Celery(include=['common.plugin'])\n", True),
    ],
)
def test_a_shared_file_blocks_the_services_that_use_it(main: str, used: bool) -> None:
    shared = {"libs/common/__init__.py": "", "libs/common/plugin.py": "import imp\n", "libs/common/other.py": ""}
    assert blocking({"svc/src/app/main.py": main, **shared}) == ({"libs/common/plugin.py"} if used else set())


def test_a_shared_package_that_imports_all_of_its_modules_uses_them() -> None:
    shared = {"libs/common/__init__.py": "import pkgutil\nfor _ in pkgutil.iter_modules(__path__): pass\n"}
    files = {"svc/main.py": "import common\n", "libs/common/plugin.py": "import imp\n", **shared}
    assert blocking(files) == {"libs/common/plugin.py"}


def test_what_an_image_outside_of_the_service_runs_is_its_own() -> None:
    """Its Dockerfile has the code, and is no file of a shared package."""
    place = Location(path="deploy/Dockerfile", line=2)
    finding = Finding(code="PY201", message="module 'imp' was removed", location=place)
    nothing = InterpreterAnswers(version=(3, 12), answers={}, origin="a test")
    evidence = Evidence(baseline=nothing, target=nothing)
    assert mark_unused_files([finding], [], {}, evidence, folder="svc", shared=("libs/common",)) == (finding,)


@given(st.text(max_size=60))
def test_no_source_breaks_it(text: str) -> None:
    assert blocking({"svc/main.py": text}) <= {SIX, OLD}
