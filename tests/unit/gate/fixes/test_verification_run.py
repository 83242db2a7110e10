"""When a second run disagrees with the applied changes. tests/integration starts real ones."""

from typing import Any

import pytest

from pytest_py312.core.model.findings import SourceChange, SpecifierChange
from pytest_py312.gate.fixes.verification_run import SECOND_RUN_VARIABLE, find_disagreements, is_second_run

PATH = "services/app/requirements.txt"
CHANGE = SpecifierChange(path=PATH, line=2, name="numpy", old="==1.24.3", new="==1.26.0")


def document(check: str = "dependencies", interpreter: str = "3.12", **changes: Any) -> dict[str, Any]:
    finding = {
        "severity": "error",
        "waived": False,
        "path": PATH,
        "line": 2,
        "message": "numpy does not build",
        "names": ["numpy"],
        **changes,
    }
    return {
        "target": "3.12",
        "outcomes": [{"check": check, "interpreter": interpreter, "findings": [finding, finding]}],
    }


def test_a_finding_on_a_changed_requirement_is_reported_once() -> None:
    assert find_disagreements(document(), [CHANGE]) == (f"{PATH}:2: numpy does not build",)


@pytest.mark.parametrize(
    "other",
    [
        document(check="suite"),
        document(interpreter="3.9"),
        document(severity="warning"),
        document(waived=True),
        document(path="services/other/requirements.txt"),
        document(names=["scipy"]),
    ],
)
def test_other_findings_are_no_disagreement(other: dict[str, Any]) -> None:
    assert find_disagreements(other, [CHANGE]) == ()


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("passed", ()),
        ("failed", ("api: suite on 3.12 failed after its versions were changed",)),
        ("errored", ("api: suite on 3.12 could not be checked after its versions were changed",)),
    ],
)
def test_a_moved_service_has_to_stay_ready(status: str, line: tuple[str, ...]) -> None:
    outcome = {"service": "api", "check": "suite", "interpreter": "3.12", "status": status, "findings": []}
    assert find_disagreements({"target": "3.12", "outcomes": [outcome]}, [], {"api"}) == line
    assert find_disagreements({"target": "3.12", "outcomes": [outcome]}, [], {"other"}) == ()


SOURCE = SourceChange(path=PATH, line=2, column=1, old="imp.reload", new="importlib.reload")


@pytest.mark.parametrize(
    ("changes", "disagrees"),
    [
        ([{"path": PATH, "line": 7, "column": 5, "old": "imp.reload", "new": "importlib.reload"}], True),
        ([{"path": PATH, "line": 2, "column": 1, "old": "imp.new_module", "new": "types.ModuleType"}], False),
        ([], False),
    ],
)
def test_source_that_would_change_again_was_not_fixed(changes: list[dict[str, Any]], disagrees: bool) -> None:
    """On any line of the file."""
    again = document(check="source", severity="warning", changes=changes)
    assert find_disagreements(again, [SOURCE]) == ((f"{PATH}:2: numpy does not build",) if disagrees else ())


def test_a_second_run_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_second_run()
    monkeypatch.setenv(SECOND_RUN_VARIABLE, "1")
    assert is_second_run()
