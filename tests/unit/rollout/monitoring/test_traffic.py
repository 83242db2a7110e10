"""Generated traffic and its measurements."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_py312.repository.plan.rollout_settings import TrafficRequest, TrafficSettings
from pytest_py312.rollout.domain.measurements import Measurement, Result, Timestamp
from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.load_generator import LoadStep
from pytest_py312.rollout.metrics.load_report import EndpointReport, LoadLimits, LoadReport, StepReport
from pytest_py312.rollout.monitoring import traffic
from pytest_py312.rollout.monitoring.probes import AddressLookup
from pytest_py312.rollout.monitoring.traffic import (
    CONTROL_VERSION,
    LOAD_ERRORS,
    LOAD_EXTREME_LATENCY,
    LOAD_LATENCY,
    LOAD_RATE,
    LOAD_TAIL_LATENCY,
    NEW_VERSION,
    TrafficGenerator,
    TrafficProbe,
    traffic_latencies,
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
        LOAD_TAIL_LATENCY: 0.03,
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
        (STEP, replace(SETTINGS, p95=0.01), LOAD_LATENCY, Result.FAILED, "p95 is 20 ms; 10 ms are allowed"),
        (STEP, replace(SETTINGS, p99=0.025), LOAD_TAIL_LATENCY, Result.FAILED, "p99 is 30 ms; 25 ms are allowed"),
        (
            replace(STEP, p999=0.9),
            replace(SETTINGS, p999=0.5),
            LOAD_EXTREME_LATENCY,
            Result.FAILED,
            "p99.9 is 900 ms; 500 ms are allowed",
        ),
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


def test_a_late_generator_leaves_latencies_inconclusive() -> None:
    results = results_by_metric(replace(STEP, lateness=0.2))
    assert {metric for metric, one in results.items() if one.result is Result.INCONCLUSIVE} == {
        LOAD_LATENCY,
        LOAD_TAIL_LATENCY,
    }
    assert all("generator saturated" in results[metric].detail for metric in (LOAD_LATENCY, LOAD_TAIL_LATENCY))


# ---- several kinds of requests

READ, WRITE = TrafficRequest(path="/orders", weight=9), TrafficRequest(path="/orders", method="POST", body="{}")
TWO_KINDS = replace(SETTINGS, requests=(READ, WRITE))


def endpoint(name: str, *, sent: int, errors: int = 0, p95: float = 0.02, p99: float = 0.03) -> EndpointReport:
    return EndpointReport(name=name, sent=sent, errors=errors, p50=0.01, p95=p95, p99=p99, p999=p99, longest=p99)


def results_of_kinds(settings: TrafficSettings, write: EndpointReport, *, errors: int = 0) -> dict[str, Measurement]:
    step = replace(STEP, errors=errors, endpoints=(endpoint("GET /orders", sent=180), write))
    return results_by_metric(step, settings)


@pytest.mark.parametrize(
    ("limits", "metric"),
    [({"p95": 0.01}, LOAD_LATENCY), ({"p99": 0.02}, LOAD_TAIL_LATENCY), ({"errors": 0.0}, LOAD_ERRORS)],
)
def test_the_limits_of_the_only_kind_of_request_are_those_of_all(limits: dict[str, float], metric: str) -> None:
    settings = replace(SETTINGS, p95=1.0, p99=1.0, requests=(TrafficRequest(path="/orders", **limits),))  # type: ignore[arg-type]
    results = results_by_metric(STEP, settings)
    assert [name for name, one in results.items() if one.result is Result.FAILED] == [metric]


def test_each_kind_of_request_has_its_own_results() -> None:
    results = results_of_kinds(TWO_KINDS, endpoint("POST /orders", sent=20, p95=0.3))
    assert results["load latency of GET /orders"].value == 0.02
    assert results["load latency of POST /orders"].value == 0.3
    assert {one.result for one in results.values()} == {Result.SUCCESSFUL}


def test_one_broken_endpoint_of_several_fails_although_most_requests_succeed() -> None:
    """Two of 200 requests are within the limit of all requests, and two of two are not within that of their kind."""
    results = results_of_kinds(TWO_KINDS, endpoint("POST /orders", sent=2, errors=2), errors=2)
    assert results[LOAD_ERRORS].result is Result.SUCCESSFUL
    assert results["load errors of GET /orders"].result is Result.SUCCESSFUL
    broken = results["load errors of POST /orders"]
    assert (broken.result, broken.detail) == (Result.FAILED, "2 of 2 requests failed")


def test_a_single_error_of_a_rare_request_is_no_failure() -> None:
    results = results_of_kinds(TWO_KINDS, endpoint("POST /orders", sent=20, errors=1), errors=1)
    assert results["load errors of POST /orders"].result is Result.SUCCESSFUL


def test_a_kind_of_request_can_have_its_own_limits() -> None:
    slow = endpoint("POST /orders", sent=20, errors=4, p95=0.3, p99=0.9)
    lenient = replace(TWO_KINDS, requests=(READ, replace(WRITE, p95=0.5, p99=1.0, errors=0.25)))
    strict = replace(TWO_KINDS, requests=(READ, replace(WRITE, p95=0.5, p99=0.5, errors=0.25)))
    assert results_of_kinds(lenient, slow)["load latency of POST /orders"].result is Result.SUCCESSFUL
    assert results_of_kinds(lenient, slow)["load errors of POST /orders"].result is Result.SUCCESSFUL
    failed = results_of_kinds(strict, slow)["load latency of POST /orders"]
    assert (failed.result, failed.detail) == (Result.FAILED, "p99 is 900 ms; 500 ms are allowed")


def test_a_kind_that_was_not_sent_in_this_sample_has_no_results() -> None:
    results = results_of_kinds(TWO_KINDS, endpoint("POST /orders", sent=0))
    assert not any("POST" in metric for metric in results)


def test_latencies_of_all_kinds_are_compared_with_the_control() -> None:
    assert traffic_latencies(TrafficSettings()) == ()
    assert traffic_latencies(SETTINGS) == (LOAD_LATENCY, LOAD_TAIL_LATENCY)
    assert traffic_latencies(replace(SETTINGS, seconds=3.0)) == (LOAD_LATENCY,), "p99 of 60 requests is their longest"
    assert traffic_latencies(TWO_KINDS)[2:] == ("load latency of GET /orders", "load latency of POST /orders")


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
        requests: Sequence[TrafficRequest],
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
