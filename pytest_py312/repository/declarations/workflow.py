"""GitHub workflows: text in, the Python versions that they set up out, with their places. Never raises.

What an expression such as ``${{ matrix.python }}`` stands for is looked up where GitHub would.
"""

from dataclasses import dataclass

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.declaration import Place, declarations_of
from pytest_py312.repository.declarations.yaml import read_yaml_places
from pytest_py312.repository.declarations.yaml_dialects import GITHUB


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowText:
    """What a workflow says of Python versions; ``trouble`` is not empty when its YAML cannot be read."""

    path: str
    name: str = ""
    places: tuple[Place, ...] = ()
    trouble: str = ""
    trouble_line: int | None = None

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        return declarations_of(self.places)


def read_workflow(text: str, path: str) -> WorkflowText:
    """Read one workflow file. ``path`` is only carried along."""
    found = read_yaml_places(text, path, GITHUB)
    if found.documents > 1:
        return WorkflowText(path=path, trouble="It holds several documents, and a workflow is one.")
    return WorkflowText(
        path=path, name=found.name, places=found.places, trouble=found.trouble, trouble_line=found.trouble_line
    )
