"""Tables with an entry for each Python: ``ABI[sys.version_info.minor]`` raises a KeyError on one without an entry."""

import ast
from collections.abc import Hashable, Iterator

from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.version_expressions import (
    expression_mentions_version,
    values_by_release,
)
from pytest_py312.analysis.scanner.facts.facts import enclosing_guards

_CHANGING_METHODS = frozenset({"setdefault", "update", "pop", "popitem", "clear", "__setitem__", "__contains__"})


def read_tables(tree: ast.Module) -> dict[str, frozenset[Hashable]]:
    """Return the keys of the dictionaries that a module binds once, and of which it neither changes nor tests keys."""
    tables: dict[str, frozenset[Hashable]] = {}
    for statement in tree.body:
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        keys = _keys_of(value)
        if keys and len(targets) == 1 and isinstance(targets[0], ast.Name):
            tables[targets[0].id] = keys
    for name in _changed_names(tree) if tables else ():
        tables.pop(name, None)
    return tables


def _keys_of(node: ast.expr | None) -> frozenset[Hashable]:
    """Return the keys of a dictionary if all of them are constants; otherwise none."""
    if not isinstance(node, ast.Dict):
        return frozenset()
    keys: list[Hashable] = []
    for key in node.keys:
        items = key.elts if isinstance(key, ast.Tuple) else [key]
        constants = [item.value for item in items if isinstance(item, ast.Constant)]
        if len(constants) < len(items):
            return frozenset()
        keys.append(tuple(constants) if isinstance(key, ast.Tuple) else constants[0])
    return frozenset(keys)


def _changed_names(tree: ast.Module) -> Iterator[str]:
    bound: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                if name in bound:
                    yield name
                bound.add(name)
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                yield name
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if attribute in _CHANGING_METHODS:
                yield name
            case ast.Compare(ops=[ast.In() | ast.NotIn(), *_], comparators=[ast.Name(id=name), *_]):
                yield name
            case _:
                pass


def check_version_table(scan: ScanState, node: ast.Subscript) -> None:
    """Match a table by the version that has entries for some versions of Python and none for others."""
    if not scan.may_mention_version or not isinstance(node.ctx, ast.Load):
        return
    keys = scan.tables.get(node.value.id) if isinstance(node.value, ast.Name) else _keys_of(node.value)
    if not keys or not expression_mentions_version(scan, node.slice):
        return
    values = values_by_release(scan, node.slice)
    missing = tuple(release for release, value in values.items() if value not in keys)
    is_caught = any(guard.caught for guard in enclosing_guards(scan.guards, scan.guard))
    if len(missing) == len(values) or not missing or is_caught:
        return
    with scan.restored("guard"):
        scan.guard = scan.nested_guard(("version", "in", missing, "two"))
        scan.add_rule_match("version-table", node, ast.unparse(node)[:80])
