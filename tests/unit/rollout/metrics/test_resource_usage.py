"""Two readings of an engine."""

import pytest

from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample, Usage
from pytest_py312.rollout.metrics.reading import Reading
from pytest_py312.rollout.metrics.resource_usage import (
    CPU,
    MEMORY,
    OUT_OF_MEMORY,
    RESTARTS,
    Counters,
    counters_in,
    counters_of,
    figures,
)


def at(seconds: float, boot: str = "b") -> Moment:
    return Moment(wall=1e9 + seconds, boottime=seconds, boot=boot)


def usage(cpu: float = 10.0, *, restarts: int = 0, started: str = "first", oom: bool = False) -> Usage:
    return Usage(cpu_seconds=cpu, memory=2**20, restarts=restarts, out_of_memory=oom, started_at=started)


def second(now: Usage, moment: Moment | None = None) -> dict[str, Reading]:
    before = Counters(at=at(100), cpu_seconds=10.0, restarts=0, started_at="first")
    return figures(before, now, moment or at(110))


def test_cores_are_the_seconds_used_by_the_seconds_passed() -> None:
    assert second(usage(25.0))[CPU].value == 1.5
    assert second(usage(25.0))[MEMORY].value == 2**20


def test_the_first_reading_has_no_cores_and_no_restarts() -> None:
    found = figures(None, usage(restarts=4), at(1))
    assert CPU not in found
    assert found[RESTARTS].result is Result.SUCCESSFUL


@pytest.mark.parametrize(
    ("now", "times"),
    [(usage(1.0, restarts=2, started="second"), 2), (usage(1.0, started="second"), 1), (usage(restarts=1), 1)],
)
def test_a_restart_is_seen_by_its_count_or_its_time(now: Usage, times: int) -> None:
    """Its processor time begins at 0 again, and says nothing that could be compared."""
    found = second(now)
    assert (found[RESTARTS].value, found[RESTARTS].result) == (times, Result.FAILED)
    assert CPU not in found


def test_a_kill_for_want_of_memory_is_a_failure() -> None:
    assert second(usage(oom=True))[OUT_OF_MEMORY].result is Result.FAILED
    assert second(usage())[OUT_OF_MEMORY].result is Result.SUCCESSFUL


def test_over_a_restart_of_the_machine_no_cores_are_told() -> None:
    assert CPU not in second(usage(25.0), at(3, boot="another"))


def test_the_reading_comes_back_from_the_sample_that_it_was_kept_with() -> None:
    kept = Sample(service="user", slot=1, at=at(100), measurements=counters_of(usage(10.0, restarts=2)))
    assert counters_in(kept) == Counters(at=at(100), cpu_seconds=10.0, restarts=2, started_at="first")
    assert counters_in(None) is None
    other = Measurement(metric="health", result=Result.SUCCESSFUL)
    assert counters_in(Sample(service="user", slot=1, at=at(1), measurements=(other,))) is None


def test_what_a_target_cannot_measure_is_no_nought() -> None:
    """It has no counter of processor time either, and restarts are counted all the same."""
    blind = Usage(cpu_seconds=None, memory=None, restarts=2, out_of_memory=False, unmeasured="no metrics-server")
    found = second(blind)
    assert found[CPU] == found[MEMORY] == Reading(value=None, detail="no metrics-server")
    kept = Sample(service="user", slot=1, at=at(100), measurements=counters_of(blind))
    assert counters_in(kept) == Counters(at=at(100), cpu_seconds=None, restarts=2)
    assert figures(counters_in(kept), usage(restarts=3), at(110))[RESTARTS].value == 1


def test_cores_that_a_target_tells_itself_need_no_earlier_reading() -> None:
    gauge = Usage(cpu_seconds=None, memory=2**20, restarts=0, out_of_memory=False, cores=0.25)
    assert figures(None, gauge, at(1))[CPU].value == 0.25
