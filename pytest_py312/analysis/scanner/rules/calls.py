"""What no difference of two libraries can show about calls: values and types of arguments, and their number."""

import ast
import re

from pytest_py312.analysis.scanner.evaluation import guarded_functions, keyword_arguments
from pytest_py312.analysis.scanner.evaluation.annotations import annotated
from pytest_py312.analysis.scanner.evaluation.names import dotted, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import Scan, result_of, visit
from pytest_py312.analysis.scanner.evaluation.values import (
    COROUTINE,
    FOREIGN,
    FUNCTION,
    ITEMS,
    MAYBE,
    MOST_VALUES,
    RECORD,
    STD,
    TEMPLATE,
    TEXT,
    TEXTS,
    UNKNOWN,
    Given,
    Keys,
    Value,
    alternatives,
    either,
    texts,
)
from pytest_py312.analysis.scanner.rules import arguments as argument_rules
from pytest_py312.analysis.scanner.rules import classes, newer_features, operators, regexes
from pytest_py312.analysis.scanner.rules.arguments import Rule

OLD_PROTOCOLS = frozenset({
    "PROTOCOL_TLS", "PROTOCOL_SSLv23", "PROTOCOL_SSLv2", "PROTOCOL_SSLv3", "PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1",
    "PROTOCOL_TLSv1_2",
})  # fmt: skip
_FIELD = re.compile(r"(?<!\{)\{\w*(?:![rsa])?(?::[^{}]*)?\}(?!\})")
DATES = ("datetime.now()", "datetime.utcnow()", "datetime.today()", "date.today()", "datetime()", "date()")


def call_of_standard(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    name = dotted(value)
    if name in argument_rules.MORE:
        argument_rules.MORE[name](scan, node, value, arguments)
    if name in keyword_arguments.METHODS:
        keyword_arguments.method_called(scan, node, name, arguments)
    if name in keyword_arguments.NAMES:
        keyword_arguments.keywords_handed_on(scan, node, name, value, arguments)
    rule = _RULES.get(name)
    if rule is not None:
        rule(scan, node, value, arguments)
    elif value.path.endswith((".extractall", ".extract")) and value.module == "tarfile":
        _extract(scan, node, value, arguments)
    elif value.path.endswith((".get_child_watcher", ".set_child_watcher")) and value.module == "asyncio":
        scan.rule("child-watcher", node, f"asyncio.{value.path.rpartition('.')[2]}")
    elif value.module == "unittest.mock":
        argument_rules.mock_of_mock(scan, node, value, arguments)
    elif value.path.endswith(".set_default_executor"):
        _executor(scan, node, arguments)
    elif value.module == "sqlite3" and value.path.endswith((".execute", ".executemany")):
        _sqlite(scan, node, value, arguments)
    elif value.module == "pathlib" and value.path.endswith(("Path().relative_to", "Path().is_relative_to")):
        if len(node.args) > 1:
            scan.rule("relative-to-many", node, dotted(value).replace("()", ""))
    elif value.module == "argparse" and value.path.endswith(".add_argument"):
        argument_rules.boolean_action(scan, node, arguments)
    elif value.module == "pathlib" and value.path.endswith("Path().open"):
        _open_mode(scan, node, arguments, 0)
    elif value.module == "random" and value.path.startswith(("Random().", "SystemRandom().")):
        inner = _RULES.get(f"random.{value.path.partition('.')[2]}")
        if inner is not None:
            inner(scan, node, value, arguments)


def made_of_standard(scan: Scan, node: ast.Call, base: Value) -> None:
    """An instance of an own class that leaves making it to a standard class."""
    if dotted(base) in argument_rules.WARNING_WHEN_MADE:
        argument_rules.RULES[dotted(base)](scan, node, base, Given())


def selects(node: ast.Call, value: Value) -> bool:
    """``entry_points(group=...)``: what that gives is looked up by the names of its entries, on all releases."""
    return bool(node.keywords) and dotted(value) == "importlib.metadata.entry_points"


_NUMBERS = frozenset({"builtins.float()", "builtins.division()"})
"""What is no integer, nor surely what is the least or the greatest of it and others."""
_UNBOUND = frozenset({"unsafe", "spec", "spec_set", "autospec"})
"""Keywords with which a mock has the attributes it is told to have, or any."""


def given_by_standard(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> Value:
    """What a standard function gives, with what its arguments say of it."""
    name = dotted(value)
    if selects(node, value):
        return UNKNOWN
    if value.module == "builtins" and value.path in _OF_DICT and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        return _of_dict(visit(scan, owner) if isinstance(owner, ast.Dict) else named(scan, owner), node)
    if name == "typing.cast" and node.args:
        return annotated(scan, node.args[0])
    if name in ("copy.copy", "copy.deepcopy") and arguments and arguments[0].is_instance:
        return arguments[0]
    if name in ("builtins.sorted", "builtins.list", "builtins.tuple", "builtins.reversed") and arguments:
        return arguments[0] if arguments[0].kind is ITEMS or arguments[0].data is list else result_of(value)
    if name in ("builtins.min", "builtins.max") and len(arguments) > 1:
        return next((one for one in arguments if dotted(one) in _NUMBERS), UNKNOWN)
    if name == "builtins.dict" and not arguments and not arguments.spread:
        return Value(STD, "builtins", "dict()", data=Keys(arguments.named))
    if name == "gzip.open" and "t" not in "".join(texts(arguments.at(1, "mode"))):
        return Value(STD, "gzip", "GzipFile()", value.guard)
    if name == "builtins.map" and arguments and arguments[0].kind is FUNCTION and arguments[0].data.is_async:
        return Value(COROUTINE, data=list)
    if name == "pkgutil.get_importer":
        return Value(STD, "importlib.machinery", "FileFinder()", value.guard)
    if name.startswith("unittest.mock.") and not _UNBOUND.isdisjoint(arguments.named):
        return Value(FOREIGN, "?")
    given = result_of(value)
    if name == "shutil.make_archive" and len(kinds := list(texts(arguments.at(1, "format")))) == 1:
        return Value(STD, given.module, given.path, given.guard, kinds[0])
    return given


_OF_DICT = frozenset({"dict().get", "dict().values", "dict().items"})


def _of_dict(owner: Value, node: ast.Call) -> Value:
    """What methods of a dict display of constant texts give."""
    if owner.data.__class__ is not Keys or not owner.data.values:
        return UNKNOWN
    keys: Keys = owner.data
    if node.args:
        return keys.at(getattr(node.args[0], "value", None))
    if isinstance(node.func, ast.Attribute) and node.func.attr == "values":
        return Value(TEXTS, data=keys.values)
    names = either([Value(TEXT, path=MAYBE, data=key) for key in keys[:MOST_VALUES]])
    return Value(ITEMS, data=Value(RECORD, data=(names, keys.at(None))))


def call_of_unknown(scan: Scan, node: ast.Call, name: str, arguments: Given) -> None:
    """By the name of the method alone: such names as only one thing has."""
    if not isinstance(node.func, ast.Attribute):
        of_type = isinstance(node.func, ast.Call) and last_name(node.func.func) == "type"
        if of_type or name.endswith("CodeType"):
            argument_rules.code_type(scan, node, UNKNOWN, arguments)
        return
    if name == "add_argument":
        argument_rules.boolean_action(scan, node, arguments)
    elif name == "from_bytes":
        newer_features.of_bytes(scan, node)
    elif name == "to_bytes":
        newer_features.to_bytes(scan, node)
    elif name in ("relative_to", "is_relative_to") and len(node.args) > 1:
        scan.rule("relative-to-many", node, f"pathlib.PurePath.{name}", sure=False)
    elif name in ("execute", "executemany") and any(one.module == "sqlite3" for one in scan.imports):
        _sqlite(scan, node, UNKNOWN, arguments)
    elif name == "load_module":
        argument_rules.importer(scan, node, name)
    elif name == "set_default_executor":
        _executor(scan, node, arguments)
    elif name in ("throw", "athrow") and (len(node.args) in (2, 3) or _is_exc_info(scan, node)):
        scan.rule("generator-throw", node, name, sure=False)
    elif name in ("extractall", "extract"):
        archives = {imported.module for imported in scan.imports}
        only_tar = "tarfile" in archives and not archives & {"zipfile", "py7zr", "rarfile"} and name == "extractall"
        settled = any(keyword.arg in ("filter", "pwd", None) for keyword in node.keywords) or len(node.args) > 2
        if only_tar and not settled:
            scan.rule("tar-filter", node, "tarfile.TarFile.extractall", sure=False)
    elif name == "format":
        receiver = node.func.value
        if isinstance(receiver, ast.Constant) and isinstance(receiver.value, str):
            _format_method(scan, node, receiver.value, arguments)


def given_by_text(scan: Scan, node: ast.Call, name: str, arguments: Given) -> Value | None:
    """``"|".join(["a", "b"])``: what methods of a constant text give, as far as its parts are known."""
    if name not in ("join", "format") or not isinstance(node.func, ast.Attribute):
        return None
    receiver = node.func.value
    text = receiver.value if isinstance(receiver, ast.Constant) else named(scan, receiver).data
    if not isinstance(text, str):
        return None
    if name == "format":
        return Value(TEMPLATE, data=_FIELD.sub("x", text).replace("{{", "{").replace("}}", "}"))
    return Value(TEXT, data=text.join(arguments[0].data)) if arguments and arguments[0].kind is TEXTS else None


def _executor(scan: Scan, node: ast.Call, arguments: Given) -> None:
    if arguments and arguments[0].path.endswith("ProcessPoolExecutor()"):
        scan.rule("process-executor", node, "set_default_executor")


def _is_exc_info(scan: Scan, node: ast.Call) -> bool:
    if len(node.args) != 1 or not isinstance(node.args[0], ast.Starred):
        return False
    inner = node.args[0].value
    return isinstance(inner, ast.Call) and dotted(named(scan, inner.func)) == "sys.exc_info"


def _format_method(scan: Scan, node: ast.Call, text: str, arguments: Given) -> None:
    fields = re.findall(r"(?<!\{)\{(\w*)((?:![rsa])?)(?::[^{}]*)?\}(?!\})", text)
    for number, (name, conversion) in enumerate(fields):
        if not name or name.isdigit():
            index = int(name) if name else number
            if index < len(arguments) and index < 100:
                classes.formatted(scan, node.args[index], arguments[index], ord(conversion[1]) if conversion else -1)
        else:
            for keyword in node.keywords:
                if keyword.arg == name:
                    value = classes.member_of(scan, keyword.value)
                    classes.formatted(scan, keyword.value, value, ord(conversion[1]) if conversion else -1)


# ---- literal values


def _open_mode(scan: Scan, node: ast.Call, arguments: Given, place: int) -> None:
    given = arguments.at(place, "mode")
    for mode in texts(given):
        if re.fullmatch(r"(?=.*U)[rbtU]{1,3}", mode):
            scan.rule("open-mode-u", node, mode, sure=given.kind is TEXT)


def _open(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    _open_mode(scan, node, arguments, {"fileinput.input": 99, "argparse.FileType": 0}.get(dotted(value), 1))


# ---- protocols


def _context(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    given = arguments[0] if arguments else None
    for keyword in node.keywords:
        if keyword.arg == "protocol":
            given = named(scan, keyword.value)
    if given is None:
        if not node.keywords and not node.args:
            scan.rule("ssl-context", node, "ssl.SSLContext")
        return
    for one in alternatives(given):
        if one.kind is STD and one.module == "ssl" and one.path in OLD_PROTOCOLS:
            scan.rule("ssl-context", node, f"ssl.{one.path}", sure=one is given)


def _extract(scan: Scan, node: ast.Call, value: Value, _arguments: Given) -> None:
    if scan.has_tar_filter or any(keyword.arg in ("filter", None) for keyword in node.keywords):
        return
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        return
    scan.rule("tar-filter", node, f"tarfile.TarFile{value.path[value.path.rindex('.') :]}")


def _sqlite(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    argument_rules.sqlite(scan, node, arguments)
    if len(node.args) < 2 or any(one.path == "register_adapter" for one in scan.references):
        return
    found = [*alternatives(arguments[1].data)] if arguments[1].kind is ITEMS else []
    found += [one for row in found if row.kind is ITEMS for one in alternatives(row.data)]
    for item in _bound_values(node.args[1]):
        value = named(scan, item.func if isinstance(item, ast.Call) else item)
        found.append(Value(STD, value.module, f"{value.path}()") if isinstance(item, ast.Call) else value)
    for value in found:
        if value.kind is STD and value.module == "datetime" and value.path in DATES:
            scan.rule("sqlite-adapter", node, f"datetime.{value.path}".replace("()", ""))
            return


def _bound_values(node: ast.expr) -> list[ast.expr]:
    """The values for the placeholders of a statement, or of several."""
    if isinstance(node, ast.Dict):
        return node.values
    if not isinstance(node, ast.Tuple | ast.List):
        return []
    inner = [one for item in node.elts if isinstance(item, ast.Tuple | ast.List) for one in item.elts]
    inner += [one for item in node.elts if isinstance(item, ast.BoolOp) for one in item.values]
    return [*node.elts, *inner]


# ---- the place of a call


def _event_loop(scan: Scan, node: ast.Call, _value: Value, _arguments: Given) -> None:
    if scan.in_async or scan.loop_is_set:
        return
    scan.rule("event-loop", node, "asyncio.get_event_loop", sure=scan.function is None)
    guarded_functions.asked(scan)


def _set_event_loop(scan: Scan, _node: ast.Call, _value: Value, _arguments: Given) -> None:
    scan.loop_is_set = True


# ---- texts and types


def _text(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    for given, argument in list(zip(arguments, node.args, strict=False))[:20]:
        for one in alternatives(given):
            classes.int_enum_text(scan, argument, one)


def _format(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    if arguments:
        classes.formatted(scan, node.args[0], arguments[0], -1)


def _bool(scan: Scan, node: ast.Call, _value: Value, arguments: Given) -> None:
    if arguments:
        operators.truth_of(scan, node.args[0], arguments[0])


_RULES: dict[str, Rule] = {
    **argument_rules.RULES,
    **dict.fromkeys(
        ("builtins.open", "io.open", "codecs.open", "os.fdopen", "fileinput.input", "fileinput.FileInput"), _open
    ),
    "argparse.FileType": _open,
    **regexes.RULES,
    "ssl.SSLContext": _context,
    "asyncio.get_event_loop": _event_loop,
    "asyncio.get_event_loop_policy().get_event_loop": _event_loop,
    "asyncio.set_event_loop": _set_event_loop,
    "builtins.str": _text,
    "builtins.print": _text,
    **dict.fromkeys(("datetime.datetime.fromisoformat", "datetime.date.fromisoformat"), newer_features.iso_text),
    "builtins.format": _format,
    "builtins.bool": _bool,
}
