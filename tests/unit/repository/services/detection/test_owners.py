"""Services have the owners that the plan or CODEOWNERS names."""

from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

CODEOWNERS = "*.py @python\n/services/ @platform\n/services/auth/ @accounts @security\n"


def fleet_of(root: Path, files: dict[str, str], plan: str = "reruns = 1\n", folder: str = ".") -> dict[str, Service]:
    services = {f"services/{name}/requirements.txt": "" for name in ("auth", "user")}
    inside = {f"{folder}/{path}": text for path, text in (services | {"py312.toml": plan}).items()}
    service_tree(root, {".git/HEAD": ""} | files | inside)
    loaded = load_plan(root / folder / "py312.toml", today=date(2026, 11, 1))
    return {service.name: service for service in discover(loaded).services}


@pytest.mark.parametrize("path", ["CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"])
def test_owners_of_a_folder(tmp_path: Path, path: str) -> None:
    fleet = fleet_of(tmp_path, {path: CODEOWNERS})

    assert (fleet["auth"].owners, fleet["auth"].owners_source) == (("@accounts", "@security"), f"{path}:3")
    assert fleet["user"].owners == ("@platform",)


def test_the_plan_counts_first(tmp_path: Path) -> None:
    plan = '[defaults]\nowner = "everyone"\n[service."auth"]\nowner = ["accounts team", "@li"]\n'
    fleet = fleet_of(tmp_path, {"CODEOWNERS": CODEOWNERS}, plan)

    assert (fleet["auth"].owners, fleet["auth"].owners_source) == (("accounts team", "@li"), "py312.toml")
    assert fleet["user"].owners == ("everyone",)


def test_a_plan_below_the_root_of_the_checkout(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, {"CODEOWNERS": "/platform/services/auth/ @accounts\n"}, folder="platform")

    assert (fleet["auth"].owners, fleet["user"].owners) == (("@accounts",), ())


def test_without_either_nobody_is_named(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, {})

    assert (fleet["auth"].owners, fleet["auth"].owners_source) == ((), "")


@pytest.mark.parametrize("value", ["3", "[]", "['']", "[['a']]", "{}"])
def test_an_owner_that_is_no_name(tmp_path: Path, value: str) -> None:
    with pytest.raises(PlanError, match="owner"):
        fleet_of(tmp_path, {}, f'[service."auth"]\nowner = {value}\n')
