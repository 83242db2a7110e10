"""``py312 roadmap``: what the gate found comes from stored runs or from reports, dates from plan and journal."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.report import Report
from pytest_py312.gate.history.stored_runs import RunStore
from pytest_py312.gate.reports.json_report import render
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, finding, judged, report_of
from tests.unit.rollout.shells import PLAN, STAGES, Shell, shell_in

DATES = "number = 1\ndates = { test = { start = 2025-03-01, end = 2025-03-05 }, prod = { start = 2025-03-10 } }"
ENVIRONMENTS = "[deploy.environments]\ntest = {}\nprod = { after = ['test'] }\n"


def report_on(name: str, *, is_ready: bool) -> Report:
    findings = [] if is_ready else [finding(path=f"services/{name}/app.py")]
    outcomes = [judged(*findings, on=on, of=name) for on in (PY39, PY310, PY312)]
    return report_of(*outcomes, services=(service(name, suite=None),), exit_status=int(not is_ready))


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(clock, "today", lambda: date(2025, 3, 4))
    return shell_in(tmp_path, monkeypatch, plan=PLAN + ENVIRONMENTS, stages=STAGES.replace("number = 1", DATES))


def store(py312: Shell, run_id: str, report: Report) -> None:
    runs = RunStore(py312.context.state_dir)
    runs.begin(run_id, report.generated)
    runs.complete(run_id, report, "", int(report.exit_status))


def next_in(py312: Shell, line: str = "roadmap") -> str:
    step = py312.document(line)["environments"][0]["next"]
    return f"{step['command']}: {step['why']}"


def test_a_stage_is_deployed_when_it_is_proven(py312: Shell) -> None:
    assert next_in(py312) == "pytest --py312 --py312-stage=1: stage 1 was not checked yet"
    store(py312, "r1", report_on("auth", is_ready=False))
    assert next_in(py312).startswith(": fix PY202 in auth: asyncio.coroutine was removed in 3.11")
    store(py312, "r2", replace(report_on("auth", is_ready=True), generated="2025-03-02T12:00:00Z"))
    assert next_in(py312) == "py312 deploy --stage 1 --env test: proven on 2025-03-02"


def test_reports_count_instead_of_the_stored_runs(py312: Shell, tmp_path: Path) -> None:
    store(py312, "r1", report_on("auth", is_ready=False))
    for name in ("auth", "gateway"):
        Path(f"{name}.json").write_text(render(report_on(name, is_ready=True)))
    line = "roadmap --report auth.json --report gateway.json"
    assert next_in(py312, line).startswith("py312 deploy --stage 1")
    assert [stage["readiness"]["proven"] for stage in py312.document(line)["stages"]] == [True, True]
    with pytest.raises(OptionError, match=r'aut\.json does not exist, perhaps you meant "auth.json"'):
        py312("roadmap --report aut.json")


def test_planned_and_actual_dates_are_compared(py312: Shell) -> None:
    dates = py312.document("roadmap")["stages"][0]["dates"]
    assert (dates["test"]["planned_end"], dates["test"]["started"], dates["test"]["late_days"]) == (
        "2025-03-05", None, 3,
    )  # fmt: skip
    assert (dates["prod"]["planned_start"], dates["prod"]["planned_end"]) == ("2025-03-10", None)
    py312("deploy --stage 1")
    dates = py312.document("roadmap")["stages"][0]["dates"]["test"]
    assert (dates["attempts"], dates["accepted"]) == (1, None)
    assert dates["earliest_end"] is not None
    py312.accept(1)
    dates = py312.document("roadmap")["stages"][0]["dates"]["test"]
    assert dates["accepted"] == dates["started"]
    assert dates["earliest_end"] is None


def test_a_drill_is_no_attempt(py312: Shell) -> None:
    py312("drill --stage 1 --force")
    assert py312.document("roadmap")["stages"][0]["dates"]["test"]["attempts"] == 0


@pytest.mark.parametrize(
    ("options", "beginning"),
    [
        ("--output r.md", "# Roadmap to Python 3.12"),
        ("--output r.html", "<!DOCTYPE html>"),
        ("--output r.json", "{"),
        ("--output r --format html", "<!DOCTYPE html>"),
    ],
)
def test_it_is_written_to_a_file(py312: Shell, tmp_path: Path, options: str, beginning: str) -> None:
    assert py312(f"roadmap {options}") == ""
    (file,) = tmp_path.glob("r*")
    assert file.read_text().startswith(beginning)


def test_leftovers_can_go_when_all_environments_have_accepted(py312: Shell) -> None:
    (py312.root / "services/auth/app.py").write_text("import sys\nOLD = sys.version_info < (3, 9)\n")
    (leftovers,) = leftovers_of(py312)
    assert (leftovers["service"], leftovers["can_go"], leftovers["missing"]) == ("auth", False, ["test", "prod"])
    py312("deploy --stage 1")
    py312.accept(1)
    (leftovers,) = leftovers_of(py312)
    assert leftovers["missing"] == ["prod"]


def leftovers_of(py312: Shell) -> list[dict[str, object]]:
    leftovers: list[dict[str, object]] = py312.document("roadmap")["verify"]["leftovers"]
    return [item for item in leftovers if item["places"]]


def test_damaged_stored_runs_prove_nothing_and_are_reported(py312: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    store(py312, "r1", report_on("auth", is_ready=True))
    for file in py312.context.state_dir.glob("runs.sqlite*"):
        file.write_bytes(b"no database at all" * 2000)
    document = json.loads(py312("roadmap --json"))
    assert document["remarks"] == ["The stored runs of the gate cannot be read, so nothing counts as proven."]
    assert not document["stages"][0]["readiness"]["proven"]
    assert "runs.sqlite" in capsys.readouterr().err
