"""Extend a range of Python versions to include the target, with as few changed characters as possible.

Declarations that test the oldest Python that a project supports stay while that is supported.
"""

import re
from collections.abc import Iterable

from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.text_edits import EditRefused, TextEdit, apply_edits
from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration
from pytest_py312.repository.edits.specifiers import SpecifierClause, parse_clauses
from pytest_py312.repository.formats.version_ranges import oldest_included, range_includes

_SINGLE_VERSION = re.compile(
    r"(?P<operator>\^|~(?!=)|~=|===?|=)?(?P<space>\s*)(?P<version>3\.\d{1,2}(?:\.[\d*x]+)?)", re.ASCII
)


def migrated_range(text: str, *, baseline: Interpreter, target: Interpreter, drop_old_versions: bool = False) -> str:
    """Return ``text`` with ``target`` included; with ``drop_old_versions``, without what is older.

    A range that is right already is returned unchanged. PEP 440 and Poetry's syntax are both kept.

    :raises EditRefused: the range cannot be expressed in the same syntax.
    """
    migrated = (
        text if range_includes(text, target) else _widen(text, baseline, target, drop_old_versions=drop_old_versions)
    )
    if drop_old_versions:
        migrated = _raise_lower_bounds(migrated, target)
    keeps_baseline = drop_old_versions or range_includes(migrated, baseline) or not range_includes(text, baseline)
    if not range_includes(migrated, target) or not keeps_baseline:
        raise EditRefused(f'"{text[:80]}" excludes {target}, and it is not clear how to include it.')
    return migrated


def _widen(text: str, baseline: Interpreter, target: Interpreter, *, drop_old_versions: bool) -> str:
    next_minor = f"{target.major}.{target.minor + 1}"
    single = _SINGLE_VERSION.fullmatch(text.strip())
    if single:
        return _widen_single(text, single, baseline, target, drop_old_versions=drop_old_versions)
    clauses = parse_clauses(text)
    if "|" in text or not clauses:
        raise EditRefused(f'"{text[:80]}" excludes {target}; change it manually.')
    text_edits: list[TextEdit] = []
    for clause in clauses:
        excludes_target = clause.operator in ("<", "<=") and not _is_beyond(clause, target)
        if excludes_target:
            text_edits.append(TextEdit(start=clause.operator_span[0], end=clause.operator_span[1], text="<"))
            text_edits.append(TextEdit(start=clause.version_span[0], end=clause.version_span[1], text=next_minor))
    return apply_edits(text, text_edits)


def _widen_single(
    text: str, single: re.Match[str], baseline: Interpreter, target: Interpreter, *, drop_old_versions: bool
) -> str:
    """Extend a single minor version: ``~3.10``, ``3.10.*``, ``==3.10.*``."""
    indent = len(text) - len(text.lstrip())
    start, end = indent + single.start(), indent + single.end()
    if drop_old_versions:
        tail = re.sub(r"^3\.\d{1,2}", "", single["version"])
        if single["operator"] == "~=":  # without a patch release it would allow all of 3
            tail = ".0" if tail else ""
        new = (single["operator"] or "") + single["space"] + str(target) + (tail if tail in (".*", ".x", ".0") else "")
    else:
        oldest = min(baseline, Interpreter.parse(re.sub(r"\.[*x]$", "", single["version"])))
        new = f">={oldest},<{target.major}.{target.minor + 1}"
    return text[:start] + new + text[end:]


def _is_beyond(clause: SpecifierClause, target: Interpreter) -> bool:
    """Return whether an upper bound is later than every release of the target."""
    try:
        release = Version(clause.version.removesuffix(".*")).release
    except InvalidVersion:
        return True
    return release[:2] > (target.major, target.minor)


def _raise_lower_bounds(text: str, target: Interpreter) -> str:
    """Replace lower bounds before the target by the target."""

    def raised(match: re.Match[str]) -> str:
        if int(match["minor"]) >= target.minor:
            return match[0]
        # "~=3.12" would allow all of 3
        patch = ".0" if match["patch"] and match["head"].startswith("~=") else ""
        return f"{match['head']}{target}{patch}"

    return re.sub(
        r"(?P<head>(?:>=|\^|~=|~(?!=))\s*)3\.(?P<minor>\d{1,2})(?P<patch>\.\d+)?(?![\d.*])",
        raised,
        text,
        flags=re.ASCII,
    )


_CANDIDATES = tuple(Interpreter(3, minor) for minor in range(6, 26))


def oldest_supported(declarations: Iterable[VersionDeclaration]) -> Interpreter | None:
    """Return the lower bound of the ranges that a project declares for itself.

    ``None`` if it has none, or if its workflows set up nothing newer: then what is on the bound is its only test.
    """
    all_declarations = tuple(declarations)
    bounds = [
        bound
        for declaration in all_declarations
        if declaration.role is DeclarationRole.RANGE and declaration.kind == "metadata"
        if (bound := oldest_included(declaration.text, _CANDIDATES)) is not None and bound > _CANDIDATES[0]
    ]
    oldest = min(bounds, default=None)
    newer = (
        declaration
        for declaration in all_declarations
        if declaration.kind == "workflow"
        and declaration.role in (DeclarationRole.EXACT, DeclarationRole.LIST_ITEM)
        and oldest is not None
        and declaration.version is not None
        and declaration.version > oldest
    )
    return oldest if next(newer, None) is not None else None


def tests_lower_bound(declaration: VersionDeclaration, oldest: Interpreter | None, baseline: Interpreter) -> bool:
    """Return whether a job or a tool runs on the oldest supported Python, which is not what the service runs on."""
    return (
        declaration.kind in ("workflow", "tool")
        and declaration.role in (DeclarationRole.EXACT, DeclarationRole.PATH)
        and not declaration.starts_service
        and oldest is not None
        and declaration.version == oldest
        and oldest < baseline
    )
