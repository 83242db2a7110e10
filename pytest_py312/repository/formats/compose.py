"""Read compose files: how the images that they build are started. Never raises.

The keys are described at https://docs.docker.com/reference/compose-file/services/.
"""

import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_py312.repository.formats.start_commands import StartCommand, read_argv
from pytest_py312.repository.formats.yaml import (
    InvalidYaml,
    YamlMapping,
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    parse_documents,
    scalar_text,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposeService:
    """A service of a compose file whose image is built.

    It is built in ``context`` with the Dockerfile in ``folder``, both relative to the root and normalised. ``commands``
    are its ``entrypoint`` and ``command``, if it has some.
    """

    context: str
    folder: str
    commands: tuple[StartCommand, ...]


def read_compose(text: str, path: str) -> tuple[ComposeService, ...]:
    """Return the services that are built; nothing for invalid YAML. ``path`` is the file's path."""
    return tuple(entry for _, node in service_nodes(text) for entry in _built_services(node, posixpath.dirname(path)))


def service_nodes(text: str) -> list[tuple[YamlNode, YamlNode]]:
    """Return the name and the settings of each service of a compose file; nothing for invalid YAML."""
    try:
        documents = parse_documents(text)
    except InvalidYaml:
        return []
    services = child_of(documents[0], "services") if documents else None
    return list(services.pairs) if isinstance(services, YamlMapping) else []


def _built_services(node: YamlNode, base_folder: str) -> Iterator[ComposeService]:
    build = _merged_value(node, "build")
    commands = tuple(
        _command(command_node)
        for key in ("entrypoint", "command")
        if (command_node := _merged_value(node, key)) is not None
    )
    if build is None:
        return
    context = build_context(node, base_folder)
    dockerfile = scalar_text(_merged_value(build, "dockerfile"))
    folder = posixpath.normpath(posixpath.join(context, posixpath.dirname(dockerfile)))
    yield ComposeService(context=context, folder=folder, commands=commands)


def build_context(node: YamlNode, base_folder: str) -> str:
    """Return the folder that the image of a service is built in, relative to the root; empty if it is not built."""
    build = _merged_value(node, "build")
    if build is None:
        return ""
    context = scalar_text(build) or scalar_text(_merged_value(build, "context")) or "."
    return posixpath.normpath(posixpath.join(base_folder, context))


def _merged_value(node: YamlNode | None, key: str) -> YamlNode | None:
    """Return the value of ``key`` from the mapping itself or from what is merged into it (``<<: *common``)."""
    own_value = child_of(node, key)
    if own_value is not None:
        return own_value
    merged_node = child_of(node, "<<")
    sources = merged_node.items if isinstance(merged_node, YamlSequence) else [merged_node]
    return next((value for source in sources if (value := child_of(source, key)) is not None), None)


def _command(node: YamlNode) -> StartCommand:
    """Read a command. A string is split like a shell does, but never run by one."""
    if isinstance(node, YamlSequence):
        return read_argv([scalar_text(word) for word in node.items])
    try:
        return read_argv(shlex.split(node.value)) if isinstance(node, YamlScalar) else StartCommand()
    except ValueError:
        return StartCommand()
