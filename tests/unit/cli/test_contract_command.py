"""``py312 test-contracts`` on a target in memory: its results are used when the stage is judged."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import pytest_py312
from pytest_py312.rollout.domain.events import Breached
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Breach, BreachSeverity, Reaction, StageState
from tests.unit.rollout.execution.test_contract_runner import Answering
from tests.unit.rollout.shells import CONTRACT, PLAN, STAGES, Shell, shell_in

SCHEMA = json.loads((Path(pytest_py312.__file__).parent / "rollout" / "reporting" / "evidence.schema.json").read_text())
EDGE = "gateway->auth"


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch, plan=PLAN, stages=STAGES + CONTRACT)
    meeting = Answering()
    for name in ("auth", "gateway"):
        meeting.serve(name, "old-3.9")
    shell.target = meeting  # type: ignore[assignment]  # its type does not matter here
    shell("deploy --stage 1")
    return shell


def soaked(py312: Shell, *, code: int) -> StageState:
    for seconds in (0.0, 60.0, 60.0):
        py312.sample_once(seconds=seconds)
    py312.sample_once(code=code)
    return py312.run().state


def test_passed_contracts_are_recorded(py312: Shell) -> None:
    assert f"{EDGE}  /verify  holds" in py312("test-contracts --stage 1")
    assert py312.run().kept == (EDGE,)
    assert soaked(py312, code=0) is StageState.ACCEPTED


def test_a_stage_with_untested_contracts_is_held(py312: Shell) -> None:
    assert soaked(py312, code=1) is StageState.HELD
    assert py312.run().reason == f"verdict: contract {EDGE}: was not tested"
    py312("promote --stage 1 --reason tried-by-hand")
    assert py312.run().state is StageState.ACCEPTED


def test_an_active_monitor_keeps_the_run(py312: Shell) -> None:
    """The command only logs that nothing is recorded."""
    py312.target.locks["test"] = replace(py312.target.locks["test"], journal="another one's")
    assert "holds" in py312("test-contracts --stage 1")
    assert py312.run().kept == ()
    assert any("not recorded" in line for line in py312.logged), py312.logged


def evidence(py312: Shell) -> dict[str, object]:
    output = json.loads(Path(py312.document("evidence --stage 1")["json"]).read_text())
    jsonschema.validate(output, SCHEMA)
    (bundle,) = output["runs"][0]["contracts"]
    return dict(bundle)


def test_the_evidence_shows_untested_contracts_and_who_accepted_them(py312: Shell) -> None:
    assert evidence(py312) == {
        "edge": EDGE, "answer": "not tried", "at": None, "detail": "", "accepted_by_a_person": False,
    }  # fmt: skip
    soaked(py312, code=1)
    py312("promote --stage 1 --reason tried-by-hand")
    assert evidence(py312)["accepted_by_a_person"] is True


def test_the_evidence_shows_which_versions_were_tested(py312: Shell) -> None:
    py312("test-contracts --stage 1")
    evidence_document = evidence(py312)
    assert (evidence_document["answer"], evidence_document["accepted_by_a_person"]) == ("kept", False)
    assert "old -> new: holds" in str(evidence_document["detail"])
    page = (py312.root / ".py312/evidence/stage-1-test.html").read_text()
    assert "Contracts between services" in page
    assert EDGE.replace(">", "&gt;") in page


def test_on_a_full_disk_results_are_printed_and_not_recorded(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "space_problem", "the disk is full")
    assert "holds" in py312("test-contracts --stage 1")
    assert "the passed contracts are not recorded: nothing can be monitored: the disk is full" in py312.logged
    assert py312.run().untested_contracts == (EDGE,)


def test_a_contract_that_was_broken_once_is_broken_in_the_evidence(py312: Shell) -> None:
    py312("test-contracts --stage 1")
    broken = Breach(
        service="auth",
        metric=f"contract {EDGE}",
        severity=BreachSeverity.SEVERE,
        reaction=Reaction.HOLD,
        detail="new: KeyError",
    )
    with closing(Journal(py312.context.state_dir)) as journal:
        journal.acquire(py312.run().run, owner="test")
        journal.record(py312.run().run, Breached(breach=broken), owner="test")
    assert (evidence(py312)["answer"], evidence(py312)["detail"]) == ("broken", "new: KeyError")
