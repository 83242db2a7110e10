"""The assembly of a run whose items are checked by a cluster: their results come from the answers of its workers."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.text import format_size, pluralize
from pytest_py312.gate.checks.check import CheckResult, CheckTraits
from pytest_py312.gate.cluster.address import parse_cluster
from pytest_py312.gate.cluster.connection import ClusterConnection, ClusterUnavailable
from pytest_py312.gate.cluster.dispatcher import Dispatcher, JobId, PlacedJob
from pytest_py312.gate.cluster.jobs import (
    FLEET_LIMIT,
    FactsRequest,
    RunSetup,
    ServiceAnswer,
    ServiceJob,
    digests_of,
    installed_plugins,
    to_text,
)
from pytest_py312.gate.cluster.placement import choose_runner, differing_interpreters, needs_of
from pytest_py312.gate.cluster.tree_archive import TreeArchive, pack_tree, share_archive
from pytest_py312.gate.cluster.worker_pool import WorkerPool
from pytest_py312.gate.reports.results import grouped
from pytest_py312.gate.run.assembly import AssemblyOptions, GateAssembly
from pytest_py312.gate.run.known_findings import KnownFindingsByKey
from pytest_py312.gate.run.scheduler import available_cores
from pytest_py312.gate.run.tasks import CheckTask, TaskKey, unfinished_outcome, unread_outcome
from pytest_py312.gate.sharding.durations import Durations
from pytest_py312.gate.sharding.estimates import count_test_files, weighed_items
from pytest_py312.repository.tree import Tree

FIRST_WORKER_LIMIT = 60.0
"""Seconds that a run waits for the first worker."""
WAIT_INTERVAL = 0.5


class ClusterOptions(AssemblyOptions, Protocol):
    """The command line options that a run on a cluster needs."""

    @property
    def cluster(self) -> str: ...
    @property
    def images(self) -> bool: ...
    @property
    def benchmark(self) -> bool: ...
    @property
    def known_findings(self) -> Path | None: ...


class ClusterAssembly(GateAssembly):
    """The parts of a run on a cluster.

    :param durations: recorded times of items: the services that take longest are started first.
    :param plugins: modules of pytest plugins that extend the gate.
    :param show: called with lines about the progress while pytest waits for a result.
    """

    def __init__(
        self,
        options: ClusterOptions,
        *,
        fleet: Fleet,
        known_findings: KnownFindingsByKey,
        durations: Durations,
        plugins: Sequence[str] = (),
        show: Callable[[str], None],
    ) -> None:
        super().__init__(options, fleet=fleet, known_findings=known_findings)
        self._cluster_options = options
        self._address = parse_cluster(options.cluster)
        self._durations = durations
        self._worker_plugins = plugins
        self._show = show
        self._lines: list[str] = []
        self._lines_lock = threading.Lock()
        self._dispatcher: Dispatcher | None = None
        self._shared_archive: Path | None = None
        self._answers: dict[JobId, ServiceAnswer] = {}
        self._results: dict[tuple[JobId, TaskKey], CheckResult] = {}

    # -- description

    def describe_runner(self) -> str:
        """Describe the runners of the workers; before they have answered, the cluster."""
        runners = dict.fromkeys(answer.runner for answer in self._in_order() if answer.runner)
        if runners:
            return "; ".join(runners)
        return f"{self._options.runner or self._plan.runner}, on the cluster at {self._address.text}"

    @property
    def warning(self) -> str:
        """What is to be feared of the connection to the cluster; empty if nothing."""
        return self._address.warning

    def builds(self) -> tuple[InterpreterBuild, ...]:
        """Return the interpreter builds that cells ran on, of all workers."""
        builds = {build for answer in self._in_order() for build in answer.builds}
        return tuple(sorted(builds, key=lambda build: build.sort_key))

    def assumptions(self, outcomes: Iterable[Outcome]) -> tuple[str, ...]:
        """Return what the outcomes assume, as the workers have it."""
        return tuple(dict.fromkeys(text for answer in self._in_order() for text in answer.assumptions))

    def _in_order(self) -> list[ServiceAnswer]:
        return [self._answers[job_id] for job_id in sorted(self._answers)]

    # -- results

    def prefetch(self, tasks: Sequence[CheckTask]) -> None:
        """Send ``tasks`` to the cluster.

        :raises Py312Error: no scheduler or no worker answers, or the tree cannot be sent.
        """
        tasks = [task for task in tasks if not task.cell.service.unread]
        if not tasks:
            return
        archive = pack_tree(self._plan.root)
        connection = ClusterConnection(self._address)
        try:
            jobs = self._jobs(tasks)
            interpreters = sorted({interpreter for placed in jobs for interpreter in placed.needs.interpreters})
            plugins = installed_plugins(self._worker_plugins, self._plan.root)
            request = FactsRequest(interpreters=tuple(map(str, interpreters)), plugins=plugins)
            pool = WorkerPool(connection=connection, request=request, run_id=self.run_id, plugins=digests_of(plugins))
            self._await_workers(pool)
            runner = choose_runner(self._options.runner or self._plan.runner, list(pool.facts.values()))
            self._describe(pool, archive)
            if self._plan.shared_folder:
                self._shared_archive = share_archive(archive, Path(self._plan.shared_folder), self.run_id)
            self._dispatcher = Dispatcher(
                connection,
                pool,
                jobs,
                setup=self._setup(archive, runner),
                archive=archive,
                runner=runner,
                fetches=self._plan.fetch_interpreters and not self._options.offline,
                notify=self._notify,
            )
            self._dispatcher.start()
        except BaseException:
            if self._dispatcher is None:  # otherwise it closes the connection, after it has ended what it has sent
                connection.close()
            raise
        self._flush()

    def _await_workers(self, pool: WorkerPool) -> None:
        deadline = clock.stopwatch() + FIRST_WORKER_LIMIT
        while not pool.refresh()[0]:
            if pool.refused or clock.stopwatch() > deadline:
                reasons = "".join(f"\n  {pool.name(address)}: {reason}" for address, reason in pool.refused.items())
                problem = f"none of its workers can be used:{reasons}" if reasons else "it has no workers"
                raise ClusterUnavailable(f"--py312-cluster={self._address.text}: {problem}")
            clock.pause(WAIT_INTERVAL)

    def _describe(self, pool: WorkerPool, archive: TreeArchive) -> None:
        size = format_size(len(archive.content))
        self._notify(
            f"cluster: {pluralize(len(pool.facts), 'worker')} at {self._address.text}; the tree has "
            f"{pluralize(archive.files, 'file')}, {size} packed"
        )
        for address, reason in pool.refused.items():
            self._notify(f"worker {pool.name(address)} is not used: {reason}")
        for sentence in differing_interpreters(pool.describe()):
            self._notify(sentence)

    def _setup(self, archive: TreeArchive, runner: str) -> RunSetup:
        options, local_workers = self._cluster_options, self._address.workers
        values = {"runner": runner, "isolation": options.isolation, "resolver": options.resolver}
        flags = {
            "offline": options.offline,
            "images": options.images,
            "benchmark": options.benchmark,
            "no-cache": not options.reuse_outcomes,
        }
        plan = [f"--py312-plan={self._plan.source}"] if self._plan.source else []
        known_findings = options.known_findings
        fleet = to_text(self._fleet) if self._fleet is not None else ""
        return RunSetup(
            run_id=self.run_id,
            tree=archive.digest,
            folder=archive.folder,
            arguments=(
                *(word for plugin in self._worker_plugins for word in ("-p", plugin)),
                "--py312",
                *plan,
                *(f"--py312-{name}={value}" for name, value in values.items() if value),
                *(f"--py312-{name}" for name, is_set in flags.items() if is_set),
            ),
            archive=str(self._shared_archive or ""),
            known_findings=known_findings.read_text("utf-8") if known_findings and known_findings.exists() else "",
            cache=str(options.cache_folder) if local_workers else "",
            fleet=fleet if len(fleet) <= FLEET_LIMIT else "",
            jobs=options.jobs or (max(1, available_cores() // local_workers) if local_workers else 0),
        )

    def _jobs(self, tasks: Sequence[CheckTask]) -> list[PlacedJob]:
        """Return the jobs: one for each service, and one for what is measured of it."""
        weights: dict[str, int] = {}
        for item in weighed_items(tasks, self._durations, partial(count_test_files, Tree(self._plan.root))):
            weights[item.service] = weights.get(item.service, 0) + item.weight
        measured = sum(CheckTraits.of(task.check).comes_last for task in tasks)
        return [
            PlacedJob(
                job=ServiceJob(
                    run_id=self.run_id,
                    service=service,
                    items=tuple(task.key for task in own),
                    measures=measures,
                    measured_elsewhere=measured - len(own) if measures else 0,
                ),
                needs=needs_of(
                    self._plan, own[0].cell.service, [task.cell.interpreter for task in own if task.interpreter]
                ),
                weight=weights[service],
            )
            for (service, measures), own in grouped(tasks, _job_id).items()
        ]

    def run(self, task: CheckTask) -> CheckResult:
        """Return the result of ``task``, and wait for it if necessary; meanwhile, show the progress."""
        if task.cell.service.unread:
            return CheckResult(outcome=unread_outcome(task))
        dispatcher = self._dispatcher
        assert dispatcher is not None
        future = dispatcher.answer(_job_id(task))
        while True:
            self._flush()
            try:
                answer = future.result(timeout=WAIT_INTERVAL)
            except TimeoutError:
                continue
            self._flush()
            return self._result(task, answer)

    def finished(self, task: CheckTask) -> CheckResult | None:
        """Return the result of ``task`` if it is there already, though pytest has not asked for it."""
        if self._dispatcher is None or task.cell.service.unread:
            return None
        future = self._dispatcher.answer(_job_id(task))
        if not future.done() or future.cancelled():
            return None
        return self._result(task, future.result())

    def _result(self, task: CheckTask, answer: ServiceAnswer) -> CheckResult:
        job_id = _job_id(task)
        if job_id not in self._answers:
            self._answers[job_id] = answer
            for result in answer.results:
                outcome = result.outcome
                self._results[job_id, outcome.key] = result
        result_of_task = self._results.get((job_id, task.key))  # what another job says of it does not count
        if result_of_task is not None:
            return result_of_task
        reason = answer.failure or "the worker that checked its service has not answered it"
        return CheckResult(outcome=unfinished_outcome(task, reason))

    # -- progress

    def _notify(self, line: str) -> None:
        with self._lines_lock:
            self._lines.append(line)

    def _flush(self) -> None:
        with self._lines_lock:
            lines, self._lines = self._lines, []
        for line in lines:
            self._show(line)

    def close(self) -> None:
        """Cancel what still runs on the cluster, and close the connection. May be called twice."""
        if self._dispatcher is not None:
            self._dispatcher.close()
            self._dispatcher = None
        if self._shared_archive is not None:
            with suppress(OSError):  # a later run removes it
                self._shared_archive.unlink()
        super().close()


def _job_id(task: CheckTask) -> JobId:
    return task.cell.service.name, CheckTraits.of(task.check).comes_last
