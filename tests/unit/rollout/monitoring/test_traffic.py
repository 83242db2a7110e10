"""Generated traffic and its measurements."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_py312.repository.plan.rollout_settings import TrafficSettings
from pytest_py312.rollout.domain.model import Measurement, Result, Timestamp, Verdict
from pytest_py312.rollout.metrics.load_generator import LoadLimits, LoadReport, LoadStep, StepReport
from pytest_py312.rollout.monitoring import traffic
from pytest_py312.rollout.monitoring.probes import AddressLookup
from pytest_py312.rollout.monitoring.traffic import (
    CONTROL_VERSION,
    LOAD_ERRORS,
    LOAD_LATENCY,
    LOAD_RATE,
    NEW_VERSION,
    TrafficGenerator,
    TrafficProbe,
    traffic_measurements,
)
from pytest_py312.rollout.targets.target import ServiceUnreachable, TargetError, TargetUnavailable

STEP = StepReport(
    rate=20.0, achieved=20.0, sent=200, not_sent=0, errors=1, p50=0.01, p95=0.02, p99=0.03, longest=0.04,
    lateness=0.001, verdict=Verdict.PASSED,
)  # fmt: skip
SETTINGS = TrafficSettings(rate=20.0)


def results_by_metric(step: StepReport, settings: TrafficSettings = SETTINGS) -> dict[str, Measurement]:
    return {one.metric: one for one in traffic_measurements(step, settings, min_requests=50)}


def test_good_traffic_is_successful() -> None:
    found = results_by_metric(STEP)
    assert {one.result for one in found.values()} == {Result.SUCCESSFUL}
    assert {metric: one.value for metric, one in found.items()} == {
        LOAD_LATENCY: 0.02,
        LOAD_ERRORS: 0.005,
        "load errors requests": 200.0,
        LOAD_RATE: 20.0,
    }


@pytest.mark.parametrize(
    ("step", "settings", "metric", "result", "detail"),
    [
        (replace(STEP, errors=3), SETTINGS, LOAD_ERRORS, Result.FAILED, "3 of 200 requests failed"),
        (replace(STEP, sent=40), SETTINGS, LOAD_ERRORS, Result.INCONCLUSIVE, "40 requests; 50 are needed"),
        (
            replace(STEP, achieved=18.0),
            SETTINGS,
            LOAD_RATE,
            Result.INCONCLUSIVE,
            "requested rate not reached: 18.0 of 20",
        ),
        (replace(STEP, lateness=0.2), SETTINGS, LOAD_LATENCY, Result.INCONCLUSIVE, "generator saturated"),
        (STEP, replace(SETTINGS, p95=0.01), LOAD_LATENCY, Result.FAILED, "p95 is 20 ms; 10 ms are allowed"),
    ],
)
def test_only_errors_and_latency_fail(
    step: StepReport, settings: TrafficSettings, metric: str, result: Result, detail: str
) -> None:
    """A rate that was not reached and a late generator are inconclusive, so that the soak earns no credit."""
    found = results_by_metric(step, settings)
    assert found.pop(metric).result is result
    assert detail in results_by_metric(step, settings)[metric].detail
    assert {one.result for one in found.values()} == {Result.SUCCESSFUL}


def test_traffic_without_requests_is_inconclusive() -> None:
    assert results_by_metric(replace(STEP, sent=0, errors=0, achieved=0.0))[LOAD_ERRORS].result is Result.INCONCLUSIVE


# ---- one run for both versions


class Generator:
    """Replaces the load generator's process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, report: LoadReport | None = None) -> None:
        self.asked: list[list[str]] = []
        self._report = report or LoadReport(verdict=Verdict.PASSED, steps=(STEP,))
        monkeypatch.setattr(traffic, "run_loads", self.load_all)

    def load_all(
        self,
        urls: Sequence[str],
        steps: Sequence[LoadStep],
        limits: LoadLimits,
        *,
        time_limit: float,
        cancelled: threading.Event,
    ) -> list[LoadReport]:
        assert steps == [LoadStep(rate=20.0, seconds=3.0)]
        self.asked.append(list(urls))
        return [self._report] * len(urls)


def at(port: int) -> AddressLookup:
    return lambda: ("127.0.0.1", port)


def fails(error: TargetError) -> AddressLookup:
    def address() -> tuple[str, int]:
        raise error

    return address


def measured(new: AddressLookup, old: AddressLookup, *, samples: int = 1) -> list[dict[str, Measurement]]:
    """Measurements of both versions in the last of some samples."""
    made = TrafficGenerator(
        addresses={NEW_VERSION: new, CONTROL_VERSION: old}, path="/work", settings=SETTINGS, seconds=3.0
    )
    probes = [
        TrafficProbe(generator=made, version=version, min_requests=50) for version in (NEW_VERSION, CONTROL_VERSION)
    ]

    async def all_of_it() -> list[dict[str, Measurement]]:
        for number in range(samples):
            now = Timestamp(wall=1e9 + number, boottime=float(number), boot="b")
            found = await asyncio.gather(*(probe.measure(None, now) for probe in probes))
        return [{one.metric: one for one in each} for each in found]

    return asyncio.run(all_of_it())


def test_both_versions_get_traffic_at_once_and_once_per_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(monkeypatch)
    new, old = measured(at(1), at(2), samples=2)
    assert new.keys() == old.keys() == results_by_metric(STEP).keys()
    assert generator.asked == [["http://127.0.0.1:1/work", "http://127.0.0.1:2/work"]] * 2


@pytest.mark.parametrize(
    ("error", "result"),
    [(TargetUnavailable("away"), Result.ERROR), (ServiceUnreachable("far away"), Result.INCONCLUSIVE)],
)
def test_without_the_new_version_there_is_no_traffic(
    monkeypatch: pytest.MonkeyPatch, error: TargetError, result: Result
) -> None:
    generator = Generator(monkeypatch)
    new, old = measured(fails(error), at(2))
    assert [(one.metric, one.result) for one in new.values()] == [(LOAD_RATE, result)]
    assert (old, generator.asked) == ({}, [])


def test_an_unreachable_control_does_not_block_the_new_version(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(monkeypatch)
    new, old = measured(at(1), fails(ServiceUnreachable("it does not run")))
    assert new.keys() == results_by_metric(STEP).keys()
    assert [one.result for one in old.values()] == [Result.INCONCLUSIVE]
    assert generator.asked == [["http://127.0.0.1:1/work"]]


def test_a_broken_generator_is_an_error_of_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    Generator(monkeypatch, LoadReport(verdict=Verdict.INCONCLUSIVE, reason="the generator exited (1)"))
    new, _ = measured(at(1), at(2))
    assert [(one.result, one.detail) for one in new.values()] == [(Result.ERROR, "the generator exited (1)")]
