"""Syntax that the scanner does not know."""

import ast
from typing import Any
from unittest import mock

from pytest_py312.analysis.scanner.evaluation.scan_state import HANDLERS, Scan, block
from pytest_py312.analysis.scanner.scan import fill_in


class Template(ast.expr):
    """An expression of a Python to come."""

    _fields = ("values",)


class Whenever(ast.stmt):
    """A statement of a Python to come."""

    _fields = ("test", "body", "name")


def test_what_is_inside_of_syntax_to_come_is_read() -> None:
    before = dict(HANDLERS)
    with mock.patch.multiple(ast, create=True, Template=Template, Whenever=Whenever):
        fill_in()
    try:
        scan = Scan(local=frozenset())
        inner = ast.parse("import imp\nimp.reload\n").body
        new: Any = Whenever, Template
        block(scan, [new[0](test=new[1](values=[ast.Constant(1), ast.Constant(2)]), body=inner, name="x")])
    finally:
        HANDLERS.clear()
        HANDLERS.update(before)
    assert [(one.module, one.path) for one in scan.references] == [("imp", ""), ("imp", "reload")]


def test_all_nodes_of_this_python_are_known() -> None:
    nodes = [kind for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.expr | ast.stmt)]
    assert nodes
    assert set(nodes) <= set(HANDLERS)
