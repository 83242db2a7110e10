"""``py312 contract``, typed at a target in memory: what it finds to hold is known when the stage is judged."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import pytest_py312
from pytest_py312.rollout.domain.events import Breached
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Breach, Reaction, Severity, StageState
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
    shell.target = meeting  # type: ignore[assignment]  # one of which nobody asks what it is
    shell("deploy --stage 1")
    return shell


def soaked(py312: Shell, *, code: int) -> StageState:
    for seconds in (0.0, 60.0, 60.0):
        py312.ticked(seconds=seconds)
    py312.ticked(code=code)
    return py312.run().state


def test_what_holds_is_written_down(py312: Shell) -> None:
    assert f"{EDGE}  /verify  kept" in py312("contract --stage 1")
    assert py312.run().kept == (EDGE,)
    assert soaked(py312, code=0) is StageState.ACCEPTED


def test_a_stage_of_which_nobody_has_asked_is_held(py312: Shell) -> None:
    assert soaked(py312, code=1) is StageState.HELD
    assert py312.run().reason == f"verdict: contract {EDGE}: was not tried"
    py312("decide accept --stage 1 --reason tried-by-hand")
    assert py312.run().state is StageState.ACCEPTED


def test_whoever_watches_is_left_alone(py312: Shell) -> None:
    """They are told, and the one that watches keeps the run."""
    py312.target.locks["test"] = replace(py312.target.locks["test"], journal="another one's")
    assert "kept" in py312("contract --stage 1")
    assert py312.run().kept == ()
    assert any("not written down" in line for line in py312.told), py312.told


def evidence(py312: Shell) -> dict[str, object]:
    said = json.loads(Path(py312.document("evidence --stage 1")["json"]).read_text())
    jsonschema.validate(said, SCHEMA)
    (found,) = said["runs"][0]["contracts"]
    return dict(found)


def test_the_evidence_says_what_was_tried_and_who_has_answered_for_the_rest(py312: Shell) -> None:
    assert evidence(py312) == {
        "edge": EDGE, "answer": "not tried", "at": None, "detail": "", "accepted_by_a_person": False,
    }  # fmt: skip
    soaked(py312, code=1)
    py312("decide accept --stage 1 --reason tried-by-hand")
    assert evidence(py312)["accepted_by_a_person"] is True


def test_the_evidence_says_which_versions_met(py312: Shell) -> None:
    py312("contract --stage 1")
    found = evidence(py312)
    assert (found["answer"], found["accepted_by_a_person"]) == ("kept", False)
    assert "old -> new: holds" in str(found["detail"])
    page = (py312.root / ".py312/evidence/stage-1-test.html").read_text()
    assert "What services rely on each other for" in page
    assert EDGE.replace(">", "&gt;") in page


def test_what_was_broken_once_is_broken_in_the_evidence(py312: Shell) -> None:
    py312("contract --stage 1")
    broken = Breach(
        service="auth",
        metric=f"contract {EDGE}",
        severity=Severity.SEVERE,
        reaction=Reaction.HOLD,
        detail="new: KeyError",
    )
    with closing(Journal(py312.ground.state)) as journal:
        journal.take(py312.run().run, owner="test")
        journal.record(py312.run().run, Breached(breach=broken), owner="test")
    assert (evidence(py312)["answer"], evidence(py312)["detail"]) == ("broken", "new: KeyError")
