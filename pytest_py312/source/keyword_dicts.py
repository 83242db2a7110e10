"""Dicts whose keys are known: what is put in and taken out before they are handed on as keywords."""

import ast
from collections.abc import Mapping

from pytest_py312.source.naming import dotted, named
from pytest_py312.source.values import TEXT, UNKNOWN, Given, Keys, Value
from pytest_py312.source.walking import Scan, visit

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
