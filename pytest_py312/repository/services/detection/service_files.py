"""Read the files of one service: by name, nothing executed."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.declaration import VersionDeclaration, service_declarations
from pytest_py312.repository.declarations.reader import METADATA_NAMES, VersionMetadata, read_metadata, read_workflow
from pytest_py312.repository.formats.dockerfile import DockerfileText, is_dockerfile, read_dockerfile
from pytest_py312.repository.recipes.base_images import python_base
from pytest_py312.repository.recipes.suites.pytest_settings import INI_FILES
from pytest_py312.repository.tree import VENDORED_FOLDERS, FolderScan, Tree, join_path, relative_to

SCAN_DEPTH = 6

_NON_PRODUCTION_WORDS = frozenset(
    {
        "test", "tests", "testing", "scripts", "tools", "examples", "docs", "dev", "ci", ".devcontainer", "gitpod",
        "mock", "mocks",
    }
)  # fmt: skip
THIRD_PARTY_FOLDERS = frozenset(
    {
        "fixtures", "testdata", "test_data", "test-data", "snapshots", "__snapshots__", "cassettes", "golden",
        *VENDORED_FOLDERS,
    }
)  # fmt: skip
"""Folders with vendored files, and with files that only tests read."""
_TEMPLATE_FOLDERS = frozenset({"template", "templates", "cookiecutter"})
"""Folders of files that a generator copies: a Dockerfile there is for what it generates."""
_REQUIREMENTS_NAME = re.compile(r"(?:[\w.-]+[-_.])?requirements(?:[-_.][\w.-]+)?\.(?:txt|in)", re.ASCII)
_RUN_TIME_FILES = frozenset(
    f"{name}.{ending}"
    for name in ("requirements", "base", "common", "prod", "production", "main")
    for ending in ("txt", "in")
)
_VERSION_FILE = re.compile(
    r"""^[ \t-]*python-version-file:[ \t]*(?P<quote>["']?)(?P<name>[\w.@/-]{1,200})(?P=quote)[ \t]*(?:\#.*)?$""",
    re.ASCII | re.MULTILINE,
)
"""A file whose version a workflow hands to setup-python. Source: actions/setup-python, ``python-version-file``."""
_FILE_LIMIT = 50
"""Maximum number of Dockerfiles, and of workflows, that are read of one service."""

_IMPORTING_FILE_LIMIT = 3_000
"""Files of a folder whose import lines are read."""
_IMPORT_LINE = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<source>[A-Za-z_][\w.]*)[ \t]+import\b|import[ \t]+(?P<names>[A-Za-z_][\w., \t]*))",
    re.MULTILINE | re.ASCII,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceFiles:
    """The files of one service. ``scan`` and the keys of ``texts`` are relative to it; other paths to the root."""

    path: str
    nested_folders: tuple[str, ...] = ()
    """Folders of other services inside it, relative to it; ``scan`` excludes them."""
    scan: FolderScan
    texts: Mapping[str, str]
    dockerfiles: tuple[DockerfileText, ...]
    workflows: tuple[tuple[VersionDeclaration, ...], ...]
    """The versions of each workflow."""
    metadata: Mapping[str, VersionMetadata]
    base_images: tuple[DockerfileText, ...] = ()
    """The Dockerfiles of the repository whose Python its production images build on."""
    workflow_pins: tuple[Declaration, ...] = ()
    """The versions of the files that its workflows name (``python-version-file``) and that are not in ``metadata``."""

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """All version declarations, sorted by path and line."""
        declarations = [item for dockerfile in self.dockerfiles for item in dockerfile.declarations]
        declarations += [item for workflow in self.workflows for item in service_declarations(workflow)]
        declarations += [item for metadata in self.metadata.values() for item in metadata.declarations]
        return tuple(sorted(declarations, key=declaration_order))


def declaration_order(declaration: Declaration) -> tuple[str, int, str, str]:
    """Sort key: path, line, kind, text."""
    location = declaration.location
    return location.path, location.line or 0, declaration.kind, declaration.text


def read_service_files(tree: Tree, path: str, inner: Sequence[str] = ()) -> ServiceFiles:
    """Read the files of the service at ``path``, without those in ``inner`` (folders of other services)."""
    nested_folders = relative_to(path, inner)
    scan = tree.scan_folder(path, depth=SCAN_DEPTH).without(nested_folders)
    texts: dict[str, str] = {}
    for name in scan.existing_files(*dict.fromkeys((*METADATA_NAMES, *INI_FILES))):
        text = tree.read_or_none(join_path(path, name))
        if text is not None:
            texts[name] = text
    dockerfiles = [name for name in scan.files if is_dockerfile(name.rpartition("/")[2])]
    workflow_names = [name for name in scan.files if re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml", name)]
    workflows = dict(_readable_texts(tree, path, workflow_names[:_FILE_LIMIT]))
    images = tuple(
        read_dockerfile(text, place) for place, text in _readable_texts(tree, path, dockerfiles[:_FILE_LIMIT])
    )
    bases = (
        python_base(tree, image.final_stage)
        for image in images
        if is_production_dockerfile(image.path, path) and image.final_python_stage is None
    )
    return ServiceFiles(
        path=path,
        nested_folders=nested_folders,
        scan=scan,
        texts=texts,
        dockerfiles=images,
        base_images=tuple(dict.fromkeys(base for base in bases if base is not None)),
        workflows=_read_workflows(workflows),
        metadata={name: read_metadata(text, join_path(path, name)) for name, text in texts.items()},
        workflow_pins=_workflow_pins(tree, path, workflows.values(), set(texts)),
    )


def _workflow_pins(tree: Tree, path: str, workflows: Iterable[str], read: Set[str]) -> tuple[Declaration, ...]:
    """Return the pins of the files that workflows hand to setup-python; of a range in a pyproject.toml, none."""
    named = dict.fromkeys(match["name"] for text in workflows for match in _VERSION_FILE.finditer(text))
    pins = [
        read_metadata(text, place).pins
        for place, text in _readable_texts(tree, path, [name for name in named if name not in read][:_FILE_LIMIT])
    ]
    return tuple(pin for file_pins in pins for pin in file_pins)


def _read_workflows(texts: Mapping[str, str]) -> tuple[tuple[VersionDeclaration, ...], ...]:
    return tuple(read_workflow(text, place) for place, text in texts.items())


def _readable_texts(tree: Tree, path: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        text = tree.read_or_none(join_path(path, name))
        if text is not None:
            yield join_path(path, name), text


def is_production_dockerfile(dockerfile: str, service: str) -> bool:
    """Return whether no part of the Dockerfile's path inside the service names tests or tools, no folder templates."""
    inner = dockerfile if service == "." else dockerfile.removeprefix(service + "/")
    *folders, name = inner.lower().split("/")
    words = {*folders, *re.split(r"[._-]", name)}
    return _NON_PRODUCTION_WORDS.isdisjoint(words) and _TEMPLATE_FOLDERS.isdisjoint(folders)


def is_requirements_name(name: str) -> bool:
    """Return whether a file name is like ``requirements.txt``, ``requirements-dev.txt`` or ``test_requirements.in``."""
    return _REQUIREMENTS_NAME.fullmatch(name) is not None


def run_time_files(tree: Tree, path: str) -> list[str]:
    """Return the requirements files of a folder that are by their names for run time."""
    return [
        join_path(folder, name)
        for folder in (path, join_path(path, "requirements"))
        for name in tree.list_folder(folder).files
        if name in _RUN_TIME_FILES
    ]


def imported_names(tree: Tree, path: str) -> set[str]:
    """Return the top-level modules that import lines of a file, or of the files of a folder, name.

    Nothing is parsed: each service is read at every start.
    """
    if tree.is_file(path):
        return set(_imports_in(tree.read_or_none(path) or ""))
    files = [name for name in tree.scan_folder(path, depth=8).files if name.endswith(".py")]
    texts = (tree.read_or_none(join_path(path, name)) for name in files[:_IMPORTING_FILE_LIMIT])
    return {name for text in texts if text for name in _imports_in(text)}


def _imports_in(text: str) -> Iterator[str]:
    for match in _IMPORT_LINE.finditer(text):
        names = match["names"].split(",") if match["names"] else [match["source"]]
        yield from (name.split()[0].partition(".")[0] for name in names if name.strip())
