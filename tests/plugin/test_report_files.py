"""Report files by their ending, annotations in a GitHub workflow, and the summary of its job."""

import importlib
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import Draft4Validator

from pytest_py312.cli.main import main
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.report import Report
from pytest_py312.gate import report_files
from pytest_py312.gate.fixes.verification_run import SECOND_RUN_VARIABLE
from pytest_py312.gate.history.history_store import HistoryStore
from pytest_py312.gate.history.stored_runs import RunStore
from pytest_py312.gate.reports import FORMAT_OF_ENDING
from tests.plugin.gate_helpers import IDS, Faked

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


NAMES = [f"all{ending}" for ending in FORMAT_OF_ENDING]


@pytest.mark.parametrize("options", [[], ["-x"], ["--py312-python=3.12"]])
def test_an_earlier_run_gives_the_same_files_again(
    failing: Faked, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """Whole, cut short, or of a part."""
    (failing.root / ".git").mkdir()
    run = failing.run(*(f"--py312-report={name}" for name in NAMES), *options)
    monkeypatch.chdir(failing.root)

    codes = {main(["report", f"--output=again-{name}"]) for name in NAMES}

    assert codes == {int(run.ret)}
    for name in NAMES:
        assert (failing.root / f"again-{name}").read_bytes() == (failing.root / name).read_bytes()


def test_the_second_run_after_a_fix_is_not_stored(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a part of the first one."""
    faked.run()
    monkeypatch.setenv(SECOND_RUN_VARIABLE, "1")
    faked.run()

    assert len(RunStore(faked.root / ".py312").runs()) == 1


def test_a_run_that_only_collects_is_not_stored(faked: Faked) -> None:
    faked.run("--collect-only")

    assert RunStore(faked.root / ".py312").runs() == ()


def test_a_run_is_stored_with_the_exit_status_of_its_process(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be written fails a run whose report says that all is proven."""

    def render(*_: object, **__: object) -> bytes:
        raise KeyError("of ours")

    monkeypatch.setattr(report_files, "render", render)
    failed = faked.run("--py312-report=report.html")

    (run,) = RunStore(faked.root / ".py312").runs()
    (past,) = HistoryStore(faked.root / ".py312").runs()
    assert (past.origin, past.exit_status, len(past.verdicts)) == (run.id, run.exit_status, 2)
    monkeypatch.chdir(faked.root)
    assert failed.ret != pytest.ExitCode.OK
    assert (run.exit_status, main(["report", "--output=again.md", "--format=md"])) == (failed.ret, failed.ret)


def test_a_run_whose_collection_fails_is_not_mistaken_for_the_one_before_it(faked: Faked) -> None:
    faked.run()
    faked.root.joinpath("conftest.py").write_text(
        "def pytest_collectreport(report):  # for pytest_py312\n    raise SystemError\n"
    )
    failed = faked.run()

    newest, *earlier = RunStore(faked.root / ".py312").runs()
    assert failed.ret != pytest.ExitCode.OK
    assert ([run.exit_status for run in earlier], newest.exit_status) == ([pytest.ExitCode.OK], failed.ret)


def test_our_junit_file_has_the_items_of_pytests_own(failing: Faked) -> None:
    failing.gate.answers |= {
        "auth-service-py3.10-suite": ("errored", "the suite was killed"),
        "auth-service-py3.12-suite": ("skipped", "it has none"),
    }
    failing.run("--py312-report=ours.junit.xml", "--junitxml=theirs.xml")

    ours, theirs = (junit_cases(failing.root / name) for name in ("ours.junit.xml", "theirs.xml"))
    assert len(ours) == len(IDS)
    assert ours == theirs


def junit_cases(file: Path) -> dict[tuple[str, str], list[object]]:
    """Return problem, message and properties of each case; the stage is a property in pytest's file only."""
    cases: dict[tuple[str, str], list[object]] = {}
    for case in ElementTree.parse(file).iter("testcase"):
        problems = [child.tag for child in case if child.tag != "properties"]
        properties = {item.get("name"): item.get("value") for item in case.iter("property") if item.get("value")}
        properties.pop("py312_stage", None)
        cases[case.attrib["classname"], case.attrib["name"]] = [*problems, properties]
    return cases


def test_an_ending_that_is_not_known_is_answered_with_those_that_are(faked: Faked) -> None:
    result = faked.run("--py312-report=all.pdf")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "the ending determines the format, and has to be one of .html, .md, .sarif.json" in result.stderr.str()


@pytest.mark.parametrize(("options", "count"), [((), 1), (("-v",), 2)])
def test_the_source_line_stands_in_the_summary(failing: Faked, options: tuple[str, ...], count: int) -> None:
    """With a caret under the column; with ``-v`` in the failure as well."""
    text = failing.run(*options).stdout.str()

    assert text.count("2 | asyncio.async(x)\n") == count
    assert text.count("  |         ^\n") == count


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

    # by its module: an earlier run in this process may have left another one as an attribute of the package
    monkeypatch.setattr(importlib.import_module("pytest_py312.plugin.fixes"), "plan_fixes", plan_fixes)
    result = faked.run("--py312-report=all.json", "--py312-diff")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert json.loads((faked.root / "all.json").read_text(encoding="utf-8"))["complete"] is True
    result.stdout.fnmatch_lines(["proven: 2 services*", "internal error in pytest-py312, please report it: KeyError*"])
