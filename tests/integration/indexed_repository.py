"""A repository of one service whose requirements come from a fake index, and gate runs on it."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.runners.runner import CellUnavailable
from tests.integration import fake_index
from tests.integration.gate_runs import gate
from tests.integration.local_runners import local_runner

TOGETHER = ("3.9", "3.10", "3.12")
SERVICE = "services/app/requirements.txt"


@dataclass(kw_only=True)
class Repository:
    """A repository of one service on 3.9 whose requirements come from a fake index."""

    root: Path
    cache: Path
    index: fake_index.Server

    def gate(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return gate(self.root, self.cache, *arguments)

    def require(self, text: str) -> None:
        path = self.root / SERVICE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    @property
    def required(self) -> str:
        return (self.root / SERVICE).read_bytes().decode()


def preinstalled_projects(folder: Path) -> dict[str, dict[str, str]]:
    """Return the packages that environments of these interpreters contain, as projects of an index."""
    runner = local_runner(folder)
    projects: dict[str, dict[str, str]] = {}
    try:
        for text in TOGETHER:
            for line in runner.find_interpreter(Interpreter.parse(text)).preinstalled:
                name, _, version = line.partition("==")
                projects.setdefault(name, {})[version] = ""
    except CellUnavailable as reason:
        pytest.skip(str(reason))
    finally:
        runner.close()
    return projects


@contextmanager
def repository_of(
    folder: Path, projects: Mapping[str, Mapping[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Repository]:
    """Create a repository for 3.9, 3.10 and 3.12 below ``folder``, and run an index of ``projects``."""
    monkeypatch.setattr(fake_index, "PROJECTS", {**projects, **preinstalled_projects(folder / "seeds")})
    with fake_index.running(folder / "uv", monkeypatch) as index:
        root = folder / "repository"
        root.mkdir()
        (root / "py312.toml").write_text('interpreters = ["3.9", "3.10", "3.12"]\nservices = ["services/*"]\n')
        yield Repository(root=root, cache=folder / "cache", index=index)
