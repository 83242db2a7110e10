"""What the compilers of baseline and target say of a file, as findings."""

from collections.abc import Iterator, Sequence

from pytest_py312.analysis.judging.evidence import Witnesses, label
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import Complaint
from pytest_py312.core.model.findings import Finding, Location, Severity

NOT_COMPILED = "NotCompiled"
NOT_CHECKED = "PY299"
"""The code of what could not be found out of a file: whatever else is found, it is not proven."""


def compiler_findings(facts: FileFacts, witnesses: Witnesses) -> Iterator[Finding]:
    """Syntax that one of the two refuses, and what the target's compiler warns of."""
    before = witnesses.baseline_complaints.get(facts.path)
    after = witnesses.target_complaints.get(facts.path)
    if after is None:
        if facts.failure is not None:
            yield _unchecked(facts, f"the file cannot be read: {facts.failure.message}", facts.failure.line)
        return
    refused_before, refused = _errors(before or ()), _errors(after)
    target, baseline = label(witnesses.target.version), label(witnesses.baseline.version)
    for one in refused[:1]:
        if one.category == NOT_COMPILED:
            yield _unchecked(facts, one.message, None)
        elif refused_before:
            yield _finding(
                facts, one, "PY290", f"neither {baseline} nor {target} can read it: {one.message}", Severity.NOTE
            )
        else:
            yield _finding(facts, one, "PY205", f"{target} refuses it: {one.message}", Severity.ERROR)
    if refused_before and not refused and refused_before[0].category != NOT_COMPILED:
        one = refused_before[0]
        message = f"{baseline}, which the service runs on, refuses it: {one.message}"
        yield _finding(facts, one, "PY210", message, Severity.WARNING)
    if facts.failure is not None and not refused:
        message = f"{target} reads the file, and the Python that pytest runs on does not: {facts.failure.message}"
        yield _unchecked(facts, message, None, f"run pytest with Python {target}")
    for one in after:
        if not one.error:
            yield _finding(facts, one, "PY221", f"{target} warns: {one.message}", Severity.WARNING)


def _errors(complaints: Sequence[Complaint]) -> list[Complaint]:
    return [one for one in complaints if one.error]


def _finding(facts: FileFacts, one: Complaint, code: str, message: str, severity: Severity) -> Finding:
    return Finding(
        code=code,
        message=message,
        remedy=_REMEDIES.get(code, ""),
        severity=severity,
        location=Location(path=facts.path, line=one.line, column=one.column),
        preexisting=code == "PY290",
    )


_REMEDIES = {
    "PY205": "write it so that both can read it",
    "PY210": "write it so that the baseline can read it, or correct the declared baseline",
    "PY221": "mend it now: a later Python refuses it",
    "PY290": "mend the file, or delete it: it cannot be in use",
}


def _unchecked(facts: FileFacts, message: str, line: int | None, remedy: str = "look at the file yourself") -> Finding:
    return Finding(
        code=NOT_CHECKED,
        message=f"not checked: {message}",
        remedy=remedy,
        severity=Severity.WARNING,
        location=Location(path=facts.path, line=line),
    )
