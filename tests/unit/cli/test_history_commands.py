"""``py312 diff`` and ``py312 history``."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from pytest_py312.core.model.report import Report
from pytest_py312.core.model.shards import ShardPart
from pytest_py312.gate.history.history_store import HistoryStore
from pytest_py312.gate.reports.json_report import render
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, finding, judged, report_of

READY = report_of(*(judged(on=on) for on in (PY39, PY310, PY312)), services=(service(suite=None),), exit_status=0)
BLOCKED = replace(READY, outcomes=(judged(finding()),), exit_status=1, generated="2025-03-02T12:00:00Z")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    write("ready.json", READY)
    write("blocked.json", BLOCKED)
    return tmp_path


def write(name: str, report: Report) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(render(report), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("ready.json", "blocked.json", 1, "Worse than before: user-service."),
        ("blocked.json", "ready.json", 0, "Nothing is worse than before."),
        ("ready.json", "ready.json", 0, "Unchanged: 1 still ready."),
    ],
)
def test_a_difference_is_printed_and_what_is_worse_fails(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, code: int, line: str
) -> None:
    assert main(["diff", old, new]) == code
    out, err = capsys.readouterr()
    assert line in out.splitlines()
    assert err == ""


@pytest.mark.parametrize(
    ("options", "beginning"),
    [
        (["--format=md"], "### Python 3.12: 1 service newly blocked"),
        (["--format=html"], "<!DOCTYPE html>"),
        (["--output=diff.md"], "### Python 3.12"),
        (["--output=diff.html"], "<!DOCTYPE html>"),
        (["--output=diff.txt"], "Python 3.12: 1 service newly blocked"),
        (["--output=comment", "--format=md"], "### Python 3.12"),
    ],
)
def test_the_format_is_that_of_the_option_or_of_the_ending(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], beginning: str
) -> None:
    assert main(["diff", "ready.json", "blocked.json", *options]) == 1
    written = [file.read_text() for name in ("diff.*", "comment") for file in folder.glob(name)]
    assert (*written, capsys.readouterr().out)[0].startswith(beginning)


def test_both_files_are_checked_before_anything_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("half.json").write_bytes(render(READY).encode()[:900])
    assert main(["diff", "raedy.json", "half.json", "--output=diff.md"]) == 4
    first, second = capsys.readouterr().err.splitlines()
    assert first == 'py312: raedy.json does not exist, perhaps you meant "ready.json"'
    assert second.startswith("half.json is not whole: it is no JSON from line ")
    assert not Path("diff.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "ready.json", "blocked.json", "--format=htlm"], "expected one of text, md, html, perhaps you meant"),
        (["diff", "ready.json", "blocked.json", "--output=a.pdf"], "give --format, or one of these endings: .txt, .md"),
        (["diff", "ready.json"], "the following arguments are required: NEW.json"),
        (["diff", "ready.json", "blocked.json", "--output=no/a.md"], "no/a.md could not be written: No such file"),
        (["history", "nowhere"], "nowhere: there is no such file or folder"),
        (["history", "--format=html"], "--format html: expected one of text, md, json"),
    ],
)
def test_mistakes_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 4
    assert message in capsys.readouterr().err


def test_reports_for_other_targets_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(render(READY)) | {"target": "3.13"}
    Path("next.json").write_text(json.dumps(document))
    assert main(["diff", "ready.json", "next.json"]) == 4
    assert "ready.json is about Python 3.12, and next.json about 3.13" in capsys.readouterr().err


# ---- history


def test_the_history_of_a_folder_with_reports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of CI runs are in folders of their own, beside other files; a copy counts once."""
    write("runs/7/report.json", READY)
    write("runs/8/report.json", BLOCKED)
    write("runs/8/copy.json", BLOCKED)
    Path("runs/8/other.json").write_text("{}")
    assert main(["history", "runs"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["ended", "2025-03-01", "2025-03-02"]
    assert err == ""


def test_a_damaged_report_is_named_and_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("runs/7/report.json", READY)
    Path("runs/8.json").write_bytes(render(BLOCKED).encode()[:900])
    assert main(["history", "runs", "--format=json"]) == 1
    out, err = capsys.readouterr()
    assert len(json.loads(out)["runs"]) == 1
    assert err.startswith("py312: runs/8.json is not whole")


def test_a_folder_without_a_report_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other").mkdir()
    Path("other/a.json").write_text("{}")
    assert main(["history", "other"]) == 4
    assert "other has no report of a whole run among 1 JSON file: --py312-report=FILE" in capsys.readouterr().err
    Path("empty").mkdir()
    assert main(["history", "empty"]) == 4


@pytest.mark.parametrize("where", [".", "services", ".py312", ".py312/history.sqlite"])
def test_the_history_of_the_stored_runs(folder: Path, capsys: pytest.CaptureFixture[str], where: str) -> None:
    """Also where reports lie about: the repository's own state has all runs."""
    Path("services").mkdir()
    HistoryStore(folder / ".py312").add("r1", BLOCKED, exit_status=1)
    assert main(["history", where]) == 0
    assert "3.12    1         0      1        0            1" in capsys.readouterr().out


def test_parts_of_a_run_are_no_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CI keeps the report of each part beside the merged one."""
    part = ShardPart(part=2, parts=8, identity=None, units=(), prefix="", record="")
    write("runs/part.json", replace(BLOCKED, shard=part))
    write("runs/merged.json", BLOCKED)
    assert main(["history", "runs"]) == 0
    out, err = capsys.readouterr()
    assert (len(out.splitlines()), err) == (2, "")


def test_a_folder_of_the_repository_with_other_json_has_the_stored_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    HistoryStore(folder / ".py312").add("r1", BLOCKED, exit_status=1)
    Path("web").mkdir()
    Path("web/package.json").write_text("{}")
    assert main(["history", "web"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_only_damaged_reports_are_no_history(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").mkdir()
    Path("runs/8.json").write_bytes(render(BLOCKED).encode()[:900])
    assert main(["history", "runs"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert err.startswith("py312: runs/8.json is not whole")


def test_without_a_run_there_is_no_history(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".py312").mkdir()
    assert main(["history"]) == 4
    assert "no run is stored in .py312: `pytest --py312` stores each run" in capsys.readouterr().err


def test_one_report_is_a_history_of_one_run(folder: Path) -> None:
    assert main(["history", "ready.json", "--output=history.md"]) == 0
    assert len(Path("history.md").read_text().splitlines()) == 3
