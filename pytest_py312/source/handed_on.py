"""Functions that hand the keywords they do not know themselves on to another, which takes or refuses them."""

import ast

from pytest_py312.source.facts import Call, Kind
from pytest_py312.source.values import STD, Given, Value
from pytest_py312.source.walking import Scan

_POPEN = Value(STD, "subprocess", "Popen")
_LOOP = "SelectorEventLoop"
_STREAMS = {"limit", "loop"}
_HANDED_ON: dict[str, tuple[Value, set[str]]] = {
    "subprocess.call": (_POPEN, {"timeout"}),
    "subprocess.check_call": (_POPEN, {"timeout"}),
    "subprocess.check_output": (_POPEN, {"timeout", "input", "check", "capture_output"}),
    "subprocess.run": (_POPEN, {"timeout", "input", "check", "capture_output"}),
    "asyncio.create_subprocess_exec": (_POPEN, _STREAMS),
    "asyncio.create_subprocess_shell": (_POPEN, _STREAMS),
    "asyncio.open_connection": (Value(STD, "asyncio", f"{_LOOP}.create_connection"), _STREAMS),
    "asyncio.open_unix_connection": (Value(STD, "asyncio", f"{_LOOP}.create_unix_connection"), _STREAMS),
    "asyncio.start_server": (Value(STD, "asyncio", f"{_LOOP}.create_server"), _STREAMS),
    "asyncio.start_unix_server": (Value(STD, "asyncio", f"{_LOOP}.create_unix_server"), _STREAMS),
}
"""Function -> whom it hands its keywords on to, and those that it takes itself."""
NAMES = frozenset(_HANDED_ON)


def keywords_handed_on(scan: Scan, node: ast.Call, name: str, value: Value, arguments: Given) -> None:
    receiver, own = _HANDED_ON[name]
    keywords = tuple([keyword for keyword in arguments.named if keyword not in own])
    if keywords:
        known = Value(STD, receiver.module, receiver.path, value.guard)
        scan.refer(node.func, known, Kind.USE, Call(0, keywords, starred=False, double_starred=True))
