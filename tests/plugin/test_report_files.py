"""Report files by their ending, annotations in a GitHub workflow, and the summary of its job."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft4Validator

from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.report import Report
from pytest_py312.plugin import report_files
from tests.plugin.gate_helpers import Faked

SCHEMA = json.loads((Path(__file__).parents[1] / "data/sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
APP = "services/user-service/app.py"


@pytest.fixture
def failing(faked: Faked) -> Faked:
    """One finding, with a place."""
    faked.root.joinpath(APP).write_text("import asyncio\n\tasyncio.async(x)\n")
    finding = Finding(code="PY202", message="gone, on 3.12", location=Location(path=APP, line=2, column=10))
    faked.gate.findings["user-service-py3.12-suite"] = [finding]
    return faked


def test_several_forms_at_once(failing: Faked) -> None:
    names = ["all.json", "all.sarif", "all.sarif.json", "all.md", "all.html", "all.target.pyperf.json"]
    names.append("all.baseline.pytest-benchmark.json")

    result = failing.run(*(f"--py312-report={name}" for name in names))

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"report: *{name}" for name in names])
    texts = {name: failing.root.joinpath(name).read_text(encoding="utf-8") for name in names}
    assert json.loads(texts["all.json"])["schema"] == 1
    assert texts["all.sarif"] == texts["all.sarif.json"]
    assert texts["all.md"].startswith("# Python 3.12: not proven")
    assert "<title>Python 3.12: not proven" in texts["all.html"]
    assert json.loads(texts["all.target.pyperf.json"])["benchmarks"] == []
    assert json.loads(texts["all.baseline.pytest-benchmark.json"])["benchmarks"] == []
    Draft4Validator(SCHEMA).validate(json.loads(texts["all.sarif"]))
    (found,) = json.loads(texts["all.sarif"])["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["contextRegion"]["snippet"]["text"] == "\tasyncio.async(x)"


def test_an_ending_that_is_not_known_is_answered_with_those_that_are(faked: Faked) -> None:
    result = faked.run("--py312-report=all.pdf")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "the ending determines the format, and has to be one of .html, .md, .sarif.json" in result.stderr.str()


def test_the_source_line_stands_in_the_failure_and_in_the_summary(failing: Faked) -> None:
    """With a caret under the column, once in each."""
    text = failing.run().stdout.str()

    assert text.count("2 | asyncio.async(x)\n") == 2
    assert text.count("  |         ^\n") == 2


def test_uris_start_at_the_checkout(failing: Faked) -> None:
    """Also where the plan is in a folder of it."""
    (failing.root / "platform").mkdir()
    for name in ("py312.toml", "services"):
        (failing.root / name).rename(failing.root / "platform" / name)
    (failing.root / ".git").mkdir()

    failing.run("--py312-plan=platform/py312.toml", "--py312-report=all.sarif")

    (found,) = json.loads(failing.root.joinpath("all.sarif").read_text())["runs"][0]["results"]
    uri = found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == f"platform/{APP}"


def annotations(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("::")]


ANNOTATION = f"::error file={APP},line=2,col=10,title=PY202 user-service (py3.12)::gone, on 3.12"


@pytest.mark.parametrize(
    ("variable", "options", "expected"),
    [
        ("true", [], [ANNOTATION]),
        ("true", ["--py312-annotations=auto", "-q"], [ANNOTATION]),
        ("true", ["--py312-annotations=none"], []),
        ("", [], []),
        ("", ["--py312-annotations=github"], [ANNOTATION]),
    ],
)
def test_a_workflow_is_annotated(
    failing: Faked, monkeypatch: pytest.MonkeyPatch, variable: str, options: list[str], expected: list[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", variable)

    assert annotations(failing.run(*options)) == expected


def test_the_ini_setting_of_annotations(failing: Faked) -> None:
    failing.root.joinpath("pytest.ini").write_text("[pytest]\npy312_annotations = github\n")

    assert annotations(failing.run("--strict-config")) == [ANNOTATION]


def test_an_unknown_kind_of_annotations_is_a_mistake(faked: Faked) -> None:
    result = faked.run("--py312-annotations=gihub")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert 'perhaps you meant "github"' in result.stderr.str()


def test_paths_of_annotations_lead_from_the_workspace(failing: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(failing.root.parent))

    (line,) = annotations(failing.run())

    assert line.startswith(f"::error file={failing.root.name}/{APP},")


def test_the_summary_of_the_job_is_appended(failing: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several runs of one step stand below each other."""
    summary = failing.root / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    failing.run()
    once = summary.read_text(encoding="utf-8")
    failing.run("-q")

    assert once.startswith("# Python 3.12: not proven")
    assert summary.read_text(encoding="utf-8") == once * 2
    failing.run("--py312-annotations=none")
    assert summary.read_text(encoding="utf-8") == once * 2


def test_a_summary_that_cannot_be_written_is_reported_and_changes_no_verdict(
    faked: Faked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(faked.root / "nowhere" / "summary.md"))

    result = faked.run()

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*summary.md could not be written: No such file or directory"])


def test_a_full_disk_leaves_no_part_of_a_report(failing: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each report is there as a whole or not at all, and the reason is shown."""

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(report_files, "write_document", full)

    result = failing.run("--py312-report=all.json", "--py312-report=all.md")

    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["report: *all.md", "*all.json could not be written: No space left on device"])
    result.stdout.no_fnmatch_line("report: *all.json")
    assert not failing.root.joinpath("all.json").exists()


def test_an_error_of_ours_in_one_report_leaves_the_others(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    def render(_report: Report) -> str:
        raise KeyError("of ours")

    monkeypatch.setattr("pytest_py312.gate.reports.html.render", render)
    result = faked.run("--py312-report=all.html", "--py312-report=all.json")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert json.loads((faked.root / "all.json").read_text(encoding="utf-8"))["complete"] is True
    result.stdout.fnmatch_lines(
        ["report: *all.json", "*all.html could not be written: internal error in pytest-py312, please report it: Key*"]
    )


def test_an_error_of_ours_in_the_fixes_leaves_the_reports(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    def plan_fixes(*_: object, **_options: object) -> None:
        raise KeyError("of ours")

    monkeypatch.setattr("pytest_py312.plugin.fixes.plan_fixes", plan_fixes)
    result = faked.run("--py312-report=all.json", "--py312-diff")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert json.loads((faked.root / "all.json").read_text(encoding="utf-8"))["complete"] is True
    result.stdout.fnmatch_lines(["proven: 2 services*", "internal error in pytest-py312, please report it: KeyError*"])
