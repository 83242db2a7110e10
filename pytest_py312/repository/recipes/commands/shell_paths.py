"""Work out the paths that scripts compute: ``$(cd "$(dirname "$0")/.." && pwd)``. Nothing is executed. Pure."""

import posixpath
import re
from collections.abc import Mapping
from functools import partial

from pytest_py312.repository.formats.commands.shell import ARGUMENT, UNKNOWN, ShellWord, expand_words, read_shell
from pytest_py312.repository.formats.commands.shell_functions import with_all_arguments
from pytest_py312.repository.recipes.commands.file_map import resolve_path

_DEPTH_LIMIT = 5
_SCRIPT = re.compile(r"\$\{?(?:0|BASH_SOURCE(?:\[0\])?)(?:(?P<cut>%/\*)?\}|(?![\w{\[]))")
_CUT = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?P<kind>%%?|##?)(?P<what>[^}*?\[$`\\\"']*|/\*|\*/)\}", re.ASCII)
"""A variable without a literal part at its end or its start, or without its last or all but its last part of a path.

https://www.gnu.org/software/bash/manual/html_node/Shell-Parameter-Expansion.html
"""


def expand_paths(
    words: tuple[ShellWord, ...], variables: Mapping[str, str], folder: str, script: str, depth: int = 0
) -> tuple[str, ...]:
    """Expand words as a shell does, with the output of commands that only work out a path.

    :param folder: the working folder, an absolute path, which is ``$PWD``.
    :param script: the path of the script, as ``$0`` has it; empty if the commands are in none.
    """
    words = tuple(single for word in words for single in with_all_arguments(word, variables))
    expanded = expand_words(words, {**variables, "PWD": folder})
    return tuple(_with_outputs(word, variables, folder, script, depth) for word in expanded)


def _with_outputs(word: str, variables: Mapping[str, str], folder: str, script: str, depth: int) -> str:
    if "$" not in word and "`" not in word:
        return word
    parts = word.split(UNKNOWN)
    for number, part in enumerate(parts):
        if number % 2 == 0:
            parts[number] = _CUT.sub(partial(_cut, {**variables, "PWD": folder}), _named(part, script))
            continue
        output = _output_of(part, variables, folder, script, depth)
        parts[number] = f"{UNKNOWN}{part}{UNKNOWN}" if output is None else output
    return "".join(parts)


def _named(text: str, script: str) -> str:
    """Replace the name of the script."""
    if not script:
        return text
    return _SCRIPT.sub(lambda match: posixpath.dirname(script) or "." if match["cut"] else script, text)


def _cut(variables: Mapping[str, str], match: re.Match[str]) -> str:
    """Return the value of a variable without what ``${NAME%what}`` or ``${NAME##what}`` takes away."""
    value, kind, what = variables.get(match["name"]), match["kind"], match["what"]
    if value is None or UNKNOWN in value or ("*" in what and (kind, what) not in (("%", "/*"), ("##", "*/"))):
        return match[0]
    if kind == "%" and what == "/*":
        return value.rpartition("/")[0] if "/" in value else value
    if kind == "##" and what == "*/":
        return value.rpartition("/")[2]
    return value.removesuffix(what) if kind.startswith("%") else value.removeprefix(what)


def _output_of(text: str, variables: Mapping[str, str], folder: str, script: str, depth: int) -> str | None:
    """Return the path that a command prints; ``None`` if it may print anything else."""
    if text == "$#":
        return variables.get(f"{ARGUMENT}N")
    named = _named(text, script)
    inner = named[2:-1] if named.startswith("$(") else named.strip("`")
    if inner == text or depth >= _DEPTH_LIMIT:
        return named if named != text else None
    path = None
    for command in read_shell(inner):
        words = expand_paths(command.words, variables, folder, script, depth + 1)
        arguments = [word for word in words[1:] if not word.startswith("-")]
        if not words or any(UNKNOWN in word for word in words):
            return None
        if words[0] in ("cd", "pushd") and len(arguments) == 1:
            folder = resolve_path(arguments[0], folder)
        elif words[0] == "pwd":
            path = folder
        elif words[0] in ("dirname", "basename") and len(arguments) == 1:
            split = posixpath.split(arguments[0].rstrip("/"))
            path = (split[0] or ".") if words[0] == "dirname" else split[1]
        elif words[0] in ("realpath", "readlink") and len(arguments) == 1:
            path = resolve_path(arguments[0], folder)
        else:
            return None
    return path
