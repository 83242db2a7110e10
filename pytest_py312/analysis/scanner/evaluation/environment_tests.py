"""Expressions that are a part of the Python version, and what they are compared with.

A part is named by a word that :mod:`pytest_py312.analysis.judging.reachability` knows the value of: ``full`` is
``sys.version_info``, ``two`` its first two numbers, ``text`` is ``"3.12.1"``, ``text two`` is ``"3.12"``, ``float text
two`` is ``3.12``.

Tests of the operating system, asked of the interpreter by a module that only its builds for that system have.
"""

import ast
import re
from collections.abc import Sequence
from typing import Any

from pytest_py312.analysis.scanner.evaluation.names import dotted, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import Scan
from pytest_py312.analysis.scanner.evaluation.values import CONDITION, Value
from pytest_py312.analysis.scanner.facts.facts import Condition

OPERATORS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
PARTS = frozenset({"major", "minor", "micro"})
TEXTS = frozenset({"text", "text two", "text 1", "text 3", "text 4", "major text", "minor text"})
NUMBERS = frozenset({"major", "minor", "hex"})
PARSERS = frozenset({"LooseVersion", "StrictVersion", "Version", "parse", "parse_version", "V"})
"""Functions that make something to compare of the text of a version."""
_TWO_FIELDS = re.compile(r"%[ds]\.%[ds]|\{0?\}\.\{1?\}|\{0?\.major\}\.\{0?\.minor\}|\{0?\[0\]\}\.\{0?\[1\]\}")
_RELEASE = re.compile(r"\d+(?:\.\d+){0,2}")


_SYS = re.compile(r"sys\b")


def speaks_of_version(text: str) -> bool:
    """Whether a file can name the Python version at all: most cannot, and need not be searched for it.

    However ``sys`` is imported, and whatever it is called then, its own name stands in the file once.
    """
    if "version" in text or "cache_tag" in text:
        return _SYS.search(text) is not None or "python_version" in text  # of platform
    return False


def version_part(scan: Scan, node: ast.expr) -> str:
    """Which part of the Python version an expression is; empty where it is none."""
    reader = _READERS.get(node.__class__) if scan.speaks_of_version else None
    return reader(scan, node) if reader is not None else ""


def _name(scan: Scan, node: ast.Name | ast.Attribute) -> str:
    if isinstance(node, ast.Attribute) and node.attr in PARTS and version_part(scan, node.value) == "full":
        return node.attr
    value = scan.get(node.id) if isinstance(node, ast.Name) else named(scan, node)
    if value is None:
        return ""
    if value.kind is CONDITION and value.data[0] == "part":
        return str(value.data[1])
    return {
        "sys.version_info": "full", "sys.implementation.version": "full", "sys.hexversion": "hex",
        "sys.version": "long text",
    }.get(dotted(value), "")  # fmt: skip


def _index(scan: Scan, node: ast.Subscript) -> str:
    part = version_part(scan, node.value)
    end = _slice_end(node.slice)
    if part in ("full", "two", "three", "texts"):
        if isinstance(node.slice, ast.Constant):
            found = {0: "major", 1: "minor"}.get(_number(node.slice), "")
            return f"{found} text" if found and part == "texts" else found
        return {1: "one", 2: "two", 3: "three"}.get(end, "") if part != "texts" else "texts two" if end == 2 else ""
    if part in ("long text", "text"):
        if isinstance(node.slice, ast.Constant):
            return "text 1" if _number(node.slice) == 0 else ""
        return {1: "text 1", 3: "text 3", 4: "text 4"}.get(end, "")
    return "text" if part == "words" and isinstance(node.slice, ast.Constant) and _number(node.slice) == 0 else ""


_UNPACKED = {
    **dict.fromkeys(("full", "two", "three"), ("major", "minor")),
    **dict.fromkeys(("texts", "texts two"), ("major text", "minor text")),
}


def unpacked(value: Value) -> tuple[Value, ...]:
    """What unpacking a part of the version gives: ``major, minor = sys.version_info[:2]``"""
    whole = value.data[1] if value.kind is CONDITION and value.data[0] == "part" else ""
    if dotted(value) == "sys.version_info":
        whole = "full"
    return tuple([Value(CONDITION, data=("part", part)) for part in _UNPACKED.get(whole, ())])


def _slice_end(index: ast.expr) -> int:
    """The n of ``[:n]``, or -1."""
    if isinstance(index, ast.Slice) and index.step is None and (index.lower is None or _number(index.lower) == 0):
        return _number(index.upper)
    return -1


def _number(node: ast.expr | None) -> int:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _tuple(scan: Scan, node: ast.Tuple | ast.List) -> str:
    parts = [version_part(scan, item) for item in node.elts]
    return {("major", "minor"): "two", ("major", "minor", "micro"): "three", ("major",): "one"}.get(tuple(parts), "")


def _call(scan: Scan, node: ast.Call) -> str:
    function = node.func
    name = dotted(named(scan, function))
    if name == "sysconfig.get_python_version":
        return "text two"
    if name in ("platform.python_version_tuple", "platform.python_version"):
        return "texts" if name.endswith("tuple") else "text"
    if isinstance(function, ast.Attribute):
        return _method(scan, node, function)
    if not isinstance(function, ast.Name) or len(node.args) not in (1, 2):
        return ""
    if function.id == "map" and len(node.args) == 2 and last_name(node.args[0]) in ("int", "str"):
        return _mapped(version_part(scan, node.args[1]), last_name(node.args[0]))
    inner = version_part(scan, node.args[0])
    if function.id == "int":
        return {"major text": "major", "minor text": "minor"}.get(inner, inner if inner in NUMBERS else "")
    if function.id == "float":
        return f"float {inner}" if inner in ("text two", "text 3", "text 4") else ""
    if function.id == "str":
        return {"major": "major text", "minor": "minor text"}.get(inner, "")
    return inner if function.id in ("tuple", "list") else ""


def _mapped(part: str, kind: str) -> str:
    if kind == "int":
        return {"texts": "three", "texts two": "two"}.get(part, "")
    return {"two": "texts two", "three": "texts"}.get(part, "")


def _method(scan: Scan, node: ast.Call, function: ast.Attribute) -> str:
    """``sys.version.split()``, ``".".join(...)``, ``"{}.{}".format(...)``"""
    if function.attr == "split":
        part = version_part(scan, function.value)
        by_dots = bool(node.args) and getattr(node.args[0], "value", None) == "."
        return "words" if part == "long text" and not by_dots else "texts" if part == "text" and by_dots else ""
    text = function.value.value if isinstance(function.value, ast.Constant) else None
    if text == "." and function.attr == "join" and len(node.args) == 1:
        return {"texts": "text", "texts two": "text two"}.get(version_part(scan, node.args[0]), "")
    if function.attr == "format" and isinstance(text, str) and _TWO_FIELDS.fullmatch(text):
        given = [one.value if isinstance(one, ast.Starred) else one for one in node.args]
        parts = tuple(version_part(scan, one) for one in given)
        return "text two" if parts in (("two",), ("full",), ("three",), ("major", "minor")) else ""
    return ""


def _comprehension(scan: Scan, node: ast.GeneratorExp | ast.ListComp) -> str:
    """``int(x) for x in platform.python_version_tuple()``"""
    only = node.generators[0]
    if len(node.generators) > 1 or only.ifs or not isinstance(node.elt, ast.Call) or len(node.elt.args) != 1:
        return ""
    if last_name(node.elt.args[0]) != last_name(only.target) or not isinstance(only.target, ast.Name):
        return ""
    return _mapped(version_part(scan, only.iter), last_name(node.elt.func))


def _text(scan: Scan, node: ast.JoinedStr) -> str:
    """``f"{sys.version_info.major}.{sys.version_info.minor}"``"""
    parts = []
    for value in node.values:
        if isinstance(value, ast.FormattedValue):
            parts.append(version_part(scan, value.value) if value.format_spec is None else "")
        else:
            parts.append(str(getattr(value, "value", "")))
    return "text two" if parts == ["major", ".", "minor"] else ""


def _printf(scan: Scan, node: ast.BinOp) -> str:
    text = node.left.value if isinstance(node.left, ast.Constant) else None
    if not isinstance(node.op, ast.Mod) or not isinstance(text, str) or not _TWO_FIELDS.fullmatch(text):
        return ""
    return "text two" if version_part(scan, node.right) == "two" else ""


def _bound(scan: Scan, node: ast.NamedExpr) -> str:
    return version_part(scan, node.value)


_READERS: dict[type[ast.expr], Any] = {
    ast.Name: _name, ast.Attribute: _name, ast.Subscript: _index, ast.Call: _call, ast.Tuple: _tuple, ast.List: _tuple,
    ast.NamedExpr: _bound, ast.JoinedStr: _text, ast.BinOp: _printf, ast.GeneratorExp: _comprehension,
    ast.ListComp: _comprehension,
}  # fmt: skip


# ---- what they are compared with


def compared(scan: Scan, left: ast.expr, op: ast.cmpop, right: ast.expr) -> tuple[Any, ...] | None:
    """A comparison with the version as a condition; ``None`` where it is none."""
    if not scan.speaks_of_version:
        return None
    operator = OPERATORS.get(type(op), "")
    if isinstance(left, ast.Call) and isinstance(right, ast.Call):
        parsed = _of_parsed(scan, left, operator, right)
        if parsed is not None:
            return parsed
    part, value = version_part(scan, left), constant_of(scan, right)
    if not part and operator in TURNED:
        part, value, operator = version_part(scan, right), constant_of(scan, left), TURNED[operator]
    if not part or not operator or not _fits(part, value, operator):
        return None
    return ("version", operator, value, part)


def asked_by(scan: Scan, node: ast.expr, parameters: Sequence[str], rest: str) -> tuple[Any, ...] | None:
    """``sys.version_info >= (major, minor)`` in a function of these parameters: ``("asks", ">=", part, places)``.

    ``places`` are those of the arguments that are compared; empty: all arguments are (``*wanted``).
    """
    if not isinstance(node, ast.Compare) or len(node.ops) > 1:
        return None
    part, operator = version_part(scan, node.left), OPERATORS.get(type(node.ops[0]), "")
    if not part or not operator:
        return None
    right = node.comparators[0]
    if isinstance(right, ast.Tuple):
        names = [last_name(item) for item in right.elts]
        known = bool(names) and set(names) <= set(parameters)
        return ("asks", operator, part, tuple([parameters.index(name) for name in names])) if known else None
    if not isinstance(right, ast.Name):
        return None
    if right.id == rest:
        return ("asks", operator, part, ())
    return ("asks", operator, part, parameters.index(right.id)) if right.id in parameters else None


def answered(asks: tuple[Any, ...], given: Sequence[Any]) -> tuple[Any, ...] | None:
    """The condition that a call of such a function stands for; ``None`` where its arguments are not constants."""
    _, operator, part, places = asks
    if isinstance(places, int):
        value = given[places] if places < len(given) else None
    else:
        wanted = places or range(len(given))
        value = tuple([given[place] if place < len(given) else None for place in wanted])
        value = None if None in value or not value else value
    return ("version", operator, value, part) if value is not None and _fits(part, value, operator) else None


def _of_parsed(scan: Scan, left: ast.Call, operator: str, right: ast.Call) -> tuple[Any, ...] | None:
    """``Version(platform.python_version()) >= Version("3.12")``"""
    same = last_name(left.func) == last_name(right.func) and last_name(left.func) in PARSERS
    if not same or len(left.args) != 1 or len(right.args) != 1 or operator not in ("<", "<=", ">", ">="):
        return None
    part, value = version_part(scan, left.args[0]), constant_of(scan, right.args[0])
    if not part:
        part, value, operator = version_part(scan, right.args[0]), constant_of(scan, left.args[0]), TURNED[operator]
    if part not in ("text", "text two") or not isinstance(value, str) or not _RELEASE.fullmatch(value):
        return None
    numbers = [int(number) for number in value.split(".")]
    return ("version", operator, tuple([*numbers, 0, 0][:3]), "three" if part == "text" else "two and none")


def constant_of(scan: Scan, node: ast.expr) -> Any:
    """A number, a text or a tuple of such; ``None`` where it is something else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int | float | str) else None
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        items = tuple(constant_of(scan, item) for item in node.elts)
        return None if None in items else items
    if isinstance(node, ast.Call) and last_name(node.func) == "range" and 0 < len(node.args) < 3:
        numbers = [_number(argument) for argument in node.args]
        return tuple(range(*numbers)) if all(0 <= one < 100 for one in numbers) else None
    if node.__class__ is ast.Name or node.__class__ is ast.Attribute:
        value = named(scan, node)
        return value.data[1] if value.kind is CONDITION and value.data[0] == "constant" else None
    return None


def _fits(part: str, value: Any, operator: str) -> bool:
    if operator in ("in", "not in"):
        return isinstance(value, tuple) and all(_fits(part, item, "==") for item in value)
    if part in NUMBERS or part.startswith("float"):
        return isinstance(value, int | float)
    if part in TEXTS:
        return isinstance(value, str)
    if part.startswith("texts"):
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if part not in ("full", "one", "two", "three"):
        return False
    return isinstance(value, tuple) and all(isinstance(item, int) for item in value[:3])


def prefixed(scan: Scan, node: ast.expr, argument: ast.expr) -> tuple[Any, ...] | None:
    """``sys.version.startswith("3.12")``, ``platform.python_version().startswith(("3.9", "3.10"))``."""
    if version_part(scan, node) not in ("long text", "text"):
        return None
    value = constant_of(scan, argument)
    prefixes = value if isinstance(value, tuple) else (value,)
    return ("version", "starts", prefixes, "text") if all(isinstance(one, str) for one in prefixes) else None


_NEVER: Condition = ("false",)
_WINDOWS: Condition = ("has", "msvcrt", "")
_MAC: Condition = ("has", "_scproxy", "")
_POSIX: Condition = ("not", _WINDOWS)
_LINUX: Condition = ("and", _POSIX, ("not", _MAC))
_SYSTEMS: dict[str, dict[str, Condition]] = {
    "sys.platform": {"win32": _WINDOWS, "cygwin": _NEVER, "darwin": _MAC, "linux": _LINUX, "linux2": _NEVER},
    "os.name": {"nt": _WINDOWS, "posix": _POSIX, "ce": _NEVER, "os2": _NEVER},
    "platform.system": {"Windows": _WINDOWS, "Darwin": _MAC, "Linux": _LINUX},
}
_BEGINNINGS: dict[str, Condition] = {"win": _WINDOWS, "darwin": _MAC, "linux": _LINUX, "cygwin": _NEVER, "java": _NEVER}


def platform_of(scan: Scan, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition | None:
    """``sys.platform == "win32"``, ``os.name in ("nt", "ce")``; ``None`` where no system is compared."""
    asked = left.func if isinstance(left, ast.Call) else left
    if asked.__class__ is not ast.Attribute and asked.__class__ is not ast.Name:
        return None
    systems = _SYSTEMS.get(dotted(named(scan, asked)))
    if systems is None:
        return None
    if isinstance(op, ast.Eq | ast.NotEq):
        found = _one(systems, right)
    elif isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List | ast.Set):
        parts = [_one(systems, item) for item in right.elts]
        found = None if None in parts or not parts else ("or", *parts)
    else:
        return None
    if found is None:
        return None
    return ("not", found) if isinstance(op, ast.NotEq | ast.NotIn) else found


def _one(systems: dict[str, Condition], node: ast.expr) -> Condition | None:
    name: Any = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(name, str):
        return None
    return systems.get(name, _NEVER if name.lower().startswith("java") else None)


def platform_begins(scan: Scan, node: ast.expr, argument: ast.expr) -> Condition | None:
    """``sys.platform.startswith("win")``"""
    if dotted(named(scan, node)) != "sys.platform" or not isinstance(argument, ast.Constant):
        return None
    return _BEGINNINGS.get(argument.value) if isinstance(argument.value, str) else None
