"""What is asked of the services of a stage."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.repository.plan.rollout_tables import load_rollout
from pytest_py312.rollout.canary_analysis.error_budget import Budget
from pytest_py312.rollout.domain.model import Container, Moment, Result, ServiceSpec, StageRun
from pytest_py312.rollout.monitoring.breaches import Watched
from pytest_py312.rollout.monitoring.control_probes import TwinUsage
from pytest_py312.rollout.monitoring.probe_plan import watched_of
from pytest_py312.rollout.monitoring.probes import (
    ContainerHealth,
    ContainerProbe,
    HttpProbe,
    Probe,
    PrometheusProbe,
    PythonProbe,
    ReadyProbe,
    TcpProbe,
)
from pytest_py312.rollout.monitoring.traffic import TrafficProbe
from pytest_py312.rollout.targets.target import TargetRefused
from tests.support.fakes import FakeTarget, service
from tests.unit.rollout.runs import carried_on, planned, twin

PLAN = """
[deploy.environments]
test = { prometheus = "http://prometheus:9090" }

[soak]
interval = "1m"
duration = "1h"

[soak.compare]
max-ratio = 1.5

[[soak.metric]]
name = "errors"
provider = "prometheus"
query = 'rate(errors{service="{service}"}[{window}])'
success = "value < 0.01"
critical = true
missing = "fail"
min-requests = 9
consecutive-failure-limit = 7

[[soak.metric]]
name = "orders"
provider = "python"
query = "checks/business.py:orders"
services = ["gateway"]

[[soak.metric]]
name = "rss"
provider = "docker"
query = "memory"

[service.user]
soak = { failure-limit = "50%" }
"""


@dataclass
class ReachableTarget(FakeTarget):
    refused: str = ""
    asked: list[Container] = field(default_factory=list)

    def address(self, spec: ServiceSpec, container: Container) -> tuple[str, int]:
        if self.refused:
            raise TargetRefused(self.refused)
        self.asked.append(container)
        return "127.0.0.1", 8080


NOW = Moment(wall=1e9, boottime=1.0, boot="b")


def settings(tmp_path: Path, text: str = PLAN) -> RolloutSettings:
    (tmp_path / "py312.toml").write_text(text)
    return load_rollout(tmp_path / "py312.toml")


def soaking(**spec: Any) -> StageRun:
    run = carried_on(planned("user", "gateway"))
    for name in run.services:
        run = run.with_deployment(name, spec=ServiceSpec(service=name, container=name, **spec))
    return run


def watched(tmp_path: Path, run: StageRun, target: FakeTarget | None = None, text: str = PLAN) -> dict[str, Watched]:
    services = {name: service(name, critical=name == "user") for name in ("user", "gateway")}
    found = watched_of(run, services, settings(tmp_path, text), target or FakeTarget(), root=tmp_path)
    return {one.service: one for one in found}


def kinds(probes: tuple[Probe, ...]) -> list[type]:
    return [type(probe) for probe in probes]


def test_each_service_has_what_the_plan_names_for_it(tmp_path: Path) -> None:
    found = watched(tmp_path, soaking())
    assert kinds(found["user"].probes) == [ContainerHealth, PrometheusProbe, ContainerProbe]
    assert kinds(found["gateway"].probes) == [ContainerHealth, PrometheusProbe, PythonProbe, ContainerProbe]
    assert [one.critical for one in found.values()] == [True, False]


def test_limits_are_those_of_the_nearest_word(tmp_path: Path) -> None:
    found = watched(tmp_path, soaking())
    assert found["user"].settings.failure_limit == 0.5
    assert found["user"].rule("errors").limits.consecutive_failure_limit == 7
    assert found["user"].rule("errors").settings.critical
    assert found["user"].rule("availability").limits == found["user"].settings
    assert found["user"].rule("errors").compare.max_ratio == 1.5
    probe = next(one for one in found["user"].probes if isinstance(one, PrometheusProbe))
    assert (probe.missing, probe.min_requests) == ("fail", 9)


@pytest.mark.parametrize(
    ("spec", "target", "kind"),
    [
        ({"port": 80, "health": "/health"}, ReachableTarget(), HttpProbe),
        ({"port": 80}, ReachableTarget(), TcpProbe),
        ({}, ReachableTarget(), ContainerHealth),
        ({"port": 80, "health": "/health"}, FakeTarget(), ReadyProbe),
        ({"port": 80}, FakeTarget(), ContainerHealth),
    ],
)
def test_availability_is_asked_as_near_to_the_service_as_can_be(
    tmp_path: Path, spec: dict[str, Any], target: FakeTarget, kind: type
) -> None:
    assert kinds(watched(tmp_path, soaking(**spec), target)["user"].probes)[0] is kind


def test_the_engine_is_asked_about_the_container_that_was_deployed(tmp_path: Path) -> None:
    run = soaking()
    probe = watched(tmp_path, run)["user"].probes[-1]
    assert isinstance(probe, ContainerProbe)
    assert probe.container == run["user"].new
    assert probe.interpreter == run.target
    assert [metric.name for metric in probe.metrics] == ["rss"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PLAN.replace('prometheus = "http://prometheus:9090"', ""), "does not say where that is"),
        ('[[soak.metric]]\nname = "slow"\nprovider = "http"\nquery = "/x"\n', "no port or no path to ask"),
    ],
)
def test_a_metric_that_cannot_be_asked_for_is_refused_before_anything_is_watched(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(RolloutRefused, match=told):
        watched(tmp_path, soaking(), text=text)


def test_a_twin_is_asked_the_same_where_it_is(tmp_path: Path) -> None:
    text = PLAN + '[[soak.metric]]\nname = "orders page"\nprovider = "http"\nquery = "/orders"\nservices = ["user"]\n'
    text = text.replace("orders page", "orders-page")
    run = soaking(port=80, health="/health")
    run = run.with_deployment("user", twin=twin("user")).with_deployment("gateway", no_twin="no address")
    target = ReachableTarget()
    found = watched(tmp_path, run, target, text)
    assert kinds(found["user"].twin) == [TwinUsage, HttpProbe, HttpProbe]
    assert (kinds(found["gateway"].twin), found["gateway"].no_twin) == ([], "no address")
    asked = [probe for probe in found["user"].twin if isinstance(probe, HttpProbe)]
    assert [probe.path for probe in asked] == ["/health", "/orders"]
    assert asked[0].address() == ("127.0.0.1", 8080)
    assert target.asked == [twin("user")]


LOAD = '\n[service.gateway]\nsoak = {{ load = {{ rate = {rate}, path = "/work", seconds = "50s" }} }}\n'


def test_traffic_is_made_for_both_versions_within_half_an_interval(tmp_path: Path) -> None:
    run = soaking(port=80).with_deployment("gateway", twin=twin("gateway"))
    found = watched(tmp_path, run, ReachableTarget(), PLAN + LOAD.format(rate=2))
    new, old = found["gateway"].probes[-1], found["gateway"].twin[-1]
    assert isinstance(new, TrafficProbe)
    assert isinstance(old, TrafficProbe)
    assert (new.traffic is old.traffic, new.version, old.version) == (True, "new", "twin")
    assert (new.traffic.seconds, new.traffic.path) == (30.0, "/work")
    assert found["gateway"].budgets == {"load errors": Budget(share=0.001)}
    assert not any(isinstance(probe, TrafficProbe) for probe in found["user"].probes)


@pytest.mark.parametrize(
    ("rate", "target", "told"),
    [(1, ReachableTarget(), "is 30 requests a sample"), (2, FakeTarget(), "no port or no path to ask")],
)
def test_traffic_that_would_tell_nothing_is_refused(tmp_path: Path, rate: int, target: FakeTarget, told: str) -> None:
    with pytest.raises(RolloutRefused, match=told):
        watched(tmp_path, soaking(port=80), target, PLAN + LOAD.format(rate=rate))


def test_a_twin_that_does_not_run_says_nothing(tmp_path: Path) -> None:
    target = ReachableTarget(refused="its container does not run")
    run = soaking(port=80).with_deployment("user", twin=twin("user"))
    found = watched(tmp_path, run, target)["user"]
    (asked,) = [probe for probe in found.twin if isinstance(probe, TcpProbe)]
    assert [one.result for one in asyncio.run(asked.measure(None, NOW))] == [Result.INCONCLUSIVE]
    assert [one.result for one in asyncio.run(found.probes[0].measure(None, NOW))] == [Result.FAILED]


def test_a_service_that_is_gone_from_the_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RolloutRefused, match="no longer has"):
        watched(tmp_path, carried_on(planned("auth", "user")))
    with pytest.raises(RolloutRefused, match="nothing to watch"):
        watched(tmp_path, planned("user", "gateway"))
