"""Probes of the services of a stage."""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.repository.plan.rollout_tables import PROVIDERS, load_rollout_settings
from pytest_py312.rollout.canary_analysis.error_budget import ErrorBudget
from pytest_py312.rollout.domain.measurements import Result, Timestamp
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.monitoring.control_probes import ControlUsageProbe
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.probe_plan import CONTAINER_METRIC_PROVIDERS, PROBE_BUILDERS, monitored_services
from pytest_py312.rollout.monitoring.probes import (
    ContainerHealthProbe,
    ContainerProbe,
    HttpProbe,
    Probe,
    PrometheusProbe,
    ReadinessProbe,
    TcpProbe,
    UserFunctionProbe,
)
from pytest_py312.rollout.monitoring.traffic import CONTROL_VERSION, NEW_VERSION, TrafficProbe
from pytest_py312.rollout.targets.target import TargetRefused
from tests.support.fakes import FakeTarget, service
from tests.unit.rollout.runs import carried_on, control, planned

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


NOW = Timestamp(wall=1e9, boottime=1.0, boot="b")


def settings(tmp_path: Path, text: str = PLAN) -> RolloutSettings:
    (tmp_path / "py312.toml").write_text(text)
    return load_rollout_settings(tmp_path / "py312.toml")


def soaking(**spec: Any) -> StageRun:
    run = carried_on(planned("user", "gateway"))
    for name in run.services:
        run = run.with_deployment(name, spec=ServiceSpec(service=name, container=name, **spec))
    return run


def watched(
    tmp_path: Path, run: StageRun, target: FakeTarget | None = None, text: str = PLAN
) -> dict[str, MonitoredService]:
    services = {name: service(name, critical=name == "user") for name in ("user", "gateway")}
    found = monitored_services(run, services, settings(tmp_path, text), target or FakeTarget(), root=tmp_path)
    return {one.service: one for one in found}


def kinds(probes: tuple[Probe, ...]) -> list[type]:
    return [type(probe) for probe in probes]


def test_each_service_has_the_probes_of_the_plan(tmp_path: Path) -> None:
    found = watched(tmp_path, soaking())
    assert kinds(found["user"].probes) == [ContainerHealthProbe, PrometheusProbe, ContainerProbe]
    assert kinds(found["gateway"].probes) == [ContainerHealthProbe, PrometheusProbe, UserFunctionProbe, ContainerProbe]
    assert [one.critical for one in found.values()] == [True, False]


def test_there_is_a_probe_for_each_provider_that_the_plan_accepts() -> None:
    assert sorted((*PROBE_BUILDERS, *CONTAINER_METRIC_PROVIDERS)) == sorted(PROVIDERS)


def test_a_provider_without_a_probe_is_refused(tmp_path: Path) -> None:
    plan, services = settings(tmp_path), {name: service(name) for name in ("user", "gateway")}
    plan = replace(plan, metrics=(replace(plan.metrics[0], provider="statsd"),))

    with pytest.raises(RolloutRefused, match="the metric errors has the provider 'statsd', which has no probe"):
        monitored_services(soaking(), services, plan, FakeTarget(), root=tmp_path)


def test_the_most_specific_limits_apply(tmp_path: Path) -> None:
    services = watched(tmp_path, soaking())
    assert services["user"].settings.failure_limit == 0.5
    assert services["user"].rule_for("errors").limits.consecutive_failure_limit == 7
    assert services["user"].rule_for("errors").settings.critical
    assert services["user"].rule_for("availability").limits == services["user"].settings
    assert services["user"].rule_for("errors").compare.max_ratio == 1.5
    probe = next(one for one in services["user"].probes if isinstance(one, PrometheusProbe))
    assert (probe.missing, probe.min_requests) == ("fail", 9)


@pytest.mark.parametrize(
    ("spec", "target", "kind"),
    [
        ({"port": 80, "health": "/health"}, ReachableTarget(), HttpProbe),
        ({"port": 80}, ReachableTarget(), TcpProbe),
        ({}, ReachableTarget(), ContainerHealthProbe),
        ({"port": 80, "health": "/health"}, FakeTarget(), ReadinessProbe),
        ({"port": 80}, FakeTarget(), ContainerHealthProbe),
    ],
)
def test_the_best_availability_probe_is_chosen(
    tmp_path: Path, spec: dict[str, Any], target: FakeTarget, kind: type
) -> None:
    assert kinds(watched(tmp_path, soaking(**spec), target)["user"].probes)[0] is kind


def test_the_container_probe_checks_the_deployed_container(tmp_path: Path) -> None:
    run = soaking()
    probe = watched(tmp_path, run)["user"].probes[-1]
    assert isinstance(probe, ContainerProbe)
    assert probe.container == run["user"].new
    assert probe.interpreter == run.target
    assert [metric.name for metric in probe.metrics] == ["rss"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAN.replace('prometheus = "http://prometheus:9090"', ""), "the plan has no address of one"),
        ('[[soak.metric]]\nname = "slow"\nprovider = "http"\nquery = "/x"\n', "no port or no path"),
    ],
)
def test_an_impossible_metric_is_refused_before_monitoring(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RolloutRefused, match=message):
        watched(tmp_path, soaking(), text=text)


def test_a_control_gets_the_same_probes_at_its_address(tmp_path: Path) -> None:
    text = PLAN + '[[soak.metric]]\nname = "orders page"\nprovider = "http"\nquery = "/orders"\nservices = ["user"]\n'
    text = text.replace("orders page", "orders-page")
    run = soaking(port=80, health="/health")
    run = run.with_deployment("user", control=control("user")).with_deployment(
        "gateway", no_control_reason="no address"
    )
    target = ReachableTarget()
    found = watched(tmp_path, run, target, text)
    assert kinds(found["user"].control_probes) == [ControlUsageProbe, HttpProbe, HttpProbe]
    assert (kinds(found["gateway"].control_probes), found["gateway"].no_control_reason) == ([], "no address")
    asked = [probe for probe in found["user"].control_probes if isinstance(probe, HttpProbe)]
    assert [probe.path for probe in asked] == ["/health", "/orders"]
    assert asked[0].address() == ("127.0.0.1", 8080)
    assert target.asked == [control("user")]


LOAD = '\n[service.gateway]\nsoak = {{ load = {{ rate = {rate}, path = "/work", seconds = "50s" }} }}\n'


def test_traffic_for_both_versions_ends_within_half_an_interval(tmp_path: Path) -> None:
    run = soaking(port=80).with_deployment("gateway", control=control("gateway"))
    services = watched(tmp_path, run, ReachableTarget(), PLAN + LOAD.format(rate=2))
    new, old = services["gateway"].probes[-1], services["gateway"].control_probes[-1]
    assert isinstance(new, TrafficProbe)
    assert isinstance(old, TrafficProbe)
    assert (new.generator is old.generator, new.version, old.version) == (True, NEW_VERSION, CONTROL_VERSION)
    assert (new.generator.seconds, new.generator.path) == (30.0, "/work")
    assert services["gateway"].budgets == {"load errors": ErrorBudget(share=0.001)}
    assert not any(isinstance(probe, TrafficProbe) for probe in services["user"].probes)


@pytest.mark.parametrize(
    ("rate", "target", "message"),
    [(1, ReachableTarget(), "is 30 requests per sample"), (2, FakeTarget(), "no port or no path")],
)
def test_too_little_traffic_is_refused(tmp_path: Path, rate: int, target: FakeTarget, message: str) -> None:
    with pytest.raises(RolloutRefused, match=message):
        watched(tmp_path, soaking(port=80), target, PLAN + LOAD.format(rate=rate))


KINDS = """
[service.gateway.soak.load]
rate = 4
seconds = "50s"
requests = [{{ path = "/orders", weight = {weight} }}, {{ path = "/report" }}]
"""


@pytest.mark.parametrize(("weight", "is_refused"), [(119, False), (120, True)])
def test_a_kind_of_request_that_no_sample_would_send_is_refused(tmp_path: Path, weight: int, is_refused: bool) -> None:
    """Each sample begins with the first turn, so its errors would never be seen."""
    refusal = pytest.raises(RolloutRefused, match="is 120 requests per sample, but 121 are needed to send each kind")
    with refusal if is_refused else nullcontext():
        watched(tmp_path, soaking(port=80), ReachableTarget(), PLAN + KINDS.format(weight=weight))


def test_a_control_that_does_not_run_is_inconclusive(tmp_path: Path) -> None:
    target = ReachableTarget(refused="its container does not run")
    run = soaking(port=80).with_deployment("user", control=control("user"))
    found = watched(tmp_path, run, target)["user"]
    (asked,) = [probe for probe in found.control_probes if isinstance(probe, TcpProbe)]
    assert [one.result for one in asyncio.run(asked.measure(None, NOW))] == [Result.INCONCLUSIVE]
    assert [one.result for one in asyncio.run(found.probes[0].measure(None, NOW))] == [Result.FAILED]


def test_a_service_missing_from_the_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RolloutRefused, match="no longer has"):
        watched(tmp_path, carried_on(planned("auth", "user")))
    with pytest.raises(RolloutRefused, match="nothing to monitor"):
        watched(tmp_path, planned("user", "gateway"))
