"""Values and types of arguments that some release refuses, or warns of: no name and no parameter goes away."""

import ast
import re
from collections.abc import Callable

from pytest_py312.analysis.scanner.evaluation import dynamic_names
from pytest_py312.analysis.scanner.evaluation.names import dotted, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import Scan
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    COROUTINE,
    FUNCTION,
    NONE,
    NOTHING_KNOWN,
    OBJECT,
    STD,
    TEMPLATE,
    UNKNOWN,
    Given,
    Value,
    alternatives,
    texts,
)
from pytest_py312.analysis.scanner.rules import operators

Rule = Callable[[Scan, ast.Call, Value, Given], None]

_SET = re.compile(
    r"(?:frozen)?set\(\)(?:\.(?:union|intersection|difference|symmetric_difference|copy)\(\))?"
    r"|dict\(\)\.(?:keys|items)\(\)"
)
_FLOATS = frozenset({"sqrt()", "pow()", "log2()", "log10()", "fabs()", "exp()", "log()", "fsum()"})
_DECIMALS = frozenset({"decimal.Decimal()", "fractions.Fraction()"})
_PLACEHOLDER = re.compile(r"(?<![:\w'\"])[:@$][A-Za-z_]\w*")
_TARS = ("tar", "gztar", "bztar", "xztar")
_TAR_NAME = re.compile(r"\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz)$", re.IGNORECASE)
_BYTE_STRINGS = frozenset({"typing.ByteString", "collections.abc.ByteString"})


OLD_CONSTANTS = frozenset({"ast.Num", "ast.Str", "ast.Bytes", "ast.NameConstant", "ast.Ellipsis"})


def simple(rule: str) -> Rule:
    """A rule about every call of something."""

    def read(scan: Scan, node: ast.Call, value: Value, _arguments: Given) -> None:
        scan.rule(rule, node, dotted(value).replace("()", ""))

    return read


# ---- numbers


def is_float(value: Value, node: ast.expr) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return node.value.is_integer()
    if value.kind is not STD:
        return False
    known = value.module == "builtins" and value.path in ("float()", "division()")
    return known or (value.module == "math" and value.path in _FLOATS)


def float_argument(rule: str) -> Rule:
    def read(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
        for given, argument in zip(arguments, node.args, strict=False):
            if is_float(given, argument) or (dotted(given) in _DECIMALS and value.module == "random"):
                scan.rule(rule, node, dotted(value), sure=isinstance(argument, ast.Constant))
                return

    return read


def decimal_argument(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    """``chr(Decimal(65))``: numbers are no longer cut to integers in silence."""
    if any(dotted(given) in _DECIMALS for given in arguments):
        scan.rule("decimal-as-int", node, dotted(value))


def int_of(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    """``int(x)`` of an own class that has ``__trunc__`` alone."""
    own = arguments[0].data if len(arguments) == 1 and arguments[0].kind is OBJECT else None
    if own is None or own.foreign_bases() or own.standard_bases():
        return
    if own.get("__trunc__") and not own.get("__int__") and not own.get("__index__"):
        scan.rule("int-of-trunc", node, own.name)


# ---- random


def sample(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    given = arguments.at(0, "population")
    if given.kind is NOTHING_KNOWN and node.args and _gives_set(node.args[0]):
        scan.rule("sample-of-set", node, "random.sample", sure=False)
        return
    for one in alternatives(given):
        if one.kind is STD and one.module == "builtins" and _SET.fullmatch(one.path):
            scan.rule("sample-of-set", node, "random.sample", sure=given is one)
            return


def _gives_set(node: ast.expr) -> bool:
    """``weights.keys()``, ``hosts.difference(down)``: by the names of methods that hardly anything else has."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    views = node.func.attr in ("keys", "items") and not node.args
    return views or (node.func.attr in ("difference", "intersection", "symmetric_difference") and bool(node.args))


def seed(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    given = node.args[0] if node.args else next((one.value for one in node.keywords if one.arg in ("a", "x")), None)
    known = arguments.at(0, "a")
    of_date = known.module == "datetime" and known.is_instance
    of_set = dotted(known) in ("builtins.frozenset()", "builtins.range()")
    if isinstance(given, ast.Tuple) or of_set or of_date or dotted(known) in _DECIMALS:
        scan.rule("seed-type", node, dotted(value).replace("()", ""))


# ---- texts


def shlex_split(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    if arguments.at(0, "s").kind is NONE:
        scan.rule("shlex-none", node, "shlex.split")


def dates_without_year(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    for text in texts(arguments.at(1, "format")):
        if "%d" in text and not re.search(r"%[YyGcxs]", text):
            scan.rule("strptime-without-year", node, dotted(value))


def array_of(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    if arguments and "u" in texts(arguments[0]):
        scan.rule("array-u", node, "array.array")


def positional_limit(count: int, rule: str) -> Rule:
    """More than ``count`` arguments by position."""

    def read(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
        if len(arguments) > count and not any(isinstance(one, ast.Starred) for one in node.args):
            scan.rule(rule, node, dotted(value).replace("()", ""))

    return read


# ---- types


def typed_dict(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    if set(arguments.named) - {"total", "fields", "typename", "closed", "extra_items"}:
        scan.rule("typed-dict-keywords", node, dotted(value))


def named_tuple(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    if arguments.named or len(arguments) == 1 or (len(arguments) > 1 and arguments[1].kind is NONE):
        scan.rule("named-tuple-keywords", node, dotted(value))


def class_info(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    """``isinstance(x, ByteString)``, ``isinstance(x, int | str)``"""
    if len(node.args) < 2:
        return
    kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
    for kind in kinds:
        name = dotted(named(scan, kind))
        if name in _BYTE_STRINGS:
            scan.rule("byte-string", node, "collections.abc.ByteString")
        elif name in OLD_CONSTANTS and isinstance(kind, ast.Name):
            scan.rule("ast-old-class", node, name)


def code_type(scan: Scan, node: ast.Call, _value: Value, _arguments: Given) -> None:
    if not any(isinstance(argument, ast.Starred) for argument in node.args) and 13 <= len(node.args) <= 16:
        scan.rule("code-type", node, "types.CodeType")


def type_hints(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    given = arguments.at(0, "obj")
    if given.kind is FUNCTION:
        if given.data.implicit_optional:
            scan.rule("implicit-optional", node, given.data.name)
        annotations = given.data.annotations
    elif given.kind is CLASS:
        annotations = tuple(given.data.annotations)
    else:
        return
    for annotation in annotations:
        text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
        if isinstance(text, str):
            dynamic_names.read_code(scan, node, text)


def copied(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    if arguments and arguments[0].kind is STD and arguments[0].module == "itertools" and arguments[0].is_instance:
        scan.rule("itertools-copy", node, f"itertools.{arguments[0].path[:-2]}")


def mock_of_mock(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    """``create_autospec(Mock())``, ``Mock(spec=Mock())``"""
    rule = "autospec-of-mock" if value.path == "create_autospec" else "spec-of-mock"
    given = arguments.at(0, "spec")
    makes = value.path == "create_autospec" or value.path.endswith("Mock")
    if makes and given.module == "unittest.mock" and operators.MOCKS.fullmatch(given.path):
        scan.rule(rule, node, dotted(value))


def port(scan: Scan, node: ast.Call, value: Value, _arguments: Given) -> None:
    number = getattr(node.args[0], "value", None) if node.args else None
    if isinstance(number, int) and number > 0xFFFF:
        scan.rule("wide-port", node, dotted(value))


# ---- asyncio


def wait(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    for one in alternatives(arguments.at(0, "fs")):
        if one.kind is COROUTINE and one.data is list:
            scan.rule("wait-of-coroutines", node, "asyncio.wait")
            return


def loop_needed(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    """``asyncio.gather(...)`` in code that then runs a loop itself: no loop is set yet."""
    if scan.in_async or scan.loop_is_set or "loop" in arguments.named or not arguments:
        return
    if not any(operators.is_coroutine(one) for one in arguments):
        return
    running = scan.function is not None and any(
        isinstance(inner, ast.Attribute) and inner.attr == "run_until_complete" for inner in ast.walk(scan.function)
    )
    if scan.function is None or running:
        scan.rule("event-loop-needed", node, dotted(value), sure=scan.function is None)


# ---- files


def unpacked(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    """``shutil.unpack_archive`` of what is known to be a tar archive."""
    if "filter" in arguments.named or arguments.spread or len(arguments) > 3:
        return
    archive = arguments.at(0, "filename")
    kinds = list(texts(arguments.at(2, "format")))
    if not kinds:
        kinds = [archive.data] if dotted(archive) == "shutil.make_archive()" else []
        names = [archive.data] if archive.kind is TEMPLATE else list(texts(archive))
        kinds += ["tar" for text in names if _TAR_NAME.search(text)]
    if any(kind in _TARS for kind in kinds):
        scan.rule("tar-filter", node, "shutil.unpack_archive")


def sqlite(scan: Scan, node: ast.Call, arguments: Given) -> None:
    """A sequence for placeholders that have names."""
    is_sequence = len(node.args) > 1 and isinstance(node.args[1], ast.Tuple | ast.List) and bool(node.args[1].elts)
    if is_sequence and any(_PLACEHOLDER.search(text) for text in texts(arguments[0])):
        scan.rule("sqlite-named", node, "sqlite3.Cursor.execute")


def zipped(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    if "strict" in arguments.named:
        scan.rule("zip-strict", node, "zip")


def forked_with_threads(scan: Scan) -> None:
    """Looks at all forks of a file, once it has been read: it may start threads as well."""
    makers = ("Thread", "Timer", "ThreadPoolExecutor", "ThreadPool")
    if not any(one.path.rpartition(".")[2] in makers for one in scan.references):
        return
    for node, name, guard in scan.forks:
        scan.guard = guard
        scan.rule("fork-with-threads", node, name, sure=False)


def fork(scan: Scan, node: ast.Call, value: Value, _arguments: Given) -> None:
    scan.forks.append((node, dotted(value), scan.guard))


def to_dict(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    if arguments and dotted(arguments[0]) == "importlib.metadata.entry_points()":
        scan.rule("entry-points-mapping", node, "importlib.metadata.entry_points")


def boolean_action(scan: Scan, node: ast.Call, arguments: Given) -> None:
    action = dotted(arguments.named.get("action", UNKNOWN))
    if action == "argparse.BooleanOptionalAction" and {"type", "choices", "metavar"} & set(arguments.named):
        scan.rule("boolean-action", node, action)


def old_constant(scan: Scan, node: ast.Call, value: Value, _arguments: Given) -> None:
    if isinstance(node.func, ast.Name):  # of an attribute its reading warns
        scan.rule("ast-old-class", node, dotted(value))


def importer(scan: Scan, node: ast.Call, name: str) -> None:
    """``spec.loader.load_module()``, of which only the name is known."""
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    imports = any(one.module.partition(".")[0] in ("importlib", "pkgutil") for one in scan.imports)
    if imports and "loader" in last_name(receiver).lower():
        scan.rule("load-module", node, name, sure=False)


WARNING_WHEN_MADE = frozenset({"urllib.request.FancyURLopener", "urllib.request.URLopener"})
"""Classes that warn when an instance is made, of a class that derives from them as well."""

RULES: dict[str, Rule] = {
    **dict.fromkeys(OLD_CONSTANTS, old_constant),
    "builtins.dict": to_dict,
    "random.sample": sample,
    **dict.fromkeys(("socket.htons", "socket.ntohs"), port),
    "random.seed": seed,
    "random.Random": seed,
    "random.randrange": float_argument("randrange-of-float"),
    "random.randint": float_argument("randrange-of-float"),
    "math.factorial": float_argument("factorial-of-float"),
    **dict.fromkeys(
        ("builtins.chr", "datetime.date", "datetime.datetime", "datetime.time", "math.comb", "math.perm"),
        decimal_argument,
    ),
    "builtins.int": int_of,
    "builtins.zip": zipped,
    "builtins.isinstance": class_info,
    "builtins.issubclass": class_info,
    "shlex.split": shlex_split,
    "datetime.datetime.strptime": dates_without_year,
    "array.array": array_of,
    "sqlite3.connect": positional_limit(1, "sqlite-positional"),
    "typing.TypedDict": typed_dict,
    "typing.NamedTuple": named_tuple,
    "typing.get_type_hints": type_hints,
    "types.CodeType": code_type,
    **dict.fromkeys(("copy.copy", "copy.deepcopy", "pickle.dumps", "pickle.dump"), copied),
    "asyncio.wait": wait,
    **dict.fromkeys(("asyncio.gather", "asyncio.ensure_future"), loop_needed),
    "shutil.unpack_archive": unpacked,
    **dict.fromkeys(("os.fork", "os.forkpty", "pty.fork"), fork),
    **dict.fromkeys(("asyncio.get_child_watcher", "asyncio.set_child_watcher"), simple("child-watcher")),
    **dict.fromkeys(WARNING_WHEN_MADE, simple("url-opener")),
    **{
        f"importlib.machinery.{loader}().load_module": simple("load-module")
        for loader in ("SourceFileLoader", "SourcelessFileLoader", "ExtensionFileLoader")
    },
}
"""By the full name of what is called."""

MORE: dict[str, Rule] = {
    f"re.{name}": positional_limit(count, "re-positional") for name, count in (("sub", 3), ("subn", 3), ("split", 2))
}
"""Of what has another rule as well."""
