"""Read the environment variables that compose files, and templates of ``.env`` files, declare for a service.

A compose file that runs the tests says what they are run with. What others declare are values for a program that lacks
them: those of a deployment are not in the repository. Only literal values count.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from pytest_py312.repository.formats.compose import ComposeService, read_compose, read_env_file
from pytest_py312.repository.recipes.suites.suite_commands import has_test_program
from pytest_py312.repository.recipes.suites.suite_recipe import test_environment
from pytest_py312.repository.services.detection.entry_points import is_compose_file
from pytest_py312.repository.tree import Tree, join_path, leaves_root, with_outer_folders

FILE_LIMIT = 20
"""Compose files that are read for one service."""
_INNER_FOLDERS = (".", ".ci", "ci", ".docker", "docker", "tests", "compose")
_TEMPLATES = (
    ".env.example", ".env.sample", ".env.template", ".env.dist", ".env.default", ".env.defaults", ".env.test",
    "example.env", "sample.env", "template.env", ".template.env", ".example.env", ".sample.env",
)  # fmt: skip
_TEMPLATE = re.compile(r"\.env\.[\w.-]+[.-](?:example|sample|template)", re.ASCII)
"""The name of a template for one way to run a program: ``.env.docker-example``, ``.env.prod.sample``."""
_WARNINGS = "PYTHONWARNINGS"
"""No program lacks it."""

Variables = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DeclaredVariables:
    """``of_tests`` are those of the first container that runs the service's tests, which ``source`` declares."""

    source: str = ""
    of_tests: Variables = ()
    others: Variables = ()


def read_declared_variables(tree: Tree, path: str, image: Variables = ()) -> DeclaredVariables:
    """Return the variables of the service in the folder ``path``.

    :param image: those of its image, which the others take precedence over.
    """
    entries = [(file, entry) for file in _compose_files(tree, path) for entry in _entries_of(tree, file, path)]
    tests = next(((file, entry) for file, entry in entries if has_test_program(entry.words)), None)
    others: dict[str, str] = {}
    for _, entry in sorted(entries, key=lambda item: has_test_program(item[1].words)):
        others = {**_variables_of(tree, entry), **others}
    names = tree.list_folder(path).files if tree.is_folder(path) else ()
    for name in (*_TEMPLATES, *sorted(filter(_TEMPLATE.fullmatch, names))):
        others = {**read_env_file(tree.read_or_none(join_path(path, name)) or ""), **others}
    others = {**dict(image), **others}
    return DeclaredVariables(
        source=tests[0] if tests is not None else "",
        of_tests=_of_service(_variables_of(tree, tests[1]), path) if tests is not None else (),
        others=_of_service({name: value for name, value in others.items() if name != _WARNINGS}, path),
    )


def _of_service(variables: Mapping[str, str], path: str) -> Variables:
    """Return the variables without those of the machine, and without a path for imports, which is that of the image."""
    return test_environment(((name, value) for name, value in variables.items() if name != "PYTHONPATH"), path)


def _compose_files(tree: Tree, path: str) -> Iterator[str]:
    """Yield the compose files around a service, the nearest first."""
    paths = (
        join_path(folder, inner, name)
        for folder in with_outer_folders(path)
        for inner in _INNER_FOLDERS
        for name in tree.list_folder(join_path(folder, inner)).files
        if is_compose_file(name)
    )
    yield from islice(paths, FILE_LIMIT)


def _entries_of(tree: Tree, file: str, path: str) -> Iterator[ComposeService]:
    """Yield what a compose file builds in the service's folder.

    Its paths start in its folder, or in the one above (``--project-directory .``) if no Dockerfile is there.
    """
    text = tree.read_or_none(file) or ""
    folder, _, name = file.rpartition("/")
    bases = [file] if "/" not in file else [file, join_path(folder.rpartition("/")[0] or ".", name)]
    for base in bases:
        for entry in read_compose(text, base):
            if path in (entry.context, entry.folder) and tree.is_file(join_path(entry.folder, entry.dockerfile)):
                yield entry


def _variables_of(tree: Tree, entry: ComposeService) -> dict[str, str]:
    variables: dict[str, str] = {}
    for file in entry.env_files:
        is_private = file.rpartition("/")[2] == ".env"  # it has the user's own secrets
        if not is_private and not leaves_root(file) and tree.is_file(file):
            variables.update(read_env_file(tree.read_or_none(file) or ""))
    return {**variables, **dict(entry.environment)}
