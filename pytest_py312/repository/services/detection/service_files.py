"""Recognize the folders that are services, and read the files of one service: by name, nothing executed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.metadata import FILES, VersionMetadata, read_metadata
from pytest_py312.repository.declarations.reader import is_dockerfile
from pytest_py312.repository.formats.dockerfile import DockerfileText, read_dockerfile
from pytest_py312.repository.formats.setuptools import read_ini, read_setup_py
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.recipes.build_context import copied_sources
from pytest_py312.repository.recipes.serverless_builds import function_folders
from pytest_py312.repository.services.detection.suites import INI_FILES
from pytest_py312.repository.tree import FolderListing, FolderScan, Tree, join_path, relative_to

SCAN_DEPTH = 6
NON_SERVICE_FOLDERS = frozenset(
    {
        "docs", "doc", "tests", "test", "examples", "example", "scripts", "tools", "vendor", "vendored", "_vendor",
        "third_party", "third-party", "docker",
        "deploy", "build", "dist", "requirements",
    }
)  # fmt: skip
"""Folders that belong to the service around them, or to none; they are not searched for services."""

_DOCKER_FOLDERS = ("", "docker", "deploy", "deploy/docker", "build")
_NON_PRODUCTION_WORDS = frozenset(
    {"test", "tests", "testing", "scripts", "tools", "examples", "docs", "dev", "ci", ".devcontainer", "mock", "mocks"}
)
_REQUIREMENTS_NAME = re.compile(r"(?:[\w.-]+[-_.])?requirements(?:[-_.][\w.-]+)?\.(?:txt|in)", re.ASCII)
_RUN_TIME_FILES = frozenset(
    f"{name}.{ending}"
    for name in ("requirements", "base", "common", "prod", "production", "main")
    for ending in ("txt", "in")
)
_DEVELOPER_MODULES = frozenset({"setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py", "dodo.py"})
"""Modules beside the code that only developers run."""
_FILE_LIMIT = 50
"""Maximum number of Dockerfiles, and of workflows, that are read of one service."""


if TYPE_CHECKING:
    from pytest_py312.repository.declarations.workflow import WorkflowText


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceFiles:
    """The files of one service. ``scan`` and the keys of ``texts`` are relative to it; other paths to the root."""

    path: str
    nested_folders: tuple[str, ...] = ()
    """Folders of other services inside it, relative to it; ``scan`` excludes them."""
    scan: FolderScan
    texts: Mapping[str, str]
    dockerfiles: tuple[DockerfileText, ...]
    workflows: "tuple[WorkflowText, ...]"
    metadata: Mapping[str, VersionMetadata]

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """All version declarations, sorted by path and line."""
        declarations = [item for dockerfile in self.dockerfiles for item in dockerfile.declarations]
        declarations += [item for workflow in self.workflows for item in workflow.declarations]
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
    for name in scan.existing_files(*dict.fromkeys((*FILES, *INI_FILES))):
        text = tree.read_or_none(join_path(path, name))
        if text is not None:
            texts[name] = text
    dockerfiles = [name for name in scan.files if is_dockerfile(name.rpartition("/")[2])]
    workflows = [name for name in scan.files if re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml", name)]
    return ServiceFiles(
        path=path,
        nested_folders=nested_folders,
        scan=scan,
        texts=texts,
        dockerfiles=tuple(
            read_dockerfile(text, place) for place, text in _readable_texts(tree, path, dockerfiles[:_FILE_LIMIT])
        ),
        workflows=_workflows(tree, path, workflows[:_FILE_LIMIT]),
        metadata={name: read_metadata(text, join_path(path, name)) for name, text in texts.items()},
    )


def _workflows(tree: Tree, path: str, names: list[str]) -> "tuple[WorkflowText, ...]":
    if not names:
        return ()
    from pytest_py312.repository.declarations.workflow import (
        read_workflow,  # loads YAML, which a fleet without workflows does not need
    )

    return tuple(read_workflow(text, place) for place, text in _readable_texts(tree, path, names))


def _readable_texts(tree: Tree, path: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        text = tree.read_or_none(join_path(path, name))
        if text is not None:
            yield join_path(path, name), text


def is_production_dockerfile(dockerfile: str, service: str) -> bool:
    """Return whether no part of the Dockerfile's path inside the service names tests or tools."""
    inner = dockerfile if service == "." else dockerfile.removeprefix(service + "/")
    *folders, name = inner.lower().split("/")
    return not _NON_PRODUCTION_WORDS & {*folders, *re.split(r"[._-]", name)}


def is_requirements_name(name: str) -> bool:
    """Return whether a file name is like ``requirements.txt``, ``requirements-dev.txt`` or ``test_requirements.in``."""
    return _REQUIREMENTS_NAME.fullmatch(name) is not None


def service_indicator(tree: Tree, path: str, listing: FolderListing) -> str:
    """Return the file (relative to the folder) that makes the folder a service; empty if none does."""
    for image in _python_dockerfiles(tree, path, listing):
        return image
    for name in listing.files:
        if is_requirements_name(name):
            return name
    if "requirements" in listing.folders:
        inner = tree.list_folder(join_path(path, "requirements"))
        if any(name.endswith(".txt") for name in inner.files):
            return "requirements/"
    if "Pipfile" in listing.files:
        return "Pipfile"
    return next(
        (name for name in ("pyproject.toml", "setup.py", "setup.cfg") if _has_package_metadata(tree, path, name)), ""
    )


def is_deployable(tree: Tree, path: str) -> bool:
    """Return whether the folder declares what is needed to run it, not only what is needed to develop it."""
    listing = tree.list_folder(path)
    in_folder = tree.list_folder(join_path(path, "requirements")).files
    return (
        has_python_image(tree, path, listing)
        or not _RUN_TIME_FILES.isdisjoint((*listing.files, *in_folder))
        or "Pipfile" in listing.files
        or any(_has_package_metadata(tree, path, name) for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    )


_POETRY_DECLARES = frozenset({"name", "dependencies", "dev-dependencies", "group"})


def has_own_code(tree: Tree, path: str, services: Sequence[str]) -> bool:
    """Return whether the folder or its ``src`` has modules or packages that are in none of the ``services``."""
    for folder in (path, join_path(path, "src")):
        listing = tree.list_folder(folder)
        if any(name.endswith(".py") and name not in _DEVELOPER_MODULES for name in listing.files):
            return True
        inner = (join_path(folder, name) for name in listing.folders if name not in NON_SERVICE_FOLDERS)
        if any(
            package_folder not in services and tree.is_file(join_path(package_folder, "__init__.py"))
            for package_folder in inner
        ):
            return True
    return False


def inner_services(tree: Tree, path: str, listing: FolderListing) -> tuple[str, ...]:
    """Return the folders in a folder that look like services, and those of the functions that its files define."""
    children = (join_path(path, name) for name in listing.folders if is_searched(name))
    folders = [child for child in children if service_indicator(tree, child, tree.list_folder(child))]
    return tuple(dict.fromkeys((*folders, *(name for name in function_folders(tree, path) if name != path))))


def is_searched(name: str) -> bool:
    """Return whether a folder with this name may be a service, or contain one."""
    return name not in NON_SERVICE_FOLDERS and not name.startswith(".")


def has_python_image(tree: Tree, path: str, listing: FolderListing) -> bool:
    """Return whether the folder has a production Dockerfile of its own that is based on a Python image."""
    return next(_python_dockerfiles(tree, path, listing), "") != ""


def _python_dockerfiles(tree: Tree, path: str, listing: FolderListing) -> Iterator[str]:
    for folder in _DOCKER_FOLDERS:
        if folder and folder.partition("/")[0] not in listing.folders:
            continue
        names = tree.list_folder(join_path(path, folder)).files if folder else listing.files
        for name in filter(is_dockerfile, names):
            text = tree.read_or_none(join_path(path, folder, name))
            dockerfile = read_dockerfile(text, name) if text is not None else None
            if dockerfile is None or dockerfile.final_python_stage is None:
                continue
            if not _is_of_inner_services(tree, path, listing, dockerfile):
                yield join_path(folder, name) if folder else name


def _is_of_inner_services(tree: Tree, path: str, listing: FolderListing, dockerfile: DockerfileText) -> bool:
    """Return whether an image takes its code from services inside of the folder, of which there are several."""
    sources = {join_path(path, source) for source in copied_sources(dockerfile)}
    if not sources or path in sources or any(_is_code(source, path) for source in sources):
        return False
    inner = inner_services(tree, path, listing)
    return len(inner) > 1 and any(f"{source}/".startswith(f"{folder}/") for source in sources for folder in inner)


def _is_code(source: str, folder: str) -> bool:
    """Return whether a file directly in the folder is a module, or says what is installed; a pattern may match it."""
    parent, _, name = source.rpartition("/")
    return (parent or ".") == folder and ("*" in name or name.endswith((".py", ".txt", ".toml", ".cfg", ".lock")))


def has_project_metadata(tree: Tree, path: str) -> bool:
    """Whether the folder has a pyproject.toml of a project, and not only of tools."""
    return _has_package_metadata(tree, path, "pyproject.toml")


def _has_package_metadata(tree: Tree, path: str, name: str) -> bool:
    text = tree.read_or_none(join_path(path, name)) if tree.is_file(join_path(path, name)) else None
    if text is None:
        return False
    if name == "pyproject.toml":
        if re.search(r"^[ \t]*\[[ \t]*(?:project|tool[ \t]*\.[ \t]*poetry)[ \t]*[\].]", text, re.MULTILINE) is None:
            return False
        toml = read_toml(text)
        poetry = toml.table("tool", "poetry")
        # an empty [tool.poetry], or one with settings only, declares nothing that is installed
        return bool(toml.parse_error or toml.table("project")) or not poetry.keys().isdisjoint(_POETRY_DECLARES)
    if name == "setup.py":
        return read_setup_py(text).is_packaging
    ini = read_ini(text)
    return ini.get("metadata", "name") is not None or "options" in ini.sections
