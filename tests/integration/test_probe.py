"""The probe in real cells: pytest, unittest, other commands and imports, on every available interpreter."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from uv import find_uv_bin

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import CodeGeneration, Distribution, InstallRecipe, Service
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.model.plan import FurtherTest, ServiceSettings, Suite, SuiteKind
from pytest_py312.core.process import ExitReason
from pytest_py312.dependencies.resolution.lock import ResolutionRequest
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.environments import EnvironmentStore
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable, ProbeJob, ProbeResult
from pytest_py312.runners.suite_job import parse_suite_run, suite_job
from tests.support.fakes import cell_of, service, service_tree

ALL = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
TOGETHER = ("3.9", "3.10", "3.12")


@dataclass
class Cells:
    """A repository with one service, and cells of it on real interpreters."""

    folder: Path
    cache: Path
    run_id: str = field(default_factory=lambda: uuid4().hex)

    def __post_init__(self) -> None:
        self.runner = LocalRunner(
            cache=self.cache,
            uv=Path(find_uv_bin()),
            run_id=self.run_id,
            run_folder=self.folder / "run",
            download_interpreters=False,
        )

    def environment(self, interpreter: str, *lines: str) -> Path:
        """Return an environment in which the requirements ``lines`` are installed."""
        runner = self.runner
        try:
            build = runner.find_interpreter(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))
        resolver = UvResolver(cache=self.cache, runner=runner, uv_version="test", lock_hours=24.0)
        request = ResolutionRequest(lines=lines)
        pins = resolver.resolve(request, build).pins if lines else ()
        store, environments = (
            DistributionStore(cache=self.cache, runner=runner),
            EnvironmentStore(cache=self.cache, runner=runner),
        )
        store.fill(pins, build, request)
        entries = [entry for pin in pins if (entry := store.get(pin, build))]
        key = environments.key_for([pin.line for pin in pins], build)
        return environments.create(key, entries, build).folder

    def suite(
        self,
        interpreter: str,
        files: Mapping[str, str],
        of: Service | None = None,
        *,
        requires: tuple[str, ...] | None = None,
        select: tuple[str, ...] = (),
        test_limit: float = 0.0,
        **limits: Any,
    ) -> SuiteRun:
        """Run the suite of a service that consists of ``files``; it uses pytest unless ``of`` is given."""
        cell = cell_of(interpreter, of)
        if requires is None:
            suite = cell.service.suite
            requires = ("pytest",) if suite is not None and suite.kind is SuiteKind.PYTEST else ()
        environment = self.environment(interpreter, *requires)
        root = self.folder / "repository"
        service_tree(root / cell.service.path, files)
        build = self.runner.find_interpreter(cell.interpreter)
        job = suite_job(cell, build, environment, root=root, built=False, select=select)
        if test_limit:
            job = replace(job, request={**job.request, "test_limit": test_limit})
        return parse_suite_run(self.runner.run(replace(job, **limits)), cell, {})

    def imports(self, interpreter: str, *modules: str, written: Mapping[str, str] | None = None) -> ProbeResult:
        """Import ``modules`` in an environment that has only what is ``written``: file to text."""
        environment = self.environment(interpreter)
        site = next((environment / "lib").glob("python*/site-packages"))
        for name, text in (written or {}).items():
            (site / name).write_text(text, encoding="utf-8")
        return self.runner.run(
            ProbeJob(
                identifier=f"imports-{interpreter}",
                build=self.runner.find_interpreter(Interpreter.parse(interpreter)),
                environment=environment,
                root=self.folder,
                folders=(),
                request={"kind": "imports", "modules": list(modules)},
            )
        )


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cells(tmp_path: Path, shared_cache: Path) -> Iterator[Cells]:
    made = Cells(folder=tmp_path, cache=shared_cache)
    yield made
    made.runner.close()


def outcomes(run: SuiteRun) -> dict[str, str]:
    """Return the outcome of each test, by its id without the file."""
    return {name.split("::", 1)[-1]: result.outcome for name, result in run.results.items()}


def of_kind(kind: SuiteKind, *arguments: str, **more: Any) -> Service:
    return service(suite=Suite(kind=kind, arguments=arguments, **more))


# ---- where it is run


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_suite_is_run_in_its_folder(cells: Cells, interpreter: str) -> None:
    """As with `python -m pytest` there: imports begin in that folder, and not in the service's."""
    of = of_kind(SuiteKind.PYTEST, "user-service/tests", folder="services")
    test = "import os, sys\ndef test_folder(): assert os.getcwd() in sys.path and os.getcwd()[-8:] == 'services'\n"
    assert outcomes(cells.suite(interpreter, {"tests/test_a.py": test}, of)) == {"test_folder": "passed"}


def test_what_prepares_a_suite_is_run_in_the_service(cells: Cells) -> None:
    of = of_kind(SuiteKind.PYTEST, "user-service/tests", folder="services")
    of = replace(of, settings=replace(of.settings, prepare=(("mkdir", "made"),)))
    test = "import os\ndef test_made(): assert os.path.isdir('user-service/made')\n"
    assert outcomes(cells.suite("3.12", {"tests/test_a.py": test}, of)) == {"test_made": "passed"}


# ---- warnings

WARNING = {
    "pytest.ini": """
[pytest]
filterwarnings =
    ignore::DeprecationWarning
    ignore:worth nothing
    error:be strict
""",
    "tests/test_warned.py": """
import unittest, warnings
import pytest

def old(text="old() will be removed in Python 3.12"): warnings.warn(text, DeprecationWarning, stacklevel=2)

old("while it is collected")
def test_ignored(): old()  # heard
def test_twice(): old(), old()  # heard
def test_collecting():
    with warnings.catch_warnings(record=True) as seen:
        old("nobody is to see it")
    assert seen == []
def test_strict():
    with pytest.raises(DeprecationWarning): warnings.warn("be strict", DeprecationWarning)
def test_expected():
    with pytest.warns(DeprecationWarning): old("expected")
def test_seen(recwarn):
    old("seen")
    assert len(recwarn) == 1
@pytest.mark.filterwarnings("ignore:marked")
def test_marked(): warnings.warn("marked as ignored", PendingDeprecationWarning)
@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_marked_as_error():
    with pytest.raises(DeprecationWarning): old("an error here")
def test_of_users(): warnings.warn("worth nothing", UserWarning)
def test_often():
    for _ in range(5000): warnings.warn("all the time", DeprecationWarning)
def test_shown(): warnings.warn("shown", FutureWarning)
def test_logged(caplog):
    import logging
    logging.captureWarnings(True)
    old("not logged")
    logging.captureWarnings(False)
    assert caplog.messages == []

class TestCase(unittest.TestCase):
    def test_own(self):
        with self.assertWarns(DeprecationWarning): old("asserted")
        old()  # heard
""",
}


@pytest.mark.parametrize("interpreter", ALL)
def test_ignored_deprecations_are_recorded_without_side_effects(cells: Cells, interpreter: str) -> None:
    """With their real location. Error filters still apply, and tests that collect warnings collect the same."""
    run = cells.suite(interpreter, WARNING)
    assert set(outcomes(run).values()) == {"passed"}, outcomes(run)
    assert len(run.results) == 13
    file = "services/user-service/tests/test_warned.py"
    text = WARNING["tests/test_warned.py"].splitlines()
    places = [f"{file}:{number}" for number, line in enumerate(text, start=1) if line.endswith("# heard")]
    old = "old() will be removed in Python 3.12"
    assert {warning.origin: warning.count for warning in run.warnings if warning.message == old} == dict(
        zip(places, (1, 2, 1), strict=True)
    )
    others = {warning.message: warning.origin.rpartition(":")[0] for warning in run.warnings if warning.message != old}
    assert others == dict.fromkeys(("while it is collected", "marked as ignored", "shown", "all the time"), file)
    assert [warning.count for warning in run.warnings if warning.message == "all the time"] == [1000]
    assert "while it is collected" not in run.output_tail
    assert "1 warning" in run.output_tail


@pytest.mark.parametrize("version", ["5.4.3", "6.2.5"])
def test_warnings_are_recorded_with_old_versions_of_pytest(cells: Cells, version: str) -> None:
    """Before pytest 6 the hook for warnings has another name, and unknown hooks are errors."""
    run = cells.suite("3.9", WARNING, requires=(f"pytest=={version}",))
    assert set(outcomes(run).values()) == {"passed"}, (outcomes(run), run.incomplete_reason)
    messages = {warning.message for warning in run.warnings}
    assert {"old() will be removed in Python 3.12", "marked as ignored", "shown"} <= messages


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_warnings_of_unittest_suites_are_recorded(cells: Cells, interpreter: str) -> None:
    """In imports and in tests."""
    code = """
import unittest, warnings
warnings.warn("at import", DeprecationWarning)
class TestApp(unittest.TestCase):
    def test_a(self):
        with warnings.catch_warnings(record=True) as seen:
            warnings.warn("nobody is to see it", DeprecationWarning)
        self.assertEqual(seen, [])
        warnings.warn("in a test", PendingDeprecationWarning)
"""
    run = cells.suite(interpreter, {"test_app.py": code}, of_kind(SuiteKind.UNITTEST))
    assert outcomes(run) == {"test_app.TestApp.test_a": "passed"}
    assert [(warning.message, warning.origin) for warning in run.warnings] == [
        ("at import", "services/user-service/test_app.py:3"),
        ("in a test", "services/user-service/test_app.py:9"),
    ]


# ---- pytest

EVERY_END = {
    "tests/test_ends.py": """
import pytest

def test_passes(): assert True
def test_fails(): assert [1] == [2], "not the same"

@pytest.fixture
def no_setup(): raise OSError("no setup")
def test_setup(no_setup): pass

@pytest.fixture
def no_teardown():
    yield
    raise OSError("no teardown")
def test_teardown(no_teardown): pass

@pytest.mark.skip(reason="not today")
def test_skipped(): pass
@pytest.mark.xfail(reason="known")
def test_xfailed(): assert False
@pytest.mark.xfail
def test_xpassed(): pass
@pytest.mark.parametrize("text", ["a", "b c", "ü"])
def test_each(text): assert text != "b c"

class TestGroup:
    def test_inside(self): pass
""",
    "tests/test_broken.py": "import no_such_module_anywhere\n\ndef test_never(): pass\n",
}


@pytest.mark.network
@pytest.mark.parametrize("interpreter", ALL)
def test_all_outcomes_of_pytest_are_distinguished(cells: Cells, interpreter: str) -> None:
    run = cells.suite(interpreter, EVERY_END)

    assert run.complete, run.incomplete_reason
    assert outcomes(run) == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_setup": "error",
        "test_teardown": "error",
        "test_skipped": "skipped",
        "test_xfailed": "xfailed",
        "test_xpassed": "xpassed",
        "test_each[a]": "passed",
        "test_each[b c]": "failed",
        "test_each[\\xfc]": "passed",
        "TestGroup::test_inside": "passed",
    }
    assert list(run.collection_errors) == ["tests/test_broken.py"]
    assert "no_such_module_anywhere" in run.collection_errors["tests/test_broken.py"]
    assert "not the same" in run.results["tests/test_ends.py::test_fails"].detail
    assert "not today" in run.results["tests/test_ends.py::test_skipped"].detail


def test_of_a_long_exception_the_first_line_is_kept(cells: Cells) -> None:
    files = {"test_a.py": "def test_a():\n    raise ValueError('answer 500' + '\\n<p>' * 40)\n"}
    (result,) = cells.suite("3.12", files).results.values()
    assert result.detail.splitlines()[0] == "E       ValueError: answer 500"
    assert len(result.detail.splitlines()) == 15


@pytest.mark.network
@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_failing_test_does_not_stop_the_suite(cells: Cells, interpreter: str) -> None:
    """``-x`` in a suite's arguments would hide tests after a failure on both sides."""
    files = {"test_x.py": "def test_a(): assert False\ndef test_b(): pass\n"}

    for arguments in (("-x",), ("--maxfail=1", "--exitfirst")):
        run = cells.suite(interpreter, files, of_kind(SuiteKind.PYTEST, *arguments))
        assert outcomes(run) == {"test_a": "failed", "test_b": "passed"}


@pytest.mark.network
def test_a_configuration_that_needs_pytests_cache_works(cells: Cells) -> None:
    files = {
        "pytest.ini": "[pytest]\naddopts = --ff --strict-config\ncache_dir = .cache/pytest\n",
        "test_x.py": "def test_a(): pass\n",
    }

    run = cells.suite("3.12", files)

    assert run.incomplete_reason == ""
    assert outcomes(run) == {"test_a": "passed"}


CI_OPTIONS = "--cov=app --cov-report term-missing --cov-fail-under=90 -n4 --timeout 30 --html=report.html --reruns=2"


@pytest.mark.network
@pytest.mark.parametrize("interpreter", TOGETHER)
def test_options_of_plugins_that_are_not_installed_are_accepted(cells: Cells, interpreter: str) -> None:
    """They are for the project's CI, and decide about no test."""
    files = {"pytest.ini": f"[pytest]\naddopts = -q {CI_OPTIONS}\n", "test_x.py": "def test_a(): pass\n"}

    run = cells.suite(interpreter, files)

    assert run.incomplete_reason == ""
    assert outcomes(run) == {"test_a": "passed"}


@pytest.mark.network
def test_an_option_of_a_conftest_is_its_own(cells: Cells) -> None:
    files = {
        "pytest.ini": "[pytest]\naddopts = --timeout=7 --cov\n",
        "conftest.py": "def pytest_addoption(parser): parser.addoption('--timeout', type=int)\n",
        "test_x.py": "def test_a(pytestconfig): assert pytestconfig.getoption('timeout') == 7\n",
    }

    run = cells.suite("3.12", files)

    assert run.incomplete_reason == ""
    assert outcomes(run) == {"test_a": "passed"}


@pytest.mark.network
def test_an_option_that_decides_about_tests_is_refused(cells: Cells) -> None:
    """Without its plugin, nothing of the suite is known."""
    files = {"pytest.ini": "[pytest]\naddopts = --ds=app.settings\n", "test_x.py": "def test_a(): pass\n"}

    run = cells.suite("3.12", files)

    assert not run.complete
    assert "pytest was called wrongly (exit code 4)" in run.incomplete_reason


@pytest.mark.network
def test_selected_tests_run_with_the_suites_options_and_without_its_paths(cells: Cells) -> None:
    files = {
        "pytest.ini": "[pytest]\nmarkers = slow\n",
        "tests/test_x.py": "import pytest\n\ndef test_a(): pass\n\n@pytest.mark.slow\ndef test_b(): pass\n",
        "tests/test_y.py": "def test_c(): pass\n",
    }
    suite = of_kind(SuiteKind.PYTEST, "-m", "not slow", "tests", "-p", "no:doctest")

    run = cells.suite("3.12", files, suite, select=("tests/test_x.py::test_a", "tests/test_x.py::test_b"))

    assert run.complete, run.incomplete_reason
    assert outcomes(run) == {"test_a": "passed"}


@pytest.mark.network
@pytest.mark.parametrize("interpreter", TOGETHER)
def test_subtests_count_for_their_test(cells: Cells, interpreter: str) -> None:
    files = {
        "test_x.py": """
import unittest

class Case(unittest.TestCase):
    def test_one_bad(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)
    def test_all_good(self):
        with self.subTest("only"):
            pass
"""
    }

    run = cells.suite(interpreter, files)

    assert outcomes(run) == {"Case::test_one_bad": "failed", "Case::test_all_good": "passed"}


@pytest.mark.network
@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_class_that_needs_the_name_of_its_test_is_collected(cells: Cells, interpreter: str) -> None:
    """As those of Tornado before 6.4.1: unittest runs them, and pytest 8.2 asks for one without a test."""
    files = {
        "test_x.py": """
import unittest

class Base(unittest.TestCase):
    def __init__(self, name="runTest"):
        super().__init__(name)
        setattr(self, name, getattr(self, name))

class Case(Base):
    def test_good(self): pass
    def test_bad(self): self.fail()
"""
    }
    run = cells.suite(interpreter, files)

    assert outcomes(run) == {"Case::test_good": "passed", "Case::test_bad": "failed"}, run.collection_errors
    assert not run.collection_errors


@pytest.mark.network
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("os.abort()", "SIGABRT"),
        ("os._exit(0)", "exit code 0"),
        ("os._exit(3)", "exit code 3"),
    ],
)
def test_a_test_that_ends_the_interpreter_is_an_error(cells: Cells, code: str, expected: str) -> None:
    files = {"test_x.py": f"import os\ndef test_a(): pass\ndef test_b(): {code}\ndef test_c(): pass\n"}

    run = cells.suite("3.12", files)

    assert outcomes(run) == {"test_a": "passed", "test_b": "error"}
    assert expected in run.results["test_x.py::test_b"].detail


@pytest.mark.network
@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_forked_child_reports_nothing(cells: Cells, interpreter: str) -> None:
    files = {"test_x.py": "import os\ndef test_a():\n    assert os.fork() >= 0\ndef test_b(): pass\n"}

    run = cells.suite(interpreter, files)

    assert run.complete, run.incomplete_reason
    assert outcomes(run) == {"test_a": "passed", "test_b": "passed"}
    assert len(run.results) == 2


HANGS = "import {module}\nimport time\n{body}"
PYTEST_BODY = "def test_a(): time.sleep(60)\ndef test_b(): pass\n"
UNITTEST_BODY = "class TestX(unittest.TestCase):\n    def test_a(self): time.sleep(60)\n    def test_b(self): pass\n"
ALARM = "import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\n"


@pytest.mark.network
@pytest.mark.parametrize("interpreter", TOGETHER)
@pytest.mark.parametrize("kind", [SuiteKind.PYTEST, SuiteKind.UNITTEST])
def test_a_test_that_never_ends_fails_and_the_others_run(cells: Cells, interpreter: str, kind: SuiteKind) -> None:
    is_pytest = kind is SuiteKind.PYTEST
    module, body = ("pytest", PYTEST_BODY) if is_pytest else ("unittest", UNITTEST_BODY)
    files = {"test_x.py": HANGS.format(module=module, body=body)}

    run = cells.suite(interpreter, files, of_kind(kind, *([] if is_pytest else ["test_x"])), test_limit=1.0)

    results = {name.replace("::", ".").rpartition(".")[2]: result for name, result in run.results.items()}
    assert {name: result.outcome for name, result in results.items()} == {"test_a": "failed", "test_b": "passed"}
    assert "did not end within 1 s" in results["test_a"].detail
    assert run.complete


@pytest.mark.network
def test_a_suite_that_uses_the_alarm_keeps_it(cells: Cells) -> None:
    files = {"conftest.py": ALARM, "test_x.py": "import time\ndef test_a(): time.sleep(2)\n"}

    assert outcomes(cells.suite("3.12", files, test_limit=0.5)) == {"test_a": "passed"}


@pytest.mark.network
def test_results_before_the_time_limit_are_kept(cells: Cells) -> None:
    files = {"test_x.py": "import time\ndef test_a(): pass\ndef test_b(): time.sleep(600)\n"}

    run = cells.suite("3.12", files, time_limit=4.0)

    assert not run.complete
    assert "time limit of 4 s reached" in run.incomplete_reason
    assert outcomes(run)["test_a"] == "passed"


MODIFIES_PROCESS = {
    "reuses descriptors": """
import os
def test_a():
    os.closerange(3, 256)
    global kept
    kept = [open("file%d" % number, "w") for number in range(20)]
def test_b(): assert [os.stat(file.name).st_size for file in kept] == [0] * 20
""",
    "prints to both streams": """
import os, sys
def test_a():
    print("x" * 3_000_000); print("y" * 3_000_000, file=sys.stderr)
    os.write(1, b"z" * 300_000); os.write(2, b"\\xff" * 300_000)
def test_b(): pass
""",
    "changes its folder": "import os\ndef test_a(): os.chdir('/')\ndef test_b(): pass\n",
    "deletes its folder": """
import os
def test_a():
    os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
def test_b(): pass
""",
    "loses its streams": "import sys\ndef test_a(): sys.stdout = sys.stderr = None\ndef test_b(): pass\n",
    "leaves a thread": """
import threading, time
def test_a(): threading.Thread(target=time.sleep, args=(600,)).start()
def test_b(): pass
""",
    "replaces what the probe uses": """
import json, os, pytest

@pytest.fixture(scope="module", autouse=True)
def replaced():
    with pytest.MonkeyPatch.context() as patch:
        for module, names in ((os, ("open", "write", "close", "getpid")), (json, ("dumps",))):
            for name in names: patch.setattr(module, name, lambda *words, **named: 1 / 0)
        yield
def test_a(): pass
def test_b(): pass
""",
}


@pytest.mark.network
@pytest.mark.parametrize("what", MODIFIES_PROCESS)
def test_suites_that_modify_their_process_are_reported(cells: Cells, what: str) -> None:
    run = cells.suite("3.12", {"test_rude.py": MODIFIES_PROCESS[what]}, of_kind(SuiteKind.PYTEST, "-s"))

    assert run.incomplete_reason == "", run.output_tail
    assert outcomes(run) == {"test_a": "passed", "test_b": "passed"}


@pytest.mark.network
def test_a_suite_that_removes_its_folder_is_incomplete(cells: Cells) -> None:
    files = {"test_x.py": "import os, shutil\ndef test_a(): pass\ndef test_b(): shutil.rmtree(os.getcwd())\n"}

    run = cells.suite("3.12", files)

    assert not run.complete
    assert outcomes(run)["test_a"] == "passed"


@pytest.mark.network
@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import pytest\ndef test_b(): pytest.exit('enough')\n", "interrupted: enough"),
        ("import pytest\ndef test_b(): pytest.exit('enough', 0)\n", "interrupted: enough"),
        ("def test_b(): raise KeyboardInterrupt\n", "interrupted"),
    ],
)
def test_an_aborted_run_is_incomplete(cells: Cells, code: str, word: str) -> None:
    """Also with a collection error: tests that were not run must not look as if they did not exist."""
    files = {"test_a.py": "import no_such_module_anywhere\n", "test_b.py": code, "test_c.py": "def test_c(): pass\n"}

    run = cells.suite("3.12", files)

    assert not run.complete
    assert word in run.incomplete_reason


@pytest.mark.network
def test_the_suites_import_mode_is_used(cells: Cells) -> None:
    files = {"a/test_same.py": "def test_a(): pass\n", "b/test_same.py": "def test_b(): pass\n"}

    apart = cells.suite("3.12", files, of_kind(SuiteKind.PYTEST, import_mode="importlib"))

    assert outcomes(apart) == {"test_a": "passed", "test_b": "passed"}
    assert not apart.collection_errors


@pytest.mark.network
@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_static_distribution_appears_installed(cells: Cells, interpreter: str) -> None:
    """Its code, metadata and console script, in the suite and its child processes."""
    files = {
        "src/billing/__init__.py": "def main():\n    print('billed')\n",
        "tests/test_x.py": """
import importlib.metadata, subprocess, sys

def test_import():
    import billing
def test_metadata():
    assert importlib.metadata.version("acme-billing") == "1.2.3"
def test_script():
    assert subprocess.check_output(["billing"]).strip() == b"billed"
def test_plugin():
    points = importlib.metadata.entry_points()
    group = points.select(group="a.readers") if hasattr(points, "select") else points["a.readers"]
    assert [(point.name, point.value) for point in group if point.name == "csv"] == [("csv", "billing:main")]
def test_child():
    subprocess.check_call([sys.executable, "-c", "import billing"], cwd="/")
""",
    }
    distribution = Distribution(
        name="acme-billing", version="1.2.3", static=True, source_roots=("src",),
        scripts=(("billing", "billing:main"),),
        plugins=(("a.readers", "csv", "billing:main"), ("a.readers", "xml", "billing:main")),
    )  # fmt: skip

    run = cells.suite(interpreter, files, service(distribution=distribution))

    assert set(outcomes(run).values()) == {"passed"}, run.output_tail
    assert len(run.results) == 5


@pytest.mark.network
def test_prepare_commands_run_first_and_must_succeed(cells: Cells) -> None:
    files = {"test_x.py": "def test_a():\n    import made\n"}
    settings = service().settings
    making = replace(settings, prepare=(("python", "-c", "open('made.py', 'w').close()"),))
    failing = replace(settings, prepare=(("python", "-c", "raise SystemExit('no protoc')"),))
    absent = replace(settings, prepare=(("no-such-program-anywhere", "x"),))

    assert outcomes(cells.suite("3.12", files, service(settings=making))) == {"test_a": "passed"}
    for settings, word in ((failing, "exited with 1"), (absent, "exited with 127")):
        run = cells.suite("3.12", files, service(settings=settings))
        assert not run.complete
        assert "prepare command" in run.incomplete_reason
        assert word in run.incomplete_reason


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_modules_are_generated_before_the_suite(cells: Cells, interpreter: str) -> None:
    """By what the recipe says. The repository of the cell has the input, beside the service."""
    protoc = "import sys\nopen(sys.argv[1] + '/user_pb2.py', 'w').write('NAME = 1')\nopen(sys.argv[2]).close()\n"
    files = {
        "grpc_tools/__init__.py": "",
        "grpc_tools/protoc.py": protoc,
        "user.proto": "",
        "test_x.py": "def test_a():\n    from gen.user_pb2 import NAME\n",
    }
    words = ("python", "-m", "grpc_tools.protoc")
    place = Location(path="Dockerfile", line=1)
    made = CodeGeneration(words=(*words, "gen", "user.proto"), outputs=("gen",), folders=(), location=place)
    failing = CodeGeneration(words=(*words, "gen", "absent"), outputs=("gen",), folders=(), location=place)

    def with_generations(*generations: CodeGeneration) -> Service:
        return replace(service(), recipe=InstallRecipe(source="Dockerfile", generations=generations))

    assert outcomes(cells.suite(interpreter, files, with_generations(failing, made))) == {"test_a": "passed"}
    assert outcomes(cells.suite(interpreter, files)) == {"test_a": "failed"}


@pytest.mark.network
def test_the_users_files_are_not_changed(cells: Cells) -> None:
    files = {"test_x.py": "def test_a():\n    open('left', 'w').close()\n    open(__file__, 'a').write('#')\n"}

    run = cells.suite("3.12", files)

    folder = cells.folder / "repository" / service().path
    assert outcomes(run) == {"test_a": "passed"}
    assert {path.name: path.read_text() for path in folder.iterdir()} == files
    assert not list((cells.folder / "run" / "cells").iterdir())


# ---- unittest


@pytest.mark.parametrize("interpreter", ALL)
def test_all_outcomes_of_unittest_are_distinguished(cells: Cells, interpreter: str) -> None:
    files = {
        "tests/__init__.py": "",
        "tests/test_ends.py": """
import unittest

class Ends(unittest.TestCase):
    def test_passes(self): pass
    def test_fails(self): self.assertEqual(1, 2)
    def test_errs(self): raise OSError
    @unittest.skip("not today")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_xfailed(self): self.fail()
    @unittest.expectedFailure
    def test_xpassed(self): pass
    def test_subtests(self):
        for number in range(3):
            with self.subTest(number=number): self.assertNotEqual(number, 1)
    def test_subtest_then_skip(self):
        with self.subTest("bad"): self.fail()
        self.skipTest("the rest is skipped")

class BadTeardown(unittest.TestCase):
    def tearDown(self): raise OSError("no teardown")
    def test_teardown(self): pass

class NoClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError("no class")
    def test_never(self): pass
""",
        "tests/test_broken.py": "import no_such_module_anywhere\n",
    }

    run = cells.suite(interpreter, files, of_kind(SuiteKind.UNITTEST, "discover", "-t", ".", "-s", "tests"))

    assert run.complete, run.incomplete_reason
    assert {name.rpartition(".")[2]: result.outcome for name, result in run.results.items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_errs": "error",
        "test_skipped": "skipped",
        "test_xfailed": "xfailed",
        "test_xpassed": "xpassed",
        "test_subtests": "failed",
        "test_subtest_then_skip": "failed",
        "test_teardown": "error",
    }
    assert sorted(run.collection_errors) == ["setUpClass (tests.test_ends.NoClass)", "tests.test_broken"]


@pytest.mark.parametrize("interpreter", ALL)
def test_a_unittest_class_that_skips_itself_does_not_end_the_suite(cells: Cells, interpreter: str) -> None:
    files = {
        "test_x.py": """
import unittest

class A(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise unittest.SkipTest("no database")
    def test_a(self): pass

class B(unittest.TestCase):
    def test_b(self): pass
"""
    }

    run = cells.suite(interpreter, files, of_kind(SuiteKind.UNITTEST))

    assert run.complete, run.output_tail
    assert run.results["test_x.B.test_b"].outcome == "passed"


def test_selected_unittest_tests_run_alone(cells: Cells) -> None:
    code = "import unittest\nclass A(unittest.TestCase):\n  def test_a(self): pass\n  def test_b(self): pass\n"

    run = cells.suite("3.12", {"test_x.py": code}, of_kind(SuiteKind.UNITTEST), select=("test_x.A.test_b",))

    assert list(run.results) == ["test_x.A.test_b"]


# ---- other commands

JUNIT = """
import sys
open("report.xml", "w").write('''<testsuites><testsuite name="s">
<testcase classname="c" name="good" time="0.5"/>
<testcase classname="c" name="bad" time="nonsense"><failure message="boom">at line 3</failure></testcase>
<testcase classname="c" name="ill"><error message="ouch"/></testcase>
<testcase classname="c" name="idle"><skipped message="no"/></testcase>
<testcase name="twice"><failure message="the first of two"/></testcase>
<testcase name="twice"/>
</testsuite></testsuites>''')
sys.exit(1)
"""


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_results_of_a_command_are_read_from_its_junit_file(cells: Cells, interpreter: str) -> None:
    """Of two tests with one name the worse result counts."""
    suite = of_kind(SuiteKind.COMMAND, "python", "run.py", junit="report.xml")

    run = cells.suite(interpreter, {"run.py": JUNIT}, suite)

    assert run.complete, run.incomplete_reason
    assert {name: result.outcome for name, result in run.results.items()} == {
        "c::good": "passed",
        "c::bad": "failed",
        "c::ill": "error",
        "c::idle": "skipped",
        "twice": "failed",
    }
    assert "boom" in run.results["c::bad"].detail


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"run.py": "raise SystemExit(7)"}, "exited with 7, and its JUnit file cannot be read"),
        ({"run.py": "open('report.xml', 'w').write('<testsuite>')"}, "its JUnit file cannot be read"),
        # a committed report, or one of a prepare command, does not count
        (
            {"run.py": "raise SystemExit(7)", "report.xml": "<a><testcase name='old'/></a>"},
            "its JUnit file cannot be read",
        ),
        # all tests pass, but the exit code reports a failure
        (
            {"run.py": "open('report.xml', 'w').write('<a><testcase name=\"x\"/></a>'); raise SystemExit(9)"},
            "exited with 9",
        ),
    ],
)
def test_a_command_without_its_own_report_is_incomplete(cells: Cells, files: dict[str, str], word: str) -> None:
    suite = of_kind(SuiteKind.COMMAND, "python", "run.py", junit="report.xml")

    run = cells.suite("3.12", files, suite)

    assert not run.complete
    assert word in run.incomplete_reason


def test_a_missing_command_is_incomplete(cells: Cells) -> None:
    run = cells.suite("3.12", {"x": ""}, of_kind(SuiteKind.COMMAND, "no-such-program-anywhere", junit="r.xml"))

    assert not run.complete
    assert "could not be started" in run.incomplete_reason


# ---- imports


@pytest.mark.parametrize("interpreter", ALL)
def test_each_module_is_imported(cells: Cells, interpreter: str) -> None:
    done = cells.imports(interpreter, "json", "no_such_module_anywhere", "xml.dom")

    assert done.failure == ""
    answers = {record["module"]: record["ok"] for record in done.records if record["event"] == "import"}
    assert answers == {"json": True, "xml.dom": True, "no_such_module_anywhere": False}


def test_removed_modules_fail_on_the_target_only(cells: Cells) -> None:
    for interpreter, exists in (("3.9", True), ("3.10", True), ("3.12", False)):
        done = cells.imports(interpreter, "asynchat", "imp")
        answers = {record["module"]: record["ok"] for record in done.records if record["event"] == "import"}
        assert answers == {"asynchat": exists, "imp": exists}


@pytest.mark.parametrize("kind", ["module", "file"])
def test_a_module_that_parses_the_command_line_gets_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from pytest_py312.runners.agent import import_probe, probe

    (tmp_path / "tool.py").write_text("import argparse\nargparse.ArgumentParser().parse_args()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert import_probe.import_alone(probe, "tool", kind, folder=str(tmp_path)) == (True, "exit code 0")


HELPERS = ("import_probe", "pytest_probe", "unittest_probe", "warning_probe", "time_limit")


@pytest.mark.parametrize("kind", [SuiteKind.PYTEST, SuiteKind.UNITTEST])
def test_a_service_may_have_modules_of_the_names_of_the_probes(cells: Cells, kind: SuiteKind) -> None:
    """Neither hides the other."""
    values = "\n".join(f"        self.assertEqual({name}.VALUE, 1)" for name in HELPERS)
    test = f"import unittest, {', '.join(HELPERS)}\nclass T(unittest.TestCase):\n    def test_a(self):\n{values}\n"
    files = {"test_x.py": test, **{f"{name}.py": "VALUE = 1\n" for name in HELPERS}}
    run = cells.suite("3.12", files, of_kind(kind))
    assert [result.outcome for result in run.results.values()] == ["passed"]


def test_the_modules_of_the_probes_are_not_importable(cells: Cells) -> None:
    done = cells.imports("3.12", *HELPERS)
    assert [record["ok"] for record in done.records if record["event"] == "import"] == [False] * len(HELPERS)


# ---- the probe itself


def test_wrong_arguments_print_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    from pytest_py312.runners.agent import probe

    assert probe.main(["probe.py"]) == 2
    assert "REQUEST.json" in capsys.readouterr().err


def test_each_record_is_a_json_object_on_one_line(tmp_path: Path) -> None:
    from pytest_py312.runners.agent.probe import Records

    Records(str(tmp_path / "records")).add("test", id="a\nb\ud800", outcome="passed")

    lines = (tmp_path / "records").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "a\nb\ud800", "outcome": "passed", "event": "test"}]


def test_a_cell_that_cannot_be_started_is_reported(cells: Cells, tmp_path: Path) -> None:
    job = ProbeJob(
        identifier="no-interpreter",
        build=cells.runner.find_interpreter(Interpreter(*sys.version_info[:2])),
        environment=tmp_path / "no" / "environment",
        root=tmp_path,
        folders=(),
        request={"kind": "imports", "modules": []},
    )

    done = cells.runner.run(job)

    assert done.exit_reason is ExitReason.NOT_STARTED
    assert "could not be started" in done.failure


WARNING_TESTS = """\
import os, subprocess, sys, unittest, warnings

CHILD = "import warnings; warnings.warn('old', DeprecationWarning)"

class TestWarnings(unittest.TestCase):
    def test_quiet(self):
        pass

    def test_warns(self):
        warnings.warn("old", DeprecationWarning)

    def test_child(self):
        assert subprocess.call([sys.executable, "-c", CHILD]) == 0

    def test_fork(self):
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("interpreter", TOGETHER)
@pytest.mark.parametrize("kind", [SuiteKind.PYTEST, SuiteKind.UNITTEST])
@pytest.mark.parametrize(
    ("variable", "options", "failed"),
    [
        ("", (), set()),
        ("error", (), {"test_warns", "test_child"}),
        ("error::DeprecationWarning", (), {"test_warns", "test_child"}),
        ("", ("error",), {"test_warns"}),
        ("error", ("default",), {"test_child"}),
    ],
)
def test_a_suite_for_which_warnings_are_errors(
    cells: Cells, interpreter: str, kind: SuiteKind, variable: str, options: tuple[str, ...], failed: set[str]
) -> None:
    """As ``python -W error -m pytest`` does it: only the variable is for processes that a test starts."""
    settings = ServiceSettings(environment=(("PYTHONWARNINGS", variable),))
    arguments = ("tests",) if kind is SuiteKind.PYTEST else ("discover", "-s", "tests")
    of = service(suite=Suite(kind=kind, arguments=arguments, warning_options=options), settings=settings)
    run = cells.suite(interpreter, {"tests/test_old.py": WARNING_TESTS}, of)
    ends = {name.rpartition(".")[2].rpartition(":")[2]: result.outcome for name, result in run.results.items()}
    assert run.complete, run.incomplete_reason
    assert {name for name, outcome in ends.items() if outcome in ("failed", "error")} == failed
    assert len(ends) == 4


# ---- further commands of the tests


def further(text: str, **more: Any) -> FurtherTest:
    return FurtherTest(text=text, words=tuple(text.split()), folder="services/user-service", **more)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_further_commands_run_after_the_suite_each_with_its_own_end(cells: Cells, interpreter: str) -> None:
    commands = (
        further("python -m doctest good.py"),
        further("python -m doctest bad.py"),
        further("python checks.py", environment=(("GIVEN", "this"),)),
        further("no-such-program"),
    )
    suite = Suite(kind=SuiteKind.UNITTEST, further=commands)
    files = {
        "test_a.py": "import os, unittest\nclass A(unittest.TestCase):\n def test_a(self): os.environ.clear()\n",
        "good.py": '""">>> 1 + 1\n2\n"""\n',
        "bad.py": '""">>> 1 + 1\n3\n"""\n',
        "checks.py": "import os\nassert os.environ['GIVEN'] == 'this'\n",
    }
    run = cells.suite(interpreter, files, service(suite=suite))

    assert run.complete
    assert {name: result.outcome for name, result in run.commands.items()} == {
        "$ python -m doctest good.py": "passed",
        "$ python -m doctest bad.py": "failed",
        "$ python checks.py": "passed",
        "$ no-such-program": "failed",
    }
    assert run.commands["$ python -m doctest bad.py"].detail.startswith("exit code 1\n")
    assert "***Test Failed***" in run.commands["$ python -m doctest bad.py"].detail
    assert "it could not be started" in run.commands["$ no-such-program"].detail
    alone = cells.suite(interpreter, files, service(suite=suite), select=("$ python checks.py",))
    assert (dict(alone.results), list(alone.commands), alone.complete) == ({}, ["$ python checks.py"], True)


def test_a_further_command_that_does_not_end_is_stopped_with_what_it_has_started(cells: Cells) -> None:
    suite = Suite(kind=SuiteKind.UNITTEST, further=(further("python waits.py"),))
    waits = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    settings = ServiceSettings(time_limit=5.0)
    of = service(suite=suite, settings=settings)
    tests = "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): pass\n"
    run = cells.suite("3.12", {"test_a.py": tests, "waits.py": f"{waits}time.sleep(600)\n"}, of)

    assert run.complete
    assert run.commands["$ python waits.py"].detail.startswith("it did not end within 2 seconds")
