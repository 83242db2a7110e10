"""Which small change of its own specifier could free a blocked requirement: versions that have a wheel. Pure.

A candidate is looked at by itself; whether the whole set resolves, installs and imports with it is for others to try.
The operator's form is kept: a pin stays a pin, a range a range with both its ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

MOST_CANDIDATES = 20
"""More are not worth a resolver call each."""

ANY = ""
"""The specifier that leaves it to the rest of the set which version is taken."""

_LOWER = ("==", "===", "~=", ">=", ">")


class ReleaseFile(Protocol):
    """One file of a version: ``tags`` are those of a wheel's name, empty for a source; ``uploaded`` is RFC 3339."""

    @property
    def tags(self) -> str: ...

    @property
    def requires_python(self) -> str: ...

    @property
    def yanked(self) -> bool: ...

    @property
    def uploaded(self) -> str: ...


class ProjectPage(Protocol):
    """What an index has of one project: versions, as they are written, with their files."""

    @property
    def files(self) -> Mapping[str, Sequence[ReleaseFile]]: ...


class Ground(Protocol):
    """What of an interpreter decides which files fit it."""

    @property
    def version(self) -> str:
        """``3.12.1``."""
        ...

    @property
    def cut_off(self) -> datetime | None: ...

    def takes(self, tags: str) -> bool: ...

    def allows(self, requires_python: str) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A specifier to try, made for ``version``.

    ``also_on_baseline``: that version has a wheel for the baseline as well (true where none was asked about).
    ``beyond_upper_bound``: nothing below the bound would do, so the bound was moved as well.
    """

    specifier: str
    version: str
    also_on_baseline: bool
    beyond_upper_bound: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class NoCandidate:
    """``reason`` is a clause: ``no version has a wheel for 3.12``."""

    reason: str


def smallest_change(
    page: ProjectPage, specifier: str, *, target: Ground, baseline: Ground | None = None
) -> Candidate | NoCandidate:
    """The first of :func:`candidates`, or why there is none."""
    try:
        present = SpecifierSet(specifier)
        search = _Search(page, specifier, target, baseline)
    except (InvalidSpecifier, InvalidVersion, ValueError):
        return NoCandidate(reason=f'"{specifier[:80]}" holds no version that can be compared')
    allowed = [version for version in search.fitting if present.contains(version, prereleases=search.prereleases)]
    if allowed:
        return NoCandidate(
            reason=f"{min(allowed)} is allowed already and has a wheel for {_minor(target)}, so it is held back by "
            "another requirement"
        )
    return next(iter(search.candidates()), None) or NoCandidate(reason=search.why_none())


def candidates(
    page: ProjectPage, specifier: str, *, target: Ground, baseline: Ground | None = None
) -> tuple[Candidate, ...]:
    """Changed specifiers, the smallest change first; at most :data:`MOST_CANDIDATES`. Never raises.

    Versions below the upper bound come before those beyond it, then those with a wheel for the baseline too before
    those without, then lower before higher. None is lower than the specifier's own lower bound or pin, yanked, newer
    than the cut-off date, or a pre-release (unless the pin is one, or the project has nothing else).

    Of a project that never had a wheel for the target, it is the highest version below the upper bound: from which one
    on its source builds there, nothing tells but trying.
    """
    try:
        search = _Search(page, specifier, target, baseline)
        return tuple(search.candidates() if search.fitting else search.sources())
    except (InvalidSpecifier, InvalidVersion, ValueError):
        return ()


def never_existed(page: ProjectPage, specifier: str, target: Ground) -> bool:
    """Whether ``specifier`` names nothing that was ever there, and ``target`` may install something else.

    Never raises.
    """
    try:
        wanted = SpecifierSet(specifier)
    except InvalidSpecifier:
        return False
    releases = _releases(page)
    return not any(wanted.contains(version, prereleases=True) for version in releases) and any(
        _allowed(file, target, target.cut_off) for files in releases.values() for file in files
    )


def lowest_at(specifier: str, version: str) -> str | None:
    """``specifier`` in its form, with ``version`` as the lowest that it allows; ``None`` where that cannot be written.

    Never raises.
    """
    try:
        return _changed([Specifier(part) for part in specifier.split(",") if part.strip()], Version(version))
    except (InvalidSpecifier, InvalidVersion, ValueError):
        return None


def latest(page: ProjectPage, target: Ground) -> str:
    """The version that was published last of those that ``target`` may install, from a wheel where any has one.

    Pre-releases too; by its number where the index does not tell when. Empty where there is none.
    """
    found: list[tuple[bool, str, Version]] = []
    for version, files in _releases(page).items():
        wheels = [file for file in files if _fits(file, target, target.cut_off)]
        sources = [file for file in files if not file.tags and _allowed(file, target, target.cut_off)]
        if wheels or sources:
            found.append((bool(wheels), min((file.uploaded for file in wheels or sources), default=""), version))
    return str(max(found)[2]) if found else ""


class _Search:
    def __init__(self, page: ProjectPage, specifier: str, target: Ground, baseline: Ground | None) -> None:
        """:raises InvalidVersion: the pin is no version that has an order (``===1.0-custom``)."""
        self._target, self._baseline = target, baseline
        self._clauses = [Specifier(part) for part in specifier.split(",") if part.strip()]
        floors = [_bare(clause) for clause in self._clauses if clause.operator in _LOWER]
        self._floor = max(floors) if floors else None
        self._releases = _releases(page)
        self._present = SpecifierSet(specifier)
        local = self._floor.local if self._floor else None
        self.fitting = sorted(
            version
            for version, files in self._releases.items()
            if version.local == local and any(_fits(file, target, target.cut_off) for file in files)
        )
        """Versions with a wheel for the target, pre-releases too."""
        pinned = self._floor is not None and self._floor.is_prerelease
        self.prereleases = pinned or all(version.is_prerelease for version in self._releases)

    def candidates(self) -> list[Candidate]:
        found: list[tuple[bool, bool, Version, Candidate]] = []
        for version in self._reachable():
            if version.is_prerelease and not self.prereleases:
                continue
            changed = _changed(self._clauses, version)
            if changed is None or SpecifierSet(changed) == self._present:
                continue
            beyond = any(not clause.contains(version, prereleases=True) for clause in self._clauses if _caps(clause))
            both = self._on_baseline(version)
            candidate = Candidate(
                specifier=changed, version=str(version), also_on_baseline=both, beyond_upper_bound=beyond
            )
            found.append((beyond, not both, version, candidate))
        return [row[3] for row in sorted(found, key=lambda row: row[:3])[:MOST_CANDIDATES]]

    def sources(self) -> list[Candidate]:
        """The highest version with a source that may be taken, where that lies above what is required."""
        for version in sorted(self._releases, reverse=True):
            files = [file for file in self._releases[version] if not file.tags]
            usable = [file for file in files if _allowed(file, self._target, self._target.cut_off)]
            within = all(clause.contains(version, prereleases=True) for clause in self._clauses if _caps(clause))
            if not usable or not within or (version.is_prerelease and not self.prereleases):
                continue
            changed = _changed(self._clauses, version) if self._floor is None or version > self._floor else None
            if changed is None or SpecifierSet(changed) == self._present:
                return []
            ground = self._baseline
            both = ground is None or any(_allowed(file, ground, self._target.cut_off) for file in files)
            return [Candidate(specifier=changed, version=str(version), also_on_baseline=both)]
        return []

    def why_none(self) -> str:
        minor = _minor(self._target)
        if not self._releases:
            return "the index has no version of it"
        if not self.fitting:
            later = self._after_cut_off()
            label = f" of the build +{self._floor.local}" if self._floor is not None and self._floor.local else ""
            return f"no version{label} has a wheel for {minor}" + (
                f" up to the cut-off date; {later} came after it" if later else ""
            )
        reachable = list(self._reachable())
        if not reachable:
            newest = max(self.fitting)
            return f"no version from {self._floor} on has a wheel for {minor}; the newest that has one is {newest}"
        if not self.prereleases and all(version.is_prerelease for version in reachable):
            return f"only pre-releases have a wheel for {minor}, such as {reachable[0]}"
        return f"no version that the specifier could name has a wheel for {minor}"

    def _reachable(self) -> Iterator[Version]:
        return (version for version in self.fitting if self._floor is None or version >= self._floor)

    def _on_baseline(self, version: Version) -> bool:
        ground = self._baseline
        return ground is None or any(_fits(file, ground, self._target.cut_off) for file in self._releases[version])

    def _after_cut_off(self) -> Version | None:
        if self._target.cut_off is None:
            return None
        later = (
            version
            for version, files in self._releases.items()
            if (self._floor is None or version >= self._floor)
            and any(_fits(file, self._target, None) for file in files)
        )
        return min(later, default=None)


def _releases(page: ProjectPage) -> dict[Version, list[ReleaseFile]]:
    found: dict[Version, list[ReleaseFile]] = {}
    for text, files in page.files.items():
        try:
            found.setdefault(Version(text), []).extend(files)
        except InvalidVersion:  # from before PEP 440: no installer takes it
            continue
    return found


def _fits(file: ReleaseFile, ground: Ground, cut_off: datetime | None) -> bool:
    """Whether it is a wheel that installs there."""
    return bool(file.tags) and ground.takes(file.tags) and _allowed(file, ground, cut_off)


def _allowed(file: ReleaseFile, ground: Ground, cut_off: datetime | None) -> bool:
    """Whether it may be taken at all. A file without an upload time is not taken for too new."""
    if file.yanked or not ground.allows(file.requires_python):
        return False
    if cut_off is None or not file.uploaded:
        return True
    try:
        uploaded = datetime.fromisoformat(file.uploaded)
    except ValueError:
        return True
    return (uploaded if uploaded.tzinfo else uploaded.replace(tzinfo=UTC)) <= cut_off


def _bare(clause: Specifier) -> Version:
    return Version(clause.version.removesuffix(".*"))


def _caps(clause: Specifier) -> bool:
    """Whether it has an upper end that is not a pin."""
    return clause.operator in ("<", "<=", "~=") or (clause.operator == "==" and clause.version.endswith(".*"))


def _changed(clauses: Sequence[Specifier], version: Version) -> str | None:
    """The specifier that has ``version`` as its lowest, in the same form; ``None`` where no such can be written."""
    pinned = any(clause.operator in ("==", "===") and not _caps(clause) for clause in clauses)
    text = ",".join(
        # beside a pin, another bound need not move as long as it allows it
        str(clause) if pinned and clause.contains(version, prereleases=True) else _changed_clause(clause, version)
        for clause in clauses
    )
    try:
        return text if SpecifierSet(text).contains(version, prereleases=True) else None
    except InvalidSpecifier:  # pragma: no cover - a local version beside an ordered operator
        return None


def _changed_clause(clause: Specifier, version: Version) -> str:
    sign = clause.operator
    if sign == "!=":
        return str(clause)
    if sign in ("<", "<="):
        return str(clause) if clause.contains(version, prereleases=True) else _moved_bound(clause, version)
    if clause.version.endswith(".*"):
        return f"{sign}{_cut(version, len(_bare(clause).release))}.*"
    if sign == "~=":
        width = len(_bare(clause).release)
        # a longer number would allow less than the old one did: ~=1.2.3 stays below 1.3, ~=1.2 below 2
        same = len(version.release) == width or version.is_prerelease
        return f"~={version if same else _cut(version, width)}"
    return f"{'>=' if sign == '>' else sign}{version}"


def _moved_bound(clause: Specifier, version: Version) -> str:
    """``<2`` for 2.1 is ``<3``, ``<0.28.0`` for 0.29.1 is ``<0.30.0``: as far away as it was written."""
    if clause.operator == "<=":
        return f"<={version}"
    release = _bare(clause).release
    last = max((index for index, number in enumerate(release) if number), default=0)
    numbers = [*version.release, *([0] * len(release))][: last + 1]
    numbers[last] += 1
    return "<" + _epoch(version) + ".".join(map(str, [*numbers, *([0] * (len(release) - last - 1))]))


def _cut(version: Version, width: int) -> str:
    """The first ``width`` numbers of it."""
    return _epoch(version) + ".".join(map(str, [*version.release, *([0] * width)][:width]))


def _epoch(version: Version) -> str:
    return f"{version.epoch}!" if version.epoch else ""


def _minor(ground: Ground) -> str:
    return ".".join(ground.version.split(".")[:2])
