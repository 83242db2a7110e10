"""Try what the lock files of a blocked set need: newer versions of the locked ones that block it."""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.findings import (
    finding_identity,
    installation_findings,
    without_consequences,
)
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.resolution.lockfile_pins import LOCKED_VERSION_CODE, RESOLVES, RESOLVES_AND_INSTALLS

MAX_ROUNDS = 4
"""Number of times that further locked versions are updated, as the ones before were not all that block."""


def with_updates_tried(
    installer: Installer, cell: Cell, findings: Sequence[Finding], after_repair: str
) -> list[Finding] | None:
    """Return ``findings`` with what blocks at its line in a lock file, and what blocks once that is updated.

    :param after_repair: the sentence for what only appears then.
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
    for _ in range(MAX_ROUNDS):
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
    if any(finding_identity(finding) in failing for finding in blocking):
        return None
    all_findings = [
        *(located.get(id(finding), finding) for finding in findings),
        *(replace(finding, detail=f"{finding.detail}\n{after_repair}".strip()) for finding in later),
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
