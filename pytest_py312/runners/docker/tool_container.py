"""Run our own tools (uv, the byte compiler, the fingerprint script) in one container per interpreter image.

Commands that may run foreign code have a container each (:func:`run_in_build_container`).
"""

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.runners.confinement import CONFINED_SCRIPT, explain_exit
from pytest_py312.runners.docker.container_specs import CACHE, UV, ContainerSpec, RunContext, tool_spec
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
from pytest_py312.runners.docker.output import OutputTail
from pytest_py312.runners.interpreters import FINGERPRINT_SCRIPT
from pytest_py312.runners.runner import CellUnavailable

STDOUT_LIMIT = 16 * 1024**2
"""Bytes kept of a tool's standard output; a lock with hashes takes some hundred thousand."""
STDERR_LIMIT = 1024**2
FINGERPRINT_LIMIT = 60.0

_LAUNCH_FAILED = "pytest-py312 could not start "
_LAUNCH_SCRIPT = f"""
import os, sys
pid_file, stdin_file, *argv = sys.argv[1:]
while argv[0] == "env" or "=" in argv[0]:  # an image need not have the program
    name, _, value = argv.pop(0).partition("=")
    os.environ.update({{name: value}} if name != "env" else {{}})
os.umask(0o022)
if os.getpgrp() != os.getpid():
    os.setsid()
with open(pid_file, "w") as file:
    file.write(str(os.getpid()))
os.dup2(os.open(stdin_file, os.O_RDONLY), 0)
try:
    os.execvp(argv[0], argv)
except OSError as error:
    sys.stderr.write({_LAUNCH_FAILED!r} + argv[0] + ": " + str(error.strerror))
    sys.exit(127)
"""
_KILL_SCRIPT = "import os, signal, sys; os.killpg(int(sys.argv[1]), signal.SIGKILL)"

FINGERPRINT = f"""{FINGERPRINT_SCRIPT}
try:
    from importlib.metadata import version
    print(json.dumps({{"seed": ["setuptools==" + version("setuptools")]}}))
except Exception:
    print("{{}}")
"""
"""Prints two JSON objects, one per line: the build, and what the image overrides (its installed setuptools)."""


class ToolContainer:
    """The tool container of one image, started when first needed."""

    def __init__(self, engine: DockerEngine, context: RunContext, *, image: str, name: str, closing: Event) -> None:
        self._engine = engine
        self._context = context
        self._image = image
        self._name = name
        self._closing = closing
        self._lock = Lock()
        self._container = ""
        self._python = ""

    def fingerprint(self, interpreter: Interpreter) -> Mapping[str, Any]:
        """Return the output of :data:`FINGERPRINT` in the image, cached by the image's id.

        :raises CellUnavailable: the image has no Python that can run it.
        """
        key = hashlib.sha256(f"{self._image} {interpreter} {FINGERPRINT}".encode()).hexdigest()[:32]
        cache_file = self._context.cache / "images" / f"{key}.json"
        with contextlib.suppress(OSError, ValueError):
            cached = json.loads(cache_file.read_text(encoding="utf-8"))
            if isinstance(cached, dict) and cached.get("executable"):
                return cached
        names = (f"python{interpreter}", "python3", "python")
        run = self.run(["{python}", "-I", "-c", FINGERPRINT], pythons=names, time_limit=FINGERPRINT_LIMIT)
        data = parse_fingerprint(run)
        if data is None:
            output_lines = (run.stderr or run.stdout).strip().splitlines()
            raise CellUnavailable(
                f"the Python in image {self._name} could not be identified ({run.exit_reason.value}; its output: "
                f"{output_lines[-1] if output_lines else 'nothing'}); set another image with `images` in the plan"
            )
        with contextlib.suppress(OSError):  # only a cache: a full disk is reported where it matters
            write_json_atomically(cache_file, data)
        return data

    def run(
        self, argv: Sequence[str], *, pythons: Sequence[str], stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        """Run one tool. ``pythons`` are names of the interpreter; the first that exists becomes ``{python}``.

        :raises CellUnavailable: the container cannot be started, or uv does not run in it.
        """
        begin = time.monotonic()
        try:
            container = self._ensure_started(pythons)
        except EngineUnavailable as unavailable:
            ended = ExitReason.CANCELLED if self._closing.is_set() else ExitReason.ENGINE_LOST
            return _failed_run(argv, ended, str(unavailable), time.monotonic() - begin)
        replacements = {"{uv}": UV, "{python}": self._python}
        command = [replacements.get(word, word) for word in argv]
        run = self._execute(container, command, stdin, time_limit)
        if run.exit_code == 127 and run.stderr.startswith(f"{_LAUNCH_FAILED}{UV}"):
            raise CellUnavailable(
                f"this machine's uv ({self._context.uv}) does not run in image {self._name} "
                f"({run.stderr.rpartition(': ')[2]}): the image has another C library, or is for another processor. "
                "Take a glibc image (`-slim`, not `-alpine`) for this machine's processor, or --py312-runner=local"
            )
        return run

    def _ensure_started(self, pythons: Sequence[str]) -> str:
        with self._lock:
            if self._closing.is_set():
                raise EngineUnavailable("the run was cancelled")
            for python in pythons if not self._container else ():
                spec = tool_spec(self._context, image=self._image, executable=python, environ=os.environ)
                try:
                    self._container = self._engine.launch(spec, listen=False).id
                    self._python = python
                    break
                except EngineRefused as refused:
                    if not refused.no_such_program:
                        raise CellUnavailable(self._describe_refusal(refused)) from refused
            if not self._container:
                raise CellUnavailable(f"image {self._name} has no Python (tried {', '.join(pythons)} on its PATH)")
            return self._container

    def _describe_refusal(self, refused: EngineRefused) -> str:
        hint = ""
        if "bind source path does not exist" in str(refused):
            hint = "; the engine does not see the files of this machine (is it on another one?): --py312-runner=local"
        return f"no container of image {self._name} can be started: {refused}{hint}"

    def _execute(self, container: str, command: list[str], stdin: str, time_limit: float) -> CommandResult:
        begin = time.monotonic()
        folder = self._context.cache / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"tool-{uuid.uuid4().hex}"
        stdin_file, pid_file = folder / f"{name}.in", folder / f"{name}.pid"
        argv = [self._python, "-I", "-S", "-c", _LAUNCH_SCRIPT, f"{CACHE}/tmp/{pid_file.name}"]
        try:
            if stdin:
                stdin_file.write_text(stdin, encoding="utf-8")
            argv += [f"{CACHE}/tmp/{stdin_file.name}" if stdin else os.devnull, *command]
            process = _Process(self._engine, container, argv)
            ended = process.wait(time_limit)
            if ended is ExitReason.TIMED_OUT:
                self._kill(container, pid_file)
                process.wait(10.0)
            if self._closing.is_set():
                ended = ExitReason.CANCELLED
            return process.result(command, ended, time.monotonic() - begin)
        except OSError as error:
            return _failed_run(command, ExitReason.NOT_STARTED, str(error), time.monotonic() - begin)
        finally:
            for path in (stdin_file, pid_file):
                path.unlink(missing_ok=True)

    def _kill(self, container: str, pid_file: Path) -> None:
        with contextlib.suppress(OSError, ValueError, EngineUnavailable, EngineRefused):
            pid = int(pid_file.read_text(encoding="ascii"))
            argv = [self._python, "-I", "-S", "-c", _KILL_SCRIPT, str(pid)]
            self._engine.execute(container, argv, lambda kind, part: None)

    def close(self) -> None:
        """Remove the container."""
        with self._lock:
            container, self._container = self._container, ""
        if container:
            self._engine.remove(container)


def run_in_build_container(
    engine: DockerEngine, spec: ContainerSpec, argv: Sequence[str], *, python: str, time_limit: float, closing: Event
) -> CommandResult:
    """Run one confined command in a fresh container of ``spec``, which is gone when this returns.

    Never raises for failures of the command, exceeded limits or the engine.
    """
    begin = time.monotonic()
    replacements = {"{uv}": UV, "{python}": python}
    command = [replacements.get(word, word) for word in argv]
    ids: list[str] = []
    try:
        container = engine.launch(spec, listen=False, started=ids.append).id
        process = _Process(engine, container, [python, "-I", "-S", "-c", CONFINED_SCRIPT, *command])
        ended = process.wait(time_limit)
        if ended is ExitReason.TIMED_OUT:
            engine.remove(container)
            process.wait(10.0)
        elif ended is not ExitReason.ENGINE_LOST and (state := engine.state(container)) and state.out_of_memory:
            ended = ExitReason.OUT_OF_MEMORY
        if closing.is_set():
            ended = ExitReason.CANCELLED
        return explain_exit(process.result(command, ended, time.monotonic() - begin))
    except (EngineUnavailable, EngineRefused) as error:
        lost = ExitReason.ENGINE_LOST if isinstance(error, EngineUnavailable) else ExitReason.NOT_STARTED
        ended = ExitReason.CANCELLED if closing.is_set() else lost
        return _failed_run(command, ended, str(error), time.monotonic() - begin)
    finally:
        for container in ids:
            engine.remove(container)


def parse_fingerprint(run: CommandResult) -> Mapping[str, Any] | None:
    """Merge the two objects that :data:`FINGERPRINT` prints; ``None`` for any other output."""
    lines = run.stdout.strip().splitlines()[-2:]
    try:
        build, override = (json.loads(line) for line in lines)
    except (ValueError, RecursionError):
        return None
    if not run.ok or not isinstance(build, dict) or not isinstance(override, dict) or not build.get("executable"):
        return None
    return {**build, **override}


class _Process:
    """A process in the container, with its output read by a separate thread."""

    def __init__(self, engine: DockerEngine, container: str, argv: list[str]) -> None:
        self._out, self._err = OutputTail(STDOUT_LIMIT), OutputTail(STDERR_LIMIT)
        self._exit_code: int | None = None
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, args=(engine, container, argv), daemon=True, name=f"tool {argv[-1]}")
        self._thread.start()

    def _run(self, engine: DockerEngine, container: str, argv: list[str]) -> None:
        try:
            self._exit_code = engine.execute(container, argv, self._take)
        except (EngineUnavailable, EngineRefused) as error:
            self._error = error

    def _take(self, kind: int, part: bytes) -> None:
        (self._out if kind == 1 else self._err).add(part)

    def wait(self, seconds: float) -> ExitReason:
        """Wait for at most ``seconds``, and return how the process ended; ``TIMED_OUT`` if it still runs."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            return ExitReason.TIMED_OUT
        if isinstance(self._error, EngineUnavailable):
            return ExitReason.ENGINE_LOST
        if self._error is not None:
            return ExitReason.NOT_STARTED
        return ExitReason.EXITED if self._exit_code not in (None, -1) else ExitReason.KILLED

    def result(self, command: Sequence[str], exit_reason: ExitReason, seconds: float) -> CommandResult:
        stderr = self._err.text()
        if self._error is not None:
            stderr = f"{stderr}\n{self._error}".lstrip()
        return CommandResult(
            argv=tuple(command),
            exit_reason=exit_reason,
            exit_code=self._exit_code if exit_reason is ExitReason.EXITED else None,
            stdout=self._out.text(),
            stderr=stderr,
            seconds=seconds,
        )


def _failed_run(argv: Sequence[str], exit_reason: ExitReason, reason: str, seconds: float) -> CommandResult:
    return CommandResult(
        argv=tuple(argv), exit_reason=exit_reason, exit_code=None, stdout="", stderr=reason, seconds=seconds
    )
