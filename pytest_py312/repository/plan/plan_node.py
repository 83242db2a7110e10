"""A value of the plan that knows its place in the file, and tables of such values, with errors that name the line."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from pytest_py312.core.errors import PlanError, did_you_mean
from pytest_py312.repository.formats.toml import KeyPath
from pytest_py312.repository.plan.plan_file import PlanFile

_MAX_ITEMS = 10_000
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""Texts of a plan are printed to terminals: tabs and line breaks are allowed, escape sequences are not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanNode:
    """A value of the plan, and its position in the file."""

    file: PlanFile
    key: KeyPath
    value: object

    def error(self, message: str) -> PlanError:
        return self.file.error(self.key, message)

    def unexpected(self, expected: str, example: str) -> PlanError:
        return self.error(f"expected {expected}, such as {example}; found {describe_value(self.value)}")

    def text(self, example: str) -> str:
        """Return a string that is not blank."""
        if not isinstance(self.value, str):
            raise self.unexpected("a string", example)
        if not self.value.strip():
            raise self.error(f"is empty; write something such as {example}, or leave it out")
        if CONTROL_CHARACTERS.search(self.value):
            raise self.error("has a control character in it; remove it")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.unexpected("true or false", "true")
        return self.value

    def number(self, expected: str, example: str) -> int | float:
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self.unexpected(expected, example)
        return self.value

    def integer(self, *, minimum: int, maximum: int, example: str) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.unexpected("a whole number", example)
        if not minimum <= self.value <= maximum:
            raise self.error(f"expected a whole number from {minimum} to {maximum}; found {describe_value(self.value)}")
        return self.value

    def items(self, example: str) -> "tuple[PlanNode, ...]":
        """Return the elements of a list that is not empty."""
        if not isinstance(self.value, list):
            raise self.unexpected("a list", example)
        if not self.value:
            raise self.error(f"is an empty list; write something such as {example}, or leave it out")
        if len(self.value) > _MAX_ITEMS:
            raise self.error(f"has more than {_MAX_ITEMS} elements")
        return tuple(
            PlanNode(file=self.file, key=(*self.key, index), value=item) for index, item in enumerate(self.value)
        )

    def members(self, example: str) -> "dict[str, PlanNode]":
        """Return the members of a table."""
        if not isinstance(self.value, dict):
            raise self.unexpected("a table", example)
        return {
            name: PlanNode(file=self.file, key=(*self.key, name), value=value) for name, value in self.value.items()
        }


def describe_value(value: object) -> str:
    """Describe a value in TOML's terms, short enough for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {json.dumps(_shortened(value), ensure_ascii=False)}"
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of very many digits"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, datetime | date | time):
        return f"the date or time {value.isoformat()}"
    if isinstance(value, list):
        return "a list"
    return "a table"


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


NodeReader = Callable[[PlanNode], Any]
FieldReaders = Mapping[str, NodeReader]
"""Key of a table -> reader. The field of the settings class has the name of the key, with underscores."""


def read_table(node: PlanNode, allowed_keys: tuple[str, ...], title: str) -> dict[str, PlanNode]:
    """Return the members of a table by key; unknown keys are errors. An underscore counts as a dash."""
    members: dict[str, PlanNode] = {}
    for key, member in node.members("a table").items():
        name = key.replace("_", "-")
        if name not in allowed_keys:
            raise member.error(
                f"`{title}` has no such key{did_you_mean(name, allowed_keys)}; its keys are {', '.join(allowed_keys)}"
            )
        if name in members:
            raise member.error(f'stands here twice, also as "{name}"; remove one')
        members[name] = member
    return members


def list_of_tables(node: PlanNode, name: str) -> tuple[PlanNode, ...]:
    """Return the tables ``[[name]]``."""
    if isinstance(node.value, dict):
        raise node.error(f"expected a list of tables; write [[{name}]], with two brackets, above each")
    return node.items(f"[[{name}]]")


def required_member(node: PlanNode, members: Mapping[str, PlanNode], key: str, example: str) -> PlanNode:
    if key not in members:
        raise node.error(f'has no "{key}"; add one, such as {key} = {example}')
    return members[key]


def read_values(
    members: Mapping[str, PlanNode], readers: FieldReaders, fields: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the values of a settings class by field; ``fields`` are those whose names differ from their keys."""
    names = {**{key: key.replace("-", "_") for key in readers}, **(fields or {})}
    return {names[key]: reader(members[key]) for key, reader in readers.items() if key in members}
