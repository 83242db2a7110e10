"""The commands of emitted workflows, run in a shell, job by job, each in a clean clone of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_py312.cli.main import main
from tests.integration.cloned_fleets import git
from tests.plugin.gate_helpers import REAL_FLEET
from tests.support.fakes import service_tree

pytestmark = [pytest.mark.network, pytest.mark.timeout(900)]

PARTS = 2
RED = REAL_FLEET | {"py312.toml": f'runner = "local"\n{REAL_FLEET["py312.toml"]}'}
GREEN = RED | {
    path: text.replace("assertEquals", "assertEqual") for path, text in RED.items() if path.endswith("test_user.py")
}
SCHEMAS = {"github": ["vendor.github-workflows"], "gitlab": ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]}


def emit(system: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["emit", system, f"--shards={PARTS}"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_a_workflow_is_valid(system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the schemas that are published for editors."""
    file = tmp_path / "workflow.yml"
    file.write_text(emit(system, capsys), encoding="utf-8")

    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS[system], str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def commands_of(system: str, text: str, commit: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the jobs of a workflow with their commands, without the installation of this package."""
    document: dict[str, Any] = yaml.safe_load(text)
    for part in range(1, PARTS + 1):
        yield f"part {part}", _replaced(_commands(system, document, "part"), part, commit)
    yield "gate", _replaced(_commands(system, document, "py312"), 0, commit)


def _commands(system: str, document: Mapping[str, Any], job: str) -> list[str]:
    if system == "gitlab":
        return [str(command) for command in document[job]["script"]]
    return [str(step["run"]) for step in document["jobs"][job]["steps"] if "run" in step]


def _replaced(commands: list[str], part: int, commit: str) -> list[str]:
    values = {
        "${{ matrix.part }}": str(part), "$CI_NODE_INDEX": str(part), "${{ github.sha }}": commit,
        "$CI_COMMIT_SHA": commit,
    }  # fmt: skip
    for name, value in values.items():
        commands = [command.replace(name, value) for command in commands]
    assert commands[0].startswith("python -m pip install pytest-py312==")
    assert not any("$" in command for command in commands)
    return commands[1:]


def run_jobs(system: str, text: str, folder: Path, fleet: Mapping[str, str], cache: Path) -> dict[str, int]:
    """Return the exit status of each job. As on the system, they share artifacts and the cache of their part."""
    origin = service_tree(folder / "origin", fleet)
    git(origin, "init", "-q")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "first")
    artifacts = folder / "artifacts"
    artifacts.mkdir()
    statuses = {}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_", "CI"))}
    variables = {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}
    for job, commands in commands_of(system, text, git(origin, "rev-parse", "HEAD")):
        clone, saved = folder / job.replace(" ", "-"), cache / job
        git(folder, "clone", "-q", str(origin), str(clone))
        if saved.exists():
            shutil.copytree(saved, clone / ".py312", symlinks=True)
        if job == "gate":
            shutil.copytree(artifacts, clone, dirs_exist_ok=True)
        script = "\n".join(commands)
        statuses[job] = subprocess.run(
            ["bash", "-e", "-c", script], cwd=clone, env=variables, capture_output=True, check=False, timeout=600
        ).returncode
        for document in clone.glob("shard-*.json") if job != "gate" else ():
            shutil.copy(document, artifacts)
        if job != "gate":
            shutil.rmtree(saved, ignore_errors=True)
            shutil.copytree(clone / ".py312", saved, symlinks=True)
    assert (folder / "gate" / "report.html").is_file() == (statuses["gate"] < 2)
    return statuses


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    ("system", "fleet", "expected"),
    [("github", RED, [0, 1]), ("gitlab", GREEN, [0, 0])],
    ids=["github, red", "gitlab, green"],
)
def test_a_workflow_ends_as_an_undivided_run_would(
    system: str,
    fleet: Mapping[str, str],
    expected: list[int],
    tmp_path: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The gate decides, and the second one gets the caches of the first."""
    statuses = run_jobs(system, emit(system, capsys), tmp_path, fleet, cache)
    assert sorted((statuses["part 1"], statuses["part 2"])) == expected
    assert statuses["gate"] == max(expected)
