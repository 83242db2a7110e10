"""How a service's own tests are run, told from its files. Nothing is executed."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.repository.formats.setuptools import read_ini
from pytest_py312.repository.formats.toml import read_toml, texts

INI_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""In pytest's own order: the first that has a section for pytest holds."""

_TEST_FOLDERS = ("tests", "test")
_SETTINGS = "DJANGO_SETTINGS_MODULE"
_DJANGO = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\]?\s*[,=]\s*["']([\w.]+)["']""")
_NOT_TESTS = frozenset(
    {"scripts", "tools", "examples", "example", "docs", "doc", "vendor", "third_party", "build", "dist", "benchmarks"}
)
"""Folders whose ``test_*.py`` are programs to try things out by hand; importing them may do anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PytestSettings:
    """What a service's own configuration of pytest says. ``source`` is empty when it has none."""

    source: str = ""
    testpaths: tuple[str, ...] = ()
    python_files: tuple[str, ...] = ("test_*.py", "*_test.py")
    import_mode: bool = False
    django_settings: str = ""
    """The module that pytest-django takes Django's settings from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSuite:
    """The suite, or ``None``; and what had to be assumed, as a clause that follows the service's name."""

    suite: Suite | None
    assumption: str = ""


def find_suite(
    files: Sequence[str],
    folders: Sequence[str],
    texts_of: Mapping[str, str],
    inner: Sequence[str] = (),
    manage: str = "",
) -> FoundSuite:
    """The suite of a service with these ``files`` and ``folders`` (relative to it). ``inner`` are folders of other
    services in it, whose tests are theirs. ``manage`` is the text of Django's ``manage.py`` where there is one.

    ``texts_of`` holds the text of those of :data:`INI_FILES` that exist. pytest runs ``unittest`` classes too, so it
    is always pytest.
    """
    settings = read_pytest_settings(texts_of)
    django = _django_settings(manage, settings, files)
    if django:
        settings = replace(settings, python_files=("test*.py",))
    tests = [path for path in files if _is_test(path, settings.python_files)]
    if not tests and not settings.source:
        return FoundSuite(suite=None)
    if not tests and not settings.testpaths:
        return FoundSuite(suite=None, assumption=f"has settings for pytest in {settings.source} and no test files")
    present = set(folders) | set(files)
    no_tests: list[str] = []
    if any(path.strip("/") in present or "*" in path for path in settings.testpaths):
        arguments: tuple[str, ...] = ()
        chosen, left_out = tests, no_tests
    else:
        arguments, chosen, left_out = _arguments(tests)
    arguments += tuple(f"--ignore={folder}" for folder in inner if _is_reached(folder, arguments))
    mode = "importlib" if not settings.import_mode and _clash(chosen, set(files)) else ""
    clause = _left_out(left_out)
    if django:
        arguments += (f"--ds={django}", "--override-ini=python_files=test*.py")
        clause = clause or f"has a manage.py and no settings for pytest, so pytest-django runs its tests with {django}"
    suite = Suite(kind=SuiteKind.PYTEST, arguments=arguments, import_mode=mode)
    return FoundSuite(suite=suite, assumption=clause)


def _django_settings(manage: str, settings: PytestSettings, files: Sequence[str]) -> str:
    """The settings that ``manage.py test`` takes, where nothing says that pytest is set up otherwise; else empty."""
    found = _DJANGO.search(manage)
    own = settings.source or any(path.rpartition("/")[2] == "conftest.py" for path in files)
    return found[1] if found and not own else ""


def django_project(files: Sequence[str], texts_of: Mapping[str, str]) -> str:
    """The folder with the ``manage.py`` of the settings that pytest is told; empty where they are found without it.

    Who types ``pytest FOLDER`` has it on the path: pytest-django puts it there.
    https://pytest-django.readthedocs.io/en/latest/managing_python_path.html
    """
    package = read_pytest_settings(texts_of).django_settings.partition(".")[0]
    if not package:
        return ""
    homes = {path[: -len("manage.py")].rstrip("/") for path in files if path.rpartition("/")[2] == "manage.py"}
    holding = {home for home in homes if any(path.startswith(f"{home}/{package}/".lstrip("/")) for path in files)}
    return holding.pop() if len(holding) == 1 else ""


def read_pytest_settings(texts_of: Mapping[str, str]) -> PytestSettings:
    """The settings that pytest would take, by file name."""
    for name in INI_FILES:
        text = texts_of.get(name)
        if text is None:
            continue
        values = _toml_values(name, text) if name.endswith(".toml") else _ini_values(name, text)
        if values is None:
            continue
        options = values.get("addopts", ())
        return PytestSettings(
            source=name,
            testpaths=values.get("testpaths", ()),
            python_files=values.get("python_files") or ("test_*.py", "*_test.py"),
            import_mode=any(option.startswith("--import-mode") for option in options),
            # the reader of INI files writes all keys small
            django_settings=next((" ".join(values[key]) for key in values if key.upper() == _SETTINGS), ""),
        )
    return PytestSettings()


def _toml_values(name: str, text: str) -> dict[str, tuple[str, ...]] | None:
    toml = read_toml(text)
    if name == "pyproject.toml":
        own = toml.value("tool", "pytest")
        table = own.get("ini_options", own) if isinstance(own, dict) else None
    else:
        table = toml.value("pytest") or {}
    if not isinstance(table, dict):
        return None
    return {key: _words(value) for key, value in table.items()}


def _ini_values(name: str, text: str) -> dict[str, tuple[str, ...]] | None:
    ini = read_ini(text)
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    if section not in ini.sections:
        return {} if name.endswith("pytest.ini") else None
    return {key: _words(value) for key, value in ini.sections[section].items()}


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            return tuple(value.split())
    return texts(value)


def _is_test(path: str, patterns: Sequence[str]) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".py") and any(fnmatchcase(name, pattern) for pattern in patterns)


def _arguments(tests: Sequence[str]) -> tuple[tuple[str, ...], list[str], list[str]]:
    """The arguments for pytest, the test files that they reach, and those left out.

    With a test folder at the top: it, and every other top-level folder or file that holds tests, so that none is
    passed over in silence. Without one: no arguments, and pytest finds all.
    """
    tops = {path.partition("/")[0] for path in tests}
    if not tops & set(_TEST_FOLDERS):
        return (), list(tests), []
    chosen = [path for path in tests if path.partition("/")[0] not in _NOT_TESTS]
    left_out = [path for path in tests if path.partition("/")[0] in _NOT_TESTS]
    wanted = sorted({path.partition("/")[0] for path in chosen})
    return tuple(wanted), chosen, left_out


def _is_reached(folder: str, arguments: Sequence[str]) -> bool:
    """Whether pytest would look for tests in ``folder``; without arguments it looks everywhere."""
    return not arguments or any(folder == path or folder.startswith(f"{path}/") for path in arguments)


def _left_out(paths: Sequence[str]) -> str:
    if not paths:
        return ""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"does not run {paths[0]}{more}, which is no part of its test folders"


def _clash(tests: Sequence[str], files: set[str]) -> bool:
    """Whether two test files would be the same module in pytest's default import mode."""
    seen: set[str] = set()
    for path in tests:
        module = _module(path, files)
        if module in seen:
            return True
        seen.add(module)
    return False


def _module(path: str, files: set[str]) -> str:
    """The dotted name: from the outermost of the folders around ``path`` that have an ``__init__.py`` without gap."""
    parts = re.sub(r"\.py$", "", path).split("/")
    first = len(parts) - 1
    while first > 0 and "/".join([*parts[:first], "__init__.py"]) in files:
        first -= 1
    return ".".join(parts[first:])
