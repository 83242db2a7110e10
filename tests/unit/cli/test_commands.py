"""Every command of a rollout has help and JSON output, and a dry run if it changes anything."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pytest_py312.cli.command import RolloutCommand
from pytest_py312.cli.commands import COMMANDS as ALL_COMMANDS
from pytest_py312.cli.gate_commands import pytest_argv
from pytest_py312.cli.main import main, parse_arguments
from pytest_py312.core.errors import OptionError, RolloutRefused, StateError
from pytest_py312.rollout.domain.model import StageState
from tests.unit.rollout.shells import CONTRACT, PLAN, STAGES, Shell, shell_in

COMMANDS = [command.name for command in ALL_COMMANDS.values() if isinstance(command, RolloutCommand)]
LOOKING = {
    "plan": "plan --stage 1",
    "status": "status",
    "doctor": "doctor",
    "compare": "compare --stage 1",
    "export": "export alert-rules",
    "roadmap": "roadmap",
    "postmortem": "postmortem 1",
}
ACTING = {
    "deploy": "deploy --stage 1",
    "watch": "watch --stage 1",
    "sample": "sample --services auth",
    "promote": "promote --stage 1 --reason fine",
    "abort": "abort --stage 1 --reason slow",
    "rollback": "rollback --stage 1",
    "recover": "recover --start --accept-new-engine",
    "unlock": "unlock",
    "load-test": "load-test http://127.0.0.1:9/ --step 20x5 --warm-up 5x1",
    "drill": "drill --stage 2 --force --fault stop",
    "evidence": "evidence --stage 1",
    "test-contracts": "test-contracts --stage 1",
}


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch, stages=STAGES + CONTRACT)
    shell("deploy --stage 1")
    return shell


def held(py312: Shell) -> None:
    """Put the stage into the state *held*: someone else has deployed a container manually."""
    py312.sample_once()
    next(one for one in py312.target.containers.values() if one.running and one.name == "auth").name = "auth.gone"
    py312.target.serve("auth", "hand-3.12")
    py312.sample_once(code=1)
    assert py312.run().state is StageState.HELD


def journal_tables(py312: Shell) -> list[object]:
    with closing(sqlite3.connect(py312.context.state_dir / "rollout.sqlite")) as journal:
        return [journal.execute(f"SELECT * FROM {table}").fetchall() for table in ("runs", "entries", "samples")]


def test_all_commands_are_covered_here() -> None:
    assert {*LOOKING, *ACTING} == {*COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    help_text = capsys.readouterr().out
    assert help_text.startswith(f"usage: py312 {command}")
    assert "--json" in help_text
    assert ("--dry-run" in help_text) is (command in ACTING)


@pytest.mark.parametrize("command", LOOKING)
def test_each_reading_command_prints_one_document(py312: Shell, command: str) -> None:
    if command == "postmortem":
        py312("rollback --stage 1")
    tables_before = journal_tables(py312)
    document = py312.document(LOOKING[command], code=1 if command == "compare" else 0)
    assert document
    assert journal_tables(py312) == tables_before


@pytest.mark.parametrize("command", ACTING)
def test_each_changing_command_has_a_dry_run(py312: Shell, command: str) -> None:
    if command in ("promote", "abort"):
        held(py312)
    tables_before, locks, serving = journal_tables(py312), dict(py312.target.locks), py312.target.serving()
    steps = len(py312.target.steps)
    text, dry_run_document = py312(f"{ACTING[command]} --dry-run"), py312.document(f"{ACTING[command]} --dry-run")
    assert "would" in text
    assert dry_run_document["schema"] == 1
    assert (journal_tables(py312), py312.target.locks, py312.target.serving()) == (tables_before, locks, serving)
    assert not [step for step in py312.target.steps[steps:] if not step.startswith("observe")]
    assert not (py312.context.state_dir / "evidence").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "watch --stage 1",
            "would sample auth of stage 1 in test until its soak is decided, every 1 m; at least 3 m left",
        ),
        ("sample --stage 1", "would sample auth of stage 1 in test once, if a sample is due, every 1 m"),
        (
            "load-test http://127.0.0.1:9/ --step 20x5",
            "would send requests to http://127.0.0.1:9/: 20 a second for 5 s (100 requests)",
        ),
        ("test-contracts --stage 1", "would test these contracts with both versions: gateway->auth: /verify"),
    ],
)
def test_a_dry_run_contains_the_numbers(py312: Shell, line: str, says: str) -> None:
    assert py312(f"{line} --dry-run").startswith(says)


def test_a_finished_stage_would_not_be_sampled(py312: Shell) -> None:
    py312("rollback --stage 1")
    assert py312("sample --stage 1 --dry-run") == "stage 1 in test is rolled back: it would not be sampled\n"


# ---- compatibility with older scripts


ROADMAP = PLAN.replace('interval = "60s"\nduration = "180s"', 'interval = "5m"\nduration = "48h"')


def test_flags_of_older_scripts_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds without a unit, services separated by blanks, rollback as an option."""
    names = 'services = ["auth"]', 'services = ["auth", "gateway"]'
    py312 = shell_in(tmp_path, monkeypatch, plan=ROADMAP, stages=STAGES.split("\n\n")[0].replace(*names))

    async def rest(seconds: float) -> None:
        py312.seconds += seconds

    monkeypatch.setattr("pytest_py312.core.clock.asyncio.sleep", rest)
    py312("deploy --stage 1 --env test --interval 7200")
    assert py312.run().soak == 172800.0
    assert "is accepted" in py312("watch --stage 1 --duration 172800 --interval 7200")
    py312("deploy --rollback --services auth gateway")
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "old-3.9"}
    py312("deploy --stage 1 --env test --duration 86400 --interval 7200")
    assert "is accepted" in py312("watch --services gateway --interval 7200 --duration 86400")
    py312("rollback --services auth")
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "new-3.12"}
    py312("deploy --rollback --stage 1")
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "old-3.9"}


def test_services_are_selected_by_path_or_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_gate_accepts_services_separated_by_blanks() -> None:
    options = parse_arguments(["test", "--services", "a", "b/c", "d,e", "--", "-x"])
    assert pytest_argv(options)[1:] == [
        "-m", "pytest", "--py312", "-o", "filterwarnings=", "--py312-services=a,b/c,d,e", "-x",
    ]  # fmt: skip


def test_only_some_checks_of_the_gate() -> None:
    options = parse_arguments(["test", "--check", "source", "--check", "versions", "--files", "a", "b"])
    assert (options.files, pytest_argv(options)[-2:]) == (["a", "b"], ["-m", "py312_source or py312_versions"])


# ---- a journal that cannot be used


def newer_schema(file: Path) -> None:
    with closing(sqlite3.connect(file)) as journal:
        journal.execute("PRAGMA user_version=7")


def garbage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 2000)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def foreign_journal(file: Path) -> None:
    with closing(sqlite3.connect(file)) as journal:
        journal.execute("UPDATE entries SET kind = 'Teleported' WHERE kind = 'Locked'")
        journal.commit()


TROUBLES = {
    newer_schema: r"schema 7; this version reads 1\)\..* use the version that wrote it",
    garbage: r"file is not a database\..* restore it from a backup",
    folder: r"unable to open database file\..* make it and its folder writable for this user, or .* --state-dir",
    foreign_journal: r"of the unknown kind 'Teleported': a newer version of this tool wrote it",
}
OPENING = [
    "status", "deploy --stage 1", "rollback --stage 1", "recover", "unlock", "watch --stage 1", "sample --stage 1",
    "promote --stage 1 --reason fine", "compare --stage 1", "evidence --stage 1", "test-contracts --stage 1",
    "roadmap", "postmortem",
]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_an_unusable_journal_is_reported_with_a_remedy(py312: Shell, trouble: object) -> None:
    assert callable(trouble)
    for left in py312.context.state_dir.glob("rollout.sqlite-*"):
        left.unlink()
    trouble(py312.context.state_dir / "rollout.sqlite")
    steps = len(py312.target.steps)
    for line in OPENING:
        if (trouble, line) == (foreign_journal, "unlock"):
            continue  # it only reads the lock
        with pytest.raises(StateError, match=TROUBLES[trouble]):
            py312(line)
    assert len(py312.target.steps) == steps, "the target was not even read"
    output = {row["area"]: row for row in py312.document("doctor", code=1)["rows"]}
    assert output["journal"]["health"] == "trouble"


def test_a_locked_journal_is_reported_after_a_wait(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_py312.core.database.BUSY_TIMEOUT", 0.1)
    with closing(sqlite3.connect(py312.context.state_dir / "rollout.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateError, match=r"locked.*another process has locked it for 0\.1 s"):
            py312("rollback --stage 1")
    py312("rollback --stage 1")


def test_a_full_disk_refuses_a_deployment(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is changed."""
    monkeypatch.setattr("pytest_py312.core.database.MIN_FREE_BYTES", 2**62)
    monkeypatch.setattr("pytest_py312.rollout.domain.journal.MIN_FREE_BYTES", 2**62)
    py312("rollback --stage 1")
    with pytest.raises(RolloutRefused, match=r"only \d+ MiB are free where the journal is stored"):
        py312("deploy --stage 1")
    assert py312.target.serving()["auth"] == "old-3.9"
