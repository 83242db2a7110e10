"""Read what a target of a Makefile, or a script, installs that runs the tests of a service."""

import posixpath
import re
from collections.abc import Sequence
from itertools import islice

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep
from pytest_py312.repository.recipes.suites.runner_recipes import SESSION_LIMIT, follow_runners
from pytest_py312.repository.recipes.suites.suite_commands import (
    is_test_of,
)
from pytest_py312.repository.recipes.suites.suite_recipe import make_suite_recipe, new_walk
from pytest_py312.repository.tree import Tree, join_path, lies_in

_TEST_TARGET = re.compile(r"^((?=[\w-]{0,100}(?:test|check|ci))[\w-]{1,200})[ \t]*:(?!=)", re.MULTILINE | re.ASCII)
_SCRIPT_FOLDERS = (".", "scripts", "script", "bin", "ci", ".ci", "deployment", "tools")
_TEST_SCRIPT = re.compile(r"(?:run[-_]?)?(?:all[-_]?)?(?:unit[-_]?)?tests?\.(?:sh|bash)")


def read_makefile_recipe(tree: Tree, service_path: str, *, needs_steps: bool = True) -> InstallRecipe | None:
    """Return what the first target of a Makefile installs that runs the service's tests; ``None`` if there is none.

    :param needs_steps: whether only a target counts that installs something.
    """
    for folder in dict.fromkeys((service_path, ".")):
        path = join_path(folder, "Makefile")
        text = tree.read_or_none(path)
        for target in islice(_TEST_TARGET.finditer(text or ""), SESSION_LIMIT):
            walk = new_walk(tree, path, folder)
            walk.run_argv(("make", target[1]), 1)
            follow_runners(tree, walk, service_path)
            tests = [run for run in walk.runs if is_test_of(run, service_path)]
            if tests and (walk.steps or not needs_steps):
                return make_suite_recipe(tree, path, walk, tests[0], service_path)
    return None


def read_script_recipe(tree: Tree, service_path: str, nested: Sequence[str] = ()) -> InstallRecipe | None:
    """Return what a script of a usual name installs that runs the service's tests; ``None`` if there is none.

    It is started in its own folder, or at the root. Of one that tests several projects, what it installs in their
    folders is not the service's.

    :param nested: the folders of other services inside of it, relative to the service.
    """
    inner = [join_path(service_path, name) for name in nested]
    folders = [*(join_path(service_path, name) for name in _SCRIPT_FOLDERS), *_SCRIPT_FOLDERS]
    for folder in dict.fromkeys(folders):
        for name in filter(_TEST_SCRIPT.fullmatch, tree.list_folder(folder).files):
            starts = dict.fromkeys((folder, service_path if lies_in(folder, service_path) else "."))
            recipes = [_recipe_of_script(tree, join_path(folder, name), start, service_path, inner) for start in starts]
            known = [recipe for recipe in recipes if recipe is not None]
            if known:  # it fits to the folder in which it is to be started
                return min(known, key=lambda recipe: sum(len(step.unresolved) for step in recipe.steps))
    return None


def _recipe_of_script(
    tree: Tree, path: str, start: str, service_path: str, inner: Sequence[str]
) -> InstallRecipe | None:
    """Return what a script installs that is started in a folder; ``None`` if it runs no tests of the service."""
    walk = new_walk(tree, path, start)
    walk.run_script(tree.read_or_none(path) or "", path, name=posixpath.relpath(path, start))
    tests = [run for run in walk.runs if is_test_of(run, service_path)]
    walk.steps = [step for step in walk.steps if _is_around(step, path.rpartition("/")[0] or ".", service_path, inner)]
    return make_suite_recipe(tree, path, walk, tests[0], service_path) if walk.steps and tests else None


def _is_around(step: InstallStep, script_folder: str, service_path: str, inner: Sequence[str]) -> bool:
    """Return whether a step runs where its script is, or in or around the service, and in no ``inner`` folder."""
    place = step.folder
    if place is None or any(lies_in(place, folder) for folder in inner):
        return False
    return place in (script_folder, ".") or lies_in(place, service_path) or lies_in(service_path, place)
