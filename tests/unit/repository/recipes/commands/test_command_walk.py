"""What a walk through commands runs and installs."""

from pathlib import Path

from pytest_py312.repository.recipes.suites.suite_recipe import new_walk
from pytest_py312.repository.tree import Tree


def test_a_target_that_starts_itself_is_followed_once(tmp_path: Path) -> None:
    """Each of its commands that started it again would multiply those that are followed."""
    recipe = "\tpip install a\n" + "\t$(MAKE) test\n" * 300
    (tmp_path / "Makefile").write_text(f"test:\n{recipe}")
    walk = new_walk(Tree(tmp_path), "ci.sh", ".")
    walk.run("make test", 1)
    assert [step.location.line for step in walk.steps] == [2]
    assert walk.count < 1_000


def test_a_target_is_followed_each_time_it_is_called(tmp_path: Path) -> None:
    """One that has ended may be started again."""
    (tmp_path / "Makefile").write_text("test:\n\tpytest\n")
    walk = new_walk(Tree(tmp_path), "ci.sh", ".")
    walk.run("make test && make test", 1)
    assert [run.words for run in walk.runs] == [("pytest",), ("pytest",)]
