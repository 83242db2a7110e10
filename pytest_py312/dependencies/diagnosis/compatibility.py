"""Check one requirement against the index: does it install on an interpreter, and from a wheel or a source? Pure.

Requirements are checked one by one, so conflicts remain unseen. In doubt a requirement passes, as the resolver checks
it again: a page without upload times has no file that is too new, and an unknown libc accepts every manylinux wheel.
"""

import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name
from packaging.version import Version

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.package_index import DistributionFile, IndexPage, PageState, parse_timestamp

ASSUMED_GLIBC_MINOR = 60
"""The x of glibc 2.x that is assumed if the libc is unknown."""
MAX_TAGS = 40
"""Alternatives that are considered in each of a wheel's three tags."""

_LEGACY_MANYLINUX = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


class Installability(Enum):
    """Whether and how a single requirement can be installed."""

    WHEEL = "installs from a wheel"
    SOURCE_ONLY = "source only"
    EXCLUDED = "excluded by Requires-Python"
    NO_FILE = "no file fits"
    NO_VERSION = "no such version"
    NO_PROJECT = "no such project"
    YANKED = "yanked"
    """Pinned, and yanked since: installers still install it."""
    NOT_APPLICABLE = "left out by its marker"
    UNREADABLE = "unreadable"
    UNDETERMINED = "could not be checked"

    @property
    def blocks(self) -> bool:
        """Whether no set with this requirement can be installed."""
        return self in (
            Installability.EXCLUDED,
            Installability.NO_FILE,
            Installability.NO_VERSION,
            Installability.NO_PROJECT,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseCheck:
    """The result of checking a requirement. ``version`` is the release concerned, ``reason`` the end of a sentence.

    ``next_with_wheel`` is the lowest higher version that has a wheel for this interpreter, empty if there is none.
    """

    installability: Installability
    name: str
    version: str = ""
    reason: str = ""
    next_with_wheel: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetEnvironment:
    """The properties of an interpreter that decide which files it can install."""

    version: str
    tags: frozenset[str]
    platforms: frozenset[str]
    environment: dict[str, str] = field(hash=False)
    cut_off: datetime | None = None
    prereleases: bool = False

    def accepts_tags(self, tags: str) -> bool:
        """Return whether a wheel with these compressed tags can be installed."""
        parts = [part.split(".")[:MAX_TAGS] for part in tags.split("-")]
        if len(parts) != 3:
            return False
        pythons, abis, platforms = parts
        return any(
            f"{py}-{abi}-{platform_tag}" in self.tags for py in pythons for abi in abis for platform_tag in platforms
        )

    def accepts_python(self, requires_python: str) -> bool:
        """Return whether pip would install a file with this Requires-Python."""
        return python_satisfies(requires_python, self.version)


@lru_cache(maxsize=4096)
def python_satisfies(requires_python: str, version: str) -> bool:
    """Return whether Requires-Python allows ``version``. An invalid specifier allows all, as with pip."""
    try:
        return SpecifierSet(requires_python).contains(version, prereleases=True)
    except ValueError:  # InvalidSpecifier, InvalidVersion, and numbers of thousands of digits
        return True


def target_environment(
    build: InterpreterBuild, *, exclude_newer: str = "", prereleases: bool = False, machine: str = "", glibc: str = ""
) -> TargetEnvironment:
    """Return the target environment of ``build``. ``machine`` and ``glibc`` (``2.36``) default to this machine's.

    A build inside an image has its own, unknown libc: all are considered possible.
    """
    in_image = build.origin.startswith("image ")
    system = "Linux" if in_image else platform.system()
    machine = machine or platform.machine()
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(machine.lower(), machine) if system == "Linux" else machine
    if not glibc and not in_image:
        library, libc_version = platform.libc_ver()
        glibc = libc_version if library == "glibc" else ""
    platform_tags = tuple(_platform_tags(system, machine, glibc))
    version = build.version.rstrip("+")
    return TargetEnvironment(
        version=version,
        tags=_supported_tags(build.interpreter.major, build.interpreter.minor, platform_tags),
        platforms=frozenset(platform_tags),
        environment={
            "implementation_name": "cpython",
            "implementation_version": version,
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_release": platform.release(),
            "platform_system": system,
            "platform_version": platform.version(),
            "python_full_version": version,
            "python_version": str(build.interpreter),
            "sys_platform": system.lower(),
            "extra": "",
        },
        cut_off=parse_timestamp(exclude_newer),
        prereleases=prereleases,
    )


@lru_cache(maxsize=64)
def _supported_tags(major: int, minor: int, platform_tags: tuple[str, ...]) -> frozenset[str]:
    own = f"cp{major}{minor}"
    # with explicit abis, as packaging would otherwise use those of the running Python
    tags = [*cpython_tags((major, minor), [own], platform_tags), *compatible_tags((major, minor), own, platform_tags)]
    return frozenset(str(tag) for tag in tags)


def _platform_tags(system: str, machine: str, glibc: str) -> Iterator[str]:
    if system == "Darwin":
        yield from mac_platforms(arch=machine)
        return
    match = re.fullmatch(r"2\.(\d{1,3})", glibc)
    for minor in range(int(match[1]) if match else ASSUMED_GLIBC_MINOR, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _LEGACY_MANYLINUX:
            yield f"{_LEGACY_MANYLINUX[minor]}_{machine}"
    if not match:
        yield from (f"musllinux_1_{minor}_{machine}" for minor in range(4, -1, -1))
    yield f"linux_{machine}"


@lru_cache(maxsize=16384)
def parse_requirement(text: str) -> Requirement | None:
    """Parse a requirement, or return ``None`` if it is invalid. The result is shared: do not change it."""
    try:
        return Requirement(text)
    except (ValueError, RecursionError):
        return None


def marker_applies(requirement: Requirement, target: TargetEnvironment) -> bool:
    """Return whether the requirement's marker applies; one that cannot be evaluated does."""
    try:
        return requirement.marker is None or requirement.marker.evaluate(target.environment)
    except (ValueError, KeyError, RecursionError):
        return True


def check_release(page: IndexPage, text: str, target: TargetEnvironment) -> ReleaseCheck:
    """Check the requirement ``text`` against the ``page`` of its project. Never raises."""
    key = (text, target)
    if key not in page.computed:
        page.computed[key] = _check_release(page, text, target)
    check: ReleaseCheck = page.computed[key]
    return check


def _check_release(page: IndexPage, text: str, target: TargetEnvironment) -> ReleaseCheck:
    requirement = parse_requirement(text)
    if requirement is None:
        return ReleaseCheck(installability=Installability.UNREADABLE, name=page.name)
    name = canonicalize_name(requirement.name)
    if not marker_applies(requirement, target):
        return ReleaseCheck(installability=Installability.NOT_APPLICABLE, name=name)
    if requirement.url:
        return ReleaseCheck(
            installability=Installability.UNDETERMINED, name=name, reason="it is not taken from the index"
        )
    if page.state is PageState.UNKNOWN:
        return ReleaseCheck(installability=Installability.UNDETERMINED, name=name, reason=page.reason)
    if page.state is PageState.MISSING:
        return ReleaseCheck(installability=Installability.NO_PROJECT, name=name)
    return _EligibleReleases(page, target).check(name, requirement.specifier)


@lru_cache(maxsize=65536)
def _parse_version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:
        return None


def accepts_prereleases(current: Version | None, releases: Iterable[Version]) -> bool:
    """Return whether pre-releases may replace ``current``: it is one itself, or there is nothing else."""
    return (current is not None and current.is_prerelease) or all(version.is_prerelease for version in releases)


def files_by_version(page: IndexPage, cut_off: datetime | None = None) -> dict[Version, list[DistributionFile]]:
    """Return the files from before the cut-off date. Versions from before PEP 440 are left out, as by installers."""
    releases: dict[Version, list[DistributionFile]] = {}
    for text, files in page.files.items():
        version = _parse_version(text)
        current = files if cut_off is None else [file for file in files if is_before(file, cut_off)]
        if version is not None and current:
            releases.setdefault(version, []).extend(current)
    return releases


def is_before(file: DistributionFile, cut_off: datetime) -> bool:
    """Return whether ``file`` was uploaded before ``cut_off``. One without an upload time is not too new."""
    uploaded = parse_timestamp(file.uploaded)
    return uploaded is None or uploaded <= cut_off


class _EligibleReleases:
    """The releases of a page that are older than the cut-off date."""

    def __init__(self, page: IndexPage, target: TargetEnvironment) -> None:
        self._target = target
        key = ("files", target.cut_off)
        if key not in page.computed:
            page.computed[key] = files_by_version(page, target.cut_off)
        self._files: dict[Version, list[DistributionFile]] = page.computed[key]

    def check(self, name: str, specifier: SpecifierSet) -> ReleaseCheck:
        prereleases = True if self._target.prereleases else None
        matching = sorted(specifier.filter(self._files, prereleases=prereleases), reverse=True)
        if not matching:
            return ReleaseCheck(installability=Installability.NO_VERSION, name=name, reason=self._describe_available())
        pinned = _is_pinned(specifier)
        usable = {version: files for version in matching if (files := self._usable_files(version, pinned))}
        if not usable:
            return ReleaseCheck(
                installability=Installability.NO_VERSION, name=name, reason="all versions that fit were yanked"
            )
        check = self._best_release(name, usable)
        if check.installability in (Installability.WHEEL, Installability.YANKED):
            return check
        return ReleaseCheck(
            installability=check.installability,
            name=name,
            version=check.version,
            reason=check.reason,
            next_with_wheel=self._next_with_wheel(matching[-1], set(matching)),
        )

    def _usable_files(self, version: Version, pinned: bool) -> list[DistributionFile]:
        return [file for file in self._files[version] if pinned or not file.yanked]

    def _best_release(self, name: str, usable: dict[Version, list[DistributionFile]]) -> ReleaseCheck:
        """Check versions from the newest down: a wheel of any version is better than a source."""
        source: Version | None = None
        excluded: tuple[Version, str] | None = None
        for version, files in usable.items():
            for file in files:
                if file.tags and not self._target.accepts_tags(file.tags):
                    continue
                if not self._target.accepts_python(file.requires_python):
                    excluded = excluded or (version, file.requires_python)
                elif file.tags:
                    installability = Installability.YANKED if file.yanked else Installability.WHEEL
                    return ReleaseCheck(installability=installability, name=name, version=str(version))
                else:
                    source = source or version
        newest = next(iter(usable))
        if source is not None:
            available_wheels = _describe_wheels(usable[source], self._target)
            return ReleaseCheck(
                installability=Installability.SOURCE_ONLY, name=name, version=str(source), reason=available_wheels
            )
        if excluded is not None:
            return ReleaseCheck(
                installability=Installability.EXCLUDED, name=name, version=str(excluded[0]), reason=excluded[1]
            )
        return ReleaseCheck(
            installability=Installability.NO_FILE,
            name=name,
            version=str(newest),
            reason=_describe_wheels(usable[newest], self._target),
        )

    def _next_with_wheel(self, above: Version, excluded: set[Version]) -> str:
        prereleases = self._target.prereleases or accepts_prereleases(above, self._files)
        for version in sorted(self._files):
            if version <= above or version in excluded or (version.is_prerelease and not prereleases):
                continue
            for file in self._usable_files(version, pinned=False):
                if (
                    file.tags
                    and self._target.accepts_tags(file.tags)
                    and self._target.accepts_python(file.requires_python)
                ):
                    return str(version)
        return ""

    def _describe_available(self) -> str:
        if not self._files:
            return "it has no release"
        final = [version for version in self._files if not version.is_prerelease]
        return f"the newest is {max(final or self._files)}"


def _is_pinned(specifier: SpecifierSet) -> bool:
    return any(clause.operator in ("==", "===") and not clause.version.endswith(".*") for clause in specifier)


def _describe_wheels(files: Iterable[DistributionFile], target: TargetEnvironment) -> str:
    """Return ``it has wheels for 3.8 to 3.11`` for this platform, empty if it has none for CPython."""
    tags = (file.tags.split("-") for file in files if file.tags.count("-") == 2)
    pythons = [python for python, _, platform_tags in tags if target.platforms.intersection(platform_tags.split("."))]
    minors = {int(match) for python in pythons for match in re.findall(r"\bcp3(\d{1,2})\b", python)}
    if not minors:
        return ""
    low, high = min(minors), max(minors)
    return f"it has wheels for 3.{low}" + (f" to 3.{high}" if high > low else "")
