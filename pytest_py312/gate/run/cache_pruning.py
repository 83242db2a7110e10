"""What the cache holds, how large it is, and how it is made smaller without taking anything from a run.

    store/<build>/<distribution>/   installed distributions     envs/<key>/      environments, linked from the store
    locks/<key>.json                resolutions                 sources/<key>/   copies of source trees that are built
    interpreters/<key>.json         what is known of programs   uv/, pip/        those of tools in builder containers
    simple/<project>.json           pages of the index          builds/<key>.json  sources that do not build
    source/<key>.json               what files use              images/<key>.json  what is known of images
    oracle/<version>/               answers of interpreters     libraries/         the same, asked for libraries
    parts/<scope>.<key>.json        parts of sets           tmp/<name>/        work in progress

Everything in it can be made again, so removing costs time and never a verdict. Whole entries are removed, the one whose
last use is the longest ago first: it is renamed into a folder of its own first, so nobody ever sees half of one.
"""

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_py312.core import clock
from pytest_py312.core.directories import runs_folder
from pytest_py312.core.errors import StateError
from pytest_py312.core.process_identity import is_abandoned, this_process

DAY = 24 * 3600.0
"""Seconds. Most file systems record a reading once a day at most, so an entry may have been used that much later."""

_FILES = ("locks", "builds", "interpreters", "images", "simple", "source", "parts")
"""Folders whose files are entries, each by itself."""

_ORACLES = ("oracle", "libraries/oracle")
"""Folders with one for each version of the probe that has asked."""

GOING = ".going-"
"""Begins the name of the folder into which entries are renamed before they are deleted."""

Identity = tuple[int, int]
"""Device and inode: environments share their files with the store, and a file counts once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """One thing that is removed whole. ``paths`` are its folder or file, and what belongs to it.

    ``used`` is seconds since the epoch: its last use as far as the file system records it, else when it was made.
    ``files`` maps each of its files to the bytes it takes.
    """

    area: str
    name: str
    paths: tuple[Path, ...]
    used: float
    files: Mapping[Identity, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """What :func:`prune` did: entries removed, bytes freed and left, and sentences about what had to stay."""

    removed: int
    freed: int
    left: int
    kept: tuple[str, ...] = ()


def entries_of(cache: Path) -> list[CacheEntry]:
    """Everything in the cache, by area and name. What cannot be read is passed over."""
    found = [
        _entry("store", folder, folder / "entry.json")
        for build in _inside(cache / "store")
        for folder in _inside(build)
    ]
    found += _environments(cache / "envs")
    found += [_entry(area, file, file) for area in _FILES for file in _inside(cache / area)]
    found += [_entry("oracle", path) for area in _ORACLES for path in _inside(cache / area)]
    found += [_entry(area, path) for area in ("sources", "tmp") for path in _inside(cache / area)]
    found += [_tool_cache(path) for path in (cache / "pip", cache / "uv") if path.is_dir()]
    found += [_entry("tmp", path) for path in _inside(cache) if path.name.startswith(GOING)]
    return sorted(found, key=lambda entry: (entry.area, entry.name))


def total(entries: Iterable[CacheEntry]) -> int:
    """Bytes that the entries take on disk together; files that several share count once."""
    files: dict[Identity, int] = {}
    for entry in entries:
        files.update(entry.files)
    return sum(files.values())


def to_remove(
    entries: Iterable[CacheEntry], *, now: float, older_than: float, max_size: int | None
) -> list[CacheEntry]:
    """The entries to remove, in this order. Pure.

    All that were not used for ``older_than`` seconds; then, while the rest takes more than ``max_size`` bytes, the
    longest unused of it, but none that was used within a day (or within ``older_than``, where that is shorter).
    Work in progress goes when it is a day old: it is what a killed run left behind.
    """
    ordered = sorted(entries, key=lambda entry: (entry.used, entry.area, entry.name))
    grace = min(DAY, older_than)
    chosen = [entry for entry in ordered if now - entry.used >= (grace if entry.area == "tmp" else older_than)]
    if max_size is None:
        return chosen
    picked = {id(entry) for entry in chosen}
    rest = [entry for entry in ordered if id(entry) not in picked]
    owners = Counter(identity for entry in rest for identity in entry.files)
    size = total(rest)
    for entry in rest:
        if size <= max_size:
            break
        if now - entry.used < grace:
            continue
        for identity, taken in entry.files.items():
            owners[identity] -= 1
            size -= taken if not owners[identity] else 0
        chosen.append(entry)
    return chosen


def prune(cache: Path, *, older_than: float, max_size: int | None) -> Pruned:
    """Make the cache smaller, see :func:`to_remove`. Builds whose store is being filled are left alone.

    :raises StateError: the cache cannot be written.
    """
    before = entries_of(cache)
    chosen = to_remove(before, now=clock.timestamp(), older_than=older_than, max_size=max_size)
    if not chosen:
        return Pruned(removed=0, freed=0, left=total(before))
    going = cache / f"{GOING}{uuid.uuid4().hex[:8]}"
    kept: list[str] = []
    removed: list[CacheEntry] = []
    with ExitStack() as held:
        busy = _hold_stores(cache / "store", chosen, held)
        kept += [f"the store of {name} is being filled, so it was left alone" for name in sorted(busy)]
        try:
            going.mkdir()
            for entry in chosen:
                if entry.paths[0].parent.name not in busy and not _used_since(entry):
                    _take_away(entry, going / f"{len(removed)}")
                    removed.append(entry)
        except OSError as error:
            raise StateError(f"{cache}: the cache cannot be made smaller: {error}") from error
        finally:
            shutil.rmtree(going, ignore_errors=True)
    gone = {id(entry) for entry in removed}
    left = total(entry for entry in before if id(entry) not in gone)
    return Pruned(removed=len(removed), freed=total(before) - left, left=left, kept=tuple(kept))


def live_runs() -> list[str]:
    """The ids of this user's runs on this machine that have not ended.

    :raises StateError: the folder of the runs is somebody else's.
    """
    me, now = this_process(), clock.timestamp()
    found = []
    for folder in _inside(runs_folder()):
        try:
            owner = (folder / "owner").read_text(encoding="ascii")
            created = folder.stat().st_mtime
        except (OSError, UnicodeDecodeError):
            continue
        if not is_abandoned(owner, created=created, now=now, me=me):
            found.append(folder.name)
    return sorted(found)


# ---- looking


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix != ".lock" and not path.is_symlink())
    except OSError:
        return []


def _environments(folder: Path) -> Iterator[CacheEntry]:
    """Environments, each with the answers that lie beside it: ``<key>.imports-....json``."""
    groups: dict[str, list[Path]] = {}
    for path in _inside(folder):
        groups.setdefault(path.name if path.name.startswith(".") else path.name.split(".")[0], []).append(path)
    for paths in groups.values():
        first = min(paths, key=lambda path: len(path.name))
        yield _entry("envs", first, first / "environment.json", beside=[path for path in paths if path != first])


def _tool_cache(path: Path) -> CacheEntry:
    """A tool's own cache, whole: used when anything at its top was last changed."""
    entry = _entry(path.name, path)
    return replace(entry, used=max([entry.used, *(_used(inner, None) for inner in _inside(path))]))


def _entry(area: str, path: Path, mark: Path | None = None, beside: Iterable[Path] = ()) -> CacheEntry:
    """``mark`` is the file that is read on each use; without one an entry counts as used when it was last changed."""
    paths = (path, *beside)
    return CacheEntry(area=area, name=path.name, paths=paths, used=_used(path, mark), files=dict(_files(paths)))


def _used(path: Path, mark: Path | None) -> float:
    for place, reading_counts in ((mark, True), (path, False)):
        try:
            status = place.lstat() if place else None
        except OSError:
            continue
        if status is not None:
            made = max(status.st_mtime, status.st_ctime)
            return max(made, status.st_atime) if reading_counts else made
    return 0.0


def _files(paths: Iterable[Path]) -> Iterator[tuple[Identity, int]]:
    pending = [str(path) for path in paths]
    while pending:
        place = pending.pop()
        try:
            status = os.lstat(place)
            yield (status.st_dev, status.st_ino), status.st_blocks * 512
            if os.path.isdir(place) and not os.path.islink(place):  # noqa: PTH112, PTH114 - walks tens of thousands
                with os.scandir(place) as items:
                    pending += [item.path for item in items]
        except OSError:
            continue


# ---- removing


def _hold_stores(store: Path, chosen: Iterable[CacheEntry], held: ExitStack) -> set[str]:
    """Take the locks under which the stores of the chosen entries are filled; returns the stores that are in use."""
    busy = set()
    for build in sorted({entry.paths[0].parent.name for entry in chosen if entry.area == "store"}):
        # <cache>/store/<runner>-<digest>/ is filled under <cache>/store/<digest>.lock
        lock = FileLock(store / f"{build.rpartition('-')[2]}.lock", timeout=0, is_singleton=True)
        try:
            held.enter_context(lock)
        except Timeout:
            busy.add(build)
    return busy


def _used_since(entry: CacheEntry) -> bool:
    """Whether an entry was used or made again since it was looked at."""
    single = dict.fromkeys(_FILES, "")
    marks = {"store": "entry.json", "envs": "environment.json", **single}
    path = entry.paths[0]
    return entry.area in marks and _used(path, path / marks[entry.area]) > entry.used


def _take_away(entry: CacheEntry, place: Path) -> None:
    place.mkdir()
    for path in entry.paths:
        if path.exists() or path.is_symlink():
            path.rename(place / path.name)
    shutil.rmtree(place, ignore_errors=True)
