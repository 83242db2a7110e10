"""A development requirement that nothing of the service names blocks neither the service nor its suite."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.indexed_repository import Repository, repository_of

INDEX = {"fine": {"1.0": ""}, "old": {"1.0": ""}, "needs-old": {"1.0": "old==1.0"}}
"""``old`` installs on 3.9 only."""
CHECKS = ("-m", "py312_dependencies or py312_libraries or py312_suite")
UNUSED = "import unittest\nimport fine\n\nclass TestApp(unittest.TestCase):\n    def test_app(self):\n        pass\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    with repository_of(tmp_path, INDEX, monkeypatch) as made:
        made.require("fine\n")
        plan = made.root / "py312.toml"
        plan.write_text(
            plan.read_text() + '\n[service."services/app"]\nsuite = ["unittest", "discover", "-s", "tests"]\n'
        )
        yield made


def run(repository: Repository, source: str, development: str, name: str = "requirements-dev.txt") -> dict[str, Any]:
    folder = repository.root / "services/app"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(development)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests/test_app.py").write_text(source)
    done = repository.gate(*CHECKS, "--py312-report=report.json")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    outcomes = json.loads((repository.root / "report.json").read_text())["outcomes"]
    return {outcome["check"]: outcome for outcome in outcomes if outcome["interpreter"] in ("3.12", "", None)}


@pytest.mark.parametrize("name", ["requirements-dev.txt", "docs/requirements.txt"])
@pytest.mark.parametrize("line", ["old==1.0", "needs-old"])
def test_what_nothing_names_is_a_warning(repository: Repository, line: str, name: str) -> None:
    outcomes = run(repository, UNUSED, f"{line}\nfine\n", name)

    assert {check: outcome["status"] for check, outcome in outcomes.items()} == {
        "dependencies": "passed",
        "libraries": "passed",
        "suite": "passed",
    }
    (finding,) = [found for found in outcomes["dependencies"]["findings"] if "old" in found["message"]]
    assert (finding["severity"], finding["path"]) == ("warning", f"services/app/{name}")
    assert "nothing of the service names it" in finding["message"]


@pytest.mark.parametrize("statement", ["import old", "APPLICATIONS = ['old.apps.Configuration']"])
def test_what_the_suite_needs_blocks(repository: Repository, statement: str) -> None:
    outcomes = run(repository, f"{UNUSED}{statement}\n", "old==1.0\n")

    assert outcomes["dependencies"]["status"] == "failed"
    assert [found["severity"] for found in outcomes["dependencies"]["findings"]] == ["error"]


def test_what_runs_in_production_blocks(repository: Repository) -> None:
    repository.require("fine\nold==1.0\n")

    outcomes = run(repository, UNUSED, "old==1.0\n")

    assert outcomes["dependencies"]["status"] == "failed"
