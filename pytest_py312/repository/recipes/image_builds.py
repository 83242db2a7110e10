"""Read how images of the repository are built: by commands, compose files and files of Skaffold."""

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_py312.repository.formats.compose import read_compose
from pytest_py312.repository.formats.skaffold import read_skaffold
from pytest_py312.repository.tree import Tree, join_path, leaves_root

DEPTH = 6
"""Levels of folders in which files are looked for."""
FILE_LIMIT = 500
"""Maximum number of files that are searched for commands which build images."""

COMMAND_ARGUMENTS = r"(?P<arguments>(?:[^\n\\;&|]|\\\n|\\.)*)"
"""What follows the name of a command in a script, also over lines that are continued."""
_BUILD_COMMAND = re.compile(rf"\bdocker(?:[ \t]+buildx|[ \t]+image)?[ \t]+build\b{COMMAND_ARGUMENTS}")
_VALUE_OPTIONS = frozenset({"--target", "--platform", "--progress", "--network", "--cache-from", "--label"})
_SKAFFOLD = re.compile(r"skaffold[\w.-]*\.ya?ml", re.ASCII)
_CHANGES_FOLDER = re.compile(r"^[ \t]*(?:cd|pushd)\s", re.MULTILINE)
_FOR_DEVELOPERS = re.compile(
    r"(?:^|[-_./])(?:local|dev(?:el|elop(?:ment|er)?)?|tests?|testing|override|debug)(?=$|[-_./])"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBuild:
    """One build of the Dockerfile ``dockerfile``, a path relative to the root, that a file in ``source`` describes.

    ``images`` are the names that the result gets, ``arguments`` the values of ``ARG``, and ``required`` pairs of an
    argument and the name of another image, which that argument gets.
    """

    source: str
    dockerfile: str
    images: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    required: tuple[tuple[str, str], ...] = ()


def build_arguments(tree: Tree, dockerfile: str) -> dict[str, str]:
    """Return the arguments that every build of a Dockerfile for production gives with the same value.

    A build that gives none uses the default. A value that names a build for developers, such as ``dev``, is left out.
    """
    builds = [
        dict(build.arguments)
        for build in image_builds(tree)
        if build.dockerfile == dockerfile and not _FOR_DEVELOPERS.search(build.source)
    ]
    common = set(builds[0].items()).intersection(*(build.items() for build in builds[1:])) if builds else set()
    return {name: value for name, value in common if not _FOR_DEVELOPERS.search(value)}


@lru_cache(maxsize=2)
def image_builds(tree: Tree) -> tuple[ImageBuild, ...]:
    """Return all builds that the files of a repository describe. Cached: each service asks for them."""
    builds = [build for path in scripts_of(tree) for build in _builds_of_script(tree, path)]
    for path in files_of(tree):
        if _SKAFFOLD.fullmatch(path.rpartition("/")[2]):
            builds += (
                ImageBuild(
                    source=path,
                    dockerfile=image.dockerfile,
                    images=(image.name,),
                    arguments=image.arguments,
                    required=image.required,
                )
                for image in read_skaffold(tree.read_or_none(path) or "", path)
            )
    return tuple(dict.fromkeys(builds))


def scripts_of(tree: Tree) -> list[str]:
    """Return the files that may have commands which build something."""
    endings = (".sh", ".bash", ".yml", ".yaml", "Makefile", ".mk")
    return [path for path in files_of(tree) if path.endswith(endings)][:FILE_LIMIT]


@lru_cache(maxsize=2)
def files_of(tree: Tree) -> tuple[str, ...]:
    """Return the files in which builds and Dockerfiles are looked for."""
    return tree.scan_folder(".", depth=DEPTH).files


def _builds_of_script(tree: Tree, path: str) -> Iterator[ImageBuild]:
    text = tree.read_or_none(path) or ""
    folder = path.rpartition("/")[0] or "."
    if "compose" in path.rpartition("/")[2] and "build" in text:
        for entry in read_compose(text, path):
            place = join_path(entry.folder, entry.dockerfile)
            images = (entry.image,) if entry.image else ()
            yield ImageBuild(source=path, dockerfile=place, images=images, arguments=entry.arguments)
    folders = [folder] if _CHANGES_FOLDER.search(text) else [folder, "."]
    for match in _BUILD_COMMAND.finditer(text):
        try:
            words = shlex.split(match["arguments"].replace("\\\n", " "))
        except ValueError:
            continue
        yield from _build_of_command(tree, path, words, folders)


def _build_of_command(tree: Tree, source: str, words: list[str], folders: Sequence[str]) -> Iterator[ImageBuild]:
    """Yield the build of one command, which runs in one of ``folders``, with the Dockerfile that is there."""
    images, file, places = list[str](), "", list[str]()
    arguments: dict[str, str] = {}
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option in ("-t", "--tag", "-f", "--file", "--build-arg", *_VALUE_OPTIONS):
            value = value if equals else words.pop(0) if words else ""
            images += [value] if option in ("-t", "--tag") else []
            file = value if option in ("-f", "--file") else file
            if option == "--build-arg" and "=" in value and "$" not in value:
                name, _, given = value.partition("=")
                arguments[name] = given
        elif not option.startswith("-"):
            places.append(option)
    for base in folders:
        place = join_path(base, file) if file else join_path(base, *places[-1:], "Dockerfile")
        if not leaves_root(place) and tree.is_file(place):
            yield ImageBuild(
                source=source,
                dockerfile=posixpath.normpath(place),
                images=tuple(images),
                arguments=tuple(arguments.items()),
            )
            return
