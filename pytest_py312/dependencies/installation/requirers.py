"""Repair projects that no file names, by raising the requirements that keep them at an old version.

``requests==2.22.0`` allows urllib3 below 1.26 only, and no such version can be imported on 3.12.
"""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.dependencies.diagnosis.repair_search import newer_than_pin
from pytest_py312.dependencies.installation.findings import SETUPTOOLS_VERIFIED, missing_setuptools
from pytest_py312.dependencies.installation.installed_distributions import limiting_requirements
from pytest_py312.dependencies.installation.remedies import with_whole_change
from pytest_py312.dependencies.installation.repair_trials import RepairTrials


def with_raised_requirers(trials: RepairTrials, findings: Sequence[Finding]) -> list[Finding]:
    """Return ``findings``, those on projects that other requirements bring in with a verified change of these.

    Their versions are the newest that fit together on the target or, if that does not work on both, on the baseline.

    :raises CellUnavailable, Undetermined: the index or an interpreter cannot be asked.
    """
    entries = trials.required.entries
    named = {item.name for item in entries if item.entry.specifier}
    pending = [finding for finding in findings if _is_of_other_requirements(finding) and not named & {*finding.names}]
    distributions = trials.installation_with(trials.change).distributions
    limiting = {item for finding in pending for item in limiting_requirements(finding.names[0], entries, distributions)}
    requirers = [item for item in entries if item in limiting]
    if not requirers or not all(newer_than_pin(item) and trials.candidates(item) for item in requirers):
        return list(findings)
    raised = {item: newer_than_pin(item) for item in requirers if item not in trials.change.specifiers}
    change = replace(
        trials.change,
        specifiers={**trials.change.specifiers, **raised},
        without=trials.change.without | trials.unavailable,
    )
    resolves = trials.resolve(change) is None
    if not resolves and not (trials.drop_baseline_constraint() and trials.resolve(change) is None):
        return list(findings)
    pinned = trials.pin_free_versions(change)
    if pinned is None:
        return list(findings)
    failing = set(trials.install(pinned))
    result = trials.result_of(pinned)
    repaired = [finding for finding in pending if not failing & {*finding.names}]
    return [with_whole_change(finding, result, trials.cell) if finding in repaired else finding for finding in findings]


def _is_of_other_requirements(finding: Finding) -> bool:
    """Return whether another version may repair a finding on an import, which no change of a line has done."""
    is_open = finding.code == "PY105" and finding.severity is Severity.ERROR and not finding.preexisting
    is_repaired = bool(finding.changes) or SETUPTOOLS_VERIFIED in finding.remedy
    return is_open and not is_repaired and missing_setuptools(finding) is None
