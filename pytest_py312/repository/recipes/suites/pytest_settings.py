"""Read the settings that pytest would use in a folder, from ``pytest.ini``, ``pyproject.toml`` and others.

https://docs.pytest.org/en/stable/reference/customize.html
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_py312.core.text import split_words
from pytest_py312.repository.formats.setuptools import read_ini
from pytest_py312.repository.formats.toml import read_toml, strings_in
from pytest_py312.repository.tree import Tree, join_path

INI_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""In pytest's own order: the first file with a section for pytest applies."""
TEST_FILE = re.compile(r"(?:test_.*|.*_test)\.py")
"""Names of the files that pytest collects without other settings."""

_DJANGO_SETTINGS_KEY = "DJANGO_SETTINGS_MODULE"
VALUE_OPTIONS = frozenset(
    {"-c", "-k", "-m", "-n", "-o", "-p", "-W", "-r", "--asyncio-mode", "--basetemp", "--capture", "--color",
     "--confcutdir", "--config-file", "--cov", "--cov-config", "--cov-fail-under", "--cov-report", "--deselect",
     "--dist", "--ds", "--durations", "--html", "--ignore", "--ignore-glob", "--import-mode", "--junit-xml",
     "--junitxml", "--log-cli-level", "--log-file", "--log-level", "--maxfail", "--numprocesses", "--override-ini",
     "--reruns", "--reruns-delay", "--rootdir", "--tb", "--timeout"}
)  # fmt: skip
"""Options of pytest and its common plugins that take the next word as their value."""

_KEY = re.compile(r"(?P<name>[A-Za-z]\w*)[ \t]*=|\[(?P<section>[\w.:-]+)\]")
_SECTIONS = frozenset({"pytest", "tool:pytest", "tool.pytest", "tool.pytest.ini_options"})
_ERROR_ACTION = re.compile(r"(?:^(?:filterwarnings[ \t]*=)?\s*|[\"'])error(?=[\s\"':,\]]|$)")
_IGNORING = ("--ignore", "--ignore-glob")


@dataclass(frozen=True, kw_only=True, slots=True)
class PytestSettings:
    """The service's own pytest configuration. ``source`` is empty if there is none."""

    source: str = ""
    testpaths: tuple[str, ...] = ()
    python_path: tuple[str, ...] = ()
    """Folders that pytest puts on the path: ``pythonpath``."""
    python_files: tuple[str, ...] = ("test_*.py", "*_test.py")
    import_mode: bool = False
    django_settings: str = ""
    """The Django settings module for pytest-django."""
    ignored: tuple[str, ...] = ()
    """Patterns of the paths that ``addopts`` ignores."""
    skipped_folders: tuple[str, ...] = ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv")
    """Patterns of folders that are not searched: ``norecursedirs``."""
    strict_line: int | None = None
    """The line of ``filterwarnings`` in the source that makes warnings errors."""


def read_pytest_settings(texts_of: Mapping[str, str]) -> PytestSettings:
    """Read the settings that pytest would use."""
    for name in INI_FILES:
        text = texts_of.get(name)
        if text is None:
            continue
        values = _toml_settings(name, text) if name.endswith(".toml") else _ini_settings(name, text)
        if values is None:
            continue
        options = values.get("addopts", ())
        return PytestSettings(
            source=name,
            testpaths=values.get("testpaths", ()),
            python_path=values.get("pythonpath", ()),
            python_files=values.get("python_files") or ("test_*.py", "*_test.py"),
            ignored=tuple(ignored_paths(options)),
            skipped_folders=values.get("norecursedirs") or PytestSettings().skipped_folders,
            import_mode=any(option.startswith("--import-mode") for option in options),
            strict_line=_strict_line(text),
            # the INI reader converts keys to lower case
            django_settings=next((" ".join(values[key]) for key in values if key.upper() == _DJANGO_SETTINGS_KEY), ""),
        )
    return PytestSettings()


def settings_in_folder(tree: Tree, folder: str) -> PytestSettings:
    """Return the settings for pytest that the files of a folder hold."""
    texts = {name: tree.read_or_none(join_path(folder, name)) for name in INI_FILES}
    return read_pytest_settings({name: text for name, text in texts.items() if text is not None})


def ignored_paths(options: Sequence[str]) -> Iterator[str]:
    """Yield the paths and patterns that options of pytest ignore."""
    for option, word in pairwise(("", *options)):
        name, _, value = word.partition("=")
        if name in _IGNORING or option in _IGNORING:
            yield posixpath.normpath(value if name in _IGNORING else word)


def _strict_line(text: str) -> int | None:
    """Return the line of the first action ``error`` of ``filterwarnings``: ``error``, ``error::DeprecationWarning``."""
    section, is_inside = "", False
    for number, line in enumerate(text.splitlines(), 1):
        content = re.split(r"(?:^|\s)#", line)[0]
        if key := _KEY.match(content):
            section = key["section"] or section
            is_inside = key["name"] == "filterwarnings"
        if is_inside and section in _SECTIONS and _ERROR_ACTION.search(content):
            return number
    return None


def _toml_settings(name: str, text: str) -> dict[str, tuple[str, ...]] | None:
    toml = read_toml(text)
    if name == "pyproject.toml":
        pytest_table = toml.value("tool", "pytest")
        table = pytest_table.get("ini_options", pytest_table) if isinstance(pytest_table, dict) else None
    else:
        table = toml.value("pytest") or {}
    if not isinstance(table, dict):
        return None
    return {key: setting_words(value) for key, value in table.items()}


def _ini_settings(name: str, text: str) -> dict[str, tuple[str, ...]] | None:
    ini = read_ini(text)
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    if section not in ini.sections:
        return {} if name.endswith("pytest.ini") else None
    return {key: setting_words(value) for key, value in ini.sections[section].items()}


def setting_words(value: object) -> tuple[str, ...]:
    """Return the words of a setting: those of a text, or the items of a list."""
    if isinstance(value, str):
        return tuple(split_words(value))
    return strings_in(value)
