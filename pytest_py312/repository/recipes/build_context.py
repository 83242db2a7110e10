"""Determine the build context of a Dockerfile, and what its instructions copy."""

import json
import re
import shlex
from collections.abc import Iterator

from pytest_py312.repository.formats.dockerfile import DockerfileText, Instruction
from pytest_py312.repository.tree import Tree, join_path, leaves_root


def find_build_context(tree: Tree, service_path: str, dockerfile: DockerfileText) -> str:
    """Return the folder with most of what the Dockerfile copies: the service's, the Dockerfile's, or the root."""
    candidates = dict.fromkeys((service_path, join_path(".", dockerfile.path.rpartition("/")[0] or "."), "."))
    sources = copied_sources(dockerfile)
    return max(candidates, key=lambda folder: sum(_exists_in_context(tree, folder, source) for source in sources))


def copied_sources(dockerfile: DockerfileText) -> list[str]:
    """Return what the stages of a Dockerfile take from the build context, as far as it is literal."""
    return [source for instruction in dockerfile.instructions for source in _copied_sources(instruction)]


def _copied_sources(instruction: Instruction) -> Iterator[str]:
    """Yield what a COPY or ADD takes from the build context."""
    if instruction.keyword not in ("COPY", "ADD") or "<<" in instruction.arguments or "--from" in instruction.arguments:
        return
    words = [word for word in instruction_words(instruction.arguments) if not word.startswith("--")]
    for word in words[:-1]:
        if "$" not in word and "://" not in word and not word.startswith("git@"):
            yield word.lstrip("/")


def instruction_words(arguments: str) -> list[str]:
    """Split the arguments of a Dockerfile instruction, in JSON or shell form."""
    try:
        if arguments.lstrip().startswith("["):
            parsed = json.loads(arguments)
            return [str(word) for word in parsed] if isinstance(parsed, list) else []
        return shlex.split(arguments)
    except (ValueError, RecursionError):
        return arguments.split()


def _exists_in_context(tree: Tree, folder: str, source: str) -> bool:
    fixed = re.split(r"[*?\[]", source, maxsplit=1)[0]
    path = join_path(folder, (fixed if fixed == source else fixed.rpartition("/")[0]) or ".")
    return not leaves_root(path) and (tree.is_file(path) or tree.is_folder(path))
