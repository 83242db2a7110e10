"""Repair projects that no file names, by raising the requirements that keep them at an old version.

``requests==2.22.0`` allows urllib3 below 1.26 only, and no such version can be imported on 3.12.
"""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.dependencies.diagnosis.repair_search import RequirementChange, newer_than_pin
from pytest_py312.dependencies.installation.findings import SETUPTOOLS_VERIFIED, missing_setuptools
from pytest_py312.dependencies.installation.installed_distributions import excluding_requirements
from pytest_py312.dependencies.installation.remedies import with_change_of, with_remedies
from pytest_py312.dependencies.installation.repair_trials import RepairTrials
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry


def with_raised_requirers(trials: RepairTrials, findings: Sequence[Finding]) -> list[Finding]:
    """Return ``findings``, those on projects that other requirements bring in with a verified change of these.

    Their versions are the newest that fit together on the target or, if that does not work on both, on the baseline.

    :raises CellUnavailable, Undetermined: the index or an interpreter cannot be asked.
    """
    entries = trials.required.entries
    named = {item.name for item in entries if item.entry.specifier}
    pending = {
        finding: items
        for finding in findings
        if _is_of_other_requirements(finding) and not named & {*finding.names}
        if (items := _raisable_requirers(trials, finding.names[0]))
    }
    requirers = {item for items in pending.values() for item in items}
    raised = {item: newer_than_pin(item) for item in entries if item in requirers}
    projects = frozenset(name for finding in pending for name in finding.names)
    change = replace(
        trials.change,
        specifiers={**raised, **trials.change.specifiers},
        without=(trials.change.without | trials.unavailable) - projects,
    )
    if not raised or not _resolves(trials, change):
        return list(findings)
    pinned = trials.pin_free_versions(change)
    if pinned is None:
        return list(findings)
    result = trials.result_of(pinned)
    failing = {name for error in (*result.target.errors, *result.baseline.errors) for name in error.names}
    repaired = {finding: items for finding, items in pending.items() if not failing & {*finding.names}}
    if not repaired:
        return list(findings)
    trials.change = pinned
    explained = {
        finding: with_change_of(finding, result, trials.cell, {item.name for item in items})
        for finding, items in repaired.items()
    }
    return with_remedies([explained.get(finding, finding) for finding in findings], result, trials.cell)


def _raisable_requirers(trials: RepairTrials, project: str) -> list[LocatedEntry]:
    """Return the pins that keep a project from its latest version, if each of them can be raised; else none."""
    installation = trials.installation_with(trials.change)
    build = installation.build
    latest = trials.latest_version(project)
    if build is None or not latest:
        return []
    entries = trials.required.entries
    requirers = excluding_requirements(project, latest, entries, installation.distributions, build)
    return requirers if all(newer_than_pin(item) and trials.candidates(item) for item in requirers) else []


def _resolves(trials: RepairTrials, change: RequirementChange) -> bool:
    return trials.resolve(change) is None or (trials.drop_baseline_constraint() and trials.resolve(change) is None)


def _is_of_other_requirements(finding: Finding) -> bool:
    """Return whether another version may repair a finding on an import, which no change of a line has done."""
    is_open = finding.code == "PY105" and finding.severity is Severity.ERROR and not finding.preexisting
    is_repaired = bool(finding.changes) or SETUPTOOLS_VERIFIED in finding.remedy
    return is_open and not is_repaired and missing_setuptools(finding) is None
