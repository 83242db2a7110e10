"""Take the functions of the shell out of a script, and evaluate its tests and the wrappers of its commands. Pure.

Nothing is executed.

A function whose body has braces of its own, other than those of variables, is left where it is.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile

from pytest_py312.repository.formats.commands.shell import ARGUMENT, UNKNOWN, Quoting, ShellWord, WordPart
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
_ENVIRONMENT_RUNNERS = frozenset({"poetry", "pipenv", "pdm", "uv", "rye", "hatch", "conda"})


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


def evaluate_test(words: Sequence[str], unset: Collection[str], exists: Callable[[str], bool]) -> bool | None:
    """Evaluate a test of the shell, without its brackets; ``None`` if it cannot be known.

    :param unset: variables that are empty unless a build gives them a value.
    :param exists: whether a path is one of a file or folder that is known.
    """
    words = [word for word in words if word not in ("]", "]]")]
    if words[:1] == ["!"]:
        inner = evaluate_test(words[1:], unset, exists)
        return None if inner is None else not inner
    for name in unset:
        words = [word.replace(f"{UNKNOWN}${name}{UNKNOWN}", "") for word in words]
    if any(UNKNOWN in word for word in words):
        return None
    if len(words) == 3 and words[1] in ("=", "==", "!="):
        return (words[0] == words[2]) is (words[1] != "!=")
    if len(words) == 2 and words[0] in ("-n", "-z"):
        return bool(words[1]) is (words[0] == "-n")
    if len(words) == 2 and words[0] in ("-f", "-e", "-s", "-d", "-r", "-x"):
        return True if exists(words[1]) else None
    if len(words) == 1 and not words[0].startswith("-"):
        return bool(words[0])
    return None


def arguments_of_runner(words: list[str]) -> list[str] | None:
    """Return the command in the arguments of a function, behind numbers: ``retry 5 pip install a``."""
    rest = list(dropwhile(str.isdigit, words[1:]))
    return rest or None


def started_program(words: Sequence[str]) -> list[str]:
    """Return what ``poetry run PROGRAM`` and its like start."""
    name = words[0].rpartition("/")[2]
    if name not in _ENVIRONMENT_RUNNERS or "run" not in words:
        return list(words)
    remaining = list(words[words.index("run") + 1 :])
    takes_value = ("-n", "--name", "-p", "--prefix", "--group", "--extra", "--with", "--python", "--package",
                   "--directory", "--project", "--with-requirements", "--with-editable", "--only-group", "--no-group",
                   "-C", "-P")  # fmt: skip
    while remaining and remaining[0].startswith("-"):
        option = remaining.pop(0)
        if option == "--":
            break
        if option in takes_value and remaining:
            del remaining[0]
    return remaining
