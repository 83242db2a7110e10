"""Start processes by a fork server, see server.py. What it starts is used as one of ``subprocess`` is."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_SERVER = "pytest_py312.core.fork_server.server"
_ANSWER_LIMIT = 64


class ForkedProcess:
    """A fork of a server. It has the attributes of ``subprocess.Popen`` that :mod:`pytest_py312.core.process` needs.

    If its server is gone, it counts as killed: its exit code is not known.
    """

    def __init__(self, pid: int, output: IO[bytes], status: int) -> None:
        self.pid = pid
        self.stdout = output
        self.stderr: IO[bytes] | None = None
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Return the exit code; ``None`` while the process runs."""
        if self.returncode is None:
            os.set_blocking(self._status, False)
            with suppress(BlockingIOError):
                self._set_code(os.read(self._status, _ANSWER_LIMIT))
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when the process has ended. There is no limit: it has been killed, or has ended."""
        if self.returncode is None:
            os.set_blocking(self._status, True)
            self._set_code(os.read(self._status, _ANSWER_LIMIT))
        assert self.returncode is not None
        return self.returncode

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def _set_code(self, answer: bytes) -> None:
        self.returncode = os.waitstatus_to_exitcode(int(answer)) if answer else -signal.SIGKILL
        os.close(self._status)


class ForkServer:
    """A process that imports ``module`` and forks itself. It is started for the first process, and again if it is gone.

    The forks call ``main(argv)`` of the module. Threads may share a server.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(self, argv: Sequence[str], cwd: Path | None, environment: Mapping[str, str]) -> ForkedProcess:
        """Start a process in a session of its own, without input. Its output has what it writes to stderr as well.

        :raises OSError: the server cannot be started, or has ended.
        """
        request = {"argv": list(argv), "cwd": str(cwd or Path.cwd()), "environment": dict(environment)}
        output, output_writer = os.pipe()
        status, status_writer = os.pipe()
        try:
            with self._lock, tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
                json.dump(request, file)
                file.flush()
                pid = self._fork(file.name, output_writer, status_writer)
        except BaseException:
            os.close(output)
            os.close(status)
            raise
        finally:
            os.close(output_writer)
            os.close(status_writer)
        return ForkedProcess(pid, os.fdopen(output, "rb", buffering=0), status)

    def _fork(self, file: str, output: int, status: int) -> int:
        connection = self._connected()
        try:
            try:
                socket.send_fds(connection, [os.fsencode(file)], [output, status])
            except OSError:  # it was killed a moment ago
                self._close()
                connection = self._connected()
                socket.send_fds(connection, [os.fsencode(file)], [output, status])
            return int(connection.recv(_ANSWER_LIMIT))
        except (OSError, ValueError) as error:
            self._close()
            raise ConnectionResetError(f"the process that imports {self._module} for it has ended") from error

    def _connected(self) -> socket.socket:
        if self._server is not None and self._server.poll() is not None:
            self._close()
        if self._connection is None:
            self._connection, other = socket.socketpair()
            with other:
                command = [sys.executable, "-P", "-m", _SERVER, str(other.fileno()), self._module]
                self._server = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, pass_fds=[other.fileno()], start_new_session=True
                )
        return self._connection

    def close(self) -> None:
        """End the server. It is started again if it is needed again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._server is not None:
            self._server.kill()  # it may be importing; its forks go on
            self._server.wait()
        self._connection = self._server = None
