"""What a worker does before and after the checks of a run."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_py312.core import directories
from pytest_py312.gate.cluster import worker
from pytest_py312.gate.cluster.jobs import FactsRequest, RunSetup, WorkerFacts, from_text, to_text
from pytest_py312.gate.cluster.tree_archive import pack_tree
from pytest_py312.gate.sharding.documents import tool_identity
from pytest_py312.runners.fingerprints import module_digest


@dataclass(kw_only=True)
class PlayedWorker:
    """As much of Dask's worker as is used outside of its tasks."""

    name: str = "worker-1"
    address: str = "tcp://10.0.0.1:1234"
    resources: dict[str, float] = field(default_factory=dict)
    memory_manager: Any = field(default_factory=lambda: SimpleNamespace(memory_limit=5_000))

    async def set_resources(self, **resources: float) -> None:
        self.resources |= resources


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the runs of this machine."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setattr(directories, "runs_folder", lambda: folder)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "py312.toml").write_text('target = "3.12"\n')
    return folder


def test_a_worker_gets_the_tree_and_removes_it(runs: Path, tree: Path) -> None:
    played, archive = PlayedWorker(), pack_tree(tree)
    setup = RunSetup(run_id="run-1", tree=archive.digest, folder=".", arguments=(), known_findings="{}")

    assert asyncio.run(worker.prepare(to_text(setup), archive.content, dask_worker=played)) == ""
    assert asyncio.run(worker.prepare(to_text(setup), b"", dask_worker=played)) == ""  # once is enough
    (folder,) = runs.iterdir()
    assert (folder / "tree/py312.toml").read_text() == 'target = "3.12"\n'
    assert (folder / "known-findings.json").read_text() == "{}"
    assert list(played.resources.values()) == [1]

    asyncio.run(worker.dismiss("run-1", dask_worker=played))
    assert list(runs.iterdir()) == []


def test_an_archive_that_cannot_be_unpacked_keeps_the_worker_out(runs: Path, tree: Path) -> None:
    archive = pack_tree(tree)
    setup = RunSetup(run_id="run-2", tree="another", folder=".", arguments=())

    reason = asyncio.run(worker.prepare(to_text(setup), archive.content, dask_worker=PlayedWorker()))
    assert reason == "the tree cannot be unpacked there: the archive of the tree has changed on its way to the worker"
    assert list(runs.iterdir()) == []


def test_a_worker_without_a_tree_removes_nothing(runs: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was refused has no folder of the run, and keeps the one that it was started in."""
    monkeypatch.chdir(tree)
    played = PlayedWorker()
    worker.refuse("run-3", "its clock is 1 h ahead", dask_worker=played)
    asyncio.run(worker.dismiss("run-3", dask_worker=played))
    assert (tree / "py312.toml").exists()


def test_a_worker_describes_itself() -> None:
    """An interpreter that is not there is left out."""
    request = FactsRequest(interpreters=(), plugins=("packaging.version", "six_of_nobody"))
    text = asyncio.run(worker.describe_worker(to_text(request), dask_worker=PlayedWorker()))
    facts = from_text(WorkerFacts, text)
    assert facts.tool == tool_identity()
    assert facts.memory == 5_000
    assert facts.interpreters == ()
    assert facts.plugins["packaging.version"] == module_digest("packaging")
    assert facts.plugins["six_of_nobody"] == ""
