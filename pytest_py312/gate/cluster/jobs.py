"""What the coordinator of a run sends to the workers of a cluster, and what they answer.

Everything goes as JSON: a worker with other versions of this package, or of Python, is recognised instead of crashing.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.run.tasks import TaskKey
from pytest_py312.runners.fingerprints import module_digest

T = TypeVar("T")

FLEET_LIMIT = 8 * 1024**2
"""Characters of the services that are sent to each worker: about 2,000 services."""
MAX_RUNS = 3
"""How often a service is started: once, and twice again after its worker was lost."""
ALONE = "pytest-py312-alone"
"""Dask resource of which each worker has one: what measures time takes it, so nothing else is measured beside it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FactsRequest:
    """What a worker is asked for: the interpreters that a run needs, as ``3.12``, and the modules of plugins."""

    interpreters: tuple[str, ...]
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerFacts:
    """What a worker of a cluster is, and has."""

    tool: str
    """Version of this package, and the digest of its code."""
    python: str
    """The Python of the worker itself, as ``3.11``."""
    name: str
    clock: float
    """Its Unix time when it answered."""
    cores: int
    memory: int
    """Bytes that it may use."""
    engine: str
    """Version of its Docker engine; empty if none answers."""
    interpreters: tuple[InterpreterBuild, ...]
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Module -> digest of its code; empty if it cannot be found there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSetup:
    """What all services of a run have in common; sent to each worker once, with the archive of the tree.

    ``folder`` is the plan's folder in the archive, ``arguments`` are options of pytest, ``known_findings`` is the
    content of that file, ``cache`` a folder of this machine (empty: each worker has its own).
    """

    run_id: str
    tree: str
    """SHA-256 of the archive."""
    folder: str
    arguments: tuple[str, ...]
    known_findings: str = ""
    cache: str = ""
    archive: str = ""
    """Path of the archive in a folder that all workers see; empty if its content is sent."""
    fleet: str = ""
    """The services of the run as text; empty if that is long: then each process finds them in the tree itself."""
    jobs: int = 0
    """Parallel cells of a service; 0: the cores of the worker, divided among its threads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceJob:
    """The items of one service that a worker checks.

    ``measures`` is true for benchmarks, which run after everything else. ``measured_elsewhere`` is the number of
    services that other jobs measure, ``earlier_starts`` how often earlier tasks with this job were started.
    """

    run_id: str
    service: str
    items: tuple[TaskKey, ...]
    measures: bool = False
    measured_elsewhere: int = 0
    earlier_starts: int = 0

    @property
    def id(self) -> tuple[str, bool]:
        """What tells the job apart from others of the run, whatever the attempt."""
        return self.service, self.measures


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceRequest:
    """What the process that checks the items of a job reads.

    ``worker`` is the id of the worker's process, ``worker_start`` the start of that one, in clock ticks since boot
    (``None`` without ``/proc``). Without it the check ends, and removes ``folder``. ``fleet`` is the file with the
    services of the run, if there is one.
    """

    items: tuple[TaskKey, ...]
    measured_elsewhere: int
    answer_file: str
    worker: int
    worker_start: int | None
    folder: str
    fleet: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceAnswer:
    """What has become of a job. ``failure`` is not empty if the check did not come to its end."""

    results: tuple[CheckResult, ...] = ()
    builds: tuple[InterpreterBuild, ...] = ()
    assumptions: tuple[str, ...] = ()
    runner: str = ""
    worker: str = ""
    failure: str = ""


def digests_of(plugins: Iterable[str]) -> Mapping[str, str]:
    """Return the digest of the code of each module as it is installed here."""
    return {name: module_digest(name) for name in plugins}


def installed_plugins(plugins: Iterable[str], root: Path) -> tuple[str, ...]:
    """Return the plugins that workers have to have: not those beside the plan, which are sent with the tree."""
    return tuple(name for name in plugins if not _is_beside_plan(name, root))


def _is_beside_plan(name: str, root: Path) -> bool:
    place = root.joinpath(*name.split("."))
    file = Path(getattr(sys.modules.get(name), "__file__", None) or "")
    return any(
        path.exists() and file.resolve() == path.resolve() for path in (Path(f"{place}.py"), place / "__init__.py")
    )


def to_text(value: object) -> str:
    """Return a message as text."""
    return json.dumps(encode(value))


def from_text(kind: type[T], text: str) -> T:
    """Return the message that :func:`to_text` was given.

    :raises ValueError, TypeError, KeyError: the text is something else.
    """
    document: Any = json.loads(text)
    return decode(kind, document)
