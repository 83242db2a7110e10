"""Find requirement changes that repair a blocked set, and verify them on target and baseline.

A version with a wheel may still conflict with others, need a source that does not build, or fail on import. So each
change is resolved, installed and imported before it is offered, and the remedy says which of these steps succeeded.
"""

from collections.abc import Sequence
from contextlib import suppress

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.diagnosis.repair_search import REPAIRABLE
from pytest_py312.dependencies.installation.findings import finding_identity
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.installation.lock_updates import with_updates_tried
from pytest_py312.dependencies.installation.remedies import AFTER_REPAIR, with_remedies
from pytest_py312.dependencies.installation.repair_trials import RepairTrials, SearchTimeout
from pytest_py312.dependencies.installation.requirers import with_raised_requirers
from pytest_py312.dependencies.resolution.lock import Undetermined
from pytest_py312.runners.runner import CellUnavailable

MAX_ROUNDS = 3
"""Searches for one set: what a change lets appear, such as a failing import, is repaired together with what blocked
before."""


def repair(
    installer: Installer,
    cell: Cell,
    findings: Sequence[Finding],
    exclude_newer: str,
    unavailable: frozenset[str] = frozenset(),
) -> list[Finding]:
    """Return ``findings`` of a blocked cell with verified changes as remedies, as far as some were found.

    Findings that appear only once the set can be installed, such as a failing import, are added.

    :param unavailable: projects and folders that cannot be had here, which are left out of every trial.
    """
    trials = RepairTrials(
        installer=installer, cell=cell, exclude_newer=exclude_newer, started=clock.stopwatch(), unavailable=unavailable
    )
    entries = installer.requirements.of(cell.service).entries
    explained = list(findings)
    try:
        updated = with_updates_tried(installer, cell, findings, AFTER_REPAIR)
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
            explained = with_raised_requirers(trials, explained)
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
