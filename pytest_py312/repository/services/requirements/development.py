"""Find the requirements of a service that only its tests or its development have, and that nothing of it names.

Files with development requirements are often shared: what one service needs, the others install as well. If such a
project cannot be had on an interpreter, the service runs without it, and its suite shows whether it does.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.python_syntax import parse_python
from pytest_py312.repository.tree import Tree, join_path

FILE_LIMIT = 3_000
"""Files of a service that are read; if it has more, everything counts as named."""
FOLDER_DEPTH = 12
SOURCE_LIMIT = 300_000
"""Characters of a file that is parsed."""
STRING_LIMIT = 200
"""Characters of a string that may name a module."""

DEVELOPMENT_WORDS = frozenset(
    {"bench", "benchmark", "benchmarks", "ci", "dev", "devel", "develop", "development", "doc", "docs", "documentation",
     "format", "formatting", "lint", "linting", "local", "mypy", "notebook", "notebooks", "qa", "quality", "release",
     "style", "test", "testing", "tests", "tools", "types", "typing", "unittest", "unittests"}
)  # fmt: skip
"""Words in the path of a requirements file that is not for production."""
DEVELOPMENT_TOOLS = frozenset(
    {"autopep8", "bandit", "black", "bpython", "bump2version", "bumpversion", "check-manifest", "coverage", "coveralls",
     "flake8", "ipdb", "ipython", "isort", "mypy", "nose", "nose2", "pep8", "pip-tools", "pre-commit", "ptpython",
     "pudb", "pycodestyle", "pydocstyle", "pyflakes", "pylint", "pytest-runner", "rope", "safety", "sphinx", "tox",
     "twine", "virtualenv", "vulture", "yapf"}
)  # fmt: skip
"""Projects that developers run. Where production requires one, its images have it, and no program of theirs needs it
unless a file names it."""
_CONFIGURATION_FILES = frozenset({"pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml", ".coveragerc", "Makefile"})
_ALWAYS_NEEDED = re.compile(
    r"pytest|pytest-(?!runner$).*|pluggy|iniconfig|coverage|hypothesis|anyio|nose2?|tox|setuptools|wheel"
)
"""Projects that run tests, or take part in them without an import. pytest-runner is a command of setup.py."""
_SCRIPT_FILE = re.compile(
    r"\.(?:sh|bash)$|[^/]*Dockerfile[^/]*$|[^/]*compose[\w.-]*\.ya?ml$|(?:^|/)(?!(?:GNU)?[Mm]akefile)[^/.]+$", re.ASCII
)
"""Scripts, images, compose files, and files without a suffix, such as a Procfile; a Makefile is for developers."""
_TEST_FILE = re.compile(r"test_\w*\.py|\w*_test\.py", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED_NAME = re.compile(r"[A-Za-z_][\w.:/-]*")
_AFFIXES = ("python_", "py", "_python", "_py")


def is_for_development(path: str, service_path: str) -> bool:
    """Return whether the name of a requirements file, or of its folders in the service, is one for development."""
    relative = path.removeprefix(f"{service_path}/")
    return not DEVELOPMENT_WORDS.isdisjoint(re.split(r"[-_./]", relative.lower()))


def unnamed_projects(
    tree: Tree, service: Service, projects: Collection[str], modules: Mapping[str, Collection[str]]
) -> frozenset[str]:
    """Return those of ``projects`` (normalised names) that no file of the service names.

    A file names a project by an import, and by a string or a word of a configuration file that is one of its modules:
    settings and suites load modules by such names.

    :param modules: project -> its importable modules, as far as they are known.
    """
    candidates = {
        project: names | frozenset(modules.get(project, ()))
        for project in projects
        if not _ALWAYS_NEEDED.fullmatch(project)
        for names in [_likely_modules(project)]
    }
    if not candidates:
        return frozenset()
    named = _named_in(tree, service)
    if named is None:
        return frozenset()
    return frozenset(project for project, names in candidates.items() if named.isdisjoint(names))


def is_run_by_script(tree: Tree, service: Service, program: str) -> bool:
    """Return whether a script, an image, a Procfile or a compose file in the folder of a service names a program."""
    named = re.compile(rf"(?<![\w./-]){re.escape(program)}(?![\w.-])")
    names = (name for name in tree.scan_folder(service.path, depth=FOLDER_DEPTH).files if _SCRIPT_FILE.search(name))
    return any(named.search(tree.read_or_none(join_path(service.path, name)) or "") for name in names)


def unnamed_modules(tree: Tree, service: Service, modules: Collection[str]) -> frozenset[str]:
    """Return those of ``modules`` whose top-level package no file of the service names, as :func:`unnamed_projects`."""
    named = _named_in(tree, service) if modules else None
    return frozenset(module for module in modules if named is not None and module.partition(".")[0] not in named)


def _likely_modules(project: str) -> frozenset[str]:
    """Return the modules that a project may have according to its name; the names of its programs are like them."""
    name = canonicalize_name(project).replace("-", "_")
    names = {name, project, name.replace("_", "")}
    names |= {name.removeprefix(affix) for affix in _AFFIXES if not affix.startswith("_")}
    names |= {name.removesuffix(affix) for affix in _AFFIXES if affix.startswith("_")}
    if name.startswith("types_") or name.endswith("_stubs"):
        names -= {name.removeprefix("types_")}  # stubs are read by type checkers only
    return frozenset(names - {""})


def _named_in(tree: Tree, service: Service) -> set[str] | None:
    """Return all names in the files of a service, without those of services inside it; ``None`` for too many files."""
    scan = tree.scan_folder(service.path, depth=FOLDER_DEPTH)
    if not scan.complete:
        return None
    paths = [join_path(service.path, name) for name in scan.files]
    for folder in service.settings.needs:
        paths += [join_path(folder, name) for name in tree.scan_folder(folder, depth=FOLDER_DEPTH).files]
    paths = [path for path in paths if not any(path.startswith(f"{inner}/") for inner in service.nested_folders)]
    paths = [path for path in paths if not _is_test_of_another(path, service)]
    sources = [path for path in paths if path.endswith((".py", ".pyi"))]
    if len(sources) > FILE_LIMIT:
        return None
    arguments = service.suite.arguments if service.suite is not None else ()
    named = {word for argument in arguments for word in _WORD.findall(argument)}
    for path in sources:
        named.update(names_in_source(tree.read_or_none(path) or ""))
    for path in paths:
        if path.rpartition("/")[2] in _CONFIGURATION_FILES:
            named.update(_words_of_settings(tree.read_or_none(path) or ""))
    return named


def _is_test_of_another(path: str, service: Service) -> bool:
    """Return whether a file of tests in a folder beside the service is none of those that its suite names."""
    suite = service.suite
    if suite is None or not suite.folder or path.startswith(f"{service.path}/"):
        return False
    if _TEST_FILE.fullmatch(path.rpartition("/")[2]) is None:
        return False
    named = [join_path(suite.folder, word.partition("::")[0]) for word in suite.arguments if not word.startswith("-")]
    return bool(named) and not any(path == place or path.startswith(f"{place}/") for place in named)


def names_in_source(text: str) -> set[str]:
    """Return the modules that a Python file imports, and the first parts of strings that may name one.

    Of what cannot be parsed, or takes long to parse, all words are returned.
    """
    if len(text) > SOURCE_LIMIT:
        return set(_WORD.findall(text))
    tree = parse_python(text)
    if tree is None:
        return set(_WORD.findall(text))
    return {name.split(".")[0] for name in _names_of(list(ast.walk(tree)))}


def _names_of(nodes: Collection[ast.AST]) -> Iterator[str]:
    documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            word = node.value[:STRING_LIMIT].partition(" ")[0]  # a command line begins with its program
            if _DOTTED_NAME.fullmatch(word):
                yield from re.split(r"[:/]", word)


_PYTEST_SETTING = re.compile(r"(?im)^[ \t]*(?:addopts|plugins|required_plugins|python_files|-p)\b.*(?:\n[ \t]+\S.*)*")


def _words_of_settings(text: str) -> set[str]:
    """Return the words of settings that make pytest load modules."""
    return {word for match in _PYTEST_SETTING.finditer(text) for word in _WORD.findall(match[0])}
