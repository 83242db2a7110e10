"""Write the remedies of findings from a trial: which lines change, and which steps succeeded with the change."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import Finding, SpecifierChange
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.text import join_with_and
from pytest_py312.dependencies.diagnosis.repair_search import (
    REPAIRABLE,
    RequirementChange,
)
from pytest_py312.dependencies.installation.findings import finding_identity, without_consequences
from pytest_py312.dependencies.installation.result import Installation

AFTER_REPAIR = "This appears once the other blocking findings are fixed as their remedies say."


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSide:
    """The result of a change on one interpreter. ``errors`` include those that exist without the change."""

    resolves: bool
    installation: Installation
    errors: tuple[Finding, ...]

    @property
    def progress(self) -> str:
        """The steps that succeeded, as verbs; empty if none did."""
        if not self.resolves:
            return ""
        if self.installation.environment is None or self.installation.incomplete:
            return "resolves"
        return "resolves and installs" if self.errors else "resolves, installs and imports"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """A change that was tried, and its result on both sides."""

    change: RequirementChange
    changes: tuple[SpecifierChange, ...]
    target: TrialSide
    baseline: TrialSide
    freely_chosen: frozenset[str]
    """Projects whose version was chosen only because the rest of the set allows it."""
    unavailable: frozenset[str] = frozenset()
    """What cannot be had here, and was left out for that reason."""


def with_remedies(findings: Sequence[Finding], trial: TrialResult, cell: Cell) -> list[Finding]:
    """Return ``findings`` with the remedies of a trial, and the findings that appeared only in it."""
    named = {name for finding in findings if finding.code in REPAIRABLE for name in finding.names}
    companions = {change.name for change in trial.changes} - named
    companions |= trial.freely_chosen if len(trial.freely_chosen) > 1 else frozenset()  # they fit only together
    explained = [
        _with_remedy(finding, trial, cell, companions)
        for finding in findings
        if not _was_built_in_trial(finding, trial)
    ]
    identities = {finding_identity(finding) for finding in findings}
    baseline_identities = {finding_identity(finding) for finding in trial.baseline.errors}
    for finding in without_consequences(trial.target.errors, trial.target.installation):
        if finding_identity(finding) not in identities:
            preexisting = finding_identity(finding) in baseline_identities and not cell.is_baseline
            explained.append(
                replace(finding, detail=f"{finding.detail}\n{AFTER_REPAIR}".strip(), preexisting=preexisting)
            )
    return explained


def _fails_on_target(trial: TrialResult) -> frozenset[str]:
    """Return the projects that fail on the target in the trial, and do not fail like that on the baseline."""
    on_baseline = {finding_identity(finding) for finding in trial.baseline.errors}
    return frozenset(
        name
        for finding in trial.target.errors
        if finding.code in REPAIRABLE and finding_identity(finding) not in on_baseline
        for name in finding.names
    )


def _was_built_in_trial(finding: Finding, trial: TrialResult) -> bool:
    """Return whether the trial has built the source that ``finding`` reports as not tried."""
    if finding.code != "PY112" or trial.target.installation.environment is None:
        return False
    return any(
        entry.from_source and (entry.name,) == finding.names for entry in trial.target.installation.distributions
    )


def _with_remedy(finding: Finding, trial: TrialResult, cell: Cell, companions: Collection[str]) -> Finding:
    """Return ``finding`` with the change of its requirement, and of ``companions``, which have to move with it."""
    project_changes = tuple(change for change in trial.changes if change.name in finding.names)
    if project_changes:
        names = {*finding.names, *companions}
        project_changes = tuple(change for change in trial.changes if change.name in names)
    if _fails_on_target(trial).intersection(change.name for change in project_changes):
        return finding  # it was tried, and would change nothing
    if not project_changes or finding.code not in REPAIRABLE | {"PY112"}:
        return finding
    return _with_changes(finding, project_changes, trial, cell)


def with_change_of(finding: Finding, trial: TrialResult, cell: Cell, names: Collection[str]) -> Finding:
    """Return ``finding`` with the changes of a trial that repair it: those of ``names``, as no line has its project."""
    return _with_changes(finding, tuple(change for change in trial.changes if change.name in names), trial, cell)


def _with_changes(
    finding: Finding, project_changes: tuple[SpecifierChange, ...], trial: TrialResult, cell: Cell
) -> Finding:
    change_text = ", ".join(
        dict.fromkeys(f"{change.name}{change.old} -> {change.name}{change.new}" for change in project_changes)
    )
    name_doubt = "; no such version ever existed: check that this is the intended project"
    doubt = name_doubt if finding.code == "PY102" and trial.freely_chosen.intersection(finding.names) else ""
    hashed = {item.location.path for item in trial.change.specifiers if item.entry.hashes}
    compiled = sorted(hashed & {change.path for change in project_changes})
    again = f"; compile {join_with_and(compiled)} again for the hashes" if compiled else ""
    remedy = f"{change_text} ({_describe_trial(trial, cell)}){doubt}{again}"
    return replace(finding, remedy=remedy, changes=project_changes)


def _describe_trial(trial: TrialResult, cell: Cell) -> str:
    """Describe the result: ``verified: resolves, installs and imports on 3.12 and 3.9``."""
    target, baseline = str(cell.interpreter), str(cell.service.baseline)
    left_out = sorted(trial.change.without - trial.unavailable)
    unfixed = f" without {join_with_and(left_out)}, which no change fixes" if left_out else ""
    absent = join_with_and(sorted(trial.unavailable))
    prefix = f"verified{unfixed}{f' without {absent}, which could not be checked here' if absent else ''}"
    on_target, on_baseline = trial.target, trial.baseline
    if on_target.progress == on_baseline.progress or cell.is_baseline:
        interpreters = target if cell.is_baseline else f"{target} and {baseline}"
        text = f"{prefix}: {on_target.progress} on {interpreters}"
    elif not on_baseline.resolves:
        text = f"{prefix}: {on_target.progress} on {target}, but breaks rollback to {baseline}"
    else:
        text = f"{prefix}: {on_target.progress} on {target}, and {on_baseline.progress} on {baseline}"
    reason = on_target.installation.unchecked or on_baseline.installation.unchecked
    if reason:
        return f"{text}; not verified further: {reason}"
    if on_target.errors:
        return f"{text}; further problems are separate findings"
    if on_baseline.resolves and on_baseline.errors:
        return f"{text}; on {baseline}: {on_baseline.errors[0].message}"
    return text
