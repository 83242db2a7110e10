"""Tables of the plan whose keys are all known, and their values as the fields of a settings class."""

from collections.abc import Callable, Mapping
from typing import Any

from pytest_py312.errors import perhaps
from pytest_py312.plan_values import Node

Reader = Callable[[Node], Any]
Readers = Mapping[str, tuple[str, Reader]]
"""Key -> the field it stands for, and how it is read."""


def table(node: Node, known: tuple[str, ...], title: str) -> dict[str, Node]:
    """The keys of a table, all of them known. An underscore may stand for the dash."""
    found: dict[str, Node] = {}
    for written, member in node.members("a table").items():
        name = written.replace("_", "-")
        if name not in known:
            raise member.error(f"`{title}` has no such key{perhaps(name, known)}; its keys are {', '.join(known)}")
        if name in found:
            raise member.error(f'stands here twice, also as "{name}"; remove one')
        found[name] = member
    return found


def values(members: Mapping[str, Node], readers: Readers) -> dict[str, Any]:
    return {field: reader(members[key]) for key, (field, reader) in readers.items() if key in members}
