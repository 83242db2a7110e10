"""Find the Dockerfile of the repository from which an image is built that others are based on.

A command, a compose file or Skaffold names the image (``docker build -t example/base docker/base``), the last one also
for an argument of the build (``FROM ${BASE}``). Otherwise the folder or the end of the file does: ``base/Dockerfile``
and ``Dockerfile.base`` are taken for ``example/base``, but nothing for ``ubuntu``, an image of the registry.
"""

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache

from pytest_py312.repository.formats.compose import read_compose
from pytest_py312.repository.formats.dockerfile import BuildStage, DockerfileText, is_dockerfile, read_dockerfile
from pytest_py312.repository.formats.skaffold import SkaffoldImage, read_skaffold
from pytest_py312.repository.tree import Tree, join_path, leaves_root

DEPTH = 6
"""Levels of folders in which files are looked for."""
FILE_LIMIT = 500
"""Maximum number of files that are searched for commands which build images."""
CHAIN_LIMIT = 5
"""Maximum number of images that build on each other."""

_BUILD_COMMAND = re.compile(
    r"\bdocker(?:[ \t]+buildx|[ \t]+image)?[ \t]+build\b(?P<arguments>(?:[^\n\\;&|]|\\\n|\\.)*)"
)
_VALUE_OPTIONS = frozenset(
    {"--build-arg", "--target", "--platform", "--progress", "--network", "--cache-from", "--label"}
)
_SKAFFOLD = re.compile(r"skaffold[\w.-]*\.ya?ml", re.ASCII)
_CHANGES_FOLDER = re.compile(r"^\s*(?:cd|pushd)\s", re.MULTILINE)


def python_base(tree: Tree, dockerfile: DockerfileText) -> DockerfileText | None:
    """Return the Dockerfile with the Python image that the last stage builds on through images of the repository."""
    for _ in range(CHAIN_LIMIT):
        stage = dockerfile.final_stage
        path = base_dockerfile(tree, stage) if stage is not None else ""
        text = tree.read_or_none(path) if path and path != dockerfile.path else None
        if text is None:
            return None
        dockerfile = read_dockerfile(text, path)
        if dockerfile.final_stage is not None and dockerfile.final_stage.is_python:
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
    """Return the image that all files of Skaffold give the argument in ``FROM ${BASE}``; empty if they give several."""
    argument = re.fullmatch(r"\$\{?(\w+)\}?", base)
    required = [pair for image in _skaffold_images(tree) for pair in image.required] if argument else []
    names = {name for alias, name in required if argument and alias == argument[1]}
    return next(iter(names)) if len(names) == 1 else ""


@lru_cache(maxsize=2)
def _skaffold_images(tree: Tree) -> tuple[SkaffoldImage, ...]:
    files = [path for path in _files(tree) if _SKAFFOLD.fullmatch(path.rpartition("/")[2])]
    return tuple(image for path in files for image in read_skaffold(tree.read_or_none(path) or "", path))


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
    return re.sub(r"[-_.]+", "-", name.lower()), "" if "$" in tag else tag


Images = frozenset[tuple[str, str, str]]
"""Names of images, their tags, and the paths of their Dockerfiles."""


@lru_cache(maxsize=2)
def _images_of(tree: Tree) -> tuple[Images, Images]:
    """Return the images that commands and compose files name, and those that folders and ends of files name.

    Cached: each service asks for them.
    """
    scripts = [path for path in _files(tree) if path.endswith((".sh", ".bash", ".yml", ".yaml", "Makefile", ".mk"))]
    built = {image for path in scripts[:FILE_LIMIT] for image in _built_images(tree, path)}
    built |= {(*_name_of(image.name), image.dockerfile) for image in _skaffold_images(tree)}
    return frozenset(built), frozenset(image for path in _dockerfiles(tree) for image in _named_images(path))


@lru_cache(maxsize=2)
def _dockerfiles(tree: Tree) -> tuple[str, ...]:
    return tuple(path for path in _files(tree) if is_dockerfile(path.rpartition("/")[2]))


@lru_cache(maxsize=2)
def _files(tree: Tree) -> tuple[str, ...]:
    return tree.scan_folder(".", depth=DEPTH).files


def _named_images(path: str) -> Iterator[tuple[str, str, str]]:
    folder, _, name = path.rpartition("/")
    end = re.sub(r"dockerfile|^[._-]|[._-]$", "", name.lower()).strip("._-")
    if end or folder:
        yield (*_name_of(end or folder.rpartition("/")[2]), path)


def _built_images(tree: Tree, path: str) -> Iterator[tuple[str, str, str]]:
    text = tree.read_or_none(path) or ""
    folder = path.rpartition("/")[0] or "."
    if "compose" in path.rpartition("/")[2] and "image" in text:
        for entry in read_compose(text, path):
            yield (*_name_of(entry.image), join_path(entry.folder, entry.dockerfile))
    folders = [folder] if _CHANGES_FOLDER.search(text) else [folder, "."]
    for match in _BUILD_COMMAND.finditer(text):
        try:
            words = shlex.split(match["arguments"].replace("\\\n", " "))
        except ValueError:
            continue
        yield from _built_by(tree, words, folders)


def _built_by(tree: Tree, words: list[str], folders: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the images of one command, which runs in one of ``folders``, together with the Dockerfile that is there."""
    names, file, places = [], "", []
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option in ("-t", "--tag", "-f", "--file", *_VALUE_OPTIONS):
            value = value if equals else words.pop(0) if words else ""
            names += [value] if option in ("-t", "--tag") else []
            file = value if option in ("-f", "--file") else file
        elif not option.startswith("-"):
            places.append(option)
    for base in folders:
        place = join_path(base, file) if file else join_path(base, *places[-1:], "Dockerfile")
        if not leaves_root(place) and tree.is_file(place):
            yield from ((*_name_of(name), posixpath.normpath(place)) for name in names if _name_of(name)[0])
            return
