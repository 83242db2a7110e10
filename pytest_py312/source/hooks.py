"""Methods that the library looks up by their names, and no longer calls."""

import ast

from pytest_py312.source.conditions import dotted
from pytest_py312.source.values import OwnClass
from pytest_py312.source.walking import Scan

VISITORS = frozenset({"visit_Num", "visit_Str", "visit_Bytes", "visit_NameConstant", "visit_Ellipsis"})
FINDERS = frozenset({
    "importlib.abc.MetaPathFinder", "importlib.abc.PathEntryFinder", "importlib.abc.Finder",
    "_frozen_importlib_external.PathFinder", "importlib.machinery.PathFinder", "importlib.machinery.FileFinder",
})  # fmt: skip


def read_hooks(scan: Scan, node: ast.ClassDef, own: OwnClass) -> None:
    """Looks at the methods of one class."""
    bases = {dotted(base) for base in own.standard_bases()}
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            if statement.name in VISITORS and bases & {"ast.NodeVisitor", "ast.NodeTransformer"}:
                if own.get("visit_Constant") is None:
                    scan.rule("ast-visitor", statement, statement.name)
            elif statement.name in ("find_module", "find_loader"):
                _finder(scan, statement, own, bases)


def _finder(scan: Scan, method: ast.FunctionDef, own: OwnClass, bases: set[str]) -> None:
    if own.get("find_spec") is not None or own.foreign_bases():
        return
    arguments = len(method.args.posonlyargs) + len(method.args.args)
    if bases & FINDERS or (arguments in (2, 3) and scan.names_import_hooks()):
        scan.rule("find-module-hook", method, method.name, sure=bool(bases & FINDERS) or scan.names_import_hooks())
