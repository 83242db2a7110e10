"""The cache is pruned by whole entries, the least recently used first, without disturbing runs."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core import clock, directories
from pytest_py312.core.process_identity import ProcessIdentity, this_process
from pytest_py312.gate.run import cache_pruning as caching
from pytest_py312.gate.run.cache_pruning import (
    DAY,
    CacheEntry,
    list_entries,
    live_runs,
    prune,
    select_removable,
    total_size,
)

NOW = 1_000 * DAY


def entry(name: str, *, days: float, area: str = "envs", files: dict[int, int] | None = None) -> CacheEntry:
    """Return an entry last used ``days`` before NOW; ``files`` maps an inode to its size in bytes."""
    held = {(1, inode): size for inode, size in (files or {hash(name): 100}).items()}
    return CacheEntry(area=area, name=name, paths=(Path(name),), last_used=NOW - days * DAY, files=held)


def names(entries: list[CacheEntry]) -> list[str]:
    return [one.name for one in entries]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock to a hundred days later."""
    now = clock.timestamp() + 100 * DAY
    monkeypatch.setattr(clock, "timestamp", lambda: now)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache with an environment for each of 3.9, 3.10 and 3.12, linked to the store of its build."""
    root = tmp_path / "cache"
    for version in ("3.9", "3.10", "3.12"):
        digest = version.replace(".", "")
        stored = root / "store" / f"local-{digest}" / "app-1.0-abc"
        (stored / "lib").mkdir(parents=True)
        (stored / "lib" / "app.py").write_bytes(b"x" * 50_000)
        (stored / "entry.json").write_text("{}")
        environment = root / "envs" / digest
        environment.mkdir(parents=True)
        os.link(stored / "lib" / "app.py", environment / "app.py")
        (environment / "environment.json").write_text("{}")
        (root / "envs" / f"{digest}.imports-1.json").write_text("{}")
        (root / "store" / f"{digest}.lock").touch()
    for name in (
        "locks/a.json",
        "builds/c.json",
        "interpreters/b.json",
        "images/e.json",
        "simple/numpy.json",
        "source/d.json",
        "source/d.json.lock",
        "oracle/3f/a.answers.json",
        "oracle/3f/a.answers.json.lock",
        "libraries/oracle/3f/a.answers.json",
        "sources/key/setup.py",
        "tmp/work/requirements.in",
        "uv/x",
        "built/local-39/x",
        "pip/x",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    return root


def test_an_entry_has_all_of_its_files(cache: Path) -> None:
    """An environment with its results, a distribution, a lock; lock files are not part of it."""
    found = list_entries(cache)
    assert {one.name: len(one.paths) for one in found if one.area == "envs"} == {"39": 2, "310": 2, "312": 2}
    assert [one.name for one in found if one.area == "store"] == ["app-1.0-abc"] * 3
    assert {one.area for one in found} == {
        "store",
        "envs",
        "locks",
        "builds",
        "interpreters",
        "images",
        "simple",
        "source",
        "oracle",
        "sources",
        "tmp",
        "uv",
        "pip",
        "built",
    }


def test_shared_files_count_once(cache: Path) -> None:
    """Three distributions of 50 kB, each also linked into an environment, take 150 kB and not 300."""
    assert 150_000 <= total_size(one for one in list_entries(cache) if one.area in ("envs", "store")) < 300_000


def test_recently_used_entries_are_not_removed(cache: Path) -> None:
    """Not even to reach a size."""
    before = sorted(cache.rglob("*"))
    done = prune(cache, older_than=30 * DAY, max_size=0)
    assert done.removed == 0
    assert sorted(cache.rglob("*")) == before


@pytest.mark.usefixtures("later")
def test_unused_entries_are_removed_completely(cache: Path) -> None:
    """Except lock files, which runs may hold at any time."""
    size = total_size(list_entries(cache))
    done = prune(cache, older_than=30 * DAY, max_size=None)
    assert (done.freed, done.remaining, done.skipped) == (size, 0, ())
    left = {path.name for path in cache.rglob("*") if path.is_file()}
    assert left == {"39.lock", "310.lock", "312.lock", "d.json.lock"}


@pytest.mark.usefixtures("later")
def test_a_store_in_use_is_skipped(cache: Path) -> None:
    """A run holds its lock; others are removed."""
    with FileLock(cache / "store" / "310.lock"):
        done = prune(cache, older_than=30 * DAY, max_size=None)
    assert [one.paths[0].parent.name for one in list_entries(cache)] == ["local-310"]
    assert done.skipped == ("the store of local-310 is in use, so it was skipped",)


@pytest.mark.usefixtures("later")
def test_an_entry_used_since_it_was_listed_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may use it between listing and removing."""
    chosen = caching.select_removable

    def meanwhile(
        entries: list[CacheEntry], *, now: float, older_than: float, max_size: int | None
    ) -> list[CacheEntry]:
        mark = cache / "envs" / "312" / "environment.json"
        os.utime(mark, (now, now))
        return chosen(entries, now=now, older_than=older_than, max_size=max_size)

    monkeypatch.setattr(caching, "select_removable", meanwhile)
    prune(cache, older_than=30 * DAY, max_size=None)
    assert [one.name for one in list_entries(cache)] == ["312"]


@pytest.mark.usefixtures("later")
def test_a_link_out_of_the_cache_is_not_followed(cache: Path, tmp_path: Path) -> None:
    """Its target does not belong to the cache."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (cache / "sources" / "link").symlink_to(tmp_path / "precious")
    (cache / "sources" / "key" / "link").symlink_to(tmp_path / "precious")
    prune(cache, older_than=30 * DAY, max_size=None)
    assert (tmp_path / "precious" / "file").exists()


def test_a_missing_cache_is_empty(tmp_path: Path) -> None:
    """Nothing is removed, and nothing is created."""
    assert prune(tmp_path / "none", older_than=0.0, max_size=0).remaining == 0
    assert not (tmp_path / "none").exists()


def test_the_least_recently_used_are_removed_first() -> None:
    """Of four entries of 100 bytes, the two oldest are removed to reach 200 bytes."""
    entries = [entry("c", days=3), entry("a", days=9), entry("d", days=2), entry("b", days=5)]
    assert names(select_removable(entries, now=NOW, older_than=30 * DAY, max_size=200)) == ["a", "b"]


def test_removing_one_of_two_sharing_entries_frees_nothing() -> None:
    """A file is freed with its last entry, so the environment has to be removed with its distribution."""
    entries = [
        entry("dist", days=9, area="store", files={1: 100}),
        entry("env", days=8, files={1: 100}),
        entry("other", days=7, files={2: 100}),
    ]
    assert names(select_removable(entries, now=NOW, older_than=30 * DAY, max_size=100)) == ["dist", "env"]


def test_work_in_progress_is_removed_after_a_day() -> None:
    """A killed run left it; a younger one may be in use."""
    entries = [entry("old", days=2, area="tmp"), entry("young", days=0.5, area="tmp")]
    assert names(select_removable(entries, now=NOW, older_than=30 * DAY, max_size=None)) == ["old"]


@given(
    ages=st.lists(st.floats(0, 100), max_size=12),
    older_than=st.floats(0, 60),
    max_size=st.none() | st.integers(0, 1500),
)
def test_properties_of_the_selection(ages: list[float], older_than: float, max_size: int | None) -> None:
    """No entry twice; none younger than both a day and the limit; all older than the limit."""
    entries = [entry(f"e{number}", days=days) for number, days in enumerate(ages)]
    chosen = select_removable(entries, now=NOW, older_than=older_than * DAY, max_size=max_size)
    assert len(set(names(chosen))) == len(chosen)
    limit = older_than * DAY
    assert all(NOW - one.last_used >= min(DAY, limit) for one in chosen)
    assert {one.name for one in entries if NOW - one.last_used >= limit} <= set(names(chosen))


def test_running_runs_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their owner, whatever their age; a run whose owner has ended is not."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    me = this_process()
    directories.create_run_folder("alive")
    (directories.runs_folder() / "dead").mkdir()
    gone = ProcessIdentity(
        boot_id=me.boot_id, namespace=me.namespace, user=me.user, pid=me.pid, start_ticks=me.start_ticks - 1
    )
    (directories.runs_folder() / "dead" / "owner").write_text(str(gone))
    assert live_runs() == ["alive"]
