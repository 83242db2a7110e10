"""Deprecation warnings of older interpreters become findings on the target: once, with the appropriate severity."""

from collections.abc import Sequence

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.core.model.measurements import SuiteRun, SuiteWarning
from pytest_py312.gate.checks.deprecations import removed_after_warning
from tests.support.fakes import run_of, service

PY312 = Interpreter(3, 12)
APP = service("user-service")
HERE = "services/user-service/app/names.py"
IMP = "the imp module is deprecated in favour of importlib and slated for removal in Python 3.12; see the docs"
IMP_39 = "the imp module is deprecated in favour of importlib; see the docs"
FLAGS = "Flags not at the start of the expression 'a(?i)' but at position 1"


def warned(message: str, origin: str = f"{HERE}:3", count: int = 1) -> SuiteWarning:
    return SuiteWarning(category="DeprecationWarning", message=message, origin=origin, count=count)


def run(interpreter: str, *warnings: SuiteWarning, **versions: str) -> SuiteRun:
    return run_of({"t": "passed"}, interpreter, warnings=warnings, versions=versions)


def findings_for(
    *runs: SuiteRun,
    target_run: SuiteRun | None = None,
    source: Sequence[Finding] | None = None,
    worse: bool = True,
    target: Interpreter = PY312,
) -> list[Finding]:
    return removed_after_warning(APP, runs, target, target_run, lambda: source, worse=worse)


def test_own_code_is_reported_with_location_and_remedy() -> None:
    (finding,) = findings_for(run("3.9", warned(FLAGS, count=2), warned(FLAGS.replace("1", "7"), f"{HERE}:9")))
    assert (finding.code, finding.severity) == ("PY250", Severity.WARNING)
    assert finding.message == f"{FLAGS} (removed in 3.11)"
    assert finding.location == Location(path=HERE, line=3)
    assert finding.remedy == "put the flags first, or pass them as an argument"
    assert finding.detail == f"warned on 3.9, 3 times: {HERE}:3, {HERE}:9"


def test_differently_worded_warnings_of_one_line_are_one_finding() -> None:
    (found,) = findings_for(run("3.9", warned(IMP_39)), run("3.11", warned(IMP)))
    assert found.message == f"{IMP_39} (removed in 3.12)"
    assert found.detail.startswith("warned on 3.9 and 3.11, 2 times:")


@pytest.mark.parametrize("line", ["0", "", "x", "9" * 5000])
def test_an_invalid_line_number_is_left_out(line: str) -> None:
    """A suite can write anything: Python refuses to parse a number of so many digits."""
    (found,) = findings_for(run("3.9", warned(IMP, f"{HERE}:{line}")))
    assert found.location == Location(path=HERE)


def test_an_installed_distribution_is_reported_with_its_version() -> None:
    """Once, however many locations: the remedy is another version of it."""
    places = [f"/env/lib/python3.9/site-packages/old_lib/{name}.py:7" for name in "abcdefgh"]
    (finding,) = findings_for(run("3.9", *(warned(IMP, place) for place in places), **{"old-lib": "1.2"}))
    assert finding.message == f"old-lib 1.2: {IMP}"
    assert finding.remedy == "require a version of old_lib that does not use it"
    assert finding.location == Location(path=APP.manifest)
    assert finding.detail.endswith("f.py:7 and 2 more")


@pytest.mark.parametrize(
    "origin", ["<frozen importlib._bootstrap>:241", "/usr/lib/python3.9/ast.py:3", "../x.py:1", ""]
)
def test_an_unknown_origin_is_reported_for_the_service(origin: str) -> None:
    (found,) = findings_for(run("3.9", warned(IMP, origin)))
    assert found.location == Location(path=APP.manifest)
    assert found.message == IMP


@pytest.mark.parametrize(
    ("message", "interpreter"),
    [
        ("Using asyncio.x is deprecated", "3.9"),
        ("'cgi' is deprecated and slated for removal in Python 3.13", "3.11"),
        ("it will be removed in Python 3.10", "3.11"),
    ],
)
def test_removals_after_the_target_are_not_reported(message: str, interpreter: str) -> None:
    """No release, one after the target, and one before the baseline."""
    assert findings_for(run(interpreter, warned(message))) == []


def test_the_target_decides_which_removals_are_reported() -> None:
    cgi = run("3.11", warned("'cgi' is deprecated and slated for removal in Python 3.13"))
    assert [found.code for found in findings_for(cgi, target=Interpreter(3, 13))] == ["PY250"]


def test_a_feature_that_the_target_warns_of_is_not_removed() -> None:
    """Removals are postponed, and their warnings with them."""
    there = run("3.12", warned(FLAGS.replace("1", "5")))
    assert findings_for(run("3.9", warned(FLAGS)), target_run=there) == []


def test_if_no_test_is_worse_it_is_a_note() -> None:
    (found,) = findings_for(run("3.9", warned(FLAGS)), target_run=run("3.12"), worse=False)
    assert found.severity is Severity.NOTE
    assert found.detail.endswith("no test is worse on 3.12")


def test_a_source_finding_is_not_reported_twice() -> None:
    source_finding = Finding(code="PY201", message="imp is gone", location=Location(path=HERE, line=3, column=8))
    elsewhere = f"{HERE}:9"
    (finding,) = findings_for(run("3.9", warned(FLAGS), warned(FLAGS, elsewhere)), source=[source_finding])
    assert finding.location == Location(path=HERE, line=9)
    assert findings_for(run("3.9", warned(IMP)), source=[source_finding]) == []


def test_a_name_without_a_source_finding_is_a_note() -> None:
    """Its use is guarded. Values that are refused are only found by running."""
    (name,) = findings_for(run("3.11", warned(IMP)), source=[])
    (value,) = findings_for(run("3.9", warned(FLAGS)), source=[])
    (installed,) = findings_for(run("3.9", warned(IMP, "/x/site-packages/six.py:1")), source=[])
    assert name.severity is Severity.NOTE
    assert "the use is guarded" in name.detail
    assert [found.severity for found in (value, installed)] == [Severity.WARNING, Severity.WARNING]


def test_the_source_check_is_not_needed_for_installed_code() -> None:
    def read() -> Sequence[Finding]:
        raise AssertionError("nobody needs it")

    runs = [run("3.9", warned(IMP, "/x/site-packages/six.py:1"))]
    assert len(removed_after_warning(APP, runs, PY312, None, read, worse=True)) == 1


def test_the_fingerprint_does_not_depend_on_the_line() -> None:
    (first,) = findings_for(run("3.9", warned(FLAGS)))
    (later,) = findings_for(run("3.9", warned(FLAGS, f"{HERE}:40", count=9)))
    assert first.fingerprint == later.fingerprint
