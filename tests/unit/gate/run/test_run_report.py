"""The report of a run; and one requirement, one remedy: the change that was tried."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, SpecifierChange, Status
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.model.report import Report
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.checks.suite import SuiteCheck
from pytest_py312.gate.run.run_report import RunResults, build_report, with_shared_remedies
from pytest_py312.gate.run.tasks import CheckTask
from tests.support.fakes import cell_of, service

TARGET = Interpreter(3, 12)
CHANGE = SpecifierChange(path="app/requirements.txt", line=1, name="powertools", old="==1.15.0", new="==1.24.0")
TRIED = Finding(
    code="PY105", message="fails", names=("powertools",), changes=(CHANGE,),
    remedy="powertools==1.15.0 -> powertools==1.24.0 (verified: resolves, installs and imports on 3.12 and 3.9)",
)  # fmt: skip
SCANNED = Finding(
    code="PY243", message="fails on import", names=("powertools",),
    remedy="require powertools>=1.25.0, the first version without the problem",
)  # fmt: skip


def outcome(finding: Finding, check: str, interpreter: str | None = None, service: str = "app") -> Outcome:
    on = Interpreter.parse(interpreter) if interpreter else None
    return Outcome.from_findings(service=service, interpreter=on, check=check, findings=[finding])


@pytest.mark.parametrize(
    "remedy",
    [SCANNED.remedy, "replace powertools (it has no newer version)", "replace powertools: it is unmaintained"],
)
def test_the_tried_change_stands_in_all_findings(remedy: str) -> None:
    """Neither a version that was found by reading nor a replacement is named beside it."""
    of_libraries, of_cell = with_shared_remedies(
        [outcome(replace(SCANNED, remedy=remedy), "libraries"), outcome(TRIED, "dependencies", "3.12")], TARGET
    )
    assert [finding.remedy for finding in (*of_libraries.findings, *of_cell.findings)] == [TRIED.remedy] * 2


@pytest.mark.parametrize(
    "others",
    [
        outcome(TRIED, "dependencies", "3.10"),
        outcome(TRIED, "dependencies", "3.12", service="other"),
        outcome(replace(TRIED, changes=()), "dependencies", "3.12"),
        outcome(replace(TRIED, changes=(replace(CHANGE, name="numpy"),)), "dependencies", "3.12"),
    ],
)
def test_other_remedies_stay(others: Outcome) -> None:
    """Of another service, another Python, another requirement, or without a change."""
    outcomes = (outcome(SCANNED, "libraries"), others)
    assert with_shared_remedies(outcomes, TARGET) == outcomes


def test_findings_on_a_library_share_the_change_whatever_they_name() -> None:
    scanned = replace(SCANNED, remedy="require setuptools<82 (verified: with it powertools imports on 3.12)")
    of_libraries, _ = with_shared_remedies(
        [outcome(scanned, "libraries"), outcome(TRIED, "dependencies", "3.12")], TARGET
    )
    assert [finding.remedy for finding in of_libraries.findings] == [TRIED.remedy]


CORE = replace(SCANNED, names=("core",), remedy="try a newer version of core")
FRAMES = (
    'File "instrumentation/grpc.py", line 3, in <module>\n    from core import a\n'
    'File "core/parts.py", line 4, in <module>\n    from pkg_resources import (\nModuleNotFoundError: pkg_resources'
)


@pytest.mark.parametrize(
    ("finding", "check"),
    [
        (replace(CORE, message="fails on import: no pkg_resources (core/parts.py:4)"), "libraries"),
        (
            replace(CORE, detail='File "/x/site-packages/core/parts.py", line 4, in <module>'),
            "libraries",
        ),
        (
            Finding(
                code="PY402", message="1 test is missing", names=("tests/test_a.py::test_a",),
                detail="/x/site-packages/core/parts.py:4: in <module>\n    from pkg_resources import (",
                remedy="the cause is in core: require a version of it that runs there",
            ),
            "suite",
        ),
    ],
)  # fmt: skip
def test_what_fails_at_the_same_line_has_the_same_remedy(finding: Finding, check: str) -> None:
    """A requirement cannot be imported because of what it brings: changing the requirement fixes both."""
    tried = replace(TRIED, detail=FRAMES)
    outcomes = [outcome(finding, check, "3.12"), outcome(tried, "dependencies", "3.12")]
    others = [
        replace(finding, message="core/parts.py:42", detail=""),
        replace(finding, message="other_core/parts.py:4", detail=""),
    ]

    assert [one.findings[0].remedy for one in with_shared_remedies(outcomes, TARGET)] == [TRIED.remedy] * 2
    for other in others:
        (judged, _) = with_shared_remedies([outcome(other, check), outcomes[1]], TARGET)
        assert judged.findings[0].remedy == finding.remedy


# ---- the report


def run_of_tasks(*statuses: Status | None, **changes: Any) -> RunResults:
    """Return a run of user-service on 3.9 and 3.12, with one task each; ``None``: it was not run."""
    tasks = [CheckTask(cell=cell_of(minor), check=SuiteCheck()) for minor in ("3.9", "3.12")]
    results = [
        CheckResult(outcome=Outcome(service="user-service", interpreter=task.interpreter, check="suite", status=status))
        for task, status in zip(tasks, statuses, strict=True)
        if status is not None
    ]
    return RunResults(tasks=tasks, results=results, **changes)


def reported(run: RunResults) -> Report:
    fleet = Fleet(services=(service(), service("auth-service")), assumptions=("user-service has no baseline",))
    return build_report(Plan(root=Path("repository")), fleet, run)


def test_a_report_is_about_what_was_selected() -> None:
    report = reported(run_of_tasks(Status.PASSED, Status.FAILED, exit_status=1))

    assert [item.name for item in report.services] == ["user-service"]
    assert [cell.identifier for cell in report.cells] == ["user-service-py3.9", "user-service-py3.12"]
    assert [outcome.status for outcome in report.outcomes] == [Status.PASSED, Status.FAILED]
    assert (report.exit_status, report.assumptions) == (1, ("user-service has no baseline",))


@pytest.mark.parametrize(
    ("changes", "cells"),
    [
        ({}, ["user-service-py3.9"]),
        ({"not_run": (("user-service", TARGET, "suite"),)}, ["user-service-py3.9", "user-service-py3.12"]),
        ({"cut_short": True, "end_signal": "SIGTERM"}, ["user-service-py3.9", "user-service-py3.12"]),
    ],
)
def test_cells_that_were_left_out_on_request_are_not_reported(changes: dict[str, Any], cells: list[str]) -> None:
    """Those that were to be checked and were not are: a service without them is not proven."""
    assert [cell.identifier for cell in reported(run_of_tasks(Status.PASSED, None, **changes)).cells] == cells
