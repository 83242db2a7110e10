"""Verify fixes of source before they are written, by analyzing the changed files on target and baseline.

Only files whose findings are fixed, without new ones, are kept. A fix may reveal another finding, for example on a
method of a class that was removed; that one is fixed as well.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.analysis.services.service_analysis import AnalysisResult
from pytest_py312.core.model.findings import Finding, Outcome, Severity, SourceChange
from pytest_py312.repository.edits.change_set import ChangeSet, FileChange, RefusedEdit, with_source_changes

TOO_NEW = "PY210"
MAX_ROUNDS = 4
"""Maximum number of rounds in which fixes reveal findings that are fixed as well."""

AnalyzeSource = Callable[[Mapping[str, bytes], Sequence[str]], Mapping[str, AnalysisResult]]
"""Analyzes services (by name) with other contents for some files (by path)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifiedSource:
    """The changes with only the verified ones of source, and sentences about the others."""

    plan: ChangeSet
    doubts: tuple[str, ...] = ()


def verify_source(
    plan: ChangeSet, outcomes: Iterable[Outcome], changes: Sequence[SourceChange], analyze: AnalyzeSource
) -> VerifiedSource:
    """Verify the source files of ``plan``, which contains ``changes`` and those of requirements, with ``analyze``."""
    refused = {refusal.edit for refusal in plan.refusals}
    applied = [change for change in changes if change not in refused]
    files = {change.path: change for change in plan.changes if change.path in {entry.path for entry in applied}}
    if not files:
        return VerifiedSource(plan=plan)
    concerned_outcomes = [entry for entry in outcomes if any(_source_changes(finding) for finding in entry.findings)]
    findings_before = [finding for outcome in concerned_outcomes for finding in outcome.findings]
    services = list(dict.fromkeys(outcome.service for outcome in concerned_outcomes))
    refusals = list(plan.refusals)
    for _ in range(MAX_ROUNDS):
        analyses = analyze({path: change.after for path, change in files.items()}, services)
        findings_after = [finding for inspection in analyses.values() for finding in inspection.findings]
        revealed_findings = newly_revealed(findings_before, findings_after, applied, files)
        findings_before += revealed_findings
        additional = [change for finding in revealed_findings for change in _source_changes(finding)]
        files, new_refusals = _apply_changes(files, additional)
        refusals += new_refusals
        applied += [change for change in additional if change not in {refusal.edit for refusal in new_refusals}]
        if len(new_refusals) == len(additional):
            break
    disproved = disproved_files(findings_before, findings_after, applied, files)
    doubts = [
        f"{name}: not everything could be verified: {entry.unchecked_reason}"
        for name, entry in analyses.items()
        if entry.unchecked_reason
    ]
    doubts += [f"not changed: {path}: {reason}" for path, reason in disproved.items()]
    verified_changes = tuple(files.get(change.path, change) for change in plan.changes if change.path not in disproved)
    return VerifiedSource(plan=replace(plan, changes=verified_changes, refusals=tuple(refusals)), doubts=tuple(doubts))


def _apply_changes(
    files: Mapping[str, FileChange], changes: Sequence[SourceChange]
) -> tuple[dict[str, FileChange], list[RefusedEdit]]:
    changed_files = {}
    refusals: list[RefusedEdit] = []
    for path, file in files.items():
        changed_files[path], new_refusals = with_source_changes(
            file, [change for change in changes if change.path == path]
        )
        refusals += new_refusals
    return changed_files, refusals


def _source_changes(finding: Finding) -> list[SourceChange]:
    return [] if finding.waived else [change for change in finding.changes if isinstance(change, SourceChange)]


def newly_revealed(
    findings_before: Iterable[Finding],
    findings_after: Iterable[Finding],
    applied: Iterable[SourceChange],
    paths: Iterable[str],
) -> list[Finding]:
    """Return findings that a fix has revealed, because they are part of the new name (``ConfigParser.readfp``)."""
    successors = tuple({f"{change.new}." for change in applied})
    identities_before = {_identity(finding) for finding in findings_before}
    path_set = set(paths)
    return [
        finding
        for finding in findings_after
        if _path(finding) in path_set
        and _identity(finding) not in identities_before
        and finding.names
        and finding.names[0].startswith(successors)
    ]


def disproved_files(
    findings_before: Iterable[Finding],
    findings_after: Iterable[Finding],
    applied: Iterable[SourceChange],
    paths: Iterable[str],
) -> Mapping[str, str]:
    """Map the path of each file whose changes are refuted to the reason.

    A finding all of whose changes were ``applied`` must be gone, and no blocking finding may be new.

    :param findings_before: findings in the current source.
    :param findings_after: findings in the changed source.
    """
    applied_positions = {_position(change) for change in applied}
    unfixed_counts: Counter[object] = Counter()
    fixed: set[object] = set()
    for finding in findings_before:
        positions = {_position(change) for change in _source_changes(finding)}
        if positions and positions <= applied_positions:
            fixed.add(_identity(finding))
        else:
            unfixed_counts[_identity(finding)] += 1
    path_set = set(paths)
    reasons: dict[str, str] = {}
    for finding in findings_after:
        if _path(finding) not in path_set or finding.waived:
            continue
        key = _identity(finding)
        unfixed_counts[key] -= 1
        is_worse = finding.severity is Severity.ERROR or finding.code == TOO_NEW
        if unfixed_counts[key] < 0 and (is_worse or key in fixed):
            line = finding.location.line if finding.location else None
            reasons.setdefault(_path(finding), f"line {line} would not be fixed: {finding.message}")
    return reasons


def _position(change: SourceChange) -> object:
    return change.path, change.line, change.column, change.old


def _path(finding: Finding) -> str:
    return finding.location.path if finding.location else ""


def _identity(finding: Finding) -> object:
    return finding.code, _path(finding), finding.names or finding.message
