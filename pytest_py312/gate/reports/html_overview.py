"""Prepare the top of the HTML page: where the files come from, the verdict, the stages, and what blocks most."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pytest_py312.core.model.report import Report
from pytest_py312.core.text import escape_control, escape_terminal, pluralize
from pytest_py312.gate.reports.blockers import Blocker, blockers
from pytest_py312.gate.reports.results import grouped
from pytest_py312.gate.reports.run_verdict import RunVerdict

READY, BLOCKED, ERRORED, INCOMPLETE = "ready", "blocked", "errored", "incomplete"
STATUS_LABELS: Mapping[str, str] = {
    BLOCKED: "blocked",
    ERRORED: "could not be checked",
    INCOMPLETE: "not fully checked",
    READY: "ready",
}
"""The status of a service and its words, the worst first."""
MAX_BLOCKERS = 50
_MAX_OWNERS = 4
_SHORT_COMMIT = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class BarPart:
    """A part of a bar: its kind, where it begins and how wide it is, in percent."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StageView:
    """A stage with a bar of its services: ready, blocked, not checked. ``summary`` has the same in words."""

    number: int
    name: str
    critical: bool
    parts: tuple[BarPart, ...]
    summary: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockerView:
    """A cause for the page. ``effect`` says how many services it blocks, and what fixing it achieves."""

    title: str
    message: str
    code: str
    effect: str
    remedy: str
    verification: str
    command: str
    services: tuple[tuple[str, bool], ...]
    """Names of services, and whether nothing else blocks them."""


def status_by_service(verdict: RunVerdict) -> dict[str, str]:
    """Return ready, blocked, errored or incomplete by the name of the service."""
    return {name: of_service.name.lower() for name, of_service in verdict.by_service.items()}


# ---- the head


def headline(verdict: RunVerdict) -> str:
    """Return the verdict as one sentence for readers who do not know the tool."""
    if not verdict.anything_checked:
        return "Nothing was checked."
    total, ready = verdict.services, len(verdict.ready)
    blocked, unchecked = len(verdict.blocked), len(verdict.errored) + len(verdict.incomplete)
    if verdict.proven:
        subject, causes = "The service is" if total == 1 else f"All {total} services are", []
    elif total == 1:
        subject = "The service is" if ready else "The service is not"
        causes = ["it is blocked"] * blocked + ["it was not fully checked"] * unchecked
    else:
        subject = f"{ready or 'None'} of {total} services {'is' if ready == 1 else 'are'}"
        causes = [f"{blocked} {'is' if blocked == 1 else 'are'} blocked"] * bool(blocked)
        causes += [f"{unchecked} {'was' if unchecked == 1 else 'were'} not fully checked"] * bool(unchecked)
    start = "nothing is blocked, but " if verdict.incomplete and not (blocked or verdict.errored) else ""
    end = ", but the run was ended early" if verdict.interrupted else ""
    if causes:
        end = f": {start}{' and '.join(causes)}"
    return f"{subject} ready for Python {verdict.target}{end}."


def remarks(verdict: RunVerdict) -> list[str]:
    """Return what a reader of the verdict has to know beside it, as sentences."""
    ready = len(verdict.ready)
    texts = []
    number = len(verdict.without_suite)
    if number:
        end = "has no tests of its own" if number == 1 else "have no tests of their own"
        texts.append(f"{number} of {pluralize(ready, 'ready service')} {end}.")
    if verdict.silent_files:
        verb = "proves" if verdict.silent_files == 1 else "prove"
        texts.append(f"{verdict.silent_files} of {pluralize(verdict.test_files, 'test file')} {verb} nothing.")
    if verdict.known_findings:
        texts.append(f"{pluralize(verdict.known_findings, 'known finding')} did not count.")
    return texts


def masthead(report: Report, verdict: RunVerdict) -> list[tuple[str, str, str]]:
    """Return the label, the text and, where that is shortened, the whole text of each fact in the head."""
    checkout = report.checkout
    commit = checkout.commit[:_SHORT_COMMIT] + (" with changes" if checkout.commit and checkout.modified else "")
    facts = [
        ("Repository", checkout.repository, ""),
        ("Branch", checkout.branch, ""),
        ("Commit", commit, checkout.commit),
        ("Date", readable_time(report.generated), report.generated),
        ("Who to ask", _who_to_ask(report, verdict), ""),
    ]
    return [(label, escape_control(text), escape_control(whole)) for label, text, whole in facts if text]


def readable_time(text: str) -> str:
    """Return ``1 March 2025, 12:00 UTC`` for a time as reports have it; another text as it is."""
    try:
        time = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def _who_to_ask(report: Report, verdict: RunVerdict) -> str:
    """Return the owners of the services that are not ready, of all if all are, those of most services first."""
    not_ready = set(status_by_service(verdict)) - set(verdict.ready)
    counts = Counter(
        name for service in report.services for name in service.owners if not not_ready or service.name in not_ready
    )
    ordered = [name for name, _ in counts.most_common()]
    more = f" and {len(ordered) - _MAX_OWNERS} more" if len(ordered) > _MAX_OWNERS else ""
    return ", ".join(ordered[:_MAX_OWNERS]) + more


# ---- the stages


def stage_views(report: Report, verdict: RunVerdict) -> list[StageView]:
    """Return the stages that have services in this run, in order."""
    statuses = status_by_service(verdict)
    planned = {stage.number: stage for stage in report.plan.stages}
    by_stage = grouped(report.services, lambda service: service.stage)
    return [
        _stage_view(number, planned.get(number), [statuses.get(service.name, INCOMPLETE) for service in services])
        for number, services in sorted(by_stage.items())
    ]


def _stage_view(number: int, stage: object, statuses: Sequence[str]) -> StageView:
    counts = {
        READY: statuses.count(READY),
        BLOCKED: statuses.count(BLOCKED),
        "unchecked": statuses.count(ERRORED) + statuses.count(INCOMPLETE),
    }
    words = {READY: "ready", BLOCKED: "blocked", "unchecked": "not checked"}
    return StageView(
        number=number,
        name=escape_terminal(getattr(stage, "name", "")),
        critical=bool(getattr(stage, "critical", False)),
        parts=tuple(_bar_parts(counts, len(statuses))),
        summary=", ".join(f"{count} {words[kind]}" for kind, count in counts.items() if count),
    )


def _bar_parts(counts: Mapping[str, int], total: int) -> Iterator[BarPart]:
    start = 0.0
    for kind, count in counts.items():
        if count:
            width = 100 * count / total
            yield BarPart(kind=kind, start=round(start, 3), width=round(width, 3))
            start += width


# ---- what blocks most


def blocker_views(report: Report) -> tuple[list[BlockerView], int]:
    """Return the first causes, and the number of further ones."""
    causes = blockers(report)
    return list(map(_blocker_view, causes[:MAX_BLOCKERS])), max(0, len(causes) - MAX_BLOCKERS)


def _blocker_view(blocker: Blocker) -> BlockerView:
    freed = set(blocker.freed)
    return BlockerView(
        title=escape_terminal(blocker.title),
        message=escape_terminal(blocker.message),
        code=escape_control(blocker.code),
        effect=effect_of(blocker),
        remedy=escape_terminal(blocker.remedy),
        verification=verification(escape_terminal(blocker.remedy)),
        command=services_command(blocker.services, fix=blocker.is_fixable),
        services=tuple((escape_control(name), name in freed) for name in blocker.services),
    )


def effect_of(blocker: Blocker) -> str:
    """Return what a cause does and what its removal achieves, such as ``7 services, the same change frees 5``."""
    total, freed = len(blocker.services), len(blocker.freed)
    subject = pluralize(total, "service")
    if not blocker.code:
        return f"holds up {subject}"
    if total == 1:
        return f"{subject}, nothing else blocks it" if freed else f"{subject}, which has other causes as well"
    change = "the same change" if blocker.has_one_remedy else "a change in each"
    if freed == total:
        return f"{subject}, {change} frees all of them"
    return f"{subject}, {change} frees {freed}" if freed else f"{subject}, which all have other causes as well"


def verification(remedy: str) -> str:
    """Return the end of the text of a remedy that says how it was tried; empty if it was not, or if more follows."""
    match = re.search(r"\(verified[^()]*\)$", remedy)
    return match[0] if match else ""


def services_command(services: Sequence[str], *, fix: bool) -> str:
    """Return the command that checks these services again, or that writes the changes for them first."""
    names = shlex.quote(f"--py312-services={','.join(services)}")
    return escape_control(f"pytest {names} --py312-fix" if fix else f"pytest {names}")
