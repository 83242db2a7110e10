"""Which imports of a service certainly run, and which of them its requirements do not provide."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.missing_requirements import unrequired_distributions
from pytest_py312.analysis.libraries.service_imports import external_imports
from pytest_py312.analysis.libraries.unprovided_imports import (
    Providers,
    ReachedFiles,
    UnprovidedImport,
    describe_unprovided,
    reached_files,
    unprovided_imports,
    unprovided_setuptools_imports,
)
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Program, StartModule
from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.repository.recipes.suites.pytest_settings import PytestSettings
from tests.support.fakes import service
from tests.unit.analysis.libraries.samples import entries, installed

TOGETHER = ("3.9", "3.10", "3.12")
ALL_REQUIRED = Providers(gate_only=frozenset(), run_time=None)
NO_SETTINGS = PytestSettings()
SUITE = Suite(kind=SuiteKind.PYTEST, arguments=("tests",))
LIBRARIES = {
    "six": {"six.py": ""},
    "packaging": {"packaging/__init__.py": ""},
    "pytest": {"pytest/__init__.py": ""},
    "otel-api": {"otel/trace/__init__.py": ""},
}


def reached(
    texts: Mapping[str, str],
    interpreter: str = "3.12",
    *programs: Program,
    suite: Suite | None = SUITE,
    start_modules: tuple[StartModule, ...] = (),
    settings: PytestSettings = NO_SETTINGS,
) -> ReachedFiles:
    """The files of a service in the root folder that are certainly imported."""
    files = [scan_text(text, path) for path, text in texts.items()]
    of = replace(service(), path=".", programs=programs, suite=suite, start_modules=start_modules)
    contents = {path: text.encode() for path, text in texts.items()}
    return reached_files(files, contents, of, Interpreter.parse(interpreter), settings)


def unprovided(
    texts: Mapping[str, str],
    providers: Providers = ALL_REQUIRED,
    interpreter: str = "3.12",
    *,
    is_incomplete: bool = False,
) -> list[str]:
    """What is not provided for a service in the root folder, as ``module`` or ``module by owner``."""
    files = [scan_text(text, path) for path, text in texts.items()]
    contents = {path: text.encode() for path, text in texts.items()}
    version = Interpreter.parse(interpreter)
    roots = list(external_imports(files, contents, {"app", "tests"}, (version.major, version.minor)))
    imports = unprovided_imports(
        roots,
        reached(texts, interpreter),
        installed(**LIBRARIES),
        providers,
        contents,
        is_incomplete=is_incomplete,
    )
    imports += unprovided_setuptools_imports(
        files, contents, reached(texts, interpreter), providers, version, {"setuptools"}
    )
    return [f"{item.module} by {item.owner}" if item.owner else item.module for item in imports]


def test_a_namespace_package_is_there_although_no_distribution_has_it() -> None:
    assert unprovided({"main.py": "import otel\nimport otel.trace\nimport otel.sdk\n"}) == ["otel.sdk"]


def test_an_import_in_a_function_may_need_what_could_not_be_followed() -> None:
    """With an install command that is not understood; where all is known, it may be for an optional feature."""
    texts = {"main.py": "import six\ndef run():\n    import boto\n", "other.py": "def run():\n    import idna\n"}

    assert unprovided(texts) == []
    assert unprovided(texts, is_incomplete=True) == ["boto"]


# ---- what certainly runs


def test_the_start_and_what_it_imports_is_reached() -> None:
    texts = {
        "main.py": "from app.core import run\n",
        "app/__init__.py": "",
        "app/core.py": "from . import base\ndef run():\n    from app import late\n",
        "app/base.py": "try:\n    from app import fast\nexcept ImportError:\n    fast = None\n",
        "app/late.py": "",
        "app/fast.py": "",
        "scripts/main.py": "from app import other\n",
        "app/other.py": "",
    }

    assert reached(texts).from_start == {"main.py", "app/__init__.py", "app/core.py", "app/base.py"}


def test_a_start_command_names_the_start() -> None:
    texts = {"app/__init__.py": "", "app/serve.py": "", "app/main.py": ""}

    assert reached(texts, "3.12", Program(name="app.serve", is_module=True)).from_start == {
        "app/__init__.py",
        "app/serve.py",
    }


def test_a_script_that_is_run_is_the_start() -> None:
    script = StartModule(name="serve", folder="bin", is_program=True, is_script=True)

    assert reached({"bin/serve.py": "", "main.py": ""}, start_modules=(script,)).from_start == {"bin/serve.py"}


def test_a_script_without_the_name_of_a_module_is_a_start_if_something_names_it() -> None:
    texts = {
        "bin/worker": "import app.core\n",
        "scripts/run-app": "import app.late\n",
        "bin/release": "import app.other\n",
        "setup.py": "from setuptools import setup\nsetup(scripts=['scripts/run-app'])\n",
        "app/core.py": "",
        "app/late.py": "",
        "app/other.py": "",
    }

    start = reached(texts, "3.12", Program(name="worker")).from_start

    assert start == {"bin/worker", "app/core.py", "scripts/run-app", "app/late.py"}


@pytest.mark.parametrize(("interpreter", "branch"), [("3.9", "old"), ("3.10", "old"), ("3.12", "new")])
def test_branches_on_the_version_are_followed(interpreter: str, branch: str) -> None:
    text = "import sys\nif sys.version_info >= (3, 12):\n    import app.new\nelse:\n    import app.old\n"
    texts = {"main.py": text, "app/__init__.py": "", "app/new.py": "", "app/old.py": ""}

    assert reached(texts, interpreter).from_start == {"main.py", "app/__init__.py", f"app/{branch}.py"}


def test_files_that_the_suite_collects_are_reached() -> None:
    texts = {
        "tests/conftest.py": "from tests import helpers\n",
        "tests/helpers.py": "",
        "tests/test_app.py": "",
        "tests/test_gpu.py": "import pytest\npytest.skip('no GPU', allow_module_level=True)\n",
        "tests/data.py": "",
        "load/test_load.py": "",
    }

    assert reached(texts).from_tests == {"tests/conftest.py", "tests/helpers.py", "tests/test_app.py"}
    assert reached(texts, suite=None).from_tests == frozenset()


def test_files_outside_of_the_testpaths_are_not_reached() -> None:
    """A test that the suite never runs may import what is gone."""
    texts = {"conftest.py": "", "tests/test_app.py": "", "generators/tests/test_old.py": "import generate_queries\n"}
    everything = replace(SUITE, arguments=())
    assert reached(texts, suite=everything).from_tests == frozenset(texts)
    of_tests = reached(texts, suite=everything, settings=PytestSettings(testpaths=("tests",)))
    assert of_tests.from_tests == {"conftest.py", "tests/test_app.py"}


@pytest.mark.parametrize("arguments", [(), ("discover", "-s", "tests")])
def test_a_conftest_is_not_reached_without_pytest(arguments: tuple[str, ...]) -> None:
    texts = {"conftest.py": "", "tests/test_app.py": ""}
    suite = Suite(kind=SuiteKind.UNITTEST, arguments=arguments)
    assert reached(texts, suite=suite).from_tests == {"tests/test_app.py"}


# ---- what is provided


@pytest.mark.parametrize("interpreter", TOGETHER)
@pytest.mark.parametrize("path", ["main.py", "app/__init__.py", "tests/test_app.py", "tests/conftest.py"])
def test_a_module_that_nothing_provides_is_named(path: str, interpreter: str) -> None:
    assert unprovided({path: "import six\nfrom flask import Flask\n"}, interpreter=interpreter) == ["flask"]


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import flask\nexcept ImportError:\n    flask = None\n",
        "def serve():\n    import flask\n",
        "import typing\nif typing.TYPE_CHECKING:\n    import flask\n",
        "import os\nif os.environ.get('WEB'):\n    import flask\n",
        "import users_pb2\nfrom proto import users_pb2_grpc\n",
    ],
)
def test_what_may_not_run_or_is_generated_is_not_named(text: str) -> None:
    assert unprovided({"main.py": text}) == []


def test_what_tests_skip_or_replace_is_not_named() -> None:
    skipping = "import pytest\npytest.importorskip('flask')\nimport flask\n"
    replacing = "import sys\nsys.modules['RPi'] = object()\n"

    assert unprovided({"tests/test_web.py": skipping}) == []
    assert unprovided({"tests/conftest.py": replacing, "main.py": "import RPi.GPIO\n"}) == []


def test_a_file_that_nothing_imports_is_not_named() -> None:
    assert unprovided({"main.py": "", "app/__init__.py": "", "app/old.py": "import flask\n"}) == []


def test_what_only_the_gate_installs_provides_nothing_at_run_time() -> None:
    """pytest is what runs the suite, so tests may import it and what it requires."""
    providers = Providers(gate_only=frozenset({"pytest", "packaging"}), run_time=frozenset({"six"}))
    texts = {"main.py": "import six\nimport packaging.version\n", "tests/test_app.py": "import pytest, packaging\n"}

    assert unprovided(texts, providers) == ["packaging by packaging"]


@pytest.mark.parametrize(("interpreter", "named"), [("3.9", []), ("3.10", []), ("3.12", ["distutils by setuptools"])])
def test_a_setuptools_of_the_gate_hides_no_removal(interpreter: str, named: list[str]) -> None:
    """Before 3.12 ``distutils`` belongs to the standard library, and environments have a setuptools."""
    providers = Providers(gate_only=frozenset({"setuptools"}), run_time=None)

    assert unprovided({"tests/conftest.py": "import distutils\n"}, providers, interpreter) == named


@pytest.mark.parametrize(
    ("run_time", "named"),
    [(frozenset({"setuptools"}), []), (None, []), (frozenset({"six"}), ["pkg_resources by setuptools"])],
)
def test_a_setuptools_of_the_tests_is_none_at_run_time(run_time: frozenset[str] | None, named: list[str]) -> None:
    providers = Providers(gate_only=frozenset(), run_time=run_time)
    texts = {"main.py": "import pkg_resources\n", "tests/test_app.py": "import pkg_resources\n"}

    assert unprovided(texts, providers) == named


def test_what_only_the_tests_require_provides_nothing_where_the_service_certainly_runs_without_it() -> None:
    providers = Providers(gate_only=frozenset(), run_time=None, undeployed=frozenset({"packaging"}))
    texts = {"main.py": "import packaging.version\n", "tests/test_app.py": "import packaging\n"}

    assert unprovided(texts, providers) == ["packaging by packaging"]


def test_what_is_not_required_by_its_extras() -> None:
    """Any other marker counts as one that applies."""
    held = entries(
        {
            "shop": ("click", 'pytest>=7; extra == "Test"'), "click": ('colorama; platform_system == "Windows"',),
            "colorama": (), "pytest": ("packaging", 'requests; extra == "dev"'), "packaging": (), "requests": (),
        }
    )  # fmt: skip
    assert unrequired_distributions(held, {"shop": ()}) == {"pytest", "packaging", "requests"}
    assert unrequired_distributions(held, {"shop": ("test",)}) == {"requests"}
    assert unrequired_distributions(held, {"shop": None}) == {"requests"}
    assert unrequired_distributions(held, {"shop": (), "pytest": ("dev",)}) == set()


def test_extras_may_ask_for_others_of_the_same_project() -> None:
    lines = ('shop[a,b]; extra == "all"', 'six; extra == "a"', 'idna; extra == "b"', 'shop[all]; extra == "more"')
    held = entries({"shop": lines, "six": (), "idna": ()})
    assert unrequired_distributions(held, {"shop": ("more",)}) == set()
    assert unrequired_distributions(held, {"shop": ("a",)}) == {"idna"}


def test_undeclared_distributions_are_those_that_nothing_declared_requires() -> None:
    held = entries({"fastapi": ("starlette",), "starlette": (), "pytest": ("pluggy",), "pluggy": (), "ghost": ()})

    assert unrequired_distributions(held, {"fastapi": None}) == {"pytest", "pluggy", "ghost"}
    assert unrequired_distributions(held, {"fastapi": None, "pytest": None}) == {"ghost"}


def test_the_reason_names_the_first_modules() -> None:
    found = [UnprovidedImport(path="main.py", line=line, module=name) for line, name in enumerate("abcde", 1)]

    reason = describe_unprovided([*found, found[0]], Interpreter(3, 12))

    assert "on 3.12: main.py:1 imports a, which nothing that is installed provides; main.py:2" in reason
    assert "; and 2 more modules. Require the project" in reason
    assert describe_unprovided([], Interpreter(3, 12)) == ""


@given(first=st.text(), second=st.text())
def test_no_text_makes_it_raise(first: str, second: str) -> None:
    texts = {
        "main.py": f"import app.x\n{first}".encode("utf-8", "replace").decode(),
        "tests/test_app.py": second.encode("utf-8", "replace").decode(),
    }

    assert isinstance(unprovided(texts), list)
