"""Read what a service's tests are run with: the job of a workflow, or environments of tox and sessions of nox."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import filterfalse, islice
from typing import TYPE_CHECKING

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep
from pytest_py312.core.model.plan import FurtherTest
from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.recipes.commands.command_walk import CommandRun, CommandWalk
from pytest_py312.repository.recipes.commands.file_map import WORKSPACE, FileMap, resolve_path
from pytest_py312.repository.recipes.commands.install_steps import installs_from
from pytest_py312.repository.recipes.marked_tests import deselected_tests
from pytest_py312.repository.recipes.nox_sessions import walk_nox
from pytest_py312.repository.recipes.suite_commands import (
    collects_around,
    is_further_test,
    is_test_of,
    is_test_run,
    option_of,
    repeated_test,
    runs_pytest,
    starts_runner,
    values_of,
    warning_options,
    without_python,
)
from pytest_py312.repository.recipes.tox_environments import (
    ToxConfiguration,
    read_tox_configuration,
    walk_tox,
    walk_tox_toml,
)
from pytest_py312.repository.tree import Tree, join_path, leaves_root, lies_in

if TYPE_CHECKING:
    from pytest_py312.repository.recipes.workflow_jobs import WorkflowJob

WORKFLOW_LIMIT = 100
INCLUDE_LIMIT = 20
"""Maximum number of included files of GitLab CI that are read."""
RUN_LIMIT = 50
"""Maximum number of runs of tox and nox that are followed from one job."""

SESSION_LIMIT = 100
"""Maximum number of sessions of nox, and of targets of a Makefile, that are tried."""
VARIABLE_LIMIT = 100
"""Maximum number of variables of a suite."""

_ROOT_PATH = re.compile(rf"{WORKSPACE}(?:/[\w.@+-]+)*", re.ASCII)
_PYTHON_FACTOR = re.compile(r"(?:^|-)py(?:thon)?3\.?(\d{1,2})(?:-|$)", re.ASCII)
_VERSION = re.compile(r"\d{1,6}(?:\.\d{1,6}){0,4}(?:\.\*)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w{0,200}", re.ASCII)
_MACHINE_VARIABLES = re.compile(
    r"(?:PYTHON(?!PATH$|WARNINGS$)|LD_|DYLD_|PIP_|UV_|TOX|NOX|POETRY_|PDM_|PIPENV_|HATCH_|CONDA|COV_|COVERAGE|CODECOV|GITHUB_|"
    r"RUNNER_|ACTIONS_|DOCKER_|BUILDKIT_|SSH_|PRE_COMMIT|PY312_|PYTEST_|PATH$|HOME$|PWD$|OLDPWD$|USER$|LOGNAME$|SHELL$|"
    r"TMP$|TEMP$|TMPDIR$|CI$|VIRTUAL_ENV|XDG_|FORCE_COLOR$|PY_COLORS$|NO_COLOR$|TERM$)"
)
_UNKNOWN_VALUE = re.compile(rf"\$\{{|\{{[^{{}}]*\}}|\$\(|\n|{re.escape(UNKNOWN)}")
"""A value that is not literal, or that its file computes."""
_TEST_TARGET = re.compile(r"^((?=[\w-]{0,100}(?:test|check|ci))[\w-]{1,200})[ \t]*:(?!=)", re.MULTILINE | re.ASCII)
_SCRIPT_FOLDERS = (".", "scripts", "script", "bin", "ci", ".ci", "deployment", "tools")
_UNUSUAL_ENVIRONMENT = re.compile(
    r"old|low|min|dev|nightly|upstream|cov|lint|doc|bench|perf|e2e|integration|acceptance"
    r"|(?:^|-)(?:win|windows|mac|macos|osx|darwin)(?:-|$)"
)
"""Environments of tox that are for other versions, other systems, or not for the tests of each change."""
_TEST_SCRIPT = re.compile(r"(?:run[-_]?)?(?:all[-_]?)?(?:unit[-_]?)?tests?\.(?:sh|bash)")
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
    """Return the jobs of the GitHub workflows of a folder, with their files.

    :param needs: workflows in whose text it does not occur are left out.
    """
    inner = join_path(folder, ".github/workflows")
    names = [name for name in tree.list_folder(inner).files if name.endswith((".yml", ".yaml"))]
    if not names:
        return []
    # loads YAML, which a fleet without workflows does not need
    from pytest_py312.repository.recipes.workflow_jobs import read_workflow_jobs

    paths = [join_path(inner, name) for name in names[:WORKFLOW_LIMIT]]
    texts = {path: tree.read_or_none(path) or "" for path in paths}
    return [
        (path, job)
        for path, text in texts.items()
        if needs is None or needs.search(text)
        for job in read_workflow_jobs(text)
    ]


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
            _follow_runners(tree, walk, service_path)
            tests = [run for run in walk.runs if is_test_of(run, service_path)]
            if tests and (walk.steps or not needs_steps):
                return _recipe(tree, path, walk, tests[0], service_path)
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
    return _recipe(tree, path, walk, tests[0], service_path) if walk.steps and tests else None


def _is_around(step: InstallStep, script_folder: str, service_path: str, inner: Sequence[str]) -> bool:
    """Return whether a step runs where its script is, or in or around the service, and in no ``inner`` folder."""
    place = step.folder
    if place is None or any(lies_in(place, folder) for folder in inner):
        return False
    return place in (script_folder, ".") or lies_in(place, service_path) or lies_in(service_path, place)


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


def _job_order(path: str, job: "WorkflowJob") -> tuple[bool, bool, bool]:
    """Return how little a job looks like the one that proves each change; equal ones stay in their order."""
    name = f"{posixpath.basename(path)} {job.name}".lower()
    has_pythons = any(re.match(r"py(thon|\b|_|-|ver)", key.lower()) for key in job.matrix)
    return _OTHER_PURPOSE.search(name) is not None, not has_pythons, "test" not in name


def read_runner_recipe(tree: Tree, service_path: str) -> InstallRecipe | None:
    """Return what the service's own tox or nox installs for its tests; ``None`` if neither is configured."""
    configuration = read_tox_configuration(tree, service_path)
    if configuration is not None:
        for name in _environments_newest_first(configuration):
            walk = new_walk(tree, configuration.path, service_path)
            walk_tox(configuration, (name,), walk)
            if any(is_test_run(run) for run in walk.runs):
                return _recipe(tree, configuration.path, walk, _first_test_run(walk), service_path)
    walk = new_walk(tree, join_path(service_path, "pyproject.toml"), service_path)
    if walk_tox_toml(tree, service_path, walk) and any(is_test_run(run) for run in walk.runs):
        source = walk.steps[0].location.path if walk.steps else walk.path
        return _recipe(tree, source, walk, _first_test_run(walk), service_path)
    path = join_path(service_path, "noxfile.py")
    if tree.is_file(path):
        text = tree.read_or_none(path) or ""
        for name in islice(_session_names(text), SESSION_LIMIT):
            walk = new_walk(tree, path, service_path)
            _walk_nox(text, path, (name,), walk, service_path)
            if any(is_test_run(run) for run in walk.runs):
                return _recipe(tree, path, walk, _first_test_run(walk), service_path)
    return None


def read_outer_tox_recipe(tree: Tree, service_path: str) -> InstallRecipe | None:
    """Return what tox at the root installs for a run of tests that names the service; ``None`` if there is none."""
    configuration = read_tox_configuration(tree, ".") if service_path != "." else None
    if configuration is None:
        return None
    names = _environments_newest_first(configuration)
    for name in sorted(names, key=lambda name: _UNUSUAL_ENVIRONMENT.search(name) is not None):
        walk = new_walk(tree, configuration.path, ".")
        walk_tox(configuration, (name,), walk)
        tests = [run for run in walk.runs if is_test_of(run, service_path)]
        if tests:
            return _recipe(tree, configuration.path, walk, tests[0], service_path)
    return None


def _environments_newest_first(configuration: ToxConfiguration) -> list[str]:
    """Return each environment that may run tests: those of the list, those of settings, and the default one."""
    return _newest_first(dict.fromkeys((*configuration.environments, *configuration.factors, "py")))


def _newest_first(names: Iterable[str]) -> list[str]:
    """Return environments of tox with those of the newest Python before the same of older ones.

    What only an old Python needs is no requirement of the service.
    """
    ordered = list(names)
    minors = {name: int(match[1]) for name in ordered if (match := _PYTHON_FACTOR.search(name))}
    newest = iter(sorted(minors, key=lambda name: -minors[name]))
    return [next(newest) if name in minors else name for name in ordered]


def _first_test_run(walk: CommandWalk) -> CommandRun:
    return next(run for run in walk.runs if is_test_run(run))


def new_walk(tree: Tree, path: str, folder: str) -> CommandWalk:
    """Return a walk through commands of the file ``path`` that begin in a folder of the repository."""
    files = FileMap(tree)
    files.add(WORKSPACE, ".")
    variables = {
        "HOME": "/root",
        "GITHUB_WORKSPACE": WORKSPACE,
        "CI_PROJECT_DIR": WORKSPACE,
        "PWD": WORKSPACE,
        "CI": "true",
    }
    return CommandWalk(files=files, path=path, folder=resolve_path(folder, WORKSPACE), variables=variables)


_NEEDS_SYSTEM = re.compile(
    r"(?:^|[/_.-])(?:e2e|end.?to.?end|(?:integration|acceptance|functional|smoke|system|live)(?:.?tests?)?)(?=$|[/_.-])",
    re.IGNORECASE,
)


def _recipe(tree: Tree, source: str, walk: CommandWalk, run: CommandRun, service_path: str) -> InstallRecipe:
    lines = (each.location.line or 0 for each in walk.runs if each.location.path == source)
    of_python, of_pytest = (tuple(filterfalse(_UNKNOWN_VALUE.search, each)) for each in warning_options(run.words))
    others = [each for each in walk.runs if each is not run and is_further_test(each, tree, service_path)]
    further = [_further_test(each, tree, service_path) for each in others]
    return InstallRecipe(
        source=source,
        line=next(lines, 0),
        steps=tuple(dict.fromkeys(walk.steps)),
        limits=tuple(dict.fromkeys(walk.limits)),
        environment=test_environment(_moved_paths(tree, run, service_path), service_path),
        prepare=tuple(islice(_preparations(tree, walk.runs, service_path), VARIABLE_LIMIT)),
        ignored_tests=tuple(dict.fromkeys(_ignored_tests(run, walk.runs, service_path))),
        deselected_tests=deselected_tests(tree, walk.runs, service_path),
        warning_options=of_python,
        runs_pytest=runs_pytest(run.words),
        pytest_warnings=of_pytest,
        further_tests=tuple({each.text: each for each in further}.values()),
    )


def _further_test(run: CommandRun, tree: Tree, service_path: str) -> FurtherTest:
    command = repeated_test(run, tree, service_path)
    environment = test_environment(run.environment, command.folder)
    return replace(command, environment=environment, source=run.location.path, line=run.location.line)


def _moved_paths(tree: Tree, run: CommandRun, service_path: str) -> Iterator[tuple[str, str]]:
    """Yield the variables of a run, with paths in its folder as those in the service, where a cell runs the tests."""
    for name, value in run.environment:
        path = posixpath.normpath(join_path(run.folder or ".", value)) if "/" in value and "://" not in value else ""
        is_moved = bool(path) and run.folder != service_path and not (value.startswith("/") or leaves_root(path))
        if is_moved and (tree.is_file(path) or tree.is_folder(path)):
            value = posixpath.relpath(path, service_path) + ("/" if value.endswith("/") else "")
        yield name, value


def _ignored_tests(run: CommandRun, runs: Sequence[CommandRun], service_path: str) -> Iterator[str]:
    """Yield the paths that a run of pytest ignores and that need a running system by their names.

    Others may be ignored because another job runs them, and what the same job runs needs nothing else.
    """
    options = ("--ignore", "--ignore-glob")
    named = [word for other in runs for word in other.words if word not in values_of(other.words, options)]
    for value in values_of(run.words, options):
        written = value.rstrip("/*")
        path = _path_inside(service_path, run.folder or ".", written)
        is_run = any(word.rstrip("/").startswith(written) for word in named)
        if path and _NEEDS_SYSTEM.search(path) and not is_run:
            yield path


def _preparations(tree: Tree, runs: Iterable[CommandRun], service_path: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands that make folders in the service, as git keeps no empty ones, or ``cp .env.example .env``."""
    for run in runs:
        if run.words[0] not in ("mkdir", "cp") or run.folder is None or (run.conditional and run.words[0] == "mkdir"):
            continue
        words = [word for word in run.words[1:] if not word.startswith("-")]
        paths = [_path_inside(service_path, run.folder, word) for word in words]
        if run.words[0] == "mkdir":
            yield from (("mkdir", "-p", path) for path in paths if path)
        elif len(paths) == 2 and all(paths) and tree.is_file(join_path(service_path, paths[0])):
            is_missing = not tree.is_file(join_path(service_path, paths[1]))
            if not run.conditional or is_missing:  # [ -f .env ] || cp .env.example .env
                yield ("cp", *paths)


def _path_inside(service_path: str, folder: str, word: str) -> str:
    """Return the path that a word of a command names, relative to the service; empty if it leads out of it."""
    if not re.fullmatch(r"[\w.][\w./-]*", word, re.ASCII) or ".." in word.split("/"):
        return ""
    path = posixpath.relpath(join_path(folder, word), service_path)
    return "" if path == "." or path.startswith("../") or path == ".." else path


def test_environment(variables: Iterable[tuple[str, str]], service_path: str) -> tuple[tuple[str, str], ...]:
    """Return the ``variables`` that tests need, with paths relative to the service.

    Those of tools and of the machine are left out: a cell has its own. So are values that only CI knows.
    """
    home = resolve_path(service_path, WORKSPACE)
    kept: dict[str, str] = {}
    for name, value in variables:
        if _MACHINE_VARIABLES.match(name) or not _VARIABLE.fullmatch(name) or _UNKNOWN_VALUE.search(value):
            continue
        kept[name] = _ROOT_PATH.sub(lambda match: posixpath.relpath(match[0], home), value)
    return tuple(sorted(kept.items()))[:VARIABLE_LIMIT]


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
    _follow_runners(tree, walk, service_path)
    tests = [run for run in walk.runs if tests_service(run)]
    if (
        not tests
        or (needs_steps and not walk.steps)
        or (around and not any(installs_from(step, service_path) for step in walk.steps))
    ):
        return None
    return _recipe(tree, path, walk, tests[0], service_path)


def walk_job(
    walk: CommandWalk, job: "WorkflowJob", service_path: str, service_name: str, folder: str
) -> Iterator[None]:
    """Walk through the steps of a job with the values of its matrix that are for a service; yield after each step.

    :param folder: the folder whose ``.github`` has the job.
    """
    path = walk.path
    choice = {name: _chosen_value(values, service_path, service_name) for name, values in job.matrix.items() if values}
    choice |= {
        key: value for key in job.computed if (value := _computed_value(job, key, service_path, service_name, folder))
    }
    for name, objects in job.matrix_objects.items():
        choice |= {f"{name}.{key}": value for key, value in _chosen_object(objects, service_path, service_name).items()}
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
        walk.path = step.path or path
        walk.run(job.expand(step.text, choice), step.line)
        walk.variables = walk.variables if step.is_same_shell else outer
        yield


def _chosen_value(values: Sequence[str], service_path: str, service_name: str) -> str:
    """Return the value of a matrix that names the service; otherwise the newest of versions, or the first.

    An older version of a library is an alternative, and no requirement of the service.
    """
    names = _names_of(service_path, service_name)
    named = next((value for value in values if value.strip("/") in names), None)
    if named is None:  # one of several words: the arguments of pytest
        named = next((value for value in values if any(_is_inside(word, names) for word in value.split())), None)
    if named is not None:
        return named
    versions = [value for value in values if _VERSION.fullmatch(value)]
    if len(versions) < len(values):
        return values[0]
    return max(versions, key=lambda value: [int(part) for part in value.removesuffix(".*").split(".")])


def _computed_value(job: "WorkflowJob", key: str, service_path: str, service_name: str, folder: str) -> str:
    """Return the value of a computed key with which a path of the job is that of the service; empty if none is.

    ``./services/${{ matrix.service }}``: the services that a commit changes, by the names of their folders.
    """
    expression = rf"\$\{{\{{\s{{0,20}}matrix\.{re.escape(key)}\s{{0,20}}\}}\}}"
    named = re.compile(rf"(?<![\w./=<>~!-])(?P<start>[\w./-]{{0,200}}){expression}(?P<end>/?)", re.ASCII)
    matches = [match for step in job.steps for text in (step.text, step.folder) for match in named.finditer(text)]
    folders = [step.folder for step in job.steps]
    starts = {match["start"] for match in matches if "/" in match["start"] or match["end"] or match[0] in folders}
    for value in (service_path.rpartition("/")[2], service_name, service_path):
        if any(posixpath.normpath(join_path(folder, start + value)) == service_path for start in starts):
            return value
    return ""


def _chosen_object(objects: Sequence[Mapping[str, str]], service_path: str, service_name: str) -> Mapping[str, str]:
    """Return the object of a matrix of which a value names the service, or the first."""
    names = _names_of(service_path, service_name)
    named = (
        item for item in objects if any(_is_inside(word, names) for value in item.values() for word in value.split())
    )
    return next(named, objects[0])


def _names_of(service_path: str, service_name: str) -> set[str]:
    return {service_path, service_name, service_path.rpartition("/")[2], f"./{service_path}"}


def _is_inside(word: str, names: Collection[str]) -> bool:
    return word.strip("/") in names or any(word.startswith(f"{name}/") for name in names)


_SHARING_OPTIONS = frozenset({"--current-env", "--no-venv", "--sitepackages"})
_SHARING_SETTING = re.compile(r"(?im)^[ \t]*(?:sitepackages|system_site_packages)[ \t]*=[ \t]*(?:true|1|yes)\b")


def _shares_environment(tree: Tree, folder: str, words: Sequence[str]) -> bool:
    """Return whether tox or nox uses what is installed in the environment that it is started in."""
    text = tree.read_or_none(join_path(folder, "tox.ini")) or "" if words[0] == "tox" else ""
    return not _SHARING_OPTIONS.isdisjoint(words) or _SHARING_SETTING.search(text) is not None


def _follow_runners(tree: Tree, walk: CommandWalk, service_path: str) -> None:
    """Follow the runs of tox and nox among the commands, also those that they start themselves.

    They make environments of their own: what is installed beside them is no part of the tests that they run.
    """
    seen: set[tuple[tuple[str, ...], str | None]] = set()
    tests_itself, tests_separately = any(map(is_test_run, walk.runs)), False
    around, of_tests, elsewhere = list(walk.steps), [], []
    position = 0
    while position < len(walk.runs) and len(seen) < RUN_LIMIT:
        run = walk.runs[position]
        position += 1
        words = without_python(run.words)
        if not words or words[0] not in ("tox", "nox") or run.folder is None or (run.words, run.folder) in seen:
            continue
        seen.add((run.words, run.folder))
        outer, count = (walk.conditional, walk.exported), len(walk.runs)
        walk.conditional, walk.exported, walk.steps = run.conditional, dict(run.environment), []
        _follow_runner(tree, words, run, walk, service_path)
        walk.conditional, walk.exported = outer
        if _shares_environment(tree, run.folder, words):
            around += walk.steps
        elif any(map(is_test_run, walk.runs[count:])):
            of_tests += walk.steps
            tests_separately = True
        else:
            elsewhere += walk.steps
    used = [*around, *of_tests] if tests_itself else of_tests if tests_separately else [*around, *elsewhere]
    steps = dict.fromkeys((*around, *of_tests, *elsewhere))
    walk.steps = [step for step in steps if step in used or not step.is_for_python]


def _follow_runner(tree: Tree, words: Sequence[str], run: CommandRun, walk: CommandWalk, service_path: str) -> None:
    if words[0] == "tox":
        _follow_tox(tree, words[1:], run, walk, service_path)
        return
    path = join_path(run.folder or ".", option_of(words, "-f", "--noxfile") or "noxfile.py")
    names = values_of(words, ("-s", "--session", "--sessions", "-e"))
    text = tree.read_or_none(path)
    if text is not None:
        _walk_nox(text, path, names, walk, service_path)


def _walk_nox(text: str, path: str, names: Sequence[str], walk: CommandWalk, service_path: str) -> None:
    walk_nox(text, path, names, walk, service_path, lambda values: _chosen_value(values, service_path, ""))


def _follow_tox(tree: Tree, words: Sequence[str], run: CommandRun, walk: CommandWalk, service_path: str) -> None:
    place = option_of(words, "-c", "--conf") or "."
    folder = join_path(run.folder or ".", place)
    folder = folder if tree.is_folder(folder) else folder.rpartition("/")[0] or "."
    if folder != "." and not (lies_in(folder, service_path) or lies_in(service_path, folder)):
        return  # it tests another project
    names = [name for text in values_of(words, ("-e", "--env")) for name in text.split(",") if name]
    names = names or [name for name in re.split(r"[,\s]+", walk.variables.get("TOXENV", "")) if name]
    configuration = read_tox_configuration(tree, folder)
    if configuration is not None:
        if names:
            walk_tox(configuration, names, walk)
        else:
            _follow_all_of_tox(configuration, walk)
    else:
        walk_tox_toml(tree, folder, walk, names)


def _follow_all_of_tox(configuration: ToxConfiguration, walk: CommandWalk) -> None:
    """Follow what ``tox`` alone runs: all environments. The first that runs tests counts; the others install their own.

    Without a run of tests it is the first one.
    """
    names = _newest_first(configuration.environments) or ["py"]
    steps, runs, limits = list(walk.steps), list(walk.runs), list(walk.limits)
    for name in [*names, names[0]]:
        walk.steps, walk.runs, walk.limits = list(steps), list(runs), list(limits)
        walk_tox(configuration, (name,), walk)
        if any(is_test_run(run) for run in walk.runs[len(runs) :]):
            return


def _session_names(text: str) -> Iterator[str]:
    """Yield the names that the sessions of a noxfile may have, in their order."""
    for match in re.finditer(r"^def (\w+)\(|\bname\s*=\s*[\"']([\w.-]+)[\"']", text, re.MULTILINE | re.ASCII):
        yield match[1] or match[2]
