"""Read what a job of a workflow installs into the archive of a function: pip's ``--target`` beside its code."""

import re
from dataclasses import replace

from pytest_py312.core.model.fleet import InstallRecipe
from pytest_py312.repository.formats.functions.serverless import LAMBDA_CODE
from pytest_py312.repository.recipes.suite_recipe import jobs_of_workflows, new_walk, walk_job
from pytest_py312.repository.tree import Tree

INSTALLS_INTO_FOLDER = re.compile(r"\binstall\b(?:(?!\binstall\b)[^\n])*\s(?:-t|--target)\b", re.ASCII)
"""A command that installs into a folder which it names."""


def read_packaging_recipe(tree: Tree, service_path: str, service_name: str) -> InstallRecipe | None:
    """Return what the first such job installs from requirements files of the service; ``None`` if there is none.

    What else the job installs is for itself: tests, the command line of a cloud.
    """
    for path, job in jobs_of_workflows(tree, ".", INSTALLS_INTO_FOLDER):
        walk = new_walk(tree, path, ".")
        for _ in walk_job(walk, job, service_path, service_name, "."):
            pass
        steps = [step for step in walk.steps if step.target and _is_in(service_path, step.files)]
        if steps:
            packaged = (replace(step, target=LAMBDA_CODE) for step in steps)
            return InstallRecipe(source=path, steps=tuple(dict.fromkeys(packaged)))
    return None


def _is_in(service_path: str, files: tuple[str, ...]) -> bool:
    return any(service_path == "." or file.startswith(f"{service_path}/") for file in files)
