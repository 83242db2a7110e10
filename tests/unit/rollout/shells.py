"""Commands typed at a target in memory, with a clock that is set by hand."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.cli.commands import COMMANDS
from pytest_py312.cli.main import parse_arguments
from pytest_py312.core import clock
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.events import Judged, SoakCredited
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, Verdict
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec, Usage
from pytest_py312.rollout.preflight import plan_checks
from pytest_py312.rollout.targets.target import EngineInfo, ImageInfo, TargetRefused
from tests.support.fakes import FakeTarget, build_of, service_tree

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


def run_line(line: str, context: RolloutContext) -> tuple[str, int]:
    """Run a command of the rollout as it is typed; return its text and exit code."""
    options = parse_arguments(line.split())
    text, exit_code = COMMANDS[options.command].load()(options, context)
    return str(text), int(exit_code)


@dataclass
class InspectableTarget(FakeTarget):
    """A target that can be inspected, see :class:`~pytest_py312.rollout.targets.target.SupportsInspection`."""

    facts: EngineInfo = field(default_factory=lambda: EngineInfo(name="Fake", version="1.0", cgroup_version="2"))
    unbreakable: bool = False
    images: dict[str, ImageInfo] = field(default_factory=dict)
    usage: Usage = field(default_factory=lambda: Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=False))

    def stop_for_drill(self, spec: ServiceSpec, container: Container) -> None:
        if self.unbreakable:
            raise TargetRefused("it does not stop")
        self.containers[container.id].running = False

    def engine_info(self) -> EngineInfo:
        return self.facts

    def image_info(self, reference: str) -> ImageInfo | None:
        return self.images.get(reference)

    def has_container(self, spec: ServiceSpec, container: Container) -> bool:
        return container.id in self.containers

    def read_usage(self, *arguments: Any, **named: Any) -> Usage:
        return self.usage


class Shell:
    """Runs commands in a repository of its own. ``seconds`` is the clock."""

    def __init__(self, root: Path, plan: str = PLAN, stages: str = STAGES) -> None:
        self.root = root
        self.plan = root / "py312.toml"
        files = {f"services/{name}/requirements.txt": "attrs\n" for name in ("auth", "gateway")}
        service_tree(root, {**files, "py312.toml": plan + stages})
        self.target = InspectableTarget()
        for name in ("auth", "gateway"):
            self.target.serve(name, "old-3.9")
        for name in ("old-3.9", "new-3.12"):
            self.target.images[name] = ImageInfo(id=name, declared_python=name.rpartition("-")[2])
        self.logged: list[str] = []
        self.seconds = 1000.0
        self.context = RolloutContext(
            plan=load_plan(self.plan, today=clock.today()),
            state_dir=root / ".py312",
            target=lambda: self.target,
            log=self.logged.append,
        )

    def __call__(self, line: str, *, code: int = 0) -> str:
        text, exit_code = run_line(line, self.context)
        assert exit_code == code, text
        return text

    def document(self, line: str, *, code: int = 0) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self(f"{line} --json", code=code))
        return document

    def sample_once(self, *, code: int = 75, seconds: float = 60.0, stage: int = 1) -> dict[str, Any]:
        self.seconds += seconds
        return self.document(f"sample --stage {stage}", code=code)

    def run(self, stage: int = 1) -> StageRun:
        journal = Journal(self.context.state_dir)
        try:
            return next(run for run in journal.current_runs("test") if run.stage == stage)
        finally:
            journal.close()

    def accept(self, stage: int) -> None:
        """Let a stage soak to its end in a moment."""
        name = self.run(stage).run
        journal = Journal(self.context.state_dir)
        journal.acquire(name, owner="test")
        journal.record(name, SoakCredited(seconds=180.0), owner="test")
        journal.record(name, Judged(verdict=Verdict.PASSED), owner="test")
        journal.close()
        self.target.locks.clear()


def shell_in(root: Path, monkeypatch: pytest.MonkeyPatch, **changes: str) -> Shell:
    """Return a shell whose clock replaces that of all code."""
    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")
    shell = Shell(root, **changes)
    monkeypatch.setattr(clock, "boottime", lambda: shell.seconds)
    monkeypatch.setattr(clock, "timestamp", lambda: 1e9 + shell.seconds)
    monkeypatch.setattr(plan_checks, "find_installed", lambda interpreter, _: build_of(str(interpreter)))
    return shell
