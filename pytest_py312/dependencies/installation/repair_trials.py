"""Try changes of the requirements of one cell on target and baseline, with the candidates that the index has."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Severity, SpecifierChange
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.text import join_with_and
from pytest_py312.dependencies.diagnosis.compatibility import TargetEnvironment, target_environment
from pytest_py312.dependencies.diagnosis.expired_requirements import expired_requirement
from pytest_py312.dependencies.diagnosis.repair_search import REPAIRABLE, RequirementChange, find_repair, newer_than_pin
from pytest_py312.dependencies.diagnosis.version_candidates import (
    ANY_VERSION,
    NoCandidate,
    VersionCandidate,
    candidates,
    latest_version,
    never_existed,
    smallest_change,
    with_minimum,
)
from pytest_py312.dependencies.installation.findings import (
    SETUPTOOLS_VERIFIED,
    finding_identity,
    installation_findings,
    missing_setuptools,
    setuptools_changes,
    setuptools_remedy,
)
from pytest_py312.dependencies.installation.image_builds import image_build_findings
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.installation.remedies import TrialResult, TrialSide
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.system.known_replacements import WHEEL_ALTERNATIVES
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry, RequirementSet

SEARCH_LIMIT = 300.0
"""Time limit of the search for one set, in seconds: a resolver may take minutes for each change that conflicts."""


class SearchTimeout(Exception):
    """No change was found within :data:`SEARCH_LIMIT`."""


@dataclass(kw_only=True)
class RepairTrials:
    """Trials of changes for one cell.

    Implements :class:`~pytest_py312.dependencies.diagnosis.repair_search.RepairTester`.

    A change has to resolve on the baseline too, as long as such a change exists.
    """

    installer: Installer
    cell: Cell
    exclude_newer: str
    unavailable: frozenset[str] = frozenset()
    wheels_only: frozenset[str] = frozenset()
    """Projects of which no source can be built here."""
    pinning_failed: bool = False
    """Whether a freely chosen version failed once it was pinned; :data:`ANY_VERSION` is no candidate any more then."""
    change: RequirementChange = field(default_factory=RequirementChange)
    """The change that was found, with which further advice is tried."""
    _freely_chosen: frozenset[str] = frozenset()
    started: float
    _baseline_constrains: bool = True
    _baseline_refused: bool = False
    _installations: dict[object, Installation] = field(default_factory=dict)

    @property
    def required(self) -> RequirementSet:
        """What the files of the service require."""
        return self.installer.requirements.of(self.cell.service)

    def candidates(self, item: LocatedEntry) -> Sequence[str]:
        """Return specifiers for a requirement, the smallest change first.

        For a version that never existed, the last candidate is any version that the rest of the set allows.
        """
        specifiers = [
            candidate.specifier for candidate in self._version_candidates(item) if not candidate.beyond_upper_bound
        ]
        if self.pinning_failed or not self._can_change(item):
            return specifiers
        page = self.installer.trials.index(self.cell).page(item.name)
        return (
            [*specifiers, ANY_VERSION]
            if never_existed(page, item.entry.specifier, self._target_environment(self.cell))
            else specifiers
        )

    def _can_change(self, item: LocatedEntry) -> bool:
        """Return whether another version can be written: hashes can be if a command makes the file again."""
        if item.entry.url or not item.location.line:
            return False
        return not item.entry.hashes or self.installer.requirements.is_compiled(item.location.path)

    def _version_candidates(self, item: LocatedEntry, *, hashed: bool = False) -> Sequence[VersionCandidate]:
        """Return versions for a requirement, none if its line is not changed; with ``hashed`` if hashes are why."""
        if not self._can_change(item) and not (hashed and not item.entry.url):
            return []
        page = self.installer.trials.index(self.cell).page(item.name)
        target, baseline = self._target_environment(self.cell), self._target_environment(self.cell.baseline_cell)
        with_sources = item.name not in self.wheels_only
        return candidates(page, item.entry.specifier, target=target, baseline=baseline, with_sources=with_sources)

    def _target_environment(self, cell: Cell) -> TargetEnvironment:
        return target_environment(self.installer.build(cell), exclude_newer=self.exclude_newer)

    def find_change(self, findings: Sequence[Finding], entries: Sequence[LocatedEntry]) -> RequirementChange | None:
        """Return the smallest change that works, with versions where it left them open; ``None`` if none was found."""
        others = [finding for finding in findings if SETUPTOOLS_VERIFIED not in finding.remedy]
        change = self.pin_free_versions(find_repair(others, entries, self, self.unavailable))
        if change is None and self.pinning_failed:
            change = find_repair(others, entries, self, self.unavailable, may_free=False)
        return change

    def pin_free_versions(self, change: RequirementChange | None) -> RequirementChange | None:
        """Replace specifiers that leave the version open by the one in the lock of the target or of the baseline.

        Return ``None`` if neither works, and then set :attr:`pinning_failed`.
        """
        free = [item for item, specifier in change.specifiers.items() if _is_open(item, specifier)] if change else []
        if change is None or not free:
            return change
        self._freely_chosen = frozenset(item.name for item in free)
        pinned_changes = [
            pinned_change
            for cell in (self.cell, self.cell.baseline_cell)
            if (pinned_change := self._with_locked_versions(change, cell))
        ]
        valid_change = next((pinned_change for pinned_change in pinned_changes if self._works(pinned_change)), None)
        if (
            valid_change is None
            and pinned_changes
            and self.drop_baseline_constraint()
            and self._works(pinned_changes[0])
        ):
            valid_change = pinned_changes[0]
        self.pinning_failed = valid_change is None
        return valid_change

    def _works(self, change: RequirementChange) -> bool:
        """Return whether the set resolves, and the projects that ``change`` touches install and import."""
        touched = {item.name for item in change.specifiers}
        return self.resolve(change) is None and not touched & set(self.install(change))

    def _with_locked_versions(self, change: RequirementChange, cell: Cell) -> RequirementChange | None:
        lock = self._installation(cell, change).lock
        locked_versions = {pin.name: pin.version for pin in lock.pins} if lock is not None else {}
        specifiers = {
            item: with_minimum(item.entry.specifier, locked_versions.get(item.name, ""))
            if _is_open(item, specifier)
            else specifier
            for item, specifier in change.specifiers.items()
        }
        complete = {item: specifier for item, specifier in specifiers.items() if specifier is not None}
        return replace(change, specifiers=complete) if len(complete) == len(specifiers) else None

    def with_advice(self, finding: Finding) -> Finding:
        """Add advice to the remedy of a finding for which no change was found.

        A version beyond an upper bound is only mentioned: the reason for the bound is not known. Requirements that are
        computed by code are not changed either.
        """
        if finding.changes or finding.code not in REPAIRABLE or SETUPTOOLS_VERIFIED in finding.remedy:
            return finding
        matching_requirements = [item for item in self.required.entries if item.name in finding.names]
        if not matching_requirements and finding.location is None and self.required.computed:
            manually = "the requirements are computed by code here, so change them manually"
            return replace(finding, location=self.required.computed[0], remedy=f"{finding.remedy}; {manually}")
        if finding.code not in ("PY102", "PY103", "PY104"):
            return self.with_setuptools(finding)
        marker_advice = self._marker_advice(matching_requirements)
        if marker_advice:
            return replace(finding, remedy=marker_advice)
        version_candidates = (
            self._version_candidates(matching_requirements[0]) if len(matching_requirements) == 1 else ()
        )
        if not version_candidates and finding.code == "PY102" and len(matching_requirements) == 1:
            return self._with_latest_version(finding, matching_requirements[0])
        if finding.code == "PY104" and any(
            item.entry.hashes and not self._can_change(item) for item in matching_requirements[:1]
        ):
            return self._with_version_of_hashed(finding, matching_requirements[0])
        if not version_candidates and finding.code == "PY104" and len(matching_requirements) == 1:
            return self._with_source_advice(finding, matching_requirements[0])
        if not version_candidates or not version_candidates[0].beyond_upper_bound:
            return finding
        suggestion = f"{finding.names[0]}{version_candidates[0].specifier}"
        interpreter = self.cell.interpreter
        return replace(
            finding,
            remedy=f"no version that {matching_requirements[0].text} allows has a wheel for {interpreter}; "
            f"{suggestion} has one, but is beyond the upper bound: check why that bound was set",
        )

    def with_setuptools(self, finding: Finding, *, only_changes: bool = False) -> Finding:
        """Offer to require setuptools for a failing import that lacks it, if the import works with it.

        To narrow a line that requires it already (``only_changes``) is a smaller change than another version of what is
        imported.
        """
        missing = (
            missing_setuptools(finding) if finding.severity is Severity.ERROR and not finding.preexisting else None
        )
        if missing is None:
            return finding
        module, requirement = missing
        changes = setuptools_changes(self.required, requirement)
        if only_changes and not changes:
            return finding
        results = self.installer.trials.imports_with(self.cell, (requirement,), (module,), self.change)
        if results is None or results.get(module, "not tried"):
            return finding
        return replace(
            finding,
            remedy=setuptools_remedy(requirement, module, self.cell),
            changes=changes,
        )

    def _marker_advice(self, requirements: Sequence[LocatedEntry]) -> str:
        """Return the marker to add to a pin that only the baseline needs; empty if it is no such pin."""
        if len({item.name for item in requirements}) != 1 or any(item.entry.marker for item in requirements):
            return ""
        item, baseline = requirements[0], self.installer.installation(self.cell.baseline_cell)
        requires = [(entry.name, line) for entry in baseline.distributions for line in entry.requires]
        expired = expired_requirement(item.name, requires, self.cell.service.baseline, self.cell.interpreter)
        if expired is None:
            return ""
        without = RequirementChange(without=self.unavailable | {item.name})
        trial = self.installer.trials.try_change(self.cell, without)
        if trial.lock is None or item.name in trial.lock.versions:
            return ""
        is_verified = trial.environment is not None and not trial.incomplete
        verified = f" (verified: without it, the set installs on {self.cell.interpreter})" if is_verified else ""
        requirers = join_with_and(expired.requirers)
        verb = "requires" if len(expired.requirers) == 1 else "require"
        return (
            f"{item.text} ; {expired.marker}{verified}: {requirers} {verb} it with this marker, so "
            f"{self.cell.interpreter} needs none; if the file is compiled, write it in its source or compile it again"
        )

    def _with_source_advice(self, finding: Finding, item: LocatedEntry) -> Finding:
        """Add to a finding on a source that does not build what to do if there is no wheel."""
        if not self._can_change(item):
            return finding
        page = self.installer.trials.index(self.cell).page(item.name)
        smallest = smallest_change(page, item.entry.specifier, target=self._target_environment(self.cell))
        if not isinstance(smallest, NoCandidate) or not smallest.reason.startswith("no version"):
            return finding
        wheel_project = WHEEL_ALTERNATIVES.get(item.name)
        alternative = (
            f"require {wheel_project} instead, which has the same code as wheels" if wheel_project else "replace it"
        )
        return replace(finding, remedy=f"{smallest.reason}: require one whose source builds there, or {alternative}")

    def _with_version_of_hashed(self, finding: Finding, item: LocatedEntry) -> Finding:
        """Name a version for a line with hashes: its file is compiled from another one, so no change is offered."""
        versions = [each for each in self._version_candidates(item, hashed=True) if not each.beyond_upper_bound]
        if not versions:
            return finding
        return replace(
            finding,
            remedy=f"{item.name}{versions[0].specifier} has a wheel for {self.cell.interpreter} (not tried): require "
            "it where the file is compiled from, and compile it again with hashes",
        )

    def _with_latest_version(self, finding: Finding, item: LocatedEntry) -> Finding:
        """Add the latest version to a finding on a version that never existed, without claiming that it works."""
        page = self.installer.trials.index(self.cell).page(item.name)
        version = "" if item.entry.url else latest_version(page, self._target_environment(self.cell))
        if not version:
            return finding
        return replace(finding, remedy=f"{finding.remedy}; the latest version is {item.name}=={version}")

    def resolve(self, change: RequirementChange) -> Sequence[str] | None:
        """Return the projects that block the set with ``change``; ``None`` if it resolves.

        :raises SearchTimeout: the search has taken too long.
        """
        if clock.stopwatch() - self.started > SEARCH_LIMIT:
            raise SearchTimeout
        blamed = self.installer.trials.blamed_projects(self.cell, change)
        if blamed is not None or not self._baseline_constrains or not change.specifiers:
            return blamed
        blamed_on_baseline = self.installer.trials.blamed_projects(self.cell.baseline_cell, change)
        if blamed_on_baseline is not None and not {item.name for item in change.specifiers} & set(blamed_on_baseline):
            # something else blocks the baseline, so it cannot be used to select changes
            self._baseline_constrains = False
            return None
        self._baseline_refused = self._baseline_refused or blamed_on_baseline is not None
        return blamed_on_baseline

    def drop_baseline_constraint(self) -> bool:
        refused, self._baseline_constrains = self._baseline_constrains and self._baseline_refused, False
        return refused

    def install(self, change: RequirementChange) -> Collection[str]:
        target_errors = self._errors(self.cell, change)
        if any(finding.code == "PY105" for finding in target_errors):
            baseline_identities = {
                finding_identity(finding) for finding in self._errors(self.cell.baseline_cell, change)
            }
            target_errors = tuple(
                finding
                for finding in target_errors
                if finding.code != "PY105" or finding_identity(finding) not in baseline_identities
            )
        return {name for finding in target_errors if finding.code in REPAIRABLE for name in finding.names}

    def _errors(self, cell: Cell, change: RequirementChange) -> tuple[Finding, ...]:
        installation = self._installation(cell, change)
        findings = list(installation_findings(cell, installation, self.required.entries))
        if not cell.is_baseline and any(entry.from_source for entry in installation.distributions):
            baseline = self.installer.installation(self.cell.baseline_cell)
            needs_none = partial(self.installer.builds_without_compiler, installation)
            findings += image_build_findings(cell, installation, baseline, self.required.entries, needs_none)
        return tuple(finding for finding in findings if finding.severity is Severity.ERROR)

    def latest_version(self, project: str) -> str:
        """Return the latest version of a project for the target; empty if there is none."""
        return latest_version(self.installer.trials.index(self.cell).page(project), self._target_environment(self.cell))

    def installation_with(self, change: RequirementChange) -> Installation:
        """Return what is installed for the cell with ``change``, which may be none."""
        return self._installation(self.cell, change) if change.specifiers else self.installer.installation(self.cell)

    def _installation(self, cell: Cell, change: RequirementChange) -> Installation:
        key = (cell.interpreter, frozenset(change.specifiers.items()), change.without)
        if key not in self._installations:
            self._installations[key] = self.installer.trials.try_change(cell, change)
        return self._installations[key]

    def result_of(self, change: RequirementChange) -> TrialResult:
        """Return the results of ``change`` on target and baseline, which may be the same interpreter."""
        return TrialResult(
            change=change,
            changes=tuple(_specifier_changes(change, self.required)),
            target=self._trial_side(self.cell, change),
            baseline=self._trial_side(self.cell.baseline_cell, change),
            freely_chosen=self._freely_chosen,
            unavailable=self.unavailable,
        )

    def _trial_side(self, cell: Cell, change: RequirementChange) -> TrialSide:
        return TrialSide(
            resolves=self.installer.trials.blamed_projects(cell, change) is None,
            installation=self._installation(cell, change),
            errors=self._errors(cell, change),
        )


def _is_open(item: LocatedEntry, specifier: str) -> bool:
    """Return whether a changed specifier leaves the version to the rest of the set."""
    return specifier in (ANY_VERSION, newer_than_pin(item))


def _specifier_changes(change: RequirementChange, required: RequirementSet) -> Iterator[SpecifierChange]:
    """Yield the changed lines: if a requirement is repeated, all of its lines change."""
    for item, new in change.specifiers.items():
        repeats = [
            requirement
            for requirement in required.duplicates
            if (requirement.name, requirement.entry.specifier) == (item.name, item.entry.specifier)
        ]
        for requirement in (item, *repeats):
            location = requirement.location
            yield SpecifierChange(
                path=location.path,
                line=location.line or 0,
                name=requirement.name,
                old=requirement.entry.specifier,
                new=new,
            )
