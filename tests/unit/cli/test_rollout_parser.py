"""Every command of a rollout: it has help, prints JSON, and where it acts it can be asked what it would do."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pytest_py312.cli.main import _parsers, main
from pytest_py312.cli.rollout_parser import OPERATING, STANDING, WATCHING, parted, pytest_argv
from pytest_py312.core.errors import OptionError, RolloutRefused, StateError
from pytest_py312.rollout.domain.model import StageState
from tests.unit.rollout.shells import CONTRACT, PLAN, STAGES, Shell, shell_in

COMMANDS = (*STANDING, *WATCHING, *OPERATING)
LOOKING = {
    "plan": "plan --stage 1",
    "status": "status",
    "doctor": "doctor",
    "compare": "compare --stage 1",
    "rules": "rules",
    "dashboard": "dashboard",
    "roadmap": "roadmap",
}
ACTING = {
    "deploy": "deploy --stage 1",
    "watch": "watch --stage 1",
    "tick": "tick --services auth",
    "decide": "decide accept --stage 1 --reason fine",
    "rollback": "rollback --stage 1",
    "recover": "recover --start --moved",
    "unlock": "unlock",
    "load": "load http://127.0.0.1:9/ --step 20x5 --warm-up 5x1",
    "drill": "drill --stage 2 --force --fault stop",
    "evidence": "evidence --stage 1",
    "contract": "contract --stage 1",
}


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch, stages=STAGES + CONTRACT)
    shell("deploy --stage 1")
    return shell


def held(py312: Shell) -> None:
    """Somebody else has deployed something by hand."""
    py312.ticked()
    next(one for one in py312.target.containers.values() if one.running and one.name == "auth").name = "auth.gone"
    py312.target.serve("auth", "hand-3.12")
    py312.ticked(code=1)
    assert py312.run().state is StageState.HELD


def written(py312: Shell) -> list[object]:
    with closing(sqlite3.connect(py312.ground.state / "rollout.sqlite")) as journal:
        return [journal.execute(f"SELECT * FROM {table}").fetchall() for table in ("runs", "entries", "samples")]


def test_the_table_has_them_all() -> None:
    assert {*LOOKING, *ACTING} == {*COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: py312 {command}")
    assert "--json" in said
    assert ("--dry-run" in said) is (command in ACTING)


@pytest.mark.parametrize("command", LOOKING)
def test_each_that_looks_prints_one_document(py312: Shell, command: str) -> None:
    before = written(py312)
    found = py312.document(LOOKING[command], code=1 if command == "compare" else 0)
    assert found
    assert written(py312) == before


@pytest.mark.parametrize("command", ACTING)
def test_each_that_acts_says_what_it_would_do_and_does_nothing(py312: Shell, command: str) -> None:
    if command == "decide":
        held(py312)
    before, locks, serving = written(py312), dict(py312.target.locks), py312.target.serving()
    steps = len(py312.target.steps)
    text, found = py312(f"{ACTING[command]} --dry-run"), py312.document(f"{ACTING[command]} --dry-run")
    assert "would" in text
    assert found["schema"] == 1
    assert (written(py312), py312.target.locks, py312.target.serving()) == (before, locks, serving)
    assert not [step for step in py312.target.steps[steps:] if not step.startswith("observe")]
    assert not (py312.ground.state / "evidence").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("watch --stage 1", "would sample auth of stage 1 in test until its soak is decided, each 60 s; 3 min left"),
        ("tick --stage 1", "would sample auth of stage 1 in test once, where a sample is due, each 60 s"),
        ("load http://127.0.0.1:9/ --step 20x5", "would ask http://127.0.0.1:9/: 20 a second for 5 s (100 requests)"),
        ("contract --stage 1", "would let the versions of these meet: gateway->auth: /verify"),
    ],
)
def test_what_would_be_done_is_said_with_its_numbers(py312: Shell, line: str, says: str) -> None:
    assert py312(f"{line} --dry-run").startswith(says)


def test_what_is_over_would_not_be_sampled(py312: Shell) -> None:
    py312("rollback --stage 1")
    assert py312("tick --stage 1 --dry-run") == "stage 1 in test is rolled back: it would not be sampled\n"


# ---- as the scripts of before were called


ROADMAP = PLAN.replace('interval = "60s"\nduration = "180s"', 'interval = "5m"\nduration = "48h"')


def test_flags_of_the_older_scripts_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds without a unit, services with a blank between them, a rollback that is an option."""
    names = 'services = ["auth"]', 'services = ["auth", "gateway"]'
    py312 = shell_in(tmp_path, monkeypatch, plan=ROADMAP, stages=STAGES.split("\n\n")[0].replace(*names))

    async def rest(seconds: float) -> None:
        py312.seconds += seconds

    monkeypatch.setattr("pytest_py312.core.clock.asyncio.sleep", rest)
    py312("deploy --stage 1 --env test")
    assert py312.run().soak == 172800.0
    assert "is accepted" in py312("watch --stage 1 --duration 172800 --interval 300")
    py312("deploy --rollback --services auth gateway")
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "old-3.9"}
    py312("deploy --stage 1 --env test --duration 86400 --interval 600")
    assert "is accepted" in py312("watch --services gateway --interval 600 --duration 86400")
    py312("rollback --services auth")
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "new-3.12"}
    py312("deploy --rollback --stage 1")
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "old-3.9"}


def test_services_with_a_folder_in_their_name_and_patterns_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = '[[stage]]\nnumber = 1\nservices = ["diagnostic-services/*"]\n'
    folder = tmp_path / "diagnostic-services" / "look"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("attrs\n")
    py312 = shell_in(tmp_path, monkeypatch, plan=ROADMAP, stages=stages)
    py312.target.serve("look", "old-3.9")
    py312("deploy --stage 1")
    assert py312.run().services == ("look",)
    assert "would roll stage 1 back" in py312("rollback --services diagnostic-services/* --dry-run")
    py312("rollback --services diagnostic-services/look")
    assert py312.target.serving()["look"] == "old-3.9"
    with pytest.raises(OptionError, match="--services agent-services/look: no such service"):
        py312("rollback --services agent-services/look")


def test_the_compatibility_tests_take_services_with_a_blank_between_them() -> None:
    words, more = parted(["test", "--services", "a", "b/c", "d,e", "--", "-x"])
    assert pytest_argv(_parsers()[0].parse_args(words), more)[1:] == [
        "-m", "pytest", "--py312", "--py312-services=a,b/c,d,e", "-x",
    ]  # fmt: skip


# ---- a journal that cannot be used


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as journal:
        journal.execute("PRAGMA user_version=7")


def garbage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 2000)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def stranger(file: Path) -> None:
    with closing(sqlite3.connect(file)) as journal:
        journal.execute("UPDATE entries SET kind = 'Teleported' WHERE kind = 'Locked'")
        journal.commit()


TROUBLES = {
    newer: r"form 7, known: 1\)\..* use that version for it",
    garbage: r"file is not a database\..* bring it back from a copy",
    folder: r"unable to open database file\..* one that this user can write to, or give --state-dir",
    stranger: r"of the unknown kind 'Teleported': a newer version of this tool has written it",
}
OPENING = [
    "status", "deploy --stage 1", "rollback --stage 1", "recover", "unlock", "watch --stage 1", "tick --stage 1",
    "decide accept --stage 1 --reason fine", "compare --stage 1", "evidence --stage 1", "contract --stage 1",
    "roadmap",
]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_a_journal_that_cannot_be_used_is_told_with_what_to_do(py312: Shell, trouble: object) -> None:
    assert callable(trouble)
    for left in py312.ground.state.glob("rollout.sqlite-*"):
        left.unlink()
    trouble(py312.ground.state / "rollout.sqlite")
    steps = len(py312.target.steps)
    for line in OPENING:
        if (trouble, line) == (stranger, "unlock"):
            continue  # it looks at the lock alone
        with pytest.raises(StateError, match=TROUBLES[trouble]):
            py312(line)
    assert len(py312.target.steps) == steps, "nothing was even looked at"
    found = {row["area"]: row for row in py312.document("doctor", code=1)["rows"]}
    assert found["journal"]["health"] == "trouble"


def test_a_journal_that_another_process_locks_is_waited_for_and_then_told(
    py312: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_py312.core.database.PATIENCE", 0.1)
    with closing(sqlite3.connect(py312.ground.state / "rollout.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateError, match=r"locked.*another process has kept it locked for 0\.1 s"):
            py312("rollback --stage 1")
    py312("rollback --stage 1")


def test_a_full_disk_ends_a_deployment_in_words(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is touched."""
    monkeypatch.setattr("pytest_py312.core.database.SMALLEST_ROOM", 2**62)
    monkeypatch.setattr("pytest_py312.rollout.domain.journal.SMALLEST_ROOM", 2**62)
    py312("rollback --stage 1")
    with pytest.raises(RolloutRefused, match=r"there are only \d+ MiB left where the journal lies"):
        py312("deploy --stage 1")
    assert py312.target.serving()["auth"] == "old-3.9"
