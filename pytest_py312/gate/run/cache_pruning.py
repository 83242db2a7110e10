"""List and prune the entries of the cache, without disturbing other runs.

    store/<build>/<distribution>/   installed distributions     envs/<key>/         environments, linked to the store
    locks/<key>.json                resolutions                 sources/<key>/      copies of source trees to build
    interpreters/<key>.json         facts on interpreters       uv/, pip/           caches of tools in containers
    simple/<project>.json           pages of the index          builds/<key>.json   sources that do not build
    source/<key>.json               facts of source files       images/<key>.json   facts on images
    oracle/<version>/               answers of interpreters     libraries/          the same, for distributions
    parts/<scope>.<key>.json        parts of sets               tmp/<name>/         work in progress
    built/<build>/                  uv's cache of builds    metadata/<key>.json what sources require

Everything in it can be created again, so pruning costs time but changes no result. Only whole entries are removed, the
least recently used first. An entry is renamed into a temporary folder before it is deleted, so no run sees half of it.
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
"""In seconds. Most file systems record an access only once a day, so an entry may have been used a day later."""

_FILES = ("locks", "builds", "interpreters", "images", "simple", "source", "parts", "metadata")
"""Folders in which each file is an entry."""

_ORACLES = ("oracle", "libraries/oracle")
"""Folders with one subfolder per version of the probe."""

TRASH_PREFIX = ".going-"
"""Prefix of the folder into which entries are renamed before they are deleted."""

FileIdentity = tuple[int, int]
"""Device and inode: environments share files with the store, and each file counts once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """Something that is removed as a whole. ``paths`` are its folder or file, and the files that belong to it.

    ``last_used`` is in seconds since the epoch: the last use that the file system has recorded, otherwise the creation.
    ``files`` maps each file to its size on disk in bytes.
    """

    area: str
    name: str
    paths: tuple[Path, ...]
    last_used: float
    files: Mapping[FileIdentity, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PruneResult:
    """The result of :func:`prune`: removed entries, freed and remaining bytes, and sentences on what was skipped."""

    removed: int
    freed: int
    remaining: int
    skipped: tuple[str, ...] = ()


def list_entries(cache: Path) -> list[CacheEntry]:
    """List everything in the cache, by area and name. Unreadable files are skipped."""
    entries = [
        _entry("store", folder, folder / "entry.json")
        for build in _list_folder(cache / "store")
        for folder in _list_folder(build)
    ]
    entries += _environments(cache / "envs")
    entries += [_entry(area, file, file) for area in _FILES for file in _list_folder(cache / area)]
    entries += [_entry("oracle", path) for area in _ORACLES for path in _list_folder(cache / area)]
    entries += [_entry(area, path) for area in ("sources", "tmp") for path in _list_folder(cache / area)]
    entries += [_tool_cache(name, cache / name) for name in ("pip", "uv") if (cache / name).is_dir()]
    entries += [_tool_cache(area, path) for area in ("built", "uv-git") for path in _list_folder(cache / area)]
    entries += [_entry("tmp", path) for path in _list_folder(cache) if path.name.startswith(TRASH_PREFIX)]
    return sorted(entries, key=lambda entry: (entry.area, entry.name))


def total_size(entries: Iterable[CacheEntry]) -> int:
    """Return the size on disk of the entries in bytes; files that several entries share count once."""
    files: dict[FileIdentity, int] = {}
    for entry in entries:
        files.update(entry.files)
    return sum(files.values())


def select_removable(
    entries: Iterable[CacheEntry], *, now: float, older_than: float, max_size: int | None
) -> list[CacheEntry]:
    """Return the entries to remove, in this order. Pure.

    These are all entries that were not used for ``older_than`` seconds and then, while the rest is larger than
    ``max_size`` bytes, the least recently used ones, but none that was used within a day (or within ``older_than``, if
    that is shorter). Work in progress is removed after a day: it was left by a killed run.
    """
    ordered = sorted(entries, key=lambda entry: (entry.last_used, entry.area, entry.name))
    grace = min(DAY, older_than)
    chosen = [entry for entry in ordered if now - entry.last_used >= (grace if entry.area == "tmp" else older_than)]
    if max_size is None:
        return chosen
    picked = {id(entry) for entry in chosen}
    rest = [entry for entry in ordered if id(entry) not in picked]
    owners = Counter(identity for entry in rest for identity in entry.files)
    size = total_size(rest)
    for entry in rest:
        if size <= max_size:
            break
        if now - entry.last_used < grace:
            continue
        for identity, size_on_disk in entry.files.items():
            owners[identity] -= 1
            size -= size_on_disk if not owners[identity] else 0
        chosen.append(entry)
    return chosen


def prune(cache: Path, *, older_than: float, max_size: int | None) -> PruneResult:
    """Remove entries from the cache, see :func:`select_removable`. Stores that are in use are skipped.

    :raises StateError: the cache cannot be written.
    """
    entries = list_entries(cache)
    chosen = select_removable(entries, now=clock.timestamp(), older_than=older_than, max_size=max_size)
    if not chosen:
        return PruneResult(removed=0, freed=0, remaining=total_size(entries))
    trash = cache / f"{TRASH_PREFIX}{uuid.uuid4().hex[:8]}"
    skipped: list[str] = []
    removed: list[CacheEntry] = []
    with ExitStack() as locks:
        busy = _lock_stores(cache / "store", chosen, locks)
        skipped += [f"the store of {name} is in use, so it was skipped" for name in sorted(busy)]
        try:
            trash.mkdir()
            for entry in chosen:
                if entry.paths[0].parent.name not in busy and not _was_used_since(entry):
                    _delete_entry(entry, trash / f"{len(removed)}")
                    removed.append(entry)
        except OSError as error:
            raise StateError(f"{cache}: the cache cannot be pruned: {error}") from error
        finally:
            shutil.rmtree(trash, ignore_errors=True)
    removed_ids = {id(entry) for entry in removed}
    remaining = total_size(entry for entry in entries if id(entry) not in removed_ids)
    return PruneResult(
        removed=len(removed), freed=total_size(entries) - remaining, remaining=remaining, skipped=tuple(skipped)
    )


def live_runs() -> list[str]:
    """Return the ids of this user's runs on this machine that have not ended.

    :raises StateError: the folder of the runs belongs to another user.
    """
    current_process, now = this_process(), clock.timestamp()
    run_ids = []
    for folder in _list_folder(runs_folder()):
        try:
            owner = (folder / "owner").read_text(encoding="ascii")
            created = folder.stat().st_mtime
        except (OSError, UnicodeDecodeError):
            continue
        if not is_abandoned(owner, created=created, now=now, observer=current_process):
            run_ids.append(folder.name)
    return sorted(run_ids)


# ---- listing


def _list_folder(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix != ".lock" and not path.is_symlink())
    except OSError:
        return []


def _environments(folder: Path) -> Iterator[CacheEntry]:
    """Yield environments, each with its result files ``<key>.imports-....json``."""
    groups: dict[str, list[Path]] = {}
    for path in _list_folder(folder):
        groups.setdefault(path.name if path.name.startswith(".") else path.name.split(".")[0], []).append(path)
    for paths in groups.values():
        first = min(paths, key=lambda path: len(path.name))
        yield _entry("envs", first, first / "environment.json", companions=[path for path in paths if path != first])


def _tool_cache(area: str, path: Path) -> CacheEntry:
    """Return the whole cache of a tool as one entry, last used when anything at its top level was changed."""
    entry = _entry(area, path)
    return replace(entry, last_used=max([entry.last_used, *(_last_used(inner, None) for inner in _list_folder(path))]))


def _entry(area: str, path: Path, usage_marker: Path | None = None, companions: Iterable[Path] = ()) -> CacheEntry:
    """Return the entry at ``path``.

    :param usage_marker: the file that is read on each use; without one the last change counts as the last use.
    """
    paths = (path, *companions)
    return CacheEntry(
        area=area, name=path.name, paths=paths, last_used=_last_used(path, usage_marker), files=dict(_file_sizes(paths))
    )


def _last_used(path: Path, usage_marker: Path | None) -> float:
    for candidate, reading_counts in ((usage_marker, True), (path, False)):
        try:
            status = candidate.lstat() if candidate else None
        except OSError:
            continue
        if status is not None:
            changed = max(status.st_mtime, status.st_ctime)
            return max(changed, status.st_atime) if reading_counts else changed
    return 0.0


def _file_sizes(paths: Iterable[Path]) -> Iterator[tuple[FileIdentity, int]]:
    pending = [str(path) for path in paths]
    while pending:
        current = pending.pop()
        try:
            status = os.lstat(current)
            yield (status.st_dev, status.st_ino), status.st_blocks * 512
            if os.path.isdir(current) and not os.path.islink(current):  # noqa: PTH112, PTH114 - walks tens of thousands
                with os.scandir(current) as items:
                    pending += [item.path for item in items]
        except OSError:
            continue


# ---- removing


def _lock_stores(store: Path, chosen: Iterable[CacheEntry], locks: ExitStack) -> set[str]:
    """Take the locks for filling the stores of the chosen entries; return the stores that are in use."""
    busy = set()
    for build in sorted({entry.paths[0].parent.name for entry in chosen if entry.area == "store"}):
        # the lock of <cache>/store/<runner>-<digest>/ is <cache>/store/<digest>.lock
        lock = FileLock(store / f"{build.rpartition('-')[2]}.lock", timeout=0, is_singleton=True)
        try:
            locks.enter_context(lock)
        except Timeout:
            busy.add(build)
    return busy


def _was_used_since(entry: CacheEntry) -> bool:
    """Return whether an entry was used or created again since it was listed."""
    single_files = dict.fromkeys(_FILES, "")
    marks = {"store": "entry.json", "envs": "environment.json", **single_files}
    path = entry.paths[0]
    return entry.area in marks and _last_used(path, path / marks[entry.area]) > entry.last_used


def _delete_entry(entry: CacheEntry, trash: Path) -> None:
    trash.mkdir()
    for path in entry.paths:
        if path.exists() or path.is_symlink():
            path.rename(trash / path.name)
    shutil.rmtree(trash, ignore_errors=True)
