"""One value of the plan -> the value meant, or a PlanError that names its line, what was found and what to write.

Tables of the plan whose keys are all known, and their values as the fields of a settings class.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from pytest_py312.core.errors import PlanError, perhaps
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.service_patterns import glob_problem, tidy
from pytest_py312.repository.formats.toml import KeyPath
from pytest_py312.repository.plan.plan_file import PlanFile

_MOST_ITEMS = 10_000
LONGEST_TIME = 7 * 24 * 3600
"""Seconds of the longest time that a plan or a command line may name."""
_LEAST_MEMORY = 32 * 1024**2
_MOST_MEMORY = 1024**5

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""A plan's words reach terminals: tabs and line breaks may stand in them, escape sequences may not."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1} | {
    prefix + suffix: base**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix, base in (("", 1000), ("i", 1024))
}
_MINOR = re.compile(r"3\.(\d{1,2})", re.ASCII)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UNZONED = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ][\d:.]+)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One value of the plan, and where it stands."""

    file: PlanFile
    key: KeyPath
    value: object

    def error(self, message: str) -> PlanError:
        return self.file.error(self.key, message)

    def unexpected(self, expected: str, example: str) -> PlanError:
        return self.error(f"expected {expected}, such as {example}; found {described(self.value)}")

    def text(self, example: str) -> str:
        """A string with something in it."""
        if not isinstance(self.value, str):
            raise self.unexpected("a string", example)
        if not self.value.strip():
            raise self.error(f"is empty; write something such as {example}, or leave it out")
        if _CONTROL.search(self.value):
            raise self.error("has a control character in it; remove it")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.unexpected("true or false", "true")
        return self.value

    def integer(self, *, least: int, most: int, example: str) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.unexpected("a whole number", example)
        if not least <= self.value <= most:
            raise self.error(f"expected a whole number from {least} to {most}; found {described(self.value)}")
        return self.value

    def items(self, example: str) -> "tuple[Node, ...]":
        """The elements of a list that is not empty."""
        if not isinstance(self.value, list):
            raise self.unexpected("a list", example)
        if not self.value:
            raise self.error(f"is an empty list; write something such as {example}, or leave it out")
        if len(self.value) > _MOST_ITEMS:
            raise self.error(f"has more than {_MOST_ITEMS} elements")
        return tuple(Node(file=self.file, key=(*self.key, index), value=item) for index, item in enumerate(self.value))

    def members(self, example: str) -> "dict[str, Node]":
        """The keys of a table."""
        if not isinstance(self.value, dict):
            raise self.unexpected("a table", example)
        return {name: Node(file=self.file, key=(*self.key, name), value=value) for name, value in self.value.items()}


def described(value: object) -> str:
    """What a value is, in TOML's words, short enough for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {json.dumps(_cut(value), ensure_ascii=False)}"
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of very many digits"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, datetime | date | time):
        return f"the date or time {value.isoformat()}"
    if isinstance(value, list):
        return "a list"
    return "a table"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def choice(node: Node, choices: Sequence[str]) -> str:
    """One of a few words."""
    listed = ", ".join(f'"{word}"' for word in choices)
    word = node.text(f'"{choices[0]}"')
    if word not in choices:
        raise node.error(f"expected one of {listed}; found {described(word)}{perhaps(word, list(choices))}")
    return word


def interpreter(node: Node) -> Interpreter:
    """``"3.12"``."""
    value = node.value
    if isinstance(value, float):
        raise node.error(f'is the number {value}; write it in quotes, such as "3.10": 3.10 without them is 3.1')
    text = node.text('"3.12"')
    match = _MINOR.fullmatch(text)
    if match and str(int(match[1])) == match[1]:
        return Interpreter(3, int(match[1]))
    try:
        meant = f'; write "{Interpreter.parse(text)}"'
    except ValueError:
        meant = ""
    raise node.unexpected("a Python version of two numbers", '"3.12"' + meant)


def interpreters(node: Node) -> tuple[Interpreter, ...]:
    """At least one, none twice; sorted as versions."""
    found: list[Interpreter] = []
    for item in node.items('["3.9", "3.10", "3.11", "3.12"]'):
        one = interpreter(item)
        if one in found:
            raise item.error(f'"{one}" stands here twice; remove one')
        found.append(one)
    return tuple(sorted(found))


def strings(node: Node, example: str) -> tuple[str, ...]:
    """A list of strings, none of them empty."""
    return tuple(item.text("a string") for item in node.items(example))


def pattern(node: Node) -> str:
    """A name, a path below the root or a glob of either."""
    text = node.text('"services/*"')
    if problem := glob_problem(text):
        raise node.error(f"{described(text)} {problem}")
    return tidy(text)


def patterns(node: Node) -> tuple[str, ...]:
    return tuple(pattern(item) for item in node.items('["services/*"]'))


def relative_path(node: Node, example: str, *, upward: bool = False) -> str:
    """A path that is not absolute; without ``upward`` it has no ``..`` either."""
    text = node.text(f'"{example}"')
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        raise node.error(f'{described(text)} is absolute; write a relative path, such as "{example}"')
    if "\\" in text or any(ord(character) < 32 for character in text):
        raise node.error(f'{described(text)} is no path in POSIX form; write it with /, such as "{example}"')
    if not upward and ".." in text.split("/"):
        raise node.error(f'{described(text)} has .. in it and may lead out; write a path such as "{example}"')
    return tidy(text)


def paths_below(node: Node, example: str, *, upward: bool = False) -> tuple[str, ...]:
    return tuple(relative_path(item, example, upward=upward) for item in node.items(f'["{example}"]'))


def seconds_in(text: str) -> float | None:
    """``"90s"``, ``"15m"``, ``"2h"``, ``"2d"`` in seconds; ``None`` where it is no such time."""
    match = _DURATION.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def duration(node: Node) -> float:
    """Seconds, from a number of seconds or ``"90s"``, ``"15m"``, ``"2h"``, ``"2d"``."""
    value = node.value
    if isinstance(value, str):
        found = seconds_in(value)
        if found is None:
            raise node.unexpected("a time", '900 (seconds), "15m" or "2h"')
        seconds = found
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = _as_float(value)
    else:
        raise node.unexpected("a time", '900 (seconds), "15m" or "2h"')
    if not 0 < seconds <= LONGEST_TIME:
        raise node.error(f"expected more than 0 seconds and at most 7 days; found {described(value)}")
    return seconds


def hours(node: Node) -> float:
    value = node.value
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise node.unexpected("a number of hours", "24")
    if not 0 <= _as_float(value) <= 10 * 366 * 24:
        raise node.error(f"expected hours from 0 (never used again) to ten years; found {described(value)}")
    return float(value)


def _as_float(value: int | float) -> float:
    return float(value) if abs(value) < 10**15 else math.inf  # also where an int is too large for a float


def memory(node: Node) -> int:
    """Bytes, from a number of bytes or ``"512MiB"``, ``"2GiB"``, ``"1.5GB"``."""
    value = node.value
    if isinstance(value, str):
        match = _MEMORY.fullmatch(value.strip())
        if not match:
            raise node.unexpected("an amount of memory", '"512MiB", "2GiB" or "1.5GB"')
        amount = float(match[1]) * _BYTES[(match[2] or "").lower()]
    elif isinstance(value, int) and not isinstance(value, bool):
        amount = _as_float(value) if abs(value) > _MOST_MEMORY else value
    else:
        raise node.unexpected("an amount of memory (a whole number is bytes)", '"512MiB", "2GiB" or "1.5GB"')
    if not _LEAST_MEMORY <= amount <= _MOST_MEMORY:
        hint = f'; a number is bytes, perhaps you meant "{value}MiB"' if isinstance(value, int) and value > 0 else ""
        raise node.error(f"expected at least 32MiB and at most 1024TiB; found {described(value)}{hint}")
    return int(amount)


def cut_off(node: Node) -> str:
    """A moment, from RFC 3339 text or a TOML offset date-time; in UTC, ``2026-11-01T00:00:00Z``."""
    value = node.value
    example = '"2026-11-01T00:00:00Z"'
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise node.error(f"{described(value)} is not on the calendar: {error}") from None
    elif isinstance(value, datetime) and value.tzinfo is not None:
        moment = value
    elif isinstance(value, date) or (isinstance(value, str) and _UNZONED.fullmatch(value)):
        raise node.error(
            f"{described(value)} has no zone: it would be local time, so each machine would resolve something else; "
            f"write the moment in UTC, such as {example}"
        )
    else:
        raise node.unexpected("a moment in UTC", example)
    try:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise node.error(f"{described(value)} is not on the calendar in UTC") from None


def end_date(node: Node, today: date) -> date:
    """A TOML date that is not over."""
    value = node.value
    if not isinstance(value, date) or isinstance(value, datetime):
        raise node.unexpected("a date without quotes", "2027-01-31")
    if value < today:
        raise node.error(f"ended on {value.isoformat()}; remove the waiver, or agree on a new date with its owner")
    return value


def command(node: Node, example: str) -> tuple[str, ...]:
    """A command line as a list of words; the first is the program, and later ones may be empty."""
    words = node.items(example)
    first = words[0].text(example)
    for word in words[1:]:
        if not isinstance(word.value, str):
            raise word.unexpected("a string", '"-q"')
        if "\0" in word.value:
            raise word.error("has a NUL character in it")
    return (first, *(str(word.value) for word in words[1:]))


def commands(node: Node) -> tuple[tuple[str, ...], ...]:
    example = '[["python", "-m", "grpc_tools.protoc", "--version"]]'
    return tuple(command(item, '["python", "-m", "grpc_tools.protoc"]') for item in node.items(example))


def environment(node: Node) -> tuple[tuple[str, str], ...]:
    """Variables; their values are strings, because that is what a process sees."""
    found = []
    for name, member in node.members('{ TEST_ENVIRONMENT = "true" }').items():
        if not _VARIABLE.fullmatch(name):
            raise member.error("is no name of an environment variable (letters, digits and _, no digit first)")
        if not isinstance(member.value, str):
            raise member.unexpected("a string", '"true"')
        if "\0" in member.value:
            raise member.error("has a NUL character in it")
        found.append((name, member.value))
    return tuple(found)


def image(node: Node, *, template: bool) -> str:
    """The reference of an image; a ``template`` has ``{version}`` where the interpreter goes."""
    example = '"python:{version}-slim"' if template else '"python:3.12-slim"'
    text = node.text(example)
    if template and "{version}" not in text:
        raise node.error(f"has no {{version}}, so all interpreters would share one image; write it such as {example}")
    if not _IMAGE.fullmatch(text.replace("{version}", "3.12") if template else text):
        raise node.unexpected("the reference of an image", example)
    return text


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
