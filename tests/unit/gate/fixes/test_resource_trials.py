"""``pkg_resources``: a service reads with the standard library instead if its suite passes with that."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import (
    Finding,
    Interpreter,
    Location,
    Outcome,
    SourceChange,
    SpecifierChange,
    Status,
)
from pytest_py312.core.model.measurements import SuiteRun, TestResult
from pytest_py312.gate.fixes.resource_trials import confirmed_resources

PATH = "a/read.py"
TEXT = 'import pkg_resources\nx = pkg_resources.resource_string(__name__, "x")\n'
CHANGE = SourceChange(path=PATH, line=1, column=8, old="pkg_resources", new="importlib.resources")
FINDING = Finding(
    code="PY209", message="", location=Location(path=PATH, line=1, column=8), names=("pkg_resources",)
)  # fmt: skip


def outcome(*findings: Finding) -> Outcome:
    return Outcome(service="a", interpreter=None, check="source", status=Status.FAILED, findings=findings)


def run(minor: int, outcome_of_test: str) -> SuiteRun:
    results = {"test_a": TestResult(id="test_a", outcome=outcome_of_test)}
    return SuiteRun(interpreter=Interpreter(3, minor), results=results)


def confirmed(
    root: Path, *findings: Finding, with_change: Sequence[SuiteRun], outcome_before: str = "passed", text: str = TEXT
) -> list[SourceChange]:
    def try_suite(service: str, files: Mapping[str, bytes]) -> Sequence[SuiteRun]:
        assert service == "a"
        assert all(b"importlib.resources.files" in content for content in files.values())
        return with_change if files else [run(11, outcome_before), run(12, "error")]

    (root / "a").mkdir(exist_ok=True)
    (root / PATH).write_text(text, encoding="utf-8")
    return list(confirmed_resources(root, [outcome(*findings)], try_suite))


def test_the_change_is_confirmed_by_the_suite(tmp_path: Path) -> None:
    passed = [run(11, "passed"), run(12, "passed")]
    assert confirmed(tmp_path, FINDING, FINDING, with_change=passed) == [CHANGE]
    assert confirmed(tmp_path, FINDING, with_change=passed[:1]) == [CHANGE]


@pytest.mark.parametrize("with_change", [[], [run(11, "passed"), run(12, "failed")], [run(11, "failed")]])
def test_a_suite_that_does_not_pass_confirms_nothing(tmp_path: Path, with_change: list[SuiteRun]) -> None:
    assert confirmed(tmp_path, FINDING, with_change=with_change) == []


def test_nothing_is_tried_without_need(tmp_path: Path) -> None:
    """A requirement of setuptools fixes it, another module is meant, a use has no replacement, no test passes."""
    passed = [run(11, "passed")]
    required = SpecifierChange(path="a/requirements.txt", line=1, name="setuptools", old="", new="<82")
    assert confirmed(tmp_path, replace(FINDING, changes=(required,)), with_change=passed) == []
    assert confirmed(tmp_path, replace(FINDING, names=("setuptools",)), with_change=passed) == []
    assert confirmed(tmp_path, FINDING, with_change=passed, text=f"{TEXT}pkg_resources.require('x')\n") == []
    assert confirmed(tmp_path, FINDING, with_change=passed, outcome_before="failed") == []
