"""Read the key ``contract`` of the plan: calls and data that services rely on each other for."""

import re

from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.plan_node import (
    FieldReaders,
    PlanNode,
    list_of_tables,
    read_table,
    read_values,
    required_member,
)
from pytest_py312.repository.plan.rollout_settings import ContractAction, ContractSettings

DATA_FORMATS = ("pickle", "marshal", "json", "shelve", "hash")
"""How data is serialized; with ``hash`` both services compute the hash of an object, which has to be equal."""
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)


def read_contracts(node: PlanNode) -> tuple[ContractSettings, ...]:
    """Read the tables ``[[contract]]``.

    :raises PlanError: one of them is invalid.
    """
    return tuple(_contract(item) for item in list_of_tables(node, "contract"))


def _contract(item: PlanNode) -> ContractSettings:
    readers: FieldReaders = {
        "caller": _service,
        "callee": _service,
        "writer": _service,
        "reader": _service,
        "path": _path,
        "at": _address,
        "call": _action,
        "write": _action,
        "read": _action,
        "format": lambda node: read.choice(node, DATA_FORMATS),
        "limit": read.duration,
    }
    members = read_table(item, tuple(readers), "contract")
    is_data = "writer" in members or "reader" in members
    for key in ("writer", "reader", "write") if is_data else ("caller", "callee"):
        required_member(item, members, key, _EXAMPLES[key])
    for key in ("caller", "callee", "path", "at", "call") if is_data else ("write", "read", "format"):
        if key in members:
            kinds = ("call", "data") if is_data else ("data", "call")
            raise members[key].error(
                f"applies to {kinds[0]} contracts only; this is a {kinds[1]} contract: write a separate [[contract]]"
            )
    fields = {"caller": "first", "callee": "second", "writer": "first", "reader": "second"}
    contract = ContractSettings(**read_values(members, readers, fields))
    if not is_data and bool(contract.path) == bool(contract.call):
        raise item.error('needs a "path" of the callee or something to "call", and not both')
    if contract.at and contract.call.command and not any("{callee}" in word for word in contract.call.command):
        raise members["at"].error("has no effect, because no word of the command contains {callee}")
    if is_data and not (contract.read or contract.format):
        raise item.error('needs "read" or "format"')
    if contract.format and contract.write.command:
        raise members["write"].error(
            "is a command and writes bytes, which need no `format`; name a function, or leave `format` out"
        )
    if contract.format and contract.read.command:
        raise members["read"].error("is a command and reads bytes, but a `format` yields values; name a function")
    if contract.format == "hash" and not contract.read:
        raise item.error('needs an action to "read": a function that returns the object that is hashed')
    return contract


_EXAMPLES = {
    "caller": '"api-gateway"',
    "callee": '"auth-service"',
    "writer": '"api-gateway"',
    "reader": '"auth-service"',
    "write": '"app.cache:example"',
}


def _service(node: PlanNode) -> str:
    return node.text('"auth-service"')


def _path(node: PlanNode) -> str:
    text = node.text('"/verify"')
    if not text.startswith("/") or any(character.isspace() for character in text):
        raise node.unexpected("a URL path that starts with /", '"/verify"')
    return text


def _address(node: PlanNode) -> str:
    text = node.text('"proxy:8080"')
    host, _, port = text.rpartition(":")
    if not _HOST.fullmatch(host) or not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise node.unexpected("host and port by which the callee is reached", '"proxy:8080"')
    return text


def _action(node: PlanNode) -> ContractAction:
    if isinstance(node.value, list):
        return ContractAction(command=read.strings(node, '["python", "-m", "app.check"]'))
    text = node.text('"app.client:check"')
    if not _FUNCTION.fullmatch(text):
        raise node.unexpected("a function (module:function) or a command", '"app.client:check"')
    return ContractAction(function=text)
