"""``py312 postmortem``: the draft of an analysis after a rollback."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.errors import OptionError
from pytest_py312.gate.history.stored_runs import RunStore
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, judged, report_of
from tests.unit.rollout.shells import CONTRACT, STAGES, Shell, shell_in

NEEDS = 'services = ["gateway"]\ndeploy = { needs = ["auth"] }'


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    stages = STAGES.replace("number = 1", 'number = 1\nname = "Core"').replace('services = ["gateway"]', NEEDS)
    shell = shell_in(tmp_path, monkeypatch, stages=stages + CONTRACT)

    async def rest(seconds: float) -> None:
        shell.seconds += seconds

    monkeypatch.setattr("pytest_py312.core.clock.asyncio.sleep", rest)
    return shell


def break_service(py312: Shell) -> None:
    """Let a container end while it is monitored."""
    py312("deploy --stage 1")
    py312.sample_once()
    next(one for one in py312.target.containers.values() if one.running and one.name == "auth").running = False
    py312.sample_once(code=1)


def section(text: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found
    return found[1].strip()


def without_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)


def test_what_the_journal_knows_is_filled_in(py312: Shell) -> None:
    break_service(py312)
    text = py312("postmortem 1")
    assert text.startswith("# Rollback of stage 1 (Core) in test\n\nDraft of `py312 postmortem`")
    summary = section(text, "Summary")
    assert "| Outcome | rolled back: auth: availability: confirmed: 4 of 4 more probes failed" in summary
    assert "| Target | Python 3.12 |" in summary
    assert re.search(r"\| Detected \| .* after the first switch \|", summary)
    assert re.search(r"\| Rolled back \| .* after the problem was recorded \|", summary)
    assert "What users noticed: _To fill in._" in summary
    assert (
        without_times(section(text, "What was seen"))
        .splitlines()[-1]
        .startswith("| TIME | auth | availability (severe) | confirmed: 4 of 4 more probes failed")
    )


def test_the_timeline_is_in_plain_sentences(py312: Shell) -> None:
    break_service(py312)
    lines = [line.split(" | ", 1)[1].rstrip(" |") for line in section(py312("postmortem"), "Timeline").splitlines()[2:]]
    assert lines[0] == "the run began"
    assert lines[1].startswith("test was locked by ")
    assert lines[2:7] == [
        "auth: old-3.9 served before on Python 3.9; the stage is deploying",
        "auth: the new container was created",
        "auth: switched to the new version",
        "auth: the new version is healthy; the stage is verifying",
        "auth: runs on Python 3.12; the stage is soaking",
    ]
    assert lines[-1] == "auth: the previous version serves again, verified; the stage is rolled back"


def test_the_blast_radius_and_the_versions(py312: Shell) -> None:
    break_service(py312)
    text = py312("postmortem")
    assert "| auth | yes | served, verified | yes, verified | 1 taken, 1 not good | gateway |" in section(
        text, "Blast radius"
    )
    assert "| auth | new-3.12 | 3.12 | old-3.9 | 3.9 |" in section(text, "Versions")


def test_the_open_questions_follow_from_what_is_missing(py312: Shell) -> None:
    outcomes = [judged(on=on, of="auth") for on in (PY39, PY310, PY312)]
    proven = report_of(*outcomes, services=(service("auth", suite=None),), exit_status=0)
    store = RunStore(py312.context.state_dir)
    store.begin("r1", proven.generated)
    store.complete("r1", replace(proven), "", 0)
    break_service(py312)
    assert section(py312("postmortem"), "Open questions").splitlines() == [
        "* What caused this: auth, availability (severe)? Is it Python 3.12, or something beside it?",
        "* The gate had found auth ready on 2025-03-01: which check would have shown it?",
        "* Stage 1 has no acceptance tests: would one have shown it before the deployment?",
        "* These contracts were not proven: gateway-&gt;auth. Do they hold?",
        "* What has to be true before the next attempt, and who decides?",
    ]


def test_a_rollback_that_a_person_requested_has_no_cause_in_the_journal(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312("rollback --stage 1 --reason logins-fail|<b>")
    text = py312("postmortem --stage 1")
    assert "The journal has no problem: the rollback was requested by " in section(text, "What was seen")
    assert "with the reason: logins-fail\\|&lt;b&gt;" in text
    assert "after it was requested |" in section(text, "Summary")
    questions = section(text, "Open questions")
    assert "* What is the cause? The rollback was requested by " in questions
    assert "* No limit of the monitoring was broken: which metric would have shown the problem?" in questions


def test_the_document_has_the_same(py312: Shell) -> None:
    break_service(py312)
    document = py312.document("postmortem")
    assert (document["schema"], document["kind"], document["stage"]) == (1, "rollback", 1)
    assert document["services"] == [
        {
            "service": "auth", "critical": True, "new_image": "new-3.12", "previous_image": "old-3.9",
            "previous_python": "3.9", "restored": True, "relying": ["gateway"],
        }
    ]  # fmt: skip
    assert [problem["what"] for problem in document["problems"]] == ["availability (severe)"]
    assert document["requested"] is None
    assert document["timeline"][-1]["text"].endswith("the stage is rolled back")


def test_it_is_written_to_a_file(py312: Shell, tmp_path: Path) -> None:
    break_service(py312)
    assert py312(f"postmortem --output {tmp_path / 'analysis.md'}") == ""
    assert (tmp_path / "analysis.md").read_text().startswith("# Rollback of stage 1")


def test_without_a_rollback_there_is_nothing_to_analyse(py312: Shell) -> None:
    with pytest.raises(OptionError, match=r"there is no journal in .*: nothing was deployed from here"):
        py312("postmortem")
    assert not py312.context.state_dir.exists(), "looking makes no journal"
    py312("deploy --stage 1")
    with pytest.raises(OptionError, match="no rollback of a stage in test is in the journal; `py312 status"):
        py312("postmortem")
    with pytest.raises(OptionError, match="no rollback of stage 1 in test"):
        py312("postmortem 1")
    with pytest.raises(OptionError, match="is soaking: there is no rollback to analyse"):
        py312(f"postmortem --run {py312.run().run}")


def test_a_drill_is_analysed_only_by_its_name(py312: Shell) -> None:
    py312("drill --stage 1 --force")
    with pytest.raises(OptionError, match="--run a drill"):
        py312("postmortem")
    assert "the drill passed" in section(py312(f"postmortem --run {py312.run().run[:24]}"), "Timeline")
    with pytest.raises(OptionError, match="--run nothing: there is no such run"):
        py312("postmortem --run nothing")


def test_the_newest_rollback_of_the_stage_is_chosen(py312: Shell) -> None:
    for reason in ("first", "second"):
        py312("deploy --stage 1")
        py312(f"rollback --stage 1 --reason {reason}")
    text = py312("postmortem 1")
    assert "with the reason: second" in text
    assert re.search(r"\| Attempt \| 2, run \S+ \|", text)
