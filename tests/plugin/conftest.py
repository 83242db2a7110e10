"""Fixtures of the plugin's tests: a small repository, and a gate that answers from a table.

``faked`` runs pytest in this process with an assembly that starts nothing, so that a test defines the answers of the
gate. ``real`` runs pytest in a process of its own, with real cells on this machine.
"""

from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.checks.dependencies import DependencyCheck
from pytest_py312.gate.checks.suite import SuiteCheck
from pytest_py312.gate.run.assembly import AssemblyOptions, GateAssembly
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.plugin import session
from tests.plugin.gate_helpers import FLEET, REAL_FLEET, Faked, Real
from tests.support.fakes import service_tree


@pytest.fixture
def faked(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Faked:
    """The repository ``FLEET`` as pytest's folder, with a fake assembly."""
    service_tree(pytester.path, FLEET)
    for name in ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)  # this run may be a job itself, where pytest's summary is longer
    made = Faked(pytester=pytester, root=pytester.path)

    class FakeAssembly(GateAssembly):
        """An assembly whose scheduler answers from a table."""

        def __init__(self, options: AssemblyOptions, **parts: Any) -> None:
            super().__init__(options, **parts)
            made.settings.append(options)
            made.gate.finalizer = self.finalizer
            self.__dict__["scheduler"] = made.gate

        @property
        def runner_name(self) -> str:
            return "fake"

        def describe_runner(self) -> str:
            return "fake (a test)"

        def describe_resolver(self) -> str:
            return "none"

        def shared_folder(self) -> Path:
            return made.root

        def finished(self, task: CheckTask) -> CheckResult | None:
            return made.gate.run(task) if task.name in made.gate.finished else None

        def builds(self) -> tuple[InterpreterBuild, ...]:
            return ()

        def close(self) -> None:
            made.closed += 1

    monkeypatch.setattr(session, "GateAssembly", FakeAssembly)
    # two checks are enough to show how items are created and selected; real runs use all of them
    monkeypatch.setattr(session, "CHECKS", (DependencyCheck(), SuiteCheck()))
    return made


@pytest.fixture
def real(tmp_path: Path, gate_cache: Path) -> Real:
    """The repository ``REAL_FLEET``, and real cells."""
    root, temporary = tmp_path / "repository", tmp_path / "temporary"
    temporary.mkdir()
    return Real(root=service_tree(root, REAL_FLEET), cache=gate_cache, temporary=temporary)
