"""What discovery needs of a file's declarations: grouped by purpose, and what workflows set up. Never raises.

A file that cannot be parsed has no declarations here; the reader of its dependencies reports the problem.
"""

from dataclasses import dataclass

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration, service_declarations
from pytest_py312.repository.declarations.reader import METADATA_NAMES, read_declarations
from pytest_py312.repository.declarations.yaml import read_yaml_declarations
from pytest_py312.repository.declarations.yaml_dialects import GITHUB


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
    """Read a file by its name; a name that is not in :data:`METADATA_NAMES` yields nothing."""
    is_metadata_file = path.rpartition("/")[2] in METADATA_NAMES
    declarations = read_declarations(text, path) if is_metadata_file else ()
    by_purpose: dict[str, list[VersionDeclaration]] = {}
    for declaration in declarations:
        is_classifier = declaration.kind == "metadata" and declaration.role is DeclarationRole.LIST_ITEM
        by_purpose.setdefault("classifier" if is_classifier else declaration.kind, []).append(declaration)
    return VersionMetadata(
        requires_python=service_declarations(by_purpose.get("metadata", ())),
        classifiers=service_declarations(by_purpose.get("classifier", ())),
        pins=service_declarations(by_purpose.get("pin", ())),
        tools=service_declarations(by_purpose.get("tool", ())),
    )


def read_workflow(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the versions of one workflow file, which is a single document. ``path`` is only stored in them."""
    yaml_text = read_yaml_declarations(text, path, GITHUB)
    return yaml_text.declarations if yaml_text.documents <= 1 else ()
