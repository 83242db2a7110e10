"""A run on a Dask cluster has the report of a run on one machine."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.directories import runs_folder
from tests.integration.cloned_fleets import FLEET, commit_fleet, differences
from tests.integration.dask_clusters import environment
from tests.support.child_pytest import PYTEST

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


class Repository:
    """A repository with a cache, on which the gate is run."""

    def __init__(self, folder: Path, cache: Path, files: Mapping[str, str]) -> None:
        self.folder, self.cache = folder, cache
        self.root = commit_fleet(folder / "fleet", dict(files))

    def run(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the gate without outcomes of an earlier run."""
        fixed = ["--py312", "--py312-runner=local", f"--py312-cache-dir={self.cache}", "--py312-no-cache"]
        fixed += ["-p", "no:cacheprovider", f"--py312-report={self.folder / name}.json", f"--junitxml={name}.xml"]
        return subprocess.run(
            [*PYTEST, *fixed, *arguments],
            cwd=self.root, env=environment(), check=False, capture_output=True, timeout=500, text=True,
        )  # fmt: skip

    def report(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, gate_cache: Path) -> Repository:
    """With an ignored file, which no worker gets, and a folder through which the workers get the others."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "shared").mkdir()
    plan = f'shared-folder = "{folder / "shared"}"\n{FLEET["py312.toml"]}'
    repository = Repository(folder, gate_cache, {**FLEET, "py312.toml": plan, ".gitignore": "*.secret\n*.xml\n"})
    (repository.root / "services/user-service/key.secret").write_text("secret")
    return repository


@pytest.fixture(scope="module")
def whole(repository: Repository) -> Any:
    """The report of a run on one machine."""
    assert repository.run("whole").returncode == 1
    return repository.report("whole")


def test_the_report_of_a_cluster_equals_that_of_one_machine(repository: Repository, whole: Any) -> None:
    """Field by field, but for times."""
    done = repository.run("cluster", "--py312-cluster=local:2")

    assert done.returncode == 1, done.stdout + done.stderr
    assert list(differences(repository.report("cluster"), whole)) == []
    assert {outcome["status"] for outcome in whole["outcomes"]} == {"passed", "failed"}
    assert "py312: cluster: 2 workers at local:2; the tree has" in done.stdout
    assert "(0 of 3 left)" in done.stdout


def test_what_pytest_selects_is_checked(repository: Repository, whole: Any) -> None:
    """The same as on one machine."""
    selection = ["services/user-service::py3.12", "-k", "not libraries"]
    alone = repository.run("selected", *selection)
    done = repository.run("selected-cluster", "--py312-cluster=local:1", *selection)

    assert done.returncode == alone.returncode == 1
    assert list(differences(repository.report("selected-cluster"), repository.report("selected"))) == []
    assert len(repository.report("selected")["outcomes"]) == 2


def test_the_first_failure_ends_the_run_and_is_run_again(repository: Repository, whole: Any) -> None:
    """``-x`` and ``--lf``, as without a cluster."""
    options = ["--py312-cluster=local:1", "-p", "cacheprovider", "-o", f"cache_dir={repository.folder / 'last'}"]
    stopped = repository.run("stopped", *options, "-x")
    failed = [outcome for outcome in repository.report("stopped")["outcomes"] if outcome["status"] == "failed"]
    assert (stopped.returncode, len(failed)) == (1, 1), stopped.stdout

    again = repository.run("again", *options, "--lf")
    judged = [(outcome["service"], outcome["check"]) for outcome in repository.report("again")["outcomes"]]
    assert again.returncode == 1, again.stdout
    assert judged == [(failed[0]["service"], failed[0]["check"])]


def test_nothing_is_left_beside_the_repository(repository: Repository, whole: Any) -> None:
    """Neither in it, nor in the folder of runs, nor in the shared one."""
    assert list((repository.folder / "shared").iterdir()) == []
    status = subprocess.run(
        ["git", "-C", str(repository.root), "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    assert status.stdout == ""
    assert not [folder for folder in runs_folder().iterdir() if list(folder.glob("tree"))]


ADDED_CHECK = """
from pytest_py312 import CheckResult, Outcome

class Added:
    codes = ()
    needs_installation = False
    per_service = True

    def __init__(self, name):
        self.name = name

    def run(self, cell, facts):
        return CheckResult(outcome=Outcome.from_findings(
            service=cell.service.name, interpreter=None, check=self.name, findings=[]
        ))

def pytest_py312_checks(config):
    return [Added({name!r})]
"""


def test_checks_that_are_added_run_on_the_workers(
    tmp_path: Path, gate_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a module, and those of the conftest.py beside the plan."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "added_check.py").write_text(ADDED_CHECK.format(name="licence"))
    monkeypatch.setenv("PYTHONPATH", str(modules))
    files = {
        "py312.toml": 'target = "3.12"\ninterpreters = ["3.12"]\n',
        "conftest.py": ADDED_CHECK.format(name="owner"),
        "user/Dockerfile": "FROM python:3.12-slim\n",
        "user/app.py": "",
    }
    repository = Repository(tmp_path, gate_cache, files)

    done = repository.run("added", "--py312-cluster=local:1", "-p", "added_check", "-m", "py312_licence or py312_owner")
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {outcome["check"]: outcome["status"] for outcome in repository.report("added")["outcomes"]}
    assert outcomes == {"licence": "passed", "owner": "passed"}
