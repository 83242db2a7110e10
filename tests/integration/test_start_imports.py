"""What a service is started with is imported in its cell, with or without the .pth files of its environment."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import Cell, InstallRecipe, InstallStep, StartModule
from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.runners.start_job import import_in_batches, import_start_modules, start_job
from tests.integration.gate_runs import gate
from tests.integration.test_probe import Cells
from tests.support.fakes import cell_of, service, service_tree

pytestmark = pytest.mark.network

FILES = {
    "good.py": "import json\n",
    "serves.py": "import json\nraise SystemExit('serves')\n",
    "guarded.py": "import json\nif __name__ == '__main__':\n    raise SystemExit('serves')\n",
    "run-server.py": "import logging\nlogging.getLogger(__name__)\nraise SystemExit('serves')\n",
    "pkg/__init__.py": "",
    "pkg/__main__.py": "from pkg import inner\nraise SystemExit('serves')\n",
    "pkg/inner.py": "",
    "empty/__init__.py": "",
    "cmd/server.py": "",
    "inside/src/deep.py": "import beside\n",
    "inside/src/beside.py": "",
    "broken.py": "import no_such_module\n",
    "ends.py": "import os\nos._exit(3)\n",
    "shim.py": "import distutils.version\n",
    "pkg.py": "from pkg import inner\nraise SystemExit('serves')\n",
    "empty.py": "import empty\nif __name__ == '__main__':\n    raise SystemExit('serves')\n",
    "paths.py": "import os, sys\nsys.path.insert(0, os.path.dirname(__file__) + '/inside/src')\nimport deep\n",
    "unknown.py": "import sys\nHERE = '.'\nsys.path.append(HERE + '/inside/src')\nimport deep\n",
    "settings.py": "import os\nA, B = os.environ['BUCKET'], int(os.environ['port'])\nC = os.getenv('PREFIX') + A\n",
    "database.py": "import os\nURL = os.environ['DATABASE_URL']\nraise ConnectionError(URL)\n",
    "gunicorn.conf.py": "import logging\nworkers = undefined\n",
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')\n",
    "django/__init__.py": "import os\ndef setup():\n    os.environ['READY'] = os.environ['DJANGO_SETTINGS_MODULE']\n",
    "shop/management/commands/purge.py": "import os\nassert os.environ['READY'] == 'settings'\n",
    "broken-paths.py": "import sys\nsys.path.append('cmd')\nimport no_such_module\n",
}


@pytest.fixture
def cells(tmp_path: Path, gate_cache: Path) -> Iterator[Cells]:
    cells = Cells(folder=tmp_path, cache=gate_cache)
    yield cells
    cells.runner.close()


def imports(cells: Cells, interpreter: str, *modules: StartModule, target: str = "", requires: str = "") -> list[str]:
    """The last line of each traceback, in the order of ``modules``; empty if it imports."""
    step = InstallStep(tool="pip", location=Location(path="Dockerfile", line=1), arguments=("a",), target=target)
    recipe = InstallRecipe(source="Dockerfile", steps=(step,))
    cell: Cell = cell_of(interpreter, service(start_modules=modules, recipe=recipe, suite=None))
    root = service_tree(cells.folder / "repository" / cell.service.path, FILES).parents[1]
    environment = cells.environment(interpreter, *filter(None, [requires]))
    job = start_job(cell, cells.runner.find_interpreter(cell.interpreter), environment, root=root, built=False)
    outcomes = import_start_modules(cells.runner, job)
    return [outcomes[module.name].last_line for module in modules]


@pytest.mark.parametrize("target", ["", "/deps"])
@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_modules_are_imported_and_nothing_is_started(cells: Cells, interpreter: str, target: str) -> None:
    programs = [
        StartModule(name=name, folder=folder, is_program=True)
        for name, folder in (
            ("good", "."),
            ("serves", "."),
            ("guarded", "."),
            ("pkg", "."),
            ("run-server", "."),
            ("deep", "inside/src"),
        )
    ]
    assert imports(cells, interpreter, *programs, target=target) == [""] * 6


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_scripts_are_imported_as_files(cells: Cells, interpreter: str) -> None:
    """A package beside a script may have its name, and a script may add folders to the path."""
    names = ("pkg", "empty", "paths", "unknown", "run-server", "broken-paths")
    scripts = [StartModule(name=name, is_program=True, is_script=True) for name in names]
    missing = "ModuleNotFoundError: No module named 'no_such_module'"
    assert imports(cells, interpreter, *scripts) == ["", "", "", "", "", missing]


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_files_are_executed_and_commands_of_django_have_its_settings(cells: Cells, interpreter: str) -> None:
    file = StartModule(name="gunicorn.conf", is_script=True)
    command = StartModule(name="shop.management.commands.purge")
    assert imports(cells, interpreter, file, command) == ["NameError: name 'undefined' is not defined", ""]


def test_what_cannot_be_imported_is_reported(cells: Cells) -> None:
    """A folder without ``__init__.py`` loses against a module of the standard library, as with ``python -m``."""
    names = ("broken", "cmd.server", "empty", "ends")
    details = imports(cells, "3.12", *(StartModule(name=name, is_program=name != "ends") for name in names))
    assert details == [
        "ModuleNotFoundError: No module named 'no_such_module'",
        "ModuleNotFoundError: __path__ attribute not found on 'cmd' while trying to find 'cmd.server'",
        "ImportError: No module named empty.__main__",
        "exit code 3",
    ]


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_variables_that_a_module_lacks_get_placeholders(cells: Cells, interpreter: str) -> None:
    """What it needs apart from them is what is reported."""
    details = imports(cells, interpreter, *(StartModule(name=name) for name in ("settings", "database")))
    assert details == ["", "ConnectionError: postgresql://localhost:1/placeholder"]


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
@pytest.mark.parametrize("kind", [SuiteKind.PYTEST, SuiteKind.UNITTEST])
def test_what_a_suite_imports_of_the_start_is_recorded(cells: Cells, interpreter: str, kind: SuiteKind) -> None:
    """In a test as well, and from a folder that is on the path. pytest and unittest have a ``main.py`` of their own."""
    started = [
        StartModule(name="deep", folder="inside/src", is_program=True, is_script=True),
        StartModule(name="pkg.inner"),
        StartModule(name="pkg", is_program=True),
        StartModule(name="good", is_program=True),
        StartModule(name="main", is_program=True, is_script=True),
    ]
    test = (
        "import sys, unittest\nsys.path.append('inside/src')\nimport deep\nclass Test(unittest.TestCase):\n"
        "    def test_a(self):\n        import pkg.inner\n"
    )
    files = {**FILES, "test_a.py": test}
    arguments = ("test_a",) if kind is SuiteKind.UNITTEST else ()
    of = service(start_modules=tuple(started), suite=Suite(kind=kind, arguments=arguments))
    run = cells.suite(interpreter, files, of)
    assert [result.outcome for result in run.results.values()] == ["passed"]
    assert run.started_modules == ("deep", "pkg.inner")
    assert {"inside/src/deep.py", "pkg/inner.py", "test_a.py"} <= set(run.imported_files)


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_modules_are_imported_one_after_the_other(cells: Cells, interpreter: str) -> None:
    """One that fails says why; after one with which the process ends, the others are tried."""
    cell = cell_of(interpreter, service(suite=None))
    root = service_tree(cells.folder / "repository" / cell.service.path, FILES).parents[1]
    build, environment = cells.runner.find_interpreter(cell.interpreter), cells.environment(interpreter)
    job = start_job(cell, build, environment, root=root, built=False)
    modules = [StartModule(name=name) for name in ("good", "pkg.inner", "broken", "ends", "empty")]
    modules.append(StartModule(name="deep", folder="inside/src"))

    together = import_in_batches(cells.runner, job, modules, after=["serves"])
    alone = import_in_batches(cells.runner, job, modules, alone=True)

    missing = "ModuleNotFoundError: No module named 'no_such_module'"
    results = {name: imported.last_line for (_, name), imported in together.items()}
    ended = "the process that imports it ended early"
    assert results == {"good": "", "pkg.inner": "", "broken": missing, "ends": ended, "empty": "", "deep": ""}
    assert {name: imported.last_line for (_, name), imported in alone.items()} == results


def test_distutils_of_setuptools_needs_a_pth_file(cells: Cells) -> None:
    shim = StartModule(name="shim")
    assert imports(cells, "3.12", shim, requires="setuptools==75.0.0") == [""]
    assert imports(cells, "3.12", shim, target="/deps", requires="setuptools==75.0.0") == [
        "ModuleNotFoundError: No module named 'distutils'"
    ]
    assert imports(cells, "3.11", shim, target="/deps", requires="setuptools==75.0.0") == [""]


def test_a_worker_that_only_the_tools_of_the_tests_can_import_blocks(tmp_path: Path, gate_cache: Path) -> None:
    """pytest brings packaging, which gunicorn 27 does not require any more, but its worker for gevent imports."""
    root = service_tree(
        tmp_path / "repository",
        {
            "py312.toml": 'target = "3.12"\ninterpreters = ["3.9", "3.12"]\n',
            "svc/Dockerfile": 'FROM python:3.9-slim\nCMD ["gunicorn", "-k", "gevent", "app:app"]\n',
            "svc/requirements.txt": "gevent\ngunicorn<24; python_version < '3.12'\n"
            "gunicorn==27.0.1; python_version >= '3.12'\n",
            "svc/app.py": "app = None\n",
            "svc/tests/test_app.py": "def test_app():\n    pass\n",
        },
    )
    report = root / "report.json"
    done = gate(root, gate_cache, f"--py312-report={report}", checks="py312_dependencies", seconds=600)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    outcomes = json.loads(report.read_text(encoding="utf-8"))["outcomes"]
    blocking = {
        (str(outcome["interpreter"]), finding["code"], finding["remedy"])
        for outcome in outcomes
        for finding in outcome["findings"]
        if finding["severity"] == "error"
    }
    assert blocking == {("3.12", "PY117", "require packaging, which only another project requires on 3.9")}
