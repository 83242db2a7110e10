"""Read the literal content of setup.cfg and setup.py. Runs no code and never raises."""

import ast
import configparser
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pytest_py312.core.python_syntax import parse_python
from pytest_py312.repository.formats.requirements_file import (
    DependencyTable,
    IncludedFile,
    RequirementCollector,
    unreadable_table,
)

MAX_LENGTH = 500_000
_GOES_OUT = re.compile(r"\.\./|[\"']\.\.[\"']|\.parents\b|\bpardir\b")
_STEP_UP = re.compile(r"\bdirname\(|\.parent\b")
_FILE_NAME = re.compile(r"(?:\.\./){0,3}(?:[A-Z]{4,20}|[\w-]{1,60}\.(?:md|rst|txt|in|toml|cfg|json|py))", re.ASCII)
MAX_MODULE_LENGTH = 200_000
"""Characters of a Python file that is read for what it declares."""
TOO_LONG = f"It is longer than {MAX_MODULE_LENGTH} characters, so it is not checked."


@dataclass(frozen=True, kw_only=True, slots=True)
class SetupPy:
    """The call of ``setup()`` in a setup.py.

    ``is_packaging`` is false if there is no such call: the file only has that name. ``literal_arguments`` are the
    keyword arguments whose values are known without running the file, with their ``lines``; ``computed_arguments`` are
    the names of the others (``**`` for a mapping that is not literal).
    """

    is_packaging: bool = False
    literal_arguments: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    computed_arguments: frozenset[str] = frozenset()
    nodes: Mapping[str, ast.expr] = field(default_factory=dict)
    """The expressions of the values, with names replaced by what they are assigned to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IniText:
    """The sections of an ini file; ``parse_error`` is not empty if it cannot be parsed."""

    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parse_error: str = ""
    lines: tuple[str, ...] = ()

    def get(self, section: str, *keys: str) -> str | None:
        """Return the value of the first of ``keys`` that the section contains."""
        values = self.sections.get(section, {})
        return next((values[key] for key in keys if key in values), None)

    def line(self, section: str, *keys: str) -> int:
        """Return the line (from 1) of the first of ``keys``, or of the section."""
        section_line = next((number for number, line in enumerate(self.lines) if line.strip() == f"[{section}]"), 0)
        for number in range(section_line + 1, len(self.lines)):
            name = re.match(r"([^\s=:#;\[][^=:]*?)\s*[=:]", self.lines[number])
            if name and name[1].lower() in keys:
                return number + 1
            if self.lines[number].startswith("["):
                break
        return section_line + 1


def read_ini(text: str) -> IniText:
    """Read setup.cfg, tox.ini, pytest.ini or mypy.ini."""
    if not text:  # there is no such file; a parser takes some time to be made
        return IniText()
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="\0none")
    lines = tuple(text.removeprefix("\ufeff").splitlines())
    if len(text) > MAX_LENGTH:
        return IniText(parse_error=f"it is longer than {MAX_LENGTH} characters")
    try:
        parser.read_string("\n".join(lines))
    except (configparser.Error, ValueError, AttributeError) as error:
        return IniText(
            parse_error=str(error).splitlines()[0][:200] if str(error) else type(error).__name__, lines=lines
        )
    sections = {name: {key: value or "" for key, value in parser[name].items()} for name in parser.sections()}
    return IniText(sections=sections, lines=lines)


def ini_list(value: str | None) -> tuple[str, ...]:
    """Split a list value of setup.cfg, which has one item per line or commas between items."""
    text = value or ""
    pieces = text.splitlines() if "\n" in text else text.split(",")
    return tuple(piece.strip() for piece in pieces if piece.strip() and not piece.strip().startswith("#"))


def read_setup_cfg_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """Return the tables ``options.install_requires`` and ``options.extras_require.NAME``."""
    ini = read_ini(text)
    tables = []
    value = ini.get("options", "install_requires")
    if value is not None:
        tables.append(_setup_cfg_table(path, ini, ("options", "install_requires"), value))
    for extra, requirements in ini.sections.get("options.extras_require", {}).items():
        tables.append(_setup_cfg_table(path, ini, ("options.extras_require", extra), requirements))
    return tuple(tables)


def _setup_cfg_table(path: str, ini: IniText, keys: tuple[str, str], value: str) -> DependencyTable:
    collector = RequirementCollector(path)
    line = ini.line(*keys)
    if value.strip().startswith("file:"):
        for target in value.strip().removeprefix("file:").split(","):
            collector.includes.append(IncludedFile(kind="requirements", path=target.strip(), line=line))
    else:
        for piece, number in _pieces_with_lines(value, ini.lines, line):
            requirement = re.sub(r"(?:^|\s+)#.*", "", piece)
            if requirement:
                collector.add_requirement(requirement, number)
    return collector.table(".".join(keys))


def _pieces_with_lines(value: str, lines: Sequence[str], first_line: int) -> Iterator[tuple[str, int]]:
    """Yield each item of a value with its line. The parser drops comment lines, so lines cannot be counted."""
    if "\n" not in value:
        for piece in value.split(";"):
            yield piece.strip(), first_line
        return
    line = first_line - 1
    for piece in map(str.strip, value.split("\n")):
        # the first item is on the line of its key
        matching_lines = (number for number in range(line + 1, len(lines) + 1) if lines[number - 1].strip() == piece)
        line = first_line if line < first_line else next(matching_lines, line)
        yield piece, line


def read_setup_py_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """Return ``install_requires`` and ``extras_require.NAME`` if they are literal; a problem if they are computed."""
    if len(text) > MAX_MODULE_LENGTH:
        return (unreadable_table("install_requires", path, 1, TOO_LONG),)
    setup = read_setup_py(text)
    tables = []
    if "install_requires" in setup.literal_arguments or "install_requires" in setup.computed_arguments:
        node = setup.nodes.get("install_requires")
        tables.append(
            _setup_py_table(path, setup, "install_requires", setup.literal_arguments.get("install_requires"), node)
        )
    extras, extras_node = setup.literal_arguments.get("extras_require"), setup.nodes.get("extras_require")
    pairs = zip(extras_node.keys, extras_node.values, strict=True) if isinstance(extras_node, ast.Dict) else ()
    nodes = {
        key.value: node for key, node in pairs if isinstance(key, ast.Constant)
    }  # of duplicate keys the last one applies
    for name, requirements in extras.items() if isinstance(extras, Mapping) else ():
        tables.append(_setup_py_table(path, setup, f"extras_require.{name}", requirements, nodes.get(name)))
    return tuple(tables)


def _setup_py_table(path: str, setup: SetupPy, table: str, value: Any, node: ast.expr | None) -> DependencyTable:
    collector = RequirementCollector(path)
    line = setup.lines.get(table.partition(".")[0], 1)
    if isinstance(value, str):
        items: list[tuple[object, int]] = list(_requirement_lines(value, node, line))
    elif isinstance(value, list | tuple):
        elements = node.elts if isinstance(node, ast.List | ast.Tuple) else ()
        # lines may be missing: the items alone determine the length
        items = [(item, elements[index].lineno if index < len(elements) else line) for index, item in enumerate(value)]
    else:
        message = f"{table} is computed by setup.py, and no code is run to read it."
        collector.add_problem(line, table, message, is_computed=True)
        items = []
    for item, number in items:
        if isinstance(item, str):
            collector.add_requirement(item.strip(), number)
        else:
            collector.add_problem(number, str(item), f"{table} lists something that is not a string.")
    return collector.table(table)


def _requirement_lines(value: str, node: ast.expr | None, line: int) -> Iterator[tuple[str, int]]:
    """Yield the lines of a string that lists requirements, with their positions."""
    lines = value.split("\n")
    first = node.lineno if node is not None else line
    spans_lines = node is not None and node.end_lineno == first + len(lines) - 1
    for offset, piece in enumerate(lines):
        if piece.strip():
            yield piece, first + offset if spans_lines else first


@lru_cache(maxsize=8)
def parse_module(text: str) -> ast.Module | None:
    """Parse a Python file, for reading only; return ``None`` if it is invalid or too long to be hand-written."""
    return parse_python(text.removeprefix("\ufeff")) if len(text) <= MAX_MODULE_LENGTH else None


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name; empty for other expressions."""
    return str(getattr(node, "attr", "") or getattr(node, "id", ""))


def text_of(node: ast.expr | None) -> str | None:
    """Return a string that is written as one; ``None`` for other expressions."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def resolve_name(node: ast.expr, constants: Mapping[str, ast.expr]) -> ast.expr:
    """Return what a name stands for, if it is one of ``constants``; otherwise ``node``."""
    return constants.get(node.id, node) if isinstance(node, ast.Name) else node


def files_read_outside(text: str) -> tuple[str, ...]:
    """Return the files around its folder that a setup.py may read, relative to the folder: ``../README.md``.

    Those are paths that begin with ``..``; and, if it goes to the folder around, names of files, which may be there.
    """
    goes_out = _GOES_OUT.search(text) is not None or len(_STEP_UP.findall(text)) > 1  # one leads to its own folder
    module = parse_module(text) if goes_out else None
    strings = [node.value for node in ast.walk(module) if isinstance(node, ast.Constant)] if module else []
    names = [value for value in strings if isinstance(value, str) and _FILE_NAME.fullmatch(value)]
    outside = [value if value.startswith("../") else f"../{value}" for value in names]
    calls = (node for node in ast.walk(module) if isinstance(node, ast.Call)) if module else ()
    return tuple(dict.fromkeys((*outside, *filter(None, map(_joined_outside, calls)))))


def _joined_outside(call: ast.Call) -> str:
    """Return the path that ``os.path.join("..", "..", "docs", "README.md")`` makes; empty for others."""
    values = [item.value if isinstance(item, ast.Constant) else None for item in call.args]
    is_join = isinstance(call.func, ast.Attribute) and call.func.attr == "join" and ".." in values
    parts = values[values.index("..") :] if is_join else []
    names = [part for part in parts if isinstance(part, str) and "\0" not in part]
    return "/".join(names) if len(names) == len(parts) > 1 and not names[-1].startswith("/") else ""


def read_setup_py(text: str) -> SetupPy:
    """Return the literal arguments of the first ``setup()`` call."""
    module = parse_module(text)
    if module is None:
        return SetupPy(is_packaging=len(text) > MAX_MODULE_LENGTH and "setup" in text)
    call = next((node for node in ast.walk(module) if isinstance(node, ast.Call) and _is_setup_call(node.func)), None)
    if call is None:
        return SetupPy()
    constants = constant_assignments(module)
    literal: dict[str, Any] = {}
    lines: dict[str, int] = {}
    nodes: dict[str, ast.expr] = {}
    computed: set[str] = set()
    for name, node in _keyword_arguments(call, constants):
        value = _literal_value(node, constants)
        if name == "**" or value is _COMPUTED:
            computed.add(name)
        else:
            literal[name] = value
        nodes[name] = resolve_name(node, constants)
        lines[name] = getattr(node, "lineno", call.lineno)
    return SetupPy(
        is_packaging=True, literal_arguments=literal, lines=lines, computed_arguments=frozenset(computed), nodes=nodes
    )


_COMPUTED = object()


def _is_setup_call(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr == "setup" and isinstance(function.value, ast.Name | ast.Attribute)
    return isinstance(function, ast.Name) and function.id == "setup"


def constant_assignments(module: ast.Module) -> dict[str, ast.expr]:
    """Return the names that the file assigns exactly once and never modifies in place."""
    values: dict[str, ast.expr] = {}
    store_counts: Counter[str] = Counter()
    changed: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            store_counts[node.id] += 1
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            changed.add(node.value.id)  # ``PACKAGES.append(...)``
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            changed |= {node.value.id} if isinstance(node.value, ast.Name) else set()
    return {name: value for name, value in values.items() if store_counts[name] == 1 and name not in changed}


def _keyword_arguments(call: ast.Call, constants: Mapping[str, ast.expr]) -> Iterator[tuple[str, ast.expr]]:
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value
            continue
        mapping = constants.get(keyword.value.id) if isinstance(keyword.value, ast.Name) else keyword.value
        if not isinstance(mapping, ast.Dict):
            yield "**", keyword.value
            continue
        for key, value in zip(mapping.keys, mapping.values, strict=True):
            name = text_of(key)
            yield ("**" if name is None else name), value


def _literal_value(node: ast.expr, constants: Mapping[str, ast.expr]) -> Any:
    node = resolve_name(node, constants)
    if isinstance(node, ast.Call):
        return _find_packages_value(node)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _COMPUTED


def _find_packages_value(call: ast.Call) -> Any:
    """Return ``find_packages("src")`` as ``find:src``, the equivalent value in setup.cfg."""
    if last_name(call.func) not in ("find_packages", "find_namespace_packages"):
        return _COMPUTED
    folder_node = (
        call.args[0] if call.args else next((word.value for word in call.keywords if word.arg == "where"), None)
    )
    if folder_node is None:
        return "find:"
    folder = text_of(folder_node)
    return _COMPUTED if folder is None else f"find:{folder}"
