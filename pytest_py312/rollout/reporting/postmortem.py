"""The draft of an analysis after a rollback, with all that the journal knows. Pure.

What the journal cannot know, such as what users noticed, is left open and marked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pytest_py312 import __version__
from pytest_py312.core.serialization import encode
from pytest_py312.core.text import escape_markdown, escape_terminal, format_duration, list_names, markdown_table
from pytest_py312.rollout.domain.events import (
    Breached,
    DeployFailed,
    Drifted,
    Locked,
    Restored,
    RestoreFailed,
    RollbackRequested,
    Switched,
    breach_in,
)
from pytest_py312.rollout.domain.model import AcceptancePhase, Breach, Deployment, StageRun
from pytest_py312.rollout.domain.run_history import JournalEntry
from pytest_py312.rollout.reporting.event_texts import TimelineLine, timeline_of

TO_FILL_IN = "_To fill in._"


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleCount:
    """Samples of a service in a run: how many were taken, how many of them were not good, how many are missing."""

    taken: int
    bad: int
    missing: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RollbackFacts:
    """What is known of a run that was rolled back.

    ``begun`` and the times of entries are in RFC 3339, UTC. ``relying`` are the services that need a service or call
    it, ``critical`` the critical ones; both are as in the plan now. ``gate`` says what the gate had found of a service.
    """

    run: StageRun
    begun: str
    initial: StageRun
    """The run as it began."""
    history: Sequence[JournalEntry]
    samples: Mapping[str, SampleCount]
    stage_name: str = ""
    relying: Mapping[str, Sequence[str]]
    critical: Sequence[str] = ()
    gate: Mapping[str, str]
    attempts: int = 1
    """Number of attempts at the stage in this environment so far, drills apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RollbackTimes:
    """When what happened; empty if it did not, or is not recorded."""

    switched: str = ""
    """The first service was switched to the new version."""
    detected: str = ""
    """The first problem was recorded."""
    requested: str = ""
    restored: str = ""
    """The last service was restored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A problem that the journal has recorded."""

    at: str
    service: str
    what: str
    detail: str


def rollback_times(facts: RollbackFacts) -> RollbackTimes:
    """Return the times of the turning points."""
    entries = facts.history
    problems = list(problems_of(facts))
    restored = [entry.at for entry in entries if isinstance(entry.content, Restored)]
    return RollbackTimes(
        switched=_first_at(entries, Switched),
        detected=problems[0].at if problems else "",
        requested=_first_at(entries, RollbackRequested),
        restored=restored[-1] if restored else "",
    )


def _first_at(entries: Iterable[JournalEntry], kind: type[Any]) -> str:
    return next((entry.at for entry in entries if isinstance(entry.content, kind)), "")


def problems_of(facts: RollbackFacts) -> Iterator[Problem]:
    """Yield what went wrong, in order."""
    for entry in facts.history:
        event = entry.content
        breach = breach_in(event)
        if breach is not None:
            yield Problem(at=entry.at, service=breach.service, what=_breach_kind(breach), detail=breach.detail)
        elif isinstance(event, Drifted):
            yield Problem(at=entry.at, service=event.service, what="something else serves", detail=event.detail)
        elif isinstance(event, DeployFailed):
            yield Problem(at=entry.at, service=event.service, what="deployment failed", detail=event.reason)
        elif isinstance(event, RestoreFailed):
            yield Problem(at=entry.at, service=event.service, what="rollback failed", detail=event.reason)


def _breach_kind(breach: Breach) -> str:
    return f"{breach.metric} ({breach.severity.value})"


# ---- the document


def format_markdown(facts: RollbackFacts) -> str:
    """Return the draft as Markdown."""
    run = facts.run
    name = f" ({_escape(facts.stage_name)})" if facts.stage_name else ""
    text = [
        f"# Rollback of stage {run.stage}{name} in {_escape(run.environment)}",
        "",
        "Draft of `py312 postmortem`, from the journal. All times are in UTC. What the journal does not know is "
        f"marked: {TO_FILL_IN}",
    ]
    for title, lines in (
        ("Summary", _summary(facts)),
        ("What was seen", _seen(facts)),
        ("Timeline", _timeline(facts)),
        ("Blast radius", _blast_radius(facts)),
        ("Versions", _versions(facts)),
        ("Open questions", [f"* {_escape(question)}" for question in open_questions(facts)]),
        ("Actions", markdown_table(["Action", "Owner", "Until"], [[" "] * 3])),
    ):
        text += ["", f"## {title}", "", *lines]
    return "\n".join(text) + "\n"


def _summary(facts: RollbackFacts) -> list[str]:
    run, times = facts.run, rollback_times(facts)
    contents = (entry.content for entry in facts.history)
    started_by = next((event.by for event in contents if isinstance(event, Locked) and event.by), "")
    rows = [
        ("Outcome", run.described_state),
        ("Attempt", f"{facts.attempts}, run {run.run}"),
        ("Started", f"{_time(facts.begun)}{f' by {started_by}' if started_by else ''}"),
        ("Target", f"Python {run.target}"),
        ("New version serves", _serving_text(times)),
        ("Detected", _after(times.detected, times.switched or facts.begun, "after the first switch")),
        ("Rolled back", _rolled_back_text(times)),
        ("Soak", f"{format_duration(run.credited)} of {format_duration(run.soak)} credited"),
    ]
    table = markdown_table(["", ""], [[title, _escape(text) or "not recorded"] for title, text in rows])
    return [*table, "", f"What users noticed: {TO_FILL_IN}"]


def _serving_text(times: RollbackTimes) -> str:
    if not times.switched:
        return "never: nothing was switched"
    if not times.restored:
        return f"since {_time(times.switched)}: no restored service is recorded"
    return f"{_time(times.switched)} to {_time(times.restored)} ({_elapsed(times.switched, times.restored)})"


def _rolled_back_text(times: RollbackTimes) -> str:
    if times.requested:
        return _after(times.restored, times.requested, "after it was requested")
    return _after(times.restored, times.detected, "after the problem was recorded")


def _after(at: str, start: str, what: str) -> str:
    return f"{_time(at)}, {_elapsed(start, at)} {what}" if at and start else _time(at)


def _seen(facts: RollbackFacts) -> list[str]:
    problems = list(problems_of(facts))
    if not problems:
        return [f"The journal has no problem: {_escape(_reason_of_request(facts))}. What was seen: {TO_FILL_IN}"]
    rows = [[_time(item.at), *map(_escape, (item.service, item.what, item.detail))] for item in problems]
    return markdown_table(["Time", "Service", "What", "Evidence"], rows)


def _reason_of_request(facts: RollbackFacts) -> str:
    for entry in facts.history:
        if isinstance(entry.content, RollbackRequested):
            by = f" by {entry.content.by}" if entry.content.by else ""
            return f"the rollback was requested{by}, with the reason: {entry.content.reason or 'none'}"
    return facts.run.reason or "it was not requested by a person either"


def _timeline(facts: RollbackFacts) -> list[str]:
    lines = [TimelineLine(at=facts.begun, text="the run began"), *timeline_of(facts.initial, facts.history)]
    return markdown_table(["Time", "What"], [[_time(line.at), _escape(line.text)] for line in lines])


def _blast_radius(facts: RollbackFacts) -> list[str]:
    rows = [_blast_row(facts, deployment) for deployment in facts.run.deployments]
    titles = ["Service", "Critical", "New version", "Rolled back", "Samples", "Services that rely on it"]
    return [*markdown_table(titles, rows), "", f"Requests, data and users that were affected: {TO_FILL_IN}"]


def _blast_row(facts: RollbackFacts, deployment: Deployment) -> list[str]:
    name = deployment.service
    count = facts.samples.get(name)
    samples = f"{count.taken} taken, {count.bad} not good" if count and count.taken else "none"
    relying = facts.relying.get(name, ())
    cells = (
        name,
        "yes" if name in facts.critical else "no",
        _new_version_text(deployment),
        _restored_text(facts.run, deployment),
        samples,
        list_names(list(relying), 5) or "none in the plan",
    )
    return [_escape(cell) for cell in cells]


def _new_version_text(deployment: Deployment) -> str:
    if not deployment.switched and deployment.new is None:
        return "not deployed"
    if deployment.verified:
        return "served, verified"
    return "served, not verified" if deployment.ready else "started, not ready"


def _restored_text(run: StageRun, deployment: Deployment) -> str:
    if deployment.restored:
        return "yes, verified"
    if deployment.service in run.unrestored:
        return "failed"
    if deployment.foreign_change:
        return f"left as it is: {deployment.foreign_change}"
    return "no" if deployment.switched else "not needed"


def _versions(facts: RollbackFacts) -> list[str]:
    run = facts.run
    titles = ["Service", "New image", "Target", "Previous image", "Previous Python"]
    rows = [
        [
            _escape(item.service),
            _escape(item.image),
            str(run.target),
            _escape(item.old.image if item.old else "nothing served" if item.observed else "not observed"),
            str(item.old_interpreter) if item.old_interpreter else "unknown",
        ]
        for item in run.deployments
    ]
    settings = f"Settings of the rollout: `{_escape(run.configuration)}`. " if run.configuration else ""
    note = f"{settings}This draft was made by pytest-py312 {__version__}."
    return [*markdown_table(titles, rows), "", note]


# ---- open questions


def open_questions(facts: RollbackFacts) -> list[str]:
    """Return what the journal leaves open, the cause first."""
    run, problems = facts.run, list(problems_of(facts))
    questions = [
        f"What caused this: {item.service}, {item.what}? Is it Python {run.target}, or something beside it?"
        for item in _first_of_each(problems)
    ]
    if not problems:
        questions.append(f"What is the cause? {_capitalized(_reason_of_request(facts))}.")
    questions += [
        f"The gate had found {name} {text}: which check would have shown it?" for name, text in facts.gate.items()
    ]
    questions += [f"{name} could not be rolled back: what serves now, and who restores it?" for name in run.unrestored]
    questions += _questions_about_monitoring(facts)
    if run.untested_contracts:
        questions.append(f"These contracts were not proven: {list_names(list(run.untested_contracts))}. Do they hold?")
    questions.append("What has to be true before the next attempt, and who decides?")
    return questions


def _first_of_each(problems: Sequence[Problem]) -> list[Problem]:
    return list({(item.service, item.what): item for item in reversed(problems)}.values())[::-1]


def _questions_about_monitoring(facts: RollbackFacts) -> Iterator[str]:
    run = facts.run
    if not run.acceptance:
        yield f"Stage {run.stage} has no acceptance tests: would one have shown it before the deployment?"
    elif pending := run.pending_acceptance(AcceptancePhase.AFTER):
        yield f"The acceptance tests {list_names(list(pending))} were not run after the deployment: why?"
    for item in run.deployments:
        if item.no_control_reason:
            yield f"No control ran beside {item.service} ({item.no_control_reason}): was the previous version healthy?"
    for name, count in facts.samples.items():
        if count.missing:
            yield (
                f"{count.missing} of {count.taken + count.missing} samples of {name} are missing: what happened while "
                "nothing was measured?"
            )
    reported = any(isinstance(entry.content, Breached) for entry in facts.history)
    if not reported and any(deployment.verified for deployment in run.deployments):
        yield "No limit of the monitoring was broken: which metric would have shown the problem?"


def _capitalized(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


# ---- times


def _time(at: str) -> str:
    return f"{at[:10]} {at[11:19]}" if at else ""


def _elapsed(start: str, end: str) -> str:
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return format_duration(max(0.0, seconds))


def _escape(text: str) -> str:
    return escape_markdown(escape_terminal(text))


# ---- JSON


def to_document(facts: RollbackFacts) -> dict[str, Any]:
    """Return the facts as a JSON document."""
    run, times = facts.run, rollback_times(facts)
    return {
        "schema": 1,
        "kind": "rollback",
        "run": run.run,
        "environment": run.environment,
        "stage": run.stage,
        "state": run.state.value,
        "reason": run.reason,
        "target": str(run.target),
        "begun": facts.begun,
        "switched": times.switched or None,
        "detected": times.detected or None,
        "requested": times.requested or None,
        "restored": times.restored or None,
        "services": [
            {
                "service": item.service,
                "critical": item.service in facts.critical,
                "new_image": item.image,
                "previous_image": item.old.image if item.old else None,
                "previous_python": str(item.old_interpreter) if item.old_interpreter else None,
                "restored": item.restored,
                "relying": list(facts.relying.get(item.service, ())),
            }
            for item in run.deployments
        ],
        "problems": [encode(item) for item in problems_of(facts)],
        "timeline": [encode(line) for line in timeline_of(facts.initial, facts.history)],
        "questions": open_questions(facts),
    }
