"""The page at ``/`` while a stage is watched: for a telephone in a pocket. It has no script and loads itself anew."""

from collections.abc import Callable, Mapping

from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.canary_analysis.soak_status import Standing, spelled
from pytest_py312.rollout.canary_analysis.time_series import Tally
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.execution.watcher import Watcher
from pytest_py312.rollout.live.live_view import LiveView, view_of
from pytest_py312.rollout.reporting.html import live_page
from pytest_py312.rollout.reporting.roadmap import StageLine, lines_of

SHORTEST, LONGEST = 5, 30
"""Seconds between two loads of the page."""


class LivePage:
    """Makes the page, of one watcher. ``stood`` says how a run stands."""

    def __init__(
        self,
        watcher: Watcher,
        journal: Journal,
        plan: Plan,
        fleet: Fleet,
        settings: RolloutSettings,
        stood: Callable[[StageRun], Standing | None],
    ) -> None:
        self._watcher = watcher
        self._journal = journal
        self._plan = plan
        self._fleet = fleet
        self._settings = settings
        self._stood = stood

    def view(self) -> LiveView:
        """What a terminal shows as well."""
        soak = self._watcher.soak
        progress = soak.progress()
        tallies = {name: soak.tallies.get(name) or Tally() for name in progress.run.services}
        return view_of(progress, soak.credited, tallies, self._journal.history(progress.run.run))

    def text(self) -> str:
        """The page as it is now."""
        view = self.view()
        run = view.progress.run
        runs = self._journal.newest(run.environment)
        standings = {one.run: self._stood(one) for one in runs}
        lines = lines_of(self._plan, self._fleet, self._settings, [run.environment], runs, standings)
        interval = self._settings.soak_of(stage=run.stage).interval
        return live_page(
            view=view,
            run=run,
            refresh=round(min(max(interval / 4, SHORTEST), LONGEST)),
            stages=[_stage(line, standings, view) for line in lines],
            left=spelled(view.left),
            credited=spelled(view.credited),
            wanted=spelled(run.soak),
            next_in=spelled(view.progress.next_in) if view.progress.next_in else "",
        )


def _stage(line: StageLine, standings: Mapping[str, Standing | None], view: LiveView) -> dict[str, object]:
    """A row of the table of stages; ``share`` is how much of a soak is credited, from 0 to 1."""
    (place,) = line.places
    run = place.run
    watched = run is not None and run.run == view.progress.run.run
    run = view.progress.run if watched else run
    credited = view.credited if watched else run.credited if run else 0.0
    is_soaking = run is not None and run.state in (StageState.SOAKING, StageState.SOAKED, StageState.HELD)
    return {
        "number": line.stage.number,
        "name": line.stage.name,
        "services": [service.name for service in line.services],
        "state": place.state if not watched or run is None else run.state.value,
        "watched": watched,
        "credited": f"{spelled(credited)} of {spelled(run.soak)}" if run is not None and is_soaking else "",
        "share": min(1.0, credited / run.soak) if run is not None and is_soaking and run.soak else 0.0,
        "told": "" if watched else place.told,
    }
