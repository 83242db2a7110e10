"""Files around a service that its suite may read."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.runners import surroundings
from pytest_py312.runners.surroundings import Surroundings
from tests.support.fakes import service, service_tree
from tests.unit.runners.test_git_index import written

FILES = {
    ".env": "A=1\n",
    "data/one.json": "{}",
    "conftest.py": "",
    "pyproject.toml": "",
    "shared/tool.py": "",
    "svc/app.py": "",
    "svc/tests/test_a.py": "",
    "other/app.py": "",
    "other/data.txt": "",
}
SVC, OTHER, ROOT = (replace(service(path or "root"), path=path or ".") for path in ("svc", "other", ""))


def around(root: Path, of: Service = SVC, *services: Service, tracked: list[str] | None = None) -> dict[str, str]:
    service_tree(root, FILES)
    (root / ".git").mkdir(exist_ok=True)
    (root / ".git" / "index").write_bytes(written(sorted(FILES if tracked is None else tracked)))
    files = Surroundings(root, services or (SVC, OTHER)).files(of)
    return {path: base64.b64decode(content).decode() for path, content in files.items()}


def test_tracked_files_outside_of_services_are_taken(tmp_path: Path) -> None:
    """But nothing of other services, and nothing that decides how pytest runs the suite."""
    assert around(tmp_path) == {".env": "A=1\n", "data/one.json": "{}", "shared/tool.py": ""}


def test_what_decides_how_pytest_runs_is_taken_from_where_it_is_run(tmp_path: Path) -> None:
    """A suite of the folder above is run there, with the settings of that folder."""
    suite = Suite(kind=SuiteKind.PYTEST, arguments=("tests",), folder=".")
    taken = around(tmp_path, replace(SVC, suite=suite))
    assert set(taken) == {".env", "data/one.json", "shared/tool.py", "conftest.py", "pyproject.toml"}


def test_what_decides_is_taken_from_the_folders_between(tmp_path: Path) -> None:
    """Of a service in a package whose suite runs outside of it, the fixtures and modules around it count."""
    inner = replace(
        service("svc"), path="app/svc", suite=Suite(kind=SuiteKind.PYTEST, arguments=("app/svc/tests",), folder=".")
    )
    files = ["app/__init__.py", "app/conftest.py", "conftest.py", "app/svc/a.py", "lib/conftest.py"]
    service_tree(tmp_path, dict.fromkeys(files, ""))
    assert set(around(tmp_path, inner, inner, tracked=files)) == {"app/__init__.py", "app/conftest.py", "conftest.py"}


def test_untracked_files_are_not_taken(tmp_path: Path) -> None:
    assert around(tmp_path, tracked=["svc/app.py", "data/one.json"]) == {"data/one.json": "{}"}


def test_code_of_a_service_at_the_root_is_not_importable(tmp_path: Path) -> None:
    assert set(around(tmp_path, SVC, SVC, OTHER, ROOT)) == {".env", "data/one.json"}
    assert around(tmp_path, ROOT, SVC, OTHER, ROOT) == {}


def test_without_git_nothing_is_taken(tmp_path: Path) -> None:
    service_tree(tmp_path, FILES)

    assert Surroundings(tmp_path, (SVC,)).files(SVC) == {}


@pytest.mark.parametrize(("name", "limit"), [("FILE_COUNT_LIMIT", 2), ("TOTAL_SIZE_LIMIT", 5)])
def test_of_large_repositories_only_files_above_the_service_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    monkeypatch.setattr(surroundings, name, limit)

    assert set(around(tmp_path)) == {".env"}


def test_of_large_repositories_files_that_the_sources_name_are_taken_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test of qnabot-on-aws opens the settings of the function beside it: ``../../lambda/cfn/lib/...json``."""
    monkeypatch.setattr(surroundings, "FILE_COUNT_LIMIT", 2)
    monkeypatch.setitem(FILES, "svc/tests/test_a.py", 'def test_a():\n    open("../data/one.json")\n')

    assert around(tmp_path) == {".env": "A=1\n", "data/one.json": "{}"}


def test_larger_files_are_left_out_if_all_are_too_large_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of some hundred kilobytes is taken where there are few."""
    monkeypatch.setattr(surroundings, "FILE_SIZE_LIMITS", (10, 2))
    everything = set(around(tmp_path))
    monkeypatch.setattr(surroundings, "TOTAL_SIZE_LIMIT", 5)

    assert {".env", "data/one.json"} <= everything
    assert set(around(tmp_path)) == {"data/one.json", "shared/tool.py"}


def test_large_files_and_links_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "FILE_SIZE_LIMITS", (2,))
    secret = tmp_path.with_name(f"{tmp_path.name}-secret")
    secret.mkdir()
    (tmp_path / "linked").symlink_to(secret)
    (secret / "a").write_text("x")

    assert set(around(tmp_path, tracked=[*FILES, "linked/a"])) == {"data/one.json", "shared/tool.py"}


def test_a_linked_work_tree_has_its_index_elsewhere(tmp_path: Path) -> None:
    root = service_tree(tmp_path / "tree", FILES)
    git = tmp_path / "main" / ".git" / "worktrees" / "tree"
    git.mkdir(parents=True)
    (git / "index").write_bytes(written([".env"]))
    (root / ".git").write_text(f"gitdir: {git}\n")

    assert set(Surroundings(root, (SVC,)).files(SVC)) == {".env"}


def test_the_root_of_the_run_may_be_a_folder_of_the_repository(tmp_path: Path) -> None:
    service_tree(tmp_path, {f"inner/{name}": text for name, text in FILES.items()})
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_bytes(written(["above.txt", "inner/.env"]))

    assert set(Surroundings(tmp_path / "inner", (SVC,)).files(SVC)) == {".env"}
