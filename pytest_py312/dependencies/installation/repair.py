"""Find requirement changes that repair a blocked set, and verify them on target and baseline.

A version with a wheel may still conflict with others, need a source that does not build, or fail on import. So each
change is resolved, installed and imported before it is offered, and the remedy says which of these steps succeeded.
Three kinds of changes are tried: newer versions in lock files that block, other specifiers of what is required, and
those of the requirements that keep a project at an old version which no file names.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.diagnosis.repair_search import REPAIRABLE, newer_than_pin
from pytest_py312.dependencies.installation.findings import (
    SETUPTOOLS_VERIFIED,
    finding_identity,
    installation_findings,
    missing_setuptools,
    without_consequences,
)
from pytest_py312.dependencies.installation.installed_distributions import excluding_requirements
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.installation.remedies import AFTER_REPAIR, with_change_of, with_remedies
from pytest_py312.dependencies.installation.repair_trials import RepairTrials, SearchTimeout
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.resolution.lock import Undetermined
from pytest_py312.dependencies.resolution.lockfile_pins import LOCKED_VERSION_CODE, RESOLVES, RESOLVES_AND_INSTALLS
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry
from pytest_py312.runners.runner import CellUnavailable

MAX_ROUNDS = 3
"""Searches for one set: what a change lets appear, such as a failing import, is repaired together with what blocked
before."""
MAX_LOCK_UPDATES = 4
"""Number of times that further locked versions are updated, as the ones before were not all that block."""


def repair(
    installer: Installer,
    cell: Cell,
    findings: Sequence[Finding],
    exclude_newer: str,
    unavailable: frozenset[str] = frozenset(),
) -> list[Finding]:
    """Return ``findings`` of a blocked cell with verified changes as remedies, as far as some were found.

    Findings that appear only once the set can be installed, such as a failing import, are added.

    :param unavailable: projects and folders that cannot be had here, which are left out of every trial, unless a
        finding says that their build blocks.
    """
    # what lacks something here and where the service runs is repaired, by a version that has a wheel
    wheels_only = unavailable & {name for finding in findings if finding.code == "PY104" for name in finding.names}
    trials = RepairTrials(
        installer=installer,
        cell=cell,
        exclude_newer=exclude_newer,
        started=clock.stopwatch(),
        unavailable=unavailable - wheels_only,
        wheels_only=wheels_only,
    )
    entries = installer.requirements.of(cell.service).entries
    explained = list(findings)
    try:
        updated = _with_lock_updates(installer, cell, findings)
        if updated is not None:
            return updated
        explained = [trials.with_setuptools(finding, only_changes=True) for finding in findings]
        for _ in range(MAX_ROUNDS):
            change = trials.find_change(explained, entries)
            if change is None:
                break
            trials.change = change
            earlier = {finding_identity(finding) for finding in explained}
            explained = with_remedies(explained, trials.result_of(change), cell)
            appeared = [finding for finding in explained if finding_identity(finding) not in earlier]
            if not any(finding.code in REPAIRABLE and not finding.preexisting for finding in appeared):
                break
        with suppress(CellUnavailable, Undetermined):  # then the others keep their advice
            explained = _with_raised_requirers(trials, explained)
    except SearchTimeout:
        if not trials.change.specifiers:  # a change that was found stays, whatever more time would add
            installer.locks.mark_undetermined(cell)
    except (CellUnavailable, Undetermined):
        installer.locks.mark_undetermined(cell)
        return explained
    with suppress(CellUnavailable, Undetermined):
        return [trials.with_advice(finding) for finding in explained]
    installer.locks.mark_undetermined(cell)
    return explained


# ---- newer versions in lock files


def _with_lock_updates(installer: Installer, cell: Cell, findings: Sequence[Finding]) -> list[Finding] | None:
    """Return ``findings`` with what blocks at its line in a lock file, and what blocks once that is updated.

    :returns: ``None`` if something else blocks the set, or an import fails with the updates as well.
    """
    blocking = [finding for finding in findings if finding.blocks]
    located = dict(zip(map(id, blocking), installer.attribute_to_lock_files(cell, blocking), strict=True))
    if not blocking or not all(map(_is_locked_version, located.values())):
        return None
    entries = installer.requirements.of(cell.service).entries
    baseline = installer.installation(cell.baseline_cell)
    # what fails on the baseline as well is reported as that, if at all
    reported = {finding_identity(item) for item in installation_findings(cell.baseline_cell, baseline, entries)}
    reported |= {finding_identity(finding) for finding in findings}
    names = {name for finding in located.values() for name in finding.names}
    unavailable: set[str] = set()
    later: list[Finding] = []
    for _ in range(MAX_LOCK_UPDATES):
        installation = installer.trials.with_updated_locks(cell, names, unavailable)
        remaining = without_consequences(list(installation_findings(cell, installation, entries)), installation)
        new = [finding for finding in remaining if finding.blocks and finding_identity(finding) not in reported]
        located_errors = installer.attribute_to_lock_files(cell, new)
        later += located_errors
        reported |= {finding_identity(finding) for finding in new}
        more = {name for finding in located_errors if _is_locked_version(finding) for name in finding.names}
        if more <= names and unavailable.issuperset(installation.unavailable):
            break
        names |= more
        unavailable.update(installation.unavailable)
    failing = {finding_identity(finding) for finding in remaining}
    is_repaired = unavailable.isdisjoint(name for finding in blocking for name in finding.names)
    if not is_repaired or any(finding_identity(finding) in failing for finding in blocking):
        return None
    all_findings = [
        *(located.get(id(finding), finding) for finding in findings),
        *(replace(finding, detail=f"{finding.detail}\n{AFTER_REPAIR}".strip()) for finding in later),
    ]
    return [_with_tried_versions(finding, cell, installation) for finding in all_findings]


def _with_tried_versions(finding: Finding, cell: Cell, installation: Installation) -> Finding:
    """Return a finding on a locked version with the versions that were installed instead, if all could be."""
    command, mark, _ = finding.remedy.partition(f" (verified: {RESOLVES} ")
    if not mark or installation.environment is None or installation.incomplete or installation.lock is None:
        return finding
    versions = installation.lock.versions
    tried = ", ".join(f"{name} {versions[name]}" for name in finding.names if name in versions)
    changes = f"with {tried}" if tried else "without it"
    return replace(finding, remedy=f"{command} (verified: {RESOLVES_AND_INSTALLS} {cell.interpreter} {changes})")


def _is_locked_version(finding: Finding) -> bool:
    """Return whether a version blocks that only a lock file requires."""
    return finding.code == LOCKED_VERSION_CODE and finding.blocks and bool(finding.names)


# ---- requirements that keep others at an old version


def _with_raised_requirers(trials: RepairTrials, findings: Sequence[Finding]) -> list[Finding]:
    """Return ``findings``, those on projects that other requirements bring in with a verified change of these.

    For example ``requests==2.22.0`` allows urllib3 below 1.26 only, and no such version can be imported on 3.12.
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
    if not raised:
        return list(findings)
    if trials.resolve(change) is not None and not (
        trials.drop_baseline_constraint() and trials.resolve(change) is None
    ):
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


def _is_of_other_requirements(finding: Finding) -> bool:
    """Return whether another version may repair a finding on an import, which no change of a line has done."""
    is_open = finding.code == "PY105" and finding.severity is Severity.ERROR and not finding.preexisting
    is_repaired = bool(finding.changes) or SETUPTOOLS_VERIFIED in finding.remedy
    return is_open and not is_repaired and missing_setuptools(finding) is None
