"""``py312 merge``: what it prints and writes, and how it ends."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from pytest_py312.gate.reports import render
from pytest_py312.gate.run.known_findings import findings_to_record, format_file
from tests.support.report_samples import finding, judged
from tests.support.shard_samples import IDENTITY, all_parts, outcomes_of, part_of, whole_report

FILES = ("shard-1.json", "shard-2.json", "shard-3.json")
KNOWN = format_file(findings_to_record(whole_report().outcomes))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the documents of all parts."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for file, content in all_parts().items():
        (tmp_path / file).write_bytes(content)
    return tmp_path


def write_parts(folder: Path, known_findings: str = "", **options: str) -> None:
    """Write the documents of a run that was checked with these options."""
    digest = hashlib.sha256(known_findings.encode()).hexdigest() if known_findings else ""
    given = {"--py312-known-findings": digest, **{f"--py312-{name}": value for name, value in options.items()}}
    identity = replace(IDENTITY, options=tuple(given.items()))
    for part in (1, 2, 3):
        (folder / f"shard-{part}.json").write_bytes(part_of(part, identity=identity))


def test_the_verdict_is_printed_as_pytest_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *FILES]) == 1

    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"py312: 3 parts of commit {IDENTITY.commit[:12]}, 4 services"
    assert lines[1] == " py312: readiness for Python 3.12 ".center(80, "=")
    assert "  services/b-service::source" in lines
    assert lines[-1] == "not proven: 1 service blocked; 3 ready for 3.12"
    assert err == ""
    assert "\x1b" not in out


def test_quiet_shows_what_blocks_and_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "-q", *FILES]) == 1
    assert "stage 1" not in capsys.readouterr().out


def test_reports_are_written_as_those_of_an_undivided_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"--report=all.{ending}" for ending in ("json", "html", "md", "sarif", "junit.xml")]

    assert main(["merge", *FILES, *options, "--junitxml=results.xml"]) == 1

    for ending, report_format in (("json", "json"), ("html", "html"), ("md", "md"), ("sarif", "sarif")):
        assert (folder / f"all.{ending}").read_bytes() == render(whole_report(), report_format, prefix="")
    junit = render(whole_report(), "junit", prefix="")
    assert (folder / "results.xml").read_bytes() == (folder / "all.junit.xml").read_bytes() == junit
    assert "report: results.xml" in capsys.readouterr().out


def test_a_workflow_of_github_gets_its_annotations_and_its_summary(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))

    assert main(["merge", *FILES]) == 1

    assert "::error file=services/b-service/app.py,line=3" in capsys.readouterr().out
    assert "b-service" in (folder / "summary.md").read_text(encoding="utf-8")


def test_every_fault_is_named_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = (folder / "shard-1.json").read_bytes()
    (folder / "shard-1.json").write_bytes(content[:500])
    (folder / "shard-3.json").write_bytes(content.replace(b'"passed"', b'"skipped"'))

    assert main(["merge", *FILES, "shard-4.json", "--report=all.md", "--durations=times.json"]) == 4

    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(" (")[0] for line in err.splitlines()] == [
        "py312: the parts cannot be merged, so nothing is proven:",
        "  shard-1.json is not whole: it is no JSON from line 26 on",
        "  shard-3.json was changed after it was written: its content does not have its digest",
        "  shard-4.json cannot be read: No such file or directory",
    ]
    assert not (folder / "all.md").exists()
    assert not (folder / "times.json").exists()


def test_files_with_the_same_fault_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as 256 parts of another version."""
    files = [f"empty-{number}.json" for number in range(8)]
    for file in files:
        (folder / file).touch()

    assert main(["merge", *FILES, *files]) == 4
    assert capsys.readouterr().err.splitlines()[1:] == [
        "  empty-0.json, empty-1.json, empty-2.json, empty-3.json, empty-4.json and 3 more: each is empty: it was not "
        "written to its end"
    ]


def test_a_missing_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *FILES[:2]]) == 4
    assert "  part 3 of 3 is missing" in capsys.readouterr().err


def test_a_part_that_was_stopped_is_named_beside_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = whole_report("b-service", outcomes=(), not_run=(), cut_short=True, exit_status=2)
    keys = tuple((outcome.service, outcome.interpreter, outcome.check) for outcome in outcomes_of("b-service"))
    (folder / "shard-2.json").write_bytes(part_of(2, report=replace(report, not_run=keys)))

    assert main(["merge", *FILES, "--report=all.json"]) == 2

    out, err = capsys.readouterr()
    assert "part 2 (shard-2.json) was stopped before its end: 3 items not checked" in err
    assert "the run was interrupted" in out
    assert json.loads((folder / "all.json").read_text(encoding="utf-8"))["complete"] is False


@pytest.mark.parametrize(
    ("commit", "status"), [(IDENTITY.commit, 1), (IDENTITY.commit[:8].upper(), 1), ("deadbeef", 4)]
)
def test_parts_of_another_commit_can_be_refused(commit: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *FILES, f"--commit={commit}"]) == status
    assert ("and not of dead" in capsys.readouterr().err) == (status == 4)


# ---- durations


def test_durations_are_written_and_updated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "times.json").write_text('{"schema": 1, "services": {"gone": {"source": 9.0}, "a-service": {"x": 8}}}')

    assert main(["merge", *FILES, "--durations=times.json"]) == 1

    services = json.loads((folder / "times.json").read_text())["services"]
    assert services["a-service"] == {"source": 1.0, "py3.9::dependencies": 2.0, "py3.12::dependencies": 2.0, "x": 8.0}
    assert set(services) == {"a-service", "b-service", "c-service", "d-service"}
    assert "durations: times.json" in capsys.readouterr().out


def test_a_run_of_some_services_keeps_the_durations_of_the_others(folder: Path) -> None:
    write_parts(folder, stage="1")
    (folder / "times.json").write_text('{"schema": 1, "services": {"other": {"source": 9.0}}}')

    assert main(["merge", *FILES, "--durations=times.json"]) == 1
    assert json.loads((folder / "times.json").read_text())["services"]["other"] == {"source": 9.0}


# ---- known findings


def test_findings_are_recorded_over_the_whole_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_parts(folder)

    assert main(["merge", *FILES, "--known-findings=known.json", "--update-known-findings"]) == 1

    assert (folder / "known.json").read_text(encoding="utf-8") == KNOWN
    assert "1 finding of 1 service recorded in known.json" in capsys.readouterr().out


def test_fixed_findings_are_removed_from_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = judged(finding(path="services/c-service/app.py"), of="c-service")
    both = format_file((*findings_to_record(whole_report().outcomes), *findings_to_record([fixed])))
    (folder / "known.json").write_text(both, encoding="utf-8")
    write_parts(folder, both)

    assert main(["merge", *FILES, "--known-findings=known.json"]) == 1
    assert "1 recorded finding no longer occurs: --update-known-findings removes them" in capsys.readouterr().out
    assert main(["merge", *FILES, "--known-findings=known.json", "--update-known-findings"]) == 1
    assert (folder / "known.json").read_text(encoding="utf-8") == KNOWN


def test_the_file_of_known_findings_has_to_be_that_of_the_parts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "known.json").write_text(KNOWN, encoding="utf-8")
    write_parts(folder, "another file")

    assert main(["merge", *FILES, "--known-findings=known.json"]) == 4
    assert "known.json is not the file that the parts were checked with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report=all.pdf"], "--report all.pdf: the ending has to be one of .html"),
        (["--report=nowhere/all.md"], "nowhere/all.md: there is no folder nowhere"),
        (["--junitxml=nowhere/all.xml"], "nowhere/all.xml: there is no folder nowhere"),
        (["--annotations=gitlab"], "--annotations gitlab: expected one of auto, github, none"),
        (["--commit="], '--commit "": expected the SHA of a commit'),
        (["--commit=c0ff"], "or its first 7 digits at least"),
        (["--update-known-findings"], "--update-known-findings needs --known-findings=FILE"),
        (
            ["--known-findings=no.json"],
            "--known-findings=no.json: there is no such file; record it with --upd",
        ),
        (["--reports=all.md"], 'perhaps you meant "--report"'),
        (["--durations=shard-1.json"], "this is not a file of durations"),
    ],
)
def test_mistakes_are_named(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *FILES, *options]) == 4
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
