"""Take the functions of the shell out of a script. Nothing is executed. Pure.

A function whose body has braces of its own, other than those of variables, is left where it is.
"""

import re
from dataclasses import dataclass

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
