"""Read what ``poetry run`` and functions that run their arguments start, and tests of the shell. Pure."""

from collections.abc import Callable, Collection, Sequence
from itertools import dropwhile

from pytest_py312.repository.formats.commands.shell import UNKNOWN

_ENVIRONMENT_RUNNERS = frozenset({"poetry", "pipenv", "pdm", "uv", "rye", "hatch", "conda"})


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
