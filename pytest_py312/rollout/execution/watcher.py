"""A stage that is up, watched by this process: its samples, who is told of what becomes of it, and its way back."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings, RolloutSettings
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.monitoring.probe_plan import watched_of
from pytest_py312.rollout.monitoring.soak import Progress, Soak
from pytest_py312.rollout.reporting.notifications import Notifier, notice_of
from pytest_py312.rollout.reporting.prometheus_metrics import StageFigures, figures_of, text_of, write_textfile
from pytest_py312.rollout.targets.target import Target


class Teller:
    """Tells people and a Prometheus; what cannot be told is said here and written down, and changes nothing."""

    def __init__(self, journal: Journal, where: EnvironmentSettings, told: Callable[[str], None]) -> None:
        self.told = told
        self._journal = journal
        self._where = where
        self._notifier = Notifier(webhooks=where.webhooks, commands=where.notify)

    async def changed(self, before: StageRun, after: StageRun) -> None:
        """A run went from one state to another."""
        notice = notice_of(before, after)
        self.told(notice.text if notice else f"stage {after.stage} is {after.state.value}")
        for trouble in await self._notifier.tell(notice) if notice else []:
            self.told(trouble)
            self._journal.note(after.run, f"could not be told: {trouble}")

    def write(self, figures: list[StageFigures]) -> None:
        """The textfile, where there is to be one."""
        if not self._where.textfile:
            return
        try:
            write_textfile(Path(self._where.textfile), figures)
        except OSError as error:
            self.told(f"{self._where.textfile} could not be written: {error}")


class Watcher:
    """Watches one run, which it holds from the beginning.

    ``soak`` takes the samples; when it has come to an end, or somebody has ended it, :meth:`ended` does what is left.

    :raises RolloutRefused: a living process watches it, or something of it cannot be watched.
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
        told: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self._journal = journal
        self._driver = driver
        self.watched = watched_of(run, services, settings, target, root=root)
        driver.attach(run.run)
        self.teller = Teller(journal, settings.environment(run.environment), told)
        self.soak = Soak(
            journal,
            run.run,
            self.watched,
            settings.soak_of(stage=run.stage),
            owner=driver.owner,
            changed=self.teller.changed,
        )

    def figures(self, progress: Progress) -> list[StageFigures]:
        """The figures of all stages of the environment, with the measurements of the one that is watched."""
        found = []
        for run in self._journal.newest(progress.run.environment):
            history = self._journal.history(run.run)
            if run.run != progress.run.run:
                found.append(figures_of(run, history))
                continue
            found.append(
                figures_of(
                    run,
                    history,
                    tallies=self.soak.tallies,
                    interval=self.settings.soak_of(stage=run.stage).interval,
                    missed=progress.missed,
                    untold=len(progress.untold),
                )
            )
        return found

    def text(self) -> bytes:
        """What a Prometheus fetches."""
        return text_of(self.figures(self.soak.progress()))

    def ended(self, progress: Progress) -> Progress:
        """Bring back what has to go back, let go of what is over, and write the textfile."""
        run = progress.run
        if run.state is StageState.ROLLING_BACK:
            run = self._brought_back(run)
        self._driver.detach(run.run)
        progress = replace(progress, run=run)
        self.teller.write(self.figures(progress))
        return progress

    def _brought_back(self, run: StageRun) -> StageRun:
        """The way back is the driver's, and is told like all else."""
        done = next((one for one in self._driver.recover(run.environment) if one.run == run.run), run)
        asyncio.run(self.teller.changed(run, done))
        return done
