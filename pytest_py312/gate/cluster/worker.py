"""What runs in a worker of a Dask cluster. Dask imports this module there by its name.

A worker is prepared once for a run: it is asked for its facts, then it gets the tree of the repository or a refusal.
Each service is checked by a process of its own, a fork of one that has imported the gate. It ends when its task is
cancelled, when the worker closes or loses its scheduler, and, since it watches for that itself, when the worker's
process is killed.
"""

import asyncio
import atexit
import os
import shutil
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytest_py312.core import clock, process
from pytest_py312.core.directories import create_run_folder, default_cache_folder, remove_abandoned_runs
from pytest_py312.core.errors import Py312Error
from pytest_py312.core.files import write_atomically
from pytest_py312.core.fork_server.client import ForkServer
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process_identity import process_start_ticks
from pytest_py312.core.service_patterns import is_glob
from pytest_py312.core.text import last_lines
from pytest_py312.gate.cluster.jobs import (
    ALONE,
    MAX_RUNS,
    FactsRequest,
    RunSetup,
    ServiceAnswer,
    ServiceJob,
    ServiceRequest,
    WorkerFacts,
    digests_of,
    from_text,
    to_text,
)
from pytest_py312.gate.cluster.tree_archive import unpack_tree
from pytest_py312.gate.run.scheduler import available_cores
from pytest_py312.gate.sharding.documents import tool_identity
from pytest_py312.runners.docker.ping import engine_version
from pytest_py312.runners.interpreters import FingerprintCache, find_local
from pytest_py312.runners.runner import CellUnavailable

REQUEST_VARIABLE = "PY312_CLUSTER_REQUEST"
"""Environment variable with the file of the request, for the process that checks a service."""
KNOWN_FINDINGS = "known-findings.json"
FLEET = "fleet.json"
PLUGIN = "pytest_py312.plugin.cluster_service"
TIME_LIMIT = 24 * 3600.0
"""Seconds for one service. The limits of cells and commands normally end it long before."""
GRACE = 30.0
"""Seconds in which a cancelled check ends its cells and removes what it has created."""
PREPARATION_LIMIT = 120.0
"""Seconds that a service waits for the tree."""
_OUTPUT_LIMIT = 64 * 1024
_SHOWN_LINES = 5
_NOT_PASSED_ON = (
    "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PY312_AGAIN", "PY312_ACCEPTANCE",
)  # fmt: skip
_ONLY_NAMED_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Others would take longer to load than the gate itself, once for each service."""
_RUNNING = ("executing", "long-running")
"""States of a task of Dask's worker that is still wanted."""


class WorkerNotPrepared(Exception):
    """This worker was refused, or did not get the tree: the service has to be checked elsewhere."""


class TooManyStarts(Exception):
    """A service was started as often as it may be, and each time its worker was lost."""


@dataclass(kw_only=True, slots=True)
class _Preparation:
    """How a worker takes part in a run: the setup with the unpacked tree, or why it does not."""

    setup: RunSetup | None = None
    folder: Path | None = None
    """The folder of the run; ``None`` until it is created."""
    root: Path | None = None
    """The plan's folder in the tree."""
    refusal: str = ""
    is_over: threading.Event = field(default_factory=threading.Event)
    running: int = 0

    def remove(self) -> None:
        """Remove the tree, if there is one."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _remove_trees() -> None:
    """Remove the trees of a worker that ends by itself: it has lost its scheduler, or is closed."""
    for preparation in _preparations.values():
        preparation.remove()


_fork_server = ForkServer(PLUGIN)
"""Starts the processes of the services: importing pytest and the gate takes as long as checking a small service."""
_changed = threading.Condition()
_preparations: dict[tuple[str, str], _Preparation] = {}
"""By run and address of the worker: in tests and in clusters of threads, a process has several workers."""


# ---- preparation: called on the event loop of the worker, outside of its tasks


async def describe_worker(text: str, dask_worker: Any) -> str:
    """Return the facts of this worker."""
    request = from_text(FactsRequest, text)
    return to_text(await asyncio.to_thread(_facts, request, dask_worker))


def _facts(request: FactsRequest, worker: Any) -> WorkerFacts:
    return WorkerFacts(
        tool=tool_identity(),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        name=str(worker.name),
        clock=clock.timestamp(),
        cores=available_cores(),
        memory=_memory_of(worker),
        engine=engine_version() or "",
        interpreters=tuple(_builds(request.interpreters)),
        plugins=digests_of(request.plugins),
    )


def _memory_of(worker: Any) -> int:
    import psutil

    limit = worker.memory_manager.memory_limit
    return int(limit or psutil.virtual_memory().total)


def _builds(interpreters: tuple[str, ...]) -> list[InterpreterBuild]:
    from uv import find_uv_bin

    builds = []
    cache = FingerprintCache(default_cache_folder() / "interpreters")
    for text in interpreters:
        try:
            builds.append(find_local(Interpreter.parse(text), uv=str(find_uv_bin()), fetch=False, cache=cache))
        except CellUnavailable:
            continue
    return builds


async def prepare(text: str, content: bytes, dask_worker: Any) -> str:
    """Unpack the tree of a run; return what keeps this worker from it, or an empty text.

    ``content`` is empty if the archive is in a folder that all workers see.
    """
    setup = from_text(RunSetup, text)
    known = _preparations.get((setup.run_id, dask_worker.address))
    if known is not None and known.root is not None:
        return ""
    preparation = _Preparation(setup=setup)
    try:
        await asyncio.to_thread(_unpack, preparation, setup, content, dask_worker.address)
    except (Py312Error, OSError) as error:
        preparation.remove()
        preparation.refusal = f"the tree cannot be unpacked there: {error}"
    await dask_worker.set_resources(**{ALONE: 1})
    _set_preparation(setup.run_id, dask_worker, preparation)
    return preparation.refusal


def _unpack(preparation: _Preparation, setup: RunSetup, content: bytes, address: str) -> None:
    atexit.unregister(_remove_trees)
    atexit.register(_remove_trees)
    remove_abandoned_runs()
    port = address.rpartition(":")[2]
    folder = preparation.folder = create_run_folder(f"{setup.run_id}-{os.getpid()}-{port}")
    content = content or Path(setup.archive).read_bytes()
    preparation.root = unpack_tree(content, setup.tree, folder) / setup.folder
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="ascii")
    (folder / KNOWN_FINDINGS).write_text(setup.known_findings, encoding="utf-8")
    (folder / FLEET).write_text(setup.fleet, encoding="utf-8")


def refuse(run_id: str, reason: str, dask_worker: Any) -> None:
    """Let no service of a run be checked by this worker."""
    _set_preparation(run_id, dask_worker, _Preparation(refusal=reason))


def _set_preparation(run_id: str, worker: Any, preparation: _Preparation) -> None:
    with _changed:
        _preparations[run_id, worker.address] = preparation
        _changed.notify_all()


async def dismiss(run_id: str, dask_worker: Any) -> None:
    """End all checks of a run, and remove its tree."""
    await asyncio.to_thread(_dismiss, run_id, dask_worker.address)


def _dismiss(run_id: str, address: str) -> None:
    with _changed:
        preparation = _preparations.pop((run_id, address), None)
        if preparation is not None:
            preparation.is_over.set()
            _changed.wait_for(lambda: not preparation.running, timeout=GRACE + 10.0)
            preparation.remove()
        if not _preparations:
            _fork_server.close()
    remove_abandoned_runs()


# ---- services: the tasks of Dask


def check_service(text: str) -> str:
    """Check the items of a service, and return the answer.

    :raises WorkerNotPrepared: this worker takes no part in the run.
    :raises TooManyStarts: this start is one more than is allowed.
    """
    from distributed import get_worker

    job = from_text(ServiceJob, text)
    worker = get_worker()
    task = _TaskCancellation(worker, worker.get_current_task())
    _report_start(job, task.key, worker)
    preparation = _preparation_for(job.run_id, worker.address, task)
    task.is_over = preparation.is_over
    try:
        return to_text(_check(job, preparation, worker, task))
    finally:
        with _changed:
            preparation.running -= 1
            _changed.notify_all()


def _report_start(job: ServiceJob, key: Any, worker: Any) -> None:
    """Report the start of a task as an event, if it may be started.

    Dask runs the task of a lost worker again without asking the coordinator, which may learn of it after this worker is
    lost as well. So the scheduler is asked, which has the starts of this task under a topic of their own.

    :raises TooManyStarts: it was started too often.
    """
    from distributed.utils import sync

    starts_of_task = f"{job.run_id} {key}"
    try:
        starts = job.earlier_starts + len(sync(worker.loop, worker.scheduler.events, topic=starts_of_task))
    except OSError:  # the scheduler is lost, or slow; the coordinator counts as well
        starts = job.earlier_starts
    if starts >= MAX_RUNS:
        raise TooManyStarts(f"{job.service} was started {starts} times")
    start = {"service": job.service, "measures": job.measures, "worker": worker.address}
    worker.log_event([job.run_id, starts_of_task], start)


@dataclass(kw_only=False, slots=True)
class _TaskCancellation:
    """Whether a task is no longer wanted: cancelled, its run over, or the worker closed by itself or its scheduler."""

    worker: Any
    key: Any
    is_over: threading.Event = field(default_factory=threading.Event)

    def is_set(self) -> bool:
        state = self.worker.state.tasks.get(self.key)
        is_running = self.worker.status.name in ("running", "paused", "closing_gracefully")
        return self.is_over.is_set() or not is_running or state is None or state.state not in _RUNNING


def _preparation_for(run_id: str, address: str, cancelled: _TaskCancellation) -> _Preparation:
    deadline = clock.stopwatch() + PREPARATION_LIMIT
    with _changed:
        while (preparation := _preparations.get((run_id, address))) is None:
            if cancelled.is_set() or clock.stopwatch() > deadline:
                raise WorkerNotPrepared(f"{address} did not get the tree")
            _changed.wait(1.0)
        if preparation.refusal:
            raise WorkerNotPrepared(preparation.refusal)
        preparation.running += 1
        return preparation


def _check(job: ServiceJob, preparation: _Preparation, worker: Any, cancelled: _TaskCancellation) -> ServiceAnswer:
    setup, run_folder, root = preparation.setup, preparation.folder, preparation.root
    assert setup is not None
    assert run_folder is not None
    assert root is not None
    own_share = max(1, available_cores() // max(1, worker.state.nthreads))
    with TemporaryDirectory(prefix="service-", dir=run_folder) as folder:
        answer_file = Path(folder) / "answer.json"
        request = ServiceRequest(
            items=job.items,
            measured_elsewhere=job.measured_elsewhere,
            answer_file=str(answer_file),
            worker=os.getpid(),
            worker_start=process_start_ticks(os.getpid()),
            folder=str(run_folder),
            fleet=str(run_folder / FLEET) if setup.fleet else "",
        )
        request_file = Path(folder) / "request.json"
        write_atomically(request_file, to_text(request).encode("ascii"))
        variables = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        result = process.run(
            _arguments(job, setup, run_folder, root, jobs=setup.jobs or own_share),
            cwd=root,
            env={**variables, **_ONLY_NAMED_PLUGINS, REQUEST_VARIABLE: str(request_file)},
            time_limit=TIME_LIMIT,
            grace_period=GRACE,
            tail_limit=_OUTPUT_LIMIT,
            server=_fork_server,
            cancelled=cancelled,
            ends_itself=True,
        )
        answer = _read_answer(answer_file)
    if answer is not None and result.exit_reason is process.ExitReason.EXITED:
        return answer
    lines = " | ".join(last_lines(result.stdout or result.stderr, _SHOWN_LINES))
    ended = result.exit_reason.value if result.exit_code is None else f"exit code {result.exit_code}"
    return ServiceAnswer(failure=f"its check ended without an answer ({ended}): {lines}")


def _arguments(job: ServiceJob, setup: RunSetup, folder: Path, root: Path, *, jobs: int) -> list[str]:
    """Return the name and the arguments of pytest."""
    arguments = [
        "pytest", "-q", "-s", "-c", str(folder / "pytest.ini"), f"--rootdir={root}", "-p", "no:cacheprovider",
        "-W", "ignore::pytest.PytestAssertRewriteWarning",  # the server has imported the plugin
        "-p", "pytest_py312.plugin", "-p", PLUGIN, *setup.arguments, f"--py312-jobs={jobs}",
    ]  # fmt: skip
    if not is_glob(job.service) and "," not in job.service:  # otherwise all are collected, and the items chosen by key
        arguments.append(f"--py312-services={job.service}")
    if setup.known_findings:
        arguments.append(f"--py312-known-findings={folder / KNOWN_FINDINGS}")
    if setup.cache:
        arguments.append(f"--py312-cache-dir={setup.cache}")
    return arguments


def _read_answer(file: Path) -> ServiceAnswer | None:
    try:
        return from_text(ServiceAnswer, file.read_text(encoding="ascii"))
    except (OSError, ValueError, TypeError, KeyError):
        return None
