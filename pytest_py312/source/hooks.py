"""Methods that the library looks up by their names, and what it hands over to them."""

import ast

from pytest_py312.source.facts import Condition
from pytest_py312.source.naming import dotted
from pytest_py312.source.values import STD, OwnClass, Value
from pytest_py312.source.walking import Scan

VISITORS = frozenset({"visit_Num", "visit_Str", "visit_Bytes", "visit_NameConstant", "visit_Ellipsis"})
VISITING = frozenset({"ast.NodeVisitor", "ast.NodeTransformer"})
FINDERS = frozenset({
    "importlib.abc.MetaPathFinder", "importlib.abc.PathEntryFinder", "importlib.abc.Finder",
    "_frozen_importlib_external.PathFinder", "importlib.machinery.PathFinder", "importlib.machinery.FileFinder",
})  # fmt: skip


OLD_FINDERS = frozenset({"find_module", "find_loader"})


def is_called(own: OwnClass | None, method: str) -> Condition:
    """When the library calls a method: ``find_module`` beside ``find_spec`` up to 3.11, all others always."""
    old = method in OLD_FINDERS and own is not None and own.get("find_spec") is not None
    return ("version", "<", (3, 12), "full") if old else ()


def handed_over(own: OwnClass, method: str, parameter: ast.arg) -> dict[str, Value]:
    """What the library hands over to a method: ``visit_Constant(self, node)`` gets an ``ast.Constant``."""
    if parameter.annotation is not None or not method.startswith("visit_"):
        return {}
    if not {dotted(base) for base in own.standard_bases()} & VISITING:
        return {}
    kind = "Constant" if method in VISITORS else method.removeprefix("visit_")
    return {parameter.arg: Value(STD, "ast", f"{kind}()")} if kind.isidentifier() else {}


def read_hooks(scan: Scan, node: ast.ClassDef, own: OwnClass) -> None:
    """Looks at the methods of one class, when all of the file has been read."""
    bases = {dotted(base) for base in own.standard_bases()}
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            if statement.name in VISITORS and bases & VISITING:
                if own.get("visit_Constant") is None:
                    scan.rule("ast-visitor", statement, statement.name)
            elif statement.name in OLD_FINDERS:
                _finder(scan, statement, own, bases)


def _finder(scan: Scan, method: ast.FunctionDef, own: OwnClass, bases: set[str]) -> None:
    if own.get("find_spec") is not None or own.foreign_bases():
        return
    arguments = len(method.args.posonlyargs) + len(method.args.args)
    hooked = scan.names_import_hooks()
    if bases & FINDERS or (hooked and arguments in (1, 2, 3)):
        scan.rule("find-module-hook", method, method.name)
