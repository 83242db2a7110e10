"""Poetry's way to write versions (``^1.2``, ``~1.2``, ``1.*``) as PEP 440 and PEP 508. Pure text.

Ranges of Python versions, as PEP 440 or as Poetry writes them: which minors lie within. Pure text.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.findings import Interpreter

_CONSTRAINT = re.compile(r"\s*(\^|~=|~(?!=)|===|==|!=|<=|>=|<|>|=)?\s*v?([0-9][^\s,<>=!~^]*|\*)\s*,?", re.ASCII)


class Untranslatable(Exception):
    """PEP 508 has no words for it. ``str()`` says why, as the end of a sentence."""


def specifier_of(constraint: str) -> str:
    """``^1.2`` as ``>=1.2,<2``; ``*`` as ``""``.

    :raises Untranslatable: alternatives (``||``) and what is no version.
    """
    text = constraint.strip()
    if "|" in text:
        raise Untranslatable('offers alternatives ("||"), for which a requirement has no words')
    parts: list[str] = []
    position = 0
    while position < len(text):
        match = _CONSTRAINT.match(text, position)
        if not match:
            raise Untranslatable(f'has the version constraint "{constraint[:80]}", which cannot be read')
        parts += _one(match[1] or "", match[2], constraint)
        position = match.end()
    joined = ",".join(parts)
    try:
        SpecifierSet(joined)
    except (InvalidSpecifier, ValueError):
        raise Untranslatable(f'has the version constraint "{constraint[:80]}", which cannot be read') from None
    return joined


def alternatives_of(constraint: str) -> tuple[str, ...]:
    """The PEP 440 specifiers that ``constraint`` offers, split at ``||``; those that cannot be read are left out."""
    found = []
    for part in re.split(r"\|\|?", constraint):
        try:
            found.append(specifier_of(part))
        except Untranslatable:
            continue
    return tuple(found)


def python_marker(constraint: str) -> str:
    """``^3.9`` as ``python_version >= "3.9" and python_version < "4"``.

    :raises Untranslatable: what :func:`specifier_of` cannot read.
    """
    clauses = []
    for part in filter(None, specifier_of(constraint).split(",")):
        match = re.fullmatch(r"(===|==|~=|!=|<=|>=|<|>)(.+)", part)
        if not match:  # pragma: no cover - specifier_of only makes such parts
            raise Untranslatable(f'has the Python constraint "{constraint[:80]}", which cannot be read')
        variable = "python_version" if match[2].count(".") <= 1 else "python_full_version"
        clauses.append(f'{variable} {match[1]} "{match[2]}"')
    return " and ".join(clauses)


def _one(operator: str, version: str, constraint: str) -> list[str]:
    if version == "*":
        return []
    if version.endswith((".*", ".x")):
        sign = operator if operator in ("==", "!=") else "=="
        return [f"{sign}{version[:-2]}.*"]
    if operator in ("^", "~"):
        try:
            release = Version(version).release
        except (InvalidVersion, ValueError):
            raise Untranslatable(f'has the version constraint "{constraint[:80]}", which cannot be read') from None
        return [f">={version}", f"<{_next(release) if operator == '^' else _next_tilde(release)}"]
    if operator in ("", "="):
        return [f"=={version}"]
    return [f"{operator}{version}"]


def _next(release: tuple[int, ...]) -> str:
    """The first release that ``^`` shuts out: one more at the leftmost number that is not zero."""
    index = next((index for index, number in enumerate(release) if number), len(release) - 1)
    return ".".join(str(number) for number in (*release[:index], release[index] + 1))


def _next_tilde(release: tuple[int, ...]) -> str:
    index = 0 if len(release) == 1 else 1
    return ".".join(str(number) for number in (*release[:index], release[index] + 1))


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
