"""PY3xx as a check of the gate: what passes, what blocks, and what could not be checked."""

from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.plan import Plan, Waiver
from pytest_py312.gate.checks.static_analysis import VersionCheck
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.services.version_survey import DeclaredVersions
from tests.support.fakes import FakeFacts, cell_of

HERE = "services/user-service"


def outcome_of(files: dict[str, str], *, unread: tuple[tuple[str, str], ...] = (), waived: str = "") -> Outcome:
    places = [place for path, text in files.items() for place in read_declarations(text, f"{HERE}/{path}")]
    waivers = [Waiver(service="user-*", code=waived, reason="r", owner="o", until=date(2030, 1, 1))] if waived else []
    plan = Plan(root=Path("/nowhere"), waivers=tuple(waivers))
    return (
        VersionCheck()
        .run(cell_of(), FakeFacts(plan=plan, reading=DeclaredVersions(declarations=tuple(places), unread=unread)))
        .outcome
    )


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
def test_a_consistent_service_passes_before_and_after_the_migration(version: str) -> None:
    """The check proves that it can be migrated; that it is not yet is a note."""
    outcome = outcome_of(
        {"Dockerfile": f"FROM python:{version}\n", "pyproject.toml": "[project]\nrequires-python='>=3.9'"}
    )
    assert outcome.status is Status.PASSED
    assert outcome.interpreter is None
    assert [one.code for one in outcome.findings] == ([] if version == "3.12" else ["PY301"])


@pytest.mark.parametrize("version", ["3.9", "3.10"])
def test_a_path_that_was_not_migrated_fails(version: str) -> None:
    """The image that copies it cannot be built."""
    folder = f"/usr/local/lib/python{version}/site-packages"
    text = f"FROM python:3.12 AS b\nFROM python:3.12\nCOPY --from=b {folder} {folder}\n"
    found = outcome_of({"Dockerfile": text})
    assert (found.status, {one.code for one in found.findings}) == (Status.FAILED, {"PY303"})


def test_an_unclear_declaration_is_errored() -> None:
    """Its line is in the reason."""
    found = outcome_of({"Dockerfile": "FROM python:3.10\n", "deploy/Dockerfile": "ARG V\nFROM python:${V}\n"})
    assert found.status is Status.ERRORED
    assert f"{HERE}/deploy/Dockerfile:2" in found.reason


def test_an_unclear_declaration_may_be_waived() -> None:
    """With a reason and an owner, in the plan."""
    assert outcome_of({"Dockerfile": "ARG V\nFROM python:${V}\n"}, waived="PY306").status is Status.PASSED


def test_an_error_fails_despite_unclear_declarations() -> None:
    """An error is certain."""
    files = {"Dockerfile": "ARG V\nFROM python:${V}\n", "setup.cfg": "[options]\npython_requires = <3.10\n"}
    found = outcome_of(files)
    assert found.status is Status.FAILED
    assert "could not be understood" in found.unchecked


def test_an_unreadable_file_is_errored() -> None:
    """Its declarations are unknown."""
    found = outcome_of({}, unread=((f"{HERE}/Dockerfile", "is larger than 2048 KiB"),))
    assert found.status is Status.ERRORED
    assert found.reason == f"{HERE}/Dockerfile was not read: it is larger than 2048 KiB"


def test_a_service_without_declarations_is_skipped() -> None:
    """Nothing was compared, so nothing passed."""
    assert outcome_of({}).status is Status.SKIPPED
