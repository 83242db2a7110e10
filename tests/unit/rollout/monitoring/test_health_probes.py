"""Availability of services without HTTP."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.errors import PlanError, RolloutRefused
from pytest_py312.repository.plan.rollout_tables import load_rollout_settings
from pytest_py312.rollout.domain.measurements import Result, Timestamp
from pytest_py312.rollout.domain.target_model import Container
from pytest_py312.rollout.metrics.reading import MetricReading
from pytest_py312.rollout.monitoring.health_probes import ExecProbe, GrpcProbe
from pytest_py312.rollout.monitoring.probes import LATENCY
from pytest_py312.rollout.targets.target import ServiceUnreachable, TargetRefused, TargetUnavailable
from tests.unit.rollout.shells import PLAN, shell_in

NOW = Timestamp(wall=1.0, boottime=1.0, boot="b")


def raising(error: Exception) -> Callable[..., Any]:
    def work(*arguments: object, **named: object) -> Any:
        raise error

    return work


def availability_of(probe: GrpcProbe | ExecProbe) -> list[tuple[str, Result, str]]:
    return [(one.metric, one.result, one.detail) for one in asyncio.run(probe.measure(None, NOW))]


def test_a_server_that_serves_is_available_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def answer(host: str, port: int, service: str, *, timeout: float) -> MetricReading:
        asked.extend((host, port, service))
        return MetricReading(value=0.25)

    monkeypatch.setattr("pytest_py312.rollout.monitoring.health_probes.check_grpc_health", answer)
    found = asyncio.run(GrpcProbe(address=lambda: ("10.0.0.1", 50051), service="orders").measure(None, NOW))
    assert asked == ["10.0.0.1", 50051, "orders"]
    assert {one.metric: one.value for one in found} == {"availability": 1.0, LATENCY: 0.25}


def test_a_server_that_does_not_serve_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pytest_py312.rollout.monitoring.health_probes.check_grpc_health",
        lambda *_, **__: MetricReading.failed("NOT_SERVING"),
    )
    assert availability_of(GrpcProbe(address=lambda: ("x", 1))) == [("availability", Result.FAILED, "NOT_SERVING")]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (TargetRefused("gone"), Result.FAILED),
        (ServiceUnreachable("another network"), Result.INCONCLUSIVE),
        (TargetUnavailable("no engine"), Result.ERROR),
    ],
)
def test_a_missing_address_names_its_cause(error: Exception, result: Result) -> None:
    assert availability_of(GrpcProbe(address=raising(error))) == [("availability", result, str(error))]


class Target:
    """Runs commands with a given result."""

    def __init__(self, answer: Callable[..., tuple[int, str]]) -> None:
        self.answer = answer

    def execute(self, container: Container, argv: Sequence[str], *, timeout: float) -> tuple[int, str]:
        return self.answer()


def executed(answer: Callable[..., tuple[int, str]]) -> list[tuple[str, Result, str]]:
    return availability_of(ExecProbe(target=Target(answer), container=Container(id="c", image="i"), argv=("check",)))


def test_a_command_that_exits_with_0_is_available() -> None:
    assert executed(lambda: (0, "noise")) == [("availability", Result.SUCCESSFUL, "")]
    assert executed(lambda: (3, "not\nready")) == [("availability", Result.FAILED, "check ended with 3: not ready")]
    assert executed(raising(TargetRefused("did not end")))[0][1] is Result.FAILED
    assert executed(raising(TargetUnavailable("no engine")))[0][1] is Result.ERROR


# ---- the plan


@pytest.mark.parametrize(
    ("line", "grpc", "command"),
    [
        ("grpc-health = true", "", ()),
        ("grpc-health = false", None, ()),
        ('grpc-health = "orders.Orders"', "orders.Orders", ()),
        ('health-command = ["python", "check.py"]', None, ("python", "check.py")),
    ],
)
def test_health_checks_are_read_from_the_plan(
    tmp_path: Path, line: str, grpc: str | None, command: tuple[str, ...]
) -> None:
    path = tmp_path / "py312.toml"
    path.write_text(f"[deploy]\n{line}\n")
    deploy = load_rollout_settings(path).deploy
    assert (deploy.grpc, deploy.health_command) == (grpc, command)


def test_an_invalid_grpc_service_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "py312.toml"
    path.write_text('[deploy]\ngrpc-health = "a b"\n')
    with pytest.raises(PlanError, match="true or the name of a gRPC service"):
        load_rollout_settings(path)


def test_an_impossible_health_check_is_refused_and_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = shell_in(tmp_path / "a", monkeypatch, plan=PLAN.replace("readiness", "grpc-health = true\nreadiness"))
    with pytest.raises(RolloutRefused, match="the plan names no port"):
        shell("deploy --stage 1")
    for name, line, message in (
        ("b", "port = 1\ngrpc-health = true", "provides no address"),
        ("c", 'health-command = ["x"]', "cannot run the health-command"),
    ):
        shell = shell_in(tmp_path / name, monkeypatch, plan=PLAN.replace("readiness", f"{line}\nreadiness"))
        shell("deploy --stage 1")
        with pytest.raises(RolloutRefused, match=message):
            shell("sample --stage 1")
