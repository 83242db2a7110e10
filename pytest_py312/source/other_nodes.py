"""Syntax that is newer than this scanner: nobody knows what it means, and what is inside of it is read all the same."""

import ast

from pytest_py312.source.operations import read_children
from pytest_py312.source.walking import HANDLERS, Scan, block, visit


def fill_in() -> None:
    """Gives all nodes of this interpreter's parser a handler (3.14 has text templates)."""
    for kind in list(vars(ast).values()):
        if isinstance(kind, type) and kind not in HANDLERS:
            if issubclass(kind, ast.expr):
                HANDLERS[kind] = read_children
            elif issubclass(kind, ast.stmt):
                HANDLERS[kind] = read_parts


def read_parts(scan: Scan, node: ast.stmt) -> None:
    for name in node._fields:
        child = getattr(node, name, None)
        if isinstance(child, list) and all(isinstance(item, ast.stmt) for item in child):
            block(scan, child)
        else:
            for item in child if isinstance(child, list) else [child]:
                if isinstance(item, ast.expr):
                    visit(scan, item)
