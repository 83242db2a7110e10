"""The program of a fork server: it imports what its forks need, and forks itself for each request.

    python -m pytest_py312.core.fork_server.server DESCRIPTOR MODULE

It reads requests from the socket with this descriptor, and ends when the other end is closed. A request is the path of
a JSON file with ``argv``, ``cwd`` and ``environment``, and two descriptors: the output of the fork, and a pipe to which
its exit status is written (that of ``os.waitpid``). The answer is a line: the process id of the fork, or why there is
none. The fork has a session of its own, calls ``main(argv[1:])`` of MODULE, and ends with the number that it returns.
The server itself has called ``prepare()`` of MODULE before.

What a fork of this package and of pytest has imported, the server imports after it, so that the next one need not.
"""

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUEST_LIMIT = 4096
"""Bytes of a request."""
NAMES_LIMIT = 65536
"""Bytes of names that a fork reports: what a pipe holds."""
REAP_INTERVAL = 1.0
"""Seconds after which it looks for forks that have ended, should their signal be lost."""
_PACKAGES = ("pytest_py312.", "_pytest.")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fork:
    status: int
    """Descriptor of the pipe to which its exit status is written."""
    names: int
    """Descriptor of the pipe from which the names of what it has imported are read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """What a fork has to do."""

    argv: tuple[str, ...]
    cwd: str
    environment: dict[str, str]
    output: int
    names: int


class _Server:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._forks: dict[int, _Fork] = {}
        self._wakeup, writer = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})  # it is inherited, and some launchers block it
        signal.set_wakeup_fd(writer)
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)

    def serve(self) -> _Request | None:
        """Fork for each request. Return the request in a fork, and ``None`` in the server after the last one."""
        while True:
            for key, _ in self._selector.select(REAP_INTERVAL):
                if key.fileobj is not self._connection:
                    with suppress(BlockingIOError):
                        os.read(self._wakeup, REQUEST_LIMIT)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._connection, REQUEST_LIMIT, 2)
                if not message:
                    return None
                request = self._answer(Path(os.fsdecode(message)), descriptors)
                if request is not None:
                    return request
            self._reap()

    def _answer(self, file: Path, descriptors: list[int]) -> _Request | None:
        """Answer a request. Return it in the fork, and ``None`` in the server, which goes on if it cannot fork."""
        try:
            output, status = descriptors  # fewer, if there are too many open files
            document = json.loads(file.read_bytes())  # the client removes it after the answer
            names_reader, names_writer = os.pipe()
            descriptors += [names_reader, names_writer]
            gc.freeze()  # a collection in a fork would copy the memory of all objects
            pid = os.fork()
        except Exception as error:
            for descriptor in descriptors:
                os.close(descriptor)
            self._connection.sendall(f"{type(error).__name__}: {error}\n".encode())
            return None
        if pid:
            self._forks[pid] = _Fork(status=status, names=names_reader)
            os.close(output)
            os.close(names_writer)
            return None
        os.setsid()  # before the answer: a signal to its group may follow
        self._connection.sendall(b"%d\n" % os.getpid())
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._connection.close()
        os.close(status)
        os.close(names_reader)
        for fork in self._forks.values():
            os.close(fork.status)
            os.close(fork.names)
        return _Request(
            argv=tuple(document["argv"]), cwd=document["cwd"], environment=document["environment"],
            output=output, names=names_writer,
        )  # fmt: skip

    def _reap(self) -> None:
        """Report the forks that have ended, then import what they have imported."""
        names: list[str] = []
        for pid in list(self._forks):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            fork = self._forks.pop(pid)
            with suppress(OSError):  # nobody waits for it any more
                os.write(fork.status, b"%d\n" % status)
            os.close(fork.status)
            os.set_blocking(fork.names, False)
            with suppress(BlockingIOError):
                names += os.read(fork.names, NAMES_LIMIT).decode("ascii", "replace").split()
            os.close(fork.names)
        _import(names)


def _import(names: Iterable[str]) -> None:
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)


def _run(request: _Request, main: Any) -> int:
    """Run a request in this process, which is a fork; return its exit code."""
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (request.output, 1), (request.output, 2)):
        os.dup2(source, target)
    os.close(request.output)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.path.insert(0, request.cwd)  # as `python -m` does
    sys.argv[:] = request.argv
    imported_before = frozenset(sys.modules)
    try:
        return int(main(list(request.argv[1:])))
    finally:
        new = [name for name in sys.modules if name not in imported_before and name.startswith(_PACKAGES)]
        os.set_blocking(request.names, False)
        with suppress(OSError):  # a pipe may be small, and the server gone
            os.write(request.names, " ".join(new).encode("ascii", "replace")[:NAMES_LIMIT])
        os.close(request.names)


def main(descriptor: str, module: str) -> int:
    """Serve until the client is gone."""
    entry = importlib.import_module(module)
    entry.prepare()
    request = _Server(socket.socket(fileno=int(descriptor))).serve()
    return 0 if request is None else _run(request, entry.main)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
