"""What files say about Python versions: requires-python, classifiers, pins, tool settings. Text in, facts out.

Never raises. A file that cannot be parsed says nothing here; who reads its dependencies reports that.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pytest_py312.model import Declaration, Interpreter, Location
from pytest_py312.readers.poetry import alternatives_of
from pytest_py312.readers.setuptools import ini_list, read_ini, read_setup_py
from pytest_py312.readers.tomls import TomlText, read_toml, texts

_NEWEST_PATCH = 40
"""Higher than any patch number that a CPython minor has reached."""
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d{1,2})", re.ASCII)
_TOX_FACTOR = re.compile(r"(?<![\w.])(?:py|python)(3\.?\d{1,2})(?![\w.])", re.ASCII)
_TOX_SET = re.compile(r"(?<![\w.])(?:py|python)(3?\.?)\{([\d,.\s]{1,200})\}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """The declarations of one file, by what they are for."""

    requires_python: tuple[Declaration, ...] = ()
    """Ranges that a distribution states of itself (kind ``metadata``)."""
    classifiers: tuple[Declaration, ...] = ()
    pins: tuple[Declaration, ...] = ()
    """What a version manager or platform is told to run (kind ``pin``)."""
    tools: tuple[Declaration, ...] = ()
    """Settings of type checkers, formatters and test tools (kind ``tool``)."""

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        return (*self.requires_python, *self.classifiers, *self.pins, *self.tools)


def read_metadata(text: str, path: str) -> Metadata:
    """Read a file by its name; a name that is none of :data:`FILES` says nothing."""
    reader = _READERS.get(path.rpartition("/")[2])
    return reader(text, path) if reader else Metadata()


@lru_cache(maxsize=4096)
def allows(specifier_text: str, interpreter: Interpreter) -> bool:
    """Whether some patch release of ``interpreter`` lies in the range, written as PEP 440 or as Poetry does."""
    for alternative in alternatives_of(specifier_text) or (specifier_text,):
        try:
            specifier = SpecifierSet(alternative)
            if any(specifier.contains(f"{interpreter}.{patch}", prereleases=True) for patch in range(_NEWEST_PATCH)):
                return True
        except (InvalidSpecifier, ValueError):
            continue
    return False


def lowest_minor(specifier_text: str, among: Sequence[Interpreter]) -> Interpreter | None:
    """The oldest interpreter in the range; ``None`` when none is, or when the range cannot be read."""
    return next((interpreter for interpreter in sorted(among) if allows(specifier_text, interpreter)), None)


def _declared(kind: str, text: str, path: str, line: int | None, interpreter: Interpreter | None) -> Declaration:
    return Declaration(kind=kind, text=text, location=Location(path=path, line=line), interpreter=interpreter)


def _version(kind: str, text: str, path: str, line: int | None) -> Declaration:
    """A declaration whose text names one version, if any."""
    try:
        interpreter = Interpreter.parse(text)
    except ValueError:
        interpreter = None
    return _declared(kind, text, path, line, interpreter)


def _range(text: str, path: str, line: int) -> Declaration:
    among = [Interpreter(3, minor) for minor in range(6, 26)]
    inside = [interpreter for interpreter in among if allows(text, interpreter)]
    return _declared("metadata", text, path, line, inside[0] if len(inside) == 1 else None)


def _classifiers(listed: Sequence[str], path: str, line_of: Callable[[int], int]) -> tuple[Declaration, ...]:
    found = ((index, item, _CLASSIFIER.fullmatch(item.strip())) for index, item in enumerate(listed))
    return tuple(
        _declared("metadata", item.strip(), path, line_of(index), Interpreter.parse(match[1]))
        for index, item, match in found
        if match
    )


def _pyproject(text: str, path: str) -> Metadata:
    toml = read_toml(text)
    ranges = []
    for keys in (
        ("project", "requires-python"),
        ("tool", "poetry", "dependencies", "python"),
        ("tool", "poetry", "dependencies", "Python"),
    ):
        value = toml.value(*keys)
        if isinstance(value, str):
            ranges.append(_range(value, path, toml.line(*keys)))
    classifiers: tuple[Declaration, ...] = ()
    for table in (("project", "classifiers"), ("tool", "poetry", "classifiers")):
        listed = toml.value(*table)
        if isinstance(listed, list):
            words = [item if isinstance(item, str) else "" for item in listed]
            classifiers += _classifiers(words, path, partial(toml.line, *table))
    return Metadata(requires_python=tuple(ranges), classifiers=classifiers, tools=tuple(_toml_tools(toml, path)))


def _toml_tools(toml: TomlText, path: str) -> Iterator[Declaration]:
    for keys in (
        ("tool", "mypy", "python_version"),
        ("tool", "pyright", "pythonVersion"),
        ("tool", "ruff", "target-version"),
        ("tool", "black", "target-version"),
        ("tool", "pylint", "main", "py-version"),
    ):
        value = toml.value(*keys)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield _version("tool", str(item)[:200], path, toml.line(*keys, index))
        elif isinstance(value, str | float):
            yield _version("tool", str(value)[:200], path, toml.line(*keys))
    legacy = toml.value("tool", "tox", "legacy_tox_ini")
    if isinstance(legacy, str):
        yield from _tox_versions(legacy, path, toml.line("tool", "tox", "legacy_tox_ini"))
    for index, item in enumerate(texts(toml.value("tool", "tox", "env_list"))):
        yield from _tox_versions(item, path, toml.line("tool", "tox", "env_list", index))


def _ruff(text: str, path: str) -> Metadata:
    toml = read_toml(text)
    value = toml.value("target-version")
    found = (_version("tool", value[:200], path, toml.line("target-version")),) if isinstance(value, str) else ()
    return Metadata(tools=found)


def _pipfile(text: str, path: str) -> Metadata:
    toml = read_toml(text)
    for key in ("python_full_version", "python_version"):
        value = toml.value("requires", key)
        if isinstance(value, str):
            return Metadata(pins=(_version("pin", value, path, toml.line("requires", key)),))
    return Metadata()


def _ini(text: str, path: str) -> Metadata:
    """setup.cfg, tox.ini and mypy.ini: each may hold the sections of the others."""
    ini = read_ini(text)
    ranges = []
    python_requires = ini.get("options", "python_requires", "python-requires")
    if python_requires:
        ranges.append(_range(python_requires.strip(), path, ini.line("options", "python_requires", "python-requires")))
    listed = ini_list(ini.get("metadata", "classifiers", "classifier"))
    first = ini.line("metadata", "classifiers", "classifier")
    tools = []
    mypy = ini.get("mypy", "python_version")
    if mypy:
        tools.append(_version("tool", mypy.strip()[:200], path, ini.line("mypy", "python_version")))
    envlist = ini.get("tox", "envlist", "env_list")
    if envlist:
        tools += _tox_versions(envlist, path, ini.line("tox", "envlist", "env_list"))
    return Metadata(
        requires_python=tuple(ranges),
        classifiers=_classifiers(listed, path, lambda index: _line_with(ini.lines, listed[index], first)),
        tools=tuple(tools),
    )


def _line_with(lines: Sequence[str], needle: str, default: int) -> int:
    return next((number for number, line in enumerate(lines, start=1) if line.strip() == needle), default)


def _setup_py(text: str, path: str) -> Metadata:
    setup = read_setup_py(text)
    ranges = setup.literal.get("python_requires")
    listed = setup.literal.get("classifiers")
    words = [str(item) for item in listed] if isinstance(listed, list | tuple) else []
    line = setup.lines.get("classifiers", 1)
    lines = text.splitlines()

    def line_of(index: int) -> int:
        return next((number for number in range(line, len(lines) + 1) if words[index] in lines[number - 1]), line)

    return Metadata(
        requires_python=(_range(ranges, path, setup.lines["python_requires"]),) if isinstance(ranges, str) else (),
        classifiers=_classifiers(words, path, line_of),
    )


def _tox_versions(text: str, path: str, line: int) -> Iterator[Declaration]:
    """One for each Python that an envlist names: ``py39``, ``py3.10``, ``py3{9,10}``, ``py{39,310}``."""
    for offset, part in enumerate(text.splitlines()[:500]):
        names = [(match.start(), match[0], match[1]) for match in _TOX_FACTOR.finditer(part)]
        for match in _TOX_SET.finditer(part):
            names += [(match.start(), match[0], match[1] + piece.strip()) for piece in match[2].split(",")]
        for _, written, version in sorted(names):
            declared = _version("tool", version, path, line + offset)
            if declared.interpreter:
                yield _declared("tool", written, path, line + offset, declared.interpreter)


def _lines_of(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines()[:200], start=1):
        bare = line.partition("#")[0].strip()
        if bare:
            yield number, bare[:200]


def _python_version(text: str, path: str) -> Metadata:
    """pyenv takes the first line, and offers the others after it."""
    first = next(_lines_of(text), None)
    return Metadata(pins=(_version("pin", first[1].removeprefix("cpython-"), path, first[0]),)) if first else Metadata()


def _runtime(text: str, path: str) -> Metadata:
    for number, line in _lines_of(text):
        if line.lower().startswith("python"):
            version = line.lower().removeprefix("python").lstrip("-")
            return Metadata(pins=(_declared("pin", line, path, number, _version("pin", version, path, 1).interpreter),))
    return Metadata()


def _tool_versions(text: str, path: str) -> Metadata:
    for number, line in _lines_of(text):
        words = line.split()
        if words[0] == "python" and len(words) > 1:
            interpreter = _version("pin", words[1], path, number).interpreter
            return Metadata(pins=(_declared("pin", line, path, number, interpreter),))
    return Metadata()


_READERS: Mapping[str, Callable[[str, str], Metadata]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _ini,
    "tox.ini": _ini,
    "mypy.ini": _ini,
    ".mypy.ini": _ini,
    "setup.py": _setup_py,
    "ruff.toml": _ruff,
    ".ruff.toml": _ruff,
    "Pipfile": _pipfile,
    ".python-version": _python_version,
    "runtime.txt": _runtime,
    ".tool-versions": _tool_versions,
}

FILES: tuple[str, ...] = tuple(_READERS)
"""Names of the files that :func:`read_metadata` reads."""
