"""What a runner is, and the values that go in and come out of one.

A runner answers four questions: which build of an interpreter is at hand, what does a trusted tool (uv, the byte
compiler) say when run beside that build, what did the probe report from a cell, and is everything cleaned up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun, Ended

TOOLS_PER_CORE = 4
"""Tools that a runner runs at once for each core: most wait for the index most of the time."""

TOOL_VARIABLES: Mapping[str, str] = {"RES_OPTIONS": "timeout:2 attempts:5"}
"""Environment variables of tools where the caller has none of that name.

``RES_OPTIONS``: name servers drop what many processes ask at the same moment. By default a dropped question is asked
again after 5 seconds and no third time; this is as patient in all, and loses 2. Source: resolv.conf(5).
"""


class CellUnavailable(Exception):
    """A cell that cannot be run at all (no interpreter, no image). ``str()`` is a sentence and says how to mend it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellJob:
    """One process to run in a cell: the probe, with a request.

    ``root`` is the fleet's root on this machine and ``folders`` (relative to it) what of it the cell may read; the
    runner gives the probe the place where that can be read (``source``) and an empty writable one (``scratch``) in
    the request. ``environment`` is the installed environment's folder on this machine; the probe is started by its
    ``bin/python``. Limits: seconds of wall time, then SIGINT, ``grace`` seconds, then a kill; bytes of memory for
    all processes together.
    """

    identifier: str
    """Unique in the run: ``user-service-py3.12-suite``."""
    build: InterpreterBuild
    environment: Path
    root: Path
    folders: tuple[str, ...]
    request: Mapping[str, Any]
    variables: tuple[tuple[str, str], ...] = ()
    time_limit: float = 900.0
    grace: float = 5.0
    memory_limit: int = 2 * 1024**3
    network: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CellRun:
    """What came back: the probe's records in order (each one JSON object), and how its process ended.

    ``trouble`` is empty for a process that exited by itself, else a sentence for the user. The records are whatever
    the probe wrote until then: they are complete only where the last one is ``{"event": "end"}``.
    """

    ended: Ended
    exit_code: int | None
    seconds: float
    records: tuple[Mapping[str, Any], ...]
    output_tail: str = ""
    trouble: str = ""


class Runner(Protocol):
    """Where cells run. All methods may be called from several threads at once."""

    name: str
    """``local`` or ``docker``: what the user asks for, and part of the key of everything that is cached."""

    def describe(self) -> str:
        """For the header: the name and what it rests on."""
        ...

    def find(self, interpreter: Interpreter) -> InterpreterBuild:
        """The build that cells of ``interpreter`` use; cheap when asked again.

        :raises CellUnavailable: none is at hand and none could be had.
        """
        ...

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        """Run a trusted tool beside ``build``, with network, and with the cache folder writable.

        ``"{uv}"`` and ``"{python}"`` in ``argv`` stand for uv's and the interpreter's path there, and paths of files
        in the cache folder have gone through :meth:`inside`.
        """
        ...

    def inside(self, path: Path) -> str:
        """The path by which tools and cells see ``path``, which lies in the cache folder."""
        ...

    def run(self, job: CellJob) -> CellRun:
        """Run one job to its end. Never raises for what goes wrong in the cell, its limits or the engine."""
        ...

    def close(self) -> None:
        """End and remove everything this runner has started."""
        ...


class Station(Protocol):
    """A place for jobs of one cell that come one after the other."""

    def run(self, job: CellJob) -> CellRun:
        """Run one job to its end, in a process of its own that finds nothing of the one before. Never raises for what
        goes wrong in the cell, its limits or the engine."""
        ...

    def close(self) -> None:
        """End what was started for the jobs."""
        ...


@runtime_checkable
class StationKeeper(Protocol):
    """A runner for which it pays to be told that many jobs of one cell follow each other."""

    def station(self) -> Station:
        """A place for them; the caller closes it."""
        ...


@dataclass(frozen=True, slots=True)
class Anywhere:
    """A station of a runner that keeps none."""

    runner: Runner

    def run(self, job: CellJob) -> CellRun:
        return self.runner.run(job)

    def close(self) -> None:
        """Nothing stays that would have to be ended."""


def station_of(runner: Runner) -> Station:
    """A place for jobs of one cell that follow each other; the caller closes it."""
    return runner.station() if isinstance(runner, StationKeeper) else Anywhere(runner)
