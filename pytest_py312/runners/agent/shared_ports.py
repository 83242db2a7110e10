"""Let tests that listen on one port of this machine take turns. Standard library only, for Python 3.8 and later.

Cells that run as plain processes share the machine's network. Where the suites of two of them start a server on port
8888, the second fails, or waits forever for a server that could not start.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

WAIT_LIMIT = 300.0
"""Seconds; then the test gets the error that it would have had."""
FIRST_EPHEMERAL_PORT = 32768
"""From here on Linux hands out ports that were free a moment ago: tests that ask for one do not name it."""


def wait_for_ports(folder: str) -> None:
    """Make each bind to a port wait until no other cell has bound it. ``folder`` has a file for each port.

    A cell keeps a port until it ends: its server may be started again at any time.
    """
    try:
        import fcntl
    except ImportError:
        return
    held: dict[int, int] = {}
    bind = socket.socket.bind
    monotonic, sleep = time.monotonic, time.sleep  # tests replace them

    def hold(port: int) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        held[port] = descriptor = os.open(os.path.join(folder, str(port)), os.O_RDWR | os.O_CREAT, 0o600)
        end = monotonic() + WAIT_LIMIT
        while monotonic() < end:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sleep(0.05)
            else:
                return

    def bind_in_turn(self: socket.socket, address: Any) -> None:
        try:
            port = address[1] if self.family in (socket.AF_INET, socket.AF_INET6) else 0
            if type(port) is int and 0 < port < FIRST_EPHEMERAL_PORT and port not in held:
                hold(port)
        except (OSError, TypeError, IndexError):
            pass  # the bind itself shows what is wrong with the address
        bind(self, address)

    setattr(socket.socket, "bind", bind_in_turn)  # noqa: B010  # an assignment has a type that this function has not
