"""Read skaffold.yaml: which images are built from which Dockerfiles. Never raises.

https://skaffold.dev/docs/references/yaml/
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_py312.repository.formats.yaml import (
    InvalidYaml,
    YamlNode,
    child_of,
    items_of,
    pairs_of,
    parse_documents,
    scalar_text,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SkaffoldImage:
    """An image: ``dockerfile`` is a path relative to the root.

    ``arguments`` are the values of build arguments, ``required`` pairs of one and the name of another image, which that
    argument gets.
    """

    name: str
    dockerfile: str
    arguments: tuple[tuple[str, str], ...] = ()
    required: tuple[tuple[str, str], ...] = ()


def read_skaffold(text: str, path: str) -> tuple[SkaffoldImage, ...]:
    """Return the images that a file builds; those of its profiles replace others, and are left out."""
    try:
        documents = parse_documents(text)
    except InvalidYaml:
        return ()
    folder = posixpath.dirname(path)
    return tuple(image for document in documents for image in _images(child_of(document, "build"), folder))


def _images(build: YamlNode | None, folder: str) -> Iterator[SkaffoldImage]:
    for artifact in items_of(child_of(build, "artifacts")):
        context = scalar_text(child_of(artifact, "context"))
        docker = child_of(artifact, "docker")
        dockerfile = scalar_text(child_of(docker, "dockerfile")) or "Dockerfile"
        arguments = ((scalar_text(name), scalar_text(value)) for name, value in pairs_of(child_of(docker, "buildArgs")))
        required = (
            (scalar_text(child_of(item, "alias")), scalar_text(child_of(item, "image")))
            for item in items_of(child_of(artifact, "requires"))
        )
        yield SkaffoldImage(
            name=scalar_text(child_of(artifact, "image")),
            dockerfile=posixpath.normpath(posixpath.join(folder, context, dockerfile)),
            arguments=tuple(pair for pair in arguments if all(pair) and "{{" not in pair[1]),
            required=tuple(pair for pair in required if all(pair)),
        )
