"""The CPU core to measure on, by the load that the system reports."""

from pathlib import Path
from threading import Event

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.gate.benchmarks import cpu_cores
from pytest_py312.gate.benchmarks.cpu_cores import exclusive_core, rank_by_idleness

# user nice system idle iowait irq softirq steal
BEFORE = "cpu  30 0 3 300 0 0 0 0\ncpu0 10 0 1 100 0 0 0 0\ncpu1 10 0 1 100 0 0 0 0\ncpu2 10 0 1 100 0 0 0 0\nintr 7\n"
AFTER = "cpu  60 0 3 350 5 0 0 0\ncpu0 10 0 1 130 0 0 0 0\ncpu1 40 0 1 100 0 0 0 0\ncpu2 15 0 1 120 5 0 0 0\nintr 9\n"


def test_the_most_idle_core_is_first() -> None:
    """Waiting for a disk counts as idle; cores that this process may not use are left out."""
    assert rank_by_idleness(BEFORE, AFTER, {0, 1, 2}) == [0, 2, 1]
    assert rank_by_idleness(BEFORE, AFTER, {1, 2}) == [2, 1]


def test_of_equally_idle_cores_the_last_is_first() -> None:
    """Also if nothing is reported."""
    assert rank_by_idleness("", "", {0, 1}) == [1, 0]


@given(st.text(), st.text(), st.sets(st.integers(min_value=0, max_value=200), max_size=4))
def test_every_allowed_core_is_ranked(before: str, after: str, allowed: set[int]) -> None:
    """Exactly once."""
    assert sorted(rank_by_idleness(before, after, allowed)) == sorted(allowed)


@given(st.lists(st.sampled_from(["cpu0", "cpu1", "cpu", "cpux", "-1", "7", "9", "\n", "cpu²"]), max_size=30))
def test_invalid_lines_are_ignored(words: list[str]) -> None:
    """They only affect the order."""
    text = " ".join(words)
    assert sorted(rank_by_idleness(text, text, {0, 1})) == [0, 1]


def test_two_measurements_never_share_a_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in one run nor in two; a core is released at the end."""
    monkeypatch.setattr(cpu_cores, "cores_by_idleness", lambda: [1, 0])
    ended = Event()
    with exclusive_core(tmp_path, ended) as first, exclusive_core(tmp_path, ended) as second:
        assert (first, second) == (1, 0)
    with exclusive_core(tmp_path, ended) as again:
        assert again == 1


def test_without_a_free_core_it_waits_until_the_run_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If cores cannot be chosen, only one measurement runs at a time."""
    waits = []
    ended = Event()

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            ended.set()

    monkeypatch.setattr(cpu_cores, "cores_by_idleness", list)
    monkeypatch.setattr("pytest_py312.core.clock.pause", pause)
    with FileLock(tmp_path / "any.lock"), exclusive_core(tmp_path, ended) as core:
        assert core is None
    assert len(waits) == 3
