"""Applies ``# py312: ignore[...]`` comments to findings, and finds those that cannot be right."""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.analysis.scanner.facts.facts import FileFacts, Ignore
from pytest_py312.core.model.findings import Finding, Location, Severity

BAD = "PY291"
UNUSED = "PY292"


def apply_ignores(facts: FileFacts, findings: Sequence[Finding]) -> list[Finding]:
    """``findings`` of a file; those that a comment accepts are waived."""
    if not facts.ignores:
        return list(findings)
    used: set[Ignore] = set()
    done = []
    for finding in findings:
        ignore = _accepting(facts.ignores, finding)
        if ignore is not None:
            used.add(ignore)
            finding = replace(finding, waived=True, detail=f"accepted on line {ignore.written}: {ignore.reason}")
        done.append(finding)
    return done + [_about(facts.path, ignore) for ignore in facts.ignores if ignore not in used]


def _accepting(ignores: Sequence[Ignore], finding: Finding) -> Ignore | None:
    line = finding.location.line if finding.location is not None else None
    for ignore in ignores:
        if ignore.line == line and finding.code in ignore.codes and ignore.reason:
            return ignore
    return None


def _about(path: str, ignore: Ignore) -> Finding:
    place = Location(path=path, line=ignore.written, column=ignore.column)
    if not ignore.codes or not ignore.reason:
        lacking = "codes" if not ignore.codes else "a reason"
        return Finding(
            code=BAD,
            message=f"this comment accepts nothing: it names no {lacking.removeprefix('a ')}",
            remedy="write # py312: ignore[PY201] and why it is acceptable",
            severity=Severity.WARNING,
            location=place,
        )
    return Finding(
        code=UNUSED,
        message=f"there is nothing to ignore here: {', '.join(ignore.codes)}",
        remedy="take the comment out",
        severity=Severity.NOTE,
        location=place,
        names=ignore.codes,
    )
