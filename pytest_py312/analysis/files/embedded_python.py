"""Turn the Python in files of other formats into a program that the scanner reads: each part on its own line. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import dedent

from pytest_py312.analysis.scanner.facts.stdlib_names import is_stdlib_module
from pytest_py312.core.python_syntax import parse_python
from pytest_py312.repository.declarations.reader import MAKEFILE_NAMES, is_program_settings
from pytest_py312.repository.formats.commands.crontab import cron_commands, is_crontab
from pytest_py312.repository.formats.commands.python_commands import PythonCommand, read_python_commands
from pytest_py312.repository.formats.dockerfile import is_dockerfile, read_dockerfile
from pytest_py312.repository.formats.functions.serverless import has_inline_code, read_inline_code
from pytest_py312.repository.formats.text_positions import blanked
from pytest_py312.repository.services.detection.entry_points import is_compose_file

_COMMAND_SUFFIXES = (".sh", ".bash", ".mk")
_COMMAND_FILES = frozenset({*MAKEFILE_NAMES, "Procfile"})
_CYTHON_SUFFIXES = (".pyx", ".pxi")
_NAME = r"\w+(?:[ \t]+as[ \t]+\w+)?"
_CYTHON_IMPORT = re.compile(
    r"(?:import[ \t]+(?P<module>[A-Za-z_][\w.]*)(?:[ \t]+as[ \t]+\w+)?"
    rf"|from[ \t]+(?P<source>[A-Za-z_][\w.]*)[ \t]+import[ \t]+{_NAME}(?:[ \t]*,[ \t]*{_NAME})*)"
    r"[ \t]*(?:#.*)?",
    re.ASCII,
)
_YAML_SUFFIXES = (".yaml", ".yml")
_IMAGE_OF_PYTHON_2 = re.compile(r"image:[ \t]*[\"']?(?:[\w.:-]+/){0,5}python:2(?:\.7)?(?![\w.])", re.ASCII)
_KIND = re.compile(r"^kind:", re.MULTILINE)
_CONTAINERS = re.compile(r"^[ \t-]{0,100}(?:containers|initContainers):", re.MULTILINE)
_CONFIG_MAP = re.compile(r"^kind:[ \t]*[\"']?ConfigMap\b", re.MULTILINE)
_PYTHON_OF_CONFIG_MAP = re.compile(
    r"^(?P<indent>[ ]{1,20})[\"']?[\w.-]{1,200}\.py[\"']?:[ \t]*\|[+-]?[ \t]*\r?\n"
    r"(?P<code>(?:(?P=indent)[ ].*\n?|[ \t]*\r?\n)+)",
    re.MULTILINE,
)
_LONG_TEXT = re.compile(r"\"{3}.*?\"{3}|'{3}.*?'{3}", re.DOTALL)
_PYTHON_2 = re.compile(r"python:2\b")
_UNKNOWN_IMPORT = re.compile(r"\b(?:import|from)[ \t]+[\w., ]*\bexpanded\b")
"""An import of what a variable of the shell names."""
_MAX_CODE = 20_000
_FIRST_ITEM = "0,"
"""A statement cannot be indented, but the second item of a tuple can be at any column."""


def may_embed_python(path: str) -> bool:
    """Return whether a file at this path may contain Python without being Python."""
    name = path.rpartition("/")[2]
    return (
        name.endswith((*_COMMAND_SUFFIXES, *_CYTHON_SUFFIXES, *_YAML_SUFFIXES))
        or name in _COMMAND_FILES
        or is_dockerfile(name)
        or is_program_settings(name)
        or is_crontab(path)
    )


def embedded_python(text: str, path: str) -> str:
    """Return the Python in the file at ``path``, on the lines where it is; empty if it has none.

    Of Cython these are the imports of standard modules that are not indented. Other files have commands: each becomes
    the list of its words, at its column, which the scanner reads like the argument of ``subprocess.run``.
    """
    name = path.rpartition("/")[2]
    if name.endswith(_CYTHON_SUFFIXES):
        lines = dict(_cython_imports(text))
    elif name.endswith(_YAML_SUFFIXES) and has_inline_code(text):
        lines = dict(_command_lists(tuple(read_inline_code(text))))
    elif name.endswith(_YAML_SUFFIXES) and _CONFIG_MAP.search(text):
        modules = [*_modules_of_config_map(text), *read_python_commands(text)]
        lines = dict(_command_lists(sorted(modules, key=lambda command: (command.line, command.column))))
    elif name.endswith(_YAML_SUFFIXES) and not (is_compose_file(name) or _is_manifest(text)):
        return ""
    else:
        text = _of_python_stages(text, name) if is_dockerfile(name) else text
        text = cron_commands(text) if is_crontab(path) else text
        lines = dict(_command_lists(read_python_commands(text)))
    return "".join(f"{lines.get(number, '')}\n" for number in range(1, max(lines, default=0) + 1))


def _is_manifest(text: str) -> bool:
    """Return whether it has an object of Kubernetes that starts containers, none of them with Python 2."""
    return bool(_CONTAINERS.search(text) and _KIND.search(text)) and not _IMAGE_OF_PYTHON_2.search(text)


def _modules_of_config_map(text: str) -> Iterator[PythonCommand]:
    """Yield the modules that an object of Kubernetes has as text, ``settings.py: |``: a container runs them."""
    for match in _PYTHON_OF_CONFIG_MAP.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield PythonCommand(line=line, code=match["code"], column=len(match["indent"]) + 3)


def _cython_imports(text: str) -> Iterator[tuple[int, str]]:
    without_texts = _LONG_TEXT.sub(blanked, text)
    for number, line in enumerate(without_texts.split("\n"), 1):
        match = _CYTHON_IMPORT.fullmatch(line.rstrip("\r"))
        if match and is_stdlib_module(match["module"] or match["source"]):
            yield number, line.rstrip("\r")


def _of_python_stages(text: str, path: str) -> str:
    """Replace the stages of other images by blanks: their Python is that of a distribution, or Python 2."""
    stages = read_dockerfile(text, path).stages
    lines = text.split("\n")
    for number, stage in enumerate(stages):
        is_python = (stage.is_python and not _PYTHON_2.search(stage.image)) or bool(stage.unresolved)
        end = stages[number + 1].line - 1 if number + 1 < len(stages) else len(lines)
        if not is_python:
            lines[stage.line : end] = [""] * max(0, end - stage.line)
    return "\n".join(lines)


def _command_lists(commands: Sequence[PythonCommand]) -> Iterator[tuple[int, str]]:
    if len({command.minor for command in commands if command.minor}) > 1:  # it works with several Pythons
        commands = tuple(command for command in commands if not command.minor)
    for number, of_line in groupby(commands, key=lambda command: command.line):
        program = ""
        for command in of_line:
            if not program and command.column > len(_FIRST_ITEM):
                program = _FIRST_ITEM
            program = f"{program.ljust(command.column - 1) if program else ''}{_words(command)!r},"
        yield number, program


def _words(command: PythonCommand) -> list[str]:
    if command.module:
        return ["python", "-m", command.module]
    code = dedent(command.code)
    candidates = (code, code.replace("\\n", "\n"))  # JSON writes a line end so
    return ["python", "-c", next(filter(_is_python, candidates), _imports_in(code))]


def _is_python(code: str) -> bool:
    return not _UNKNOWN_IMPORT.search(code) and parse_python(code.strip()) is not None


def _imports_in(code: str) -> str:
    """Return the imports that stand at the start of a line or statement of code that cannot be read as a whole."""
    lines = (line for line in code[:_MAX_CODE].split("\n") if line[:1].strip())
    statements = (part.strip() for line in lines for part in line.split(";"))
    return "\n".join(text for text in statements if text.startswith(("import ", "from ")) and _is_python(text))
