"""Apply ``# py312: ignore[...]`` comments to findings, and report invalid and unused comments."""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.analysis.scanner.facts.facts import FileFacts, SuppressionComment
from pytest_py312.core.model.findings import Finding, Location, Severity

INVALID_IGNORE = "PY291"
UNUSED_IGNORE = "PY292"


def apply_ignores(facts: FileFacts, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of a file. Those that a comment accepts are marked as waived."""
    if not facts.suppressions:
        return list(findings)
    used: set[SuppressionComment] = set()
    applied = []
    for finding in findings:
        ignore = _matching_ignore(facts.suppressions, finding)
        if ignore is not None:
            used.add(ignore)
            finding = replace(finding, waived=True, detail=f"accepted on line {ignore.comment_line}: {ignore.reason}")
        applied.append(finding)
    return applied + [_ignore_finding(facts.path, ignore) for ignore in facts.suppressions if ignore not in used]


def _matching_ignore(ignores: Sequence[SuppressionComment], finding: Finding) -> SuppressionComment | None:
    line = finding.location.line if finding.location is not None else None
    matching = (ignore for ignore in ignores if ignore.line == line and finding.code in ignore.codes and ignore.reason)
    return next(matching, None)


def _ignore_finding(path: str, ignore: SuppressionComment) -> Finding:
    location = Location(path=path, line=ignore.comment_line, column=ignore.column)
    if not ignore.codes or not ignore.reason:
        return Finding(
            code=INVALID_IGNORE,
            message=f"this comment has no effect: it names no {'reason' if ignore.codes else 'codes'}",
            remedy="write # py312: ignore[PY201] and the reason",
            severity=Severity.WARNING,
            location=location,
        )
    return Finding(
        code=UNUSED_IGNORE,
        message=f"nothing to ignore here: {', '.join(ignore.codes)}",
        remedy="remove the comment",
        severity=Severity.NOTE,
        location=location,
        names=ignore.codes,
    )
