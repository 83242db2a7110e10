"""Read GitHub workflows: text in, the Python versions that they set up out. Never raises.

An expression such as ``${{ matrix.python }}`` is resolved as GitHub does.
"""

from dataclasses import dataclass

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.declaration import VersionDeclaration, service_declarations
from pytest_py312.repository.declarations.yaml import read_yaml_declarations
from pytest_py312.repository.declarations.yaml_dialects import GITHUB


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
