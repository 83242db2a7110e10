"""Take the functions of the shell out of a script, and know the arguments of a call. Nothing is executed. Pure.

A function whose body has braces of its own, other than those of variables, is left where it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.repository.formats.commands.shell import ARGUMENT, Quoting, ShellWord, WordPart
from pytest_py312.repository.formats.text_positions import blanked

_FUNCTION = re.compile(
    r"^[ \t]*(?:function[ \t]+(?P<word>[A-Za-z_][\w-]{0,60})[ \t]*(?:\([ \t]*\))?"
    r"|(?P<name>[A-Za-z_][\w-]{0,60})[ \t]*\([ \t]*\))\s{0,5}"
    r"\{(?P<body>[^{}]{0,2000}(?:\$\{[^{}]{0,200}\}[^{}]{0,2000}){0,20})\}",
    re.MULTILINE | re.ASCII,
)
_RUNS_ARGUMENTS = re.compile(
    r"(?:^|[;&|(])[ \t]*(?:(?:eval|exec|time|sudo|until|while|if|do|then|!)[ \t]+){0,3}"
    r"\"?\$(?:[@*]|\{[@*]\})\"?[ \t]*(?:$|[;&|)])",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShellFunction:
    """A function of the shell; ``line`` is that of its ``body`` in the file ``path``."""

    name: str
    path: str
    body: str
    line: int

    @property
    def runs_arguments(self) -> bool:
        """Whether it runs the command in its arguments: ``run pip install a``."""
        return _RUNS_ARGUMENTS.search(self.body.replace("\\\n", " ")) is not None


def split_functions(text: str, path: str, line: int = 1) -> tuple[str, tuple[ShellFunction, ...]]:
    """Return the text without the definitions of functions, and these. ``line`` is that of the text in the file."""
    functions: list[ShellFunction] = []
    counted, position = line, 0

    def take(match: re.Match[str]) -> str:
        nonlocal counted, position
        start = match.start("body")
        counted, position = counted + text.count("\n", position, start), start
        name = match["word"] or match["name"]
        functions.append(ShellFunction(name=name, path=path, body=match["body"], line=counted))
        return blanked(match)

    remaining = _FUNCTION.sub(take, text)
    return remaining, tuple(functions)


def positional(arguments: Sequence[str]) -> dict[str, str]:
    """Return the variables of the arguments of a script or a function."""
    names = {f"{ARGUMENT}{number}": "" for number in range(1, 10)}
    names |= {f"{ARGUMENT}{number}": value for number, value in enumerate(arguments, start=1)}
    joined = " ".join(arguments)
    return {**names, f"{ARGUMENT}S": joined, f"{ARGUMENT}J": joined, f"{ARGUMENT}N": str(len(arguments))}


def arguments_of(variables: Mapping[str, str]) -> list[str]:
    """Return the arguments among ``variables``; none where they are unknown."""
    count = int(variables.get(f"{ARGUMENT}N", "0"))
    return [variables[f"{ARGUMENT}{number}"] for number in range(1, count + 1)]


def with_all_arguments(word: ShellWord, variables: Mapping[str, str]) -> tuple[ShellWord, ...]:
    """Return a word for each argument in place of ``"$@"``, if they are known."""
    texts = [part for part in word if part.text]
    is_quoted = len(texts) == 1 and texts[0].quoting is Quoting.DOUBLE and texts[0].text == f"${{{ARGUMENT}S}}"
    if not is_quoted or f"{ARGUMENT}N" not in variables:
        return (word,)
    return tuple((WordPart(text=text, quoting=Quoting.LITERAL),) for text in arguments_of(variables))
