"""Monitor a stage in this process: take its samples, report changes of its state, and roll it back."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_py312.core.database import DiskFull
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings, RolloutSettings
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.events import AcceptanceTested
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import AcceptancePhase, StageRun, StageState
from pytest_py312.rollout.execution.acceptance_runner import AcceptanceRunner
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.probe_plan import monitored_services
from pytest_py312.rollout.monitoring.soak import SoakMonitor, SoakSnapshot
from pytest_py312.rollout.reporting.notifications import Notice, Notifier, notice_for_change, notice_for_storage
from pytest_py312.rollout.reporting.prometheus_metrics import StageMetrics, render_metrics, write_textfile
from pytest_py312.rollout.targets.target import Target


class StateReporter:
    """Reporter of changes to people, and of metrics to a Prometheus.

    A failure is logged; one of a notification is also recorded in the journal. It changes nothing else.
    """

    def __init__(self, journal: Journal, environment: EnvironmentSettings, log: Callable[[str], None]) -> None:
        self.log = log
        self._journal = journal
        self._environment = environment
        self._notifier = Notifier(environment=environment)

    async def report_change(self, previous: StageRun, current: StageRun) -> None:
        """Report that the state of a run has changed."""
        notice = notice_for_change(previous, current)
        self.log(notice.text if notice else f"stage {current.stage} is {current.state.value}")
        if notice:
            await self._send(notice)

    async def report_storage(self, run: StageRun, problem: str) -> None:
        """Report that samples of a run cannot be stored or, without a problem, that they can be again."""
        notice = notice_for_storage(run, problem)
        self.log(notice.text)
        await self._send(notice)

    async def _send(self, notice: Notice) -> None:
        for failure in await self._notifier.send(notice):
            self.log(failure)
            self._journal.add_note(notice.run, f"notification failed: {failure}")

    def write_metrics(self, stage_metrics: list[StageMetrics]) -> None:
        """Write the node-exporter textfile if the environment has one."""
        if not self._environment.textfile:
            return
        try:
            write_textfile(Path(self._environment.textfile), stage_metrics)
        except OSError as error:
            self.log(f"{self._environment.textfile} could not be written: {error}")


class Watcher:
    """Monitor of one run, of which it becomes the owner when created.

    ``soak`` takes the samples; when it is over or was stopped, :meth:`finish` does the rest.

    :raises RolloutRefused: a living process monitors it, or something of it cannot be monitored.
    :raises DiskFull: no sample could be stored; that is reported like a change of state.
    """

    def __init__(
        self,
        journal: Journal,
        driver: Driver,
        target: Target,
        run: StageRun,
        *,
        settings: RolloutSettings,
        services: Mapping[str, Service],
        root: Path,
        log: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self._journal = journal
        self._driver = driver
        self.monitored = monitored_services(run, services, settings, target, root=root)
        self._acceptance = AcceptanceRunner(settings=settings, services=services, root=root)
        self.reporter = StateReporter(journal, settings.environment_settings(run.environment), log)
        try:
            driver.attach(run.run)
        except DiskFull as error:
            asyncio.run(self.reporter.report_storage(run, str(error)))
            raise
        self.soak = SoakMonitor(
            journal,
            run.run,
            self.monitored,
            settings.soak_settings_for(stage=run.stage),
            owner=driver.owner,
            on_state_change=self.reporter.report_change,
            on_storage_problem=self.reporter.report_storage,
            run_acceptance_tests=self._run_acceptance_tests,
        )

    def monitored_service(self, service: str) -> MonitoredService:
        """Return a service of the stage with its probes."""
        return next(monitored for monitored in self.monitored if monitored.service == service)

    async def _run_acceptance_tests(self, run: StageRun, name: str) -> AcceptanceTested:
        """Run acceptance tests at the end of the soak. They end with the task that awaits this."""
        cancelled = threading.Event()
        test = partial(self._acceptance.test, run, name, AcceptancePhase.END, cancelled)
        self.reporter.log(f"stage {run.stage}: the acceptance tests {name} are running")
        try:
            return await asyncio.to_thread(test, verify=lambda: self._find_other_version(run))
        finally:
            cancelled.set()

    def _find_other_version(self, run: StageRun) -> str:
        """Return why what serves is not the deployed stage; no sample is taken while its tests run."""
        problems = {service: self._driver.verify(run.run, service) for service in run.services}
        return "; ".join(f"{service}: {problem}" for service, problem in problems.items() if problem)

    def stage_metrics(self, snapshot: SoakSnapshot) -> list[StageMetrics]:
        """Return the metrics of all stages of the environment, with the measurements of the monitored one."""
        stage_metrics = []
        for run in self._journal.current_runs(snapshot.run.environment):
            metrics = StageMetrics(run=run, history=self._journal.history(run.run))
            if run.run == snapshot.run.run:
                metrics = replace(
                    metrics,
                    metrics_by_service=self.soak.metrics_by_service,
                    interval=self.settings.soak_settings_for(stage=run.stage).interval,
                    missed=snapshot.missed,
                    inconclusive=len(snapshot.inconclusive_reasons),
                )
            stage_metrics.append(metrics)
        return stage_metrics

    def metrics_text(self) -> bytes:
        """Return the metrics for ``/metrics``."""
        return render_metrics(self.stage_metrics(self.soak.snapshot()))

    def finish(self, snapshot: SoakSnapshot) -> SoakSnapshot:
        """Roll back if necessary, release the lock of a finished run, and write the textfile."""
        run = snapshot.run
        if run.state is StageState.ROLLING_BACK:
            run = self._roll_back(run)
        self._driver.detach(run.run)
        snapshot = replace(snapshot, run=run)
        self.reporter.write_metrics(self.stage_metrics(snapshot))
        return snapshot

    def _roll_back(self, run: StageRun) -> StageRun:
        """Let the driver roll back, and report that like any other change."""
        rolled_back = next(
            (candidate for candidate in self._driver.recover(run.environment) if candidate.run == run.run), run
        )
        asyncio.run(self.reporter.report_change(run, rolled_back))
        return rolled_back


def make_watcher(
    context: RolloutContext, journal: Journal, driver: Driver, target: Target, run: StageRun, settings: RolloutSettings
) -> Watcher:
    """Return the monitor of a run of the plan; raises as :class:`Watcher` does."""
    return Watcher(
        journal,
        driver,
        target,
        run,
        settings=settings,
        services=context.services(),
        root=context.plan.root,
        log=context.log,
    )
