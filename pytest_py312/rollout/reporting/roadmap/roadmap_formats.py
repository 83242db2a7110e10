"""The roadmap as Markdown and as a JSON document. Pure."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.readiness import BenchmarkRecord, ServiceVerdict
from pytest_py312.core.serialization import encode
from pytest_py312.core.text import (
    escape_markdown,
    escape_terminal,
    format_duration,
    list_names,
    markdown_table,
    pluralize,
)
from pytest_py312.rollout.reporting.roadmap.last_phase import LastPhase, ServiceLeftovers
from pytest_py312.rollout.reporting.roadmap.roadmap import Roadmap, RoadmapStage, StageStatus
from pytest_py312.rollout.reporting.roadmap.stage_dates import StageSchedule
from pytest_py312.rollout.reporting.roadmap.stage_readiness import NextStep

MAX_BLOCKERS = 5
"""Problems of a stage that are listed; the page of a run has all."""
MAX_PLACES = 5
MAX_BENCHMARKS = 10
DATE_TITLES = ("Stage", "Environment", "Planned start", "Planned end", "Started", "Accepted", "Late")
LEFTOVER_TITLES = ("Stage", "Services", "Declared", "Places in code", "It can go")


# ---- Markdown


def format_markdown(roadmap: Roadmap) -> str:
    """Format the roadmap as Markdown."""
    text = [f"# Roadmap to Python {roadmap.plan.target}", "", f"As of {roadmap.today.isoformat()}.", ""]
    text += [
        f"* {_escape(name)}: {roadmap.accepted(name)} of {pluralize(len(roadmap.stages), 'stage')} accepted. "
        f"Next: {_format_step(roadmap.next_step(name))}"
        for name in roadmap.environments
    ]
    text += [f"\n> {_escape(remark)}" for remark in roadmap.knowledge.remarks]
    titles = ["Stage", "Services", "Gate", "Soak", *map(_escape, roadmap.environments)]
    text += ["", *markdown_table(titles, [_stage_cells(roadmap, stage) for stage in roadmap.stages])]
    dates = [row for _, row in date_rows(roadmap)]
    if dates:
        text += ["", "## Dates", "", *markdown_table(DATE_TITLES, [[_escape(cell) for cell in row] for row in dates])]
    for stage in roadmap.stages:
        text += ["", f"## Stage {_escape(stage.title)}", "", *_stage_section(roadmap, stage)]
    text += ["", "## Verify and optimise", "", *_last_phase(roadmap.last_phase)]
    return "\n".join(text) + "\n"


def _stage_cells(roadmap: Roadmap, stage: RoadmapStage) -> list[str]:
    states = [
        _escape(status.state) + (f"<br>{_escape(status.detail)}" if status.detail else "")
        for status in roadmap.shown_statuses(stage)
    ]
    gate = _escape(stage.readiness.summary)
    return [_escape(stage.title), str(len(stage.services)), gate, format_duration(stage.soak), *states]


def _stage_section(roadmap: Roadmap, stage: RoadmapStage) -> list[str]:
    if not stage.services:
        return ["No service."]
    rows = [
        [
            _escape(service.name),
            _current_python(roadmap, service, stage.statuses),
            str(roadmap.plan.target),
            _escape(service_readiness(roadmap, service)),
            "critical" if service.critical else "",
            _escape(service.path),
        ]
        for service in stage.services
    ]
    text = markdown_table(["Service", "Python now", "to", "Gate", "", "Where"], rows)
    if stage.readiness.blockers:
        text += ["", "What blocks most:", ""]
        text += [f"* {_escape(sentence)}" for sentence in blocker_sentences(stage)]
    return text


def blocker_sentences(stage: RoadmapStage) -> list[str]:
    """Return what to fix in a stage, what frees the most services first."""
    blockers = stage.readiness.blockers
    sentences = []
    for blocker in blockers[:MAX_BLOCKERS]:
        freed = f", which frees {list_names(blocker.freed)}" if blocker.freed else ""
        sentences.append(f"{blocker.sentence}{freed}")
    hidden = len(blockers) - MAX_BLOCKERS
    return [*sentences, f"and {pluralize(hidden, 'more cause')}"] if hidden > 0 else sentences


def service_readiness(roadmap: Roadmap, service: Service) -> str:
    """Return what the gate found of a service, with the day of the run."""
    verdict = roadmap.knowledge.verdicts.get(service.name)
    if verdict is None:
        return "never checked"
    day = verdict.ended_at[:10]
    causes = verdict.service.causes
    subjects = list(dict.fromkeys(cause.subject if cause.about_projects else cause.code for cause in causes))
    if verdict.service.verdict is ServiceVerdict.BLOCKED and any(subjects):
        return f"blocked by {list_names([subject for subject in subjects if subject], 3)} ({day})"
    readiness = next(stage.readiness for stage in roadmap.stages if stage.stage.number == service.stage)
    again = ", to be checked again" if service.name in readiness.outdated else ""
    return f"{verdict.service.verdict.value} ({day}){again}"


def _current_python(roadmap: Roadmap, service: Service, statuses: Sequence[StageStatus]) -> str:
    """Return the version that its files declare, and the environments in which the target serves already."""
    moved = [_escape(status.environment) for status in statuses if status.is_completed]
    moved_text = f"{roadmap.plan.target} in {', '.join(moved)}; " if moved else ""
    return moved_text + (f"{service.baseline} in its files" if moved else str(service.baseline))


def date_rows(roadmap: Roadmap) -> list[tuple[StageSchedule, tuple[str, ...]]]:
    """Return each schedule of a stage that has dates, with its texts in the order of :data:`DATE_TITLES`."""
    return [
        (schedule, (stage.title, status.environment, *_date_texts(schedule, roadmap.today)))
        for stage in roadmap.stages
        for status in roadmap.shown_statuses(stage)
        if (schedule := status.schedule) is not None and (schedule.is_planned or schedule.timing.started)
    ]


def _date_texts(schedule: StageSchedule, today: date) -> tuple[str, ...]:
    days = (schedule.planned.start, schedule.planned.end, schedule.timing.started)
    start, end, started = (day.isoformat() if day else "" for day in days)
    attempts = f" ({schedule.timing.attempts} attempts)" if schedule.timing.attempts > 1 else ""
    return start, end, started + attempts, schedule.end_text, schedule.late_text(today)


def _last_phase(phase: LastPhase) -> list[str]:
    text = ["### Waivers", ""]
    text += [f"* {'**soon** ' if end.is_soon else ''}{_escape(end.sentence)}" for end in phase.waivers]
    text += [] if phase.waivers else ["None."]
    text += ["", "### Code for older Pythons", "", leftover_summary(phase)]
    if phase.leftovers:
        text += ["", *markdown_table(LEFTOVER_TITLES, [[*map(_escape, row)] for row in leftover_rows(phase)])]
        places = phase.needless_places
        text += [""] if places else []
        text += [f"* {_escape(f'{place.location}: {place.reason}')}" for place in places[:MAX_PLACES]]
        text += [f"* and {len(places) - MAX_PLACES} more"] if len(places) > MAX_PLACES else []
    text += ["", "### Benchmarks", "", benchmark_summary(phase)]
    text += ["", *(f"* {_escape(sentence)}" for sentence in benchmark_sentences(phase))] if phase.slower else []
    return text


def leftover_summary(phase: LastPhase) -> str:
    """Return how many services keep code for older Pythons, and whether it can go, as Markdown."""
    if not phase.leftovers:
        return "None was found."
    free, number = sum(item.can_go for item in phase.leftovers), len(phase.leftovers)
    kept = f"{pluralize(number, 'service')} {'has' if number == 1 else 'have'} code or declarations for older Pythons."
    if not free:
        return f"{kept} It has to stay while a stage may be rolled back: until all environments have accepted it."
    return (
        f"{kept} It can go now in {free} of them: `pytest --py312 --py312-drop-old-versions --py312-diff` proposes "
        "the declarations."
    )


def leftover_rows(phase: LastPhase) -> list[tuple[str, ...]]:
    """Return what the services of each stage keep, in the order of :data:`LEFTOVER_TITLES`."""
    stages: dict[int, list[ServiceLeftovers]] = {}
    for item in phase.leftovers:
        stages.setdefault(item.stage, []).append(item)
    rows: list[tuple[str, ...]] = []
    for number, items in sorted(stages.items()):
        older = sorted({version for item in items for version in item.older})
        missing = list(dict.fromkeys(name for item in items for name in item.missing))
        when = f"when {list_names(missing)} {'has' if len(missing) == 1 else 'have'} accepted it" if missing else "now"
        places = sum(len(item.places) for item in items)
        rows.append((str(number), str(len(items)), list_names([*map(str, older)]), str(places), when))
    return rows


def benchmark_summary(phase: LastPhase) -> str:
    """Return what the last benchmarks showed."""
    if not phase.measured:
        return "None was measured: `pytest --py312 --py312-benchmark` compares the target with the current Python."
    return (
        f"{pluralize(phase.measured, 'benchmark')} measured: {len(phase.slower)} slower and {len(phase.faster)} faster "
        "on the target."
    )


def benchmark_sentences(phase: LastPhase) -> list[str]:
    """Return the slowest benchmarks."""
    return [_benchmark_sentence(one) for one in phase.slower[:MAX_BENCHMARKS]]


def _benchmark_sentence(one: BenchmarkRecord) -> str:
    return f"{one.service}: {one.name} ({one.kind}) takes {one.ratio:.2f} times as much"


def _format_step(step: NextStep) -> str:
    text = ": ".join(filter(None, [f"`{step.command}`" if step.command else "", _escape(step.why)]))
    return text if text.endswith(".") else f"{text}."


def _escape(text: str) -> str:
    return escape_markdown(escape_terminal(text))


# ---- JSON


def to_document(roadmap: Roadmap) -> dict[str, Any]:
    """Return the roadmap as a JSON document."""
    return {
        "schema": 1,
        "target": str(roadmap.plan.target),
        "date": roadmap.today.isoformat(),
        "remarks": list(roadmap.knowledge.remarks),
        "environments": [
            {"name": name, "accepted": roadmap.accepted(name), "next": encode(roadmap.next_step(name))}
            for name in roadmap.environments
        ],
        "stages": [_stage_document(roadmap, stage) for stage in roadmap.stages],
        "verify": _last_phase_document(roadmap.last_phase),
    }


def _stage_document(roadmap: Roadmap, stage: RoadmapStage) -> dict[str, Any]:
    statuses = roadmap.shown_statuses(stage)
    return {
        "stage": stage.stage.number,
        "name": stage.stage.name,
        "soak": stage.soak,
        "services": [_service_document(roadmap, service) for service in stage.services],
        "readiness": _readiness_document(stage),
        "states": {status.environment: status.state for status in statuses},
        "dates": {status.environment: _dates_document(roadmap, status) for status in statuses},
    }


def _service_document(roadmap: Roadmap, service: Service) -> dict[str, Any]:
    verdict = roadmap.knowledge.verdicts.get(service.name)
    return {
        "service": service.name,
        "path": service.path,
        "baseline": str(service.baseline),
        "critical": service.critical,
        "verdict": verdict.service.verdict.value if verdict else None,
        "checked": verdict.ended_at if verdict else None,
        "commit": verdict.checkout.commit if verdict else None,
    }


def _readiness_document(stage: RoadmapStage) -> dict[str, Any]:
    readiness = stage.readiness
    return {
        "proven": readiness.is_proven,
        "ready": list(readiness.ready),
        "check_again": list(readiness.outdated),
        "blocked": list(readiness.blocked),
        "not_checked": [name for name, _ in readiness.unchecked],
        "never_checked": list(readiness.unknown),
        "blockers": [
            {
                "subject": blocker.subject,
                "code": blocker.code,
                "services": list(blocker.services),
                "freed": list(blocker.freed),
                "remedies": list(blocker.remedies),
            }
            for blocker in readiness.blockers
        ],
    }


def _dates_document(roadmap: Roadmap, status: StageStatus) -> dict[str, Any] | None:
    schedule = status.schedule
    if schedule is None:
        return None
    return {
        "planned_start": encode(schedule.planned.start),
        "planned_end": encode(schedule.planned.end),
        "attempts": schedule.timing.attempts,
        "started": encode(schedule.timing.started),
        "accepted": encode(schedule.timing.accepted),
        "earliest_end": encode(schedule.earliest_end),
        "late_days": schedule.late_days(roadmap.today),
    }


def _last_phase_document(phase: LastPhase) -> dict[str, Any]:
    return {
        "waivers": [
            {
                "service": end.waiver.service,
                "subject": end.waiver.code or end.waiver.test,
                "owner": end.waiver.owner,
                "until": end.waiver.until.isoformat(),
                "days": end.days,
            }
            for end in phase.waivers
        ],
        "leftovers": [
            {
                "service": item.service,
                "can_go": item.can_go,
                "missing": list(item.missing),
                "older": [str(version) for version in item.older],
                "places": [
                    {"path": place.location.path, "line": place.location.line, "reason": place.reason}
                    for place in item.places
                ],
            }
            for item in phase.leftovers
        ],
        "benchmarks": {
            "measured": phase.measured,
            "slower": [encode(one) for one in phase.slower],
            "faster": [encode(one) for one in phase.faster],
        },
    }
