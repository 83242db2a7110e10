"""Read compose files: how the images that they build are started, and which service needs which other. Never raises.

The keys are described at https://docs.docker.com/reference/compose-file/services/.
"""

import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pytest_py312.repository.formats.start_commands import StartCommand, read_argv
from pytest_py312.repository.formats.yaml import (
    YamlMapping,
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    content_end,
    first_document,
    pairs_of,
    scalar_text,
)

ENV_FILE_LIMIT = 100_000
"""Characters of an ``.env`` file that are read."""
_DEFAULT = re.compile(r"\$\{\w+:?-([^{}$]*)\}")
"""``${NAME:-default}``: the value without a variable of the shell."""
_ENV_LINE = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_]\w{0,200})[ \t]*=[ \t]*"
    r"(?:\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'|(?P<plain>(?:[^#\s]|[ \t]+(?![#\s])|(?<!\s)#)*))",
    re.MULTILINE | re.ASCII,
)
URL_HOST = re.compile(r"://(?P<host>[A-Za-z0-9][\w.-]*)(?=[:/?#\s\"'`,;)}\]]|$)(?!:[^/\s@\"']*@)", re.ASCII)
"""The host of an address, which is no name of a user in front of one."""
_PLAIN_HOST = re.compile(r"(?P<host>[A-Za-z0-9][\w.-]*):\d{2,5}", re.ASCII)
_HOST_KEY = re.compile(r"(?:^|_)(?:HOST|HOSTNAME|ADDR|ADDRESS|ENDPOINT|URL|URI|UPSTREAM)$", re.IGNORECASE)
_DEPENDENCY_KEYS = ("depends_on", "links")


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposeService:
    """A service of a compose file whose image is built.

    It is built in ``context`` with the file ``dockerfile`` in ``folder``, both relative to the root and normalised.
    ``commands`` are its ``entrypoint`` and ``command``, if it has some, and ``words`` those of ``command``.
    ``arguments`` are those of its build. ``env_files`` are relative to the root as well. ``lines`` are the first and
    the last line of its settings, ``image`` the name that its image gets.
    """

    context: str
    folder: str
    dockerfile: str
    commands: tuple[StartCommand, ...]
    words: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    env_files: tuple[str, ...] = ()
    lines: tuple[int, int] = (1, 1)
    image: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedHost:
    """A name by which a service reaches another one; ``reason`` is the key that says so, in line ``line``."""

    name: str
    reason: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposeEntry:
    """A service of a compose file: ``folder`` is that of its build, relative to the root; empty if it is not built."""

    name: str
    folder: str
    hosts: tuple[NamedHost, ...]


@lru_cache(maxsize=64)  # each service of a repository asks for the files around it
def read_compose(text: str, path: str) -> tuple[ComposeService, ...]:
    """Return the services that are built; nothing for invalid YAML. ``path`` is the file's path."""
    folder = posixpath.dirname(path)
    return tuple(entry for _, node in service_nodes(text) for entry in _built_services(text, node, folder))


def service_nodes(text: str) -> list[tuple[YamlNode, YamlNode]]:
    """Return the name and the settings of each service of a compose file; nothing for invalid YAML."""
    return list(pairs_of(child_of(first_document(text), "services")))


def _built_services(text: str, node: YamlNode, base_folder: str) -> Iterator[ComposeService]:
    build = _merged_value(node, "build")
    if build is None:
        return
    context = build_context(node, base_folder)
    place, _, name = scalar_text(_merged_value(build, "dockerfile")).rpartition("/")
    command_words = {key: _words(_merged_value(node, key)) for key in ("entrypoint", "command")}
    files = _merged_value(node, "env_file")
    environment = dict(_literals(_merged_value(node, "environment")))
    yield ComposeService(
        context=context,
        folder=posixpath.normpath(posixpath.join(context, place)),
        dockerfile=name or "Dockerfile",
        commands=tuple(
            read_argv([word.replace("$$", "$") for word in words], environment)
            for words in command_words.values()
            if words is not None
        ),
        words=tuple(command_words["command"] or ()),
        environment=tuple(environment.items()),
        arguments=tuple(pair for pair in _literals(_merged_value(build, "args")) if "$" not in pair[1]),
        env_files=tuple(posixpath.normpath(posixpath.join(base_folder, path)) for path in _paths(files)),
        lines=(_line(text, node.start), _line(text, content_end(node))),
        image=scalar_text(_merged_value(node, "image")),
    )


def _literals(node: YamlNode | None) -> tuple[tuple[str, str], ...]:
    """Return variables with their values, where a variable of the shell with a default has its default."""
    pairs = ((name, _DEFAULT.sub(r"\1", value.value)) for name, value in environment_variables(node))
    return tuple((name, literal) for name, literal in pairs if literal)


def _paths(node: YamlNode | None) -> Iterator[str]:
    """Yield a path, or those of a list, whose items may be mappings with a ``path``."""
    for item in node.items if isinstance(node, YamlSequence) else [node]:
        path = scalar_text(item) or scalar_text(child_of(item, "path"))
        if path:
            yield path


def environment_variables(node: YamlNode | None) -> Iterator[tuple[str, YamlScalar]]:
    """Yield the variables of a mapping, or of a list of ``NAME=value``, with the scalar that has the value."""
    if isinstance(node, YamlMapping):
        for name, value in node.pairs:
            if isinstance(value, YamlScalar):
                yield scalar_text(name), value
    elif isinstance(node, YamlSequence):
        for item in node.items:
            if isinstance(item, YamlScalar):
                key, _, text = item.value.partition("=")
                yield key, YamlScalar(value=text, start=item.start, end=item.end)


def read_env_file(text: str) -> dict[str, str]:
    """Return the variables of an ``.env`` file: lines of ``NAME=value``, also with ``export`` and quotes.

    https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
    """
    variables = {}
    for match in _ENV_LINE.finditer(text[:ENV_FILE_LIMIT]):
        value = match["double"] or match["single"] or (match["plain"] or "").strip()
        if value:
            variables[match["name"]] = value
    return variables


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


def _words(node: YamlNode | None) -> list[str] | None:
    """Return the words of a command; ``None`` if there is none. A string is split like a shell does, but never run."""
    if isinstance(node, YamlSequence):
        return [scalar_text(word) for word in node.items]
    try:
        return shlex.split(node.value) if isinstance(node, YamlScalar) else None
    except ValueError:
        return []


def read_compose_entries(text: str, path: str) -> tuple[ComposeEntry, ...]:
    """Return the services of a compose file with the names of what they need; nothing for invalid YAML."""
    return tuple(
        ComposeEntry(
            name=name.value, folder=build_context(node, posixpath.dirname(path)), hosts=tuple(_hosts(text, node))
        )
        for name, node in service_nodes(text)
        if isinstance(name, YamlScalar)
    )


def _hosts(text: str, node: YamlNode) -> Iterator[NamedHost]:
    for key in _DEPENDENCY_KEYS:
        for scalar in _names(child_of(node, key)):
            yield NamedHost(name=scalar.value.partition(":")[0], reason=key, line=_line(text, scalar.start))
    for name, value in environment_variables(child_of(node, "environment")):
        for host in _hosts_in(name, value.value):
            yield NamedHost(name=host, reason=name, line=_line(text, value.start))


def _names(node: YamlNode | None) -> Iterator[YamlScalar]:
    """Yield the names in a list, or the keys of a mapping."""
    if isinstance(node, YamlSequence):
        yield from (item for item in node.items if isinstance(item, YamlScalar))
    elif isinstance(node, YamlMapping):
        yield from (name for name, _ in node.pairs if isinstance(name, YamlScalar))


def _hosts_in(key: str, value: str) -> Iterator[str]:
    yield from (match["host"] for match in URL_HOST.finditer(value))
    plain = _PLAIN_HOST.fullmatch(value)
    if plain is not None:
        yield plain["host"]
    elif _HOST_KEY.search(key) and value and "://" not in value:
        yield value


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
