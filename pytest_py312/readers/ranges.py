"""Ranges of Python versions, as PEP 440 or as Poetry writes them: which minors lie within. Pure text."""

from collections.abc import Sequence
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pytest_py312.model import Interpreter
from pytest_py312.readers.poetry import alternatives_of

_NEWEST_PATCH = 40
"""Higher than any patch number that a CPython minor has reached."""
_THINKABLE = tuple(Interpreter(3, minor) for minor in range(6, 26))


@lru_cache(maxsize=4096)
def allows(specifier_text: str, interpreter: Interpreter) -> bool:
    """Whether some patch release of ``interpreter`` lies in the range, written as PEP 440 or as Poetry does."""
    for alternative in alternatives_of(specifier_text) or (specifier_text,):
        try:
            specifier = SpecifierSet(alternative)
            if any(specifier.contains(f"{interpreter}.{patch}", prereleases=True) for patch in range(_NEWEST_PATCH)):
                return True
        except (InvalidSpecifier, ValueError):
            continue
    return False


def readable(specifier_text: str) -> bool:
    """Whether it is a range at all."""
    try:
        return bool(alternatives_of(specifier_text)) or SpecifierSet(specifier_text) is not None
    except (InvalidSpecifier, ValueError):
        return False


def lowest_minor(specifier_text: str, among: Sequence[Interpreter]) -> Interpreter | None:
    """The oldest interpreter in the range; ``None`` when none is, or when the range cannot be read."""
    return next((interpreter for interpreter in sorted(among) if allows(specifier_text, interpreter)), None)


@lru_cache(maxsize=4096)
def only_minor(specifier_text: str) -> Interpreter | None:
    """The one minor in the range, where there is just one."""
    inside = [interpreter for interpreter in _THINKABLE if allows(specifier_text, interpreter)]
    return inside[0] if len(inside) == 1 else None
