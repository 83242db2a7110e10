"""Compose files: how the images that they build are started. Never raises.

https://docs.docker.com/reference/compose-file/services/ for what the keys mean.
"""

import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_py312.repository.formats.start_commands import Command, read_words
from pytest_py312.repository.formats.yaml import Mapping, Node, NotYaml, Scalar, Sequence, child, documents_of, text_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposeEntry:
    """A service of a compose file that is built: in ``context``, with the Dockerfile in ``folder``, both relative to
    the root and normalised. ``commands`` are its ``entrypoint`` and ``command``."""

    context: str
    folder: str
    commands: tuple[Command, ...]


def read_compose(text: str, path: str) -> tuple[ComposeEntry, ...]:
    """What is built and says how it is started; nothing of what is no YAML. ``path`` is that of the file."""
    try:
        documents = documents_of(text)
    except NotYaml:
        return ()
    services = child(documents[0], "services") if documents else None
    pairs = services.pairs if isinstance(services, Mapping) else []
    return tuple(entry for _, node in pairs for entry in _entries(node, posixpath.dirname(path)))


def _entries(node: Node, home: str) -> Iterator[ComposeEntry]:
    build = _value(node, "build")
    commands = tuple(_command(said) for key in ("entrypoint", "command") if (said := _value(node, key)) is not None)
    if build is None or not commands:
        return
    context = text_of(build) or text_of(_value(build, "context")) or "."
    dockerfile = text_of(_value(build, "dockerfile"))
    context = posixpath.normpath(posixpath.join(home, context))
    folder = posixpath.normpath(posixpath.join(context, posixpath.dirname(dockerfile)))
    yield ComposeEntry(context=context, folder=folder, commands=commands)


def _value(node: Node | None, key: str) -> Node | None:
    """The value of ``key``, in the mapping itself or in what is merged into it (``<<: *common``)."""
    found = child(node, key)
    if found is not None:
        return found
    merged = child(node, "<<")
    sources = merged.items if isinstance(merged, Sequence) else [merged]
    return next((value for source in sources if (value := child(source, key)) is not None), None)


def _command(said: Node) -> Command:
    """A text is taken apart as by a shell, and is given to none."""
    if isinstance(said, Sequence):
        return read_words([text_of(word) for word in said.items])
    try:
        return read_words(shlex.split(said.value)) if isinstance(said, Scalar) else Command()
    except ValueError:
        return Command()
