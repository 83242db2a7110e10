"""What the old version beside the new one is asked."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.domain.model import Container, Moment, ServiceSpec, Usage
from pytest_py312.rollout.monitoring.control_probes import KnownExceptions, TwinUsage
from pytest_py312.rollout.targets.target import Target, TargetLost, TargetRefused
from tests.unit.rollout.runs import old, spec, twin

NOW = Moment(wall=1e9, boottime=1.0, boot="b")


def traceback_of(name: str) -> tuple[str, ...]:
    return ("Traceback (most recent call last):", '  File "/app/x.py", line 1, in f', f"{name}: 1")


@dataclass
class Logs:
    """An engine that has a log of each container."""

    logs: dict[str, tuple[str, ...]]
    memory: int = 100
    since: list[float] = field(default_factory=list)

    def sample(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        self.since.append(since)
        if container.id not in self.logs:
            raise TargetRefused("it is gone")
        log = self.logs[container.id]
        return Usage(cpu_seconds=0.0, memory=self.memory, restarts=0, out_of_memory=False, log=log)

    @property
    def target(self) -> Target:
        return cast(Target, self)


def test_exceptions_of_the_old_version_are_known_from_before_and_from_its_twin() -> None:
    engine = Logs({"old-user": traceback_of("KeyError"), "twin-of-user": traceback_of("OSError")})
    known = KnownExceptions(target=engine.target, spec=spec("user"), containers=(old("user"), twin("user")))
    assert known(100.0) == frozenset({"KeyError in app/x.py:f", "OSError in app/x.py:f"})
    engine.logs = {"twin-of-user": traceback_of("ValueError")}
    found = known(200.0)
    assert found == frozenset({"KeyError in app/x.py:f", "OSError in app/x.py:f", "ValueError in app/x.py:f"})
    assert engine.since == [0.0, 0.0, 100.0, 100.0]


def test_without_a_log_nobody_knows() -> None:
    known = KnownExceptions(target=Logs({}).target, spec=spec("user"), containers=(old("user"), twin("user")))
    assert known(100.0) is None


def test_memory_is_told_where_a_metric_is_about_it_and_nothing_where_it_is_not_known() -> None:
    metrics = (
        MetricSettings(name="rss", provider="docker", query="memory"),
        MetricSettings(name="load", provider="docker", query="cpu"),
    )
    engine = Logs({"twin-of-user": ()})
    probe = TwinUsage(target=engine.target, spec=spec("user"), twin=twin("user"), metrics=metrics)
    assert [(one.metric, one.value) for one in asyncio.run(probe.measure(None, NOW))] == [("rss", 100.0)]
    engine.memory = 0  # it does not run
    assert asyncio.run(probe.measure(None, NOW)) == ()
    gone = TwinUsage(target=Away().target, spec=spec("user"), twin=twin("user"), metrics=metrics)
    assert asyncio.run(gone.measure(None, NOW)) == ()


class Away(Logs):
    def __init__(self) -> None:
        super().__init__({})

    def sample(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        raise TargetLost("away")
