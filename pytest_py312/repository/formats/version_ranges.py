"""Version constraints: translate Poetry's forms (``^1.2``, ``~1.2``, ``1.*``) to PEP 440 and PEP 508, and test which
Python minor versions a range includes.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.findings import Interpreter

_CONSTRAINT = re.compile(r"\s*(\^|~=|~(?!=)|===|==|!=|<=|>=|<|>|=)?\s*v?([0-9][^\s,<>=!~^]*|\*)\s*,?", re.ASCII)

MAX_LENGTH = 1_000
"""Characters of one constraint: comparing a longer one with versions takes long, and nobody writes one."""
_MAX_ALTERNATIVES = 50
_NO_UPPER_BOUND = Version("999999")


class Untranslatable(Exception):
    """A version constraint that cannot be read or expressed in PEP 508. ``str()`` is the reason: a sentence's end."""


def to_specifier(constraint: str) -> str:
    """Translate ``^1.2`` to ``>=1.2,<2``, ``^1 || ^3`` to ``>=1,<4,!=2.*`` and ``*`` to ``""``.

    :raises Untranslatable: it is not a version constraint, or has alternatives (``||``) that PEP 440 cannot express.
    """
    text = constraint.strip()
    if len(text) > MAX_LENGTH:
        raise Untranslatable(f"has a version constraint of more than {MAX_LENGTH} characters")
    if "|" in text:
        return _joined_alternatives(constraint)
    parts: list[str] = []
    position = 0
    while position < len(text):
        match = _CONSTRAINT.match(text, position)
        if not match:
            raise Untranslatable(f'has the version constraint "{constraint[:80]}", which cannot be read')
        parts += _translate_clause(match[1] or "", match[2], constraint)
        position = match.end()
    joined = ",".join(parts)
    try:
        SpecifierSet(joined)
    except (InvalidSpecifier, ValueError):
        raise Untranslatable(f'has the version constraint "{constraint[:80]}", which cannot be read') from None
    return joined


def _joined_alternatives(constraint: str) -> str:
    """Join alternatives that are intervals: to one interval, without the releases between them.

    Between a release of 0.0 and one of 0.1, where nothing else can be written, those between them are allowed as well:
    the newest version, which is taken, is of the last alternative.
    """
    problem = Untranslatable('has alternatives ("||"), which a requirement cannot express')
    parts = re.split(r"\|\|?", constraint, maxsplit=_MAX_ALTERNATIVES)
    if len(parts) > _MAX_ALTERNATIVES:
        raise problem
    intervals = sorted(_interval(to_specifier(part), problem) for part in parts)
    (lower, upper), excluded = intervals[0], list[str]()
    for next_lower, next_upper in intervals[1:]:
        if next_lower > upper:
            excluded += _excluded_between(upper, next_lower, problem)
        upper = max(upper, next_upper)
    return ",".join([f">={lower}", *([] if upper == _NO_UPPER_BOUND else [f"<{upper}"]), *excluded])


def _excluded_between(upper: Version, lower: Version, problem: Untranslatable) -> list[str]:
    """Return clauses that exclude the releases from ``upper`` up to ``lower``.

    :raises Untranslatable: ``problem``, if no clause can.
    """
    if not any((upper.minor, upper.micro, lower.minor, lower.micro)):
        prefix, first, last = "", upper.major, lower.major
    elif upper.major == lower.major and not upper.micro and not lower.micro:
        prefix, first, last = f"{upper.major}.", upper.minor, lower.minor
    elif (upper.major, upper.minor) == (lower.major, lower.minor):
        prefix, first, last = f"{upper.major}.{upper.minor}.", upper.micro, lower.micro
    elif upper.major == lower.major == 0:
        return []
    else:
        raise problem
    if last - first > _MAX_ALTERNATIVES:
        raise problem
    return [f"!={prefix}{number}.*" for number in range(first, last)]


def _interval(specifier: str, problem: Untranslatable) -> tuple[Version, Version]:
    """Return the lower bound and the first version above ``>=A,<B``, ``>=A`` or ``==A.*``.

    :raises Untranslatable: ``problem``, if it is another form.
    """
    match = re.fullmatch(r">=([^,*]+)(?:,<([^,=*]+))?|==([\d.]+)\.\*", specifier)
    if not match:
        raise problem
    lower = Version(match[1] or match[3])
    if match[3]:
        *outer, last = lower.release
        return lower, Version(".".join(map(str, (*outer, last + 1))))
    return lower, Version(match[2]) if match[2] else _NO_UPPER_BOUND


def specifiers_of_alternatives(constraint: str) -> tuple[str, ...]:
    """Return the PEP 440 specifiers of the alternatives in ``constraint`` (``||``); unreadable ones are omitted."""
    specifiers = []
    for part in re.split(r"\|\|?", constraint) if len(constraint) <= MAX_LENGTH else ():
        try:
            specifiers.append(to_specifier(part))
        except Untranslatable:
            continue
    return tuple(specifiers)


def python_marker(constraint: str) -> str:
    """Translate ``^3.9`` to ``python_version >= "3.9" and python_version < "4"``.

    :raises Untranslatable: :func:`to_specifier` cannot read it.
    """
    clauses = []
    for part in filter(None, to_specifier(constraint).split(",")):
        match = re.fullmatch(r"(===|==|~=|!=|<=|>=|<|>)(.+)", part)
        if not match:  # pragma: no cover - to_specifier returns only such parts
            raise Untranslatable(f'has the Python constraint "{constraint[:80]}", which cannot be read')
        variable = "python_version" if match[2].count(".") <= 1 else "python_full_version"
        clauses.append(f'{variable} {match[1]} "{match[2]}"')
    return " and ".join(clauses)


def _translate_clause(operator: str, version: str, constraint: str) -> list[str]:
    if version == "*":
        return []
    if version.endswith(".*") and operator in (">=", ">", "<=", "<"):
        return [f"{operator}{version[:-2]}"]  # poetry-core ignores the wildcard there
    if version.endswith(".x") and operator in (">=", "<"):
        return [f"{operator}{version[:-2]}"]  # semantic versioning, as in a workflow; Poetry refuses it
    if version.endswith((".*", ".x")):
        sign = operator if operator in ("==", "!=") else "=="
        return [f"{sign}{version[:-2]}.*"]
    if operator in ("^", "~"):
        try:
            release = Version(version).release
        except (InvalidVersion, ValueError):
            raise Untranslatable(f'has the version constraint "{constraint[:80]}", which cannot be read') from None
        return [f">={version}", f"<{_caret_upper_bound(release) if operator == '^' else _tilde_upper_bound(release)}"]
    if operator in ("", "="):
        return [f"=={version}"]
    return [f"{operator}{version}"]


def _caret_upper_bound(release: tuple[int, ...]) -> str:
    """Return the first release that ``^`` excludes: the leftmost non-zero number plus one."""
    index = next((index for index, number in enumerate(release) if number), len(release) - 1)
    return ".".join(str(number) for number in (*release[:index], release[index] + 1))


def _tilde_upper_bound(release: tuple[int, ...]) -> str:
    index = 0 if len(release) == 1 else 1
    return ".".join(str(number) for number in (*release[:index], release[index] + 1))


_MAX_PATCH = 40
"""Higher than any patch number of a CPython minor version so far."""
_POSSIBLE_MINORS = tuple(Interpreter(3, minor) for minor in range(6, 26))
"""From the oldest version that repositories still declare to versions that do not exist yet.

A constraint without an upper bound includes several of them, so it is not mistaken for a single version.
"""


def _specifier_set(text: str) -> SpecifierSet:
    if len(text) > MAX_LENGTH:
        raise ValueError("too long")
    return SpecifierSet(text)


@lru_cache(maxsize=4096)
def range_includes(constraint: str, interpreter: Interpreter) -> bool:
    """Return whether ``constraint`` (PEP 440 or Poetry) includes a patch release of ``interpreter``."""
    for alternative in specifiers_of_alternatives(constraint) or (constraint,):
        try:
            specifier = _specifier_set(alternative)
            if any(specifier.contains(f"{interpreter}.{patch}", prereleases=True) for patch in range(_MAX_PATCH)):
                return True
        except (InvalidSpecifier, ValueError):
            continue
    return False


def is_readable_range(constraint: str) -> bool:
    """Return whether at least one alternative of ``constraint`` can be read."""
    try:
        return bool(specifiers_of_alternatives(constraint)) or _specifier_set(constraint) is not None
    except (InvalidSpecifier, ValueError):
        return False


def oldest_included(constraint: str, interpreters: Sequence[Interpreter]) -> Interpreter | None:
    """Return the oldest of ``interpreters`` that ``constraint`` includes; ``None`` if there is none."""
    return next((interpreter for interpreter in sorted(interpreters) if range_includes(constraint, interpreter)), None)


def is_past(constraint: str, interpreter: Interpreter) -> bool:
    """Return whether ``constraint`` includes newer minor versions than ``interpreter``, and no other."""
    oldest = oldest_included(constraint, _POSSIBLE_MINORS)
    return oldest is not None and oldest > interpreter


@lru_cache(maxsize=4096)
def single_minor(constraint: str) -> Interpreter | None:
    """Return the only minor version that ``constraint`` includes; ``None`` if there are none or several."""
    included = [interpreter for interpreter in _POSSIBLE_MINORS if range_includes(constraint, interpreter)]
    return included[0] if len(included) == 1 else None
