"""Which folders are services, and what the files of one say: read once, by name, nothing executed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.metadata import FILES, Metadata, read_metadata
from pytest_py312.repository.declarations.reader import is_dockerfile
from pytest_py312.repository.formats.dockerfile import DockerfileText, read_dockerfile
from pytest_py312.repository.formats.setuptools import read_ini, read_setup_py
from pytest_py312.repository.services.suites import INI_FILES
from pytest_py312.repository.tree import Listing, Scan, Tree, join, relative_to

SCAN_DEPTH = 6
NOT_SERVICES = frozenset(
    {
        "docs", "doc", "tests", "test", "examples", "example", "scripts", "tools", "vendor", "third_party", "docker",
        "deploy", "build", "dist", "requirements",
    }
)  # fmt: skip
"""Folders that belong to what is around them, or to nobody; they are not searched for services."""

_DOCKER_FOLDERS = ("", "docker", "deploy", "deploy/docker", "build")
_NOT_PRODUCTION = frozenset(
    {"test", "tests", "testing", "scripts", "tools", "examples", "docs", "dev", "ci", ".devcontainer", "mock", "mocks"}
)
_REQUIREMENTS = re.compile(r"(?:[\w.-]+[-_.])?requirements(?:[-_.][\w.-]+)?\.(?:txt|in)", re.ASCII)
_RUN_TIME = frozenset(
    f"{name}.{ending}"
    for name in ("requirements", "base", "common", "prod", "production", "main")
    for ending in ("txt", "in")
)
_TOOLS = frozenset({"setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py", "dodo.py"})
"""Modules beside a repository's code that only its developers run."""
_FILE_LIMIT = 50
"""Dockerfiles and workflows that are read of one service."""


if TYPE_CHECKING:
    from pytest_py312.repository.declarations.workflow import WorkflowText


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceFiles:
    """The files of one service. ``scan`` and the keys of ``texts`` are relative to it; facts bear paths of the root."""

    path: str
    inner: tuple[str, ...] = ()
    """Folders of other services beneath it, relative to it; ``scan`` is without them."""
    scan: Scan
    texts: Mapping[str, str]
    dockerfiles: tuple[DockerfileText, ...]
    workflows: "tuple[WorkflowText, ...]"
    metadata: Mapping[str, Metadata]

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """Everything that they say of Python versions, by path and line."""
        found = [one for dockerfile in self.dockerfiles for one in dockerfile.declarations]
        found += [one for workflow in self.workflows for one in workflow.declarations]
        found += [one for metadata in self.metadata.values() for one in metadata.declarations]
        return tuple(sorted(found, key=lambda one: (one.location.path, one.location.line or 0, one.kind, one.text)))


def read_service(tree: Tree, path: str, inner: Sequence[str] = ()) -> ServiceFiles:
    """Read the files of the service at ``path``, without those in ``inner``, folders of the root that are others'."""
    others = relative_to(path, inner)
    scan = tree.scan(path, depth=SCAN_DEPTH).without(others)
    texts: dict[str, str] = {}
    for name in scan.named(*dict.fromkeys((*FILES, *INI_FILES))):
        text = tree.text(join(path, name))
        if text is not None:
            texts[name] = text
    dockerfiles = [name for name in scan.files if is_dockerfile(name.rpartition("/")[2])]
    workflows = [name for name in scan.files if re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml", name)]
    return ServiceFiles(
        path=path,
        inner=others,
        scan=scan,
        texts=texts,
        dockerfiles=tuple(
            read_dockerfile(text, place) for place, text in _texts(tree, path, dockerfiles[:_FILE_LIMIT])
        ),
        workflows=_workflows(tree, path, workflows[:_FILE_LIMIT]),
        metadata={name: read_metadata(text, join(path, name)) for name, text in texts.items()},
    )


def _workflows(tree: Tree, path: str, names: list[str]) -> "tuple[WorkflowText, ...]":
    if not names:
        return ()
    from pytest_py312.repository.declarations.workflow import (
        read_workflow,  # loads YAML, which a fleet without workflows can do without
    )

    return tuple(read_workflow(text, place) for place, text in _texts(tree, path, names))


def _texts(tree: Tree, path: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        text = tree.text(join(path, name))
        if text is not None:
            yield join(path, name), text


def is_production(dockerfile: str, service: str) -> bool:
    """Whether the Dockerfile's path, as far as it lies within the service, names neither tests nor tools."""
    inner = dockerfile if service == "." else dockerfile.removeprefix(service + "/")
    *folders, name = inner.lower().split("/")
    return not _NOT_PRODUCTION & {*folders, *re.split(r"[._-]", name)}


def is_requirements(name: str) -> bool:
    """``requirements.txt``, ``requirements-dev.txt``, ``test_requirements.in`` and their like."""
    return _REQUIREMENTS.fullmatch(name) is not None


def sign_of_service(tree: Tree, path: str, listing: Listing) -> str:
    """The file (relative to the folder) that shows that the folder is a service; empty when nothing does."""
    for image in _python_dockerfiles(tree, path, listing):
        return image
    for name in listing.files:
        if is_requirements(name):
            return name
    if "requirements" in listing.folders:
        inner = tree.listing(join(path, "requirements"))
        if any(name.endswith(".txt") for name in inner.files):
            return "requirements/"
    if "Pipfile" in listing.files:
        return "Pipfile"
    return next((name for name in ("pyproject.toml", "setup.py", "setup.cfg") if _has_metadata(tree, path, name)), "")


def is_deployable(tree: Tree, path: str) -> bool:
    """Whether a folder says what is needed to run it, and not only what to develop with."""
    listing = tree.listing(path)
    in_folder = tree.listing(join(path, "requirements")).files
    return (
        has_python_image(tree, path, listing)
        or not _RUN_TIME.isdisjoint((*listing.files, *in_folder))
        or "Pipfile" in listing.files
        or any(_has_metadata(tree, path, name) for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    )


def has_own_code(tree: Tree, path: str, services: Sequence[str]) -> bool:
    """Whether there are modules or packages in the folder, or in its ``src``, that lie in none of the ``services``."""
    for folder in (path, join(path, "src")):
        listing = tree.listing(folder)
        if any(name.endswith(".py") and name not in _TOOLS for name in listing.files):
            return True
        inner = (join(folder, name) for name in listing.folders if name not in NOT_SERVICES)
        if any(one not in services and tree.is_file(join(one, "__init__.py")) for one in inner):
            return True
    return False


def has_python_image(tree: Tree, path: str, listing: Listing) -> bool:
    """Whether the folder is deployed by a Dockerfile of its own that is based on a Python image."""
    return next(_python_dockerfiles(tree, path, listing), "") != ""


def _python_dockerfiles(tree: Tree, path: str, listing: Listing) -> Iterator[str]:
    for folder in _DOCKER_FOLDERS:
        if folder and folder.partition("/")[0] not in listing.folders:
            continue
        names = tree.listing(join(path, folder)).files if folder else listing.files
        for name in filter(is_dockerfile, names):
            text = tree.text(join(path, folder, name))
            if text is not None and read_dockerfile(text, name).final_python is not None:
                yield join(folder, name) if folder else name


def _has_metadata(tree: Tree, path: str, name: str) -> bool:
    text = tree.text(join(path, name)) if tree.is_file(join(path, name)) else None
    if text is None:
        return False
    if name == "pyproject.toml":
        return re.search(r"^\s*\[\s*(?:project|tool\s*\.\s*poetry)\s*[\].]", text, re.MULTILINE) is not None
    if name == "setup.py":
        return read_setup_py(text).packaging
    ini = read_ini(text)
    return ini.get("metadata", "name") is not None or "options" in ini.sections
