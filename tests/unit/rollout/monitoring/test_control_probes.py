"""Probes of the control."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import cast

from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.domain.measurements import Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec, Usage
from pytest_py312.rollout.metrics.worker_processes import PROCESSES
from pytest_py312.rollout.monitoring.control_probes import ControlUsageProbe, OldVersionExceptions
from pytest_py312.rollout.targets.target import Target, TargetRefused, TargetUnavailable
from tests.unit.rollout.runs import control, old, spec

NOW = Timestamp(wall=1e9, boottime=1.0, boot="b")


def traceback_of(name: str) -> tuple[str, ...]:
    return ("Traceback (most recent call last):", '  File "/app/x.py", line 1, in f', f"{name}: 1")


@dataclass
class Logs:
    """An engine with a log for each container."""

    logs: dict[str, tuple[str, ...]]
    memory: int = 100
    process_ages: tuple[float, ...] | None = None
    since: list[float] = field(default_factory=list)

    def read_usage(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        self.since.append(since)
        if container.id not in self.logs:
            raise TargetRefused("it is gone")
        log = self.logs[container.id]
        return Usage(
            cpu_seconds=0.0,
            memory=self.memory,
            restarts=0,
            out_of_memory=False,
            log=log,
            process_ages=self.process_ages,
        )

    @property
    def target(self) -> Target:
        return cast(Target, self)


def test_old_version_exceptions_come_from_its_log_and_its_control() -> None:
    engine = Logs({"old-user": traceback_of("KeyError"), "control-of-user": traceback_of("OSError")})
    known = OldVersionExceptions(target=engine.target, spec=spec("user"), containers=(old("user"), control("user")))
    assert known(100.0) == frozenset({"KeyError in app/x.py:f", "OSError in app/x.py:f"})
    engine.logs = {"control-of-user": traceback_of("ValueError")}
    found = known(200.0)
    assert found == frozenset({"KeyError in app/x.py:f", "OSError in app/x.py:f", "ValueError in app/x.py:f"})
    assert engine.since == [0.0, 0.0, 100.0, 100.0]


def test_without_a_log_exceptions_are_unknown() -> None:
    known = OldVersionExceptions(target=Logs({}).target, spec=spec("user"), containers=(old("user"), control("user")))
    assert known(100.0) is None


def test_memory_of_the_control_is_measured_only_where_known() -> None:
    metrics = (
        MetricSettings(name="rss", provider="docker", query="memory"),
        MetricSettings(name="load", provider="docker", query="cpu"),
    )
    engine = Logs({"control-of-user": ()})
    probe = ControlUsageProbe(target=engine.target, spec=spec("user"), control=control("user"), metrics=metrics)
    assert [(one.metric, one.value) for one in asyncio.run(probe.measure(None, NOW))] == [
        ("control memory", 100.0),
        ("rss", 100.0),
    ]
    engine.memory = 0  # it does not run
    assert asyncio.run(probe.measure(None, NOW)) == ()
    gone = ControlUsageProbe(target=Away().target, spec=spec("user"), control=control("user"), metrics=metrics)
    assert asyncio.run(gone.measure(None, NOW)) == ()


def test_processes_of_the_control_are_judged_like_those_of_the_new_version() -> None:
    engine = Logs({"control-of-user": ()}, process_ages=(5000.0, 4000.0))
    probe = ControlUsageProbe(target=engine.target, spec=spec("user"), control=control("user"), metrics=())
    first = Sample(service="user", slot=1, at=NOW, measurements=asyncio.run(probe.measure(None, NOW)))
    engine.process_ages = (5060.0,)
    later = replace(NOW, wall=NOW.wall + 60, boottime=NOW.boottime + 60)
    results = {one.metric: one.result for one in asyncio.run(probe.measure(first, later))}
    assert results[PROCESSES] is Result.INCONCLUSIVE


class Away(Logs):
    def __init__(self) -> None:
        super().__init__({})

    def read_usage(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        raise TargetUnavailable("away")
