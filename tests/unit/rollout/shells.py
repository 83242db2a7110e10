"""Commands typed at a target in memory, with a clock that is set by hand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.cli import monitor_commands, operations_commands, rollout_commands
from pytest_py312.cli.main import _parsers
from pytest_py312.cli.rollout_parser import OPERATING, WATCHING
from pytest_py312.core import clock
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.events import Credited, Judged
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Container, ServiceSpec, StageRun, Usage, Verdict
from pytest_py312.rollout.targets.target import EngineFacts, ImageFacts, TargetRefused
from tests.support.fakes import FakeTarget, service_tree

STAGES = """
[[stage]]
number = 1
services = ["auth"]
critical = true

[[stage]]
number = 2
services = ["gateway"]
"""
PLAN = """
[deploy]
image = "new-{version}"
readiness-delay = 0

[soak]
interval = "60s"
duration = "180s"
initial-delay = 0
"""
CONTRACT = """
[[contract]]
caller = "gateway"
callee = "auth"
path = "/verify"
"""


@dataclass
class ToldTarget(FakeTarget):
    """One that says what it is: a :class:`~pytest_py312.rollout.targets.target.Inspectable`."""

    facts: EngineFacts = field(default_factory=lambda: EngineFacts(name="Fake", version="1.0", cgroup="2"))
    unbreakable: bool = False
    images: dict[str, ImageFacts] = field(default_factory=dict)
    usage: Usage = field(default_factory=lambda: Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=False))

    def break_down(self, container: Container) -> None:
        if self.unbreakable:
            raise TargetRefused("it does not stop")
        self.containers[container.id].running = False

    def engine_facts(self) -> EngineFacts:
        return self.facts

    def image_facts(self, reference: str) -> ImageFacts | None:
        return self.images.get(reference)

    def keeps(self, spec: ServiceSpec, container: Container) -> bool:
        return container.id in self.containers

    def sample(self, *arguments: Any, **named: Any) -> Usage:
        return self.usage


class Shell:
    """Types commands in a repository of its own. ``seconds`` is the clock."""

    def __init__(self, root: Path, plan: str = PLAN, stages: str = STAGES) -> None:
        self.root = root
        self.plan = root / "py312.toml"
        files = {f"services/{name}/requirements.txt": "attrs\n" for name in ("auth", "gateway")}
        service_tree(root, {**files, "py312.toml": plan + stages})
        self.target = ToldTarget()
        for name in ("auth", "gateway"):
            self.target.serve(name, "old-3.9")
        for name in ("old-3.9", "new-3.12"):
            self.target.images[name] = ImageFacts(id=name, python=name.rpartition("-")[2])
        self.told: list[str] = []
        self.seconds = 1000.0
        self.ground = Ground(
            plan=load_plan(self.plan, today=clock.today()),
            state=root / ".py312",
            target=lambda: self.target,
            told=self.told.append,
        )

    def __call__(self, line: str, *, code: int = 0) -> str:
        options = _parsers()[0].parse_args(line.split())
        run: Callable[..., tuple[str, int]] = (
            monitor_commands.run_command if options.command in WATCHING else rollout_commands.run_command
        )
        run = operations_commands.run_command if options.command in OPERATING else run
        text, found = run(options, self.ground)
        assert found == code, text
        return text

    def document(self, line: str, *, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(f"{line} --json", code=code))
        return found

    def ticked(self, *, code: int = 75, seconds: float = 60.0, stage: int = 1) -> dict[str, Any]:
        self.seconds += seconds
        return self.document(f"tick --stage {stage}", code=code)

    def run(self, stage: int = 1) -> StageRun:
        journal = Journal(self.ground.state)
        try:
            return next(run for run in journal.newest("test") if run.stage == stage)
        finally:
            journal.close()

    def accept(self, stage: int) -> None:
        """Let a stage soak to its end in a moment."""
        name = self.run(stage).run
        journal = Journal(self.ground.state)
        journal.take(name, owner="test")
        journal.record(name, Credited(seconds=180.0), owner="test")
        journal.record(name, Judged(verdict=Verdict.PASSED), owner="test")
        journal.close()
        self.target.locks.clear()


def shell_in(root: Path, monkeypatch: pytest.MonkeyPatch, **changes: str) -> Shell:
    """A shell whose clock is that of all code."""
    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")
    shell = Shell(root, **changes)
    monkeypatch.setattr(clock, "boottime", lambda: shell.seconds)
    monkeypatch.setattr(clock, "timestamp", lambda: 1e9 + shell.seconds)
    return shell
