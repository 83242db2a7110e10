"""Which comments stand beside which requirements, and which findings become edits."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import (
    Finding,
    Interpreter,
    Location,
    Outcome,
    Severity,
    SourceChange,
    SpecifierChange,
)
from pytest_py312.plugin.fixes import last_line, plan_fixes, requirement_comments, source_changes, specifier_changes
from pytest_py312.repository.edits.change_set import RequirementComment

PATH = "services/app/requirements.txt"
PY312 = Interpreter(3, 12)
GONE = Finding(code="PY102", message="gone is not on the index", location=Location(path=PATH, line=1), names=("gone",))
CHANGE = SpecifierChange(path=PATH, line=2, name="numpy", old="==1.24.3", new="==1.26.0")
MENDABLE = Finding(
    code="PY104", message="no wheel", location=Location(path=PATH, line=2), names=("numpy",), changes=(CHANGE,)
)


def outcome(*findings: Finding, interpreter: str = "3.12") -> Outcome:
    return Outcome.from_findings(
        service="app", interpreter=Interpreter.parse(interpreter), check="dependencies", findings=findings
    )


def test_what_no_change_fixes_gets_a_comment_with_all_findings() -> None:
    twice = Finding(code="PY101", message="gone and numpy conflict", location=GONE.location, names=("gone", "numpy"))

    found = list(requirement_comments([outcome(GONE, MENDABLE, twice, GONE)], PY312))

    assert found == [RequirementComment(path=PATH, line=1, comment="gone is not on the index; gone and numpy conflict")]


@pytest.mark.parametrize(
    "finding",
    [
        MENDABLE,
        Finding(code="PY107", message="unreadable", location=GONE.location),
        Finding(code="PY102", message="waived", location=GONE.location, waived=True),
        Finding(code="PY112", message="yanked", location=GONE.location, severity=Severity.WARNING),
        Finding(code="PY105", message="on the baseline too", location=GONE.location, preexisting=True),
        Finding(code="PY102", message="nowhere"),
        Finding(code="PY102", message="somewhere", location=Location(path=PATH)),
    ],
)
def test_nothing_else_gets_one(finding: Finding) -> None:
    assert list(requirement_comments([outcome(finding)], PY312)) == []


@pytest.mark.parametrize("interpreter", ["3.9", "3.10"])
def test_only_the_target_is_commented_on(interpreter: str) -> None:
    assert list(requirement_comments([outcome(GONE, interpreter=interpreter)], PY312)) == []


@pytest.mark.parametrize(
    ("annotate", "after"),
    [(False, b"gone\nnumpy==1.26.0\n"), (True, b"gone  # py312: gone is not on the index\nnumpy==1.26.0\n")],
)
def test_changes_and_comments_are_planned_together(tmp_path: Path, annotate: bool, after: bytes) -> None:
    (tmp_path / PATH).parent.mkdir(parents=True)
    (tmp_path / PATH).write_bytes(b"gone\nnumpy==1.24.3\n")

    (change,) = plan_fixes(tmp_path, [outcome(GONE, MENDABLE)], target=PY312, annotate=annotate).changes

    assert change.after == after


UTCNOW = SourceChange(
    path="a.py", line=2, column=1, old="datetime.datetime.utcnow", new="datetime.datetime.now(timezone.utc)"
)
RELOAD = SourceChange(path="a.py", line=3, column=1, old="imp.reload", new="importlib.reload")
OF_SOURCE = Finding(code="PY220", message="deprecated", changes=(UTCNOW, RELOAD))


def test_changes_of_source_are_kept_apart_from_those_of_requirements() -> None:
    """What was waived is not changed, and what several findings want is wanted once."""
    waived = Finding(code="PY201", message="accepted", waived=True, changes=(RELOAD,))
    outcomes = [outcome(MENDABLE, OF_SOURCE), outcome(OF_SOURCE), outcome(waived)]
    assert specifier_changes(outcomes) == (CHANGE,)
    assert source_changes(outcomes) == (RELOAD,)
    assert source_changes(outcomes, "aware") == (UTCNOW, RELOAD)
    assert source_changes([outcome(waived)]) == ()


def test_source_is_changed_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    """With its line ends; a file that cannot be read as Python is refused, and the others are changed."""
    content = "# coding: latin-1\r\nimport imp\r\nimp.reload('größer')\r\n".encode("latin-1")
    (tmp_path / "a.py").write_bytes(content)
    (tmp_path / "b.py").write_bytes(b"imp.reload(\n")
    broken = Finding(code="PY201", message="gone", changes=(replace(RELOAD, path="b.py", line=1),))

    plan = plan_fixes(tmp_path, [outcome(OF_SOURCE, broken)])

    after = content.replace(b"import imp", b"import importlib").replace(b"imp.reload", b"importlib.reload")
    assert [change.after for change in plan.changes] == [after]
    assert [refusal.edit.path for refusal in plan.refusals] == ["b.py"]


def source_finding(code: str, severity: Severity, path: str = "app/a.py", old: str = "logging.warn") -> Finding:
    change = SourceChange(path=path, line=1, column=1, old=old, new="new")
    return Finding(code=code, message="x", severity=severity, changes=(change,), location=Location(path=path, line=1))


@pytest.mark.parametrize(
    ("finding", "is_changed"),
    [
        (source_finding("PY202", Severity.ERROR), True),
        (source_finding("PY221", Severity.WARNING), True),
        (source_finding("PY220", Severity.WARNING), False),
        (replace(source_finding("PY202", Severity.ERROR), waived=True), False),
        (source_finding("PY202", Severity.ERROR, "app/vendored/mozbuild/test/test_a.py"), False),
        (source_finding("PY202", Severity.ERROR, "app/vendor/x/test_a.py"), False),
        (source_finding("PY202", Severity.ERROR, "app/vendored/mozbuild/a.py"), False),
        (source_finding("PY202", Severity.ERROR, "app/vendored.py"), True),
        (source_finding("PY202", Severity.ERROR, "app/tests/test_a.py"), True),
    ],
)
def test_what_nothing_blocks_is_not_changed(finding: Finding, is_changed: bool) -> None:
    """Nor is vendored code; what is deprecated in UTC times follows its option."""
    assert bool(source_changes([outcome(finding)])) is is_changed
    utc = source_finding("PY220", Severity.WARNING, old="datetime.datetime.utcnow")
    assert bool(source_changes([outcome(utc)], "aware")) is True


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("\x1b[32m==== \x1b[1m8 passed\x1b[0m in 51.88s ====\x1b[0m\n", "8 passed in 51.88s"),
        ("=== 1 failed, 3 passed in 2s (0:00:02) ===\nwarning\n", "1 failed, 3 passed in 2s (0:00:02)"),
        ("", "exit status 0"),
    ],
)
def test_the_last_line_is_that_of_the_second_run(output: str, line: str) -> None:
    """The first run's stands above it."""
    assert last_line(output, 0) == f"py312: after the changes: {line}; the line above is from before them"


@pytest.mark.parametrize(("code", "is_changed"), [("PY203", True), ("PY220", False)])
def test_a_removed_name_of_an_unknown_class_is_replaced(code: str, is_changed: bool) -> None:
    """It is only a warning, but no other library has a name like ``assertEquals``; what is deprecated stays."""
    change = SourceChange(path="a.py", line=1, column=1, old="unittest.TestCase.assertEquals", new="unittest.x")
    finding = Finding(code=code, message="", severity=Severity.WARNING, changes=(change,))
    assert source_changes([outcome(finding)]) == (change,) * is_changed


def test_a_misspelt_assertion_is_tried_first() -> None:
    change = SourceChange(path="a.py", line=1, column=1, old="called_once", new="assert_called_once")
    finding = Finding(code="PY206", message="", changes=(change,))
    assert source_changes([outcome(finding)]) == ()
