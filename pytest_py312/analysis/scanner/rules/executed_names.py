"""Names that ``exec`` binds in a function, and that ``locals()`` no longer has from 3.13 on (PEP 667)."""

import ast
from collections.abc import Iterator
from typing import Any

from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState

_OTHER_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp,
                 ast.DictComp, ast.GeneratorExp)  # fmt: skip
_CONDITIONAL = (ast.If, ast.IfExp, ast.Try, ast.While, ast.Match)
"""Code in them may be for other releases, or handle the failure."""


def names_of_exec(scan: ScanState, node: Any) -> None:
    """Match ``exec(text)`` followed by ``locals()["name"]`` in a function, for a name that nothing else binds."""
    executed = False
    reads: list[tuple[ast.Subscript, str]] = []
    bound = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    for inner in _nodes_in_order(node.body):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            bound.add(inner.id)
        elif isinstance(inner, ast.Call) and _calls(inner, "exec"):
            executed = executed or (len(inner.args) == 1 and not inner.keywords)
        elif executed and isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Load):
            key = inner.slice
            is_locals = isinstance(inner.value, ast.Call) and _calls(inner.value, "locals")
            if is_locals and isinstance(key, ast.Constant) and isinstance(key.value, str):
                reads.append((inner, key.value))
    if not reads or any(scan.lookup(name) is not None for name in ("exec", "locals")):
        return
    bound |= {name for inner in ast.walk(node) if (name := _name_bound_by(inner))}
    for subscript, name in reads:
        if name not in bound:
            scan.add_rule_match("exec-locals", subscript, f'locals()["{name}"]')


def _calls(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == name


def _nodes_in_order(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes that run in any case when the function is called, in their order in the text."""
    pending: list[ast.AST] = list(reversed(statements))
    while pending:
        node = pending.pop()
        if isinstance(node, (*_OTHER_SCOPES, *_CONDITIONAL)):
            continue
        yield node
        pending += reversed(list(ast.iter_child_nodes(node)))


def _name_bound_by(node: ast.AST) -> str:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.alias):
        return node.asname or node.name.partition(".")[0]
    return getattr(node, "name", None) or ""
