"""The probe's runner for suites of pytest: standard library and the cell's own pytest, for Python 3.8 and later.

Used by probe.py.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import pytest

    Request = Mapping[str, Any]


class PytestRecorder:
    """A pytest plugin that records how each test ended. It runs inside the cell, with the cell's own pytest."""

    def __init__(self, records: Any, request: Request, probe: Any, version: str) -> None:
        self._probe = probe
        self._records = records
        self._open: dict[str, tuple[str, float, str]] = {}
        self._warnings = probe.warning_recorder(request)
        self._request = request
        self._imported: set[str] = set()
        self._files: set[str] = set()
        self._runs_tests = False
        self._limit = probe.agent_module("time_limit").TimeLimit(request.get("test_limit", 0), _fail_by_pytest)
        self.tests = 0
        # pytest 6 renamed the hook, and each version rejects the other's name
        hook = "pytest_warning_recorded" if int(version.split(".")[0]) >= 6 else "pytest_warning_captured"
        setattr(self, hook, self._warnings.record)

    def pytest_collectstart(self) -> None:
        self._warnings.install_filters()  # each phase has its own filters, which pytest has installed by now

    def pytest_runtest_setup(self) -> None:
        self._runs_tests = True  # with pytest-xdist, other processes do
        self._warnings.install_filters()
        self._limit.start()

    def pytest_runtest_logfinish(self) -> None:
        self._limit.stop()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._records.add("running", id=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome, seconds, detail = self._open.get(report.nodeid, ("", 0.0, ""))
        text = ""
        kind: str = report.outcome
        if kind == "rerun":  # pytest-rerunfailures: only the last run counts
            self._open.pop(report.nodeid, None)
            return
        new = _pytest_outcome(report)
        if new in ("failed", "error"):
            text = self._probe.tail(report.longreprtext)
        elif new in ("skipped", "xfailed"):
            text = _skip_reason(report)
        if self._probe.worse(new, outcome):
            outcome, detail = new, text or detail
        self._open[report.nodeid] = (outcome, seconds + getattr(report, "duration", 0.0), detail)
        if report.when == "teardown":
            self._close(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._records.add("collect_error", id=report.nodeid or ".", detail=self._probe.tail(report.longreprtext))
        elif report.skipped and report.nodeid:
            self._records.add("collect_skip", id=report.nodeid, detail=_skip_reason(report))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # pytest.exit() may choose any exit code, even 0, and the remaining tests have not run
        self._records.add("trouble", what="the suite was interrupted: %s" % str(excinfo.value)[:300], detail="")

    def pytest_internalerror(self, excrepr: object) -> None:
        if not self.tests and not self._open:  # a plugin fails before the first test
            self._records.add("start_error", detail=self._probe.tail(str(excrepr)))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._records.add("collected", count=len(session.items))
        self._imported = self._probe.imported_start_modules(self._request)  # a test may remove modules
        self._files = self._probe.imported_files(self._request)

    def pytest_sessionfinish(self) -> None:
        for nodeid in list(self._open):
            self._close(nodeid)
        if self._runs_tests:
            names = sorted(self._imported | self._probe.imported_start_modules(self._request))
            files = sorted(self._files | self._probe.imported_files(self._request))
            self._records.add("started_modules", names=names, files=files[: self._probe.IMPORTED_FILES_LIMIT])
        self._warnings.write(self._records)

    def _close(self, nodeid: str) -> None:
        outcome, seconds, detail = self._open.pop(nodeid)
        if outcome:
            self.tests += 1
            self._records.add("test", id=nodeid, outcome=outcome, seconds=round(seconds, 6), detail=detail)


class OptionsOfAbsentPlugins:
    """A pytest plugin that accepts options of plugins that are not installed, and that decide about no test.

    ``addopts`` often has them for the CI of the project, whose tools the service's requirements do not name:
    pytest would not start. Coverage, reports and parallel processes are not needed to see which tests pass.
    """

    def pytest_load_initial_conftests(self, parser: pytest.Parser, args: list[str]) -> Any:
        outcome = yield
        outcome.get_result()  # the conftests that are loaded by now may have options of the same names
        given = {word.partition("=")[0] for word in args}
        given |= {word[:2] for word in args if word.startswith("-n")}  # also -n4
        known = _known_options(parser)
        for plugin, options in _OPTIONS_OF_PLUGINS.items():
            absent = [(name, kind) for name, kind in options.items() if name not in known]
            if given.isdisjoint(name for name, _ in absent):
                continue
            group = parser.getgroup("py312 " + plugin, "accepted for %s, which is not installed" % plugin)
            for name, kind in absent:
                # the public method refuses short options in lower case
                group._addoption(name, dest="py312_ignored_" + name.strip("-").replace("-", "_"), **_NARGS[kind])


_NARGS = {
    "flag": {"action": "store_true"},
    "value": {"action": "append"},
    "perhaps": {"action": "append", "nargs": "?"},
}  # type: Mapping[str, Mapping[str, Any]]
_OPTIONS_OF_PLUGINS = {
    "pytest-cov": {
        "--cov": "perhaps",
        "--cov-report": "value",
        "--cov-config": "value",
        "--no-cov-on-fail": "flag",
        "--no-cov": "flag",
        "--cov-fail-under": "value",
        "--cov-append": "flag",
        "--cov-branch": "flag",
        "--cov-context": "value",
        "--cov-reset": "flag",
    },
    "pytest-xdist": {
        "-n": "value",
        "--numprocesses": "value",
        "--dist": "value",
        "--maxprocesses": "value",
        "--tx": "value",
    },
    "pytest-timeout": {"--timeout": "value", "--timeout-method": "value", "--session-timeout": "value"},
    "pytest-html": {"--html": "value", "--self-contained-html": "flag", "--css": "value"},
    "pytest-json-report": {"--json-report": "flag", "--json-report-file": "value"},
    "pytest-rerunfailures": {"--reruns": "value", "--reruns-delay": "value", "--only-rerun": "value"},
    "allure-pytest": {"--alluredir": "value", "--clean-alluredir": "flag"},
    "pytest-md-report": {"--md-report": "flag", "--md-report-output": "value", "--md-report-verbose": "value"},
    "pytest-github-actions-annotate-failures": {"--exclude-warning-annotations": "flag"},
    "pytest-randomly": {"--randomly-seed": "value", "--randomly-dont-reorganize": "flag"},
    "pytest-flake8": {"--flake8": "flag"},
    "pytest-black": {"--black": "flag"},
    "pytest-isort": {"--isort": "flag"},
    "pytest-mypy": {"--mypy": "flag", "--mypy-ignore-missing-imports": "flag", "--mypy-config-file": "value"},
    "pytest-pylint": {"--pylint": "flag", "--pylint-rcfile": "value"},
    "pytest-ruff": {"--ruff": "flag", "--ruff-format": "flag"},
}  # type: Mapping[str, Mapping[str, str]]
"""Plugin -> its options, and whether a value follows. Those of linters add items that say nothing about a Python."""


def _options_of_absent_plugins() -> OptionsOfAbsentPlugins:
    """Return the plugin, its hook marked with pytest's decorator, which is not there when this file is loaded."""
    import pytest

    wrapper: Any = pytest.hookimpl(hookwrapper=True, tryfirst=True)
    wrapper(OptionsOfAbsentPlugins.pytest_load_initial_conftests)
    return OptionsOfAbsentPlugins()


def _known_options(parser: pytest.Parser) -> set[str]:
    groups = [parser._anonymous, *parser._groups]
    return {name for group in groups for option in group.options for name in option.names()}


def _fail_by_pytest(text: str) -> None:
    import pytest

    pytest.fail(text)


def _accept_cases_without_run_test() -> None:
    """Have pytest collect classes whose constructor fails without the name of a test.

    Since 8.2 pytest makes an instance of each class with ``runTest``, which it only searches for fixtures; unittest
    does not, and Tornado's classes accept that since 6.4.1 only.
    """
    import unittest
    from importlib import import_module

    cases: Any = import_module("_pytest.unittest").UnitTestCase
    create = vars(cases).get("newinstance")

    def newinstance(self: Any) -> Any:
        try:
            return create(self)
        except AttributeError as error:
            if "runTest" not in str(error):
                raise
            instance = self.obj.__new__(self.obj)
            unittest.TestCase.__init__(instance)
            return instance

    if create is not None:
        cases.newinstance = newinstance


def _pytest_outcome(report: pytest.TestReport) -> str:
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped:
        return "xfailed" if expected_to_fail else "skipped"
    if report.failed:
        return "failed" if report.when == "call" else "error"
    if report.when == "call":
        return "xpassed" if expected_to_fail else "passed"
    return ""


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail)
    longrepr = report.longrepr
    if isinstance(longrepr, tuple) and len(longrepr) == 3:
        return str(longrepr[2])
    return str(longrepr or "")[-300:]


def run_pytest(request: Request, records: Any, probe: Any) -> int:
    """Run the suite; ``probe`` is the module of probe.py."""
    import gc

    gc.disable()  # importing pytest creates no garbage, and looking for it takes a tenth of the time
    try:
        import pytest
    except ImportError as error:
        records.add("trouble", what="pytest is not installed in the cell: %s" % error, detail="")
        return 1
    finally:
        gc.enable()
    versions = {"pytest": pytest.__version__}
    records.add("tools", versions=versions)
    arguments = []
    if request.get("import_mode"):
        arguments.append("--import-mode=" + request["import_mode"])
    arguments += request["arguments"]
    if request.get("select"):
        # only paths are dropped: "-m", "not slow" stays, and after "--" no option can take a test as its value
        arguments = [item for item in arguments if item.startswith("-") or not os.path.exists(item.split("::")[0])]
    # last, so that the suite's own -x does not hide what comes after a failure that is pre-existing
    arguments += ["--continue-on-collection-errors", "--maxfail=0"]
    if request.get("select"):
        arguments += ["--", *request["select"]]
    sys.argv = ["pytest", *arguments]
    recorder = PytestRecorder(records, request, probe, pytest.__version__)
    _accept_cases_without_run_test()
    try:
        code = int(pytest.main(arguments, plugins=[recorder, _options_of_absent_plugins()]))
    except (KeyboardInterrupt, MemoryError):  # limits of the cell
        raise
    except BaseException:  # a plugin that pytest loads at its start may raise anything, SystemExit as well
        if recorder.tests:
            raise
        import traceback

        records.add("start_error", detail=probe.tail(traceback.format_exc()))
        return 1
    records.add("exit", code=code, meaning=_PYTEST_CODES.get(code, ""))
    return code


_PYTEST_CODES = {2: "interrupted", 3: "internal error in pytest", 4: "pytest was called wrongly", 5: "no tests ran"}
