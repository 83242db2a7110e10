"""Rules for values and types of arguments that some releases refuse or warn about, with unchanged parameters."""

import ast
import re
from collections.abc import Callable

from pytest_py312.analysis.scanner.evaluation import dynamic_names
from pytest_py312.analysis.scanner.evaluation.names import last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    COROUTINE,
    FUNCTION,
    NONE,
    OBJECT,
    PARTIAL_TEXT,
    STDLIB,
    UNKNOWN,
    UNKNOWN_KIND,
    Arguments,
    Value,
    alternatives,
    possible_texts,
)
from pytest_py312.analysis.scanner.rules import attributes, operators, processes

ArgumentRule = Callable[[ScanState, ast.Call, Value, Arguments], None]
"""Checks a call of a stdlib callable, and records what it matches in the scan."""

_SET_EXPRESSION = re.compile(
    r"(?:frozen)?set\(\)(?:\.(?:union|intersection|difference|symmetric_difference|copy)\(\))?"
    r"|dict\(\)\.(?:keys|items)\(\)"
)
_FLOAT_FUNCTIONS = frozenset({"sqrt()", "pow()", "log2()", "log10()", "fabs()", "exp()", "log()", "fsum()"})
_DECIMAL_TYPES = frozenset({"decimal.Decimal()", "fractions.Fraction()"})
_NAMED_PLACEHOLDER = re.compile(r"(?<![:\w'\"])[:@$][A-Za-z_]\w*")
_AUTHORITIES = ("cafile", "capath", "cadata")
_TYPED_DICT_OPTIONS = frozenset({"total", "fields", "typename", "closed", "extra_items"})
_TAR_FORMATS = ("tar", "gztar", "bztar", "xztar")
_TAR_NAME = re.compile(r"\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz)$", re.IGNORECASE)
_BYTE_STRINGS = frozenset({"typing.ByteString", "collections.abc.ByteString"})


OLD_AST_CLASSES = frozenset({"ast.Num", "ast.Str", "ast.Bytes", "ast.NameConstant", "ast.Ellipsis"})


def match_calls(
    rule: str, applies: Callable[[ast.Call, Arguments], bool] = lambda node, arguments: True, *, detail: str = ""
) -> ArgumentRule:
    """Return a rule that matches the calls that ``applies`` chooses; all without it.

    :param detail: what the match names, if not the callable.
    """

    def read(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
        if applies(node, arguments):
            scan.add_rule_match(rule, node, detail or stdlib_name(value).replace("()", ""))

    return read


# ---- numbers


def is_float(value: Value, node: ast.expr) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return node.value.is_integer()
    if value.kind is not STDLIB:
        return False
    is_builtin_float = value.module == "builtins" and value.path in ("float()", "division()")
    return is_builtin_float or (value.module == "math" and value.path in _FLOAT_FUNCTIONS)


def float_argument(rule: str) -> ArgumentRule:
    def read(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
        for given, argument in zip(arguments, node.args, strict=False):
            if is_float(given, argument) or (stdlib_name(given) in _DECIMAL_TYPES and value.module == "random"):
                # a name may have its value from an annotation, which need not be true
                computed = isinstance(argument, ast.Constant | ast.BinOp | ast.Call)
                scan.add_rule_match(rule, node, stdlib_name(value), sure=computed)
                return

    return read


def int_of_own_class(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    """Match ``int(x)`` for a class of this file that has only ``__trunc__``."""
    own = arguments[0].data if len(arguments) == 1 and arguments[0].kind is OBJECT else None
    if own is None or own.foreign_bases() or own.stdlib_bases():
        return
    if own.get("__trunc__") and not own.get("__int__") and not own.get("__index__"):
        scan.add_rule_match("int-of-trunc", node, own.name)


# ---- random


def sample_of_set(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    population = arguments.get(0, "population")
    if population.kind is UNKNOWN_KIND and node.args and _is_set_method_call(node.args[0]):
        scan.add_rule_match("sample-of-set", node, "random.sample", sure=False)
        return
    for alternative in alternatives(population):
        if (
            alternative.kind is STDLIB
            and alternative.module == "builtins"
            and _SET_EXPRESSION.fullmatch(alternative.path)
        ):
            scan.add_rule_match("sample-of-set", node, "random.sample", sure=population is alternative)
            return


def _is_set_method_call(node: ast.expr) -> bool:
    """Return whether a call returns a set by its method name: ``weights.keys()``, ``hosts.difference(down)``."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    is_view = node.func.attr in ("keys", "items") and not node.args
    return is_view or (node.func.attr in ("difference", "intersection", "symmetric_difference") and bool(node.args))


def seed_type(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    seed_node = (
        node.args[0]
        if node.args
        else next((keyword.value for keyword in node.keywords if keyword.arg in ("a", "x")), None)
    )
    seed_value = arguments.get(0, "a")
    of_date = seed_value.module == "datetime" and seed_value.is_instance
    of_set = stdlib_name(seed_value) in ("builtins.frozenset()", "builtins.range()")
    if isinstance(seed_node, ast.Tuple) or of_set or of_date or stdlib_name(seed_value) in _DECIMAL_TYPES:
        scan.add_rule_match("seed-type", node, stdlib_name(value).replace("()", ""))


# ---- types


def isinstance_classes(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    """Match ``isinstance(x, ByteString)`` and old ``ast`` classes."""
    if len(node.args) < 2:
        return
    kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
    for kind in kinds:
        name = stdlib_name(resolve_name(scan, kind))
        if name in _BYTE_STRINGS:
            scan.add_rule_match("byte-string", node, "collections.abc.ByteString")
        elif name in OLD_AST_CLASSES and isinstance(kind, ast.Name):
            scan.add_rule_match("ast-old-class", node, name)


def code_type_arguments(scan: ScanState, node: ast.Call, _value: Value, _arguments: Arguments) -> None:
    if not any(isinstance(argument, ast.Starred) for argument in node.args) and 13 <= len(node.args) <= 16:
        scan.add_rule_match("code-type", node, "types.CodeType")


def type_hints(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    owner = arguments.get(0, "obj")
    if owner.kind is FUNCTION:
        if owner.data.implicit_optional:
            scan.add_rule_match("implicit-optional", node, owner.data.name)
        annotations = owner.data.annotations
    elif owner.kind is CLASS:
        annotations = tuple(owner.data.annotations)
    else:
        return
    for annotation in annotations:
        text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
        if isinstance(text, str):
            dynamic_names.read_code(scan, node, text)


def copy_of_iterator(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    if arguments and arguments[0].kind is STDLIB and arguments[0].module == "itertools" and arguments[0].is_instance:
        scan.add_rule_match("itertools-copy", node, f"itertools.{arguments[0].path[:-2]}")


def mock_of_mock(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    """Match ``create_autospec(Mock())`` and ``Mock(spec=Mock())``."""
    rule = "autospec-of-mock" if value.path == "create_autospec" else "spec-of-mock"
    spec = arguments.get(0, "spec")
    makes = value.path == "create_autospec" or value.path.endswith("Mock")
    if makes and spec.module == "unittest.mock" and attributes.MOCK_TYPES.fullmatch(spec.path):
        scan.add_rule_match(rule, node, stdlib_name(value))


# ---- asyncio


def event_loop_needed(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    """Match ``asyncio.gather(...)`` in code that runs the loop itself later, so no loop is set yet."""
    if scan.in_async or scan.event_loop_is_set or "loop" in arguments.keywords or not arguments:
        return
    if not any(operators.is_coroutine(argument) for argument in arguments):
        return
    runs_loop = scan.function is not None and any(
        isinstance(inner, ast.Attribute) and inner.attr == "run_until_complete" for inner in ast.walk(scan.function)
    )
    if scan.function is None or runs_loop:
        scan.add_rule_match("event-loop-needed", node, stdlib_name(value), sure=scan.function is None)


# ---- files


def unpack_archive(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    """Match ``shutil.unpack_archive`` of a tar archive."""
    if "filter" in arguments.keywords or arguments.double_starred or len(arguments) > 3:
        return
    archive = arguments.get(0, "filename")
    kinds = list(possible_texts(arguments.get(2, "format")))
    if not kinds:
        kinds = [archive.data] if stdlib_name(archive) == "shutil.make_archive()" else []
        names = [archive.data] if archive.kind is PARTIAL_TEXT else list(possible_texts(archive))
        kinds += ["tar" for text in names if _TAR_NAME.search(text)]
    if any(kind in _TAR_FORMATS for kind in kinds):
        scan.add_rule_match("tar-filter", node, "shutil.unpack_archive")


def sqlite_placeholders(scan: ScanState, node: ast.Call, arguments: Arguments) -> None:
    """Match a sequence of parameters for named placeholders."""
    is_sequence = len(node.args) > 1 and isinstance(node.args[1], ast.Tuple | ast.List) and bool(node.args[1].elts)
    if is_sequence and any(_NAMED_PLACEHOLDER.search(text) for text in possible_texts(arguments[0])):
        scan.add_rule_match("sqlite-named", node, "sqlite3.Cursor.execute")


def boolean_action(scan: ScanState, node: ast.Call, arguments: Arguments) -> None:
    action = stdlib_name(arguments.keywords.get("action", UNKNOWN))
    if action == "argparse.BooleanOptionalAction" and {"type", "choices", "metavar"} & set(arguments.keywords):
        scan.add_rule_match("boolean-action", node, action)


def loader_method(scan: ScanState, node: ast.Call, name: str) -> None:
    """Match ``spec.loader.load_module()`` by the name of the method."""
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    has_loaders = any(
        module_import.module.partition(".")[0] in ("importlib", "pkgutil") for module_import in scan.imports
    )
    if has_loaders and "loader" in last_name(receiver).lower():
        scan.add_rule_match("load-module", node, name, sure=False)


WARNING_CLASSES = frozenset({"urllib.request.FancyURLopener", "urllib.request.URLopener"})
"""Classes that warn when they, or classes derived from them, are instantiated."""


def own_authority(scan: ScanState, node: ast.Call, _value: Value, _arguments: Arguments) -> None:
    """Match a context for certificates of an own authority: not for those of certifi, which follow RFC 5280."""
    given = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg in _AUTHORITIES)]
    is_own = any(not isinstance(item, ast.Constant) or item.value is not None for item in given)
    if is_own and not any("certifi" in ast.unparse(item) for item in given):
        scan.add_rule_match("strict-certificates", node, "ssl.create_default_context", sure=False)


def _is_wide_number(node: ast.Call, _arguments: Arguments) -> bool:
    number = getattr(node.args[0], "value", None) if node.args else None
    return isinstance(number, int) and number > 0xFFFF


def _lacks_year(_node: ast.Call, arguments: Arguments) -> bool:
    formats = possible_texts(arguments.get(1, "format"))
    return any("%d" in text and not re.search(r"%[YyGcxs]", text) for text in formats)


def _names_fields_by_keywords(_node: ast.Call, arguments: Arguments) -> bool:
    return bool(arguments.keywords) or len(arguments) == 1 or (len(arguments) > 1 and arguments[1].kind is NONE)


def _waits_for_coroutines(_node: ast.Call, arguments: Arguments) -> bool:
    awaited = alternatives(arguments.get(0, "fs"))
    return any(alternative.kind is COROUTINE and alternative.data is list for alternative in awaited)


def _has_more_than(count: int) -> Callable[[ast.Call, Arguments], bool]:
    """Return whether a call has more positional arguments, as far as they are visible."""
    return lambda node, arguments: (
        len(arguments) > count and not any(isinstance(argument, ast.Starred) for argument in node.args)
    )


ARGUMENT_RULES: dict[str, ArgumentRule] = {
    **dict.fromkeys(  # reading the attribute warns already
        OLD_AST_CLASSES, match_calls("ast-old-class", lambda node, _: isinstance(node.func, ast.Name))
    ),
    "builtins.dict": match_calls(
        "entry-points-mapping",
        lambda _, arguments: stdlib_name(arguments.get(0, "")) == "importlib.metadata.entry_points()",
        detail="importlib.metadata.entry_points",
    ),
    "random.sample": sample_of_set,
    **dict.fromkeys(("socket.htons", "socket.ntohs"), match_calls("wide-port", _is_wide_number)),
    "random.seed": seed_type,
    "random.Random": seed_type,
    "random.randrange": float_argument("randrange-of-float"),
    "random.randint": float_argument("randrange-of-float"),
    "math.factorial": float_argument("factorial-of-float"),
    **dict.fromkeys(
        ("builtins.chr", "datetime.date", "datetime.datetime", "datetime.time", "math.comb", "math.perm"),
        # decimals are no longer truncated silently
        match_calls(
            "decimal-as-int", lambda _, arguments: any(stdlib_name(given) in _DECIMAL_TYPES for given in arguments)
        ),
    ),
    "builtins.int": int_of_own_class,
    "builtins.zip": match_calls("zip-strict", lambda _, arguments: "strict" in arguments.keywords, detail="zip"),
    "builtins.isinstance": isinstance_classes,
    "builtins.issubclass": isinstance_classes,
    "shlex.split": match_calls("shlex-none", lambda _, arguments: arguments.get(0, "s").kind is NONE),
    "datetime.datetime.strptime": match_calls("strptime-without-year", _lacks_year),
    "array.array": match_calls("array-u", lambda _, arguments: bool(arguments) and "u" in possible_texts(arguments[0])),
    "sqlite3.connect": match_calls("sqlite-positional", _has_more_than(1)),
    "typing.TypedDict": match_calls(
        "typed-dict-keywords", lambda _, arguments: bool(set(arguments.keywords) - _TYPED_DICT_OPTIONS)
    ),
    "typing.NamedTuple": match_calls("named-tuple-keywords", _names_fields_by_keywords),
    "typing.get_type_hints": type_hints,
    "types.CodeType": code_type_arguments,
    **dict.fromkeys(("copy.copy", "copy.deepcopy", "pickle.dumps", "pickle.dump"), copy_of_iterator),
    "asyncio.wait": match_calls("wait-of-coroutines", _waits_for_coroutines),
    **dict.fromkeys(("asyncio.gather", "asyncio.ensure_future"), event_loop_needed),
    "shutil.unpack_archive": unpack_archive,
    **dict.fromkeys(processes.PROCESS_STARTS, processes.note_process_start),
    "ssl.create_default_context": own_authority,
    **dict.fromkeys(("asyncio.get_child_watcher", "asyncio.set_child_watcher"), match_calls("child-watcher")),
    **dict.fromkeys(WARNING_CLASSES, match_calls("url-opener")),
    **{
        f"importlib.machinery.{loader}().load_module": match_calls("load-module")
        for loader in ("SourceFileLoader", "SourcelessFileLoader", "ExtensionFileLoader")
    },
}
"""Rules by the full name of the callable."""

ADDITIONAL_ARGUMENT_RULES: dict[str, ArgumentRule] = {
    f"re.{name}": match_calls("re-positional", _has_more_than(count))
    for name, count in (("sub", 3), ("subn", 3), ("split", 2))
}
"""Rules that apply in addition to another rule for the same callable."""
