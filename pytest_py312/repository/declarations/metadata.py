"""Group the declarations of a file by purpose: requires-python, classifiers, pins, tool settings. Never raises.

A file that cannot be parsed has no declarations here; the reader of its dependencies reports the problem.
"""

from dataclasses import dataclass

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.declaration import DeclarationRole
from pytest_py312.repository.declarations.reader import METADATA_NAMES, read_declarations

FILES = METADATA_NAMES
"""Names of the files that :func:`read_metadata` reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionMetadata:
    """The declarations of one file, grouped by purpose."""

    requires_python: tuple[Declaration, ...] = ()
    """Ranges that a distribution declares for itself (kind ``metadata``)."""
    classifiers: tuple[Declaration, ...] = ()
    pins: tuple[Declaration, ...] = ()
    """Versions that a version manager or a platform is configured to run (kind ``pin``)."""
    tools: tuple[Declaration, ...] = ()
    """Settings of type checkers, formatters and test tools (kind ``tool``)."""

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        return (*self.requires_python, *self.classifiers, *self.pins, *self.tools)


def read_metadata(text: str, path: str) -> VersionMetadata:
    """Read a file by its name; a name that is not in :data:`FILES` yields nothing."""
    is_metadata_file = path.rpartition("/")[2] in FILES
    declarations = (
        [declaration for declaration in read_declarations(text, path) if declaration.declared]
        if is_metadata_file
        else []
    )
    ranges = [
        declaration
        for declaration in declarations
        if declaration.kind == "metadata" and declaration.role is not DeclarationRole.LIST_ITEM
    ]
    return VersionMetadata(
        requires_python=tuple(declaration.as_service_declaration for declaration in ranges),
        classifiers=tuple(
            declaration.as_service_declaration
            for declaration in declarations
            if declaration.kind == "metadata" and declaration not in ranges
        ),
        pins=tuple(declaration.as_service_declaration for declaration in declarations if declaration.kind == "pin"),
        tools=tuple(declaration.as_service_declaration for declaration in declarations if declaration.kind == "tool"),
    )
