"""What the suite is warned of on older interpreters becomes a finding on the target: once, and for what it is worth."""

from collections.abc import Sequence

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.core.model.measurements import SuiteRun, SuiteWarning
from pytest_py312.gate.checks.deprecations import foretold
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


def told(
    *runs: SuiteRun,
    there: SuiteRun | None = None,
    source: Sequence[Finding] | None = None,
    worse: bool = True,
    target: Interpreter = PY312,
) -> list[Finding]:
    return foretold(APP, runs, target, there, lambda: source, worse=worse)


def test_own_code_is_told_with_its_place_and_what_to_do() -> None:
    (found,) = told(run("3.9", warned(FLAGS, count=2), warned(FLAGS.replace("1", "7"), f"{HERE}:9")))
    assert (found.code, found.severity) == ("PY250", Severity.WARNING)
    assert found.message == f"{FLAGS} (gone in 3.11)"
    assert found.location == Location(path=HERE, line=3)
    assert found.remedy == "write the flags first, or hand them over"
    assert found.detail == f"warned on 3.9, 3 times: {HERE}:3, {HERE}:9"


def test_interpreters_that_warn_in_other_words_of_one_line_warn_once() -> None:
    (found,) = told(run("3.9", warned(IMP_39)), run("3.11", warned(IMP)))
    assert found.message == f"{IMP_39} (gone in 3.12)"
    assert found.detail.startswith("warned on 3.9 and 3.11, 2 times:")


@pytest.mark.parametrize("line", ["0", "", "x", "9" * 5000])
def test_a_line_that_no_file_has_is_left_out(line: str) -> None:
    """A suite may write what it likes: Python refuses to read a number of so many digits."""
    (found,) = told(run("3.9", warned(IMP, f"{HERE}:{line}")))
    assert found.location == Location(path=HERE)


def test_what_is_installed_is_told_with_its_version() -> None:
    """However many places of it: one is to blame, and another version is the remedy."""
    places = [f"/env/lib/python3.9/site-packages/old_lib/{name}.py:7" for name in "abcdefgh"]
    (found,) = told(run("3.9", *(warned(IMP, place) for place in places), **{"old-lib": "1.2"}))
    assert found.message == f"old-lib 1.2: {IMP}"
    assert found.remedy == "require a version of old_lib that does without"
    assert found.location == Location(path=APP.manifest)
    assert found.detail.endswith("f.py:7 and 2 more")


@pytest.mark.parametrize(
    "origin", ["<frozen importlib._bootstrap>:241", "/usr/lib/python3.9/ast.py:3", "../x.py:1", ""]
)
def test_what_is_neither_is_told_of_the_service(origin: str) -> None:
    (found,) = told(run("3.9", warned(IMP, origin)))
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
def test_what_does_not_go_on_the_way_to_the_target_is_no_news(message: str, interpreter: str) -> None:
    """No release, one after the target, one that is long past."""
    assert told(run(interpreter, warned(message))) == []


def test_another_target_has_another_future() -> None:
    cgi = run("3.11", warned("'cgi' is deprecated and slated for removal in Python 3.13"))
    assert [found.code for found in told(cgi, target=Interpreter(3, 13))] == ["PY250"]


def test_what_the_target_still_warns_of_is_still_there() -> None:
    """Releases are put off, and the warning with them."""
    there = run("3.12", warned(FLAGS.replace("1", "5")))
    assert told(run("3.9", warned(FLAGS)), there=there) == []


def test_where_the_suite_does_well_on_the_target_it_is_a_note() -> None:
    (found,) = told(run("3.9", warned(FLAGS)), there=run("3.12"), worse=False)
    assert found.severity is Severity.NOTE
    assert found.detail.endswith("nothing that the suite does is worse on 3.12")


def test_what_reading_the_source_has_found_is_not_said_twice() -> None:
    known = Finding(code="PY201", message="imp is gone", location=Location(path=HERE, line=3, column=8))
    elsewhere = f"{HERE}:9"
    (found,) = told(run("3.9", warned(FLAGS), warned(FLAGS, elsewhere)), source=[known])
    assert found.location == Location(path=HERE, line=9)
    assert told(run("3.9", warned(IMP)), source=[known]) == []


def test_a_name_in_which_reading_the_source_finds_no_fault_is_a_note() -> None:
    """It stands behind a guard. Of values that are refused, only running tells."""
    (name,) = told(run("3.11", warned(IMP)), source=[])
    (value,) = told(run("3.9", warned(FLAGS)), source=[])
    (installed,) = told(run("3.9", warned(IMP, "/x/site-packages/six.py:1")), source=[])
    assert name.severity is Severity.NOTE
    assert "behind a guard" in name.detail
    assert [found.severity for found in (value, installed)] == [Severity.WARNING, Severity.WARNING]


def test_the_source_is_not_read_for_what_is_not_its_own() -> None:
    def read() -> Sequence[Finding]:
        raise AssertionError("nobody needs it")

    runs = [run("3.9", warned(IMP, "/x/site-packages/six.py:1"))]
    assert len(foretold(APP, runs, PY312, None, read, worse=True)) == 1


def test_the_same_trouble_has_the_same_fingerprint_wherever_it_has_moved() -> None:
    (first,) = told(run("3.9", warned(FLAGS)))
    (later,) = told(run("3.9", warned(FLAGS, f"{HERE}:40", count=9)))
    assert first.fingerprint == later.fingerprint
