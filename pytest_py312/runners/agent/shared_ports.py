"""Let tests that listen on one port of this machine take turns. Standard library only, for Python 3.8 and later.

Cells that run as plain processes share the machine's network. Where the suites of two of them start a server on port
8888, the second fails, or waits forever for a server that could not start.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

WAIT_LIMIT = 300.0
"""Seconds that all tests of a cell wait together; then they get the error that they would have had."""
FIRST_EPHEMERAL_PORT = 32768
"""From here on Linux hands out ports that were free a moment ago: tests that ask for one do not name it."""


def wait_for_ports(folder: str) -> None:
    """Make a bind to a port that another cell has bound wait until it is free.

    ``folder`` has a file for each port, which the first cell that binds the port keeps locked until it ends. A bind
    that succeeds never waits, and neither does one to a port of this cell itself, or of another program.
    """
    try:
        import fcntl
    except ImportError:
        return
    held: dict[int, int] = {}
    bind = socket.socket.bind
    monotonic, sleep = time.monotonic, time.sleep  # tests replace them
    waited = [0.0]

    def hold(port: int) -> bool:
        """Lock the file of a port; return whether no other cell holds it."""
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            descriptor = os.open(os.path.join(folder, str(port)), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        held[port] = descriptor
        return True

    def bind_in_turn(self: socket.socket, address: Any) -> None:
        port = _port(self, address)
        is_own = not port or port in held or hold(port)
        while True:
            started = monotonic()
            try:
                bind(self, address)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or is_own or waited[0] > WAIT_LIMIT:
                    raise
                is_own = hold(port)  # the other cell may have ended just now: then one more attempt counts
                sleep(0.05)
                waited[0] += monotonic() - started
            else:
                if not is_own:
                    hold(port)
                return

    setattr(socket.socket, "bind", bind_in_turn)  # noqa: B010  # an assignment has a type that this function has not


def _port(of: socket.socket, address: Any) -> int:
    """Return the port that an address names; 0 for others, and for those that the system hands out."""
    is_named = of.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and len(address) > 1
    port = address[1] if is_named else 0
    return port if type(port) is int and 0 < port < FIRST_EPHEMERAL_PORT else 0
