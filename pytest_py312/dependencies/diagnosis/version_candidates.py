"""Find small changes of a blocked requirement's specifier: to versions that have a wheel. Pure.

Each candidate is checked by itself; dependencies/installation/repair.py tests the whole set with it. The form of the
specifier stays: a pin remains a pin, and a range keeps both bounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from pytest_py312.core.text import shorten
from pytest_py312.dependencies.diagnosis.compatibility import (
    TargetEnvironment,
    accepts_prereleases,
    files_by_version,
    is_before,
)
from pytest_py312.dependencies.diagnosis.package_index import DistributionFile, IndexPage

MAX_CANDIDATES = 20
"""Candidates of one requirement; each costs a run of the resolver."""

ANY_VERSION = ""
"""The specifier that allows every version, so that the other requirements decide."""

_LOWER_BOUND_OPERATORS = ("==", "===", "~=", ">=", ">")


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionCandidate:
    """A specifier to try, made for ``version``.

    ``also_on_baseline``: the version has a wheel for the baseline as well (true without a baseline).
    ``beyond_upper_bound``: the specifier's upper bound was raised as well.
    """

    specifier: str
    version: str
    also_on_baseline: bool
    beyond_upper_bound: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class NoCandidate:
    """The reason why there is no candidate, as a clause: ``no version has a wheel for 3.12``."""

    reason: str


def smallest_change(
    page: IndexPage, specifier: str, *, target: TargetEnvironment, baseline: TargetEnvironment | None = None
) -> VersionCandidate | NoCandidate:
    """Return the first of :func:`candidates`, or why there is none."""
    try:
        current = SpecifierSet(specifier)
        search = _CandidateSearch(page, specifier, target, baseline)
    except (InvalidSpecifier, InvalidVersion, ValueError):
        return NoCandidate(reason=f'"{shorten(specifier, 80)}" has no version that can be compared')
    allowed = [version for version in search.fitting if current.contains(version, prereleases=search.prereleases)]
    if allowed:
        return NoCandidate(
            reason=f"{min(allowed)} is allowed already and has a wheel for {_minor_version(target)}, so another "
            "requirement excludes it"
        )
    return next(iter(search.candidates()), None) or NoCandidate(reason=search.explain_absence())


def candidates(
    page: IndexPage,
    specifier: str,
    *,
    target: TargetEnvironment,
    baseline: TargetEnvironment | None = None,
    with_sources: bool = True,
) -> tuple[VersionCandidate, ...]:
    """Return changed specifiers, the smallest change first; at most :data:`MAX_CANDIDATES`. Never raises.

    Of more, the first are returned, and others up to the last in growing steps.

    Versions below the upper bound come first, then those beyond it. Within each group, versions that also have a wheel
    for the baseline come first, and then lower versions. Excluded are versions below the specifier's lower bound or
    pin, yanked ones, those after the cut-off date, and pre-releases (unless the pin is one, or there is nothing else).

    If the highest version below the upper bound has no wheel for the target, it is the last one: only a build can show
    whether its source works there. It is left out without ``with_sources``: where nothing can be built.
    """
    try:
        search = _CandidateSearch(page, specifier, target, baseline)
        return (*search.candidates(), *(search.source_candidates() if with_sources else ()))
    except (InvalidSpecifier, InvalidVersion, ValueError):
        return ()


def never_existed(page: IndexPage, specifier: str, target: TargetEnvironment) -> bool:
    """Return whether no version ever matched ``specifier``, while ``target`` can install another one. Never raises."""
    try:
        specifiers = SpecifierSet(specifier)
    except InvalidSpecifier:
        return False
    releases = files_by_version(page)
    return not any(specifiers.contains(version, prereleases=True) for version in releases) and any(
        _is_allowed(file, target, target.cut_off) for files in releases.values() for file in files
    )


def with_minimum(specifier: str, version: str) -> str | None:
    """Return ``specifier`` in its form with ``version`` as its minimum; ``None`` if that cannot be written.

    Never raises.
    """
    try:
        return _rewrite_specifier([Specifier(part) for part in specifier.split(",") if part.strip()], Version(version))
    except (InvalidSpecifier, InvalidVersion, ValueError):
        return None


def latest_version(page: IndexPage, target: TargetEnvironment) -> str:
    """Return the version that was published last among those that ``target`` can install; wheels are preferred.

    Pre-releases count. Without upload times the highest version is returned, without any version an empty text.
    """
    installable: list[tuple[bool, str, Version]] = []
    for version, files in files_by_version(page).items():
        wheels = [file for file in files if _is_usable_wheel(file, target, target.cut_off)]
        sources = [file for file in files if not file.tags and _is_allowed(file, target, target.cut_off)]
        if wheels or sources:
            installable.append((bool(wheels), min((file.uploaded for file in wheels or sources), default=""), version))
    return str(max(installable)[2]) if installable else ""


class _CandidateSearch:
    def __init__(
        self, page: IndexPage, specifier: str, target: TargetEnvironment, baseline: TargetEnvironment | None
    ) -> None:
        """:raises InvalidVersion: the pin cannot be compared with versions (``===1.0-custom``)."""
        self._target, self._baseline = target, baseline
        self._clauses = [Specifier(part) for part in specifier.split(",") if part.strip()]
        minimums = [_clause_version(clause) for clause in self._clauses if clause.operator in _LOWER_BOUND_OPERATORS]
        self._minimum = max(minimums) if minimums else None
        self._releases = files_by_version(page)
        self._current = SpecifierSet(specifier)
        local = self._minimum.local if self._minimum else None
        self.fitting = sorted(
            version
            for version, files in self._releases.items()
            if version.local == local and any(_is_usable_wheel(file, target, target.cut_off) for file in files)
        )
        """Versions with a wheel for the target, including pre-releases."""
        self.prereleases = accepts_prereleases(self._minimum, self._releases)

    def candidates(self) -> list[VersionCandidate]:
        ranked: list[tuple[bool, bool, Version, VersionCandidate]] = []
        for version in self._versions_above_minimum():
            if version.is_prerelease and not self.prereleases:
                continue
            changed = _rewrite_specifier(self._clauses, version)
            if changed is None or SpecifierSet(changed) == self._current:
                continue
            beyond_upper_bound = any(
                not clause.contains(version, prereleases=True) for clause in self._clauses if _is_upper_bound(clause)
            )
            also_on_baseline = self._has_baseline_wheel(version)
            candidate = VersionCandidate(
                specifier=changed,
                version=str(version),
                also_on_baseline=also_on_baseline,
                beyond_upper_bound=beyond_upper_bound,
            )
            ranked.append((beyond_upper_bound, not also_on_baseline, version, candidate))
        ordered = [row[3] for row in sorted(ranked, key=lambda row: row[:3])]
        below = [candidate for candidate in ordered if not candidate.beyond_upper_bound]
        return _spread(below) if len(below) > MAX_CANDIDATES else ordered[:MAX_CANDIDATES]

    def source_candidates(self) -> list[VersionCandidate]:
        """Return the highest version with a usable source, if it is above the minimum and has no wheel."""
        for version in sorted(self._releases, reverse=True):
            files = [file for file in self._releases[version] if not file.tags]
            usable = [file for file in files if _is_allowed(file, self._target, self._target.cut_off)]
            below_upper_bound = all(
                clause.contains(version, prereleases=True) for clause in self._clauses if _is_upper_bound(clause)
            )
            if not usable or not below_upper_bound or (version.is_prerelease and not self.prereleases):
                continue
            changed = (
                _rewrite_specifier(self._clauses, version) if self._minimum is None or version > self._minimum else None
            )
            if version in self.fitting or changed is None or SpecifierSet(changed) == self._current:
                return []
            baseline = self._baseline
            also_on_baseline = baseline is None or any(
                _is_allowed(file, baseline, self._target.cut_off) for file in files
            )
            return [VersionCandidate(specifier=changed, version=str(version), also_on_baseline=also_on_baseline)]
        return []

    def explain_absence(self) -> str:
        minor = _minor_version(self._target)
        if not self._releases:
            return "the index has no version of it"
        if not self.fitting:
            later = self._first_after_cut_off()
            label = f" of the build +{self._minimum.local}" if self._minimum is not None and self._minimum.local else ""
            return f"no version{label} has a wheel for {minor}" + (
                f" up to the cut-off date; {later} came after it" if later else ""
            )
        allowed = list(self._versions_above_minimum())
        if not allowed:
            newest = max(self.fitting)
            return f"no version from {self._minimum} on has a wheel for {minor}; the newest that has one is {newest}"
        if not self.prereleases and all(version.is_prerelease for version in allowed):
            return f"only pre-releases have a wheel for {minor}, such as {allowed[0]}"
        return f"no version that the specifier could name has a wheel for {minor}"

    def _versions_above_minimum(self) -> Iterator[Version]:
        return (version for version in self.fitting if self._minimum is None or version >= self._minimum)

    def _has_baseline_wheel(self, version: Version) -> bool:
        baseline = self._baseline
        return baseline is None or any(
            _is_usable_wheel(file, baseline, self._target.cut_off) for file in self._releases[version]
        )

    def _first_after_cut_off(self) -> Version | None:
        if self._target.cut_off is None:
            return None
        later = (
            version
            for version, files in self._releases.items()
            if (self._minimum is None or version >= self._minimum)
            and any(_is_usable_wheel(file, self._target, None) for file in files)
        )
        return min(later, default=None)


def _spread(candidates: Sequence[VersionCandidate]) -> list[VersionCandidate]:
    """Return :data:`MAX_CANDIDATES` of more candidates: the first half one by one, then in growing steps to the last.

    A project with a release each day has hundreds before the first that works.
    """
    last, half = len(candidates) - 1, MAX_CANDIDATES // 2
    growth = [(last - half + 1) ** (step / half) for step in range(1, half + 1)]
    positions = {*range(half), *(half - 1 + round(distance) for distance in growth)}
    return [candidates[position] for position in sorted(positions)]


def _is_usable_wheel(file: DistributionFile, target: TargetEnvironment, cut_off: datetime | None) -> bool:
    """Return whether ``file`` is a wheel that the target can install."""
    return bool(file.tags) and target.accepts_tags(file.tags) and _is_allowed(file, target, cut_off)


def _is_allowed(file: DistributionFile, target: TargetEnvironment, cut_off: datetime | None) -> bool:
    """Return whether ``file`` may be used at all. A file without an upload time is not considered too new."""
    return (
        not file.yanked
        and target.accepts_python(file.requires_python)
        and (cut_off is None or is_before(file, cut_off))
    )


def _clause_version(clause: Specifier) -> Version:
    return Version(clause.version.removesuffix(".*"))


def _is_upper_bound(clause: Specifier) -> bool:
    """Return whether ``clause`` has an upper bound and is not a pin."""
    return clause.operator in ("<", "<=", "~=") or (clause.operator == "==" and clause.version.endswith(".*"))


def _rewrite_specifier(clauses: Sequence[Specifier], version: Version) -> str | None:
    """Return the specifier in the same form with ``version`` as its minimum; ``None`` if that cannot be written."""
    pinned = any(clause.operator in ("==", "===") and not _is_upper_bound(clause) for clause in clauses)
    text = ",".join(
        # with a pin, other bounds stay as long as they allow the version
        str(clause) if pinned and clause.contains(version, prereleases=True) else _rewrite_clause(clause, version)
        for clause in clauses
    )
    try:
        return text if SpecifierSet(text).contains(version, prereleases=True) else None
    except InvalidSpecifier:  # pragma: no cover - a local version beside an ordered operator
        return None


def _rewrite_clause(clause: Specifier, version: Version) -> str:
    operator = clause.operator
    if operator == "!=":
        return str(clause)
    if operator in ("<", "<="):
        return str(clause) if clause.contains(version, prereleases=True) else _raise_upper_bound(clause, version)
    if clause.version.endswith(".*"):
        return f"{operator}{_truncate_release(version, len(_clause_version(clause).release))}.*"
    if operator == "~=":
        width = len(_clause_version(clause).release)
        # a longer number would allow less than the present one: ~=1.2.3 stays below 1.3, ~=1.2 below 2
        same = len(version.release) == width or version.is_prerelease
        return f"~={version if same else _truncate_release(version, width)}"
    return f"{'>=' if operator == '>' else operator}{version}"


def _raise_upper_bound(clause: Specifier, version: Version) -> str:
    """Raise an upper bound at its own precision: ``<2`` for 2.1 to ``<3``, ``<0.28.0`` for 0.29.1 to ``<0.30.0``."""
    if clause.operator == "<=":
        return f"<={version}"
    release = _clause_version(clause).release
    last = max((index for index, number in enumerate(release) if number), default=0)
    numbers = [*version.release, *([0] * len(release))][: last + 1]
    numbers[last] += 1
    return "<" + _epoch_prefix(version) + ".".join(map(str, [*numbers, *([0] * (len(release) - last - 1))]))


def _truncate_release(version: Version, width: int) -> str:
    """Return the first ``width`` numbers of the release."""
    return _epoch_prefix(version) + ".".join(map(str, [*version.release, *([0] * width)][:width]))


def _epoch_prefix(version: Version) -> str:
    return f"{version.epoch}!" if version.epoch else ""


def _minor_version(target: TargetEnvironment) -> str:
    return ".".join(target.version.split(".")[:2])
