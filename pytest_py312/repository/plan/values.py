"""Read single values of the plan, with errors that name the line, the value found and an example.

Each reader takes a :class:`PlanNode` and returns a value, or raises PlanError.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime

from pytest_py312.core.errors import did_you_mean
from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.plan import PlannedCommand
from pytest_py312.core.service_patterns import glob_problem, normalize_pattern
from pytest_py312.core.text import parse_duration, parse_size
from pytest_py312.repository.formats.commands.install_commands import read_install_command
from pytest_py312.repository.plan.plan_node import CONTROL_CHARACTERS, PlanNode, describe_value

MAX_DURATION = 7 * 24 * 3600
"""Longest time in seconds that a plan or a command line may name."""
_MIN_MEMORY = 32 * 1024**2
_MAX_MEMORY = 1024**5

_MINOR_VERSION = re.compile(r"3\.(\d{1,2})", re.ASCII)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UNZONED = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ][\d:.]+)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ENGINE = re.compile(r"unix:///\S+|ssh://[^\s/-][^\s/]*|tcp://(?:\[[0-9A-Fa-f:]+\]|[^\s/:@\[\]]+):\d{1,5}", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}", re.ASCII)


def choice(node: PlanNode, choices: Sequence[str]) -> str:
    """Read one of several words."""
    listed = ", ".join(f'"{word}"' for word in choices)
    word = node.text(f'"{choices[0]}"')
    if word not in choices:
        raise node.error(f"expected one of {listed}; found {describe_value(word)}{did_you_mean(word, list(choices))}")
    return word


def interpreter(node: PlanNode) -> Interpreter:
    """Read a version such as ``"3.12"``."""
    value = node.value
    if isinstance(value, float):
        raise node.error(f'is the number {value}; write it in quotes, such as "3.10": 3.10 without them is 3.1')
    text = node.text('"3.12"')
    match = _MINOR_VERSION.fullmatch(text)
    if match and str(int(match[1])) == match[1]:
        return Interpreter(3, int(match[1]))
    try:
        suggestion = f'; write "{Interpreter.parse(text)}"'
    except ValueError:
        suggestion = ""
    raise node.unexpected("a Python version of two numbers", '"3.12"' + suggestion)


def interpreters(node: PlanNode) -> tuple[Interpreter, ...]:
    """Read at least one version, none twice; sorted."""
    versions: list[Interpreter] = []
    for item in node.items('["3.9", "3.10", "3.11", "3.12"]'):
        version = interpreter(item)
        if version in versions:
            raise item.error(f'"{version}" stands here twice; remove one')
        versions.append(version)
    return tuple(sorted(versions))


def strings(node: PlanNode, example: str) -> tuple[str, ...]:
    """Read a list of strings that are not blank."""
    return tuple(item.text("a string") for item in node.items(example))


def one_or_more_names(node: PlanNode) -> tuple[str, ...]:
    """Read a name, or a list of names."""
    example = '"payments team"'
    return strings(node, example) if isinstance(node.value, list) else (node.text(example),)


def is_pattern(text: str) -> bool:
    """Return whether :func:`pattern` accepts a text."""
    return not glob_problem(text) and not CONTROL_CHARACTERS.search(text)


def pattern(node: PlanNode) -> str:
    """Read a name, a path below the root, or a glob of either."""
    text = node.text('"services/*"')
    if problem := glob_problem(text):
        raise node.error(f"{describe_value(text)} {problem}")
    return normalize_pattern(text)


def patterns(node: PlanNode) -> tuple[str, ...]:
    return tuple(pattern(item) for item in node.items('["services/*"]'))


def relative_path(node: PlanNode, example: str, *, allow_parent: bool = False) -> str:
    """Read a path that is not absolute, and without ``..`` unless ``allow_parent`` is set."""
    text = node.text(f'"{example}"')
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        raise node.error(f'{describe_value(text)} is absolute; write a relative path, such as "{example}"')
    if "\\" in text or any(ord(character) < 32 for character in text):
        raise node.error(f'{describe_value(text)} is no path in POSIX form; write it with /, such as "{example}"')
    if not allow_parent and ".." in text.split("/"):
        raise node.error(f'{describe_value(text)} has .. in it and may lead out; write a path such as "{example}"')
    return normalize_pattern(text)


def relative_paths(node: PlanNode, example: str, *, allow_parent: bool = False) -> tuple[str, ...]:
    return tuple(relative_path(item, example, allow_parent=allow_parent) for item in node.items(f'["{example}"]'))


def duration(node: PlanNode) -> float:
    """Read seconds, as a number or as ``"200ms"``, ``"90s"``, ``"15m"``, ``"2h"``, ``"2d"``."""
    parsed = parse_duration(node.value) if isinstance(node.value, str) else None
    seconds = _as_float(node.number("a time", '900 (seconds), "15m" or "2h"')) if parsed is None else parsed
    if not 0 < seconds <= MAX_DURATION:
        raise node.error(f"expected more than 0 seconds and at most 7 days; found {describe_value(node.value)}")
    return seconds


def hours(node: PlanNode) -> float:
    value = node.number("a number of hours", "24")
    if not 0 <= _as_float(value) <= 10 * 366 * 24:
        raise node.error(f"expected hours from 0 (never used again) to ten years; found {describe_value(value)}")
    return float(value)


def share(node: PlanNode) -> float:
    """Read a share of a whole: 0 to 1."""
    value = node.number("a share", "0.5 (one half)")
    if not 0 <= value <= 1:
        raise node.error(f"expected a share from 0 to 1; found {describe_value(value)}{percent_hint(value)}")
    return float(value)


def percent_hint(value: float) -> str:
    """Return the end of a message about a share that was perhaps written in percent."""
    return f"; for {value} % write {value / 100}" if 1 < value <= 100 else ""


def _as_float(value: int | float) -> float:
    return float(value) if abs(value) < 10**15 else math.inf  # also where an int is too large for a float


def memory(node: PlanNode) -> int:
    """Read bytes, as a number or as ``"512MiB"``, ``"2GiB"``, ``"1.5GB"``."""
    value = node.value
    if isinstance(value, str):
        parsed = parse_size(value)
        if parsed is None:
            raise node.unexpected("an amount of memory", '"512MiB", "2GiB" or "1.5GB"')
        amount = parsed
    elif isinstance(value, int) and not isinstance(value, bool):
        amount = _as_float(value) if abs(value) > _MAX_MEMORY else value
    else:
        raise node.unexpected("an amount of memory (a whole number is bytes)", '"512MiB", "2GiB" or "1.5GB"')
    if not _MIN_MEMORY <= amount <= _MAX_MEMORY:
        hint = f'; a number is bytes, perhaps you meant "{value}MiB"' if isinstance(value, int) and value > 0 else ""
        raise node.error(f"expected at least 32MiB and at most 1024TiB; found {describe_value(value)}{hint}")
    return int(amount)


def utc_timestamp(node: PlanNode) -> str:
    """Read an RFC 3339 text or a TOML offset date-time; return it in UTC, ``2026-11-01T00:00:00Z``."""
    value = node.value
    example = '"2026-11-01T00:00:00Z"'
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        try:
            timestamp = datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise node.error(f"{describe_value(value)} is not on the calendar: {error}") from None
    elif isinstance(value, datetime) and value.tzinfo is not None:
        timestamp = value
    elif isinstance(value, date) or (isinstance(value, str) and _UNZONED.fullmatch(value)):
        raise node.error(
            f"{describe_value(value)} has no zone: without one, each machine would resolve something else; "
            f"write it in UTC, such as {example}"
        )
    else:
        raise node.unexpected("a timestamp in UTC", example)
    try:
        return timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise node.error(f"{describe_value(value)} is not on the calendar in UTC") from None


def calendar_date(node: PlanNode) -> date:
    """Read a TOML date."""
    value = node.value
    if not isinstance(value, date) or isinstance(value, datetime):
        raise node.unexpected("a date without quotes", "2027-01-31")
    return value


def end_date(node: PlanNode, today: date) -> date:
    """Read a TOML date that is not in the past."""
    value = calendar_date(node)
    if value < today:
        raise node.error(f"ended on {value.isoformat()}; remove the waiver, or agree on a new date with its owner")
    return value


def command(node: PlanNode, example: str) -> tuple[str, ...]:
    """Read a command line as a list of words. The first is the program; later ones may be empty."""
    words = node.items(example)
    program = words[0].text(example)
    return (program, *(_word(word, '"-q"') for word in words[1:]))


def _word(node: PlanNode, example: str) -> str:
    """Read a string for a process, which may be empty."""
    if not isinstance(node.value, str):
        raise node.unexpected("a string", example)
    if "\0" in node.value:
        raise node.error("has a NUL character in it")
    return node.value


def commands(node: PlanNode) -> tuple[tuple[str, ...], ...]:
    example = '[["python", "-m", "grpc_tools.protoc", "--version"]]'
    return tuple(command(item, '["python", "-m", "grpc_tools.protoc"]') for item in node.items(example))


_INSTALL_EXAMPLE = '[["pip", "install", "-r", "requirements.txt"]]'


def install_commands(node: PlanNode) -> tuple[PlannedCommand, ...]:
    """Read commands that install, each a list of words; ``cd`` changes the folder of those that follow."""
    commands = []
    for item in node.items(_INSTALL_EXAMPLE):
        words = command(item, '["pip", "install", "-r", "requirements.txt"]')
        if words[0] != "cd" and read_install_command(words) is None:
            raise item.error(
                f'"{" ".join(words[:3])}" is no known command that installs something; write one of pip, uv, poetry, '
                "pdm, pipenv, hatch or conda as the service's image runs it"
            )
        commands.append(
            PlannedCommand(words=words, location=Location(path=item.file.name, line=item.file.line(item.key)))
        )
    return tuple(commands)


def environment(node: PlanNode) -> tuple[tuple[str, str], ...]:
    """Read environment variables. Values have to be strings, because processes see strings."""
    variables = []
    for name, member in node.members('{ TEST_ENVIRONMENT = "true" }').items():
        if not _VARIABLE.fullmatch(name):
            raise member.error("is no name of an environment variable (letters, digits and _, no digit first)")
        variables.append((name, _word(member, '"true"')))
    return tuple(variables)


def image(node: PlanNode, *, template: bool) -> str:
    """Read an image reference; a ``template`` contains ``{version}`` in place of the interpreter."""
    example = '"python:{version}-slim"' if template else '"python:3.12-slim"'
    text = node.text(example)
    if template and "{version}" not in text:
        raise node.error(f"has no {{version}}, so all interpreters would share one image; write it such as {example}")
    if not _IMAGE.fullmatch(text.replace("{version}", "3.12") if template else text):
        raise node.unexpected("the reference of an image", example)
    return text


def absolute_folder(node: PlanNode) -> str:
    """Read the absolute path of a folder, which need not be there on this machine."""
    path = node.text('"/mnt/shared"')
    if not path.startswith("/") or ".." in path.split("/"):
        raise node.unexpected("an absolute path", '"/mnt/shared"')
    return path


def engine_addresses(node: PlanNode) -> tuple[str, ...]:
    """Read the addresses of Docker engines, none twice."""
    example = '["ssh://user@host", "tcp://10.0.0.12:2376"]'
    addresses: list[str] = []
    for item in node.items(example):
        address = item.text("an address")
        if not _ENGINE.fullmatch(address):
            raise item.unexpected(
                "the address of a Docker engine", "unix:///run/docker.sock, ssh://user@host or tcp://host:2376"
            )
        if address in addresses:
            raise item.error(f'"{address}" stands here twice; remove one')
        addresses.append(address)
    return tuple(addresses)
