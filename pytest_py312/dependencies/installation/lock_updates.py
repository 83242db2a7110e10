"""Try what the lock files of a blocked set need: newer versions of the locked ones that block it."""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.findings import finding_identity, installation_findings
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.resolution.lockfile_pins import LOCKED_VERSION_CODE, RESOLVES, RESOLVES_AND_INSTALLS

MAX_ROUNDS = 4
"""Number of times that further locked versions are updated, as the ones before were not all that block."""


def with_updates_tried(
    installer: Installer, cell: Cell, findings: Sequence[Finding], after_repair: str
) -> list[Finding]:
    """Return ``findings`` on locked versions, with what blocks the set once these are updated.

    :param after_repair: the sentence for what only appears then.
    """
    entries = installer.request_builder.requirements(cell.service).entries
    identities = {finding_identity(finding) for finding in findings}
    names = _locked_names(findings)
    unavailable: set[str] = set()
    later: list[Finding] = []
    for _ in range(MAX_ROUNDS):
        installation = installer.trials.with_updated_locks(cell, names, unavailable)
        errors = [
            finding
            for finding in installer.attribute_to_lock_files(
                cell, list(installation_findings(cell, installation, entries))
            )
            if finding.severity is Severity.ERROR and finding_identity(finding) not in identities
        ]
        later += errors
        identities |= {finding_identity(finding) for finding in errors}
        if _locked_names(errors) <= names and unavailable.issuperset(installation.unavailable):
            break
        names |= _locked_names(errors)
        unavailable.update(installation.unavailable)
    if installation.environment is not None and not installation.incomplete and not unavailable:
        findings = [
            replace(finding, remedy=finding.remedy.replace(RESOLVES, RESOLVES_AND_INSTALLS)) for finding in findings
        ]
    baseline = installer.installation(cell.baseline_cell)
    preexisting = {
        finding_identity(finding) for finding in installation_findings(cell.baseline_cell, baseline, entries)
    }
    return [
        *findings,
        *(
            replace(
                finding,
                detail=f"{finding.detail}\n{after_repair}".strip(),
                preexisting=finding_identity(finding) in preexisting and not cell.is_baseline,
            )
            for finding in later
        ),
    ]


def _locked_names(findings: Sequence[Finding]) -> set[str]:
    return {name for finding in findings if is_locked_version(finding) for name in finding.names}


def is_locked_version(finding: Finding) -> bool:
    """Return whether a version blocks that only a lock file requires."""
    return finding.code == LOCKED_VERSION_CODE and finding.severity is Severity.ERROR and bool(finding.names)
