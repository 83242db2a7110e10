"""Determine from its files how a service's own tests are run. Nothing is executed."""

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import pairwise
from types import MappingProxyType

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.repository.formats.setuptools import read_ini
from pytest_py312.repository.recipes.suites.pytest_settings import (
    VALUE_OPTIONS,
    PytestSettings,
    ignored_paths,
    read_pytest_settings,
    setting_words,
    settings_in_folder,
)
from pytest_py312.repository.tree import VENDORED_FOLDERS, Tree, is_inside, lies_in

_POSITIONAL_ARGUMENTS = re.compile(r"\{(?:posargs|\[\])(?::([^{}]*(?:\{\w+\}[^{}]*)*))?\}")
_TEST_FOLDERS = ("tests", "test")
_ONE_FILE = "tests.py"
READ_MODULES = ("manage.py", _ONE_FILE)
"""Modules of which the text shows how tests are run: Django's, and all tests in one file."""
_HAS_TEST = re.compile(r"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+test|class[ \t]+\w+[ \t]*\([^)]*TestCase)", re.MULTILINE)
"""All tests of a small service; pytest collects a file of this name only if it is named."""
_DJANGO_SETTINGS_VALUE = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\]?\s*[,=]\s*["']([\w.]+)["']""")
_ONLY_INITIAL = re.compile(r"^(?:pytest_plugins\b|def[ \t]+pytest_(?:addoption|addhooks|cmdline_main)\b)", re.MULTILINE)
"""What a ``conftest.py`` has that is loaded before tests are collected."""
_NON_TEST_FOLDERS = frozenset(
    {"scripts", "tools", "examples", "example", "docs", "doc", "build", "dist", "benchmarks", *VENDORED_FOLDERS}
)
"""Folders whose ``test_*.py`` files are scripts that are run manually; importing them may do anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectedSuite:
    """The suite, or ``None``, and what was assumed: a clause that follows the service's name."""

    suite: Suite | None
    assumption: str = ""


def find_suite(
    files: Sequence[str],
    folders: Sequence[str],
    texts_of: Mapping[str, str],
    inner: Sequence[str] = (),
    modules: Mapping[str, str] = MappingProxyType({}),
    further: Sequence[str] = (),
    conftests: Mapping[str, str] = MappingProxyType({}),
) -> DetectedSuite:
    """Determine the suite of a service with these ``files`` and ``folders`` (relative to it).

    It is always run by pytest, which runs ``unittest`` classes too.

    :param texts_of: texts of the existing :data:`INI_FILES`.
    :param inner: folders of nested services, whose tests are their own.
    :param modules: texts of those of :data:`READ_MODULES` that exist.
    :param further: files and folders with tests that another run of pytest has, beside the one that is detected, and
        files that unittest loads.
    :param conftests: texts of each ``conftest.py`` that exists.
    """
    settings = read_pytest_settings(texts_of)
    django = _django_settings(modules.get("manage.py", ""), settings, files)
    if django:
        settings = replace(settings, python_files=("test*.py",))
    tests = [path for path in files if _is_test(path, settings.python_files)]
    unusual = tuple(path for path in further if path.endswith(".py") and path not in tests and path in files)
    if not tests and (other := _suite_by_other_names(files, modules, unusual, settings)) is not None:
        return other
    present = set(folders) | set(files)
    no_tests: list[str] = []
    if any(path.strip("/") in present or "*" in path for path in settings.testpaths):
        added = [path for path in further if not _is_reached(path, settings.testpaths)]
        arguments: tuple[str, ...] = (*settings.testpaths, *added) if added else ()
        reached, left_out = tests, no_tests
    elif commanded := _commanded_paths(texts_of.get("tox.ini", ""), present, folders):
        commanded += tuple(path for path in further if not _is_reached(path, commanded))
        arguments, no_tests = commanded, [path for path in tests if not _is_reached(path, commanded)]
        reached, left_out = [path for path in tests if _is_reached(path, commanded)], no_tests
    else:
        arguments, reached, left_out = _pytest_arguments(tests)
        arguments = (*(arguments or (".",)), *unusual) if unusual else arguments
    own_conftests = {path: text for path, text in conftests.items() if not any(lies_in(path, place) for place in inner)}
    arguments = _with_initial_conftests(arguments or settings.testpaths, reached, own_conftests) or arguments
    arguments += tuple(f"--ignore={folder}" for folder in inner if _is_reached(folder, arguments))
    mode = "importlib" if not settings.import_mode and _has_module_conflict(reached, set(files)) else ""
    clause = _describe_left_out(left_out)
    if django:
        arguments += (f"--ds={django}", "--override-ini=python_files=test*.py")
        clause = clause or f"has a manage.py and no settings for pytest, so pytest-django runs its tests with {django}"
    suite = Suite(kind=SuiteKind.PYTEST, arguments=arguments, import_mode=mode)
    return DetectedSuite(suite=suite, assumption=clause)


def _with_initial_conftests(
    paths: tuple[str, ...], tests: Sequence[str], conftests: Mapping[str, str]
) -> tuple[str, ...]:
    """Name the folders of tests whose ``conftest.py`` pytest accepts only as an initial one, where it is none.

    Those that declare plugins or options must be loaded before anything is collected: of the folders that are named,
    of those around them, and of the folders ``test*`` in them. A file that is named twice is collected once.
    https://docs.pytest.org/en/stable/how-to/writing_plugins.html#plugin-discovery-order-at-tool-startup

    :returns: the paths to name; empty if no folder is missing.
    """
    named = paths or (".",)
    missing = []
    for path, text in sorted(conftests.items()):
        folder = posixpath.dirname(path)
        around, name = posixpath.split(folder)
        starts = {posixpath.normpath(word) for word in named}
        is_first = name.startswith("test") and (around or ".") in starts
        if not folder or is_first or any(lies_in(start, folder) for start in starts):
            continue
        is_run = any(lies_in(test, folder) and any(is_inside(test, start) for start in starts) for test in tests)
        if is_run and _ONLY_INITIAL.search(text):
            missing.append(folder)
    return (*named, *missing) if missing else ()


def _suite_by_other_names(
    files: Sequence[str], modules: Mapping[str, str], unusual: tuple[str, ...], settings: PytestSettings
) -> DetectedSuite | None:
    """Return the suite of a service without test files by pytest's names; ``None`` if its ``testpaths`` are run."""
    if _ONE_FILE in files and _HAS_TEST.search(modules.get(_ONE_FILE, "")):
        suite = Suite(kind=SuiteKind.PYTEST, arguments=(_ONE_FILE,))
        return DetectedSuite(suite=suite, assumption=f"has no test files by pytest's names, so its {_ONE_FILE} is run")
    if unusual:
        suite = Suite(kind=SuiteKind.PYTEST, arguments=unusual)
        return DetectedSuite(
            suite=suite, assumption="has no test files by pytest's names: those of its unittest are run"
        )
    if not settings.source:
        return DetectedSuite(suite=None)
    if not settings.testpaths:
        return DetectedSuite(suite=None, assumption=f"has settings for pytest in {settings.source} and no test files")
    return None


def _django_settings(manage: str, settings: PytestSettings, files: Sequence[str]) -> str:
    """Return the settings module of ``manage.py``, if pytest is not configured by other means; otherwise empty."""
    match = _DJANGO_SETTINGS_VALUE.search(manage)
    has_own_settings = settings.source or any(path.rpartition("/")[2] == "conftest.py" for path in files)
    return match[1] if match and not has_own_settings else ""


def django_project_folder(files: Sequence[str], texts_of: Mapping[str, str]) -> str:
    """Return the folder with ``manage.py`` and the settings module that pytest is configured with; otherwise empty.

    ``pytest FOLDER`` adds that folder to the path, with pytest-django:
    https://pytest-django.readthedocs.io/en/latest/managing_python_path.html
    """
    package = read_pytest_settings(texts_of).django_settings.partition(".")[0]
    if not package:
        return ""
    manage_folders = {path[: -len("manage.py")].rstrip("/") for path in files if path.rpartition("/")[2] == "manage.py"}
    containing = {
        folder
        for folder in manage_folders
        if any(path.startswith(f"{folder}/{package}/".lstrip("/")) for path in files)
    }
    return containing.pop() if len(containing) == 1 else ""


def settings_of_suite(tree: Tree, service: Service) -> PytestSettings:
    """Return the settings of the folder in which the suite of a service runs."""
    return settings_in_folder(tree, (service.suite.folder if service.suite is not None else "") or service.path)


def collected_files(paths: Sequence[str], arguments: Sequence[str], settings: PytestSettings) -> list[str]:
    """Return those of ``paths`` (relative to the service) that pytest imports when it collects the suite.

    These are test files, and each ``conftest.py`` around them. ``testpaths`` count if ``arguments`` name no path, and
    if there is anything.
    """
    ignored = (*settings.ignored, *ignored_paths(arguments))
    candidates = [
        path
        for path in paths
        if (
            _is_test(path, settings.python_files)
            or path.rpartition("/")[2] == "conftest.py"
            or (path == _ONE_FILE and _ONE_FILE in arguments)
        )
        and not any(fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*") for pattern in ignored)
        and not _is_in_folder(path, settings.skipped_folders)
    ]
    named = [
        word.partition("::")[0]
        for option, word in pairwise(("", *arguments))
        if not word.startswith("-") and option not in VALUE_OPTIONS
    ]
    if named:
        return [path for path in candidates if _is_selected(path, named)]
    selected = [path for path in candidates if _is_selected(path, settings.testpaths)]
    return selected if any(_is_test(path, settings.python_files) for path in selected) else candidates


def _is_selected(path: str, named: Sequence[str]) -> bool:
    folder, _, name = path.rpartition("/")
    for item in (posixpath.normpath(item.strip("/")) for item in named):
        is_above = name == "conftest.py" and (not folder or lies_in(item, folder))
        if item == "." or is_above or fnmatchcase(path, item) or fnmatchcase(path, f"{item}/*"):
            return True
    return False


def _is_in_folder(path: str, patterns: Sequence[str]) -> bool:
    """Return whether a folder of ``path`` matches; a pattern with a slash is compared with the end of its path."""
    parts = path.split("/")[:-1]
    return any(
        fnmatchcase(f"/{'/'.join(parts[:count])}", f"*/{pattern}") if "/" in pattern else fnmatchcase(part, pattern)
        for count, part in enumerate(parts, 1)
        for pattern in patterns
    )


def _is_test(path: str, patterns: Sequence[str]) -> bool:
    """Return whether pytest collects a file; a pattern with a slash (``tests/*.py``) is one of the end of its path."""
    name = path.rpartition("/")[2]
    return name.endswith(".py") and any(
        fnmatchcase(f"/{path}", f"*/{pattern}") if "/" in pattern else fnmatchcase(name, pattern)
        for pattern in patterns
    )


def _pytest_arguments(tests: Sequence[str]) -> tuple[tuple[str, ...], list[str], list[str]]:
    """Return the arguments for pytest, the test files that they cover, and those that they leave out.

    If there is a test folder at the top, the arguments are this folder and all other top-level folders or files with
    tests. Otherwise there are none, and pytest finds all tests.
    """
    top_names = {path.partition("/")[0] for path in tests}
    if not top_names & set(_TEST_FOLDERS):
        return (), list(tests), []
    left_out = [path for path in tests if _is_no_test_of_the_service(path)]
    reached = [path for path in tests if not _is_no_test_of_the_service(path)]
    arguments = sorted({path.partition("/")[0] for path in reached})
    return tuple(arguments), reached, left_out


def _is_no_test_of_the_service(path: str) -> bool:
    """Whether a test file, beside a folder of tests, is a script, a module of the code, or belongs to vendored code."""
    folders = path.split("/")[:-1]
    if folders and folders[0] == "src" and {*_TEST_FOLDERS, "testing"}.isdisjoint(folders):
        return True
    return bool(folders) and (folders[0] in _NON_TEST_FOLDERS or not VENDORED_FOLDERS.isdisjoint(folders))


def _commanded_paths(tox_text: str, present: Set[str], folders: Collection[str]) -> tuple[str, ...]:
    """Return the files and folders that tox hands to pytest, if all of them exist; otherwise none.

    ``commands = {posargs:py.test --cov=src/app tests}``: the words after ``pytest`` that are no options.
    """
    ini = read_ini(tox_text)
    commands = ini.get("testenv", "commands") or ""
    if ini.get("testenv", "changedir", "change_dir"):
        return ()
    for line in commands.splitlines():
        words = setting_words(_POSITIONAL_ARGUMENTS.sub(r"\1", line).replace("{toxinidir}/", ""))
        start = next(
            (number for number, word in enumerate(words) if word.rpartition("/")[2] in ("pytest", "py.test")), None
        )
        if start is None:
            continue
        paths = []
        for before, word in pairwise(words[start:]):
            is_path = word.strip("/") in present or word == "."
            is_value = before in VALUE_OPTIONS or (before.startswith("-") and "=" not in before and not is_path)
            if not word.startswith("-") and not is_value:
                paths.append(word.partition("::")[0].strip("/") or ".")
        if paths and all(path in present and (path in folders or path.endswith(".py")) for path in paths):
            return tuple(dict.fromkeys(paths))
    return ()


def _is_reached(folder: str, arguments: Sequence[str]) -> bool:
    """Return whether pytest would collect ``folder``; without arguments it collects everything."""
    return not arguments or any(lies_in(folder, path) for path in arguments)


def _describe_left_out(paths: Sequence[str]) -> str:
    if not paths:
        return ""
    remaining = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"does not run {paths[0]}{remaining}, which is no part of its test folders"


def _has_module_conflict(tests: Sequence[str], files: set[str]) -> bool:
    """Return whether two test files have the same module name in pytest's default import mode."""
    modules: set[str] = set()
    for path in tests:
        module = _module_name(path, files)
        if module in modules:
            return True
        modules.add(module)
    return False


def _module_name(path: str, files: set[str]) -> str:
    """Return the dotted name, starting at the outermost folder of the unbroken chain of packages around ``path``."""
    parts = re.sub(r"\.py$", "", path).split("/")
    first = len(parts) - 1
    while first > 0 and "/".join([*parts[:first], "__init__.py"]) in files:
        first -= 1
    return ".".join(parts[first:])
