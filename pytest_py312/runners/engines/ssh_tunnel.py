"""Reach the Docker engine of another machine through SSH: a socket of this machine is forwarded to it.

The SDK's own transport for ``ssh://`` has no time limits, so a machine that does not answer would hang the run.
"""

import shutil
import tempfile
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

from pytest_py312.core import clock, process
from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.text import last_lines

ENGINE_SOCKET = "/var/run/docker.sock"
START_LIMIT = 20.0
"""Seconds until the connection has to be there."""
_LONGEST_RUN = 7 * 24 * 3600.0
_OPTIONS = {
    "BatchMode": "yes",  # keys only, no questions
    "ConnectTimeout": "10",
    "ServerAliveInterval": "15",
    "ExitOnForwardFailure": "yes",
}


class SshTunnel:
    """A running ``ssh`` that forwards :attr:`address` to the engine's socket on another machine. Has to be closed.

    :raises RunnerUnavailable: it does not connect.
    """

    def __init__(self, address: str) -> None:
        self._ended = Event()
        self._result = ""
        self._folder = Path(tempfile.mkdtemp(prefix="py312-"))  # short: names of sockets have at most 107 bytes
        self._thread = Thread(target=self._run, args=(ssh_command(address, self._socket),), daemon=True)
        self._thread.start()
        deadline = clock.stopwatch() + START_LIMIT
        while not self._socket.exists():
            if not self._thread.is_alive() or clock.stopwatch() > deadline:
                self.close()
                raise RunnerUnavailable(f"ssh does not connect to it ({self._result or 'no answer'})")
            clock.pause(0.05)

    @property
    def _socket(self) -> Path:
        return self._folder / "docker.sock"

    @property
    def address(self) -> str:
        """The engine's address on this machine."""
        return f"unix://{self._socket}"

    def _run(self, command: list[str]) -> None:
        result = process.run(command, time_limit=_LONGEST_RUN, merge_stderr=True, cancelled=self._ended)
        self._result = " ".join(last_lines(result.stdout or result.stderr, 1))

    def close(self) -> None:
        """End ``ssh``, and remove the socket."""
        self._ended.set()
        self._thread.join(timeout=10.0)
        shutil.rmtree(self._folder, ignore_errors=True)


def ssh_command(address: str, socket: Path) -> list[str]:
    """Return the command that forwards ``socket`` to the engine at ``address``, such as ``ssh://user@host:22``."""
    parts = urlsplit(address)
    options = [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
    port = ["-p", str(parts.port)] if parts.port else []
    destination = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    return ["ssh", *options, "-nNT", "-L", f"{socket}:{ENGINE_SOCKET}", *port, "--", destination]
