"""Dicts whose keys are known: what is put in and taken out before they are handed on as keywords.

Functions that hand the keywords they do not know themselves on to another, which takes or refuses them.
"""

import ast
from collections.abc import Mapping

from pytest_py312.analysis.scanner.evaluation.names import dotted, named
from pytest_py312.analysis.scanner.evaluation.scan_state import Scan, visit
from pytest_py312.analysis.scanner.evaluation.values import STD, TEXT, UNKNOWN, Given, Keys, Value
from pytest_py312.analysis.scanner.facts.facts import Call, Kind

METHODS = frozenset({"builtins.dict().pop", "builtins.dict().setdefault", "builtins.dict().update"})


def item_set(scan: Scan, target: ast.Subscript, owner: Value, key: Value, value: Value) -> None:
    """``options["loop"] = loop``"""
    if key.kind is TEXT:
        _put(scan, target.value, owner, {key.data: value})


def deleted(scan: Scan, target: ast.expr) -> None:
    """``del options["loop"]``"""
    visit(scan, target)
    key = getattr(target.slice, "value", None) if isinstance(target, ast.Subscript) else None
    if isinstance(target, ast.Subscript) and isinstance(key, str):
        _take(named(scan, target.value), key)


def method_called(scan: Scan, node: ast.Call, name: str, arguments: Given) -> None:
    """``options.pop("loop", None)``, ``options.update(loop=loop)``"""
    if not isinstance(node.func, ast.Attribute):
        return
    owner = named(scan, node.func.value)
    if name.endswith(".update"):
        _put(scan, node.func.value, owner, arguments.named)
    elif arguments and arguments[0].kind is TEXT:
        if name.endswith(".pop"):
            _take(owner, arguments[0].data)
        else:
            _put(scan, node.func.value, owner, {arguments[0].data: arguments.at(1, "")})


def _put(scan: Scan, node: ast.expr, owner: Value, items: Mapping[str, Value]) -> None:
    """What is put into a dict of this scope, and not in a branch only: what is no more than possible is not told."""
    is_here = scan.log is None and isinstance(node, ast.Name) and node.id in scan.names
    if not is_here or dotted(owner) != "builtins.dict()" or owner.data.__class__ is not Keys:
        return
    for key, value in items.items():
        owner.data = owner.data.with_item(key, value if value.kind is TEXT else UNKNOWN)


def _take(owner: Value, key: str) -> None:
    """Also where only a branch takes it."""
    if dotted(owner) == "builtins.dict()" and owner.data.__class__ is Keys:
        owner.data = owner.data.without(key)


_POPEN = Value(STD, "subprocess", "Popen")
_LOOP = "SelectorEventLoop"
_STREAMS = {"limit", "loop"}
_HANDED_ON: dict[str, tuple[Value, set[str]]] = {
    "subprocess.call": (_POPEN, {"timeout"}),
    "subprocess.check_call": (_POPEN, {"timeout"}),
    "subprocess.check_output": (_POPEN, {"timeout", "input", "check", "capture_output"}),
    "subprocess.run": (_POPEN, {"timeout", "input", "check", "capture_output"}),
    "asyncio.create_subprocess_exec": (_POPEN, _STREAMS),
    "asyncio.create_subprocess_shell": (_POPEN, _STREAMS),
    "asyncio.open_connection": (Value(STD, "asyncio", f"{_LOOP}.create_connection"), _STREAMS),
    "asyncio.open_unix_connection": (Value(STD, "asyncio", f"{_LOOP}.create_unix_connection"), _STREAMS),
    "asyncio.start_server": (Value(STD, "asyncio", f"{_LOOP}.create_server"), _STREAMS),
    "asyncio.start_unix_server": (Value(STD, "asyncio", f"{_LOOP}.create_unix_server"), _STREAMS),
}
"""Function -> whom it hands its keywords on to, and those that it takes itself."""
NAMES = frozenset(_HANDED_ON)


def keywords_handed_on(scan: Scan, node: ast.Call, name: str, value: Value, arguments: Given) -> None:
    receiver, own = _HANDED_ON[name]
    keywords = tuple([keyword for keyword in arguments.named if keyword not in own])
    if keywords:
        known = Value(STD, receiver.module, receiver.path, value.guard)
        scan.refer(node.func, known, Kind.USE, Call(0, keywords, starred=False, double_starred=True))
