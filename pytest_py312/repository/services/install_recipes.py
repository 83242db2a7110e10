"""Find what installs a service: for production the recipe of its image, for its tests that of CI, tox or nox."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.fleet import InstallRecipe, InstallStep
from pytest_py312.core.model.plan import Plan, PlannedCommand
from pytest_py312.repository.formats.dockerfile import is_dockerfile, read_dockerfile
from pytest_py312.repository.formats.functions.serverless import LAMBDA_CODE, LAYER_CODE
from pytest_py312.repository.recipes.commands.command_walk import CommandWalk
from pytest_py312.repository.recipes.commands.file_map import FileMap, resolve_path
from pytest_py312.repository.recipes.commands.install_steps import installs_from
from pytest_py312.repository.recipes.dockerfile_recipe import read_dockerfile_recipe
from pytest_py312.repository.recipes.serverless_builds import bare_layers, read_handler_recipe, read_serverless_recipe
from pytest_py312.repository.recipes.suites.job_recipes import jobs_of_workflows, read_workflow_recipe, walk_job
from pytest_py312.repository.recipes.suites.runner_recipes import read_outer_tox_recipe, read_runner_recipe
from pytest_py312.repository.recipes.suites.script_recipes import read_makefile_recipe, read_script_recipe
from pytest_py312.repository.recipes.suites.suite_recipe import new_walk
from pytest_py312.repository.services.detection.entry_points import installing_commands_of_compose
from pytest_py312.repository.services.detection.service_files import (
    ServiceFiles,
    is_production_dockerfile,
    run_time_files,
)
from pytest_py312.repository.services.own_distributions import SCRIPT_LIMIT, installing_commands
from pytest_py312.repository.services.requirements.development import is_for_development
from pytest_py312.repository.tree import Tree, is_inside_root, join_path, lies_in, with_outer_folders

if TYPE_CHECKING:
    from pytest_py312.repository.recipes.suites.workflow_jobs import WorkflowJob

OUTER_DOCKERFILE_LIMIT = 50
"""Maximum number of Dockerfiles above a service that are read for it."""

_ROOT = "/repository"
_TOOLS_WITH_ENVIRONMENTS = frozenset({"poetry", "pdm", "pipenv", "uv"})
_SHARED_ENVIRONMENT = re.compile(
    r"virtualenvs\.create[ \t=]+[\"']?false|POETRY_VIRTUALENVS_CREATE|UV_PROJECT_ENVIRONMENT|--active\b|--system\b|"
    r"PIPENV_IGNORE_VIRTUALENVS|python\.use_venv",
    re.IGNORECASE,
)
"""What makes these tools install into an environment that is there already."""
_FOR_DEVELOPERS = re.compile(r"demo|dev(?!ice)|test", re.IGNORECASE)
_DOCKER_FOLDERS = (
    ".", "docker", "dockerfiles", "deploy", "deploy/docker", "build", "images", "container", "containers"
)  # fmt: skip
"""Folders whose Dockerfiles, and those of the folders inside of them, may be for a service beside them."""
_DEPLOYING_JOB = re.compile(r"deploy|release|publish|packag", re.IGNORECASE)
"""Names of workflows and jobs that make what is deployed: they count before others."""
INSTALLS_INTO_FOLDER = re.compile(r"\binstall\b(?:(?!\binstall\b)(?:[^\n]|(?<=\\)\n))*\s(?:-t|--target)\b", re.ASCII)
"""A command that installs into a folder which it names."""


def find_production_recipe(tree: Tree, files: ServiceFiles) -> InstallRecipe | None:
    """Return the recipe of the service's image or function; ``None`` if no file says what is installed for Python.

    Of several Dockerfiles of the service the outermost counts, and ``Dockerfile`` before others. Without one of its
    own, a build of AWS SAM or of the Serverless Framework counts, then the Dockerfiles in the folders above it that
    install something of the service, and not for another project, then those beside it with a virtual environment for
    it, the jobs of workflows that make the archive of a function, and at last the code of one.
    """
    own = [dockerfile.path for dockerfile in files.dockerfiles if is_production_dockerfile(dockerfile.path, files.path)]
    commands = installing_commands_of_compose(tree, files) if own else ()
    for path in sorted(own, key=_dockerfile_order):
        recipe = read_dockerfile_recipe(tree, path, files.path, commands)
        if recipe is not None and any(step.is_for_python for step in recipe.steps):
            return recipe
    built = read_serverless_recipe(tree, files.path, files.nested_folders)
    if built is not None:
        return _with_installs_into(tree, built, files)
    for path in islice(_outer_dockerfiles(tree, files.path), OUTER_DOCKERFILE_LIMIT):
        recipe = read_dockerfile_recipe(tree, path, files.path)
        if recipe is None or _is_of_another(tree, recipe, files.path):
            continue
        if any(installs_from(step, files.path) for step in recipe.steps):
            return recipe
    for path in islice(_neighboring_dockerfiles(tree, files.path), OUTER_DOCKERFILE_LIMIT):
        recipe = read_dockerfile_recipe(tree, path, files.path)
        if recipe is not None and _has_environment_for(recipe, files.path):
            return recipe
    packed = _read_packaging_recipe(tree, files)
    if packed is not None or files.dockerfiles:
        return packed
    return read_handler_recipe(tree, files.path, files.scan.files)


def _read_packaging_recipe(tree: Tree, files: ServiceFiles) -> InstallRecipe | None:
    """Return what the first job of a workflow installs into the archive of a function: ``--target`` beside its code.

    What else the job installs is for itself: tests, the command line of a cloud.
    """
    own_files = run_time_files(tree, files.path)
    for walk in _job_walks(tree, files.path, jobs_of_workflows(tree, ".", INSTALLS_INTO_FOLDER)):
        into_folder = [
            (resolve_path(step.target, resolve_path(step.folder or ".", "/")), step)
            for step in walk.steps
            if step.target
        ]
        is_packed = partial(_is_of_production, files, own_files)
        targets = {target for target, step in into_folder if any(map(is_packed, step.files))}
        steps = [replace(step, target=LAMBDA_CODE) for target, step in into_folder if target in targets]
        if steps:
            return InstallRecipe(source=walk.path, steps=tuple(dict.fromkeys(steps)))
    return None


def _job_walks(tree: Tree, folder: str, jobs: Iterable[tuple[str, "WorkflowJob"]]) -> Iterator[CommandWalk]:
    """Yield the walk through each of the ``jobs``, with the values of its matrix that are for ``folder``."""
    for path, job in jobs:
        walk = new_walk(tree, path, ".")
        for _ in walk_job(walk, job, folder, folder.rpartition("/")[2], "."):
            pass
        walk.path = path  # a step may have been in another file
        yield walk


def _is_of_production(files: ServiceFiles, own_files: Sequence[str], path: str) -> bool:
    """Return whether a requirements file is of the service, not of one inside, and by its name for production.

    :param own_files: those that are for run time by their names: if there are any, no other is what all of it needs.
    """
    if own_files:
        return path in own_files
    place = posixpath.relpath(path, files.path)
    is_inner = any(place.startswith(f"{inner}/") for inner in files.nested_folders)
    return is_inside_root(place) and not is_inner and not is_for_development(path, files.path)


def _with_installs_into(tree: Tree, recipe: InstallRecipe, files: ServiceFiles) -> InstallRecipe:
    """Return a function's recipe with what is installed into its folder and into those of its layers."""
    own = [replace(step, target=LAMBDA_CODE) for step in _installs_into(tree, files.path, files.nested_folders)]
    of_layers = [
        replace(step, target=LAYER_CODE)
        for folder in bare_layers(tree, files.path, files.nested_folders)
        for step in _installs_into(tree, folder)
    ]
    return replace(recipe, steps=tuple(dict.fromkeys((*own, *recipe.steps, *of_layers))))


@lru_cache(maxsize=256)
def _installs_into(tree: Tree, folder: str, nested: tuple[str, ...] = ()) -> tuple[InstallStep, ...]:
    """Return what a script, a target of a Makefile or a job installs into a folder. Cached: functions share layers.

    :param nested: folders inside of it, relative to it, that do not count.
    """

    def is_inside(step: InstallStep) -> bool:
        if not step.target or step.folder is None:
            return False
        target = resolve_path(step.target, resolve_path(step.folder, _ROOT))
        place = posixpath.relpath(target, resolve_path(folder, _ROOT))
        return is_inside_root(place) and not any(lies_in(place, inner) for inner in nested)

    for walk in _packaging_walks(tree, folder):
        if steps := tuple(filter(is_inside, walk.steps)):
            return steps
    return ()


def _packaging_walks(tree: Tree, folder: str) -> Iterator[CommandWalk]:
    """Yield the walks through commands that install something into a folder, the nearest to ``folder`` first."""
    for path, start, words in islice(installing_commands(tree, folder, INSTALLS_INTO_FOLDER), SCRIPT_LIMIT):
        walk = new_walk(tree, path, start)
        walk.run_argv(words, 1)
        yield walk
    jobs = jobs_of_workflows(tree, ".", INSTALLS_INTO_FOLDER)
    deploying_first = sorted(jobs, key=lambda item: not _DEPLOYING_JOB.search(f"{item[0]} {item[1].name}"))
    yield from _job_walks(tree, folder, deploying_first)


def read_planned_recipe(
    tree: Tree, plan: Plan, path: str, key: str, commands: Sequence[PlannedCommand]
) -> InstallRecipe:
    """Return the recipe of the commands that the plan sets for the service in the folder ``path``.

    :raises PlanError: a command names something that is not in the repository.
    """
    files = FileMap(tree)
    files.add(_ROOT, ".")
    walk = CommandWalk(files=files, path=plan.source, folder=resolve_path(path, _ROOT))
    for command in commands:
        walk.run_argv(command.words, command.location.line or 1)
    for step in walk.steps:
        for missing in step.unresolved:
            message = f'"{missing}" is not in the repository (the service is at {path})'
            raise PlanError(str(step.location), key, message)
    steps = (step for step in walk.steps if step.is_for_python)
    return InstallRecipe(source=plan.source, steps=tuple(dict.fromkeys(steps)))


def find_test_recipe(tree: Tree, files: ServiceFiles, name: str) -> InstallRecipe | None:
    """Return the recipe of the service's tests; ``None`` if no CI, tox, nox or Makefile says what they are run with."""
    path = files.path
    readers: tuple[Callable[[], InstallRecipe | None], ...] = (
        lambda: read_workflow_recipe(tree, path, name),
        lambda: read_runner_recipe(tree, path),
        lambda: read_makefile_recipe(tree, path),
        lambda: read_script_recipe(tree, path, files.nested_folders),
        lambda: read_outer_tox_recipe(tree, path),
        lambda: read_workflow_recipe(tree, path, name, around=True),
    )
    recipes = (read() for read in readers)
    used = (recipe for recipe in recipes if recipe is not None and any(step.is_for_python for step in recipe.steps))
    recipe = next(used, None)
    return _of_own_environment(tree, recipe, path) if recipe is not None else None


def find_test_run(tree: Tree, files: ServiceFiles, name: str) -> InstallRecipe | None:
    """Return the recipe of a run of the service's tests for which nothing is installed; ``None`` if there is none."""
    return (
        read_workflow_recipe(tree, files.path, name, needs_steps=False)
        or read_runner_recipe(tree, files.path)
        or read_makefile_recipe(tree, files.path, needs_steps=False)
    )


def _of_own_environment(tree: Tree, recipe: InstallRecipe, path: str) -> InstallRecipe:
    """Return the recipe without what Poetry and the like install for other projects, if they do so for the service.

    Such a tool makes an environment for each project, also where the steps of one job test several projects.
    """
    is_project = [step.tool in _TOOLS_WITH_ENVIRONMENTS and step.project is not None for step in recipe.steps]
    own = [step for step, is_any in zip(recipe.steps, is_project, strict=True) if is_any and step.project == path]
    texts = (tree.read_or_none(place) or "" for place in {step.location.path for step in own})
    if not own or any(_SHARED_ENVIRONMENT.search(text) for text in texts):
        return recipe
    kept = (step for step, is_any in zip(recipe.steps, is_project, strict=True) if not is_any or step.project == path)
    return replace(recipe, steps=tuple(kept))


def _dockerfile_order(path: str) -> tuple[int, bool, bool, str]:
    name = path.rpartition("/")[2]
    return path.count("/"), name != "Dockerfile", _FOR_DEVELOPERS.search(name) is not None, path


def _outer_dockerfiles(tree: Tree, path: str) -> Iterator[str]:
    """Yield the production Dockerfiles in the folders above a service, the nearest first."""
    for folder in islice(with_outer_folders(path), 1, None):
        yield from _usual_dockerfiles(tree, folder)


@lru_cache(maxsize=64)
def _usual_dockerfiles(tree: Tree, folder: str) -> tuple[str, ...]:
    """Return the production Dockerfiles in a folder, at the usual places. Cached: each service below asks for them."""
    spelt = {name.lower(): name for name in tree.list_folder(folder).folders}
    paths = []
    for usual in _DOCKER_FOLDERS:
        first, slash, rest = usual.partition("/")
        inner = f"{spelt.get(first, first)}{slash}{rest}"
        listing = tree.list_folder(join_path(folder, inner))
        nested = [join_path(inner, name) for name in (listing.folders if inner != "." else ())]
        for place in (inner, *nested):
            paths += [
                join_path(folder, place, name)
                for name in tree.list_folder(join_path(folder, place)).files
                if is_dockerfile(name) and is_production_dockerfile(join_path(place, name), ".")
            ]
    return tuple(paths)


def _neighboring_dockerfiles(tree: Tree, path: str) -> Iterator[str]:
    """Yield the production Dockerfiles in the folders beside a service that name its folder."""
    parent, _, name = path.rpartition("/")
    if path == ".":
        return
    if name in _text_one_below(tree, parent or "."):
        for folder, dockerfile, text in _dockerfiles_one_below(tree, parent or "."):
            if folder != path and name in text:
                yield dockerfile


@lru_cache(maxsize=2)
def _text_one_below(tree: Tree, parent: str) -> str:
    """Return the texts of those Dockerfiles as one: most names of services are in none."""
    return "\0".join(text for _, _, text in _dockerfiles_one_below(tree, parent))


@lru_cache(maxsize=2)
def _dockerfiles_one_below(tree: Tree, parent: str) -> tuple[tuple[str, str, str], ...]:
    """Return the production Dockerfiles in the folders of ``parent``: folder, path and text of each.

    Cached: each service in these folders asks for them, and there may be thousands.
    """
    folders = [join_path(parent, name) for name in tree.list_folder(parent).folders]
    return tuple(
        (folder, join_path(folder, file), tree.read_or_none(join_path(folder, file)) or "")
        for folder in folders
        for file in tree.list_folder(folder).files
        if is_dockerfile(file) and is_production_dockerfile(file, ".")
    )


def _has_environment_for(recipe: InstallRecipe, path: str) -> bool:
    """Whether an image has a virtual environment in which only the service is installed."""
    inside = [step for step in recipe.steps if step.environment and step.is_for_python]
    return bool(inside) and all(installs_from(step, path) for step in inside)


def _is_of_another(tree: Tree, recipe: InstallRecipe, path: str) -> bool:
    """Whether an image installs further projects of the repository and is none of the one in the folder ``path``.

    So it is if one of them requires it by its path, and, unless it requires all of them itself, if the name of the
    image or its start names one of them and not this one, or if the image starts nothing. An image that starts nothing
    and installs only what it has built is of each: it is started by the name of one.
    """
    installed = {project.path for step in recipe.steps for project in step.projects}
    installed |= {step.project for step in recipe.steps if step.project is not None}
    others = installed - {path}
    if any(_requires_by_path(tree, other, path) for other in others):
        return True
    if path not in installed or all(_requires_by_path(tree, path, other) for other in others):
        return False
    instructions = read_dockerfile(tree.read_or_none(recipe.source) or "", recipe.source).instructions
    starts = [each.arguments for each in instructions if each.keyword in ("CMD", "ENTRYPOINT")]
    is_named = {project: _names_project(project, (recipe.source, *starts)) for project in (path, *others)}
    is_built = all(step.exported or (step.project is None and not step.projects) for step in recipe.steps)
    return not is_named[path] and (any(is_named.values()) or not (starts or is_built))


def _names_project(project: str, texts: Iterable[str]) -> bool:
    """Return whether one of ``texts`` has the name of a project's folder, however its words are joined."""
    words = map(re.escape, re.split(r"[-_.]", posixpath.basename(project)))
    name = re.compile("[-_.]?".join(words), re.IGNORECASE)
    return any(map(name.search, texts))


def _requires_by_path(tree: Tree, project: str, other: str) -> bool:
    relative = re.escape(posixpath.relpath(other, project))
    text = tree.read_or_none(join_path(project or ".", "pyproject.toml")) or ""
    return re.search(rf"[\"']{relative}/?[\"']", text) is not None
