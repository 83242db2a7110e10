"""Time series of samples."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import CompareSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.judge import credited_seconds, judge_metric
from pytest_py312.rollout.canary_analysis.time_series import (
    CONTROL_PREFIX,
    MetricSeries,
    ServiceMetrics,
    SoakProgress,
)
from pytest_py312.rollout.domain.model import Measurement, Result, Sample, Timestamp, Usage
from pytest_py312.rollout.metrics.resource_usage import counter_measurements

RESULTS = st.sampled_from(Result)
TAKEN = st.dictionaries(
    st.tuples(st.sampled_from(["auth", "user"]), st.integers(1, 20)),
    st.tuples(RESULTS, st.floats(0, 1e5), st.sampled_from("ab")),
    max_size=40,
)


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
    running = SoakProgress(["auth", "user"], 300.0, ignored)
    for sample in samples:
        running.add(sample)
    by_service = {name: [one for one in samples if one.service == name] for name in ("auth", "user")}
    assert abs(running.seconds - credited_seconds(by_service, ["auth", "user"], 300.0, ignored=ignored)) < 1e-6


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
