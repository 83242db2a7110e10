"""The probe's runner for suites of unittest: standard library only, for Python 3.8 and later. Used by probe.py."""

from __future__ import annotations

import time
import unittest
from typing import TYPE_CHECKING
from unittest.loader import _FailedTest  # type: ignore[attr-defined]  # private, the same in 3.8 to 3.14

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Request = Mapping[str, Any]


class _Recording(unittest.TextTestResult):
    """Recorder of how each test ended. The runner makes it, so what it needs is set on the class."""

    records: Any
    limit: Any
    probe: Any
    _bad: str | None = None

    def _traceback(self, err: Any, test: unittest.TestCase) -> str:
        text: str = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]  # private, in 3.8 to 3.14
        return str(self.probe.tail(text))

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.limit.start()
        self._begun = time.perf_counter()
        self._bad = None
        self.records.add("running", id=test.id())

    def stopTest(self, test: unittest.TestCase) -> None:
        self.limit.stop()
        super().stopTest(test)

    def _note(self, test: unittest.TestCase, outcome: str, detail: str = "") -> None:
        if isinstance(test, _FailedTest):
            self.records.add(
                "collect_error", id=test.id().replace("unittest.loader._FailedTest.", "", 1), detail=detail
            )
            self._bad = "collect"
        elif self._bad != "collect" and self.probe.worse(outcome, self._bad or ""):
            self._bad = outcome
            seconds = round(time.perf_counter() - getattr(self, "_begun", time.perf_counter()), 6)
            self.records.add("test", id=test.id(), outcome=outcome, seconds=seconds, detail=detail)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        if not self._bad:
            self._note(test, "passed")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._note(test, "failed", self._traceback(err, test))

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        detail = self._traceback(err, test)
        if isinstance(test, unittest.TestCase):
            self._note(test, "error", detail)
        else:  # setUpClass or setUpModule failed: its tests never start, so their ids are unknown
            self.records.add("collect_error", id=str(test), detail=detail)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(test, "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._note(test, "xfailed")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self._note(test, "xpassed")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            kind = "failed" if issubclass(err[0], test.failureException) else "error"
            self._note(test, kind, self._traceback(err, test))


def _fail(text: str) -> None:
    raise AssertionError(text)


def run_unittest(request: Request, records: Any, probe: Any) -> int:
    """Run the suite; ``probe`` is the module of probe.py."""
    _Recording.records, _Recording.probe = records, probe
    _Recording.limit = probe.agent_module("time_limit").TimeLimit(request.get("test_limit", 0), _fail)
    arguments = list(request.get("select") or request["arguments"])
    warning_recorder = probe.warning_recorder(request)
    warning_recorder.install_filters()
    runner = unittest.TextTestRunner(resultclass=_Recording, verbosity=1)  # type: ignore[arg-type]  # typeshed wants a callable of its protocol
    program = unittest.main(module=None, argv=["python -m unittest", *arguments], testRunner=runner, exit=False)
    records.add("collected", count=program.result.testsRun)
    files = sorted(probe.imported_files(request))[: probe.IMPORTED_FILES_LIMIT]
    records.add("started_modules", names=sorted(probe.imported_start_modules(request)), files=files)
    warning_recorder.write(records)
    return 0 if program.result.wasSuccessful() else 1
