"""Commands that the documentation shows: in fenced blocks of a shell, and in the steps of workflows."""

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

from pytest_py312 import plugin

ROOT = Path(__file__).parents[2]
NOT_RUN = {
    ".": "activates an environment",
    "apt-get": "changes the system",
    "brew": "changes the system, and is not for Linux",
    "cd": "of the reader's shell",
    "cat": "of the reader's shell",
    "cp": "of the reader's shell",
    "curl": "asks a server of the reader",
    "dask": "starts processes on other machines",
    "docker": "changes the engine of the reader",
    "export": "of the reader's shell",
    "gh": "changes a pull request of the reader",
    "git": "changes a repository of the reader",
    "head": "of the reader's shell",
    "iconv": "of the reader's shell",
    "jq": "is the tool of a reader",
    "kubectl": "changes a cluster",
    "mkdir": "of the reader's shell",
    "mkdocs": "is a step of .ci/run",
    "pip": "installs from an index that does not have this project yet",
    "pyenv": "compiles an interpreter",
    "pyperf": "is the tool of a reader, and its files have tests of their own",
    "pytest-benchmark": "is the tool of a reader, and its files have tests of their own",
    "python": "is a script of this project, with tests of its own",
    "python3": "makes an environment",
    "sed": "of the tutorial",
    "dnf": "changes the system",
    "promtool": "is the tool of a reader, and what it checks has tests of its own",
    "test": "of the reader's shell",
    "true": "of the reader's shell",
    "[": "of the reader's shell",
    "tox": "runs all tests on each Python",
    "twine": "is a step of .ci/run",
    "uv": "downloads an interpreter",
    "wsl": "is a command of Windows",
}
"""Program -> why no test runs it as it is printed. Commands of pytest and ``py312`` are parsed."""
_BLOCK = re.compile(r"^( *)```(sh|console|yaml|yml)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_STEP = re.compile(r"^\s*(?:- )?run: (?!\|)(.+)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=.*")
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
"""A value that a GitHub workflow inserts."""


@dataclass(frozen=True, kw_only=True)
class ShownCommand:
    """One command: its words without variables in front of it, and where it is."""

    page: Path
    line: int
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """The name of the program, without its folder."""
        return self.words[0].rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {shlex.join(self.words)}"


def pages() -> list[Path]:
    """Return all pages of the documentation."""
    return sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")])


def commands_in(page: Path) -> Iterator[ShownCommand]:
    """Yield the commands of a page in their order."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        first_line = text.count("\n", 0, block.start()) + 2
        if block[2] in ("yaml", "yml"):
            for step in _STEP.finditer(block[3]):
                number = first_line + block[3].count("\n", 0, step.start())
                yield from _commands_of_line(page, number, str(yaml.safe_load(_EXPRESSION.sub("VALUE", step[1]))))
            continue
        for number, line in logical_lines(block[3]):
            yield from _commands_of_line(page, first_line + number, line)


def logical_lines(block: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a shell block with their number, continued ones joined."""
    start, parts = 0, list[str]()
    for number, line in enumerate(block.splitlines()):
        if not parts:
            start = number
        parts.append(line.rstrip().removesuffix("\\"))
        if not line.rstrip().endswith("\\") and _is_whole(" ".join(parts)):
            yield start, " ".join(parts)
            parts = []


def _is_whole(line: str) -> bool:
    """Return whether each quotation mark is closed."""
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return False
    return True


def _commands_of_line(page: Path, number: int, line: str) -> Iterator[ShownCommand]:
    lexer = shlex.shlex(_EXPRESSION.sub("VALUE", line), posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    skips_file = False
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;()"):
            if words:
                yield ShownCommand(page=page, line=number, words=tuple(words))
            words = []
        elif set(word) <= set("<>"):
            skips_file = True
        elif skips_file:
            skips_file = False
        elif words or not (_ASSIGNMENT.fullmatch(word) or word in ("sudo", "timeout", "if", "then", "fi")):
            words.append(word)


class _OptionGroup:
    """Stands for the parser of pytest; hands the options of the plugin to argparse."""

    def __init__(self) -> None:
        self.parser = argparse.ArgumentParser(prog="pytest", allow_abbrev=False, exit_on_error=False)

    def getgroup(self, *_: str) -> "_OptionGroup":
        return self

    def addoption(self, name: str, *, action: str, **_: object) -> None:
        self.parser.add_argument(name, action=action if action in ("store", "append", "store_true") else "store")

    def addini(self, *_: object, **__: object) -> None:
        """Settings are not on a command line."""


@cache
def pytest_options() -> argparse.ArgumentParser:
    """Return a parser of the plugin's options."""
    group = _OptionGroup()
    plugin.pytest_addoption(group, pytest.PytestPluginManager())  # type: ignore[arg-type]  # stands for pytest's
    return group.parser


def wrong_option(words: tuple[str, ...]) -> str:
    """Return what is wrong with the ``--py312`` options of a pytest command; empty if nothing is."""
    wanted = [word for word in words[1:] if word.startswith("--py312")]
    parser = pytest_options()
    try:
        _, unknown = parser.parse_known_args(wanted)
    except argparse.ArgumentError as error:
        return str(error)
    return f"there is no option {unknown[0]}" if unknown else ""
