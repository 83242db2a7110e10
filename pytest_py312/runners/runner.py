"""The ``Runner`` protocol, with the jobs that it takes and the results that it returns.

A runner finds the build of an interpreter, runs trusted tools (uv, the byte compiler) with that build, runs the probe
in cells, and cleans up.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import ImagePackages, InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason

TOOLS_PER_CORE = 4
"""Tools that a runner runs in parallel per core: they wait for the index most of the time."""

TOOL_VARIABLES: Mapping[str, str] = {"RES_OPTIONS": "timeout:2 attempts:5"}
"""Default environment variables of tools; the caller's own take precedence.

``RES_OPTIONS``: name servers drop queries when many processes send them at the same time. By default a dropped query is
repeated once, after 5 seconds. With these values it is repeated every 2 seconds, for the same total. Source:
resolv.conf(5).
"""


CELL_PARENT = (
    (sys.executable, "-E", "-S", str(Path(__file__).parent / "agent" / "cell_parent.py"))
    if sys.platform == "linux"
    else ()
)
"""The beginning of a command that ends with all of its descendants, and when this process is killed, see
:func:`.process.run`; empty where the system cannot give it orphans.
"""
_SYSTEM_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{0,98}[a-z0-9+]", re.ASCII)


def is_system_package(name: str) -> bool:
    """Whether a text is the name of a Debian package, and nothing that apt takes for anything else (``name-``)."""
    return _SYSTEM_PACKAGE.fullmatch(name) is not None


class CellUnavailable(Exception):
    """A cell cannot run at all (no interpreter, no image). ``str()`` is a sentence that says how to fix it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeJob:
    """A run of the probe in a cell.

    ``root`` is the fleet's root on this machine, ``folders`` (relative to it) are what the cell may read. To the
    ``request`` the runner adds the path where the cell sees them (``source``) and an empty writable folder
    (``scratch``). ``environment`` is the folder of the installed environment on this machine; its ``bin/python`` runs
    the probe. After ``time_limit`` seconds the process gets SIGINT, ``grace`` seconds later it is killed.
    ``memory_limit`` is in bytes, for all processes together.
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
class ProbeResult:
    """The probe's records in order (JSON objects), and how its process ended.

    ``failure`` is empty for a process that exited by itself, else a sentence for the user. The records are complete
    only if the last one is ``{"event": "end"}``.
    """

    exit_reason: ExitReason
    exit_code: int | None
    seconds: float
    records: tuple[Mapping[str, Any], ...]
    output_tail: str = ""
    failure: str = ""

    @classmethod
    def not_run(cls, exit_reason: ExitReason, failure: str, *, seconds: float = 0.0) -> "ProbeResult":
        """Return the result of a job that could not run, or was lost: without records."""
        return cls(exit_reason=exit_reason, exit_code=None, seconds=seconds, records=(), failure=failure)


class Runner(Protocol):
    """Where cells run. All methods may be called from several threads in parallel."""

    name: str
    """``local`` or ``docker``: selected by the user, and part of the key of everything that is cached."""

    def describe(self) -> str:
        """Return the name and the basis of the runner, for the report's header."""
        ...

    def find_interpreter(self, interpreter: Interpreter) -> InterpreterBuild:
        """Return the build that cells of ``interpreter`` use; cheap when called again.

        :raises CellUnavailable: there is none, and none could be fetched.
        """
        ...

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        """Run a trusted tool where ``build`` is, with network access and a writable cache folder.

        ``"{uv}"`` and ``"{python}"`` in ``argv`` are replaced by the paths of uv and of the interpreter. Paths in the
        cache folder have to be translated by :meth:`path_inside`.
        """
        ...

    def path_inside(self, path: Path) -> str:
        """Return the path by which tools and cells see ``path``, which is in the cache folder."""
        ...

    def run(self, job: ProbeJob) -> ProbeResult:
        """Run one job to its end. Never raises for failures in the cell, exceeded limits or the engine."""
        ...

    def close(self) -> None:
        """Stop and remove everything that this runner has started."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfinedCommand:
    """A command that may run foreign code: the build of a dependency from its source.

    ``argv`` is as for :meth:`Runner.run_tool`. The command can write only to ``folder``, reads the folders ``readable``
    (all in the cache), and has no network, unless ``fetches``: then it needs the index, as pip does.
    """

    argv: tuple[str, ...]
    folder: Path
    readable: tuple[Path, ...] = ()
    time_limit: float = 600.0
    fetches: bool = False


@runtime_checkable
class SupportsConfinement(Protocol):
    """A runner that can run builds of dependencies apart from everything else."""

    @property
    def confines(self) -> bool:
        """Whether it can do that on this machine."""
        ...

    def run_confined(self, build: InterpreterBuild, command: ConfinedCommand) -> CommandResult:
        """Run one command without rights, and with limits. No process of it is left when this returns.

        If it fails, what it lacked is in ``stderr`` (:data:`NETWORK_TRIED`) or the exit reason (memory).
        """
        ...


def confinement_of(runner: Runner) -> SupportsConfinement | None:
    """Return ``runner`` if it confines builds, else ``None``."""
    return runner if isinstance(runner, SupportsConfinement) and runner.confines else None


class JobSession(Protocol):
    """A session for consecutive jobs of one cell."""

    def run(self, job: ProbeJob) -> ProbeResult:
        """Run one job to its end, in a process of its own that sees nothing of the previous job.

        Never raises for failures in the cell, exceeded limits or the engine.
        """
        ...

    def close(self) -> None:
        """Stop what was started for the jobs."""
        ...


@runtime_checkable
class SupportsSessions(Protocol):
    """A runner that is faster if it is notified that several jobs of one cell follow."""

    def session(self) -> JobSession:
        """Open a session; the caller closes it."""
        ...


@runtime_checkable
class SupportsFurtherCells(Protocol):
    """A runner that also runs cells elsewhere than on this machine."""

    @property
    def further_cells(self) -> int:
        """The number of cells that can run elsewhere in parallel."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Return sentences for the report about places that could not do their part."""
        ...


def further_cells(runner: Runner) -> int:
    """Return the number of cells that ``runner`` can run elsewhere than on this machine in parallel."""
    return runner.further_cells if isinstance(runner, SupportsFurtherCells) else 0


@runtime_checkable
class SupportsSystemPackages(Protocol):
    """A runner whose interpreters are in images, to which packages of the system can be added."""

    def find_with_packages(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild | None:
        """Return ``build`` in the image that also has ``packages``; ``None`` if there is no such image yet.

        :raises CellUnavailable: it could not be determined.
        """
        ...

    def add_packages(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild:
        """Return ``build`` in an image that also has ``packages``; the image is made if there is none.

        Names that are no packages of the image's distribution are left out.

        :raises CellUnavailable: the packages cannot be added.
        """
        ...


@dataclass(frozen=True, slots=True)
class DirectSession:
    """A session for runners without sessions: each job runs on its own."""

    runner: Runner

    def run(self, job: ProbeJob) -> ProbeResult:
        return self.runner.run(job)

    def close(self) -> None:
        """Do nothing: each job has cleaned up after itself."""


def open_session(runner: Runner) -> JobSession:
    """Open a session for consecutive jobs of one cell; the caller closes it."""
    return runner.session() if isinstance(runner, SupportsSessions) else DirectSession(runner)
