"""Availability of services that do not speak HTTP."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.errors import PlanError, RolloutRefused
from pytest_py312.repository.plan.rollout_tables import load_rollout
from pytest_py312.rollout.domain.model import Container, Moment, Result
from pytest_py312.rollout.metrics.reading import Reading
from pytest_py312.rollout.monitoring.health_probes import ExecProbe, GrpcProbe
from pytest_py312.rollout.monitoring.probes import LATENCY
from pytest_py312.rollout.targets.target import TargetLost, TargetRefused, TargetUnreachable
from tests.unit.rollout.shells import PLAN, shell_in

NOW = Moment(wall=1.0, boottime=1.0, boot="b")


def raising(error: Exception) -> Callable[..., Any]:
    def work(*arguments: object, **named: object) -> Any:
        raise error

    return work


def said(probe: GrpcProbe | ExecProbe) -> list[tuple[str, Result, str]]:
    return [(one.metric, one.result, one.detail) for one in asyncio.run(probe.measure(None, NOW))]


def test_a_server_that_serves_is_available_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def answer(host: str, port: int, service: str, *, limit: float) -> Reading:
        asked.extend((host, port, service))
        return Reading(value=0.25)

    monkeypatch.setattr("pytest_py312.rollout.monitoring.health_probes.ask_health", answer)
    found = asyncio.run(GrpcProbe(address=lambda: ("10.0.0.1", 50051), service="orders").measure(None, NOW))
    assert asked == ["10.0.0.1", 50051, "orders"]
    assert {one.metric: one.value for one in found} == {"availability": 1.0, LATENCY: 0.25}


def test_a_server_that_does_not_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pytest_py312.rollout.monitoring.health_probes.ask_health", lambda *_, **__: Reading.failed("NOT_SERVING")
    )
    assert said(GrpcProbe(address=lambda: ("x", 1))) == [("availability", Result.FAILED, "NOT_SERVING")]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (TargetRefused("gone"), Result.FAILED),
        (TargetUnreachable("another network"), Result.INCONCLUSIVE),
        (TargetLost("no engine"), Result.ERROR),
    ],
)
def test_an_address_that_is_not_told_says_whose_fault_that_is(error: Exception, result: Result) -> None:
    assert said(GrpcProbe(address=raising(error))) == [("availability", result, str(error))]


class Target:
    """Runs commands as it is told to."""

    def __init__(self, answer: Callable[..., tuple[int, str]]) -> None:
        self.answer = answer

    def execute(self, container: Container, argv: Sequence[str], *, limit: float) -> tuple[int, str]:
        return self.answer()


def executed(answer: Callable[..., tuple[int, str]]) -> list[tuple[str, Result, str]]:
    return said(ExecProbe(target=Target(answer), container=Container(id="c", image="i"), argv=("check",)))


def test_a_command_that_ends_with_0_is_well() -> None:
    assert executed(lambda: (0, "noise")) == [("availability", Result.SUCCESSFUL, "")]
    assert executed(lambda: (3, "not\nready")) == [("availability", Result.FAILED, "check ended with 3: not ready")]
    assert executed(raising(TargetRefused("did not end")))[0][1] is Result.FAILED
    assert executed(raising(TargetLost("no engine")))[0][1] is Result.ERROR


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
def test_the_plan_says_how_health_is_asked(
    tmp_path: Path, line: str, grpc: str | None, command: tuple[str, ...]
) -> None:
    path = tmp_path / "py312.toml"
    path.write_text(f"[deploy]\n{line}\n")
    deploy = load_rollout(path).deploy
    assert (deploy.grpc, deploy.health_command) == (grpc, command)


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "py312.toml"
    path.write_text('[deploy]\ngrpc-health = "a b"\n')
    with pytest.raises(PlanError, match="true or the name of a gRPC service"):
        load_rollout(path)


def test_what_cannot_be_asked_is_refused_and_nothing_less_is_asked_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = shell_in(tmp_path / "a", monkeypatch, plan=PLAN.replace("readiness", "grpc-health = true\nreadiness"))
    with pytest.raises(RolloutRefused, match="the plan names no port"):
        shell("deploy --stage 1")
    for name, line, told in (
        ("b", "port = 1\ngrpc-health = true", "tells no address"),
        ("c", 'health-command = ["x"]', "runs no health-command"),
    ):
        shell = shell_in(tmp_path / name, monkeypatch, plan=PLAN.replace("readiness", f"{line}\nreadiness"))
        shell("deploy --stage 1")
        with pytest.raises(RolloutRefused, match=told):
            shell("tick --stage 1")
