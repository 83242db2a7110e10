"""One container per interpreter for our own tools: which build is in the image, and uv and its like beside it."""

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

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.runners.docker.container_specs import CACHE, UV, Ground, builder_recipe
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import EngineLost, Refused
from pytest_py312.runners.docker.output import Tail
from pytest_py312.runners.interpreters import FINGERPRINT_SCRIPT
from pytest_py312.runners.runner import CellUnavailable

STDOUT_LIMIT = 16 * 1024**2
"""Bytes of a tool's standard output that are kept; a lock with hashes takes some hundred thousand."""
STDERR_LIMIT = 1024**2
FINGERPRINT_LIMIT = 60.0

_LAUNCH_FAILED = "pytest-py312 could not start "
_LAUNCHER = f"""
import os, sys
number, given, *argv = sys.argv[1:]
os.umask(0o022)
if os.getpgrp() != os.getpid():
    os.setsid()
with open(number, "w") as file:
    file.write(str(os.getpid()))
os.dup2(os.open(given, os.O_RDONLY), 0)
try:
    os.execvp(argv[0], argv)
except OSError as error:
    sys.stderr.write({_LAUNCH_FAILED!r} + argv[0] + ": " + str(error.strerror))
    sys.exit(127)
"""
_KILLER = "import os, signal, sys; os.killpg(int(sys.argv[1]), signal.SIGKILL)"

FINGERPRINT = f"""{FINGERPRINT_SCRIPT}
try:
    from importlib.metadata import version
    print(json.dumps({{"seed": ["setuptools==" + version("setuptools")]}}))
except Exception:
    print("{{}}")
"""
"""Two JSON objects, one a line: the build, and what of it the image itself overrides (a setuptools that it holds)."""


class Builder:
    """The builder container of one image, started when it is first needed."""

    def __init__(self, engine: Engine, ground: Ground, *, image: str, name: str, closing: Event) -> None:
        self._engine = engine
        self._ground = ground
        self._image = image
        self._name = name
        self._closing = closing
        self._lock = Lock()
        self._container = ""
        self._python = ""

    def fingerprint(self, interpreter: Interpreter) -> Mapping[str, Any]:
        """What :data:`FINGERPRINT_SCRIPT` says in the image; known from an earlier run where the image is the same.

        :raises CellUnavailable: no Python answers in the image.
        """
        key = hashlib.sha256(f"{self._image} {interpreter} {FINGERPRINT}".encode()).hexdigest()[:32]
        remembered = self._ground.cache / "images" / f"{key}.json"
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(remembered.read_text(encoding="utf-8"))
            if isinstance(found, dict) and found.get("executable"):
                return found
        names = (f"python{interpreter}", "python3", "python")
        run = self.run(["{python}", "-I", "-c", FINGERPRINT], pythons=names, time_limit=FINGERPRINT_LIMIT)
        data = fingerprint_in(run)
        if data is None:
            said = (run.stderr or run.stdout).strip().splitlines()
            raise CellUnavailable(
                f"the Python in image {self._name} does not say what it is ({run.ended.value}; it says: "
                f"{said[-1] if said else 'nothing'}); set another one with `images` in the plan"
            )
        with contextlib.suppress(OSError):  # only remembered to be quicker next time
            remembered.parent.mkdir(parents=True, exist_ok=True)
            part = remembered.with_suffix(f".{uuid.uuid4().hex}")
            part.write_text(json.dumps(data), encoding="utf-8")
            part.replace(remembered)
        return data

    def run(
        self, argv: Sequence[str], *, pythons: Sequence[str], stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        """Run one tool. ``pythons`` are names of the interpreter, the first that exists is ``{python}``.

        :raises CellUnavailable: the container cannot be started, or uv does not run in it.
        """
        begin = time.monotonic()
        try:
            container = self._started(pythons)
        except EngineLost as lost:
            ended = Ended.CANCELLED if self._closing.is_set() else Ended.ENGINE_LOST
            return _without_output(argv, ended, str(lost), time.monotonic() - begin)
        places = {"{uv}": UV, "{python}": self._python}
        command = [places.get(word, word) for word in argv]
        run = self._execute(container, command, stdin, time_limit)
        if run.exit_code == 127 and run.stderr.startswith(_LAUNCH_FAILED) and command[0] == UV:
            raise CellUnavailable(
                f"this machine's uv ({self._ground.uv}) does not run in image {self._name} "
                f"({run.stderr.rpartition(': ')[2]}): the image has another C library, or is for another processor. "
                "Take a glibc image (`-slim`, not `-alpine`) for this machine's processor, or --py312-runner=local"
            )
        return run

    def _started(self, pythons: Sequence[str]) -> str:
        with self._lock:
            if self._closing.is_set():
                raise EngineLost("the run was cancelled")
            for python in pythons if not self._container else ():
                recipe = builder_recipe(self._ground, image=self._image, executable=python, environ=os.environ)
                try:
                    self._container = self._engine.launch(recipe, listen=False).id
                    self._python = python
                    break
                except Refused as refused:
                    if not refused.no_such_program:
                        raise CellUnavailable(self._refusal(refused)) from refused
            if not self._container:
                raise CellUnavailable(f"image {self._name} holds no Python (tried {', '.join(pythons)} on its PATH)")
            return self._container

    def _refusal(self, refused: Refused) -> str:
        hint = ""
        if "bind source path does not exist" in str(refused):
            hint = "; the engine does not see the files of this machine (is it on another one?): --py312-runner=local"
        return f"no container of image {self._name} can be started: {refused}{hint}"

    def _execute(self, container: str, command: list[str], stdin: str, time_limit: float) -> CommandRun:
        begin = time.monotonic()
        folder = self._ground.cache / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"tool-{uuid.uuid4().hex}"
        given, number = folder / f"{name}.in", folder / f"{name}.pid"
        argv = [self._python, "-I", "-S", "-c", _LAUNCHER, f"{CACHE}/tmp/{number.name}"]
        try:
            if stdin:
                given.write_text(stdin, encoding="utf-8")
            argv += [f"{CACHE}/tmp/{given.name}" if stdin else os.devnull, *command]
            process = _Process(self._engine, container, argv)
            ended = process.wait(time_limit)
            if ended is Ended.TIMED_OUT:
                self._kill(container, number)
                process.wait(10.0)
            if self._closing.is_set():
                ended = Ended.CANCELLED
            return process.result(command, ended, time.monotonic() - begin)
        except OSError as error:
            return _without_output(command, Ended.NOT_STARTED, str(error), time.monotonic() - begin)
        finally:
            for path in (given, number):
                path.unlink(missing_ok=True)

    def _kill(self, container: str, number: Path) -> None:
        with contextlib.suppress(OSError, ValueError, EngineLost, Refused):
            pid = int(number.read_text(encoding="ascii"))
            argv = [self._python, "-I", "-S", "-c", _KILLER, str(pid)]
            self._engine.execute(container, argv, lambda kind, part: None)

    def close(self) -> None:
        """Remove the container."""
        with self._lock:
            container, self._container = self._container, ""
        if container:
            self._engine.remove(container)


def fingerprint_in(run: CommandRun) -> Mapping[str, Any] | None:
    """The two objects that :data:`FINGERPRINT` prints, laid over each other; ``None`` for any other output."""
    lines = run.stdout.strip().splitlines()[-2:]
    try:
        build, override = (json.loads(line) for line in lines)
    except (ValueError, RecursionError):
        return None
    if not run.ok or not isinstance(build, dict) or not isinstance(override, dict) or not build.get("executable"):
        return None
    return {**build, **override}


class _Process:
    """A process that runs in the container, with its output read in a thread of its own."""

    def __init__(self, engine: Engine, container: str, argv: list[str]) -> None:
        self._out, self._err = Tail(STDOUT_LIMIT), Tail(STDERR_LIMIT)
        self._exit_code: int | None = None
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, args=(engine, container, argv), daemon=True, name=f"tool {argv[-1]}")
        self._thread.start()

    def _run(self, engine: Engine, container: str, argv: list[str]) -> None:
        try:
            self._exit_code = engine.execute(container, argv, self._take)
        except (EngineLost, Refused) as error:
            self._error = error

    def _take(self, kind: int, part: bytes) -> None:
        (self._out if kind == 1 else self._err).add(part)

    def wait(self, seconds: float) -> Ended:
        """How it stands after at most ``seconds``."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            return Ended.TIMED_OUT
        if isinstance(self._error, EngineLost):
            return Ended.ENGINE_LOST
        if self._error is not None:
            return Ended.NOT_STARTED
        return Ended.EXITED if self._exit_code not in (None, -1) else Ended.KILLED

    def result(self, command: Sequence[str], ended: Ended, seconds: float) -> CommandRun:
        stderr = self._err.text()
        if self._error is not None:
            stderr = f"{stderr}\n{self._error}".lstrip()
        return CommandRun(
            argv=tuple(command),
            ended=ended,
            exit_code=self._exit_code if ended is Ended.EXITED else None,
            stdout=self._out.text(),
            stderr=stderr,
            seconds=seconds,
        )


def _without_output(argv: Sequence[str], ended: Ended, reason: str, seconds: float) -> CommandRun:
    return CommandRun(argv=tuple(argv), ended=ended, exit_code=None, stdout="", stderr=reason, seconds=seconds)
