"""Names that an import brings which may fail without a word, where the file uses them all the same as it is run.

``try: import imp`` / ``except ImportError: pass`` guards the import, and not ``imp.reload`` further down.
"""

import ast

from pytest_py312.source.facts import Kind
from pytest_py312.source.fallbacks import OF_ALL, OF_IMPORTS
from pytest_py312.source.values import MANY, NONE, STD, Value
from pytest_py312.source.walking import Scan


def used(scan: Scan, node: ast.Name, value: Value, *, as_name: bool = False) -> None:
    """Notes a use of a name on the level of the module, where nothing that is tested stands round it.

    ``as_name``: it is read and no more, which ``None`` in its place does not harm.
    """
    scan.read_early.add(node.id)
    if scan.doubts or scan.shift is not None or value.kind not in (STD, MANY):
        return
    if value.kind is MANY:
        if as_name:
            return
        known = [one for one in value.data if one.kind is not NONE]
        if len(known) != 1 or known[0].kind is not STD:
            return
        value = known[0]
    if value.guard and value.path[-1:] != ")" and _may_have_failed(scan, value.guard):
        scan.refer(node, value, Kind.BARE, name=node.id)


def _may_have_failed(scan: Scan, bound: int) -> bool:
    """Whether the guard round an import catches its failure, and does not stand round what is read now as well."""
    here = scan.guard
    while here > 0:
        if here == bound:
            return False
        here = scan.guards[here].parent
    while bound > 0:
        if not (OF_IMPORTS | OF_ALL).isdisjoint(scan.guards[bound].caught):
            return True
        bound = scan.guards[bound].parent
    return False
