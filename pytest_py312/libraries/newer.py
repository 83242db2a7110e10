"""The first version of a distribution that no longer uses what is gone: installed into the store and scanned, some of
the versions between that which is installed and the newest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from pytest_py312.distributions import Entry, Store
from pytest_py312.index import Index, Page, PageState
from pytest_py312.model import InterpreterBuild
from pytest_py312.resolution import Blocked, Pin, Unchecked, Wanted
from pytest_py312.screen import Target

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
