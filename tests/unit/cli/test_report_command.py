"""``py312 report``: reports of earlier runs."""

from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from pytest_py312.core.model.report import Report
from pytest_py312.gate.history.stored_runs import RunStore
from pytest_py312.gate.reports import render
from tests.support.report_samples import PY312, finding, judged, report_of

FAILED = report_of(judged(finding()))


def store_run(root: Path, run_id: str, report: Report = FAILED, began: str = "2025-03-01T12:00:00Z") -> None:
    store = RunStore(root / ".py312")
    store.begin(run_id, began)
    store.complete(run_id, report, "not proven: 1 service blocked", int(report.exit_status))


@pytest.mark.parametrize(("options", "report_format"), [((), "md"), (("--format=sarif",), "sarif")])
def test_the_last_run_is_written_with_the_exit_status_that_it_had(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], options: tuple[str, ...], report_format: str
) -> None:
    store_run(tmp_path, "first", report_of(exit_status=0))
    store_run(tmp_path, "last")

    assert main(["report", str(tmp_path), *options]) == 1
    out, err = capsysbinary.readouterr()
    assert (out, err) == (render(FAILED, report_format, prefix=""), b"")


def test_a_file_has_the_format_of_its_ending(tmp_path: Path) -> None:
    store_run(tmp_path, "one")
    file = tmp_path / "speed.target.pyperf.json"

    assert main(["report", str(tmp_path), f"--output={file}"]) == 1
    assert file.read_bytes() == render(FAILED, "target.pyperf", prefix="")


def test_the_runs_are_found_from_a_folder_below_and_without_reading_the_plan(tmp_path: Path) -> None:
    """A mistake in the plan is no reason to lose a report."""
    (tmp_path / "services" / "api").mkdir(parents=True)
    (tmp_path / "py312.toml").write_text("no plan")
    store_run(tmp_path, "one")
    output = f"--output={tmp_path / 'report.json'}"

    assert main(["report", str(tmp_path / "services" / "api"), output]) == 1
    assert main(["report", f"--plan={tmp_path / 'py312.toml'}", output]) == 1


def test_the_list_says_how_each_run_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_run(tmp_path, "first")
    RunStore(tmp_path / ".py312").begin("last", "2025-03-01T13:00:00Z")

    assert main(["report", str(tmp_path), "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "last  2025-03-01T13:00:00Z  no report: it is still running, or was killed before its end",
        "first  2025-03-01T12:00:00Z  exit 1  not proven: 1 service blocked",
    ]


def test_a_run_that_is_not_whole_is_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_run(tmp_path, "one", report_of(not_run=(("user-service", PY312, "suite"),), exit_status=2, cut_short=True))

    assert main(["report", str(tmp_path), "--from=one", "--format=json"]) == 2
    out, err = capsys.readouterr()
    assert '"complete": false' in out
    assert "run one is not complete: nothing was checked, the run was interrupted" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format=pdf"], "--format pdf: expected one of html, md, json, sarif, junit"),
        (["--format=htlm"], 'perhaps you meant "html"'),
        (["--output=report.txt"], "give --format, or one of these endings: .html"),
        (["--from=two"], "there is no such run"),
        (["--output=nowhere/report.md"], "could not be written: No such file or directory"),
        (["--plan=nowhere/py312.toml"], "no run is stored"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    store_run(tmp_path, "one")

    assert main(["report", str(tmp_path), *options]) != 0
    assert message in capsys.readouterr().err
