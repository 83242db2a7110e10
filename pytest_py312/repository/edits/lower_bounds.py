"""Tell which declarations test the oldest Python that a project supports: they stay while that is supported. Pure."""

from collections.abc import Iterable

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration
from pytest_py312.repository.formats.version_ranges import oldest_included

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
        and declaration.role is DeclarationRole.EXACT
        and oldest is not None
        and declaration.version == oldest
        and oldest < baseline
    )
