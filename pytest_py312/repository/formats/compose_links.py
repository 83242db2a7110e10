"""Read from compose files which of their services needs which other one. Never raises.

https://docs.docker.com/reference/compose-file/services/: ``depends_on``, ``links``, and the variables that a service
gets.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_py312.repository.formats.compose import build_context, environment_variables, service_nodes
from pytest_py312.repository.formats.yaml import YamlMapping, YamlNode, YamlScalar, YamlSequence, child_of

URL_HOST = re.compile(r"://(?P<host>[A-Za-z0-9][\w.-]*)(?=[:/?#\s\"'`,;)}\]]|$)(?!:[^/\s@\"']*@)", re.ASCII)
"""The host of an address, which is no name of a user in front of one."""
_PLAIN_HOST = re.compile(r"(?P<host>[A-Za-z0-9][\w.-]*):\d{2,5}", re.ASCII)
_HOST_KEY = re.compile(r"(?:^|_)(?:HOST|HOSTNAME|ADDR|ADDRESS|ENDPOINT|URL|URI|UPSTREAM)$", re.IGNORECASE)
_DEPENDENCY_KEYS = ("depends_on", "links")


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
            yield NamedHost(name=scalar.value.partition(":")[0], reason=key, line=_line(text, scalar))
    for name, value in environment_variables(child_of(node, "environment")):
        for host in _hosts_in(name, value.value):
            yield NamedHost(name=host, reason=name, line=_line(text, value))


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


def _line(text: str, scalar: YamlScalar) -> int:
    return text.count("\n", 0, scalar.start) + 1
