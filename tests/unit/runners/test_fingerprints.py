"""Digests of folders, as far as a cell sees them."""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.tree import SKIPPED_FOLDERS
from pytest_py312.runners.agent.probe import NOT_COPIED
from pytest_py312.runners.fingerprints import code_digest, copy_tree, linked_paths, module_digest, tree_digest
from tests.support.fakes import service_tree

FILES = {"app/__init__.py": "", "app/main.py": "print(1)\n", "tests/test_main.py": "def test_a(): pass\n"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return service_tree(tmp_path / "service", FILES)


def test_the_same_content_elsewhere_has_the_same_digest(tree: Path, tmp_path: Path) -> None:
    assert tree_digest(tree) == tree_digest(service_tree(tmp_path / "other", dict(reversed(FILES.items()))))


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "app/main.py").write_text("print(2)\n"),
        lambda tree: (tree / "app/new.py").write_text(""),
        lambda tree: (tree / "app/main.py").unlink(),
        lambda tree: (tree / "app/main.py").rename(tree / "app/other.py"),
        lambda tree: (tree / "app/main.py").chmod(0o755),
        lambda tree: (tree / "link").symlink_to("app/main.py"),
    ],
)
def test_every_change_that_a_cell_sees_changes_the_digest(tree: Path, change: Callable[[Path], object]) -> None:
    original = tree_digest(tree)

    change(tree)

    assert tree_digest(tree) != original


def test_a_symlink_counts_by_its_target_path(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one")
    (tree / "link").symlink_to(tmp_path / "secret")
    original = tree_digest(tree)
    (tmp_path / "secret").write_text("two")

    assert tree_digest(tree) == original
    (tree / "link").unlink()
    (tree / "link").symlink_to("elsewhere")
    assert tree_digest(tree) != original


def test_the_content_of_a_linked_file_in_the_repository_counts(tmp_path: Path) -> None:
    root = service_tree(tmp_path / "r", {"common/Dockerfile": "one", "a/app.py": ""})
    (tmp_path / "outside").write_text("one")
    (root / "a" / "Dockerfile").symlink_to("../common/Dockerfile")
    (root / "a" / "secret").symlink_to(tmp_path / "outside")
    original = tree_digest(root / "a", within=root)

    (tmp_path / "outside").write_text("two")
    assert tree_digest(root / "a", within=root) == original

    (root / "common" / "Dockerfile").write_text("two")
    assert tree_digest(root / "a", within=root) != original


@pytest.mark.parametrize("changed", ["libs/common/a.py", "libs/more/b.py"])
def test_the_content_of_a_linked_folder_in_the_repository_counts(tmp_path: Path, changed: str) -> None:
    """That includes folders behind links in it, even if these links form a circle."""
    root = service_tree(tmp_path / "r", {"libs/common/a.py": "one", "libs/more/b.py": "one", "a/app.py": ""})
    (root / "a" / "common").symlink_to("../libs/common")
    (root / "a" / "up").symlink_to("..")
    (root / "libs/common/more").symlink_to("../more")
    (root / "libs/more/back").symlink_to("../common")
    original = tree_digest(root / "a", within=root)

    (root / changed).write_text("two")

    assert tree_digest(root / "a", within=root) != original


def test_a_file_with_the_content_of_a_symlink_differs_from_the_symlink(tmp_path: Path) -> None:
    service_tree(tmp_path / "file", {"x": "link\0target"})
    (tmp_path / "file" / "x").chmod(0o755)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "x").symlink_to("target")

    assert tree_digest(tmp_path / "file") != tree_digest(tmp_path / "link")


@pytest.mark.parametrize("name", sorted(NOT_COPIED))
def test_folders_that_a_cell_does_not_see_do_not_count(tree: Path, name: str) -> None:
    original = tree_digest(tree)

    service_tree(tree, {f"{name}/x.py": "1", f"app/{name}/y.py": "2"})

    assert tree_digest(tree) == original


def test_everything_that_is_read_of_a_service_counts() -> None:
    """A package may be called ``venv``: changes of files that other checks read must not go unnoticed."""
    assert NOT_COPIED <= SKIPPED_FOLDERS


def test_a_virtual_environment_of_any_name_does_not_count(tree: Path) -> None:
    original = tree_digest(tree)

    service_tree(tree, {"my-env/pyvenv.cfg": "home = /usr\n", "my-env/lib/x.py": ""})

    assert tree_digest(tree) == original


def test_a_missing_folder_has_a_digest(tree: Path) -> None:
    assert tree_digest(tree / "none") != tree_digest(tree)


def test_an_unreadable_file_is_no_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been removed, or belong to another user; simulated, since the superuser can read every file."""
    original = tree_digest(tree)
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == "main.py":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)

    assert tree_digest(tree) != original


def test_a_copy_has_exactly_what_counts(tree: Path, tmp_path: Path) -> None:
    service_tree(tree, {".git/config": "x", "my-env/pyvenv.cfg": "home = /usr\n"})
    (tree / "link").symlink_to("/nowhere")

    copy_tree(tree, tmp_path / "copy")

    assert tree_digest(tmp_path / "copy") == tree_digest(tree)
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["app", "link", "tests"]


def test_a_link_out_of_the_folder_is_replaced_by_what_it_points_to_in_the_repository(tmp_path: Path) -> None:
    """Otherwise it would dangle in the copy, and the service would not build on any Python."""
    root = service_tree(
        tmp_path / "repository",
        {"common.txt": "six\n", "libs/shared/a.py": "A = 1\n", "libs/shared/.git/x": "", "services/a/app.py": ""},
    )
    (tmp_path / "secret").write_text("secret")
    service = root / "services/a"
    links = {
        "common.txt": "../../common.txt",
        "shared": "../../libs/shared",
        "inside.py": "app.py",
        "absolute.txt": str(root / "common.txt"),
        "outside": "../../../secret",
        "everything": "../..",
        "broken": "nothing",
    }
    for name, target in links.items():
        (service / name).symlink_to(target)
    (root / "libs/shared/back").symlink_to("../../services/a")

    copy_tree(service, tmp_path / "copy", within=root)

    copy = tmp_path / "copy"
    assert {name for name in links if (copy / name).is_symlink()} == {"inside.py", "outside", "everything", "broken"}
    assert (copy / "common.txt").read_text() == (copy / "absolute.txt").read_text() == "six\n"
    assert sorted(path.name for path in (copy / "shared").iterdir()) == ["a.py", "back"]
    assert (copy / "inside.py").readlink() == Path("app.py")


def test_folders_of_links_to_each_other_have_a_copy(tmp_path: Path) -> None:
    """Each has two links to the next: without a limit there would be a million copies of the last."""
    names = [f"f{number:02}" for number in range(20)]
    root = service_tree(tmp_path / "repository", {f"{name}/x": name for name in names})
    for name, following in pairwise(names):
        for link in ("a", "b"):
            (root / name / link).symlink_to(f"../{following}")

    copy_tree(root / "f00", tmp_path / "copy", within=root)

    assert (tmp_path / "copy/a/x").read_text() == "f01"
    assert len(linked_paths(root, [PurePosixPath("f00")])) == 19


@given(
    st.dictionaries(st.sampled_from("abcd"), st.text(max_size=4)),
    st.dictionaries(st.sampled_from("abcd"), st.text(max_size=4)),
)
def test_two_trees_have_the_same_digest_exactly_if_they_are_equal(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, str], second: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("trees")
    for name, files in (("first", first), ("second", second)):
        (folder / name).mkdir()
        for file, text in files.items():
            (folder / name / file).write_bytes(text.encode("utf-8", "surrogatepass"))

    assert (tree_digest(folder / "first") == tree_digest(folder / "second")) is (first == second)


def test_the_digest_of_the_code_is_the_same_each_time() -> None:
    assert code_digest() == code_digest()
    assert len(code_digest()) == 40


def test_a_file_counts_by_name_and_content_and_is_copied_unchanged(tmp_path: Path) -> None:
    """A wheel may be required by path instead of a folder."""
    wheel, other = tmp_path / "a-1-py3-none-any.whl", tmp_path / "b-1-py3-none-any.whl"
    wheel.write_bytes(b"1")
    other.write_bytes(b"1")
    original = tree_digest(wheel)
    copy_tree(wheel, tmp_path / "copy.whl")
    wheel.write_bytes(b"2")

    assert len({original, tree_digest(wheel), tree_digest(other), tree_digest(tmp_path / "absent")}) == 4
    assert (tmp_path / "copy.whl").read_bytes() == b"1"


def test_a_module_is_known_by_the_code_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by what other distributions have in the same namespace."""
    package = tmp_path / "company_of_tests" / "gate"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "hooks.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    digest = module_digest("company_of_tests.gate.hooks")

    (package.parent / "other.py").touch()
    assert module_digest("company_of_tests.gate.hooks") == digest != ""
    (package / "rules.py").write_text("STRICT = True\n", encoding="ascii")
    changed = module_digest("company_of_tests.gate.hooks")
    assert changed not in ("", digest)
    (package / "rules.py").rename(package / "settings.py")
    assert module_digest("company_of_tests.gate.hooks") not in ("", digest, changed)


@pytest.mark.parametrize("name", ["sys", "made_by_a_program", "six_of_nobody", ""])
def test_a_module_without_code_has_no_digest(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made_by_a_program", ModuleType("made_by_a_program"))
    assert module_digest(name) == ""
