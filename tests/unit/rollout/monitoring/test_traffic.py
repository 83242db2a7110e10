"""Traffic that the watcher makes, and what its figures say."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_py312.repository.plan.rollout_settings import TrafficSettings
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Verdict
from pytest_py312.rollout.metrics.load_generator import LoadLimits, LoadReport, Step, StepReport
from pytest_py312.rollout.monitoring import traffic
from pytest_py312.rollout.monitoring.probes import Address
from pytest_py312.rollout.monitoring.traffic import (
    BESIDE,
    LOAD_ERRORS,
    LOAD_LATENCY,
    LOAD_RATE,
    NEW,
    Traffic,
    TrafficProbe,
    measurements_of,
)
from pytest_py312.rollout.targets.target import TargetError, TargetLost, TargetUnreachable

STEP = StepReport(
    rate=20.0, achieved=20.0, sent=200, not_sent=0, errors=1, p50=0.01, p95=0.02, p99=0.03, longest=0.04,
    lateness=0.001, verdict=Verdict.PASSED,
)  # fmt: skip
SETTINGS = TrafficSettings(rate=20.0)


def said(step: StepReport, settings: TrafficSettings = SETTINGS) -> dict[str, Measurement]:
    return {one.metric: one for one in measurements_of(step, settings, min_requests=50)}


def test_what_was_asked_for_came_and_was_good() -> None:
    found = said(STEP)
    assert {one.result for one in found.values()} == {Result.SUCCESSFUL}
    assert {metric: one.value for metric, one in found.items()} == {
        LOAD_LATENCY: 0.02,
        LOAD_ERRORS: 0.005,
        "load errors requests": 200.0,
        LOAD_RATE: 20.0,
    }


@pytest.mark.parametrize(
    ("step", "settings", "metric", "result", "told"),
    [
        (replace(STEP, errors=3), SETTINGS, LOAD_ERRORS, Result.FAILED, "3 of 200 requests failed"),
        (replace(STEP, sent=40), SETTINGS, LOAD_ERRORS, Result.INCONCLUSIVE, "40 requests, where 50 are needed"),
        (replace(STEP, achieved=18.0), SETTINGS, LOAD_RATE, Result.INCONCLUSIVE, "asked rate not reached: 18.0 of 20"),
        (replace(STEP, lateness=0.2), SETTINGS, LOAD_LATENCY, Result.INCONCLUSIVE, "generator saturated"),
        (STEP, replace(SETTINGS, p95=0.01), LOAD_LATENCY, Result.FAILED, "p95 is 20 ms; 10 ms are allowed"),
    ],
)
def test_only_errors_and_slowness_are_the_services(
    step: StepReport, settings: TrafficSettings, metric: str, result: Result, told: str
) -> None:
    """A rate that was not reached and a generator that was late tell nothing, which keeps a soak from its credit."""
    found = said(step, settings)
    assert found.pop(metric).result is result
    assert told in said(step, settings)[metric].detail
    assert {one.result for one in found.values()} == {Result.SUCCESSFUL}


def test_nothing_sent_is_no_good_traffic() -> None:
    assert said(replace(STEP, sent=0, errors=0, achieved=0.0))[LOAD_ERRORS].result is Result.INCONCLUSIVE


# ---- asked once for both


class Generator:
    """Stands in for the process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, report: LoadReport | None = None) -> None:
        self.asked: list[list[str]] = []
        self._report = report or LoadReport(verdict=Verdict.PASSED, steps=(STEP,))
        monkeypatch.setattr(traffic, "load_all", self.load_all)

    def load_all(
        self,
        urls: Sequence[str],
        steps: Sequence[Step],
        limits: LoadLimits,
        *,
        time_limit: float,
        cancelled: threading.Event,
    ) -> list[LoadReport]:
        assert steps == [Step(rate=20.0, seconds=3.0)]
        self.asked.append(list(urls))
        return [self._report] * len(urls)


def at(port: int) -> Address:
    return lambda: ("127.0.0.1", port)


def fails(error: TargetError) -> Address:
    def address() -> tuple[str, int]:
        raise error

    return address


def measured(new: Address, old: Address, *, samples: int = 1) -> list[dict[str, Measurement]]:
    """What both versions' probes say, at the last of some samples."""
    made = Traffic(addresses={NEW: new, BESIDE: old}, path="/work", settings=SETTINGS, seconds=3.0)
    probes = [TrafficProbe(traffic=made, version=version, min_requests=50) for version in (NEW, BESIDE)]

    async def all_of_it() -> list[dict[str, Measurement]]:
        for number in range(samples):
            now = Moment(wall=1e9 + number, boottime=float(number), boot="b")
            found = await asyncio.gather(*(probe.measure(None, now) for probe in probes))
        return [{one.metric: one for one in each} for each in found]

    return asyncio.run(all_of_it())


def test_both_versions_are_asked_at_once_and_once_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(monkeypatch)
    new, old = measured(at(1), at(2), samples=2)
    assert new.keys() == old.keys() == said(STEP).keys()
    assert generator.asked == [["http://127.0.0.1:1/work", "http://127.0.0.1:2/work"]] * 2


@pytest.mark.parametrize(
    ("error", "result"), [(TargetLost("away"), Result.ERROR), (TargetUnreachable("far away"), Result.INCONCLUSIVE)]
)
def test_where_the_new_one_cannot_be_asked_nobody_is(
    monkeypatch: pytest.MonkeyPatch, error: TargetError, result: Result
) -> None:
    generator = Generator(monkeypatch)
    new, old = measured(fails(error), at(2))
    assert [(one.metric, one.result) for one in new.values()] == [(LOAD_RATE, result)]
    assert (old, generator.asked) == ({}, [])


def test_a_twin_that_cannot_be_asked_keeps_nobody_from_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(monkeypatch)
    new, old = measured(at(1), fails(TargetUnreachable("it does not run")))
    assert new.keys() == said(STEP).keys()
    assert [one.result for one in old.values()] == [Result.INCONCLUSIVE]
    assert generator.asked == [["http://127.0.0.1:1/work"]]


def test_a_generator_that_breaks_is_our_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    Generator(monkeypatch, LoadReport(verdict=Verdict.INCONCLUSIVE, reason="the generator exited (1)"))
    new, _ = measured(at(1), at(2))
    assert [(one.result, one.detail) for one in new.values()] == [(Result.ERROR, "the generator exited (1)")]
