"""Time series of samples."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import CompareSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.judge import counts_towards_soak, judge_metric
from pytest_py312.rollout.canary_analysis.time_series import (
    CONTROL_PREFIX,
    MetricSeries,
    ServiceMetrics,
    SoakProgress,
)
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Usage
from pytest_py312.rollout.metrics.resource_usage import counter_measurements

RESULTS = st.sampled_from(Result)
LETTERS = {"s": Result.SUCCESSFUL, "f": Result.FAILED, "i": Result.INCONCLUSIVE, "e": Result.ERROR}
TAKEN = st.dictionaries(
    st.tuples(st.sampled_from(["auth", "user"]), st.integers(1, 20)),
    st.tuples(RESULTS, st.floats(0, 1e5), st.sampled_from("ab")),
    max_size=40,
)


def at(seconds: float, *, boot: str = "b") -> Timestamp:
    return Timestamp(wall=1e9 + seconds, boottime=seconds, boot=boot)


def sample(slot: int, letter: str = "s", *, service: str = "user", moment: Timestamp | None = None) -> Sample:
    measured = (Measurement(metric="health", result=LETTERS[letter]),) if letter in LETTERS else ()
    return Sample(service=service, slot=slot, at=moment or at(300.0 * slot), measurements=measured)


def credited(samples: Iterable[Sample], services: Sequence[str] = ("user",), ignored: Collection[str] = ()) -> float:
    progress = SoakProgress(services, 300.0, ignored)
    for one in samples:
        progress.add(one)
    return progress.seconds


@given(TAKEN, st.sampled_from([(), ("user: health",)]))
def test_credit_as_it_comes_is_the_credit_of_all(
    taken: dict[tuple[str, int], tuple[Result, float, str]], ignored: tuple[str, ...]
) -> None:
    """Services share the timestamp of a slot, as they are sampled at once."""
    moments = {slot: (when, boot) for (_, slot), (_, when, boot) in taken.items()}
    samples = [
        Sample(
            service=service,
            slot=slot,
            at=Timestamp(wall=moments[slot][0], boottime=moments[slot][0], boot=moments[slot][1]),
            measurements=(Measurement(metric="health", result=result),),
        )
        for (service, slot), (result, _, _) in taken.items()
    ]
    good = Counter(one.slot for one in samples if counts_towards_soak(one, ignored))
    boots: dict[str, list[float]] = {}
    for slot in (slot for slot, count in good.items() if count == 2):
        boots.setdefault(moments[slot][1], []).append(moments[slot][0])
    whole = sum(min(len(times) * 300.0, max(times) - min(times) + 300.0) for times in boots.values())
    assert abs(credited(samples, ["auth", "user"], ignored) - whole) < 1e-6


def test_each_slot_in_which_all_services_were_well_is_worth_an_interval() -> None:
    both = {name: [sample(slot, service=name) for slot in (1, 2, 3)] for name in ("user", "auth")}
    assert credited([*both["user"], *both["auth"]], ["user", "auth"]) == 900.0
    both["auth"][1] = sample(2, "i", service="auth")
    assert credited([*both["user"], *both["auth"]], ["user", "auth"]) == 600.0
    assert credited(both["user"], ["user", "auth"]) == 0.0
    assert credited([], []) == 0.0


def test_a_gap_is_worth_nothing() -> None:
    assert credited([sample(1), sample(100)]) == 600.0


def test_a_sample_without_any_measurement_is_not_good() -> None:
    assert credited([sample(1, "")]) == 0.0


def test_samples_taken_in_a_hurry_are_worth_the_time_that_passed() -> None:
    hurried = [sample(slot, moment=at(1000.0 + slot)) for slot in range(1, 11)]
    assert credited(hurried) == 309.0


def test_a_restart_of_the_machine_is_no_credit_and_no_harm() -> None:
    before = [sample(slot) for slot in (1, 2)]
    after = [sample(slot, moment=at(300.0 * (slot - 5), boot="other")) for slot in (6, 7)]
    assert credited([*before, *after]) == 1200.0


def test_what_a_person_has_accepted_does_not_count_against_a_sample() -> None:
    measured = (
        Measurement(metric="health", result=Result.SUCCESSFUL),
        Measurement(metric="latency", result=Result.FAILED),
    )
    slow = Sample(service="user", slot=1, at=at(300.0), measurements=measured)
    assert credited([slow]) == 0.0
    assert credited([slow], ignored=["user: latency"]) == 300.0
    assert credited([slow], ignored=["user: latency", "user: health"]) == 0.0


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from("sfie"), st.floats(0, 1e5), st.sampled_from("ab"))))
def test_credit_is_never_more_than_the_slots_or_the_time(taken: list[tuple[int, str, float, str]]) -> None:
    by_slot = {slot: sample(slot, letter, moment=at(when, boot=boot)) for slot, letter, when, boot in taken}
    proven_seconds = credited(by_slot.values())
    good = [good_sample for good_sample in by_slot.values() if good_sample.is_good]
    boots = {good_sample.at.boot for good_sample in good}
    passed = sum(
        max(good_sample.at.boottime for good_sample in good if good_sample.at.boot == boot)
        - min(good_sample.at.boottime for good_sample in good if good_sample.at.boot == boot)
        + 300.0
        for boot in boots
    )
    assert 0.0 <= proven_seconds <= min(300.0 * len(good), passed) + 1e-6


@given(st.lists(RESULTS, max_size=60))
def test_a_series_is_judged_as_the_list_of_its_results(results: list[Result]) -> None:
    series = MetricSeries()
    for slot, result in enumerate(results):
        series.add(slot, Measurement(metric="x", result=result))
    assert series.judge(SoakSettings()) == judge_metric(results, SoakSettings())


def test_what_is_counted_before_the_first_sample_is_where_counting_starts() -> None:
    """Three restarts in the first three intervals are three, and a crash loop."""
    service_metrics = ServiceMetrics()
    for slot in range(4):
        at = Timestamp(wall=60.0 * slot, boottime=60.0 * slot, boot="b")
        usage = Usage(cpu_seconds=1.0, memory=1, restarts=slot, out_of_memory=False, started_at=f"at {slot}")
        sample = Sample(service="user", slot=slot, at=at, measurements=counter_measurements(usage))
        (service_metrics.add if slot else service_metrics.add_initial_sample)(sample)
    assert service_metrics.recent_restarts == 3


def test_pairs_are_of_slots_that_both_versions_have() -> None:
    service_metrics = ServiceMetrics()
    at = Timestamp(wall=1.0, boottime=1.0, boot="b")
    for slot, new, old in ((1, 1.0, 2.0), (2, 3.0, None), (3, None, 4.0), (5, 5.0, 6.0)):
        found = [("latency", new), (f"{CONTROL_PREFIX}latency", old)]
        measurements = tuple(
            Measurement(metric=name, result=Result.SUCCESSFUL, value=value) for name, value in found if value
        )
        service_metrics.add(Sample(service="user", slot=slot, at=at, measurements=measurements))
    assert service_metrics.paired_values("latency") == [(2.0, 1.0), (6.0, 5.0)]
    assert service_metrics.compared_metrics == ["latency"]
    assert service_metrics.compare_interim("latency", CompareSettings(), "increase") is None
