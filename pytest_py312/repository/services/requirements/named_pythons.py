"""Read from the name of a requirements file for which Pythons it was made: ``requirements-py39.txt``."""

import re
from collections.abc import Iterable

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.text import join_names, join_with_and

_VERSION = re.compile(
    r"(?<![a-z0-9])(?:python|py|cp)[-_.]?(?:3[._-]?(?P<minor>\d{1,2})|2(?:[._-]?\d)?)(?![0-9]|\.[0-9])"
    r"|(?<![a-z0-9.])3\.(?P<dotted>[6-9]|1[0-9])(?![0-9]|\.[0-9])",
    re.ASCII,
)
"""``py39``, ``py3.9``, ``python-3.10``, ``cp312``, ``py2``, ``3.12``; two digits alone may be anything, and so may the
version of something else (``django-3.2``)."""
_RANGE = re.compile(
    r"[+<>]|(?<![a-z])(?:plus|min|max|lt|le|gt|ge|later|newer|older|up|below|above|until|from)(?![a-z])"
)
"""What makes a version in a name the end of a range: ``py38-plus``, ``py39+``."""

_PYTHON_2 = Interpreter(2, 7)


def named_pythons(path: str) -> frozenset[Interpreter]:
    """Return the Pythons in the names of a file and its folders; empty if it may be for any.

    >>> sorted(map(str, named_pythons("requirements/py39/base.txt")))
    ['3.9']
    """
    name = path.lower()
    if _RANGE.search(name):
        return frozenset()
    minors = (match["minor"] or match["dotted"] for match in _VERSION.finditer(name))
    return frozenset(Interpreter(3, int(minor)) if minor else _PYTHON_2 for minor in minors)


def is_made_for(path: str, interpreter: Interpreter) -> bool:
    """Return whether a requirements file may be installed on ``interpreter``, as far as its name says."""
    named = named_pythons(path)
    return not named or interpreter in named


def describe_named_pythons(paths: Iterable[str]) -> str:
    """Return what is assumed about files that name Pythons, as a clause; empty if none does."""
    named = [(path, join_with_and([*map(str, sorted(named_pythons(path)))])) for path in paths]
    files = [f"{path} on {pythons}" for path, pythons in named if pythons]
    clause = "has requirements files that are checked on the Pythons of their names only"
    return f"{clause}: {join_names(files)}" if files else ""
