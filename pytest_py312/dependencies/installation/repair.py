"""Changes of a blocked set tried for real: resolved, installed and imported, on the target and on the baseline.

A version with a wheel may still clash with others, fail to build what it needs, or die when it is imported. So a change
is offered as tried only after all of that was done; what was done and what was not stands beside it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Severity, SpecifierChange
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.diagnosis.compatibility import Target, target_of
from pytest_py312.dependencies.diagnosis.repair_search import MENDABLE, Change, find_repair
from pytest_py312.dependencies.diagnosis.version_candidates import (
    ANY,
    Candidate,
    NoCandidate,
    candidates,
    latest,
    lowest_at,
    never_existed,
    smallest_change,
)
from pytest_py312.dependencies.installation.findings import faults_of, same_trouble
from pytest_py312.dependencies.installation.installer import Installation, Installer
from pytest_py312.dependencies.resolution.known_replacements import IN_WHEELS
from pytest_py312.dependencies.resolution.lock import Unchecked
from pytest_py312.repository.services.requirement_set import LocatedEntry, RequirementSet
from pytest_py312.runners.runner import CellUnavailable

ONCE_MENDED = "This shows once what else blocks the set was mended, as its remedies say."


SEARCH_LIMIT = 1200.0
"""Seconds after which no further change of a set is tried: a resolver may take minutes for each that clashes."""


class _OutOfTime(Exception):
    """No change was found in the time there is."""


def repair(installer: Installer, cell: Cell, findings: Sequence[Finding], exclude_newer: str) -> list[Finding]:
    """``findings`` of a blocked cell, with the changes that mend it as remedies where some were found.

    What shows only once the set can be installed, such as an import that fails, comes with them.
    """
    trials = Trials(installer=installer, cell=cell, exclude_newer=exclude_newer, started=clock.stopwatch())
    entries = installer.demands.requirements(cell.service).entries
    try:
        change = trials.settled(find_repair(findings, entries, trials))
        if change is None and trials.unsettled:
            change = find_repair(findings, entries, trials)
        told = list(findings) if change is None else _retold(findings, trials.proof(change), cell)
        return [trials.named(found) for found in told]
    except _OutOfTime:
        return [trials.named(found) for found in findings]
    except (CellUnavailable, Unchecked):
        return list(findings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """What came of a change on one interpreter. ``faults`` are errors, also those that were there before."""

    resolves: bool
    installation: Installation
    faults: tuple[Finding, ...]

    @property
    def done(self) -> str:
        """What could be done with the set, as verbs; empty for nothing."""
        if not self.resolves:
            return ""
        if self.installation.environment is None:
            return "resolves"
        return "resolves and installs" if self.faults else "resolves, installs and imports"


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """A change that was tried, and what came of it on both sides."""

    change: Change
    changes: tuple[SpecifierChange, ...]
    target: Side
    baseline: Side
    taken: frozenset[str]
    """Projects of which nothing is known but that the rest of the set takes this version."""


@dataclass(kw_only=True)
class Trials:
    """Implements dependencies.diagnosis.repair_search.Trying for one cell. A change has to resolve on the baseline too,
    while that is possible.
    """

    installer: Installer
    cell: Cell
    exclude_newer: str
    unsettled: bool = False
    """Whether what the rest of a set took did not hold when it was written down: it is not asked any more then."""
    _taken: frozenset[str] = frozenset()
    started: float
    _back: bool = True
    _refused_back: bool = False
    _installations: dict[object, Installation] = field(default_factory=dict)

    @property
    def _before(self) -> Cell:
        return replace(self.cell, interpreter=self.cell.service.baseline)

    @property
    def _required(self) -> RequirementSet:
        return self.installer.demands.requirements(self.cell.service)

    def candidates(self, item: LocatedEntry) -> Sequence[str]:
        """As dependencies.diagnosis.repair_search.Trying has it; what never had such a version may in the end be any
        that the others take.
        """
        found = [found.specifier for found in self._candidates(item) if not found.beyond_upper_bound]
        if self.unsettled or not _can_change(item):
            return found
        page = self.installer.index(self.cell).page(item.name)
        return [*found, ANY] if never_existed(page, item.entry.specifier, self._ground(self.cell)) else found

    def _candidates(self, item: LocatedEntry) -> Sequence[Candidate]:
        if not _can_change(item):
            return []
        page = self.installer.index(self.cell).page(item.name)
        target, baseline = self._ground(self.cell), self._ground(self._before)
        return candidates(page, item.entry.specifier, target=target, baseline=baseline)

    def _ground(self, cell: Cell) -> Target:
        return target_of(self.installer.build(cell), exclude_newer=self.exclude_newer)

    def settled(self, change: Change | None) -> Change | None:
        """``change`` with the versions written down that the rest of the set took, where any would do.

        The target's, and where the baseline takes another one, its. ``None`` where neither holds, and then see
        :attr:`unsettled`.
        """
        if change is None or ANY not in change.specifiers.values():
            return change
        self._taken = frozenset(item.name for item, specifier in change.specifiers.items() if specifier == ANY)
        written = [found for cell in (self.cell, self._before) if (found := self._written(change, cell))]
        held = next((found for found in written if self._holds(found)), None)
        if held is None and written and self.no_way_back() and self._holds(written[0]):
            held = written[0]
        self.unsettled = held is None
        return held

    def _holds(self, change: Change) -> bool:
        """Whether the set works as far as what ``change`` touches is concerned."""
        touched = {item.name for item in change.specifiers}
        return self.resolve(change) is None and not touched & set(self.install(change))

    def _written(self, change: Change, cell: Cell) -> Change | None:
        lock = self._installation(cell, change).lock
        taken = {pin.name: pin.version for pin in lock.pins} if lock is not None else {}
        now = {
            item: lowest_at(item.entry.specifier, taken.get(item.name, "")) if specifier == ANY else specifier
            for item, specifier in change.specifiers.items()
        }
        whole = {item: specifier for item, specifier in now.items() if specifier is not None}
        return replace(change, specifiers=whole) if len(whole) == len(now) else None

    def named(self, finding: Finding) -> Finding:
        """``finding``, where only a version beyond the upper bound would do, with that version in its remedy.

        A bound was set for a reason that a requirements file does not tell, so it is named and not moved. What code
        computes is not moved either.
        """
        if finding.changes or finding.code not in MENDABLE:
            return finding
        of_it = [item for item in self._required.entries if item.name in finding.names]
        if not of_it and finding.location is None and self._required.computed:
            by_hand = "code says what is required here, so this has to be changed by hand"
            return replace(finding, location=self._required.computed[0], remedy=f"{finding.remedy}; {by_hand}")
        if finding.code not in ("PY102", "PY103", "PY104"):
            return finding
        found = self._candidates(of_it[0]) if len(of_it) == 1 else ()
        if not found and finding.code == "PY102" and len(of_it) == 1:
            return self._with_latest(finding, of_it[0])
        if not found and finding.code == "PY104" and len(of_it) == 1:
            return self._of_source(finding, of_it[0])
        if not found or not found[0].beyond_upper_bound:
            return finding
        would = f"{finding.names[0]}{found[0].specifier}"
        on = self.cell.interpreter
        return replace(
            finding,
            remedy=f"no version that {of_it[0].text} allows has a wheel for {on}; {would} has one, and moves the upper "
            "bound: nobody but you can tell what that was for",
        )

    def _of_source(self, finding: Finding, item: LocatedEntry) -> Finding:
        """``finding``, of a source that does not build, with what there is in place of it where no wheel is."""
        if not _can_change(item):
            return finding
        page = self.installer.index(self.cell).page(item.name)
        found = smallest_change(page, item.entry.specifier, target=self._ground(self.cell))
        if not isinstance(found, NoCandidate) or not found.reason.startswith("no version"):
            return finding
        twin = IN_WHEELS.get(item.name)
        instead = f"require {twin} in its place, which is the same code in wheels" if twin else "replace it"
        return replace(finding, remedy=f"{found.reason}: require one whose source builds there, or {instead}")

    def _with_latest(self, finding: Finding, item: LocatedEntry) -> Finding:
        """``finding``, of what never had such a version, with the one that there is: whether it will do is not ours."""
        page = self.installer.index(self.cell).page(item.name)
        version = "" if item.entry.url else latest(page, self._ground(self.cell))
        if not version:
            return finding
        return replace(finding, remedy=f"{finding.remedy}; {item.name}=={version} is the latest that there is")

    def resolve(self, change: Change) -> Sequence[str] | None:
        """As dependencies.diagnosis.repair_search.Trying has it.

        :raises _OutOfTime: the search has had its time.
        """
        if clock.stopwatch() - self.started > SEARCH_LIMIT:
            raise _OutOfTime
        blamed = self.installer.blame(self.cell, change)
        if blamed is not None or not self._back or not change.specifiers:
            return blamed
        before = self.installer.blame(self._before, change)
        if before is not None and not {item.name for item in change.specifiers} & set(before):
            self._back = False  # something else blocks the baseline, which has nothing to say about changes then
            return None
        self._refused_back = self._refused_back or before is not None
        return before

    def no_way_back(self) -> bool:
        refused, self._back = self._back and self._refused_back, False
        return refused

    def install(self, change: Change) -> Collection[str]:
        here = self._faults(self.cell, change)
        if any(found.code == "PY105" for found in here):
            known = {same_trouble(found) for found in self._faults(self._before, change)}
            here = tuple(found for found in here if found.code != "PY105" or same_trouble(found) not in known)
        return {name for found in here if found.code in MENDABLE for name in found.names}

    def _faults(self, cell: Cell, change: Change) -> tuple[Finding, ...]:
        here = self._installation(cell, change)
        found = faults_of(cell, here, self._required.entries)
        return tuple(one for one in found if one.severity is Severity.ERROR)

    def _installation(self, cell: Cell, change: Change) -> Installation:
        key = (cell.interpreter, *change.specifiers.items(), change.without)
        if key not in self._installations:
            self._installations[key] = self.installer.attempt(cell, change)
        return self._installations[key]

    def proof(self, change: Change) -> Proof:
        """What is known of ``change`` on both sides; where one is the other, both are the same."""
        return Proof(
            change=change,
            changes=tuple(_specifier_changes(change, self._required)),
            target=self._side(self.cell, change),
            baseline=self._side(self._before, change),
            taken=self._taken,
        )

    def _side(self, cell: Cell, change: Change) -> Side:
        return Side(
            resolves=self.installer.blame(cell, change) is None,
            installation=self._installation(cell, change),
            faults=self._faults(cell, change),
        )


def _can_change(item: LocatedEntry) -> bool:
    return not item.entry.url and not item.entry.hashes and bool(item.location.line)


def _specifier_changes(change: Change, required: RequirementSet) -> Iterator[SpecifierChange]:
    """The changes of lines: a requirement may stand in several, and then all of them have to say the same."""
    for item, new in change.specifiers.items():
        same = [one for one in required.repeats if (one.name, one.entry.specifier) == (item.name, item.entry.specifier)]
        for one in (item, *same):
            place = one.location
            yield SpecifierChange(
                path=place.path, line=place.line or 0, name=one.name, old=one.entry.specifier, new=new
            )


# ---- in words


def _retold(findings: Sequence[Finding], proof: Proof, cell: Cell) -> list[Finding]:
    """``findings`` with what the proof adds to them."""
    told = [_with_remedy(found, proof, cell) for found in findings if not _is_settled(found, proof)]
    known = {same_trouble(found) for found in findings}
    before = {same_trouble(found) for found in proof.baseline.faults}
    for found in proof.target.faults:
        if same_trouble(found) not in known:
            preexisting = same_trouble(found) in before and not cell.is_baseline
            told.append(replace(found, detail=f"{found.detail}\n{ONCE_MENDED}".strip(), preexisting=preexisting))
    return told


def _is_settled(found: Finding, proof: Proof) -> bool:
    """A source whose build was not tried before was tried with the change."""
    if found.code != "PY112" or proof.target.installation.environment is None:
        return False
    return any(entry.from_source and (entry.name,) == found.names for entry in proof.target.installation.entries)


def _with_remedy(found: Finding, proof: Proof, cell: Cell) -> Finding:
    own = tuple(change for change in proof.changes if change.name in found.names)
    if not own or found.code not in MENDABLE | {"PY112"}:
        return found
    words = ", ".join(dict.fromkeys(f"{change.name}{change.old} -> {change.new}" for change in own))
    meant = "; no such version was ever there: see that this is the project that was meant"
    doubt = meant if found.code == "PY102" and proof.taken.intersection(found.names) else ""
    return replace(found, remedy=f"change {words} ({_tried(proof, cell)}){doubt}", changes=own)


def _tried(proof: Proof, cell: Cell) -> str:
    """``tried: the set resolves, installs and imports on 3.12 and 3.9``."""
    target, baseline = str(cell.interpreter), str(cell.service.baseline)
    left = sorted(proof.change.without)
    what = f"the set without {_listed(left)}, which no change that was tried mends," if left else "the set"
    here, there = proof.target, proof.baseline
    if here.done == there.done or cell.is_baseline:
        on = target if cell.is_baseline else f"{target} and {baseline}"
        text = f"tried: {what} {here.done} on {on}"
    elif not there.resolves:
        text = f"tried: {what} {here.done} on {target}, but not on {baseline}: there is no way back"
    else:
        text = f"tried: {what} {here.done} on {target}, and {there.done} on {baseline}"
    reason = here.installation.unchecked or there.installation.unchecked
    if reason:
        return f"{text}; more could not be told: {reason}"
    if here.faults:
        return f"{text}; what else is wrong with it is told beside this"
    return f"{text}; there, {there.faults[0].message}" if there.resolves and there.faults else text


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
