"""Read what a service's tests are run with: the job of a workflow, or environments of tox and sessions of nox."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_py312.core.model.fleet import InstallRecipe
from pytest_py312.repository.recipes.command_walk import CommandRun, CommandWalk
from pytest_py312.repository.recipes.file_map import FileMap, resolve_path
from pytest_py312.repository.recipes.nox_sessions import walk_nox
from pytest_py312.repository.recipes.tox_environments import read_tox_configuration, walk_tox, walk_tox_toml
from pytest_py312.repository.tree import Tree, join_path, leaves_root

if TYPE_CHECKING:
    from pytest_py312.repository.recipes.workflow_jobs import WorkflowJob

WORKFLOW_LIMIT = 100
INCLUDE_LIMIT = 20
"""Maximum number of included files of GitLab CI that are read."""
RUN_LIMIT = 50
"""Maximum number of runs of tox and nox that are followed from one job."""

_ROOT = "/repository"
_TEST_PROGRAMS = frozenset({"pytest", "py.test", "nosetests", "nose2", "trial", "stestr", "unittest", "ward", "green"})
_OTHER_SYSTEMS = frozenset({"docker", "docker-compose", "podman", "kubectl", "echo", "pip", "ssh", "act"})


def read_workflow_recipe(tree: Tree, service_path: str, service_name: str) -> InstallRecipe | None:
    """Return what the first job installs that runs the service's tests; ``None`` if there is none."""
    for folder in dict.fromkeys((".", service_path)):
        inner = join_path(folder, ".github/workflows")
        names = [name for name in tree.list_folder(inner).files if name.endswith((".yml", ".yaml"))]
        if not names:
            continue
        # loads YAML, which a fleet without workflows does not need
        from pytest_py312.repository.recipes.workflow_jobs import read_workflow_jobs

        for name in names[:WORKFLOW_LIMIT]:
            path = join_path(inner, name)
            for job in read_workflow_jobs(tree.read_or_none(path) or ""):
                recipe = _recipe_of_job(tree, path, job, service_path, service_name, folder)
                if recipe is not None:
                    return recipe
    return _read_gitlab_recipe(tree, service_path, service_name) or _read_circleci_recipe(
        tree, service_path, service_name
    )


def _read_circleci_recipe(tree: Tree, service_path: str, service_name: str) -> InstallRecipe | None:
    for folder in dict.fromkeys((".", service_path)):
        path = join_path(folder, ".circleci/config.yml")
        if not tree.is_file(path):
            continue
        from pytest_py312.repository.recipes.workflow_jobs import read_circleci_jobs  # loads YAML

        for job in read_circleci_jobs(tree.read_or_none(path) or ""):
            recipe = _recipe_of_job(tree, path, job, service_path, service_name, folder)
            if recipe is not None:
                return recipe
    return None


def read_makefile_recipe(tree: Tree, service_path: str) -> InstallRecipe | None:
    """Return what the first target of a Makefile installs that runs the service's tests; ``None`` if there is none."""
    for folder in dict.fromkeys((service_path, ".")):
        path = join_path(folder, "Makefile")
        text = tree.read_or_none(path) if tree.is_file(path) else None
        for target in re.findall(r"^([\w-]*(?:test|check|ci)[\w-]*)\s*:(?!=)", text or "", re.MULTILINE | re.ASCII):
            walk = _new_walk(tree, path, folder)
            walk.run_argv(("make", target), 1)
            _follow_runners(tree, walk)
            if walk.steps and any(_is_test_of(run, service_path) for run in walk.runs):
                return _recipe(path, walk)
    return None


def _read_gitlab_recipe(tree: Tree, service_path: str, service_name: str) -> InstallRecipe | None:
    for folder in dict.fromkeys((".", service_path)):
        path = join_path(folder, ".gitlab-ci.yml")
        if not tree.is_file(path):
            continue
        from pytest_py312.repository.recipes.gitlab_jobs import included_files, read_gitlab_jobs  # loads YAML

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


def read_runner_recipe(tree: Tree, service_path: str) -> InstallRecipe | None:
    """Return what the service's own tox or nox installs for its tests; ``None`` if neither is configured."""
    configuration = read_tox_configuration(tree, service_path)
    if configuration is not None:
        for name in dict.fromkeys((*configuration.environments, *configuration.factors, "py")):
            walk = _new_walk(tree, configuration.path, service_path)
            walk_tox(configuration, (name,), walk)
            if any(_is_test_run(run) for run in walk.runs):
                return _recipe(configuration.path, walk)
    walk = _new_walk(tree, join_path(service_path, "pyproject.toml"), service_path)
    if walk_tox_toml(tree, service_path, walk) and any(_is_test_run(run) for run in walk.runs):
        return _recipe(walk.steps[0].location.path if walk.steps else walk.path, walk)
    path = join_path(service_path, "noxfile.py")
    if tree.is_file(path):
        for name in _session_names(tree.read_or_none(path) or ""):
            walk = _new_walk(tree, path, service_path)
            walk_nox(tree.read_or_none(path) or "", path, (name,), walk)
            if any(_is_test_run(run) for run in walk.runs):
                return _recipe(path, walk)
    return None


def _new_walk(tree: Tree, path: str, folder: str) -> CommandWalk:
    files = FileMap(tree)
    files.add(_ROOT, ".")
    variables = {"HOME": "/root", "GITHUB_WORKSPACE": _ROOT, "CI_PROJECT_DIR": _ROOT, "PWD": _ROOT, "CI": "true"}
    return CommandWalk(files=files, path=path, folder=resolve_path(folder, _ROOT), variables=variables)


def _recipe(source: str, walk: CommandWalk) -> InstallRecipe:
    return InstallRecipe(
        source=source, steps=tuple(dict.fromkeys(walk.steps)), limits=tuple(dict.fromkeys(walk.limits))
    )


def _recipe_of_job(
    tree: Tree, path: str, job: "WorkflowJob", service_path: str, service_name: str, folder: str
) -> InstallRecipe | None:
    """Return what a job installs if it runs tests of the service."""
    choice = {name: _chosen_value(values, service_path, service_name) for name, values in job.matrix.items() if values}
    walk = _new_walk(tree, path, folder)
    walk.variables |= {name: job.expand(value, choice) for name, value in job.variables.items()}
    walk.variables |= choice if job.is_matrix_in_environment else {}
    for step in job.steps:
        outer = dict(walk.variables)
        walk.variables |= {name: job.expand(value, choice) for name, value in step.variables.items()}
        if not step.is_same_shell:
            walk.folder = resolve_path(join_path(folder, job.expand(step.folder, choice)), _ROOT)
        walk.path = step.path or path
        walk.run(job.expand(step.text, choice), step.line)
        walk.variables = walk.variables if step.is_same_shell else outer
    _follow_runners(tree, walk)
    if not walk.steps or not any(_is_test_of(run, service_path) for run in walk.runs):
        return None
    return _recipe(path, walk)


def _chosen_value(values: Sequence[str], service_path: str, service_name: str) -> str:
    """Return the value of a matrix that names the service; the first one if none does."""
    folder_name = service_path.rpartition("/")[2]
    names = {service_path, service_name, folder_name, f"./{service_path}"}
    return next((value for value in values if value.strip("/") in names), values[0])


def _follow_runners(tree: Tree, walk: CommandWalk) -> None:
    """Follow the runs of tox and nox among the commands, also those that they start themselves."""
    seen: set[tuple[tuple[str, ...], str | None]] = set()
    position = 0
    while position < len(walk.runs) and len(seen) < RUN_LIMIT:
        run = walk.runs[position]
        position += 1
        words = _without_python(run.words)
        if not words or run.folder is None or (run.words, run.folder) in seen:
            continue
        seen.add((run.words, run.folder))
        outer = walk.conditional
        walk.conditional = run.conditional
        if words[0] == "tox":
            _follow_tox(tree, words[1:], run, walk)
        elif words[0] == "nox":
            path = join_path(run.folder, _option(words, "-f", "--noxfile") or "noxfile.py")
            names = _values_of(words, ("-s", "--session", "--sessions", "-e"))
            text = tree.read_or_none(path) if tree.is_file(path) else None
            if text is not None:
                walk_nox(text, path, names, walk)
        walk.conditional = outer


def _follow_tox(tree: Tree, words: Sequence[str], run: CommandRun, walk: CommandWalk) -> None:
    place = _option(words, "-c", "--conf") or "."
    folder = join_path(run.folder or ".", place)
    folder = folder if tree.is_folder(folder) else folder.rpartition("/")[0] or "."
    names = [name for text in _values_of(words, ("-e", "--env")) for name in text.split(",") if name]
    names = names or [name for name in re.split(r"[,\s]+", walk.variables.get("TOXENV", "")) if name]
    configuration = read_tox_configuration(tree, folder)
    if configuration is not None:
        # without a name all of its environments run; one for each Python installs the same
        walk_tox(configuration, names or configuration.environments[:1] or ("py",), walk)
    else:
        walk_tox_toml(tree, folder, walk, names)


def _values_of(words: Sequence[str], options: Sequence[str]) -> list[str]:
    values: list[str] = []
    for number, word in enumerate(words):
        option, equals, value = word.partition("=")
        if word in options:
            for following in words[number + 1 :]:
                if following.startswith("-"):
                    break
                values.append(following)
                if "nox" not in words[:1]:
                    break
        elif equals and option in options:
            values.append(value)
        elif word == "--":
            break
    return values


def _option(words: Sequence[str], *options: str) -> str:
    return next(iter(_values_of(words, options)), "")


def _without_python(words: Sequence[str]) -> tuple[str, ...]:
    """Return ``tox -e x`` for ``python -m tox -e x`` and ``/bin/tox -e x``."""
    if words and re.fullmatch(r"python[\d.]*", posixpath.basename(words[0])) and words[1:2] == ("-m",):
        words = words[2:]
    return (posixpath.basename(words[0]), *words[1:]) if words else ()


def _is_test_run(run: CommandRun) -> bool:
    words = _without_python(run.words)
    if not words or words[0] in _OTHER_SYSTEMS:
        return False
    names = {posixpath.basename(word) for word in words}
    return not names.isdisjoint(_TEST_PROGRAMS) or ("manage.py" in names and "test" in words)


def _is_test_of(run: CommandRun, service_path: str) -> bool:
    """Whether a command runs tests of the service: in its folder, or with one of its paths."""
    if not _is_test_run(run) or run.folder is None:
        return False
    places = [run.folder, *(join_path(run.folder, word) for word in run.words[1:] if not word.startswith("-"))]
    if service_path == ".":
        return run.folder == "."
    return any(place == service_path or place.startswith(f"{service_path}/") for place in places)


def _session_names(text: str) -> Iterator[str]:
    """Yield the names that the sessions of a noxfile may have, in their order."""
    for match in re.finditer(r"^def (\w+)\(|\bname\s*=\s*[\"']([\w.-]+)[\"']", text, re.MULTILINE | re.ASCII):
        yield match[1] or match[2]
