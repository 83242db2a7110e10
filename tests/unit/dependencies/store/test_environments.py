"""Environments of hard links to the store, which are complete or do not exist."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_py312.dependencies.store import environments as module
from pytest_py312.dependencies.store.environments import EnvironmentStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from tests.support.fakes import FakeRunner, build_of, service_tree

BUILD = build_of("3.12")


def entry(store: Path, name: str, files: dict[str, str]) -> StoredDistribution:
    folder = service_tree(store / name, {**files, "entry.json": json.dumps({"prefix": "/built/in/here"})})
    return StoredDistribution(name=name, version="1.0", folder=folder, modules=(name,))


@pytest.fixture
def made(tmp_path: Path) -> EnvironmentStore:
    return EnvironmentStore(cache=tmp_path / "cache", runner=FakeRunner())


@pytest.fixture
def entries(tmp_path: Path) -> list[StoredDistribution]:
    return [
        entry(tmp_path / "store", "one", {"lib/one/__init__.py": "1", "lib/shared/a.py": "one", "data/share/x": "x"}),
        entry(tmp_path / "store", "two", {"lib/two.py": "2", "lib/shared/a.py": "two", "lib/shared/b.py": "two"}),
    ]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_an_environment_holds_its_distributions(
    made: EnvironmentStore, entries: list[StoredDistribution], interpreter: str
) -> None:
    build = build_of(interpreter)

    environment = made.create("key", entries, build)

    site = environment.folder / "lib" / f"python{interpreter}" / "site-packages"
    assert (site / "one" / "__init__.py").read_text() == "1"
    assert (site / "two.py").stat().st_ino == (entries[1].folder / "lib" / "two.py").stat().st_ino
    assert (environment.folder / "share" / "x").read_text() == "x"
    assert str((environment.folder / "bin" / "python").readlink()) == build.executable
    assert environment.versions == {"one": "1.0", "two": "1.0"}
    assert environment.modules == {"one": ("one",), "two": ("two",)}


def test_the_first_of_two_equal_paths_is_kept(made: EnvironmentStore, entries: list[StoredDistribution]) -> None:
    site = made.create("key", entries, BUILD).folder / "lib" / "python3.12" / "site-packages"

    assert [(site / "shared" / name).read_text() for name in ("a.py", "b.py")] == ["one", "two"]


def test_the_first_line_of_a_script_names_this_environment(made: EnvironmentStore, tmp_path: Path) -> None:
    scripts = {"data/bin/tool": "#!/built/in/here/bin/python\nprint()\n", "data/bin/plain": "/built/in/here\n"}

    folder = made.create("key", [entry(tmp_path / "store", "one", scripts)], BUILD).folder

    assert (folder / "bin" / "tool").read_text() == f"#!{folder}/bin/python\nprint()\n"
    assert os.access(folder / "bin" / "tool", os.X_OK)
    assert (folder / "bin" / "plain").read_text() == "/built/in/here\n"


def test_an_existing_environment_is_returned(made: EnvironmentStore, entries: list[StoredDistribution]) -> None:
    first = made.create("key", entries, BUILD)

    assert made.create("key", [], BUILD) == first
    assert made.get("key") == first
    assert made.get("other") is None


@pytest.mark.parametrize("damage", [None, "", "{", "[]", "null", "{}", '{"modules": 3, "versions": {}}'])
def test_an_incomplete_environment_is_created_again(
    made: EnvironmentStore, entries: list[StoredDistribution], damage: str | None
) -> None:
    folder = made.create("key", entries, BUILD).folder
    (folder / "environment.json").unlink()
    if damage is not None:
        (folder / "environment.json").write_text(damage)
    assert made.get("key") is None

    assert made.create("key", entries, BUILD).versions == {"one": "1.0", "two": "1.0"}


def test_an_interrupted_build_leaves_nothing(
    made: EnvironmentStore, entries: list[StoredDistribution], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_link_tree", fail)

    with pytest.raises(OSError, match="No space left"):
        made.create("key", entries, BUILD)
    assert list((tmp_path / "cache" / "envs").iterdir()) == []


def test_files_are_copied_without_hard_links(
    made: EnvironmentStore, entries: list[StoredDistribution], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", fail)

    site = made.create("key", entries, BUILD).folder / "lib" / "python3.12" / "site-packages"

    assert (site / "two.py").read_text() == "2"


def test_an_environment_can_be_created_concurrently(
    made: EnvironmentStore, entries: list[StoredDistribution], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: made.create("key", entries, BUILD), range(6)))

    assert all(one == found[0] for one in found)
    assert [path.name for path in (tmp_path / "cache" / "envs").iterdir()] == ["key"]


def test_the_key_depends_on_content_and_build_and_not_on_order(made: EnvironmentStore) -> None:
    keys = {
        made.key_for(["a==1", "b==1"], BUILD),
        made.key_for(["b==1", "a==1"], BUILD),
        made.key_for(["a==1"], BUILD),
        made.key_for(["a==1", "b==1"], build_of("3.9")),
    }

    assert len(keys) == 3


@pytest.mark.parametrize("answer", [{"numpy": ""}, [], "text", None])
def test_results_are_cached(made: EnvironmentStore, entries: list[StoredDistribution], answer: object) -> None:
    made.create("key", entries, BUILD)

    made.store_result("key", "imports-1", answer)

    assert made.cached_result("key", "imports-1") == answer
    assert made.cached_result("key", "imports-2") is None


@pytest.mark.parametrize("changed", ["environment", "store"])
def test_an_environment_that_has_changed_is_not_used_by_another_run(
    made: EnvironmentStore, entries: list[StoredDistribution], tmp_path: Path, changed: str
) -> None:
    """Itself, or by way of a distribution that was installed again since."""
    folder = made.create("key", entries, BUILD).folder
    if changed == "environment":
        (folder / "lib" / "python3.12" / "site-packages" / "planted.pth").write_text("import evil")
    else:
        (entries[0].folder / "entry.json").write_text(json.dumps({"prefix": "", "installed_state": "another"}))

    assert made.get("key") is not None  # this run has built it
    assert EnvironmentStore(cache=tmp_path / "cache", runner=FakeRunner()).get("key") is None
    assert not folder.exists()
