"""Turn the Python in files of other formats into a program that the scanner reads: each part on its own line. Pure."""

import re
from collections.abc import Iterator
from itertools import groupby
from textwrap import dedent

from pytest_py312.analysis.scanner.facts.stdlib_names import is_stdlib_module
from pytest_py312.repository.declarations.reader import is_dockerfile
from pytest_py312.repository.formats.commands.python_commands import PythonCommand, read_python_commands
from pytest_py312.repository.services.detection.entry_points import is_compose_file

_COMMAND_SUFFIXES = (".sh", ".bash", ".mk")
_COMMAND_FILES = frozenset({"Makefile", "GNUmakefile", "makefile", "Procfile"})
_CYTHON_SUFFIXES = (".pyx", ".pxi")
_NAME = r"\w+(?:[ \t]+as[ \t]+\w+)?"
_CYTHON_IMPORT = re.compile(
    r"(?:import[ \t]+(?P<module>[A-Za-z_][\w.]*)(?:[ \t]+as[ \t]+\w+)?"
    rf"|from[ \t]+(?P<source>[A-Za-z_][\w.]*)[ \t]+import[ \t]+{_NAME}(?:[ \t]*,[ \t]*{_NAME})*)"
    r"[ \t]*(?:#.*)?",
    re.ASCII,
)
_FIRST_ITEM = "0,"
"""A statement cannot be indented, but the second item of a tuple can be at any column."""


def may_embed_python(name: str) -> bool:
    """Return whether a file of this name may contain Python without being Python."""
    return (
        name.endswith((*_COMMAND_SUFFIXES, *_CYTHON_SUFFIXES))
        or name in _COMMAND_FILES
        or is_dockerfile(name)
        or is_compose_file(name)
    )


def embedded_python(text: str, name: str) -> str:
    """Return the Python in the file ``name``, on the lines where it is; empty if it has none.

    Of Cython these are the imports of standard modules that are not indented. Other files have commands: each becomes
    the list of its words, at its column, which the scanner reads like the argument of ``subprocess.run``.
    """
    lines = dict(_cython_imports(text) if name.endswith(_CYTHON_SUFFIXES) else _command_lists(text))
    return "".join(f"{lines.get(number, '')}\n" for number in range(1, max(lines, default=0) + 1))


def _cython_imports(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        match = _CYTHON_IMPORT.fullmatch(line)
        if match and is_stdlib_module(match["module"] or match["source"]):
            yield number, line


def _command_lists(text: str) -> Iterator[tuple[int, str]]:
    for number, commands in groupby(read_python_commands(text), key=lambda command: command.line):
        program = ""
        for command in commands:
            if not program and command.column > len(_FIRST_ITEM):
                program = _FIRST_ITEM
            program = f"{program.ljust(command.column - 1) if program else ''}{_words(command)!r},"
        yield number, program


def _words(command: PythonCommand) -> list[str]:
    return ["python", "-m", command.module] if command.module else ["python", "-c", dedent(command.code)]
