"""Read comparisons of the Python version and of the platform.

A part of the version is named by a word that :mod:`pytest_py312.analysis.judging.reachability` evaluates: ``full`` is
``sys.version_info``, ``two`` its first two numbers, ``text`` is ``"3.12.1"``, ``text two`` is ``"3.12"``, ``float text
two`` is ``3.12``.

A platform is recognised by a module that only its builds of Python have.
"""

import ast
import re
from collections.abc import Sequence
from typing import Any

from pytest_py312.analysis.scanner.evaluation.names import last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import CONDITION, Value
from pytest_py312.analysis.scanner.facts.facts import Condition

OPERATORS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip
MIRRORED_OPERATORS = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
VERSION_FIELDS = frozenset({"major", "minor", "micro"})
TEXT_PARTS = frozenset({"text", "text two", "text 1", "text 3", "text 4", "major text", "minor text"})
NUMBER_PARTS = frozenset({"major", "minor", "hex"})
VERSION_PARSERS = frozenset({"LooseVersion", "StrictVersion", "Version", "parse", "parse_version", "V"})
"""Functions that parse the text of a version into a comparable value."""
_MAJOR_MINOR_FORMAT = re.compile(r"%[ds]\.%[ds]|\{0?\}\.\{1?\}|\{0?\.major\}\.\{0?\.minor\}|\{0?\[0\]\}\.\{0?\[1\]\}")
_RELEASE_NUMBER = re.compile(r"\d+(?:\.\d+){0,2}")


_ORDERING = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ONE_DIGIT_MINOR = re.compile(r"3\.[2-9](?!\d)", re.ASCII)
_ONE_DIGIT = re.compile(r"[2-9]\Z", re.ASCII)
_SYS_NAME = re.compile(r"sys\b")


def text_mentions_version(text: str) -> bool:
    """Return whether a file can mention the Python version at all. Most files cannot, which saves the search.

    However ``sys`` is imported or renamed, its name occurs once in the file.
    """
    if "version" in text or "cache_tag" in text:
        return _SYS_NAME.search(text) is not None or "python_version" in text  # ``platform.python_version``
    return False


def version_part(scan: ScanState, node: ast.expr) -> str:
    """Return the part of the Python version that an expression is; empty if it is none."""
    reader = _READERS.get(node.__class__) if scan.may_mention_version else None
    return reader(scan, node) if reader is not None else ""


def _name(scan: ScanState, node: ast.Name | ast.Attribute) -> str:
    if isinstance(node, ast.Attribute) and node.attr in VERSION_FIELDS and version_part(scan, node.value) == "full":
        return node.attr
    value = scan.lookup(node.id) if isinstance(node, ast.Name) else resolve_name(scan, node)
    if value is None:
        return ""
    if value.kind is CONDITION and value.data[0] == "part":
        return str(value.data[1])
    return {
        "sys.version_info": "full", "sys.implementation.version": "full", "sys.hexversion": "hex",
        "sys.version": "long text",
    }.get(stdlib_name(value), "")  # fmt: skip


def _index(scan: ScanState, node: ast.Subscript) -> str:
    part = version_part(scan, node.value)
    end = _slice_end(node.slice)
    if part in ("full", "two", "three", "texts"):
        if isinstance(node.slice, ast.Constant):
            field = {0: "major", 1: "minor"}.get(_number(node.slice), "")
            return f"{field} text" if field and part == "texts" else field
        return {1: "one", 2: "two", 3: "three"}.get(end, "") if part != "texts" else "texts two" if end == 2 else ""
    if part in ("long text", "text"):
        if isinstance(node.slice, ast.Constant):
            return "text 1" if _number(node.slice) == 0 else ""
        return {1: "text 1", 3: "text 3", 4: "text 4"}.get(end, "")
    return "text" if part == "words" and isinstance(node.slice, ast.Constant) and _number(node.slice) == 0 else ""


_UNPACKED_PARTS = {
    **dict.fromkeys(("full", "two", "three"), ("major", "minor")),
    **dict.fromkeys(("texts", "texts two"), ("major text", "minor text")),
}


def unpacked_version(value: Value) -> tuple[Value, ...]:
    """Return the values of unpacking a part of the version: ``major, minor = sys.version_info[:2]``."""
    unpacked_part = value.data[1] if value.kind is CONDITION and value.data[0] == "part" else ""
    if stdlib_name(value) == "sys.version_info":
        unpacked_part = "full"
    return tuple([Value(CONDITION, data=("part", part)) for part in _UNPACKED_PARTS.get(unpacked_part, ())])


def _slice_end(index: ast.expr) -> int:
    """Return the ``n`` of ``[:n]``, or -1."""
    if isinstance(index, ast.Slice) and index.step is None and (index.lower is None or _number(index.lower) == 0):
        return _number(index.upper)
    return -1


def _number(node: ast.expr | None) -> int:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _tuple(scan: ScanState, node: ast.Tuple | ast.List) -> str:
    parts = [version_part(scan, item) for item in node.elts]
    return {("major", "minor"): "two", ("major", "minor", "micro"): "three", ("major",): "one"}.get(tuple(parts), "")


def _call(scan: ScanState, node: ast.Call) -> str:
    function = node.func
    name = stdlib_name(resolve_name(scan, function))
    if name == "sysconfig.get_python_version":
        return "text two"
    if name in ("platform.python_version_tuple", "platform.python_version"):
        return "texts" if name.endswith("tuple") else "text"
    if isinstance(function, ast.Attribute):
        return _method(scan, node, function)
    if not isinstance(function, ast.Name) or len(node.args) not in (1, 2):
        return ""
    if function.id == "map" and len(node.args) == 2 and last_name(node.args[0]) in ("int", "str"):
        return _mapped_part(version_part(scan, node.args[1]), last_name(node.args[0]))
    inner = version_part(scan, node.args[0])
    if function.id == "int":
        return {"major text": "major", "minor text": "minor"}.get(inner, inner if inner in NUMBER_PARTS else "")
    if function.id == "float":
        return f"float {inner}" if inner in ("text two", "text 3", "text 4") else ""
    if function.id == "str":
        return {"major": "major text", "minor": "minor text"}.get(inner, "")
    return inner if function.id in ("tuple", "list") else ""


def _mapped_part(part: str, kind: str) -> str:
    if kind == "int":
        return {"texts": "three", "texts two": "two"}.get(part, "")
    return {"two": "texts two", "three": "texts"}.get(part, "")


def _method(scan: ScanState, node: ast.Call, function: ast.Attribute) -> str:
    """Return the part for ``sys.version.split()``, ``".".join(...)`` or ``"{}.{}".format(...)``."""
    if function.attr == "split":
        part = version_part(scan, function.value)
        by_dots = bool(node.args) and getattr(node.args[0], "value", None) == "."
        return "words" if part == "long text" and not by_dots else "texts" if part == "text" and by_dots else ""
    text = function.value.value if isinstance(function.value, ast.Constant) else None
    if text == "." and function.attr == "join" and len(node.args) == 1:
        return {"texts": "text", "texts two": "text two"}.get(version_part(scan, node.args[0]), "")
    if function.attr == "format" and isinstance(text, str) and _MAJOR_MINOR_FORMAT.fullmatch(text):
        arguments = [argument.value if isinstance(argument, ast.Starred) else argument for argument in node.args]
        parts = tuple(version_part(scan, argument) for argument in arguments)
        return "text two" if parts in (("two",), ("full",), ("three",), ("major", "minor")) else ""
    return ""


def _comprehension(scan: ScanState, node: ast.GeneratorExp | ast.ListComp) -> str:
    """Return the part for ``int(x) for x in platform.python_version_tuple()``."""
    generator = node.generators[0]
    if len(node.generators) > 1 or generator.ifs or not isinstance(node.elt, ast.Call) or len(node.elt.args) != 1:
        return ""
    if last_name(node.elt.args[0]) != last_name(generator.target) or not isinstance(generator.target, ast.Name):
        return ""
    return _mapped_part(version_part(scan, generator.iter), last_name(node.elt.func))


def _text(scan: ScanState, node: ast.JoinedStr) -> str:
    """Return the part for ``f"{sys.version_info.major}.{sys.version_info.minor}"``."""
    parts = []
    for value in node.values:
        if isinstance(value, ast.FormattedValue):
            parts.append(version_part(scan, value.value) if value.format_spec is None else "")
        else:
            parts.append(str(getattr(value, "value", "")))
    return "text two" if parts == ["major", ".", "minor"] else ""


def _printf(scan: ScanState, node: ast.BinOp) -> str:
    text = node.left.value if isinstance(node.left, ast.Constant) else None
    if not isinstance(node.op, ast.Mod) or not isinstance(text, str) or not _MAJOR_MINOR_FORMAT.fullmatch(text):
        return ""
    return "text two" if version_part(scan, node.right) == "two" else ""


_READERS: dict[type[ast.expr], Any] = {
    ast.Name: _name, ast.Attribute: _name, ast.Subscript: _index, ast.Call: _call, ast.Tuple: _tuple, ast.List: _tuple,
    ast.NamedExpr: lambda scan, node: version_part(scan, node.value), ast.JoinedStr: _text, ast.BinOp: _printf,
    ast.GeneratorExp: _comprehension, ast.ListComp: _comprehension,
}  # fmt: skip


# ---- what they are compared with


def version_comparison(scan: ScanState, left: ast.expr, op: ast.cmpop, right: ast.expr) -> tuple[Any, ...] | None:
    """Return the condition of a comparison with the version; ``None`` if it is none."""
    if not scan.may_mention_version:
        return None
    operator = OPERATORS.get(type(op), "")
    if isinstance(left, ast.Call) and isinstance(right, ast.Call):
        condition = _parsed_version_comparison(scan, left, operator, right)
        if condition is not None:
            return condition
    part, value = version_part(scan, left), constant_value(scan, right)
    if not part and operator in MIRRORED_OPERATORS:
        part, value, operator = version_part(scan, right), constant_value(scan, left), MIRRORED_OPERATORS[operator]
    if not part or not operator or not _is_comparable(part, value, operator):
        return None
    return ("version", operator, value, part)


def misordered_version(scan: ScanState, node: ast.Compare) -> str:
    """Return the version that a comparison puts after 3.10, as it compares text or floats; empty if it compares well.

    As texts, and as floats, "3.10" and later come before "3.2" to "3.9". As texts of numbers, "10" comes before "9".
    """
    if not scan.may_mention_version or len(node.ops) != 1 or not isinstance(node.ops[0], _ORDERING):
        return ""
    right = node.comparators[0]
    for part, value in (
        (version_part(scan, node.left), constant_value(scan, right)),
        (version_part(scan, right), constant_value(scan, node.left)),
    ):
        if part in ("texts", "texts two") and isinstance(value, tuple) and all(isinstance(one, str) for one in value):
            value = ".".join(value)
        if part == "text 3":  # it is reported by itself
            return ""
        is_text = part in TEXT_PARTS or part.startswith("texts") or part == "long text"
        if (is_text and isinstance(value, str)) or (part.startswith("float") and isinstance(value, float)):
            pattern = _ONE_DIGIT if part == "minor text" else _ONE_DIGIT_MINOR
            return str(value) if pattern.match(str(value)) else ""
    return ""


def compares_text(scan: ScanState, node: ast.Compare) -> bool:
    """Return whether a comparison puts 3.10 before an older version; see :func:`misordered_version`."""
    cut = any(version_part(scan, side) == "text 3" for side in (node.left, *node.comparators))
    return bool(misordered_version(scan, node)) or (cut and isinstance(node.ops[0], _ORDERING))


def version_predicate(
    scan: ScanState, node: ast.expr, parameters: Sequence[str], rest_parameter: str
) -> tuple[Any, ...] | None:
    """Return the predicate ``("asks", ">=", part, positions)`` for ``sys.version_info >= (major, minor)`` in a
    function.

    ``positions`` are those of the compared arguments; empty if all arguments are compared (``*rest_parameter``).
    """
    if not isinstance(node, ast.Compare) or len(node.ops) > 1:
        return None
    part, operator = version_part(scan, node.left), OPERATORS.get(type(node.ops[0]), "")
    if not part or not operator:
        return None
    right = node.comparators[0]
    if isinstance(right, ast.Tuple):
        names = [last_name(item) for item in right.elts]
        are_parameters = bool(names) and set(names) <= set(parameters)
        return ("asks", operator, part, tuple([parameters.index(name) for name in names])) if are_parameters else None
    if not isinstance(right, ast.Name):
        return None
    if right.id == rest_parameter:
        return ("asks", operator, part, ())
    return ("asks", operator, part, parameters.index(right.id)) if right.id in parameters else None


def apply_predicate(predicate: tuple[Any, ...], arguments: Sequence[Any]) -> tuple[Any, ...] | None:
    """Return the condition of a call of such a function; ``None`` if its arguments are not constants."""
    _, operator, part, positions = predicate
    if isinstance(positions, int):
        value = arguments[positions] if positions < len(arguments) else None
    else:
        compared_positions = positions or range(len(arguments))
        value = tuple([arguments[position] if position < len(arguments) else None for position in compared_positions])
        value = None if None in value or not value else value
    return ("version", operator, value, part) if value is not None and _is_comparable(part, value, operator) else None


def _parsed_version_comparison(
    scan: ScanState, left: ast.Call, operator: str, right: ast.Call
) -> tuple[Any, ...] | None:
    """Return the condition of ``Version(platform.python_version()) >= Version("3.12")``."""
    same = last_name(left.func) == last_name(right.func) and last_name(left.func) in VERSION_PARSERS
    if not same or len(left.args) != 1 or len(right.args) != 1 or operator not in ("<", "<=", ">", ">="):
        return None
    part, value = version_part(scan, left.args[0]), constant_value(scan, right.args[0])
    if not part:
        part, value = version_part(scan, right.args[0]), constant_value(scan, left.args[0])
        operator = MIRRORED_OPERATORS[operator]
    if part not in ("text", "text two") or not isinstance(value, str) or not _RELEASE_NUMBER.fullmatch(value):
        return None
    numbers = [int(number) for number in value.split(".")]
    return ("version", operator, tuple([*numbers, 0, 0][:3]), "three" if part == "text" else "two and none")


def constant_value(scan: ScanState, node: ast.expr) -> Any:
    """Return a constant number or text, or a tuple of such; ``None`` for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int | float | str) else None
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        items = tuple(constant_value(scan, item) for item in node.elts)
        return None if None in items else items
    if isinstance(node, ast.Call) and last_name(node.func) == "range" and 0 < len(node.args) < 3:
        numbers = [_number(argument) for argument in node.args]
        return tuple(range(*numbers)) if all(0 <= one < 100 for one in numbers) else None
    if node.__class__ is ast.Name or node.__class__ is ast.Attribute:
        value = resolve_name(scan, node)
        return value.data[1] if value.kind is CONDITION and value.data[0] == "constant" else None
    return None


def _is_comparable(part: str, value: Any, operator: str) -> bool:
    if operator in ("in", "not in"):
        return isinstance(value, tuple) and all(_is_comparable(part, item, "==") for item in value)
    if part in NUMBER_PARTS or part.startswith("float"):
        return isinstance(value, int | float)
    if part in TEXT_PARTS:
        return isinstance(value, str)
    if part.startswith("texts"):
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if part not in ("full", "one", "two", "three"):
        return False
    return isinstance(value, tuple) and all(isinstance(item, int) for item in value[:3])


def version_prefix_test(scan: ScanState, node: ast.expr, argument: ast.expr) -> tuple[Any, ...] | None:
    """Return the condition of ``sys.version.startswith("3.12")``, also with a tuple of prefixes."""
    if version_part(scan, node) not in ("long text", "text"):
        return None
    value = constant_value(scan, argument)
    prefixes = value if isinstance(value, tuple) else (value,)
    return ("version", "starts", prefixes, "text") if all(isinstance(prefix, str) for prefix in prefixes) else None


_NEVER: Condition = ("false",)
_WINDOWS: Condition = ("has", "msvcrt", "")
_MAC: Condition = ("has", "_scproxy", "")
_POSIX: Condition = ("not", _WINDOWS)
_LINUX: Condition = ("and", _POSIX, ("not", _MAC))
_PLATFORM_VALUES: dict[str, dict[str, Condition]] = {
    "sys.platform": {"win32": _WINDOWS, "cygwin": _NEVER, "darwin": _MAC, "linux": _LINUX, "linux2": _NEVER},
    "os.name": {"nt": _WINDOWS, "posix": _POSIX, "ce": _NEVER, "os2": _NEVER},
    "platform.system": {"Windows": _WINDOWS, "Darwin": _MAC, "Linux": _LINUX},
}
_PLATFORM_PREFIXES: dict[str, Condition] = {
    "win": _WINDOWS, "darwin": _MAC, "linux": _LINUX, "cygwin": _NEVER, "java": _NEVER,
}  # fmt: skip


def platform_comparison(scan: ScanState, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition | None:
    """Return the condition of ``sys.platform == "win32"`` or ``os.name in ("nt", "ce")``; ``None`` if it is no such
    test.
    """
    subject = left.func if isinstance(left, ast.Call) else left
    if subject.__class__ is not ast.Attribute and subject.__class__ is not ast.Name:
        return None
    systems = _PLATFORM_VALUES.get(stdlib_name(resolve_name(scan, subject)))
    if systems is None:
        return None
    if isinstance(op, ast.Eq | ast.NotEq):
        condition = _platform_condition(systems, right)
    elif isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List | ast.Set):
        parts = [_platform_condition(systems, item) for item in right.elts]
        condition = None if None in parts or not parts else ("or", *parts)
    else:
        return None
    if condition is None:
        return None
    return ("not", condition) if isinstance(op, ast.NotEq | ast.NotIn) else condition


def _platform_condition(systems: dict[str, Condition], node: ast.expr) -> Condition | None:
    name: Any = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(name, str):
        return None
    return systems.get(name, _NEVER if name.lower().startswith("java") else None)


def platform_prefix_test(scan: ScanState, node: ast.expr, argument: ast.expr) -> Condition | None:
    """Return the condition of ``sys.platform.startswith("win")``."""
    if stdlib_name(resolve_name(scan, node)) != "sys.platform" or not isinstance(argument, ast.Constant):
        return None
    return _PLATFORM_PREFIXES.get(argument.value) if isinstance(argument.value, str) else None
