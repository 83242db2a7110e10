"""``py312 roadmap``: the whole migration, with what the gate found, the dates, and what is left at the end."""

import argparse
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from pytest_py312.cli.common import chosen_format, log
from pytest_py312.cli.overview.history_commands import read_records
from pytest_py312.cli.rollout_commands import current_status
from pytest_py312.cli.rollout_common import CommandOutput, json_output, print_or_write
from pytest_py312.core import clock
from pytest_py312.core.errors import StateError
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.readiness import GateKnowledge, RunRecord
from pytest_py312.gate.history.latest_verdicts import gate_knowledge, newest_first, stored_records
from pytest_py312.repository.checkout import has_same_files, read_checkout
from pytest_py312.repository.tree import Tree
from pytest_py312.rollout.canary_analysis.soak_status import SoakStatus
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.reporting.roadmap.last_phase import collect_leftovers, last_phase, waiver_ends
from pytest_py312.rollout.reporting.roadmap.roadmap import Roadmap, RoadmapStage, build_roadmap, ordered_environments
from pytest_py312.rollout.reporting.roadmap.roadmap_formats import format_markdown, to_document
from pytest_py312.rollout.reporting.roadmap.stage_dates import StageSchedule, StageTiming, earliest_end, read_timing

_ENDINGS = {"md": (".md",), "html": (".html", ".htm"), "json": (".json",)}
_COMMIT = re.compile("[0-9a-f]{7,64}", re.ASCII)
"""A commit in a report: it is handed to git."""
_StageKey = tuple[str, int]
"""Environment and stage."""


def roadmap(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Print all stages: readiness, dates, state and next step in each environment."""
    report_format = "json" if options.json else chosen_format(options.format, options.output, _ENDINGS)
    return print_or_write(_format(_build(options, context), report_format), options.output)


def _format(shown: Roadmap, report_format: str) -> str:
    if report_format == "json":
        return json_output(to_document(shown))[0]
    if report_format == "html":
        from pytest_py312.rollout.reporting.roadmap.roadmap_page import format_html

        return format_html(shown)
    return format_markdown(shown)


def _build(options: argparse.Namespace, context: RolloutContext) -> Roadmap:
    settings, fleet, today = context.settings(), context.fleet(), clock.today()
    recorded = _read_journal(context)
    runs = recorded.runs
    chosen = [options.env] if options.env else ordered_environments(settings, runs)
    # also the environments before the requested one, because it may have to wait for them
    environments = list(dict.fromkeys([*chosen, *ordered_environments(settings, runs)]))
    knowledge = _read_knowledge(options.report, context, fleet)
    stages = build_roadmap(
        context.plan,
        fleet,
        settings,
        environments,
        runs,
        recorded.statuses,
        knowledge=knowledge,
        schedules=_schedules(context, environments, recorded),
    )
    leftovers = collect_leftovers(
        fleet.services, Tree(context.plan.root), context.plan.target, _missing_environments(stages)
    )
    return Roadmap(
        plan=context.plan,
        today=today,
        stages=tuple(stages),
        environments=tuple(chosen),
        after={environment.name: environment.after for environment in settings.environments},
        knowledge=knowledge,
        last_phase=last_phase(waiver_ends(context.plan.waivers, today), leftovers, knowledge.benchmarks),
    )


def _missing_environments(stages: Sequence[RoadmapStage]) -> dict[str, tuple[str, ...]]:
    """Return the environments that have not accepted a service, by its name."""
    return {
        service.name: tuple(status.environment for status in stage.statuses if not status.is_completed)
        for stage in stages
        for service in stage.services
    }


# ---- what the gate found


def _read_knowledge(reports: Sequence[str], context: RolloutContext, fleet: Fleet) -> GateKnowledge:
    """Return what the reports show, or the stored runs if there are none; damaged stored runs are a remark."""
    root = context.plan.root
    checkout = read_checkout(root, os.environ)

    def knowledge(records: Iterable[RunRecord]) -> GateKnowledge:
        names = [service.name for service in fleet.services]
        return gate_knowledge(
            records,
            names,
            str(context.plan.target),
            checkout,
            lambda commit: bool(_COMMIT.fullmatch(commit)) and has_same_files(root, commit),
        )

    if reports:
        return knowledge(newest_first(read_records(reports)))
    try:
        return knowledge(stored_records(context.state_dir))
    except StateError as error:
        log(f"py312: {error}")
        remark = "The stored runs of the gate cannot be read, so nothing counts as proven."
        return replace(knowledge([]), remarks=(remark,))


# ---- what the journal has recorded


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recorded:
    """The newest run of each stage in each environment, its soak status by name, and its dates."""

    runs: list[StageRun] = field(default_factory=list)
    statuses: Mapping[str, SoakStatus | None] = field(default_factory=dict)
    timings: Mapping[_StageKey, StageTiming] = field(default_factory=dict)


def _read_journal(context: RolloutContext) -> _Recorded:
    """Return what the journal has recorded; nothing if there is none."""
    if not context.has_journal:
        return _Recorded()
    with closing(Journal(context.state_dir)) as journal:
        runs = journal.current_runs()
        return _Recorded(
            runs=runs,
            statuses={run.run: current_status(context, journal, run) for run in runs},
            timings={(run.environment, run.stage): read_timing(journal, run.environment, run.stage) for run in runs},
        )


def _schedules(
    context: RolloutContext, environments: Sequence[str], recorded: _Recorded
) -> dict[_StageKey, StageSchedule]:
    """Return the planned and actual dates of each stage in each environment."""
    left = {
        (run.environment, run.stage): status.left
        for run in recorded.runs
        if not run.is_drill and (status := recorded.statuses.get(run.run)) is not None
    }
    now = clock.timestamp()
    return {
        (name, stage.number): StageSchedule(
            planned=stage.dates_in(name),
            timing=recorded.timings.get((name, stage.number), StageTiming()),
            earliest_end=earliest_end(left[name, stage.number], now) if (name, stage.number) in left else None,
        )
        for stage in context.plan.stages
        for name in environments
    }
