"""Read what a job of GitHub, Azure Pipelines, GitLab or CircleCI installs that runs the tests of a service."""

import posixpath
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from pytest_py312.core.model.fleet import InstallRecipe
from pytest_py312.repository.recipes.commands.command_walk import CommandRun, CommandWalk
from pytest_py312.repository.recipes.commands.file_map import WORKSPACE, resolve_path
from pytest_py312.repository.recipes.commands.install_steps import installs_from
from pytest_py312.repository.recipes.suites.matrix_values import (
    chosen_object,
    chosen_value,
    computed_value,
    values_for_service,
)
from pytest_py312.repository.recipes.suites.runner_recipes import follow_runners
from pytest_py312.repository.recipes.suites.suite_commands import (
    collects_around,
    is_test_of,
    starts_runner,
)
from pytest_py312.repository.recipes.suites.suite_recipe import make_suite_recipe, new_walk
from pytest_py312.repository.tree import Tree, join_path, leaves_root

if TYPE_CHECKING:
    from pytest_py312.repository.recipes.suites.workflow_jobs import WorkflowJob

WORKFLOW_LIMIT = 100
INCLUDE_LIMIT = 20
"""Maximum number of included files of GitLab CI that are read."""
_AZURE_PIPELINE = re.compile(r"\.?azure-pipelines?[\w.-]*\.ya?ml")
_AZURE_FOLDERS = (".azure-pipelines", "azure-pipelines", ".azure", ".azuredevops", ".pipelines", "pipelines")
_IS_PIPELINE = re.compile(r"^[ \t-]*(?:vmImage|task|pool)[ \t]*:", re.MULTILINE)
_OTHER_PURPOSE = re.compile(
    r"deploy|publish|release|\bdocs?\b|document|cov|nightly|schedule|bench|perf|mutation|codeql|lint|e2e|"
    r"old.?dep|min.?(?:dep|ver)|lowest|upstream|dev.?dep"
)
"""Names of workflows and jobs whose runs of tests are not those of each change, or whose requirements are others."""


def read_workflow_recipe(
    tree: Tree, service_path: str, service_name: str, *, around: bool = False, needs_steps: bool = True
) -> InstallRecipe | None:
    """Return what a job installs that runs the service's tests; ``None`` if there is none.

    Of several jobs one with a matrix of Pythons counts before one without, and one that is named as tests before the
    others.

    :param around: whether a job of GitHub counts that installs the service, and then runs the tests of all that is in a
        folder above it.
    :param needs_steps: whether only a job counts that installs something for Python; otherwise one of GitHub.
    """
    for folder in dict.fromkeys((".",) if around else (".", service_path)):
        for path, job in sorted(jobs_of_workflows(tree, folder), key=lambda item: _job_order(*item)):
            recipe = _recipe_of_job(
                tree, path, job, service_path, service_name, folder, around=around, needs_steps=needs_steps
            )
            if recipe is not None and (not needs_steps or any(step.is_for_python for step in recipe.steps)):
                return recipe
    if around or not needs_steps:
        return None
    return _read_gitlab_recipe(tree, service_path, service_name) or _read_circleci_recipe(
        tree, service_path, service_name
    )


def jobs_of_workflows(tree: Tree, folder: str, needs: re.Pattern[str] | None = None) -> list[tuple[str, "WorkflowJob"]]:
    """Return the jobs of the GitHub workflows and the Azure pipelines of a folder, with their files.

    :param needs: workflows in whose text it does not occur are left out.
    """
    inner = join_path(folder, ".github/workflows")
    names = [name for name in tree.list_folder(inner).files if name.endswith((".yml", ".yaml"))]
    workflows = [join_path(inner, name) for name in names[:WORKFLOW_LIMIT]]
    pipelines = azure_pipeline_files(tree, folder)
    texts = {path: tree.read_or_none(path) or "" for path in (*workflows, *pipelines)}
    texts = {path: text for path, text in texts.items() if needs is None or needs.search(text)}
    if not texts:
        return []
    # loads YAML, which a fleet without workflows does not need
    from pytest_py312.repository.recipes.suites.azure_jobs import read_azure_jobs
    from pytest_py312.repository.recipes.suites.workflow_jobs import read_workflow_jobs

    return [
        (path, job)
        for path, text in texts.items()
        for job in (read_azure_jobs(text) if path in pipelines else read_workflow_jobs(text))
    ]


@lru_cache(maxsize=4)
def azure_pipeline_files(tree: Tree, folder: str) -> tuple[str, ...]:
    """Return the files below a folder that are Azure pipelines by their names, or by their places and keys.

    Cached: each service asks several times for those of the root, and the text of each file decides.
    """
    listing = tree.list_folder(folder)
    at_root = [join_path(folder, name) for name in listing.files if _AZURE_PIPELINE.fullmatch(name)]
    inside = [
        join_path(folder, inner, name)
        for inner in _AZURE_FOLDERS
        if inner in listing.folders
        for name in tree.list_folder(join_path(folder, inner)).files
        if name.endswith((".yml", ".yaml"))
    ]
    pipelines = (path for path in inside if _IS_PIPELINE.search(tree.read_or_none(path) or ""))
    return tuple(islice((*at_root, *pipelines), WORKFLOW_LIMIT))


def _read_circleci_recipe(tree: Tree, service_path: str, service_name: str) -> InstallRecipe | None:
    for folder in dict.fromkeys((".", service_path)):
        path = join_path(folder, ".circleci/config.yml")
        if not tree.is_file(path):
            continue
        from pytest_py312.repository.recipes.suites.workflow_jobs import read_circleci_jobs  # loads YAML

        for job in read_circleci_jobs(tree.read_or_none(path) or ""):
            recipe = _recipe_of_job(tree, path, job, service_path, service_name, folder)
            if recipe is not None:
                return recipe
    return None


def _read_gitlab_recipe(tree: Tree, service_path: str, service_name: str) -> InstallRecipe | None:
    for folder in dict.fromkeys((".", service_path)):
        path = join_path(folder, ".gitlab-ci.yml")
        if not tree.is_file(path):
            continue
        from pytest_py312.repository.recipes.suites.gitlab_jobs import included_files, read_gitlab_jobs  # loads YAML

        text = tree.read_or_none(path) or ""
        included = {
            name: tree.read_or_none(name) or ""
            for name in map(posixpath.normpath, included_files(text)[:INCLUDE_LIMIT])
            if not leaves_root(name) and tree.is_file(name)
        }
        for job in read_gitlab_jobs({**included, path: text}):
            recipe = _recipe_of_job(tree, path, job, service_path, service_name, folder)
            if recipe is not None:
                return recipe
    return None


def _job_order(path: str, job: "WorkflowJob") -> tuple[bool, bool, bool]:
    """Return how little a job looks like the one that proves each change; equal ones stay in their order."""
    name = f"{posixpath.basename(path)} {job.name}".lower()
    has_pythons = any(re.match(r"py(thon|\b|_|-|ver)", key.lower()) for key in job.matrix)
    return _OTHER_PURPOSE.search(name) is not None, not has_pythons, "test" not in name


def _recipe_of_job(
    tree: Tree,
    path: str,
    job: "WorkflowJob",
    service_path: str,
    service_name: str,
    folder: str,
    *,
    around: bool = False,
    needs_steps: bool = True,
) -> InstallRecipe | None:
    """Return what a job installs if it runs tests of the service.

    :param around: whether it installs the service and runs the tests of all that is in a folder above it.
    """

    def tests_service(run: CommandRun) -> bool:
        return collects_around(run, tree, service_path) if around else is_test_of(run, service_path)

    walk = new_walk(tree, path, folder)
    needed, known_runs = 0, 0
    for _ in walk_job(walk, job, service_path, service_name, folder):
        if any(tests_service(run) or starts_runner(run) for run in walk.runs[known_runs:]):
            needed = len(walk.steps)
        known_runs = len(walk.runs)
    del walk.steps[needed:]  # what is installed after the last run of tests is for something else
    follow_runners(tree, walk, service_path)
    tests = [run for run in walk.runs if tests_service(run)]
    if (
        not tests
        or (needs_steps and not walk.steps)
        or (around and not any(installs_from(step, service_path) for step in walk.steps))
    ):
        return None
    return make_suite_recipe(tree, path, walk, tests[0], service_path)


def walk_job(
    walk: CommandWalk, job: "WorkflowJob", service_path: str, service_name: str, folder: str
) -> Iterator[None]:
    """Walk through the steps of a job with the values of its matrix that are for a service; yield after each step.

    :param folder: the folder whose ``.github`` has the job.
    """
    path = walk.path
    matrix = values_for_service(job, service_path, service_name)
    choice = {name: chosen_value(values, service_path, service_name) for name, values in matrix.items() if values}
    choice |= {
        key: value for key in job.computed if (value := computed_value(job, key, service_path, service_name, folder))
    }
    for name, objects in job.matrix_objects.items():
        choice |= {f"{name}.{key}": value for key, value in chosen_object(objects, service_path, service_name).items()}
    job_variables = {name: job.expand(value, choice) for name, value in job.variables.items()}
    job_variables |= choice if job.is_matrix_in_environment else {}
    walk.variables |= job_variables
    walk.exported = job_variables
    for step in job.steps:
        outer = dict(walk.variables)
        step_variables = {name: job.expand(value, choice) for name, value in step.variables.items()}
        walk.variables |= step_variables
        walk.exported = {**(walk.exported if step.is_same_shell else job_variables), **step_variables}
        if not step.is_same_shell:
            walk.folder = resolve_path(join_path(folder, job.expand(step.folder, choice)), WORKSPACE)
        walk.path, walk.may_be_skipped = step.path or path, step.may_be_skipped
        walk.run(job.expand(step.text, choice), step.line)
        walk.variables = walk.variables if step.is_same_shell else outer
        yield
