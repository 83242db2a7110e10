"""Which core is measured on, by what the system tells of all of them."""

from pathlib import Path
from threading import Event

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.gate.benchmarks import cpu_cores
from pytest_py312.gate.benchmarks.cpu_cores import by_idleness, own_core

# user nice system idle iowait irq softirq steal
BEFORE = "cpu  30 0 3 300 0 0 0 0\ncpu0 10 0 1 100 0 0 0 0\ncpu1 10 0 1 100 0 0 0 0\ncpu2 10 0 1 100 0 0 0 0\nintr 7\n"
AFTER = "cpu  60 0 3 350 5 0 0 0\ncpu0 10 0 1 130 0 0 0 0\ncpu1 40 0 1 100 0 0 0 0\ncpu2 15 0 1 120 5 0 0 0\nintr 9\n"


def test_the_core_with_the_least_to_do_goes_first() -> None:
    """Waiting for a disk is nothing to do; a core that this process may not use is none."""
    assert by_idleness(BEFORE, AFTER, {0, 1, 2}) == [0, 2, 1]
    assert by_idleness(BEFORE, AFTER, {1, 2}) == [2, 1]


def test_of_equals_the_last_goes_first() -> None:
    """Also where nothing is told at all."""
    assert by_idleness("", "", {0, 1}) == [1, 0]


@given(st.text(), st.text(), st.sets(st.integers(min_value=0, max_value=200), max_size=4))
def test_whatever_is_told_every_core_is_there(before: str, after: str, allowed: set[int]) -> None:
    """Once each."""
    assert sorted(by_idleness(before, after, allowed)) == sorted(allowed)


@given(st.lists(st.sampled_from(["cpu0", "cpu1", "cpu", "cpux", "-1", "7", "9", "\n", "cpu²"]), max_size=30))
def test_lines_that_are_broken_are_passed_over(words: list[str]) -> None:
    """The order may be any."""
    text = " ".join(words)
    assert sorted(by_idleness(text, text, {0, 1})) == [0, 1]


def test_two_measurements_never_have_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they are of one run or of two; one that ends lets go of it."""
    monkeypatch.setattr(cpu_cores, "ordered_cores", lambda: [1, 0])
    ended = Event()
    with own_core(tmp_path, ended) as first, own_core(tmp_path, ended) as second:
        assert (first, second) == (1, 0)
    with own_core(tmp_path, ended) as again:
        assert again == 1


def test_where_all_are_taken_it_waits_until_the_run_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cores cannot be told apart there is one place to measure."""
    waits = []
    ended = Event()

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            ended.set()

    monkeypatch.setattr(cpu_cores, "ordered_cores", list)
    monkeypatch.setattr("pytest_py312.core.clock.pause", pause)
    with FileLock(tmp_path / "any.lock"), own_core(tmp_path, ended) as core:
        assert core is None
    assert len(waits) == 3
