"""Syntax that is newer than the scanner."""

import ast
from typing import Any
from unittest import mock

from pytest_py312.analysis.scanner.evaluation.scan_state import HANDLERS, ScanState, read_block
from pytest_py312.analysis.scanner.scan import register_fallback_handlers


class Template(ast.expr):
    """An expression of a future Python."""

    _fields = ("values",)


class Whenever(ast.stmt):
    """A statement of a future Python."""

    _fields = ("test", "body", "name")


def test_code_inside_of_unknown_syntax_is_read() -> None:
    saved_handlers = dict(HANDLERS)
    with mock.patch.multiple(ast, create=True, Template=Template, Whenever=Whenever):
        register_fallback_handlers()
    try:
        scan = ScanState(local_modules=frozenset())
        inner = ast.parse("import imp\nimp.reload\n").body
        new: Any = Whenever, Template
        read_block(scan, [new[0](test=new[1](values=[ast.Constant(1), ast.Constant(2)]), body=inner, name="x")])
    finally:
        HANDLERS.clear()
        HANDLERS.update(saved_handlers)
    assert [(one.module, one.path) for one in scan.references] == [("imp", ""), ("imp", "reload")]


def test_all_node_types_of_this_python_have_handlers() -> None:
    nodes = [kind for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.expr | ast.stmt)]
    assert nodes
    assert set(nodes) <= set(HANDLERS)
