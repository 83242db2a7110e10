"""Read the plan file within limits, and map its keys to line numbers."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_py312.core.errors import PlanError
from pytest_py312.repository.formats.toml import DeepKey, KeyPath, key_lines, parse_toml

PLAN_NAME = "py312.toml"
PYPROJECT_NAME = "pyproject.toml"
PYPROJECT_TABLE: KeyPath = ("tool", "pytest-py312")
"""The plan's table in a pyproject.toml."""

MAX_SIZE = 1024 * 1024
"""Largest plan file in bytes."""

_TOML_POSITION = re.compile(r" \(at line (\d+), column (\d+)\)$")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanFile:
    """A plan file that is valid TOML. Keys are paths below the plan's own table; indexes count from 0."""

    name: str
    """Relative to the plan's folder."""
    prefix: KeyPath
    table: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def line(self, key: KeyPath) -> int | None:
        """Return the line of ``key``, or of the table that lacks it; ``None`` if unknown."""
        path = (*self.prefix, *key)
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines[path] if len(path) >= len(self.prefix) and path else None

    def where(self, key: KeyPath) -> str:
        """Return ``py312.toml:12``, or only the path if the line is unknown."""
        line = self.line(key)
        return f"{self.name}:{line}" if line else self.name

    def error(self, key: KeyPath, message: str) -> PlanError:
        """Return an error at ``key``."""
        return PlanError(where=self.where(key), key=format_key(key), message=message)

    def value(self, key: KeyPath) -> object:
        """Return the value at ``key``; ``None`` if there is none."""
        node: Any = self.table
        for step in key:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return None
        return node


def format_key(key: KeyPath) -> str:
    """Format a key for people, with indexes that count from 1: ``stage[1].services``."""
    text = ""
    for step in key:
        if isinstance(step, int):
            text += f"[{step + 1}]"
        else:
            short = step if len(step) <= 80 else step[:77] + "..."
            part = short if _BARE_KEY.fullmatch(short) else json.dumps(short, ensure_ascii=False)
            text += f".{part}" if text else part
    return text


def read_plan_file(path: Path) -> PlanFile:
    """Read the table ``[tool.pytest-py312]`` of a ``pyproject.toml``, or the whole of any other TOML file.

    :raises PlanError: the file cannot be read, is too large, is not TOML, or is a ``pyproject.toml`` without the table.
    """
    return parse_plan_file(path.name, _read_text(path))


def parse_plan_file(name: str, text: str) -> PlanFile:
    """As :func:`read_plan_file`, from the text of a file with this name."""
    document = _parse(name, text)
    lines = key_lines(text, document)
    if name != PYPROJECT_NAME:
        return PlanFile(name=name, prefix=(), table=document, lines=lines)
    table = _plan_table(document)
    if table is None:
        raise PlanError(name, "", "has no table [tool.pytest-py312]; add one, or write the plan to py312.toml")
    if not isinstance(table, dict):
        where = PlanFile(name=name, prefix=(), table=document, lines=lines).where(PYPROJECT_TABLE)
        raise PlanError(
            where, format_key(PYPROJECT_TABLE), "is not a table; write [tool.pytest-py312] and the keys below it"
        )
    return PlanFile(name=name, prefix=PYPROJECT_TABLE, table=table, lines=lines)


def plan_file_in(folder: Path) -> Path | None:
    """Return the plan file in ``folder``, if there is one.

    :raises PlanError: there are two, or a ``pyproject.toml`` that contains ``pytest-py312`` cannot be read.
    """
    dedicated = folder / PLAN_NAME
    pyproject = folder / PYPROJECT_NAME
    in_pyproject = pyproject.is_file() and _pyproject_has_plan(pyproject)
    if dedicated.is_file():
        if in_pyproject:
            raise PlanError(
                PLAN_NAME, "", "pyproject.toml beside it has a second plan in [tool.pytest-py312]; keep one"
            )
        return dedicated
    return pyproject if in_pyproject else None


def _pyproject_has_plan(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except OSError:
        return False  # it may have no plan at all; the project's own tools report this
    if b"pytest-py312" not in data:
        return False  # the common case; a broken pyproject.toml without a plan is not reported here
    document = _parse(path.name, _read_text(path))
    return _plan_table(document) is not None


def _plan_table(document: Mapping[str, Any]) -> object:
    tool = document.get("tool")
    return tool.get("pytest-py312") if isinstance(tool, dict) else None


def _read_text(path: Path) -> str:
    name = path.name
    if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
        raise PlanError(name, "", "is a link that leads out of its folder; replace the link with the file")
    if path.exists() and not path.is_file():
        raise PlanError(name, "", "is not a file")
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except OSError as error:
        raise PlanError(name, "", f"cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_SIZE:
        raise PlanError(name, "", f"is larger than {MAX_SIZE // 1024**2} MiB, the limit for plan files")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PlanError(f"{name}:{line}", "", "is not UTF-8; save it as UTF-8") from None


def _parse(name: str, text: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except DeepKey as error:
        raise PlanError(f"{name}:{error.line}", "", "has a dotted key of more than 64 parts") from None
    except tomllib.TOMLDecodeError as error:
        position = _TOML_POSITION.search(str(error))
        if not position:
            raise PlanError(name, "", f"is not valid TOML: {error}") from None
        fault = str(error)[: position.start()]
        raise PlanError(f"{name}:{position[1]}", "", f"is not valid TOML: {fault} (column {position[2]})") from None
    except (ValueError, RecursionError):  # a number with thousands of digits, or brackets nested hundreds deep
        raise PlanError(name, "", "cannot be read: it has a number too long or a value nested too deep") from None
