"""A proposed plan is read back by the plan reader, and describes the fleet that was found."""

import tomllib
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.core.errors import NoFleetError
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.first_plan.patterns import escape, name_services
from pytest_py312.repository.first_plan.proposal import FirstPlan, propose_plan
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

TODAY = date(2026, 11, 1)
TARGET = Interpreter(3, 12)


def proposed(root: Path, files: dict[str, str]) -> FirstPlan:
    return propose_plan(service_tree(root, files), TARGET, today=TODAY)


def stages_of(plan: FirstPlan) -> list[list[str]]:
    document: dict[str, Any] = tomllib.loads(plan.text)
    return [stage["services"] for stage in document["stage"]]


def test_a_plan_has_services_stages_and_where_baselines_come_from(tmp_path: Path) -> None:
    plan = proposed(
        tmp_path,
        {
            "compose.yml": "services:\n  gateway:\n    depends_on: [auth]\n  auth:\n    build: services/auth\n",
            "services/auth/Dockerfile": "FROM python:3.10-slim\n",
            "services/auth/requirements.txt": "",
            "services/auth/tests/test_auth.py": "def test_auth(): pass\n",
            "services/gateway/pyproject.toml": "[project]\nname = 'gateway'\nrequires-python = '>=3.11'\n",
            "services/legacy/notes.md": "no service",
        },
    )
    document = tomllib.loads(plan.text)

    assert document["services"] == ["services/*"]
    assert document["interpreters"] == ["3.10", "3.11", "3.12"]
    assert stages_of(plan) == [["auth"], ["gateway"]]
    assert "# gateway needs auth: compose.yml:3 (depends_on)\n[[stage]]" in plan.text
    assert '"auth",  # 3.10: services/auth/Dockerfile:1 says python:3.10-slim' in plan.text
    assert "the tests of gateway: none were found, so nothing of them is run" in plan.questions


def test_a_baseline_that_no_file_says_is_a_comment(tmp_path: Path) -> None:
    """As a setting it would look like a decision, and the gate would stop reporting that it is assumed."""
    plan = proposed(
        tmp_path, {"a/requirements.txt": "", "b/Dockerfile": "FROM python:3.11\n", "b/requirements.txt": ""}
    )

    assert '# [service."a"]\n# baseline = "3.9"\n' in plan.text
    assert "service" not in tomllib.loads(plan.text)
    assert "the Python that a runs on: no file says it, and the baseline is a guess" in plan.questions


def test_a_fleet_without_needs_says_that_none_are_known(tmp_path: Path) -> None:
    plan = proposed(tmp_path, {f"s{number}/requirements.txt": "" for number in range(12)})

    assert [len(stage) for stage in stages_of(plan)] == [1, 3, 8]
    assert "which services need which others: no file says it, so the stages only grow in size" in plan.questions


def test_a_service_at_the_root(tmp_path: Path) -> None:
    plan = proposed(tmp_path, {"requirements.txt": "", "app.py": ""})

    assert (plan.services, plan.stages) == (1, 1)
    assert tomllib.loads(plan.text)["services"] == ["."]


def test_a_repository_without_a_service(tmp_path: Path) -> None:
    with pytest.raises(NoFleetError):
        proposed(tmp_path, {"README.md": ""})


def test_names_that_are_endings_of_paths_are_distinguished() -> None:
    services = [("api", "api"), ("old-api", "old/api"), ("new", "a/new"), ("g[1]", "x/g[1]")]

    names = name_services(services)

    assert names.patterns["old-api"] == "old-api"
    assert names.patterns["new"] == "new"
    assert names.patterns["g[1]"] == escape("g[1]") == "g[[]1]"
    assert names.inseparable == (("api", "old-api"),)


def test_a_service_that_no_pattern_can_name_is_reported(tmp_path: Path) -> None:
    plan = proposed(tmp_path, {"a\\b/requirements.txt": "", "c/requirements.txt": ""})

    assert stages_of(plan) == [["c"]]
    assert "a pattern that names a\\b: no stage contains it" in plan.questions


folder_names = st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
likely_names = st.sampled_from(["auth", "user", "api", "gateway", "a-b", "a", "b", "src", "*", "x[1]", "é", 'q"t'])
paths = st.lists(likely_names | folder_names, min_size=1, max_size=3).map("/".join)
contents = st.sampled_from(["FROM python:3.8-slim\n", "FROM python:3.11\n", "FROM python:3.13\n", "FROM debian\n", ""])


@settings(max_examples=60, deadline=None)
@given(
    fleet=st.dictionaries(paths, contents, min_size=1, max_size=8),
    calls=st.lists(st.tuples(st.integers(0, 7), likely_names), max_size=6),
)
def test_any_fleet_is_read_back(fleet: dict[str, str], calls: list[tuple[int, str]]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for path, dockerfile in fleet.items():
            service_tree(root, {f"{path}/requirements.txt": "", f"{path}/Dockerfile": dockerfile})
        for index, host in calls:
            path = list(fleet)[index % len(fleet)]
            service_tree(root, {f"{path}/calls{index}.py": f"URL = 'http://{host}:80/'\n"})
        try:
            plan = propose_plan(root, TARGET, today=TODAY)
        except NoFleetError:
            return
        (root / "py312.toml").write_text(plan.text, encoding="utf-8")

        again = discover(load_plan(root / "py312.toml", today=TODAY))

        outside = [service.name for service in again.services if service.stage == 0]
        assert len(again.services) == plan.services
        assert not outside or any("no stage contains it" in question for question in plan.questions)
