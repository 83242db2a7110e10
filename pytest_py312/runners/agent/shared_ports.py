"""Let tests that listen on one port of this machine take turns. Standard library only, for Python 3.8 and later.

Cells that run as plain processes share the machine's network. Where the suites of two of them start a server on port
8888, the second fails, or waits forever for a server that could not start.
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

WAIT_LIMIT = 300.0
"""Seconds that all tests of a cell wait together; then they get the error that they would have had."""
FIRST_EPHEMERAL_PORT = 32768
"""From here on Linux hands out ports that were free a moment ago: tests that ask for one do not name it."""


def wait_for_ports(folder: str) -> None:
    """Make a bind to a port wait while another cell has bound it.

    ``folder`` has a file for each port, which a cell keeps locked from its bind until it closes its socket. A cell that
    has bound a port, or has inherited that from the process which it was forked from, binds it again without waiting.
    """
    try:
        turns = _PortTurns(folder)
    except ImportError:  # no fcntl
        return

    def bind_in_turn(self: socket.socket, address: Any) -> None:
        __tracebackhide__ = True  # an error that pytest shows is that of the suite's own line
        turns.bind(self, address)

    def close_and_release(self: socket.socket) -> None:
        turns.close(self)

    # an assignment has a type that these functions have not
    setattr(socket.socket, "bind", bind_in_turn)  # noqa: B010
    setattr(socket.socket, "close", close_and_release)  # noqa: B010


class _PortTurns:
    """The ports that this cell has bound. The methods of sockets that it replaces are called by its own."""

    def __init__(self, folder: str) -> None:
        import fcntl

        self._folder = folder
        self._flock, self._exclusive = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB
        self._descriptors: dict[int, tuple[int, tuple[int, int]]] = {}
        """Locked files by port: the descriptor, and what it refers to, as a suite may close all of them."""
        self._sockets: dict[int, int] = {}
        """Ports that this cell has bound, with the number of their sockets."""
        self._finalizers: weakref.WeakKeyDictionary[socket.socket, Any] = weakref.WeakKeyDictionary()
        self._bind, self._close = socket.socket.bind, socket.socket.close
        self._monotonic, self._sleep = time.monotonic, time.sleep  # tests replace them
        self._waited = 0.0

    def bind(self, of: socket.socket, address: Any) -> None:
        """Bind a socket once no other cell holds the port."""
        __tracebackhide__ = True
        port = _port(of, address)
        while port and port not in self._descriptors and not self._hold(port) and self._waited < WAIT_LIMIT:
            started = self._monotonic()
            self._sleep(0.05)
            self._waited += self._monotonic() - started
        try:
            self._bind(of, address)
        except BaseException:
            if port and not self._sockets.get(port):
                self._release(port)
            raise
        if port:
            self._sockets[port] = self._sockets.get(port, 0) + 1
            finalizer = weakref.finalize(of, self._release, port)
            finalizer.atexit = False
            with suppress(TypeError):
                self._finalizers[of] = finalizer

    def close(self, of: socket.socket) -> None:
        """Close a socket, and release its port."""
        try:
            self._close(of)
        finally:
            with suppress(KeyError, TypeError):  # a class of sockets may have no hash
                self._finalizers.pop(of)()

    def _hold(self, port: int) -> bool:
        """Lock the file of a port; return whether no other cell holds it."""
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            descriptor = os.open(os.path.join(self._folder, str(port)), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return True
        try:
            self._flock(descriptor, self._exclusive)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptors[port] = (descriptor, _identity(descriptor))
        return True

    def _release(self, port: int) -> None:
        self._sockets[port] = self._sockets.get(port, 1) - 1
        if self._sockets[port] <= 0 and port in self._descriptors:
            descriptor, file = self._descriptors.pop(port)
            with suppress(OSError):
                if _identity(descriptor) == file:
                    os.close(descriptor)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _port(of: socket.socket, address: Any) -> int:
    """Return the port that an address names; 0 for others, and for those that the system hands out."""
    is_named = of.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and len(address) > 1
    port = address[1] if is_named else 0
    return port if type(port) is int and 0 < port < FIRST_EPHEMERAL_PORT else 0
