"""Find the Dockerfile of the repository from which an image is built that others are based on.

A command, a compose file or Skaffold names the image (``docker build -t example/base docker/base``), the last one also
for an argument of the build (``FROM ${BASE}``). Otherwise the folder or the end of the file does: ``base/Dockerfile``
and ``Dockerfile.base`` are taken for ``example/base`` and for ``FROM $BASE_IMAGE``, but nothing for ``ubuntu``, an
image of the registry.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import InstallStep
from pytest_py312.repository.formats.dockerfile import (
    BuildStage,
    DockerfileText,
    is_dockerfile,
    read_dockerfile,
)
from pytest_py312.repository.recipes.image_builds import DEPTH, files_of, image_builds, scripts_of
from pytest_py312.repository.tree import Tree

CHAIN_LIMIT = 5
"""Maximum number of images that build on each other."""
_GIVEN = re.compile(
    r"(?<![\w$])(?P<name>[A-Z][A-Z\d_]{0,100})[\"']?[ \t]{0,20}(?:[:?+]?=|:[ \t])(?P<value>[^\n]{0,200})", re.ASCII
)
_COPIED_FROM = re.compile(r"--(?:from=|mount=\S*\bfrom=)[\"']?([\w./:-]+)")
_FETCHES = re.compile(r"://|\b(?:curl|wget|conda|mamba|micromamba)\b|\bgit[ \t]+clone\b")
_UNPACKED = re.compile(r"\.(?:tar|tgz|zip)\b|site-packages|dist-packages")
_PYTHON_LIBRARY = re.compile(r"(?:python3?|py3)-(?!(?:pip|dev|devel|venv|distutils|setuptools|wheel|minimal|full)\b)")
"""A package of a distribution with a library of Python."""
_OFFICIAL_PYTHON = re.compile(r"(?:docker\.io/)?(?:(?:[\w.-]+(?::\d+)?/){0,5}library/)?python(?:[:@]|$)")
"""The image of Docker Hub, also by the name that mirrors give it."""
_PROGRAM_OF_UV = re.compile(r"(?:^|/)astral-sh/uv[:@]")
"""An image with no more than a program."""


def python_base(tree: Tree, stage: BuildStage | None) -> DockerfileText | None:
    """Return the Dockerfile with the Python image that a stage builds on through images of the repository."""
    for _ in range(CHAIN_LIMIT):
        path = base_dockerfile(tree, stage) if stage is not None else ""
        text = tree.read_or_none(path) if path else None
        if text is None:
            return None
        dockerfile = read_dockerfile(text, path)
        stage = dockerfile.final_stage
        if stage is not None and stage.is_python:
            return dockerfile
    return None


def base_dockerfile(tree: Tree, stage: BuildStage) -> str:
    """Return the path of the Dockerfile that makes the image of a stage; empty if none does, or one of several."""
    image = stage.image or _image_of_argument(tree, stage.base)
    name, tag = _name_of(image)
    if stage.is_python or not name or name == "scratch":
        return ""
    built, by_folder = _images_of(tree)
    paths = {path for image, its_tag, path in built if image == name and tag in ("", its_tag)}
    paths = paths or {path for image, its_tag, path in built if image == name and not (tag and its_tag)}
    if not paths and not any(image == name for image, _, _ in built) and "/" in image:
        paths = {path for image, _, path in by_folder if image == name}
    return next(iter(paths)) if len(paths) == 1 else ""


def _image_of_argument(tree: Tree, base: str) -> str:
    """Return the image that all files of Skaffold give the argument in ``FROM ${BASE}``; empty if they give several.

    Where nothing gives the argument the value of another image, it is that of a folder with its name, if that has
    several words: ``images/app-flask`` for ``$APP_FLASK``.
    """
    argument = re.fullmatch(r"\$\{?(\w+)\}?", base)
    if argument is None:
        return ""
    required = [pair for build in image_builds(tree) for pair in build.required]
    names = {name for alias, name in required if alias == argument[1]}
    name = _name_of(re.sub(r"_image$", "", argument[1], flags=re.IGNORECASE))[0]
    given = _given_values(tree).get(argument[1], ())
    if not names and "-" in name and all(name in canonicalize_name(value) for value in given):
        names = {f"./{image}" for image, _, _ in _images_of(tree)[1] if image == name}
    return next(iter(names)) if len(names) == 1 else ""


@lru_cache(maxsize=2)
def _given_values(tree: Tree) -> Mapping[str, Set[str]]:
    """Return what scripts, workflows and compose files write behind names, as for arguments of builds."""
    values: dict[str, set[str]] = {}
    for path in (*scripts_of(tree), *_bake_files(tree)):
        for match in _GIVEN.finditer(tree.read_or_none(path) or ""):
            values.setdefault(match["name"], set()).add(match["value"])
    return values


def _bake_files(tree: Tree) -> list[str]:
    return [path for path in files_of(tree) if path.endswith((".hcl", ".env", "bake.json"))]


@lru_cache(maxsize=2)
def base_image_folders(tree: Tree) -> frozenset[str]:
    """Return the folders without Python code whose image starts nothing, and others of the repository build on it.

    Cached: each folder asks for them.
    """
    bases: set[str] = set()
    for path in _dockerfiles(tree):
        dockerfile = read_dockerfile(tree.read_or_none(path) or "", path)
        bases |= {base_dockerfile(tree, stage) for stage in dockerfile.stages if stage.parent is None} - {path, ""}
    folders = {path.rpartition("/")[0] or "." for path in bases if not _starts(tree, path)}
    return frozenset(folder for folder in folders if not _has_code(tree, folder))


def _has_code(tree: Tree, folder: str) -> bool:
    return any(name.endswith(".py") for name in tree.scan_folder(folder, depth=DEPTH).files)


def _starts(tree: Tree, path: str) -> bool:
    dockerfile = read_dockerfile(tree.read_or_none(path) or "", path)
    return any(item.keyword in ("CMD", "ENTRYPOINT") for item in dockerfile.instructions)


def _name_of(image: str) -> tuple[str, str]:
    """Return the last part of the name, in lower case, and the tag; a tag with a variable is empty, as is no tag."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    if "$" in name:
        return "", ""
    return canonicalize_name(name), "" if "$" in tag else tag


Images = frozenset[tuple[str, str, str]]
"""Names of images, their tags, and the paths of their Dockerfiles."""


@lru_cache(maxsize=2)
def _images_of(tree: Tree) -> tuple[Images, Images]:
    """Return the images that commands and compose files name, and those that folders and ends of files name.

    Cached: each service asks for them.
    """
    built = (
        (*_name_of(image), build.dockerfile)
        for build in image_builds(tree)
        for image in build.images
        if _name_of(image)[0]
    )
    return frozenset(built), frozenset(image for path in _dockerfiles(tree) for image in _named_images(path))


@lru_cache(maxsize=2)
def _dockerfiles(tree: Tree) -> tuple[str, ...]:
    return tuple(path for path in files_of(tree) if is_dockerfile(path.rpartition("/")[2]))


def _named_images(path: str) -> Iterator[tuple[str, str, str]]:
    folder, _, name = path.rpartition("/")
    end = re.sub(r"dockerfile|^[._-]|[._-]$", "", name.lower()).strip("._-")
    if end or folder:
        yield (*_name_of(end or folder.rpartition("/")[2]), path)


def is_closed(dockerfile: DockerfileText, built: BuildStage, steps: Sequence[InstallStep]) -> bool:
    """Return whether an image gets Python modules only by ``steps`` that are read, and from the repository.

    It builds on an official image of Python, and its lines fetch nothing else, and copy from no other image.
    """
    stages = dockerfile.made_from(built)
    names = {name for index in stages for name in (dockerfile.stages[index].name, str(index))}
    lines = [item for index in stages for item in dockerfile.instructions_of(dockerfile.stages[index])]
    copied = {match[1].lower() for item in lines for match in _COPIED_FROM.finditer(item.arguments)}
    is_fetched = any(_FETCHES.search(item.arguments) for item in lines if item.keyword in ("RUN", "ADD"))
    of_context = [item for item in lines if item.keyword in ("ADD", "COPY") and "--from" not in item.arguments]
    is_unpacked = any(_UNPACKED.search(item.arguments) for item in of_context)
    packages = [package for step in steps for package in step.system_packages]
    return (
        any(step.is_for_python for step in steps)
        and _OFFICIAL_PYTHON.match(built.image) is not None
        and all(name in names or _PROGRAM_OF_UV.search(name) for name in copied)
        and not (is_fetched or is_unpacked)
        and not any(map(_PYTHON_LIBRARY.match, packages))
    )
