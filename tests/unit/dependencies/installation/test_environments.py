"""Environments put together from the store by hard links, whole or not at all."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_py312.dependencies.installation import environments as module
from pytest_py312.dependencies.installation.distribution_store import Entry
from pytest_py312.dependencies.installation.environments import Environments
from tests.support.fakes import FakeRunner, build_of, service_tree

BUILD = build_of("3.12")


def entry(store: Path, name: str, files: dict[str, str]) -> Entry:
    folder = service_tree(store / name, {**files, "entry.json": json.dumps({"prefix": "/built/in/here"})})
    return Entry(name=name, version="1.0", folder=folder, modules=(name,))


@pytest.fixture
def made(tmp_path: Path) -> Environments:
    return Environments(cache=tmp_path / "cache", runner=FakeRunner())


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    return [
        entry(tmp_path / "store", "one", {"lib/one/__init__.py": "1", "lib/shared/a.py": "one", "data/share/x": "x"}),
        entry(tmp_path / "store", "two", {"lib/two.py": "2", "lib/shared/a.py": "two", "lib/shared/b.py": "two"}),
    ]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_an_environment_holds_its_distributions(made: Environments, entries: list[Entry], interpreter: str) -> None:
    build = build_of(interpreter)

    found = made.make("key", entries, build)

    site = found.folder / "lib" / f"python{interpreter}" / "site-packages"
    assert (site / "one" / "__init__.py").read_text() == "1"
    assert (site / "two.py").stat().st_ino == (entries[1].folder / "lib" / "two.py").stat().st_ino
    assert (found.folder / "share" / "x").read_text() == "x"
    assert str((found.folder / "bin" / "python").readlink()) == build.executable
    assert found.versions == {"one": "1.0", "two": "1.0"}
    assert found.modules == {"one": ("one",), "two": ("two",)}


def test_of_a_file_that_two_distributions_hold_the_first_stays(made: Environments, entries: list[Entry]) -> None:
    site = made.make("key", entries, BUILD).folder / "lib" / "python3.12" / "site-packages"

    assert [(site / "shared" / name).read_text() for name in ("a.py", "b.py")] == ["one", "two"]


def test_the_first_line_of_a_script_names_this_environment(made: Environments, tmp_path: Path) -> None:
    scripts = {"data/bin/tool": "#!/built/in/here/bin/python\nprint()\n", "data/bin/plain": "/built/in/here\n"}

    folder = made.make("key", [entry(tmp_path / "store", "one", scripts)], BUILD).folder

    assert (folder / "bin" / "tool").read_text() == f"#!{folder}/bin/python\nprint()\n"
    assert os.access(folder / "bin" / "tool", os.X_OK)
    assert (folder / "bin" / "plain").read_text() == "/built/in/here\n"


def test_one_that_is_there_is_given_as_it_is(made: Environments, entries: list[Entry]) -> None:
    first = made.make("key", entries, BUILD)

    assert made.make("key", [], BUILD) == first
    assert made.get("key") == first
    assert made.get("other") is None


@pytest.mark.parametrize("damage", [None, "", "{", "[]", "null", "{}", '{"modules": 3, "versions": {}}'])
def test_an_unfinished_one_is_none_and_is_made_again(
    made: Environments, entries: list[Entry], damage: str | None
) -> None:
    folder = made.make("key", entries, BUILD).folder
    (folder / "environment.json").unlink()
    if damage is not None:
        (folder / "environment.json").write_text(damage)
    assert made.get("key") is None

    assert made.make("key", entries, BUILD).versions == {"one": "1.0", "two": "1.0"}


def test_an_interrupted_build_leaves_nothing(
    made: Environments, entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_link_tree", fail)

    with pytest.raises(OSError, match="No space left"):
        made.make("key", entries, BUILD)
    assert list((tmp_path / "cache" / "envs").iterdir()) == []


def test_a_file_system_without_hard_links_will_do(
    made: Environments, entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", fail)

    site = made.make("key", entries, BUILD).folder / "lib" / "python3.12" / "site-packages"

    assert (site / "two.py").read_text() == "2"


def test_many_may_make_the_same_at_once(made: Environments, entries: list[Entry], tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: made.make("key", entries, BUILD), range(6)))

    assert all(one == found[0] for one in found)
    assert [path.name for path in (tmp_path / "cache" / "envs").iterdir()] == ["key"]


def test_the_key_depends_on_content_and_build_and_not_on_order(made: Environments) -> None:
    keys = {
        made.key_of(["a==1", "b==1"], BUILD),
        made.key_of(["b==1", "a==1"], BUILD),
        made.key_of(["a==1"], BUILD),
        made.key_of(["a==1", "b==1"], build_of("3.9")),
    }

    assert len(keys) == 3


@pytest.mark.parametrize("answer", [{"numpy": ""}, [], "text", None])
def test_what_was_found_out_is_remembered(made: Environments, entries: list[Entry], answer: object) -> None:
    made.make("key", entries, BUILD)

    made.remember("key", "imports-1", answer)

    assert made.recall("key", "imports-1") == answer
    assert made.recall("key", "imports-2") is None
