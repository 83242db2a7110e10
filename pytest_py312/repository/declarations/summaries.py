"""What discovery needs of a file's declarations: grouped by purpose, and what workflows set up. Never raises.

A file that cannot be parsed has no declarations here; the reader of its dependencies reports the problem.
"""

from dataclasses import dataclass

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration, service_declarations
from pytest_py312.repository.declarations.reader import METADATA_NAMES, read_declarations
from pytest_py312.repository.declarations.yaml import read_yaml_declarations
from pytest_py312.repository.declarations.yaml_dialects import GITHUB

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


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowText:
    """The Python versions of a workflow; ``parse_error`` is not empty if its YAML cannot be read."""

    path: str
    name: str = ""
    places: tuple[VersionDeclaration, ...] = ()
    parse_error: str = ""
    parse_error_line: int | None = None

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        return service_declarations(self.places)


def read_workflow(text: str, path: str) -> WorkflowText:
    """Read one workflow file. ``path`` is only stored in the result."""
    yaml_text = read_yaml_declarations(text, path, GITHUB)
    if yaml_text.documents > 1:
        return WorkflowText(path=path, parse_error="It has several documents, but a workflow is a single one.")
    return WorkflowText(
        path=path,
        name=yaml_text.name,
        places=yaml_text.declarations,
        parse_error=yaml_text.parse_error,
        parse_error_line=yaml_text.parse_error_line,
    )
