"""The cache is made smaller by whole entries, the longest unused first, and never under a run's feet."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core import clock, directories
from pytest_py312.core.process_identity import Owner, this_process
from pytest_py312.gate.run import cache_pruning as caching
from pytest_py312.gate.run.cache_pruning import DAY, CacheEntry, entries_of, live_runs, prune, to_remove, total

NOW = 1_000 * DAY


def entry(name: str, *, days: float, area: str = "envs", files: dict[int, int] | None = None) -> CacheEntry:
    """An entry last used ``days`` before NOW; ``files`` maps an inode to its bytes."""
    held = {(1, inode): size for inode, size in (files or {hash(name): 100}).items()}
    return CacheEntry(area=area, name=name, paths=(Path(name),), used=NOW - days * DAY, files=held)


def names(entries: list[CacheEntry]) -> list[str]:
    return [one.name for one in entries]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a hundred days later."""
    now = clock.timestamp() + 100 * DAY
    monkeypatch.setattr(clock, "timestamp", lambda: now)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with an environment for each of 3.9, 3.10 and 3.12, linked from the store of its build."""
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
        "pip/x",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    return root


def test_an_entry_is_all_that_belongs_together(cache: Path) -> None:
    """An environment with the answers beside it, a distribution, a lock; lock files are none of it."""
    found = entries_of(cache)
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
    }


def test_files_that_are_shared_count_once(cache: Path) -> None:
    """Three distributions of 50 kB, each also linked into an environment, take 150 kB and not 300."""
    assert 150_000 <= total(one for one in entries_of(cache) if one.area in ("envs", "store")) < 300_000


def test_nothing_is_removed_that_was_used_lately(cache: Path) -> None:
    """Not even to get down to a size."""
    before = sorted(cache.rglob("*"))
    done = prune(cache, older_than=30 * DAY, max_size=0)
    assert done.removed == 0
    assert sorted(cache.rglob("*")) == before


@pytest.mark.usefixtures("later")
def test_what_nobody_has_used_goes_whole(cache: Path) -> None:
    """And nothing of it stays behind, but the lock files, which runs may hold at any time."""
    size = total(entries_of(cache))
    done = prune(cache, older_than=30 * DAY, max_size=None)
    assert (done.freed, done.left, done.kept) == (size, 0, ())
    left = {path.name for path in cache.rglob("*") if path.is_file()}
    assert left == {"39.lock", "310.lock", "312.lock", "d.json.lock"}


@pytest.mark.usefixtures("later")
def test_a_store_that_is_being_filled_is_left_alone(cache: Path) -> None:
    """Its lock is held by the run that fills it; the others go."""
    with FileLock(cache / "store" / "310.lock"):
        done = prune(cache, older_than=30 * DAY, max_size=None)
    assert [one.paths[0].parent.name for one in entries_of(cache)] == ["local-310"]
    assert done.kept == ("the store of local-310 is being filled, so it was left alone",)


@pytest.mark.usefixtures("later")
def test_an_entry_used_since_it_was_looked_at_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and removing, a run may have taken it up."""
    chosen = caching.to_remove

    def meanwhile(
        entries: list[CacheEntry], *, now: float, older_than: float, max_size: int | None
    ) -> list[CacheEntry]:
        mark = cache / "envs" / "312" / "environment.json"
        os.utime(mark, (now, now))
        return chosen(entries, now=now, older_than=older_than, max_size=max_size)

    monkeypatch.setattr(caching, "to_remove", meanwhile)
    prune(cache, older_than=30 * DAY, max_size=None)
    assert [one.name for one in entries_of(cache)] == ["312"]


@pytest.mark.usefixtures("later")
def test_a_link_out_of_the_cache_is_not_followed(cache: Path, tmp_path: Path) -> None:
    """What it points to is somebody else's."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (cache / "sources" / "link").symlink_to(tmp_path / "precious")
    (cache / "sources" / "key" / "link").symlink_to(tmp_path / "precious")
    prune(cache, older_than=30 * DAY, max_size=None)
    assert (tmp_path / "precious" / "file").exists()


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """Nothing to remove, and nothing is made."""
    assert prune(tmp_path / "none", older_than=0.0, max_size=0).left == 0
    assert not (tmp_path / "none").exists()


def test_the_longest_unused_go_first_until_it_fits() -> None:
    """Of four entries of 100 bytes, the two oldest have to go for 200 bytes."""
    entries = [entry("c", days=3), entry("a", days=9), entry("d", days=2), entry("b", days=5)]
    assert names(to_remove(entries, now=NOW, older_than=30 * DAY, max_size=200)) == ["a", "b"]


def test_removing_half_of_what_is_shared_frees_nothing() -> None:
    """A file is gone with the last entry that holds it, so the environment has to follow its distribution."""
    entries = [
        entry("dist", days=9, area="store", files={1: 100}),
        entry("env", days=8, files={1: 100}),
        entry("other", days=7, files={2: 100}),
    ]
    assert names(to_remove(entries, now=NOW, older_than=30 * DAY, max_size=100)) == ["dist", "env"]


def test_work_in_progress_goes_when_it_is_a_day_old() -> None:
    """A killed run left it; what is younger may be somebody's."""
    entries = [entry("old", days=2, area="tmp"), entry("young", days=0.5, area="tmp")]
    assert names(to_remove(entries, now=NOW, older_than=30 * DAY, max_size=None)) == ["old"]


@given(
    ages=st.lists(st.floats(0, 100), max_size=12),
    older_than=st.floats(0, 60),
    max_size=st.none() | st.integers(0, 1500),
)
def test_removing_keeps_its_promises(ages: list[float], older_than: float, max_size: int | None) -> None:
    """Each at most once; none younger than both a day and the limit; all older than the limit."""
    entries = [entry(f"e{number}", days=days) for number, days in enumerate(ages)]
    chosen = to_remove(entries, now=NOW, older_than=older_than * DAY, max_size=max_size)
    assert len(set(names(chosen))) == len(chosen)
    limit = older_than * DAY
    assert all(NOW - one.used >= min(DAY, limit) for one in chosen)
    assert {one.name for one in entries if NOW - one.used >= limit} <= set(names(chosen))


def test_a_run_that_goes_on_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its owner, whatever its age; one whose owner is gone is not."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    me = this_process()
    directories.open_run("alive")
    (directories.runs_folder() / "dead").mkdir()
    gone = Owner(boot=me.boot, namespace=me.namespace, user=me.user, pid=me.pid, started=me.started - 1)
    (directories.runs_folder() / "dead" / "owner").write_text(str(gone))
    assert live_runs() == ["alive"]
