"""The key ``contract`` of the plan -> what services rely on each other for."""

import re

from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.rollout_settings import ContractSettings, Doing
from pytest_py312.repository.plan.values import Node, Readers, table, values

FORMATS = ("pickle", "marshal", "json", "shelve", "hash")
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)


def contracts_in(node: Node) -> tuple[ContractSettings, ...]:
    """
    :raises PlanError: one of them cannot be used.
    """
    if isinstance(node.value, dict):
        raise node.error("expected a list of tables; write [[contract]], with two brackets, above each")
    return tuple(_contract(item) for item in node.items("[[contract]]"))


def _contract(item: Node) -> ContractSettings:
    readers: Readers = {
        "caller": ("first", _service),
        "callee": ("second", _service),
        "writer": ("first", _service),
        "reader": ("second", _service),
        "path": ("path", _path),
        "at": ("at", _address),
        "call": ("call", _doing),
        "write": ("write", _doing),
        "read": ("read", _doing),
        "format": ("format", lambda node: read.choice(node, FORMATS)),
        "limit": ("limit", read.duration),
    }
    members = table(item, tuple(readers), "contract")
    is_data = "writer" in members or "reader" in members
    for key in ("writer", "reader", "write") if is_data else ("caller", "callee"):
        if key not in members:
            raise item.error(f'has no "{key}"; add one, such as {key} = {_EXAMPLES[key]}')
    for key in ("caller", "callee", "path", "at", "call") if is_data else ("write", "read", "format"):
        if key in members:
            kind = "that data is read" if is_data else "that a call is answered"
            raise members[key].error(f"does not belong to a contract {kind}; write a table of its own for it")
    made = ContractSettings(**values(members, readers))
    if not is_data and bool(made.path) == bool(made.call):
        raise item.error('needs a "path" of the callee or something to "call", and not both')
    if made.at and made.call.command and not any("{callee}" in word for word in made.call.command):
        raise members["at"].error("is for nobody: the command has no {callee}, which it would stand for")
    if is_data and not (made.read or made.format):
        raise item.error('needs something that can "read", or a "format" by which it is read')
    if made.format and made.write.command:
        raise members["write"].error("gives bytes, which have a format already; name a function, or leave `format` out")
    if made.format and made.read.command:
        raise members["read"].error("takes bytes, and a `format` makes values of them; name a function")
    if made.format == "hash" and not made.read:
        raise item.error('needs something to "read": a function that gives what the key is of')
    return made


_EXAMPLES = {
    "caller": '"api-gateway"',
    "callee": '"auth-service"',
    "writer": '"api-gateway"',
    "reader": '"auth-service"',
    "write": '"app.cache:example"',
}


def _service(node: Node) -> str:
    return node.text('"auth-service"')


def _path(node: Node) -> str:
    text = node.text('"/verify"')
    if not text.startswith("/") or any(character.isspace() for character in text):
        raise node.unexpected("a path of the callee, from its /", '"/verify"')
    return text


def _address(node: Node) -> str:
    text = node.text('"proxy:8080"')
    host, _, port = text.rpartition(":")
    if not _HOST.fullmatch(host) or not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise node.unexpected("host and port by which the callee is reached", '"proxy:8080"')
    return text


def _doing(node: Node) -> Doing:
    if isinstance(node.value, list):
        return Doing(command=read.strings(node, '["python", "-m", "app.check"]'))
    text = node.text('"app.client:check"')
    if not _FUNCTION.fullmatch(text):
        raise node.unexpected("a function (module:function) or a command", '"app.client:check"')
    return Doing(function=text)
