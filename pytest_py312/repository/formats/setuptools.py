"""setup.cfg and setup.py: what stands there literally. No code is executed; never raises."""

import ast
import configparser
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_py312.repository.formats.requirements_file import Collector, DependencyTable, Include

LENGTH_LIMIT = 500_000


@dataclass(frozen=True, kw_only=True, slots=True)
class SetupPy:
    """The call of ``setup()`` in a setup.py.

    ``packaging`` is false when there is none: the file only bears the name. ``literal`` are the keyword arguments
    that can be told without running the file, with their ``lines``; ``computed`` the names of the others (``**`` for
    a mapping that cannot be told).
    """

    packaging: bool = False
    literal: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    nodes: Mapping[str, ast.expr] = field(default_factory=dict)
    """The expressions that the values stand in, names followed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IniText:
    """The sections of an ini file; ``trouble`` is not empty when it cannot be parsed."""

    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trouble: str = ""
    lines: tuple[str, ...] = ()

    def get(self, section: str, *keys: str) -> str | None:
        """The value of the first of ``keys`` that the section has."""
        values = self.sections.get(section, {})
        return next((values[key] for key in keys if key in values), None)

    def line(self, section: str, *keys: str) -> int:
        """The line (from 1) of the first of ``keys``, or of the section."""
        at = next((number for number, line in enumerate(self.lines) if line.strip() == f"[{section}]"), 0)
        for number in range(at + 1, len(self.lines)):
            name = re.match(r"([^\s=:#;\[][^=:]*?)\s*[=:]", self.lines[number])
            if name and name[1].lower() in keys:
                return number + 1
            if self.lines[number].startswith("["):
                break
        return at + 1


def read_ini(text: str) -> IniText:
    """Read setup.cfg, tox.ini, pytest.ini or mypy.ini."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="\0none")
    lines = tuple(text.removeprefix("\ufeff").splitlines())
    if len(text) > LENGTH_LIMIT:
        return IniText(trouble=f"it is longer than {LENGTH_LIMIT} characters")
    try:
        parser.read_string("\n".join(lines))
    except (configparser.Error, ValueError, AttributeError) as error:
        return IniText(trouble=str(error).splitlines()[0][:200] if str(error) else type(error).__name__, lines=lines)
    sections = {name: {key: value or "" for key, value in parser[name].items()} for name in parser.sections()}
    return IniText(sections=sections, lines=lines)


def ini_list(value: str | None) -> tuple[str, ...]:
    """A value of setup.cfg that lists things, one a line or separated by commas."""
    text = value or ""
    pieces = text.splitlines() if "\n" in text else text.split(",")
    return tuple(piece.strip() for piece in pieces if piece.strip() and not piece.strip().startswith("#"))


def read_setup_cfg_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """``options.install_requires`` and ``options.extras_require.NAME``."""
    ini = read_ini(text)
    tables = []
    value = ini.get("options", "install_requires")
    if value is not None:
        tables.append(_cfg_table(path, ini, ("options", "install_requires"), value))
    for extra, listed in ini.sections.get("options.extras_require", {}).items():
        tables.append(_cfg_table(path, ini, ("options.extras_require", extra), listed))
    return tuple(tables)


def _cfg_table(path: str, ini: IniText, keys: tuple[str, str], value: str) -> DependencyTable:
    found = Collector(path)
    line = ini.line(*keys)
    if value.strip().startswith("file:"):
        for target in value.strip().removeprefix("file:").split(","):
            found.includes.append(Include(kind="requirements", target=target.strip(), line=line))
    else:
        for piece, number in _placed(value, ini.lines, line):
            bare = re.sub(r"(?:^|\s+)#.*", "", piece)
            if bare:
                found.requirement(bare, number)
    return DependencyTable(table=".".join(keys), requirements=found.result())


def _placed(value: str, lines: Sequence[str], first: int) -> Iterator[tuple[str, int]]:
    """Each piece of a value with its line: a parser leaves out lines that are comments."""
    if "\n" not in value:
        for piece in value.split(";"):
            yield piece.strip(), first
        return
    at = first - 1
    for piece in map(str.strip, value.split("\n")):
        # the first stands behind its key
        later = (number for number in range(at + 1, len(lines) + 1) if lines[number - 1].strip() == piece)
        at = first if at < first else next(later, at)
        yield piece, at


def read_setup_py_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """``install_requires`` and ``extras_require.NAME`` where they are literal; a problem where they are computed."""
    setup = read_setup_py(text)
    tables = []
    if "install_requires" in setup.literal or "install_requires" in setup.computed:
        node = setup.nodes.get("install_requires")
        tables.append(_py_table(path, setup, "install_requires", setup.literal.get("install_requires"), node))
    extras, written = setup.literal.get("extras_require"), setup.nodes.get("extras_require")
    pairs = zip(written.keys, written.values, strict=True) if isinstance(written, ast.Dict) else ()
    nodes = {key.value: node for key, node in pairs if isinstance(key, ast.Constant)}  # of a key said twice, the last
    for name, listed in extras.items() if isinstance(extras, Mapping) else ():
        tables.append(_py_table(path, setup, f"extras_require.{name}", listed, nodes.get(name)))
    return tuple(tables)


def _py_table(path: str, setup: SetupPy, table: str, value: Any, node: ast.expr | None) -> DependencyTable:
    found = Collector(path)
    line = setup.lines.get(table.partition(".")[0], 1)
    if isinstance(value, str):
        items: list[tuple[object, int]] = list(_lines_of(value, node, line))
    elif isinstance(value, list | tuple):
        elements = node.elts if isinstance(node, ast.List | ast.Tuple) else ()
        # the lines are beside the items, and never decide how many of these there are
        items = [(item, elements[at].lineno if at < len(elements) else line) for at, item in enumerate(value)]
    else:
        said = f"{table} is computed by setup.py, which is not run to be read."
        found.problem(line, table, said, computed=True)
        items = []
    for item, number in items:
        if isinstance(item, str):
            found.requirement(item.strip(), number)
        else:
            found.problem(number, str(item), f"{table} lists what is no string.")
    return DependencyTable(table=table, requirements=found.result())


def _lines_of(value: str, node: ast.expr | None, line: int) -> Iterator[tuple[str, int]]:
    """The lines of a string that lists requirements, with where each stands."""
    lines = value.split("\n")
    first = node.lineno if node is not None else line
    over_lines = node is not None and node.end_lineno == first + len(lines) - 1
    for offset, piece in enumerate(lines):
        if piece.strip():
            yield piece, first + offset if over_lines else first


def module_of(text: str) -> ast.Module | None:
    """The syntax tree of a Python file; ``None`` where it has none, or is longer than a person writes."""
    if len(text) > LENGTH_LIMIT:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape of a stranger's file is no warning of ours
            return ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def read_setup_py(text: str) -> SetupPy:
    """What the first ``setup()`` call of a setup.py says literally."""
    module = module_of(text)
    if module is None:
        return SetupPy()
    call = next((node for node in ast.walk(module) if isinstance(node, ast.Call) and _is_setup(node.func)), None)
    if call is None:
        return SetupPy()
    constants = constants_of(module)
    literal: dict[str, Any] = {}
    lines: dict[str, int] = {}
    nodes: dict[str, ast.expr] = {}
    computed: set[str] = set()
    for name, node in _keywords(call, constants):
        value = _value(node, constants)
        if name == "**" or value is _COMPUTED:
            computed.add(name)
        else:
            literal[name] = value
        nodes[name] = constants.get(node.id, node) if isinstance(node, ast.Name) else node
        lines[name] = getattr(node, "lineno", call.lineno)
    return SetupPy(packaging=True, literal=literal, lines=lines, computed=frozenset(computed), nodes=nodes)


_COMPUTED = object()


def _is_setup(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr == "setup" and isinstance(function.value, ast.Name | ast.Attribute)
    return isinstance(function, ast.Name) and function.id == "setup"


def constants_of(module: ast.Module) -> dict[str, ast.expr]:
    """Names that the whole file assigns exactly once, and never changes in place."""
    values: dict[str, ast.expr] = {}
    stored: Counter[str] = Counter()
    changed: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            stored[node.id] += 1
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            changed.add(node.value.id)  # ``PACKAGES.append(...)``
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            changed |= {node.value.id} if isinstance(node.value, ast.Name) else set()
    return {name: value for name, value in values.items() if stored[name] == 1 and name not in changed}


def _keywords(call: ast.Call, constants: Mapping[str, ast.expr]) -> Iterator[tuple[str, ast.expr]]:
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value
            continue
        mapping = constants.get(keyword.value.id) if isinstance(keyword.value, ast.Name) else keyword.value
        if not isinstance(mapping, ast.Dict):
            yield "**", keyword.value
            continue
        for key, value in zip(mapping.keys, mapping.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value
            else:
                yield "**", value


def _value(node: ast.expr, constants: Mapping[str, ast.expr]) -> Any:
    if isinstance(node, ast.Name):
        node = constants.get(node.id, node)
    if isinstance(node, ast.Call):
        return _found_packages(node)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _COMPUTED


def _found_packages(call: ast.Call) -> Any:
    """``find_packages("src")`` as ``find:src``: what setup.cfg would say, and as plain as a list."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in ("find_packages", "find_namespace_packages"):
        return _COMPUTED
    where = call.args[0] if call.args else next((word.value for word in call.keywords if word.arg == "where"), None)
    if where is None:
        return "find:"
    return f"find:{where.value}" if isinstance(where, ast.Constant) and isinstance(where.value, str) else _COMPUTED
