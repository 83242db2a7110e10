"""Probes of a service."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Container, Observation, ServiceSpec, Usage
from pytest_py312.rollout.metrics.http_client import build_url
from pytest_py312.rollout.metrics.log_patterns import count_patterns
from pytest_py312.rollout.metrics.resource_usage import CPU, MEMORY
from pytest_py312.rollout.metrics.worker_processes import PROCESSES
from pytest_py312.rollout.monitoring.probes import (
    AVAILABILITY,
    DRIFT,
    ENGINE_ROLLBACK,
    INTERPRETER,
    ContainerHealthProbe,
    ContainerProbe,
    Probe,
    availability_reading,
    log_readings,
)
from pytest_py312.rollout.targets.target import Target, TargetRefused, TargetUnavailable

NEW = Container(id="new-container", image="new-image")
SPEC = ServiceSpec(service="user", container="user")
TARGET = Interpreter(3, 12)
KEY_ERROR = ["Traceback (most recent call last):", '  File "/app/x.py", line 1, in f', "KeyError: 1"]


def at(seconds: float) -> Timestamp:
    return Timestamp(wall=1e9 + seconds, boottime=seconds, boot="b")


@dataclass
class FakeEngine:
    """Returns a given observation, or raises a given error."""

    seen: Observation | Exception | None = field(
        default_factory=lambda: Observation(container=NEW, running=True, interpreters=(TARGET,))
    )
    usage: Usage = field(default_factory=lambda: Usage(cpu_seconds=5.0, memory=100, restarts=0, out_of_memory=False))
    since: list[float] = field(default_factory=list)

    def observe(self, spec: ServiceSpec) -> Observation | None:
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen

    def read_usage(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        self.since.append(since)
        return self.usage

    @property
    def target(self) -> Target:
        return cast(Target, self)


def measurements(probe: Probe, *, before: Sample | None = None, now: float = 10.0) -> dict[str, Measurement]:
    return {one.metric: one for one in asyncio.run(probe.measure(before, at(now)))}


def probe_of(engine: FakeEngine, **changes: Any) -> ContainerProbe:
    return ContainerProbe(target=engine.target, spec=SPEC, container=NEW, interpreter=TARGET, **changes)


def test_a_healthy_container_has_good_measurements() -> None:
    found = measurements(probe_of(FakeEngine()))
    assert {one.result for one in found.values()} == {Result.SUCCESSFUL}
    assert INTERPRETER in found


def test_the_next_sample_uses_counters_and_log_since_the_last_one() -> None:
    engine = FakeEngine()
    first = Sample(service="user", slot=1, at=at(10), measurements=tuple(measurements(probe_of(engine)).values()))
    engine.usage = Usage(cpu_seconds=7.5, memory=100, restarts=0, out_of_memory=False)
    assert measurements(probe_of(engine), before=first, now=20)[CPU].value == 0.25
    assert engine.since == [at(10).wall, at(10).wall]


def test_a_worker_that_has_ended_behind_a_healthy_check_is_inconclusive() -> None:
    engine = FakeEngine()
    engine.usage = replace(engine.usage, process_ages=(5000.0, 4000.0))
    first = Sample(service="user", slot=1, at=at(10), measurements=tuple(measurements(probe_of(engine)).values()))
    engine.usage = replace(engine.usage, process_ages=(5010.0,))
    assert measurements(probe_of(engine), before=first, now=20)[PROCESSES].result is Result.INCONCLUSIVE
    ignored = measurements(probe_of(engine, judges_processes=False), before=first, now=20)
    assert {one.result for one in ignored.values()} == {Result.SUCCESSFUL}


def test_unmeasured_metrics_follow_the_plan() -> None:
    blind = Usage(cpu_seconds=None, memory=None, restarts=0, out_of_memory=False, unmeasured="no metrics-server")
    found = measurements(probe_of(FakeEngine(usage=blind)))
    assert (found[MEMORY].result, found[MEMORY].detail) == (Result.INCONCLUSIVE, "no metrics-server")
    found = measurements(probe_of(FakeEngine(usage=blind), missing="pass"))
    assert found[MEMORY].result is Result.SUCCESSFUL


@pytest.mark.parametrize(
    ("seen", "metric"),
    [
        (None, "container"),
        (Observation(container=Container(id="somebody-elses", image="x"), running=True), DRIFT),
        (
            Observation(container=Container(id="the-old-one", image="x"), running=True, undone="went back"),
            ENGINE_ROLLBACK,
        ),
        (Observation(container=NEW, running=True, interpreters=(Interpreter(3, 9),)), INTERPRETER),
    ],
)
def test_drift_and_another_python_fail(seen: Observation | None, metric: str) -> None:
    assert measurements(probe_of(FakeEngine(seen=seen)))[metric].result is Result.FAILED


def test_another_python_next_to_the_target_is_no_outage() -> None:
    """It may belong to a short job, but it is no proof either."""
    seen = Observation(container=NEW, running=True, interpreters=(Interpreter(3, 9), TARGET))
    results = measurements(probe_of(FakeEngine(seen=seen)))[INTERPRETER]
    assert results.result is Result.INCONCLUSIVE
    assert results.detail.startswith("Python 3.9 runs next to 3.12")


def test_an_unavailable_engine_is_only_an_error() -> None:
    for probe in (probe_of(FakeEngine(seen=TargetUnavailable("gone"))), ContainerHealthProbe(
        target=FakeEngine(seen=TargetRefused("no")).target, spec=SPEC)):  # fmt: skip
        assert {one.result for one in measurements(probe).values()} == {Result.ERROR}


@pytest.mark.parametrize(
    ("seen", "result"),
    [
        (None, Result.FAILED),
        (Observation(container=NEW, running=False, exit_code=1), Result.FAILED),
        (Observation(container=NEW, running=True, health="unhealthy"), Result.FAILED),
        (Observation(container=NEW, running=True, health="starting"), Result.INCONCLUSIVE),
        (Observation(container=NEW, running=True, health="healthy"), None),
        (Observation(container=NEW, running=True), None),
    ],
)
def test_availability_by_the_engines_health_check(seen: Observation | None, result: Result | None) -> None:
    assert availability_reading(seen).result is result
    if not isinstance(seen, Exception):
        made = measurements(ContainerHealthProbe(target=FakeEngine(seen=seen).target, spec=SPEC))[AVAILABILITY]
        assert made.result is (result or Result.SUCCESSFUL)


def test_a_metric_of_the_plan_replaces_the_usage_metric_it_queries() -> None:
    metrics = (
        MetricSettings(name="rss", provider="docker", query="memory", failure="value > 50"),
        MetricSettings(name="again", provider="docker", query="restarts", failure="value > 3"),
        MetricSettings(name="typo", provider="docker", query="memmory"),
        MetricSettings(name="cores", provider="docker", query="cpu", failure="value > 3"),
    )
    results = measurements(probe_of(FakeEngine(), metrics=metrics))
    assert results["rss"].result is Result.FAILED
    assert results["again"].result is Result.SUCCESSFUL
    assert results["typo"].result is Result.ERROR
    assert not {"memory", "restarts", "cores"} & results.keys()


def test_exceptions_are_new_where_the_old_version_does_not_log_them() -> None:
    patterns = count_patterns(KEY_ERROR)
    assert log_readings(patterns, frozenset())["exceptions"].result is Result.FAILED
    for known in (frozenset({"KeyError in app/x.py:f"}), None):
        found = log_readings(patterns, known)["exceptions"]
        assert (found.result, found.value) == (None, 1.0)


def test_urls_of_ipv4_and_ipv6_addresses() -> None:
    assert build_url("127.0.0.1", 80, "/health") == "http://127.0.0.1:80/health"
    assert build_url("::1", 80, "/") == "http://[::1]:80/"
