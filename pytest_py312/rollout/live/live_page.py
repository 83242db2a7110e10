"""The page at ``/`` while a stage is monitored, made for a phone. It has no script and reloads itself."""

from collections.abc import Callable, Mapping
from typing import Any

from pytest_py312.core.html_page import render_page
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.text import format_duration
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.canary_analysis.soak_status import SoakStatus, format_credit
from pytest_py312.rollout.canary_analysis.time_series import ServiceMetrics
from pytest_py312.rollout.domain.acceptance import describe_acceptance
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import MONITORED, StageRun
from pytest_py312.rollout.execution.watcher import Watcher
from pytest_py312.rollout.live.live_view import LiveView, build_view
from pytest_py312.rollout.reporting.evidence_bundle import STYLE, TEMPLATE_FOLDER
from pytest_py312.rollout.reporting.roadmap.roadmap import RoadmapStage, build_roadmap

MIN_REFRESH, MAX_REFRESH = 5, 30
"""Seconds between two reloads of the page."""


class LivePage:
    """Renderer of the page of one watcher. ``status_of`` returns the soak status of a run."""

    def __init__(
        self,
        watcher: Watcher,
        journal: Journal,
        plan: Plan,
        fleet: Fleet,
        settings: RolloutSettings,
        status_of: Callable[[StageRun], SoakStatus | None],
    ) -> None:
        self._watcher = watcher
        self._journal = journal
        self._plan = plan
        self._fleet = fleet
        self._settings = settings
        self._status_of = status_of

    def view(self) -> LiveView:
        """Return the view, which the terminal shows as well."""
        soak = self._watcher.soak
        progress = soak.snapshot()
        metrics_by_service = {
            name: soak.metrics_by_service.get(name) or ServiceMetrics() for name in progress.run.services
        }
        return build_view(progress, soak.credited, metrics_by_service, self._journal.history(progress.run.run))

    def render(self) -> str:
        """Render the page as of now."""
        view = self.view()
        run = view.progress.run
        runs = self._journal.current_runs(run.environment)
        statuses = {stage_run.run: self._status_of(stage_run) for stage_run in runs}
        lines = build_roadmap(self._plan, self._fleet, self._settings, [run.environment], runs, statuses)
        interval = self._settings.soak_settings_for(stage=run.stage).interval
        return live_page(
            view=view,
            run=run,
            refresh=round(min(max(interval / 4, MIN_REFRESH), MAX_REFRESH)),
            acceptance=[describe_acceptance(result) for result in run.acceptance_results],
            stages=[_stage_row(line, statuses, view) for line in lines],
            left=format_duration(view.remaining),
            credited=format_duration(min(view.credited, view.progress.run.soak)),
            wanted=format_duration(run.soak),
            next_in=format_duration(view.progress.seconds_to_next) if view.progress.seconds_to_next else "",
        )


def _stage_row(line: RoadmapStage, statuses: Mapping[str, SoakStatus | None], view: LiveView) -> dict[str, object]:
    """Return a row of the table of stages; ``share`` is the credited part of the soak, from 0 to 1."""
    (stage_status,) = line.statuses
    run = stage_status.run
    is_watched = run is not None and run.run == view.progress.run.run
    run = view.progress.run if is_watched else run
    credited = view.credited if is_watched else run.credited if run else 0.0
    is_soaking = run is not None and run.state in MONITORED
    return {
        "number": line.stage.number,
        "name": line.stage.name,
        "services": [service.name for service in line.services],
        "state": stage_status.state if not is_watched or run is None else run.state.value,
        "watched": is_watched,
        "credited": format_credit(credited, run.soak) if run is not None and is_soaking else "",
        "share": min(1.0, credited / run.soak) if run is not None and is_soaking and run.soak else 0.0,
        "detail": "" if is_watched else stage_status.detail,
    }


def live_page(**facts: Any) -> str:
    """Render the page of a monitored stage."""
    return render_page(TEMPLATE_FOLDER / "live.html.j2", STYLE, **facts)
