"""Rules for calls that a comparison of two standard libraries cannot show: values, types and number of arguments.

Also determines the results of stdlib calls.
"""

import ast
import re

from pytest_py312.analysis.scanner.evaluation import guarded_functions, keyword_arguments
from pytest_py312.analysis.scanner.evaluation.annotations import annotated_value
from pytest_py312.analysis.scanner.evaluation.names import last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState, visit
from pytest_py312.analysis.scanner.evaluation.values import (
    COLLECTION,
    COROUTINE,
    FOREIGN,
    FUNCTION,
    MAX_DICT_VALUES,
    ONE_OF_DICT,
    PARTIAL_TEXT,
    STDLIB,
    TEXT,
    TEXTS,
    TUPLE,
    UNKNOWN,
    Arguments,
    DictKeys,
    Value,
    alternatives,
    possible_texts,
    stdlib_result,
    union_of,
)
from pytest_py312.analysis.scanner.rules import arguments as argument_rules
from pytest_py312.analysis.scanner.rules import classes, newer_features, operators, regexes
from pytest_py312.analysis.scanner.rules.arguments import ArgumentRule

OLD_PROTOCOLS = frozenset({
    "PROTOCOL_TLS", "PROTOCOL_SSLv23", "PROTOCOL_SSLv2", "PROTOCOL_SSLv3", "PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1",
    "PROTOCOL_TLSv1_2",
})  # fmt: skip
_FORMAT_FIELD = re.compile(r"(?<!\{)\{\w*(?:![rsa])?(?::[^{}]*)?\}(?!\})")
ADAPTED_DATES = ("datetime.now()", "datetime.utcnow()", "datetime.today()", "date.today()", "datetime()", "date()")


def check_stdlib_call(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    name = stdlib_name(value)
    if name in argument_rules.ADDITIONAL_ARGUMENT_RULES:
        argument_rules.ADDITIONAL_ARGUMENT_RULES[name](scan, node, value, arguments)
    if name in keyword_arguments.DICT_METHODS:
        keyword_arguments.call_dict_method(scan, node, name, arguments)
    if name in keyword_arguments.FORWARDING_FUNCTIONS:
        keyword_arguments.refer_forwarded_keywords(scan, node, name, value, arguments)
    rule = _CALL_RULES.get(name)
    if rule is not None:
        rule(scan, node, value, arguments)
    elif value.path.endswith((".extractall", ".extract")) and value.module == "tarfile":
        _extract(scan, node, value, arguments)
    elif value.path.endswith((".get_child_watcher", ".set_child_watcher")) and value.module == "asyncio":
        scan.add_rule_match("child-watcher", node, f"asyncio.{value.path.rpartition('.')[2]}")
    elif value.module == "unittest.mock":
        argument_rules.mock_of_mock(scan, node, value, arguments)
    elif value.path.endswith(".set_default_executor"):
        _default_executor(scan, node, arguments)
    elif value.module == "sqlite3" and value.path.endswith((".execute", ".executemany")):
        _sqlite_execute(scan, node, value, arguments)
    elif value.module == "pathlib" and value.path.endswith(("Path().relative_to", "Path().is_relative_to")):
        if len(node.args) > 1:
            scan.add_rule_match("relative-to-many", node, stdlib_name(value).replace("()", ""))
    elif value.module == "argparse" and value.path.endswith(".add_argument"):
        argument_rules.boolean_action(scan, node, arguments)
    elif value.module == "pathlib" and value.path.endswith("Path().open"):
        _open_mode(scan, node, arguments, 0)
    elif value.module == "random" and value.path.startswith(("Random().", "SystemRandom().")):
        inner = _CALL_RULES.get(f"random.{value.path.partition('.')[2]}")
        if inner is not None:
            inner(scan, node, value, arguments)


def check_instantiation(scan: ScanState, node: ast.Call, base: Value) -> None:
    """Match an instantiation of a class of this file whose constructor is that of a stdlib class."""
    if stdlib_name(base) in argument_rules.WARNING_CLASSES:
        argument_rules.ARGUMENT_RULES[stdlib_name(base)](scan, node, base, Arguments())


def selects_entry_points(node: ast.Call, value: Value) -> bool:
    """Return whether a call is ``entry_points(group=...)``. Its result supports lookup by name on all releases."""
    return bool(node.keywords) and stdlib_name(value) == "importlib.metadata.entry_points"


_NON_INTEGERS = frozenset({"builtins.float()", "builtins.division()"})
"""Values that are not integers. The minimum or maximum of one of them and other values may be one as well."""
_SPEC_KEYWORDS = frozenset({"unsafe", "spec", "spec_set", "autospec"})
"""Keywords that give a mock other attributes than usual."""


def stdlib_call_result(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> Value:
    """Return the result of calling a stdlib function with these arguments."""
    name = stdlib_name(value)
    if selects_entry_points(node, value):
        return UNKNOWN
    if value.module == "builtins" and value.path in _DICT_READERS and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        return _dict_method_result(
            visit(scan, owner) if isinstance(owner, ast.Dict) else resolve_name(scan, owner), node
        )
    if name == "typing.cast" and node.args:
        return annotated_value(scan, node.args[0])
    if name in ("copy.copy", "copy.deepcopy") and arguments and arguments[0].is_instance:
        return arguments[0]
    if name in ("builtins.sorted", "builtins.list", "builtins.tuple", "builtins.reversed") and arguments:
        return arguments[0] if arguments[0].kind is COLLECTION or arguments[0].data is list else stdlib_result(value)
    if name in ("builtins.min", "builtins.max") and len(arguments) > 1:
        return next((argument for argument in arguments if stdlib_name(argument) in _NON_INTEGERS), UNKNOWN)
    if name == "builtins.dict" and not arguments and not arguments.double_starred:
        return Value(STDLIB, "builtins", "dict()", data=DictKeys(arguments.keywords))
    if name == "gzip.open" and "t" not in "".join(possible_texts(arguments.get(1, "mode"))):
        return Value(STDLIB, "gzip", "GzipFile()", value.guard)
    if name == "builtins.map" and arguments and arguments[0].kind is FUNCTION and arguments[0].data.is_async:
        return Value(COROUTINE, data=list)
    if name == "pkgutil.get_importer":
        return Value(STDLIB, "importlib.machinery", "FileFinder()", value.guard)
    if name.startswith("unittest.mock.") and not _SPEC_KEYWORDS.isdisjoint(arguments.keywords):
        return Value(FOREIGN, "?")
    result = stdlib_result(value)
    if name == "shutil.make_archive" and len(kinds := list(possible_texts(arguments.get(1, "format")))) == 1:
        return Value(STDLIB, result.module, result.path, result.guard, kinds[0])
    return result


_DICT_READERS = frozenset({"dict().get", "dict().values", "dict().items"})


def _dict_method_result(owner: Value, node: ast.Call) -> Value:
    """Return the result of a method of a dict display of constant strings."""
    if owner.data.__class__ is not DictKeys or not owner.data.values:
        return UNKNOWN
    keys: DictKeys = owner.data
    if node.args:
        return keys.value_of(getattr(node.args[0], "value", None))
    if isinstance(node.func, ast.Attribute) and node.func.attr == "values":
        return Value(TEXTS, data=keys.values)
    names = union_of([Value(TEXT, path=ONE_OF_DICT, data=key) for key in keys[:MAX_DICT_VALUES]])
    return Value(COLLECTION, data=Value(TUPLE, data=(names, keys.value_of(None))))


def check_untyped_call(scan: ScanState, node: ast.Call, name: str, arguments: Arguments) -> None:
    """Match a call of a method whose name is distinctive, on a value of unknown class."""
    if not isinstance(node.func, ast.Attribute):
        of_type = isinstance(node.func, ast.Call) and last_name(node.func.func) == "type"
        if of_type or name.endswith("CodeType"):
            argument_rules.code_type_arguments(scan, node, UNKNOWN, arguments)
        return
    if name == "add_argument":
        argument_rules.boolean_action(scan, node, arguments)
    elif name == "from_bytes":
        newer_features.from_bytes(scan, node)
    elif name == "to_bytes":
        newer_features.to_bytes(scan, node)
    elif name in ("relative_to", "is_relative_to") and len(node.args) > 1:
        scan.add_rule_match("relative-to-many", node, f"pathlib.PurePath.{name}", sure=False)
    elif name in ("execute", "executemany") and any(
        module_import.module == "sqlite3" for module_import in scan.imports
    ):
        _sqlite_execute(scan, node, UNKNOWN, arguments)
    elif name == "load_module":
        argument_rules.loader_method(scan, node, name)
    elif name == "set_default_executor":
        _default_executor(scan, node, arguments)
    elif name in ("throw", "athrow") and (len(node.args) in (2, 3) or _is_exc_info(scan, node)):
        scan.add_rule_match("generator-throw", node, name, sure=False)
    elif name in ("extractall", "extract"):
        archives = {imported.module for imported in scan.imports}
        only_tar = "tarfile" in archives and not archives & {"zipfile", "py7zr", "rarfile"} and name == "extractall"
        has_filter = any(keyword.arg in ("filter", "pwd", None) for keyword in node.keywords) or len(node.args) > 2
        if only_tar and not has_filter:
            scan.add_rule_match("tar-filter", node, "tarfile.TarFile.extractall", sure=False)
    elif name == "format":
        receiver = node.func.value
        if isinstance(receiver, ast.Constant) and isinstance(receiver.value, str):
            _format_method(scan, node, receiver.value, arguments)


def text_method_result(scan: ScanState, node: ast.Call, name: str, arguments: Arguments) -> Value | None:
    """Return the result of a method of a constant string, as far as its parts are known: ``"|".join(["a", "b"])``."""
    if name not in ("join", "format") or not isinstance(node.func, ast.Attribute):
        return None
    receiver = node.func.value
    text = receiver.value if isinstance(receiver, ast.Constant) else resolve_name(scan, receiver).data
    if not isinstance(text, str):
        return None
    if name == "format":
        return Value(PARTIAL_TEXT, data=_FORMAT_FIELD.sub("x", text).replace("{{", "{").replace("}}", "}"))
    return Value(TEXT, data=text.join(arguments[0].data)) if arguments and arguments[0].kind is TEXTS else None


def _default_executor(scan: ScanState, node: ast.Call, arguments: Arguments) -> None:
    if arguments and arguments[0].path.endswith("ProcessPoolExecutor()"):
        scan.add_rule_match("process-executor", node, "set_default_executor")


def _is_exc_info(scan: ScanState, node: ast.Call) -> bool:
    if len(node.args) != 1 or not isinstance(node.args[0], ast.Starred):
        return False
    inner = node.args[0].value
    return isinstance(inner, ast.Call) and stdlib_name(resolve_name(scan, inner.func)) == "sys.exc_info"


def _format_method(scan: ScanState, node: ast.Call, text: str, arguments: Arguments) -> None:
    fields = re.findall(r"(?<!\{)\{(\w*)((?:![rsa])?)(?::[^{}]*)?\}(?!\})", text)
    for number, (name, conversion) in enumerate(fields):
        if not name or name.isdigit():
            index = int(name) if name else number
            if index < len(arguments) and index < 100:
                classes.check_formatted_value(
                    scan, node.args[index], arguments[index], ord(conversion[1]) if conversion else -1
                )
        else:
            for keyword in node.keywords:
                if keyword.arg == name:
                    value = classes.enum_member(scan, keyword.value)
                    classes.check_formatted_value(scan, keyword.value, value, ord(conversion[1]) if conversion else -1)


# ---- literal values


def _open_mode(scan: ScanState, node: ast.Call, arguments: Arguments, position: int) -> None:
    mode_value = arguments.get(position, "mode")
    for mode in possible_texts(mode_value):
        if re.fullmatch(r"(?=.*U)[rbtU]{1,3}", mode):
            scan.add_rule_match("open-mode-u", node, mode, sure=mode_value.kind is TEXT)


def _open(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    _open_mode(scan, node, arguments, {"fileinput.input": 99, "argparse.FileType": 0}.get(stdlib_name(value), 1))


# ---- protocols


def _ssl_context(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    protocol = arguments[0] if arguments else None
    for keyword in node.keywords:
        if keyword.arg == "protocol":
            protocol = resolve_name(scan, keyword.value)
    if protocol is None:
        if not node.keywords and not node.args:
            scan.add_rule_match("ssl-context", node, "ssl.SSLContext")
        return
    for alternative in alternatives(protocol):
        if alternative.kind is STDLIB and alternative.module == "ssl" and alternative.path in OLD_PROTOCOLS:
            scan.add_rule_match("ssl-context", node, f"ssl.{alternative.path}", sure=alternative is protocol)


def _extract(scan: ScanState, node: ast.Call, value: Value, _arguments: Arguments) -> None:
    if scan.has_tar_filter or any(keyword.arg in ("filter", None) for keyword in node.keywords):
        return
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        return
    scan.add_rule_match("tar-filter", node, f"tarfile.TarFile{value.path[value.path.rindex('.') :]}")


def _sqlite_execute(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    argument_rules.sqlite_placeholders(scan, node, arguments)
    if len(node.args) < 2 or any(reference.path == "register_adapter" for reference in scan.references):
        return
    parameters = [*alternatives(arguments[1].data)] if arguments[1].kind is COLLECTION else []
    parameters += [value for row in parameters if row.kind is COLLECTION for value in alternatives(row.data)]
    for item in _parameter_nodes(node.args[1]):
        value = resolve_name(scan, item.func if isinstance(item, ast.Call) else item)
        parameters.append(Value(STDLIB, value.module, f"{value.path}()") if isinstance(item, ast.Call) else value)
    for value in parameters:
        if value.kind is STDLIB and value.module == "datetime" and value.path in ADAPTED_DATES:
            scan.add_rule_match("sqlite-adapter", node, f"datetime.{value.path}".replace("()", ""))
            return


def _parameter_nodes(node: ast.expr) -> list[ast.expr]:
    """Return the expressions of the parameters of one or several executions of a statement."""
    if isinstance(node, ast.Dict):
        return node.values
    if not isinstance(node, ast.Tuple | ast.List):
        return []
    inner = [one for item in node.elts if isinstance(item, ast.Tuple | ast.List) for one in item.elts]
    inner += [one for item in node.elts if isinstance(item, ast.BoolOp) for one in item.values]
    return [*node.elts, *inner]


# ---- the place of a call


def _event_loop(scan: ScanState, node: ast.Call, _value: Value, _arguments: Arguments) -> None:
    if scan.in_async or scan.event_loop_is_set:
        return
    scan.add_rule_match("event-loop", node, "asyncio.get_event_loop", sure=scan.function is None)
    guarded_functions.note_event_loop_use(scan)


def _set_event_loop(scan: ScanState, _node: ast.Call, _value: Value, _arguments: Arguments) -> None:
    scan.event_loop_is_set = True


# ---- texts and types


def _str_of_enum(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    for argument_value, argument in list(zip(arguments, node.args, strict=False))[:20]:
        for alternative in alternatives(argument_value):
            classes.check_int_enum_text(scan, argument, alternative)


def _format_builtin(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    if arguments:
        classes.check_formatted_value(scan, node.args[0], arguments[0], -1)


def _bool_builtin(scan: ScanState, node: ast.Call, _value: Value, arguments: Arguments) -> None:
    if arguments:
        operators.check_truth(scan, node.args[0], arguments[0])


def _install_hook(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    scan.installed_hooks.setdefault(node.func.end_lineno or 0, []).append(arguments[-1] if arguments else UNKNOWN)


_CALL_RULES: dict[str, ArgumentRule] = {
    **argument_rules.ARGUMENT_RULES,
    **dict.fromkeys(
        ("builtins.open", "io.open", "codecs.open", "os.fdopen", "fileinput.input", "fileinput.FileInput"), _open
    ),
    "argparse.FileType": _open,
    **regexes.REGEX_RULES,
    "ssl.SSLContext": _ssl_context,
    "asyncio.get_event_loop": _event_loop,
    "asyncio.get_event_loop_policy().get_event_loop": _event_loop,
    "asyncio.set_event_loop": _set_event_loop,
    **dict.fromkeys(
        (f"sys.{path}.{method}" for path in ("meta_path", "path_hooks") for method in ("append", "insert")),
        _install_hook,
    ),
    "builtins.str": _str_of_enum,
    "builtins.print": _str_of_enum,
    **dict.fromkeys(("datetime.datetime.fromisoformat", "datetime.date.fromisoformat"), newer_features.iso_text),
    "builtins.format": _format_builtin,
    "builtins.bool": _bool_builtin,
}
