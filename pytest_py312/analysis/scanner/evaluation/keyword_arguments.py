"""Track dictionaries with known keys until they are passed as ``**keywords``.

Some stdlib functions forward keywords to another function, which accepts or refuses them.
"""

import ast
from collections.abc import Mapping

from pytest_py312.analysis.scanner.evaluation.names import resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState, visit
from pytest_py312.analysis.scanner.evaluation.values import STDLIB, TEXT, UNKNOWN, Arguments, DictKeys, Value
from pytest_py312.analysis.scanner.facts.facts import Call, ReferenceKind

DICT_METHODS = frozenset({"builtins.dict().pop", "builtins.dict().setdefault", "builtins.dict().update"})


def set_item(scan: ScanState, target: ast.Subscript, owner: Value, key: Value, value: Value) -> None:
    """Read ``options["loop"] = loop``."""
    if key.kind is TEXT:
        _set_keys(scan, target.value, owner, {key.data: value})


def delete_item(scan: ScanState, target: ast.expr) -> None:
    """Read ``del options["loop"]``."""
    visit(scan, target)
    key = getattr(target.slice, "value", None) if isinstance(target, ast.Subscript) else None
    if isinstance(target, ast.Subscript) and isinstance(key, str):
        _remove_key(resolve_name(scan, target.value), key)


def call_dict_method(scan: ScanState, node: ast.Call, name: str, arguments: Arguments) -> None:
    """Read ``options.pop("loop", None)`` and ``options.update(loop=loop)``."""
    if not isinstance(node.func, ast.Attribute):
        return
    owner = resolve_name(scan, node.func.value)
    if name.endswith(".update"):
        _set_keys(scan, node.func.value, owner, arguments.keywords)
    elif arguments and arguments[0].kind is TEXT:
        if name.endswith(".pop"):
            _remove_key(owner, arguments[0].data)
        else:
            _set_keys(scan, node.func.value, owner, {arguments[0].data: arguments.get(1, "")})


def _set_keys(scan: ScanState, node: ast.expr, owner: Value, items: Mapping[str, Value]) -> None:
    """Add keys to a dictionary of this scope, unless only a branch does so: a key that is merely possible is not
    reported.
    """
    is_unconditional = scan.branch_changes is None and isinstance(node, ast.Name) and node.id in scan.scope
    if not is_unconditional or stdlib_name(owner) != "builtins.dict()" or owner.data.__class__ is not DictKeys:
        return
    for key, value in items.items():
        owner.data = owner.data.with_item(key, value if value.kind is TEXT else UNKNOWN)


def _remove_key(owner: Value, key: str) -> None:
    """Remove a key, even if only a branch removes it."""
    if stdlib_name(owner) == "builtins.dict()" and owner.data.__class__ is DictKeys:
        owner.data = owner.data.without(key)


_POPEN = Value(STDLIB, "subprocess", "Popen")
_LOOP = "SelectorEventLoop"
_STREAMS = {"limit", "loop"}
_FORWARDING: dict[str, tuple[Value, set[str]]] = {
    "subprocess.call": (_POPEN, {"timeout"}),
    "subprocess.check_call": (_POPEN, {"timeout"}),
    "subprocess.check_output": (_POPEN, {"timeout", "input", "check", "capture_output"}),
    "subprocess.run": (_POPEN, {"timeout", "input", "check", "capture_output"}),
    "asyncio.create_subprocess_exec": (_POPEN, _STREAMS),
    "asyncio.create_subprocess_shell": (_POPEN, _STREAMS),
    "asyncio.open_connection": (Value(STDLIB, "asyncio", f"{_LOOP}.create_connection"), _STREAMS),
    "asyncio.open_unix_connection": (Value(STDLIB, "asyncio", f"{_LOOP}.create_unix_connection"), _STREAMS),
    "asyncio.start_server": (Value(STDLIB, "asyncio", f"{_LOOP}.create_server"), _STREAMS),
    "asyncio.start_unix_server": (Value(STDLIB, "asyncio", f"{_LOOP}.create_unix_server"), _STREAMS),
}
"""Function -> the function that it forwards keywords to, and the keywords that it consumes itself."""
FORWARDING_FUNCTIONS = frozenset(_FORWARDING)


def refer_forwarded_keywords(scan: ScanState, node: ast.Call, name: str, value: Value, arguments: Arguments) -> None:
    receiver, consumed = _FORWARDING[name]
    keywords = tuple([keyword for keyword in arguments.keywords if keyword not in consumed])
    if keywords:
        receiver_value = Value(STDLIB, receiver.module, receiver.path, value.guard)
        scan.refer(
            node.func,
            receiver_value,
            ReferenceKind.IMPORTED_NAME,
            Call(0, keywords, starred=False, double_starred=True),
        )
