"""Keep the result of every item of the gate: none that was to run ends without one.

Other plugins may end an item (``pytest.fail`` of a timeout), skip it, turn its failure into an expected one, take it
out of the run, or end the run; with xdist its process may crash. What was not checked so is an errored outcome, or
keeps the service from being proven. Silence would look like a pass.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.serialization import decode, encode
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.reports.terminal_findings import evidence_text, failure_text
from pytest_py312.gate.run.tasks import CheckTask, TaskKey, internal_error_outcome, unfinished_outcome
from pytest_py312.plugin.nodes import (
    RESULT_PROPERTIES,
    CheckItem,
    GateFailed,
    finding_location,
    result_properties,
    service_id,
)
from pytest_py312.plugin.pytest_support.processes import is_worker

RESULT_ATTRIBUTE = "py312_judgement"
"""Attribute of a test report that carries the check's result, serialized, from xdist's workers to the controller."""

_USER_SELECTION = ("keyword", "markexpr", "deselect", "lf", "stepwise")
"""pytest's own options that leave items out."""
_BLOCKING = (Status.FAILED, Status.ERRORED)


class _FailureText(str):
    """The text of a failing item, of which a terminal shows a part."""

    shown: str

    def toterminal(self, writer: Any) -> None:
        """Write the shown part, as pytest asks of a representation."""
        for line in self.shown.splitlines():
            writer.line(line)


class ItemResults:
    """The results of a session's items by node id."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._results: dict[str, CheckResult] = {}
        self._selected: dict[str, CheckTask] = {}
        self._crashes: dict[str, str] = {}
        self._is_ended = False
        self.not_run: tuple[TaskKey, ...] = ()
        """The tasks that were to run and did not, without an outcome of their own; known at the end of the session."""

    @property
    def results(self) -> list[CheckResult]:
        return list(self._results.values())

    @property
    def outcomes(self) -> list[Outcome]:
        return [result.outcome for result in self._results.values()]

    def get(self, nodeid: str) -> CheckResult | None:
        return self._results.get(nodeid)

    def shorten_failures(self) -> None:
        """Let the sections ERRORS and FAILURES show what the summary of the gate does not repeat, unless with ``-v``.

        At the end of the session: files and plugins have got all of it.
        """
        reporter, verbosity = self._config.pluginmanager.get_plugin("terminalreporter"), self._config.get_verbosity()
        reports = [report for key in ("failed", "error") for report in reporter.stats.get(key, ())] if reporter else []
        for report in reports if verbosity < 1 else ():
            result = self._results.get(report.nodeid)
            if result is not None and report.longrepr == failure_text(result.outcome, verbosity=verbosity):
                report.longrepr = _FailureText(report.longrepr)
                report.longrepr.shown = evidence_text(result.outcome, verbosity=verbosity)

    # -- what is to run

    def select_items(self, items: Iterable[pytest.Item]) -> None:
        """Note the items that are left after pytest and all plugins have deselected some."""
        self._selected |= {item.nodeid: item.task for item in items if isinstance(item, CheckItem)}

    def select_ids(self, ids: Iterable[str], tasks: Iterable[CheckTask], root: Path) -> None:
        """Note the items that a worker has collected; only their ids are known here."""
        by_place: dict[tuple[str | Path, tuple[str, ...]], CheckTask] = {}
        for task in tasks:
            folder = root / task.cell.service.path
            by_place[service_id(folder, self._config.rootpath, root) or folder.resolve(), task.node_parts] = task
        for nodeid in ids:
            path, *parts = nodeid.split("::")
            for place in (path, (self._config.rootpath / path).resolve()):
                if (place, tuple(parts)) in by_place:
                    self._selected[nodeid] = by_place[place, tuple(parts)]

    # -- what has run

    def record(self, item: CheckItem, call: "pytest.CallInfo[None]", report: pytest.TestReport) -> pytest.TestReport:
        """Keep the result of a phase of ``item``, and let its report say the same."""
        result = self._result_of(item, call)
        if result is None:
            return report
        outcome = replace(result.outcome, nodeid=item.nodeid)
        self._results[item.nodeid] = replace(result, outcome=outcome)
        if is_worker(self._config):
            setattr(report, RESULT_ATTRIBUTE, encode(self._results[item.nodeid]))
        properties = result_properties(outcome)
        report.user_properties += properties
        # JUnit takes them from the teardown's report; an item that is run again (--reruns) has them once
        item.user_properties = [
            user_property for user_property in item.user_properties if user_property[0] not in RESULT_PROPERTIES
        ] + properties
        if outcome.status in _BLOCKING and not report.failed:  # skipped, swallowed or expected to fail (xfail)
            report.__dict__.pop("wasxfail", None)
            report.outcome = "failed"
            report.longrepr = failure_text(outcome, verbosity=self._config.get_verbosity())
        if outcome.status is Status.ERRORED and call.when == "call" and report.failed:
            report.when = "setup"  # pytest's own word for "could not be tried": shown as ERROR, counted apart
        if isinstance(call.excinfo and call.excinfo.value, GateFailed):
            report.location = finding_location(item, outcome)
        if report.skipped:
            path, line, _ = item.reportinfo()
            report.longrepr = (str(path), (line or 0) + 1, f"Skipped: {outcome.reason}")
        return report

    def _result_of(self, item: CheckItem, call: "pytest.CallInfo[None]") -> CheckResult | None:
        """Return the result after this phase; ``None`` if it says nothing new."""
        error = call.excinfo.value if call.excinfo is not None else None
        if call.when == "call":
            return _result_of_call(item, error)
        if error is None:
            return None
        known = self._results.get(item.nodeid) if call.when == "teardown" else None
        if known is not None and known.outcome.status in _BLOCKING:
            return None
        if call.when == "setup" and isinstance(error, pytest.skip.Exception):
            reason = f"another plugin of pytest skipped it: {error}"
        else:
            reason = f"another plugin of pytest stopped it at its {call.when}: {_describe(error)}"
        return CheckResult(outcome=unfinished_outcome(item.task, reason))

    def receive(self, report: pytest.TestReport) -> None:
        """Keep the result that a worker has sent with its report, and the message of one that has crashed."""
        payload = getattr(report, RESULT_ATTRIBUTE, None)
        if payload is not None:
            self._results[report.nodeid] = decode(CheckResult, payload)
        elif report.failed and report.nodeid in self._selected and report.nodeid not in self._results:
            self._crashes[report.nodeid] = str(report.longrepr or "").strip().partition("\n")[0]

    # -- the end

    def end_early(self) -> None:
        """Note that the run was ended, by a signal or by ``pytest.exit`` in another plugin."""
        self._is_ended = True

    def finish(
        self,
        session: pytest.Session,
        exit_status: int,
        tasks: Sequence[CheckTask],
        finished: Callable[[CheckTask], CheckResult | None],
    ) -> tuple[int, bool]:
        """Account for all ``tasks`` of the run; return the exit status, and whether the run was cut short.

        :param finished: returns the result of a task that was computed ahead of pytest, if it is there. It counts if
            the run was ended from outside: with ``-x`` the user has asked to be shown no more.
        """
        ended = self._is_ended or exit_status == pytest.ExitCode.INTERRUPTED
        cut_short = bool(session.shouldstop or session.shouldfail) or ended
        goes_on = not cut_short and exit_status not in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR)
        for nodeid, task in self._selected.items():
            if ended and nodeid not in self._results and (result := finished(task)) is not None:
                self._results[nodeid] = replace(result, outcome=replace(result.outcome, nodeid=nodeid))
            if nodeid in self._results or not (goes_on or nodeid in self._crashes):
                continue
            crash = self._crashes.get(nodeid)
            reason = f"its process ended: {crash}" if crash else "pytest selected it, and another plugin did not run it"
            outcome = replace(unfinished_outcome(task, reason), nodeid=nodeid)
            self._results[nodeid] = CheckResult(outcome=outcome)
        self.not_run = self._missing(tasks)
        status = exit_status
        if status == pytest.ExitCode.OK and any(outcome.status in _BLOCKING for outcome in self.outcomes):
            status = int(pytest.ExitCode.TESTS_FAILED)
        elif status == pytest.ExitCode.OK and self.not_run:  # not proven, which 0 would say
            status = int(pytest.ExitCode.INTERRUPTED if cut_short else pytest.ExitCode.TESTS_FAILED)
        return status, cut_short

    def is_inconclusive(self, session: pytest.Session, exit_status: int) -> bool:
        """Return whether a run failed only because something could not be checked: all else passed, and all was run."""
        statuses = [outcome.status for outcome in self.outcomes]
        errored = statuses.count(Status.ERRORED)
        only_errors = Status.FAILED not in statuses and session.testsfailed <= errored and not self.not_run
        return exit_status == pytest.ExitCode.TESTS_FAILED and errored > 0 and only_errors

    def _missing(self, tasks: Sequence[CheckTask]) -> tuple[TaskKey, ...]:
        """Return the tasks without an outcome that the user has not left out."""
        planned: Mapping[TaskKey, CheckTask] = {task.key: task for task in self._selected.values()}
        if not any(getattr(self._config.option, name, None) for name in _USER_SELECTION):
            planned = {task.key: task for task in tasks}
        answered = {outcome.key for outcome in self.outcomes}
        return tuple(key for key in planned if key not in answered)


def _result_of_call(item: CheckItem, error: BaseException | None) -> CheckResult:
    result = item.result
    if error is None or isinstance(error, GateFailed):
        if result is not None:
            return result
        reason = "another plugin of pytest ran something else in its place"
        return CheckResult(outcome=unfinished_outcome(item.task, reason))
    if isinstance(error, pytest.skip.Exception) and result is not None and result.outcome.status is Status.SKIPPED:
        return result
    if isinstance(error, Exception):
        return CheckResult(outcome=internal_error_outcome(item.task, error))
    reason = f"another plugin of pytest ended it: {_describe(error)}"
    return CheckResult(outcome=unfinished_outcome(item.task, reason))


def _describe(error: Any) -> str:
    return f"{type(error).__name__}: {error}"
