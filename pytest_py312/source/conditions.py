"""Which tests in source can be answered without running it: those of the Python version and of what the library has.

Everything else is unsure, and what depends on it is taken to run. In particular the value of a plain constant says
nothing: it is changed elsewhere.
"""

import ast
import re
from collections.abc import Callable, Sequence
from typing import Any

from pytest_py312.source.facts import Condition
from pytest_py312.source.values import CONDITION, MANY, NONE, NOTHING_KNOWN, STD, UNKNOWN, Value
from pytest_py312.source.walking import UNSURE, Scan, extended

NEVER: Condition = ("false",)
ALWAYS: Condition = ("not", NEVER)

_FLAG = re.compile(r"_?(?:IS_?|USING_?|USE_?|is_?)?(?:PY|py|PYTHON_?|python_?)_?([23])K?(?:_ONLY)?")
_AT_LEAST = re.compile(r"_?(?:IS_?|is_?)?(?:PY|py)_?3_?(\d\d?)(?:_?PLUS|_OR_LATER|_OR_NEWER|_OR_GREATER|_plus)?")
_OPERATORS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_PARTS = {"major": "major", "minor": "minor", "micro": ""}
FINDERS = frozenset(
    {
        "importlib.util.find_spec",
        "importlib.find_loader",
        "pkgutil.find_loader",
        "importlib.machinery.PathFinder.find_spec",
    }
)


def named(scan: Scan, node: ast.expr | None) -> Value:
    """What a dotted name stands for, without a word about its use."""
    if isinstance(node, ast.Name):
        return scan.get(node.id) or UNKNOWN
    if isinstance(node, ast.Attribute):
        value = named(scan, node.value)
        if value.kind is STD:
            return extended(scan, value, node.attr)
    return UNKNOWN


def dotted(value: Value) -> str:
    """The full name of something standard, else empty."""
    if value.kind is not STD:
        return ""
    return f"{value.module}.{value.path}" if value.path else value.module


def negated(condition: Condition) -> Condition:
    if condition[0] == "unknown":
        return condition
    return condition[1] if condition[0] == "not" else ("not", condition)


def condition_of(scan: Scan, node: ast.expr) -> Condition:
    """When ``node`` is true."""
    reader = _READERS.get(node.__class__)
    return reader(scan, node) if reader is not None else UNSURE


def _boolean(scan: Scan, node: ast.BoolOp) -> Condition:
    parts = tuple(condition_of(scan, value) for value in node.values)
    if all(part == UNSURE for part in parts):
        return UNSURE
    return ("and" if isinstance(node.op, ast.And) else "or", *parts)


def _not(scan: Scan, node: ast.UnaryOp) -> Condition:
    return negated(condition_of(scan, node.operand)) if isinstance(node.op, ast.Not) else UNSURE


def _name(scan: Scan, node: ast.Name) -> Condition:
    value = scan.get(node.id)
    if value is not None:
        if value.kind is CONDITION:
            found: Condition = value.data
            return UNSURE if found[0] == "part" else found
        if value.kind is MANY:
            return _of_fallback(value)
        if dotted(value) == "typing.TYPE_CHECKING":
            return NEVER
        if value.kind is STD:
            return UNSURE
    return _flag(node.id, value)


def _flag(name: str, value: Value | None) -> Condition:
    """Names that are known far and wide, where the file does not say itself what they are."""
    if name == "TYPE_CHECKING":
        return NEVER
    if value is not None and value.kind is NOTHING_KNOWN:
        return UNSURE
    flag = _FLAG.fullmatch(name)
    if flag:
        return NEVER if flag[1] == "2" else ALWAYS
    least = _AT_LEAST.fullmatch(name)
    return ("version", ">=", (3, int(least[1])), "full") if least else UNSURE


def _of_fallback(value: Value) -> Condition:
    """``try: import x`` / ``except ImportError: x = None``: true where the module is there."""
    kinds = [one.kind for one in value.data]
    if NONE not in kinds or kinds.count(STD) != 1 or len(kinds) != 2:
        return UNSURE
    found = next(one for one in value.data if one.kind is STD)
    return UNSURE if "()" in found.path else ("has", found.module, found.path)


def _attribute(scan: Scan, node: ast.Attribute) -> Condition:
    value = named(scan, node)
    if dotted(value) == "typing.TYPE_CHECKING":
        return NEVER
    return _flag(node.attr, None) if value.kind is not STD else UNSURE


def _compare(scan: Scan, node: ast.Compare) -> Condition:
    if len(node.ops) > 1:
        pairs = zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)
        parts = [_comparison(scan, left, op, right) for left, op, right in pairs]
        return UNSURE if all(part == UNSURE for part in parts) else ("and", *parts)
    return _comparison(scan, node.left, node.ops[0], node.comparators[0])


def _comparison(scan: Scan, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
    if isinstance(op, ast.Is | ast.IsNot) and isinstance(right, ast.Constant):
        return _against_constant(scan, left, isinstance(op, ast.IsNot), right.value)
    operator = _OPERATORS.get(type(op), "")
    if isinstance(left, ast.Constant) and operator in ("in", "not in"):
        return _in_dir(scan, left, operator, right)
    part = version_part(scan, left)
    value = _constant_of(scan, right)
    if not part and operator in _TURNED:
        part, value, operator = version_part(scan, right), _constant_of(scan, left), _TURNED[operator]
    if not part or not operator or not _fits(part, value, operator):
        return UNSURE
    return ("version", operator, value, part)


def _against_constant(scan: Scan, left: ast.expr, is_not: bool, constant: object) -> Condition:
    """``x is not None``, ``x is True``."""
    if constant is None:
        found = UNSURE
        if isinstance(left, ast.Name):
            value = scan.get(left.id)
            if value is not None and value.kind is MANY:
                found = _of_fallback(value)
        elif isinstance(left, ast.Call):
            found = _call(scan, left)
        return found if is_not else negated(found)
    if isinstance(constant, bool):
        found = condition_of(scan, left)
        return found if constant is not is_not else negated(found)
    return UNSURE


def _in_dir(scan: Scan, left: ast.Constant, operator: str, right: ast.expr) -> Condition:
    """``"name" in dir(module)``, ``"name" in vars(module)``, ``"module" in sys.stdlib_module_names``."""
    found = UNSURE
    if isinstance(left.value, str) and isinstance(right, ast.Call) and len(right.args) == 1:
        if isinstance(right.func, ast.Name) and right.func.id in ("dir", "vars"):
            found = _has(named(scan, right.args[0]), left.value)
    elif isinstance(left.value, str) and isinstance(right, ast.Attribute) and right.attr == "__dict__":
        found = _has(named(scan, right.value), left.value)
    return found if operator == "in" else negated(found)


def _has(value: Value, name: str) -> Condition:
    if value.kind is not STD or not name.isidentifier():
        return UNSURE
    return ("has", value.module, f"{value.path}.{name}" if value.path else name)


# ---- versions


def version_part(scan: Scan, node: ast.expr) -> str:
    """Which part of the Python version an expression is (``full``, ``two``, ``major``...); empty where it is none."""
    if isinstance(node, ast.Name | ast.Attribute):
        return _version_name(scan, node)
    if isinstance(node, ast.Subscript):
        return _version_index(scan, node)
    if isinstance(node, ast.Call):
        return _version_call(scan, node)
    return ""


def _version_name(scan: Scan, node: ast.Name | ast.Attribute) -> str:
    if isinstance(node, ast.Attribute) and node.attr in _PARTS and version_part(scan, node.value) == "full":
        return _PARTS[node.attr]
    value = scan.get(node.id) if isinstance(node, ast.Name) else named(scan, node)
    if value is None:
        return ""
    if value.kind is CONDITION and value.data[0] == "part":
        return str(value.data[1])
    return {"sys.version_info": "full", "sys.hexversion": "hex"}.get(dotted(value), "")


def _version_index(scan: Scan, node: ast.Subscript) -> str:
    part = version_part(scan, node.value)
    end = _slice_end(node.slice)
    if part in ("full", "two", "three", "texts"):
        if isinstance(node.slice, ast.Constant):
            found = {0: "major", 1: "minor"}.get(_number(node.slice), "")
            return f"{found} text" if found and part == "texts" else found
        return {1: "one", 2: "two", 3: "three"}.get(end, "") if part != "texts" else ""
    if dotted(named(scan, node.value)) == "sys.version":
        if isinstance(node.slice, ast.Constant) and _number(node.slice) == 0:
            return "text 1"
        return {1: "text 1", 3: "text 3", 4: "text 4"}.get(end, "")
    return ""


def _slice_end(index: ast.expr) -> int:
    """The n of ``[:n]``, or -1."""
    if isinstance(index, ast.Slice) and index.lower is None and index.step is None:
        return _number(index.upper)
    return -1


def _number(node: ast.expr | None) -> int:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _version_call(scan: Scan, node: ast.Call) -> str:
    if isinstance(node.func, ast.Name) and len(node.args) == 1:
        inner = version_part(scan, node.args[0])
        if node.func.id == "int":
            return {"major text": "major", "minor text": "minor"}.get(
                inner, inner if inner in ("major", "minor") else ""
            )
        return inner if node.func.id == "tuple" else ""
    return "texts" if dotted(named(scan, node.func)) == "platform.python_version_tuple" else ""


def _constant_of(scan: Scan, node: ast.expr) -> Any:
    """A number, a text or a tuple of such; ``None`` where it is something else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int | float | str) else None
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        items = tuple(_constant_of(scan, item) for item in node.elts)
        return None if None in items else items
    return None


def _fits(part: str, value: Any, operator: str) -> bool:
    if operator in ("in", "not in"):
        return isinstance(value, tuple) and all(_fits(part, item, "==") for item in value)
    if part in ("major", "minor", "hex"):
        return isinstance(value, int | float)
    if part in ("texts", "major text", "minor text", "text 1", "text 3", "text 4"):
        return isinstance(value, tuple) == (part == "texts") and isinstance(value, tuple | str)
    return isinstance(value, tuple) and all(isinstance(item, int) for item in value[:3])


# ---- calls


def _call(scan: Scan, node: ast.Call) -> Condition:
    function = node.func
    if isinstance(function, ast.Name):
        return _named_call(scan, function.id, node)
    if isinstance(function, ast.Attribute):
        if function.attr == "startswith":
            return _version_prefix(scan, function.value, node.args)
        value = named(scan, function)
        if dotted(value) in FINDERS:
            return _found(scan, node.args)
    return UNSURE


def _named_call(scan: Scan, name: str, node: ast.Call) -> Condition:
    arguments = node.args
    if name == "hasattr" and len(arguments) == 2 and isinstance(arguments[1], ast.Constant):
        return _has(named(scan, arguments[0]), str(arguments[1].value))
    if name == "callable" and len(arguments) == 1 and isinstance(arguments[0], ast.Call):
        return _named_call(scan, "getattr", arguments[0])
    if name == "getattr" and len(arguments) == 3 and isinstance(arguments[1], ast.Constant):
        return _has(named(scan, arguments[0]), str(arguments[1].value))
    if name in ("bool", "any", "all") and len(arguments) == 1:
        if name == "bool":
            return condition_of(scan, arguments[0])
        if isinstance(arguments[0], ast.List | ast.Tuple) and arguments[0].elts:
            parts = tuple(condition_of(scan, item) for item in arguments[0].elts)
            return ("or" if name == "any" else "and", *parts)
    value = scan.get(name)
    return _found(scan, arguments) if value is not None and dotted(value) in FINDERS else UNSURE


def _found(scan: Scan, arguments: Sequence[ast.expr]) -> Condition:
    if arguments and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
        module = arguments[0].value
        if scan.is_standard(module):
            return ("has", module, "")
        if module and all(part.isidentifier() for part in module.split(".")):
            return ("not", ("missing", (), (module,)))
    return UNSURE


def _version_prefix(scan: Scan, node: ast.expr, arguments: Sequence[ast.expr]) -> Condition:
    """``sys.version.startswith("3.12")``, ``platform.python_version().startswith(("3.9", "3.10"))``."""
    what = node.func if isinstance(node, ast.Call) else node
    if dotted(named(scan, what)) not in ("sys.version", "platform.python_version") or len(arguments) != 1:
        return UNSURE
    value = _constant_of(scan, arguments[0])
    prefixes = value if isinstance(value, tuple) else (value,)
    return ("version", "starts", prefixes, "text") if all(isinstance(one, str) for one in prefixes) else UNSURE


_READERS: dict[type[ast.expr], Callable[[Scan, Any], Condition]] = {
    ast.BoolOp: _boolean,
    ast.UnaryOp: _not,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Compare: _compare,
    ast.Call: _call,
}


# ---- marks that skip tests


def skip_of(scan: Scan, node: ast.expr) -> Condition:
    """Under which condition a decorator (or ``pytestmark``) skips what it marks."""
    if isinstance(node, ast.Name):
        value = scan.get(node.id)
        return value.data if value is not None and value.kind == "skip" else UNSURE
    if isinstance(node, ast.List | ast.Tuple):
        found = [skip_of(scan, item) for item in node.elts]
        known = [one for one in found if one != UNSURE]
        return ("or", *known) if known else UNSURE
    if not isinstance(node, ast.Call):
        return UNSURE
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    given = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "condition"), None)
    if given is None:
        return UNSURE
    if name in ("skipif", "skipIf"):
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            return _of_text(scan, given.value)
        return condition_of(scan, given)
    return negated(condition_of(scan, given)) if name == "skipUnless" else UNSURE


def _of_text(scan: Scan, text: str) -> Condition:
    """``skipif("sys.version_info >= (3, 12)")``: pytest gives such texts ``sys``, ``os`` and ``platform``."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return UNSURE
    before, scan.names = scan.names, {**scan.names, "sys": Value(STD, "sys"), "platform": Value(STD, "platform")}
    found = condition_of(scan, tree.body)
    scan.names = before
    return found
