"""What compilers say of a file, as findings."""

import pytest

from pytest_py312.analysis.judging.compiler_messages import compiler_findings
from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.scanner.facts.facts import Failure, FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import Complaint
from pytest_py312.analysis.scanner.facts.stdlib_queries import Testimony as Said
from pytest_py312.core.model.findings import Severity

REFUSED = Complaint(error=True, category="SyntaxError", message="invalid syntax", line=3, column=5)
WARNED = Complaint(error=False, category="SyntaxWarning", message="invalid escape", line=2)
GAVE_UP = Complaint(error=True, category="NotCompiled", message="it took for ever", line=1)


def told(
    before: list[Complaint], after: list[Complaint] | None, failure: Failure | None = None
) -> list[tuple[str, str]]:
    said = [Said(origin="a test", version=version, answers={}) for version in ((3, 9), (3, 12))]
    witnesses = Witnesses(
        baseline=said[0],
        target=said[1],
        baseline_complaints={"a.py": before},
        target_complaints={} if after is None else {"a.py": after},
    )
    found = compiler_findings(FileFacts(path="a.py", failure=failure), witnesses)
    return [(one.code, one.severity.value) for one in found]


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
def test_both_compilers_count(before: list[Complaint], after: list[Complaint], found: list[tuple[str, str]]) -> None:
    assert told(before, after) == found


def test_a_file_that_the_scanner_cannot_read_is_not_proven() -> None:
    failure = Failure("it is nested too deeply to be read")

    assert told([], [], failure) == [("PY299", Severity.WARNING.value)]
    assert told([], None, failure) == [("PY299", Severity.WARNING.value)]
    assert told([], [REFUSED], failure) == [("PY205", Severity.ERROR.value)]
