"""The first version of a distribution that no longer uses what is gone: installed into the store and scanned, some of
the versions between that which is installed and the newest.

What to do about a distribution that dies when it is imported: which newer version lives, or that none does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.libraries.findings import Located, located, troubles_of
from pytest_py312.analysis.libraries.import_graph import Installed, Library, Root
from pytest_py312.analysis.libraries.setuptools_state import Packaging
from pytest_py312.analysis.libraries.summary import How
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import Target
from pytest_py312.dependencies.diagnosis.package_index import Index, Page, PageState
from pytest_py312.dependencies.installation.distribution_store import Entry, Store
from pytest_py312.dependencies.resolution.known_replacements import SUCCESSORS
from pytest_py312.dependencies.resolution.lock import Blocked, Pin, Unchecked, Wanted

MOST_TRIED = 6
"""Versions that are fetched for one distribution."""
LARGEST = 40 * 1024**2
"""Bytes of files: of a larger distribution no other version is fetched only to name it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Newer:
    """``first`` is the first version without it, empty where none is; ``latest`` the newest that was looked at."""

    first: str
    latest: str


def newer_versions(page: Page, version: str, target: Target) -> list[str]:
    """Final releases after ``version`` with a wheel that the target takes, ascending."""
    found: dict[Version, str] = {}
    for text, files in page.files.items():
        try:
            one = Version(text)
            is_newer = one > Version(version) and not one.is_prerelease
        except InvalidVersion:
            continue
        usable = (file for file in files if file.tags and not file.yanked and target.allows(file.requires_python))
        if is_newer and any(target.takes(file.tags) for file in usable):
            found[one] = text
    return [found[one] for one in sorted(found)]


def first_good(versions: Sequence[str], is_bad: Callable[[str], bool]) -> Newer:
    """The first of ascending ``versions`` that is not bad, if what was mended once stays so. At least one is given."""
    latest = versions[-1]
    if is_bad(latest):
        return Newer(first="", latest=latest)
    low, high = 0, len(versions) - 1  # versions[high] is good
    tried = 1
    while low < high and tried < MOST_TRIED:
        middle = (low + high) // 2
        tried += 1
        if is_bad(versions[middle]):
            low = middle + 1
        else:
            high = middle
    return Newer(first=versions[high], latest=latest)


class NewerVersions:
    """Looks for versions in the index that a cell takes its distributions from."""

    def __init__(self, *, store: Store, index: Index, target: Target, build: InterpreterBuild) -> None:
        self._store = store
        self._index = index
        self._target = target
        self._build = build

    def first_without(self, entry: Entry, pin: Pin, is_bad: Callable[[Entry], bool]) -> Newer | None:
        """The first version after ``entry`` that is not ``is_bad``; ``None`` where that cannot be told."""
        if pin.from_source or " @ " in pin.line or _size(entry) > LARGEST:
            return None
        page = self._index.page(entry.name)
        if page.state is not PageState.FOUND:
            return None
        versions = newer_versions(page, entry.version, self._target)
        if not versions:
            return Newer(first="", latest=entry.version)
        try:
            return first_good(versions, lambda version: is_bad(self._installed(pin, version)))
        except (Blocked, Unchecked, OSError):
            return None

    def _installed(self, pin: Pin, version: str) -> Entry:
        other = Pin(name=pin.name, version=version, line=f"{pin.name}=={version}", index=pin.index)
        self._store.fill([other], self._build, Wanted(lines=(other.line,)))
        entry = self._store.entry(other, self._build)
        if entry is None:
            raise Unchecked(f"{other.line} installed nothing")
        return entry


def _size(entry: Entry) -> int:
    return sum(file.stat().st_size for file in (entry.folder / "lib").rglob("*") if file.is_file())


class Adviser:
    """Looks at newer versions of what is installed. ``digested`` reads an installed distribution, ``witnesses`` asks
    the interpreters about it."""

    def __init__(
        self,
        *,
        versions: NewerVersions,
        entries: Sequence[Entry],
        pins: Sequence[Pin],
        packaging: Packaging,
        digested: Callable[[Entry], Library],
        witnesses: Callable[[Installed], Witnesses],
    ) -> None:
        self._versions = versions
        self._entries = {entry.name: entry for entry in entries}
        self._pins = {pin.name: pin for pin in pins}
        self._packaging = packaging
        self._digested = digested
        self._witnesses = witnesses

    def __call__(self, one: Located) -> str:
        """The remedy; empty where nothing was found out."""
        name = one.trouble.library.name
        entry, pin = self._entries.get(name), self._pins.get(name)
        if entry is None or pin is None:
            return ""
        newer = self._versions.first_without(entry, pin, lambda other: self._is_bad(one, other))
        return remedy_for(one, newer)

    def _is_bad(self, one: Located, other: Entry) -> bool:
        """Whether importing another version as the service imports this one would run into such a trouble."""
        installed = Installed([self._digested(other)])
        entrance = one.entrance if self._is_of(one, one.entrance) else one.trouble.module.name
        if installed.module(entrance) is None:
            return True  # it does not have what the service imports
        root = Root(path="", line=0, target=entrance, how=How.AT_IMPORT)
        found = located(troubles_of(installed, self._witnesses(installed), self._packaging), installed.reach([root]))
        return any(found_one.how == How.AT_IMPORT for found_one in found)

    def _is_of(self, one: Located, module: str) -> bool:
        return any(own.name == module for own in one.trouble.library.digest.modules)


def remedy_for(one: Located, newer: Newer | None) -> str:
    """In words: the first version without it, or that there is none, and what took the project's place."""
    library = one.trouble.library
    if newer is not None and newer.first:
        text = f"require {library.name}>={newer.first}, the first version without it"
    elif newer is not None or library.name in SUCCESSORS:
        text = f"replace {library.name}{_why(library, newer)}"
        text += f": {SUCCESSORS[library.name]}" if library.name in SUCCESSORS else ""
    else:
        return ""
    return f"{text}; or {one.trouble.remedy}" if one.trouble.packaging else text


def _why(library: Library, newer: Newer | None) -> str:
    if newer is None:
        return ""
    if newer.latest == library.version:
        return ", which has no newer version"
    return f", of which {newer.latest} is no better"
