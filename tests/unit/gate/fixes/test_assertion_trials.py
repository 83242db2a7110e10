"""Misspelt assertions of mocks: only what the test's own run confirms is changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, SourceChange, Status
from pytest_py312.core.model.measurements import SuiteRun, TestResult
from pytest_py312.gate.fixes.assertion_trials import confirmed_assertions
from pytest_py312.repository.edits.python.mock_assertions import REMOVED

PATH = "a/test_a.py"
TEXT = """\
def test_one(m):
    m(1)
    assert m.called_once()


def test_two(m):
    m.called_with(2)
    m(1)


def helper(m):
    m.called_with(2)
    m(1)
"""
ONE, TWO, THREE = ((3, 12, "called_once"), (7, 5, "called_with"), (12, 5, "called_with"))


def change_at(line: int, column: int, old: str, new: str = "") -> SourceChange:
    return SourceChange(path=PATH, line=line, column=column, old=old, new=new or f"assert_{old}")


def outcome(*places: tuple[int, int, str]) -> Outcome:
    findings = tuple(
        Finding(
            code="PY206", message="", location=Location(path=PATH, line=place[0]), changes=(change_at(*place),)
        )
        for place in places
    )  # fmt: skip
    return Outcome(service="a", interpreter=None, check="source", status=Status.FAILED, findings=findings)


class Suite:
    """Runs tests as if ``test_two`` failed once it asserts something."""

    def __init__(self, *, with_target: bool = True, failing: str = "", fails_on_target: str = "") -> None:
        self.with_target = with_target
        self.failing = failing
        self.fails_on_target = fails_on_target
        self.asked: list[bytes] = []

    def __call__(self, service: str, path: str, files: Mapping[str, bytes]) -> Sequence[SuiteRun]:
        assert (service, path) == ("a", PATH)
        content = files.get(PATH, TEXT.encode())
        self.asked.append(content)
        broken = {self.failing} | (
            {"test_two"} if b"m.assert_called_with(2)\n    m(1)\n\n\ndef helper" in content else set()
        )
        runs = [self.run(Interpreter(3, 11), broken)]
        return [*runs, self.run(Interpreter(3, 12), broken | {self.fails_on_target})] if self.with_target else runs

    def run(self, interpreter: Interpreter, broken: set[str]) -> SuiteRun:
        tests = {f"test_a.py::{name}": "failed" if name in broken else "passed" for name in ("test_one", "test_two")}
        return SuiteRun(interpreter=interpreter, results={key: TestResult(id=key, outcome=tests[key]) for key in tests})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / PATH).write_text(TEXT, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("with_target", [True, False])
def test_what_holds_is_asserted_and_what_does_not_is_removed(root: Path, with_target: bool) -> None:
    suite = Suite(with_target=with_target)
    changes = list(confirmed_assertions(root, [outcome(ONE, TWO, THREE)], suite))
    assert changes == [change_at(*ONE), change_at(*TWO, REMOVED)]
    assert len(suite.asked) == 3


def test_what_no_passing_test_shows_stays(root: Path) -> None:
    """A helper, a test that fails on the baseline, and one that fails on the target with the change."""
    assert list(confirmed_assertions(root, [outcome(THREE)], Suite())) == []
    assert list(confirmed_assertions(root, [outcome(ONE)], Suite(failing="test_one"))) == []
    assert list(confirmed_assertions(root, [outcome(ONE)], Suite(fails_on_target="test_one"))) == []
    assert list(confirmed_assertions(root, [outcome(ONE)], lambda *_: ())) == []


BOTH = """\
def test_one(m):
    m(1)
    m.called_once()
    m.called_with(2)
"""


def runs_of(baseline: str, target: str, detail: str = "E   AssertionError") -> list[SuiteRun]:
    test = "test_a.py::test_one"
    return [
        SuiteRun(interpreter=Interpreter(3, minor), results={test: TestResult(id=test, outcome=outcome, detail=detail)})
        for minor, outcome in ((11, baseline), (12, target))
    ]


def test_of_two_assertions_of_a_test_only_the_one_that_does_not_hold_is_removed(root: Path) -> None:
    (root / PATH).write_text(BOTH, encoding="utf-8")

    def suite(service: str, path: str, files: Mapping[str, bytes]) -> Sequence[SuiteRun]:
        content = files.get(PATH, BOTH.encode())
        baseline = "failed" if b"assert_called_with" in content else "passed"
        return runs_of(baseline, "failed" if b"m.called_" in content else baseline)

    changes = list(confirmed_assertions(root, [outcome((3, 5, "called_once"), (4, 5, "called_with"))], suite))
    assert changes == [change_at(3, 5, "called_once"), change_at(4, 5, "called_with", REMOVED)]


def test_what_holds_on_the_baseline_only_is_not_removed(root: Path) -> None:
    """The target breaks what is asserted: without the assertion nobody would see it."""

    def suite(service: str, path: str, files: Mapping[str, bytes]) -> Sequence[SuiteRun]:
        content = files.get(PATH, TEXT.encode())
        return runs_of("passed", "failed" if b"called_once" in content else "passed")

    assert list(confirmed_assertions(root, [outcome(ONE)], suite)) == []


def test_an_attribute_of_another_object_than_a_mock_is_not_removed(root: Path) -> None:
    def suite(service: str, path: str, files: Mapping[str, bytes]) -> Sequence[SuiteRun]:
        result = "failed" if b"assert_called_once" in files.get(PATH, b"") else "passed"
        return runs_of(result, result, "E   AttributeError: 'Spy' object has no attribute 'assert_called_once'")

    assert list(confirmed_assertions(root, [outcome(ONE)], suite)) == []


def test_other_changes_need_no_run(root: Path) -> None:
    change = SourceChange(path=PATH, line=1, column=1, old="imp.reload", new="importlib.reload")
    finding = Finding(code="PY202", message="", location=Location(path=PATH, line=1), changes=(change,))
    found = Outcome(service="a", interpreter=None, check="source", status=Status.FAILED, findings=(finding,))
    suite = Suite()
    assert list(confirmed_assertions(root, [found], suite)) == []
    assert suite.asked == []
