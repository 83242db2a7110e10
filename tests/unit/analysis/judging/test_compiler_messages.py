"""Messages of compilers as findings."""

import pytest

from pytest_py312.analysis.judging.compiler_messages import compiler_findings
from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ScanFailure
from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage, InterpreterAnswers
from pytest_py312.core.model.findings import Severity

REFUSED = CompilerMessage(is_error=True, category="SyntaxError", message="invalid syntax", line=3, column=5)
WARNED = CompilerMessage(is_error=False, category="SyntaxWarning", message="invalid escape", line=2)
GAVE_UP = CompilerMessage(is_error=True, category="NotCompiled", message="it took for ever", line=1)


def reported_codes(
    baseline_messages: list[CompilerMessage],
    target_messages: list[CompilerMessage] | None,
    failure: ScanFailure | None = None,
) -> list[tuple[str, str]]:
    interpreter_answers = [
        InterpreterAnswers(origin="a test", version=version, answers={}) for version in ((3, 9), (3, 12))
    ]
    evidence = Evidence(
        baseline=interpreter_answers[0],
        target=interpreter_answers[1],
        baseline_messages={"a.py": baseline_messages},
        target_messages={} if target_messages is None else {"a.py": target_messages},
    )
    findings = compiler_findings(FileFacts(path="a.py", failure=failure), evidence)
    return [(finding.code, finding.severity.value) for finding in findings]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([], [], []),
        ([], [REFUSED], [("PY205", "error")]),
        ([REFUSED], [REFUSED], [("PY290", "note")]),
        ([REFUSED], [], [("PY210", "warning")]),
        ([], [WARNED], [("PY221", "warning")]),
        ([WARNED], [WARNED], [("PY221", "warning")]),
        ([WARNED], [], []),
        ([], [GAVE_UP], [("PY299", "warning")]),
        ([GAVE_UP], [], []),
    ],
)
def test_both_compilers_count(
    before: list[CompilerMessage], after: list[CompilerMessage], found: list[tuple[str, str]]
) -> None:
    assert reported_codes(before, after) == found


def test_a_file_that_the_scanner_cannot_read_is_not_proven() -> None:
    failure = ScanFailure("it is nested too deeply to be read")

    assert reported_codes([], [], failure) == [("PY299", Severity.WARNING.value)]
    assert reported_codes([], None, failure) == [("PY299", Severity.WARNING.value)]
    assert reported_codes([], [REFUSED], failure) == [("PY205", Severity.ERROR.value)]
