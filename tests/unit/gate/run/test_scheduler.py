"""Which outcomes of earlier runs are used again."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.resolution.lock import DependencyLock
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import CheckResult, Facts
from pytest_py312.gate.checks.static_analysis import SourceCheck
from pytest_py312.gate.run.fact_provider import FactProvider
from pytest_py312.gate.run.outcome_keys import OutcomeKeys
from pytest_py312.gate.run.scheduler import Scheduler
from pytest_py312.gate.run.state import StateFile
from pytest_py312.gate.run.tasks import CheckTask
from tests.support.fakes import FakeRunner, cell_of, service


@dataclass(kw_only=True)
class ThirdPartyCheck:
    """A check of a third party."""

    name: str = "own"
    codes: tuple[str, ...] = ("OWN1",)
    asked: list[Cell] = field(default_factory=list)

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        self.asked.append(cell)
        passed = Outcome.from_findings(
            service=cell.service.name, interpreter=cell.interpreter, check=self.name, findings=(), reason="it is fine"
        )
        return CheckResult(outcome=passed)


def gate_on(*interpreters: str, root: Path) -> Scheduler:
    """Return a scheduler for ``root``, on a machine that has ``interpreters``."""
    plan, runner, once, state = (
        Plan(root=root),
        FakeRunner(interpreters=interpreters),
        SingleFlight(None),
        StateFile(root / ".py312"),
    )
    facts = FactProvider(
        plan=plan, runner=runner, cache=root / "cache", state=state, uv_version="test", parallel=1, single_flight=once
    )
    keys = OutcomeKeys(plan=plan, runner=runner, installer=facts.installer, uv_version="test")
    return Scheduler(facts=facts, keys=keys, runner=runner, state=state, single_flight=once, parallel=1)


def runs_of_own_check(
    root: Path,
    of: Service,
    own: ThirdPartyCheck,
    monkeypatch: pytest.MonkeyPatch,
    zones: tuple[str, str] = ("UTC", "UTC"),
) -> int:
    """Return how often ``own`` was run in two runs with no change in between except the time zone."""
    for zone in zones:
        monkeypatch.setenv("TZ", zone)
        gate = gate_on("3.9", "3.10", "3.11", "3.12", root=root)
        monkeypatch.setattr(gate._facts.installer, "cached_lock", lambda cell: DependencyLock(pins=()))
        gate.run(CheckTask(cell=cell_of("3.12", of), check=own))
        gate.close()
    return len(own.asked)


@pytest.fixture
def fleet_of_one(tmp_path: Path) -> tuple[Path, Service]:
    of = service(requirements=())
    (tmp_path / of.path).mkdir(parents=True)
    return tmp_path, of


def test_a_check_of_the_gate_is_not_run_again_without_changes(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ThirdPartyCheck(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch) == 1


def test_the_time_zone_is_part_of_the_key(fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of the local runner inherits it, and a suite may depend on it."""
    own = ThirdPartyCheck(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch, ("UTC", "Asia/Tokyo")) == 2


@pytest.mark.parametrize(("sees", "asked"), [(True, 2), (False, 1)])
def test_a_removed_sibling_module_invalidates_the_outcome(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch, sees: bool, asked: int
) -> None:
    """An import of the service may depend on it."""
    own = ThirdPartyCheck(name="libraries")
    own.sees_names_around = sees  # type: ignore[attr-defined]  # a check may say so
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))
    shared = fleet_of_one[0] / "shared_models.py"
    shared.write_text("", encoding="utf-8")
    runs_of_own_check(*fleet_of_one, own, monkeypatch)
    shared.unlink()

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch) == asked


def test_a_third_party_check_always_runs(fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its inputs nor changes of its code are known."""
    own = ThirdPartyCheck()

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch) == 2


def test_the_source_check_alone_is_errored_without_the_target(tmp_path: Path) -> None:
    """Nothing is installed, so nothing else has reported the missing interpreter."""
    of = service(requirements=())
    folder = tmp_path / of.path
    folder.mkdir(parents=True)
    gate = gate_on(root=tmp_path)
    (folder / "app.py").write_text("import json\n", encoding="utf-8")

    outcome = gate.run(CheckTask(cell=cell_of("3.12", of), check=SourceCheck())).outcome
    gate.close()

    assert outcome.status is Status.ERRORED
    assert "no Python 3." in outcome.reason
