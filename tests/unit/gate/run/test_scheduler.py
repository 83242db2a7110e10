"""Which answers of an earlier run the gate uses again."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.resolution.lock import Lock
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import Facts, Judgement
from pytest_py312.gate.checks.static_analysis import Source
from pytest_py312.gate.run.fact_provider import Gathering
from pytest_py312.gate.run.outcome_keys import OutcomeKeys
from pytest_py312.gate.run.scheduler import Gate
from pytest_py312.gate.run.state import State
from pytest_py312.gate.run.tasks import Item
from tests.support.fakes import FakeRunner, cell_of, service


@dataclass(kw_only=True)
class Own:
    """A check that somebody has added to the gate's own."""

    name: str = "own"
    codes: tuple[str, ...] = ("OWN1",)
    asked: list[Cell] = field(default_factory=list)

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        self.asked.append(cell)
        passed = Outcome.judged(
            service=cell.service.name, interpreter=cell.interpreter, check=self.name, findings=(), reason="it is fine"
        )
        return Judgement(outcome=passed)


def gate_on(*interpreters: str, root: Path) -> Gate:
    """A gate over ``root``, on a machine that has ``interpreters``."""
    plan, runner, once, state = (
        Plan(root=root),
        FakeRunner(interpreters=interpreters),
        Once(None),
        State(root / ".py312"),
    )
    facts = Gathering(
        plan=plan, runner=runner, cache=root / "cache", state=state, uv_version="test", parallel=1, once=once
    )
    keys = OutcomeKeys(plan=plan, runner=runner, installer=facts.installer, uv_version="test")
    return Gate(facts=facts, keys=keys, runner=runner, state=state, once=once, parallel=1)


def judged_anew(
    root: Path, of: Service, own: Own, monkeypatch: pytest.MonkeyPatch, zones: tuple[str, str] = ("UTC", "UTC")
) -> int:
    """How often ``own`` was really asked in two runs with nothing changed between them but the time zone."""
    for zone in zones:
        monkeypatch.setenv("TZ", zone)
        gate = gate_on("3.9", "3.10", "3.11", "3.12", root=root)
        monkeypatch.setattr(gate._facts.installer, "known_lock", lambda cell: Lock(pins=()))
        gate.judge(Item(cell=cell_of("3.12", of), check=own))
        gate.close()
    return len(own.asked)


@pytest.fixture
def fleet_of_one(tmp_path: Path) -> tuple[Path, Service]:
    of = service(requirements=())
    (tmp_path / of.path).mkdir(parents=True)
    return tmp_path, of


def test_a_check_of_the_gate_is_not_asked_again_while_nothing_changes(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Own(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))

    assert judged_anew(*fleet_of_one, own, monkeypatch) == 1


def test_another_time_zone_is_another_question(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell on this machine sees the caller's, and a suite may hang on it."""
    own = Own(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))

    assert judged_anew(*fleet_of_one, own, monkeypatch, ("UTC", "Asia/Tokyo")) == 2


@pytest.mark.parametrize(("sees", "asked"), [(True, 2), (False, 1)])
def test_a_module_that_is_gone_from_beside_the_service_is_missed(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch, sees: bool, asked: int
) -> None:
    """Whether anything holds what the service imports hangs on it."""
    own = Own(name="libraries")
    own.sees_names_around = sees  # type: ignore[attr-defined]  # a check may say so
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))
    shared = fleet_of_one[0] / "shared_models.py"
    shared.write_text("", encoding="utf-8")
    judged_anew(*fleet_of_one, own, monkeypatch)
    shared.unlink()

    assert judged_anew(*fleet_of_one, own, monkeypatch) == asked


def test_a_check_from_elsewhere_is_always_asked(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what it reads, nor whether its code has changed since."""
    own = Own()

    assert judged_anew(*fleet_of_one, own, monkeypatch) == 2


def test_source_alone_without_the_target_here_could_not_be_checked(tmp_path: Path) -> None:
    """Nothing is installed then, so nothing else has met the missing Python before."""
    of = service(requirements=())
    folder = tmp_path / of.path
    folder.mkdir(parents=True)
    gate = gate_on(root=tmp_path)
    (folder / "app.py").write_text("import json\n", encoding="utf-8")

    outcome = gate.judge(Item(cell=cell_of("3.12", of), check=Source())).outcome
    gate.close()

    assert outcome.status is Status.ERRORED
    assert "no Python 3." in outcome.reason
