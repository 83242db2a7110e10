"""Make the recipe of a run of tests: what is installed for it, its variables, and what tests the service beside it."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import filterfalse, islice

from pytest_py312.core.model.fleet import InstallRecipe
from pytest_py312.core.model.plan import FurtherTest
from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.recipes.commands.code_generation import generations_of
from pytest_py312.repository.recipes.commands.command_walk import CommandRun, CommandWalk
from pytest_py312.repository.recipes.commands.file_map import WORKSPACE, FileMap, resolve_path
from pytest_py312.repository.recipes.suites.marked_tests import deselected_tests
from pytest_py312.repository.recipes.suites.suite_commands import (
    further_paths,
    is_further_test,
    repeated_test,
    runs_pytest,
    unittest_files,
    values_of,
    warning_options,
)
from pytest_py312.repository.tree import Tree, join_path, leaves_root

VARIABLE_LIMIT = 100
"""Maximum number of variables of a suite."""
FURTHER_TEST_LIMIT = 10
"""Maximum number of further commands of the tests that are repeated."""
_ROOT_PATH = re.compile(rf"{WORKSPACE}(?:/[\w.@+-]+)*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w{0,200}", re.ASCII)
_MACHINE_VARIABLES = re.compile(
    r"(?:PYTHON(?!PATH$|WARNINGS$)|LD_|DYLD_|PIP_|UV_|TOX|NOX|POETRY_|PDM_|PIPENV_|HATCH_|CONDA|COV_|COVERAGE|CODECOV|GITHUB_|"
    r"RUNNER_|ACTIONS_|DOCKER_|BUILDKIT_|SSH_|PRE_COMMIT|PY312_|PYTEST_|PATH$|HOME$|PWD$|OLDPWD$|USER$|LOGNAME$|SHELL$|"
    r"TMP$|TEMP$|TMPDIR$|CI$|VIRTUAL_ENV|XDG_|FORCE_COLOR$|PY_COLORS$|NO_COLOR$|TERM$)"
)
_UNKNOWN_VALUE = re.compile(rf"\$\{{|\{{[^{{}}]*\}}|\$\(|\n|{re.escape(UNKNOWN)}")
"""A value that is not literal, or that its file computes."""
_NEEDS_SYSTEM = re.compile(
    r"(?:^|[/_.-])(?:e2e|end.?to.?end|(?:integration|acceptance|functional|smoke|system|live)(?:.?tests?)?)(?=$|[/_.-])",
    re.IGNORECASE,
)


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


def make_suite_recipe(tree: Tree, source: str, walk: CommandWalk, run: CommandRun, service_path: str) -> InstallRecipe:
    """Return the recipe of a run of tests of a service: with what the walk to it installs, and what else it tests.

    :param source: the file in which the walk begins, relative to the root.
    """
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
        generations=generations_of(walk.generators, walk.files, service_path),
        prepare=tuple(islice(_preparations(tree, walk.runs, service_path), VARIABLE_LIMIT)),
        ignored_tests=tuple(dict.fromkeys(_ignored_tests(run, walk.runs, service_path))),
        deselected_tests=deselected_tests(tree, walk.runs, service_path),
        further_paths=further_paths(tree, run, walk.runs, service_path) + unittest_files(tree, run, service_path),
        warning_options=of_python,
        runs_pytest=runs_pytest(run.words),
        pytest_warnings=of_pytest,
        further_tests=_distinct(further),
    )


def _distinct(commands: Iterable[FurtherTest]) -> tuple[FurtherTest, ...]:
    """Return commands once each, those of one text with a number, and those beyond the limit as not repeated."""
    unique = {(each.text, each.words, each.folder, each.environment): each for each in commands}.values()
    texts: Counter[str] = Counter()
    distinct = []
    for number, command in enumerate(unique):
        texts[command.text] += 1
        text = command.text if texts[command.text] == 1 else f"{command.text} #{texts[command.text]}"
        distinct.append(replace(command, text=text, words=command.words if number < FURTHER_TEST_LIMIT else ()))
    return tuple(distinct)


def _further_test(run: CommandRun, tree: Tree, service_path: str) -> FurtherTest:
    command = repeated_test(run, tree, service_path)
    is_moved = command.folder == service_path != run.folder
    variables = dict(_moved_paths(tree, run, service_path) if is_moved else run.environment)
    if is_moved and "PYTHONPATH" in variables:
        variables["PYTHONPATH"] = _moved_search_path(run, service_path)
    environment = test_environment(variables.items(), command.folder)
    return replace(command, environment=environment, source=run.location.path, line=run.location.line)


def _moved_search_path(run: CommandRun, service_path: str) -> str:
    """Return the ``PYTHONPATH`` of a run with its folders relative to the service; absolute ones stay."""
    folders = dict(run.environment)["PYTHONPATH"].split(":")
    return ":".join(
        folder if folder.startswith("/") else posixpath.relpath(join_path(run.folder or ".", folder), service_path)
        for folder in folders
    )


def _moved_paths(tree: Tree, run: CommandRun, service_path: str) -> Iterator[tuple[str, str]]:
    """Yield the variables of a run, with paths in its folder as those in the service, where a cell runs the tests."""
    for name, value in run.environment:
        path = posixpath.normpath(join_path(run.folder or ".", value)) if "/" in value and "://" not in value else ""
        is_moved = bool(path) and run.folder != service_path and not (value.startswith("/") or leaves_root(path))
        if is_moved and tree.exists(path):
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
