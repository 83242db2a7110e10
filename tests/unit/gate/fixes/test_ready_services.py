"""Which services are moved: those that were asked about, and of which nothing else stands in the way."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Outcome
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.gate.fixes.ready_services import moves_of, obstacle_of, together
from pytest_py312.gate.fixes.version_changes import MovePlan
from pytest_py312.repository.edits.change_set import FileChange
from tests.support.fakes import build_of, service, service_tree

USER = service("user-service")
BROKEN = Finding(code="PY401", message="it broke")
EXCLUDED = Finding(code="PY301", message="shut out")


def judged(check: str, *findings: Finding, interpreter: str = "") -> Outcome:
    on = Interpreter.parse(interpreter) if interpreter else None
    return Outcome.judged(service=USER.name, interpreter=on, check=check, findings=findings)


def errored(check: str) -> Outcome:
    return Outcome.errored(service=USER.name, interpreter=None, check=check, reason="nobody knows")


@pytest.mark.parametrize(
    ("outcomes", "obstacle"),
    [
        ([judged("versions"), judged("suite", interpreter="3.12")], ""),
        ([judged("versions", EXCLUDED)], ""),  # that is what a move is for
        ([judged("versions"), judged("suite", BROKEN, interpreter="3.12")], "suite on 3.12 failed"),
        ([judged("versions"), judged("source", BROKEN)], "source failed"),
        ([judged("versions"), errored("dependencies")], "dependencies could not be checked"),
        ([errored("versions")], "not all of its places could be understood (nobody knows)"),
    ],
)
def test_what_keeps_a_service_from_being_moved(outcomes: Sequence[Outcome], obstacle: str) -> None:
    """Anything that is not proven, of what this run asked."""
    assert obstacle_of(outcomes) == obstacle


def moved(root: Path, outcomes: Sequence[Outcome], version: str = "3.9") -> MovePlan:
    service_tree(root, {f"{USER.path}/Dockerfile": f"FROM python:{version}\n"})
    return moves_of(Plan(root=root), [USER], outcomes)


def test_a_ready_service_is_moved(tmp_path: Path) -> None:
    """To the plan's target."""
    plan = moved(tmp_path, [judged("versions")])
    assert [(change.path, change.after) for change in plan.changes] == [
        (f"{USER.path}/Dockerfile", b"FROM python:3.12\n")
    ]


def test_what_a_service_comes_from_is_for_the_plan_to_keep(tmp_path: Path) -> None:
    """No file tells it after the move; where the plan does already, nothing has to be said."""
    assert 'baseline = "3.9"' in moved(tmp_path, [judged("versions")]).advice[0]
    stated = service("user-service", settings=ServiceSettings(baseline=Interpreter(3, 9)))
    assert moves_of(Plan(root=tmp_path), [stated], [judged("versions")]).advice == ()
    assert moves_of(Plan(root=tmp_path), [USER], [judged("versions")], close=True).advice == ()


def test_a_service_that_is_not_ready_stays_and_is_told(tmp_path: Path) -> None:
    """With what stands in its way."""
    plan = moved(tmp_path, [judged("versions"), judged("suite", BROKEN, interpreter="3.12")])
    assert (plan.changes, [(one.service, one.reason) for one in plan.kept]) == (
        (),
        [(USER.name, "suite on 3.12 failed")],
    )


def test_a_service_that_has_moved_is_not_told(tmp_path: Path) -> None:
    """Nothing waits there, whatever else is wrong."""
    assert moved(tmp_path, [judged("versions"), errored("suite")], version="3.12") == MovePlan()


def test_a_run_that_did_not_ask_moves_nothing(tmp_path: Path) -> None:
    """``-m py312_suite`` is no proof of places."""
    assert moved(tmp_path, [judged("suite", interpreter="3.12")]) == MovePlan()


def test_the_patch_release_is_the_one_that_was_proven(tmp_path: Path) -> None:
    """Of the target, and no other."""
    root = service_tree(tmp_path, {f"{USER.path}/.tool-versions": "python 3.9.1\n"})
    builds = [build_of("3.9", patch=2), build_of("3.12", patch=8)]
    plan = moves_of(Plan(root=root), [USER], [judged("versions")], builds=builds)
    assert plan.changes[0].after == b"python 3.12.8\n"


def test_changes_of_one_file_become_one() -> None:
    """The later was planned on top of the earlier."""
    first = [FileChange(path="a", before=b"1", after=b"2"), FileChange(path="c", before=b"1", after=b"2")]
    then = [FileChange(path="a", before=b"1", after=b"3"), FileChange(path="b", before=b"1", after=b"2")]
    assert [(one.path, one.after) for one in together(first, then)] == [("a", b"3"), ("b", b"2"), ("c", b"2")]
