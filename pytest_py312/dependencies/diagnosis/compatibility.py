"""One requirement against one page of the index, for one interpreter: does it install, and from what? Pure.

It looks at a requirement by itself, so it cannot see conflicts. Where it cannot tell for sure it is on the generous
side, as what it lets through is judged by the resolver as well: a page without upload times has no file that is too
new, and a libc that nobody knows takes every manylinux wheel.
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
from pytest_py312.dependencies.diagnosis.package_index import File, Page, PageState, moment

NEWEST_GLIBC = 60
"""The glibc 2.x assumed where none is known."""
MOST_TAGS = 40
"""Parts of one of a wheel's three tags that are looked at."""

_LEGACY_MANYLINUX = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


class Standing(Enum):
    """What becomes of a requirement that is looked at by itself."""

    WHEEL = "installs from a wheel"
    SOURCE_ONLY = "source only"
    EXCLUDED = "excluded by Requires-Python"
    NO_FILE = "no file fits"
    NO_VERSION = "no such version"
    NO_PROJECT = "no such project"
    YANKED = "yanked"
    """Pinned, and yanked since: installers take it all the same."""
    NOT_WANTED = "left out by its marker"
    UNREADABLE = "unreadable"
    UNCHECKED = "could not be checked"

    @property
    def blocks(self) -> bool:
        """Whether no set with this requirement in it can be installed."""
        return self in (Standing.EXCLUDED, Standing.NO_FILE, Standing.NO_VERSION, Standing.NO_PROJECT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """``version`` is the one that the standing is about, ``reason`` the rest of a sentence about it.

    ``better`` is the lowest version above it that has a wheel for this interpreter, empty where there is none.
    """

    standing: Standing
    name: str
    version: str = ""
    reason: str = ""
    better: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What of an interpreter decides which files fit it."""

    version: str
    tags: frozenset[str]
    platforms: frozenset[str]
    environment: dict[str, str] = field(hash=False)
    cut_off: datetime | None = None
    prereleases: bool = False

    def takes(self, tags: str) -> bool:
        """Whether a wheel with these compressed tags installs here."""
        parts = [part.split(".")[:MOST_TAGS] for part in tags.split("-")]
        if len(parts) != 3:
            return False
        pythons, abis, platforms = parts
        return any(f"{py}-{abi}-{place}" in self.tags for py in pythons for abi in abis for place in platforms)

    def allows(self, requires_python: str) -> bool:
        """Whether pip would take it."""
        return allows(requires_python, self.version)


@lru_cache(maxsize=4096)
def allows(requires_python: str, version: str) -> bool:
    """Whether a Python of ``version`` is one of those. What is no specifier excludes nobody, as with pip."""
    try:
        return SpecifierSet(requires_python).contains(version, prereleases=True)
    except ValueError:  # InvalidSpecifier, InvalidVersion, and numbers of thousands of digits
        return True


def target_of(
    build: InterpreterBuild, *, exclude_newer: str = "", prereleases: bool = False, machine: str = "", glibc: str = ""
) -> Target:
    """The target that ``build`` is. ``machine`` and ``glibc`` (``2.36``) are this machine's where none are given.

    A build inside an image has a libc of its own, which nobody has asked for: every one is taken for possible.
    """
    inside = build.origin.startswith("image ")
    system = "Linux" if inside else platform.system()
    machine = machine or platform.machine()
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(machine.lower(), machine) if system == "Linux" else machine
    if not glibc and not inside:
        library, found = platform.libc_ver()
        glibc = found if library == "glibc" else ""
    places = tuple(_platforms(system, machine, glibc))
    version = build.version.rstrip("+")
    return Target(
        version=version,
        tags=_tags(build.interpreter.major, build.interpreter.minor, places),
        platforms=frozenset(places),
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
        cut_off=moment(exclude_newer),
        prereleases=prereleases,
    )


@lru_cache(maxsize=64)
def _tags(major: int, minor: int, places: tuple[str, ...]) -> frozenset[str]:
    own = f"cp{major}{minor}"
    # abis are named, as packaging would otherwise look at the Python that runs this
    tags = [*cpython_tags((major, minor), [own], places), *compatible_tags((major, minor), own, places)]
    return frozenset(str(tag) for tag in tags)


def _platforms(system: str, machine: str, glibc: str) -> Iterator[str]:
    if system == "Darwin":
        yield from mac_platforms(arch=machine)
        return
    match = re.fullmatch(r"2\.(\d{1,3})", glibc)
    for minor in range(int(match[1]) if match else NEWEST_GLIBC, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _LEGACY_MANYLINUX:
            yield f"{_LEGACY_MANYLINUX[minor]}_{machine}"
    if not match:
        yield from (f"musllinux_1_{minor}_{machine}" for minor in range(4, -1, -1))
    yield f"linux_{machine}"


@lru_cache(maxsize=16384)
def parsed(text: str) -> Requirement | None:
    """A requirement, which is not to be changed, or ``None`` for what is none."""
    try:
        return Requirement(text)
    except (ValueError, RecursionError):
        return None


def is_wanted(requirement: Requirement, target: Target) -> bool:
    """Whether its marker holds there; one that cannot be evaluated does."""
    try:
        return requirement.marker is None or requirement.marker.evaluate(target.environment)
    except (ValueError, KeyError, RecursionError):
        return True


def screen(page: Page, text: str, target: Target) -> Verdict:
    """What becomes of the requirement ``text``, whose project ``page`` is about. Never raises."""
    key = (text, target)
    if key not in page.worked_out:
        page.worked_out[key] = _screened(page, text, target)
    verdict: Verdict = page.worked_out[key]
    return verdict


def _screened(page: Page, text: str, target: Target) -> Verdict:
    requirement = parsed(text)
    if requirement is None:
        return Verdict(standing=Standing.UNREADABLE, name=page.name)
    name = canonicalize_name(requirement.name)
    if not is_wanted(requirement, target):
        return Verdict(standing=Standing.NOT_WANTED, name=name)
    if requirement.url:
        return Verdict(standing=Standing.UNCHECKED, name=name, reason="it is not taken from the index")
    if page.state is PageState.UNKNOWN:
        return Verdict(standing=Standing.UNCHECKED, name=name, reason=page.reason)
    if page.state is PageState.MISSING:
        return Verdict(standing=Standing.NO_PROJECT, name=name)
    return _Releases(page, target).judge(name, requirement.specifier)


@lru_cache(maxsize=65536)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:
        return None


def _files_until(cut_off: datetime | None, page: Page) -> dict[Version, list[File]]:
    found: dict[Version, list[File]] = {}
    for text, files in page.files.items():
        version = _version(text)
        current = files if cut_off is None else [file for file in files if _is_older(file, cut_off)]
        if version is not None and current:
            found.setdefault(version, []).extend(current)
    return found


def _is_older(file: File, cut_off: datetime) -> bool:
    uploaded = moment(file.uploaded)
    return uploaded is None or uploaded <= cut_off


class _Releases:
    """The releases of a page that are old enough for the target."""

    def __init__(self, page: Page, target: Target) -> None:
        self._target = target
        key = ("files", target.cut_off)
        if key not in page.worked_out:
            page.worked_out[key] = _files_until(target.cut_off, page)
        self._files: dict[Version, list[File]] = page.worked_out[key]

    def judge(self, name: str, specifier: SpecifierSet) -> Verdict:
        prereleases = True if self._target.prereleases else None
        chosen = sorted(specifier.filter(self._files, prereleases=prereleases), reverse=True)
        if not chosen:
            return Verdict(standing=Standing.NO_VERSION, name=name, reason=self._what_there_is())
        pinned = _is_pinned(specifier)
        usable = {version: files for version in chosen if (files := self._offered(version, pinned))}
        if not usable:
            return Verdict(standing=Standing.NO_VERSION, name=name, reason="all versions that fit were yanked")
        verdict = self._best(name, usable)
        if verdict.standing in (Standing.WHEEL, Standing.YANKED):
            return verdict
        return Verdict(
            standing=verdict.standing,
            name=name,
            version=verdict.version,
            reason=verdict.reason,
            better=self._better(chosen[-1], set(chosen)),
        )

    def _offered(self, version: Version, pinned: bool) -> list[File]:
        return [file for file in self._files[version] if pinned or not file.yanked]

    def _best(self, name: str, usable: dict[Version, list[File]]) -> Verdict:
        """From the newest version down: a wheel of any is better than a source, and that than nothing."""
        source: Version | None = None
        excluded: tuple[Version, str] | None = None
        for version, files in usable.items():
            for file in files:
                if file.tags and not self._target.takes(file.tags):
                    continue
                if not self._target.allows(file.requires_python):
                    excluded = excluded or (version, file.requires_python)
                elif file.tags:
                    standing = Standing.YANKED if file.yanked else Standing.WHEEL
                    return Verdict(standing=standing, name=name, version=str(version))
                else:
                    source = source or version
        newest = next(iter(usable))
        if source is not None:
            wheels = _wheels_for(usable[source], self._target)
            return Verdict(standing=Standing.SOURCE_ONLY, name=name, version=str(source), reason=wheels)
        if excluded is not None:
            return Verdict(standing=Standing.EXCLUDED, name=name, version=str(excluded[0]), reason=excluded[1])
        return Verdict(
            standing=Standing.NO_FILE, name=name, version=str(newest), reason=_wheels_for(usable[newest], self._target)
        )

    def _better(self, above: Version, but: set[Version]) -> str:
        for version in sorted(self._files):
            if version <= above or version in but or version.is_prerelease:
                continue
            for file in self._offered(version, pinned=False):
                if file.tags and self._target.takes(file.tags) and self._target.allows(file.requires_python):
                    return str(version)
        return ""

    def _what_there_is(self) -> str:
        if not self._files:
            return "it has no release"
        final = [version for version in self._files if not version.is_prerelease]
        return f"the newest is {max(final or self._files)}"


def _is_pinned(specifier: SpecifierSet) -> bool:
    return any(one.operator in ("==", "===") and not one.version.endswith(".*") for one in specifier)


def _wheels_for(files: Iterable[File], target: Target) -> str:
    """``it has wheels for 3.8 to 3.11`` of this platform in words, empty where it has none for a CPython."""
    tags = (file.tags.split("-") for file in files if file.tags.count("-") == 2)
    pythons = [python for python, _, places in tags if target.platforms.intersection(places.split("."))]
    minors = {int(match) for python in pythons for match in re.findall(r"\bcp3(\d{1,2})\b", python)}
    if not minors:
        return ""
    low, high = min(minors), max(minors)
    return f"it has wheels for 3.{low}" + (f" to 3.{high}" if high > low else "")
