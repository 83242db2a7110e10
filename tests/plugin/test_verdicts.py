"""How outcomes become pytest's: exit codes, counts, JUnit, the header, the summary and the report file."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import pytest_py312
from tests.plugin.gate_helpers import IDS, Faked

SCHEMA = json.loads(
    (Path(pytest_py312.__file__).parent / "gate/reports/report.schema.json").read_text(encoding="utf-8")
)


@pytest.fixture
def mixed(faked: Faked) -> Faked:
    """One outcome of each kind beside those that passed."""
    faked.gate.answers = {
        "auth-service-py3.12-suite": ("failed", "1 test fails (passes on 3.10)"),
        "user-service-py3.10-suite": ("skipped", "its tests need a cluster"),
        "user-service-py3.12-suite": ("errored", "the suite did not come to its end: time limit of 900 s reached"),
    }
    return faked


def test_four_ends_are_four_counts(mixed: Faked) -> None:
    """What could not be checked is an error and not a failure; it fails the run like one."""
    result = mixed.run()
    result.assert_outcomes(passed=7, failed=1, skipped=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_an_error_alone_fails_the_run(faked: Faked) -> None:
    faked.gate.answers["user-service-py3.9-suite"] = ("errored", "no Python 3.9 was found")
    result = faked.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR services/user-service::py3.9::suite*", "*1 error*"])


def test_exit_codes(faked: Faked) -> None:
    """pytest's own: 0 proven, 1 failed, 2 interrupted, 4 the user's mistake, 5 nothing chosen."""
    assert faked.run().ret == pytest.ExitCode.OK
    assert faked.run("-k", "nothing_of_that_name").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert faked.run("--py312-stage=7").ret == pytest.ExitCode.USAGE_ERROR
    faked.gate.answers["user-service-py3.9-suite"] = ("failed", "no")
    assert faked.run().ret == pytest.ExitCode.TESTS_FAILED
    faked.gate.raised["user-service-py3.12-suite"] = KeyboardInterrupt()
    assert faked.run().ret == pytest.ExitCode.INTERRUPTED


def test_a_mistake_of_ours_is_one_items_error(faked: Faked) -> None:
    """The other items go on, and the message asks to report it."""
    faked.gate.raised["auth-service-py3.10-suite"] = RuntimeError("a wheel came off")
    result = faked.run("--py312-report=all.json")
    result.assert_outcomes(passed=9, errors=1)
    report = json.loads((faked.root / "all.json").read_text())
    (wrong,) = [found for found in report["outcomes"] if found["status"] == "errored"]
    assert "internal error in pytest-py312" in wrong["reason"]
    assert "a wheel came off" in wrong["reason"]


def test_failures_have_no_traceback(mixed: Faked) -> None:
    """The message of the finding is shown, with the remedy."""
    result = mixed.run()
    text = result.stdout.str()
    assert "Traceback" not in text
    assert "plugin_items.py" not in text
    result.stdout.fnmatch_lines(["*auth-service-py3.12 suite*", "1 test fails (passes on 3.10)", "*fix it*"])


def test_the_assembly_is_closed_however_it_ends(faked: Faked) -> None:
    faked.run()
    assert faked.closed == 1
    faked.gate.raised["auth-service-py3.10-dependencies"] = KeyboardInterrupt()
    faked.run()
    assert faked.closed == 2


def cases_of(path: Path) -> dict[str, ElementTree.Element]:
    return {
        f"{case.get('classname')} {case.get('name')}": case
        for case in ElementTree.parse(path).getroot().iter("testcase")
    }


def test_junit(mixed: Faked) -> None:
    """Service, interpreter, stage and check are properties; the counts are those of the four ends."""
    mixed.run("--junitxml=junit.xml", "-o", "junit_family=xunit1")
    suite = ElementTree.parse(mixed.root / "junit.xml").getroot()[0]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "10", "failures": "1", "errors": "1", "skipped": "1"}
    cases = cases_of(mixed.root / "junit.xml")
    assert len(cases) == 10
    failed = next(
        case for name, case in cases.items() if "auth-service" in name and "py3.12" in name and "suite" in name
    )
    failure = failed.find("failure")
    assert failure is not None
    assert "1 test fails (passes on 3.10)" in (failure.get("message") or "")
    properties = {item.get("name"): item.get("value") for item in failed.iter("property")}
    assert properties == {
        "py312_service": "auth-service",
        "py312_interpreter": "3.12",
        "py312_stage": "1",
        "py312_check": "suite",
        "py312_status": "failed",
        "py312_codes": "PY401",
    }
    assert failed.get("file") == "services/auth-service/requirements.txt"
    errored = next(
        case for name, case in cases.items() if "user-service" in name and "py3.12" in name and "suite" in name
    )
    error = errored.find("error")
    assert error is not None
    assert "time limit of 900 s reached" in (error.get("message") or "") + (error.text or "")
    skipped = next(case.find("skipped") for case in cases.values() if case.find("skipped") is not None)
    assert skipped is not None
    assert skipped.get("message") == "its tests need a cluster"


def test_the_report_file_is_as_its_schema_says(mixed: Faked) -> None:
    """Every outcome is in it, by node id, with how pytest ended."""
    mixed.run("--py312-report=all.json", "--py312-report=again.json")
    text = (mixed.root / "all.json").read_text()
    report = json.loads(text)
    Draft202012Validator(SCHEMA).validate(report)
    assert [found["nodeid"] for found in report["outcomes"]] == IDS
    assert report["exit_status"] == 1
    assert {found["status"] for found in report["outcomes"]} == {"passed", "failed", "skipped", "errored"}
    assert json.loads((mixed.root / "again.json").read_text()) == report


def test_header(faked: Faked) -> None:
    faked.run("--py312-stage=2").stdout.fnmatch_lines(
        ["py312: target 3.12; 1 service, 3 cells; plan py312.toml", "py312: runner fake (a test); resolver none"]
    )


def test_summary_of_a_proof(faked: Faked) -> None:
    faked.run().stdout.fnmatch_lines(
        ["*py312: readiness for Python 3.12*", "proven: 2 services ready for 3.12 (5 cells)"]
    )


def test_summary_of_what_is_not_proven(mixed: Faked) -> None:
    result = mixed.run()
    result.stdout.fnmatch_lines(["Blocking", "*auth-service::py3.12::suite", "*PY401*", "not proven: *"])
    result.stdout.no_fnmatch_line("proven: *")


def test_a_skipped_suite_is_not_a_proof(faked: Faked) -> None:
    """``suite = false`` on the target leaves the service open, although the run is green."""
    faked.gate.answers["user-service-py3.12-suite"] = ("skipped", "its tests need a cluster")
    faked.run().stdout.fnmatch_lines(["*its tests need a cluster*", "not proven: *"])


def test_cached_outcomes_are_marked(faked: Faked) -> None:
    faked.gate.cached = True
    result = faked.run("-v")
    result.stdout.fnmatch_lines(["services/auth-service::py3.10::dependencies PASSED (cached)*", "*5 cached*"])
    result.assert_outcomes(passed=10)


@pytest.mark.parametrize("options", [["-q"], ["-qq"], ["-v"], ["-vv"], ["--no-header"], ["--no-summary"], ["--tb=no"]])
def test_every_verbosity_says_how_it_ended(mixed: Faked, options: list[str]) -> None:
    result = mixed.run(*options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in result.stdout.str()
    if options != ["--no-summary"]:
        result.stdout.fnmatch_lines(["not proven: *"])


def test_without_a_terminal(mixed: Faked) -> None:
    """``-p no:terminal`` prints nothing, and the report file is written all the same."""
    result = mixed.run("-p", "no:terminal", "--py312-report=all.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert len(json.loads((mixed.root / "all.json").read_text())["outcomes"]) == 10


def test_without_the_junit_and_cache_plugins(mixed: Faked) -> None:
    result = mixed.run("-p", "no:cacheprovider", "-p", "no:junitxml", "-p", "no:stepwise")
    result.assert_outcomes(passed=7, failed=1, skipped=1, errors=1)


# ---- what could not be checked


def test_what_could_not_be_checked_has_an_exit_code_of_its_own(faked: Faked) -> None:
    """If asked for, and never 0: that means proven."""
    faked.gate.answers["user-service-py3.12-suite"] = ("errored", "the index did not answer")

    result = faked.run("--py312-inconclusive=warn", "--py312-report=all.json")

    assert result.ret == 76
    result.assert_outcomes(passed=9, errors=1)
    result.stdout.fnmatch_lines(
        [
            "Could not be checked",
            "*the index did not answer",
            "not proven: 1 service could not be checked; 1 ready*exit code 76*",
        ]
    )
    assert json.loads((faked.root / "all.json").read_text())["exit_status"] == 76
    assert faked.run("--py312-inconclusive=fail").ret == pytest.ExitCode.TESTS_FAILED
    assert faked.run("--py312-inconclusive=warm").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("answers", "options", "expected"),
    [
        ({}, (), 0),
        ({"user-service-py3.9-suite": ("failed", "no")}, (), 1),
        ({"auth-service-py3.10-suite": ("errored", "also")}, ("-x",), 1),
    ],
    ids=["all proven", "one failed", "not all was run"],
)
def test_it_is_for_nothing_else(
    faked: Faked, answers: dict[str, tuple[str, str]], options: tuple[str, ...], expected: int
) -> None:
    if expected:
        faked.gate.answers["user-service-py3.12-suite"] = ("errored", "lost")
    faked.gate.answers |= answers

    assert faked.run("--py312-inconclusive=warn", *options).ret == expected


def test_an_objection_outweighs_it(faked: Faked) -> None:
    faked.gate.answers["user-service-py3.12-suite"] = ("errored", "lost")
    faked.root.joinpath("conftest.py").write_text("def pytest_py312_verdict(): return ['frozen']\n")

    result = faked.run("--py312-inconclusive=warn")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not proven: 1 service could not be checked, frozen; 1 ready for 3.12"])
