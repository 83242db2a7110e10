"""Start processes by a fork server, see server.py. What it starts is used as one of ``subprocess`` is."""

import json
import os
import select
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from pytest_py312.core import clock
from pytest_py312.core.process import BackgroundProcess, start_in_background
from pytest_py312.core.process_identity import has_ended, process_start_ticks
from pytest_py312.core.text import last_lines

_SERVER = "pytest_py312.core.fork_server.server"
START_LIMIT = 120.0
"""Seconds for an answer of the server, which may have to import everything first."""
UNKNOWN_EXIT_CODE = 255
"""The exit code of a process whose server has ended before it."""
_ANSWER_LIMIT = 4096
_SHOWN_LINES = 3
_LOOK_INTERVAL = 0.1


class ForkedProcess:
    """A fork of a server. It has the attributes of ``subprocess.Popen`` that :mod:`pytest_py312.core.process` needs.

    It goes on if its server ends. Then its exit code is :data:`UNKNOWN_EXIT_CODE`.
    """

    def __init__(self, pid: int, output: IO[bytes], status: int) -> None:
        self.pid = pid
        self.stdout = output
        self.stderr: IO[bytes] | None = None
        self.returncode: int | None = None
        self._status: int | None = status
        self._started = process_start_ticks(pid)
        os.set_blocking(status, False)

    def poll(self) -> int | None:
        """Return the exit code; ``None`` while the process runs."""
        if self.returncode is None and self._status is not None:
            with suppress(BlockingIOError):
                answer = os.read(self._status, _ANSWER_LIMIT)
                os.close(self._status)
                self._status = None
                self.returncode = os.waitstatus_to_exitcode(int(answer)) if answer else None
        is_lost = self.returncode is None and self._status is None
        if is_lost and (self._started is None or has_ended(self.pid, self._started)):
            self.returncode = UNKNOWN_EXIT_CODE
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when the process has ended. There is no limit: it has been killed, or has ended."""
        while (code := self.poll()) is None:
            if self._status is not None:
                select.select([self._status], [], [])
            else:
                clock.pause(_LOOK_INTERVAL)
        return code

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def exit_descriptor(self) -> int | None:
        """Return a descriptor that becomes readable when the exit code is known; ``None`` if the server has ended."""
        with suppress(OSError):  # too many open files
            return None if self._status is None else os.dup(self._status)
        return None


class ForkServer:
    """A process that imports ``module`` and forks itself. It is started for the first process, and again if it is gone.

    The forks call ``main(arguments)`` of the module, the server ``prepare()``. Threads may share a server.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._server: BackgroundProcess | None = None
        self._messages: IO[bytes] | None = None

    def start(self, argv: Sequence[str], cwd: Path | None, environment: Mapping[str, str]) -> ForkedProcess:
        """Start a process in a session of its own, without input. Its output has what it writes to stderr as well.

        :param argv: what the process sees as ``sys.argv``; the first is a name.
        :raises OSError: the server cannot be started or cannot fork, or has ended.
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
        try:
            answer = self._ask(file, output, status)
        except ConnectionError:  # it was killed a moment ago, and has not forked: a fork answers itself
            answer = self._ask(file, output, status)
        if not answer.isdecimal():
            raise OSError(f"no process can be forked: {answer}")
        return int(answer)

    def _ask(self, file: str, output: int, status: int) -> str:
        """Return the answer of the server; end it if there is none, as a late one would be taken for the next."""
        try:
            connection = self._connected()
            socket.send_fds(connection, [os.fsencode(file)], [output, status])
            connection.settimeout(START_LIMIT)
            answer = connection.recv(_ANSWER_LIMIT).decode("utf-8", "replace").strip()
            if not answer:
                raise ConnectionResetError("it has ended")
        except BaseException as error:
            messages = self._close()
            if isinstance(error, OSError):
                raise type(error)(f"the process that imports {self._module} fails: {messages or error}") from error
            raise
        return answer

    def _connected(self) -> socket.socket:
        if self._server is not None and self._server.poll() is not None:
            self._close()
        if self._connection is None:
            self._connection, other = socket.socketpair()
            self._messages = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the server
            with other:
                command = [sys.executable, "-P", "-m", _SERVER, str(other.fileno()), self._module]
                self._server = start_in_background(command, descriptors=[other.fileno()], stderr=self._messages)
        return self._connection

    def close(self) -> None:
        """End the server, not its forks. It is started again if it is needed again."""
        server = self._server
        if server is not None:
            server.kill()  # before the lock: a thread may wait for its answer
        with self._lock:
            self._close()

    def _close(self) -> str:
        """End the server; return the end of what it has written."""
        text = ""
        if self._connection is not None:
            self._connection.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        if self._messages is not None:
            with self._messages as file:
                file.seek(0)
                text = " | ".join(last_lines(file.read().decode("utf-8", "replace"), _SHOWN_LINES))
        self._connection = self._server = self._messages = None
        return text
