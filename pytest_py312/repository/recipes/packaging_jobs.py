"""Read what a job of a workflow installs into the archive of a function: pip's ``--target`` beside its code."""

import re
from collections.abc import Callable
from dataclasses import replace

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep
from pytest_py312.repository.formats.functions.serverless import LAMBDA_CODE
from pytest_py312.repository.recipes.file_map import resolve_path
from pytest_py312.repository.recipes.suite_recipe import jobs_of_workflows, new_walk, walk_job
from pytest_py312.repository.tree import Tree

INSTALLS_INTO_FOLDER = re.compile(r"\binstall\b(?:(?!\binstall\b)(?:[^\n]|(?<=\\)\n))*\s(?:-t|--target)\b", re.ASCII)
"""A command that installs into a folder which it names."""


def read_packaging_recipe(
    tree: Tree, service_path: str, service_name: str, is_packed: Callable[[str], bool]
) -> InstallRecipe | None:
    """Return what the first such job installs; ``None`` if there is none.

    What else the job installs is for itself: tests, the command line of a cloud.

    :param is_packed: whether a requirements file is one of the service, and for production.
    """
    for path, job in jobs_of_workflows(tree, ".", INSTALLS_INTO_FOLDER):
        walk = new_walk(tree, path, ".")
        for _ in walk_job(walk, job, service_path, service_name, "."):
            pass
        targets = {_target(step) for step in walk.steps if step.target and any(map(is_packed, step.files))}
        steps = [step for step in walk.steps if step.target and _target(step) in targets]
        if steps:
            packaged = (replace(step, target=LAMBDA_CODE) for step in steps)
            return InstallRecipe(source=path, steps=tuple(dict.fromkeys(packaged)))
    return None


def _target(step: InstallStep) -> str:
    return resolve_path(step.target, resolve_path(step.folder or ".", "/"))
