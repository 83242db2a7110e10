"""What a reader sees of a difference between two runs, in any format: a sentence, and sections with entries. Pure.

Services with the same change for the same causes are one entry: a change that frees 30 services is read once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.readiness import Cause, PastRun, RunRecord, ServiceVerdict, WaiverRecord
from pytest_py312.core.text import join_with_and, list_names, pluralize
from pytest_py312.gate.history.differences import ChangeKind, RunDifference, ServiceChange, WaiverChange

_DETAILED = (
    ChangeKind.NEWLY_BLOCKED,
    ChangeKind.NO_LONGER_CHECKED,
    ChangeKind.CAUSES_CHANGED,
    ChangeKind.NEWLY_READY,
    ChangeKind.ADDED,
    ChangeKind.REMOVED,
)
"""Kinds with a section of their own, in this order; the others are only counted."""
_NOTES = {
    ChangeKind.REMOVED: "Removed from the repository, or not chosen for the new run.",
    ChangeKind.ADDED: "New in the repository, or not chosen for the old run.",
}
_COMMIT_DIGITS = 8
_VERDICTS = ((ServiceVerdict.READY,), (ServiceVerdict.BLOCKED,), (ServiceVerdict.ERRORED, ServiceVerdict.INCOMPLETE))
COUNT_TITLES = ("ready", "blocked", "not checked")


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryLine:
    """One fact of an entry: a ``label`` (new, gone, waived ...), the text, its place and its remedy."""

    label: str
    text: str
    code: str = ""
    place: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Services with the same change, what they were and are, and why. A waiver has no ``stages``."""

    services: tuple[str, ...]
    state: str
    stages: tuple[int, ...] = ()
    lines: tuple[EntryLine, ...] = ()

    def title(self, limit: int) -> str:
        """Return the services with their stages: ``a, b and 3 more (stages 1, 2)``."""
        names = list_names(self.services, limit)
        if not self.stages:
            return names
        numbers = ", ".join(map(str, self.stages))
        return f"{names} (stage{'s' if len(self.stages) > 1 else ''} {numbers})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Entries of one kind. ``count`` is the number of services, or of waivers."""

    title: str
    count: int
    entries: tuple[Entry, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """One of the two runs: its name, its commit, and its counts in the order of :data:`COUNT_TITLES`."""

    origin: str
    ended_at: str
    commit: str
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferenceView:
    """All that is shown of a difference. ``worse`` is the sentence on what is worse, or that nothing is."""

    target: str
    headline: str
    worse: str
    old: RunSummary
    new: RunSummary
    sections: tuple[Section, ...]
    unchanged: str
    remarks: tuple[str, ...]


def view_of(difference: RunDifference) -> DifferenceView:
    """Return what is shown of ``difference``."""
    sections = [_section(kind, difference.of_kind(kind)) for kind in _DETAILED if difference.of_kind(kind)]
    if difference.waivers:
        entries = tuple(map(_waiver_entry, difference.waivers))
        sections.append(Section(title="Waivers", count=len(entries), entries=entries))
    return DifferenceView(
        target=difference.new.target,
        headline=_headline(difference),
        worse=_worse_sentence(difference.worse),
        old=_summary(difference.old),
        new=_summary(difference.new),
        sections=tuple(sections),
        unchanged=_unchanged_sentence(difference),
        remarks=difference.remarks,
    )


def short_time(ended_at: str) -> str:
    """Return a time without seconds: ``2026-11-29 00:56 UTC``; unchanged if it is in another form."""
    is_utc = len(ended_at) == 20 and ended_at.endswith("Z")
    return f"{ended_at[:10]} {ended_at[11:16]} UTC" if is_utc else ended_at


def describe_commit(commit: str, branch: str, *, modified: bool) -> str:
    """Return a commit in short with its branch: ``8c48551a (python-3.12), with changes``; empty if unknown."""
    if not commit:
        return ""
    return f"{commit[:_COMMIT_DIGITS]}{f' ({branch})' if branch else ''}{', with changes' if modified else ''}"


def count_verdicts(run: RunRecord | PastRun) -> tuple[int, ...]:
    """Return the counts of a run in the order of :data:`COUNT_TITLES`."""
    return tuple(run.count(*verdicts) for verdicts in _VERDICTS)


def _summary(run: RunRecord) -> RunSummary:
    return RunSummary(
        origin=run.origin,
        ended_at=short_time(run.ended_at),
        commit=describe_commit(run.checkout.commit, run.checkout.branch, modified=run.checkout.modified),
        counts=count_verdicts(run),
    )


# ---- sentences


def _headline(difference: RunDifference) -> str:
    counts = [(len(difference.of_kind(kind)), kind.value) for kind in _DETAILED]
    parts = [f"{number} {title}" for number, title in counts if number]
    if not parts:
        return "no service has changed"
    number, _, title = parts[0].partition(" ")
    return ", ".join([f"{pluralize(int(number), 'service')} {title}", *parts[1:]])


def _worse_sentence(worse: Sequence[ServiceChange]) -> str:
    if not worse:
        return "Nothing is worse than before."
    names = sorted(change.service.name for change in worse)
    shown = join_with_and(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"
    return f"Worse than before: {shown}."


def _unchanged_sentence(difference: RunDifference) -> str:
    kinds = (ChangeKind.STILL_READY, ChangeKind.STILL_BLOCKED, ChangeKind.STILL_UNCHECKED)
    parts = [f"{len(difference.of_kind(kind))} {kind.value}" for kind in kinds if difference.of_kind(kind)]
    return f"Unchanged: {'; '.join(parts)}." if parts else ""


# ---- sections


def _section(kind: ChangeKind, changes: Sequence[ServiceChange]) -> Section:
    return Section(
        title=f"{kind.value[:1].upper()}{kind.value[1:]}",
        count=len(changes),
        entries=tuple(_merged(_entry(change) for change in changes)),
        note=_NOTES.get(kind, ""),
    )


def _merged(entries: Iterable[Entry]) -> list[Entry]:
    """Merge entries that differ only in their services and in the places of their causes."""
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        lines = tuple((line.label, line.code, line.text, line.remedy) for line in entry.lines)
        groups.setdefault((entry.state, lines), []).append(entry)
    return [group[0] if len(group) == 1 else _merge(group) for group in groups.values()]


def _merge(group: Sequence[Entry]) -> Entry:
    first = group[0]
    return Entry(
        services=tuple(service for entry in group for service in entry.services),
        state=first.state,
        stages=tuple(sorted({stage for entry in group for stage in entry.stages})),
        lines=tuple(
            EntryLine(label=line.label, text=line.text, code=line.code, remedy=line.remedy) for line in first.lines
        ),
    )


def _entry(change: ServiceChange) -> Entry:
    if change.kind is ChangeKind.NEWLY_READY:
        lines = [*_lines("gone", change.fixed_causes), *_accepted_lines(change)]
    elif change.kind is ChangeKind.REMOVED:
        lines = []
    else:
        lines = [
            *_lines("new" if change.before else "cause", change.new_causes),
            *_lines("gone", change.fixed_causes),
            *_accepted_lines(change),
            *_remaining_line(change),
        ]
        if change.after and change.after.reason:
            lines.append(EntryLine(label="reason", text=change.after.reason))
    return Entry(
        services=(change.service.name,), state=_state(change), stages=(change.service.stage,), lines=tuple(lines)
    )


def _state(change: ServiceChange) -> str:
    if change.before and change.after:
        before, after = change.before.verdict.value, change.after.verdict.value
        return f"{before} before, {after} now" if before != after else f"{after}, as before"
    verdict = change.service.verdict.value
    return f"it {verdict}" if verdict.startswith("could") else f"it {'is' if change.after else 'was'} {verdict}"


def _lines(label: str, causes: Iterable[Cause]) -> list[EntryLine]:
    return [
        EntryLine(
            label=label,
            text=cause.message,
            code=cause.code,
            place=cause.place,
            remedy="" if label == "gone" else cause.remedy,
        )
        for cause in causes
    ]


def _accepted_lines(change: ServiceChange) -> list[EntryLine]:
    """Return what is only accepted, and must not be read as fixed."""
    labels = {"waived": "waived, not fixed", "known": "known, not fixed"}
    return [
        EntryLine(label=labels.get(cause.accepted, "not fixed"), text=cause.message, code=cause.code, place=cause.place)
        for cause in change.accepted_causes
    ]


def _remaining_line(change: ServiceChange) -> list[EntryLine]:
    number = len(change.remaining_causes)
    return [EntryLine(label="still there", text=f"{pluralize(number, 'cause')} as before")] if number else []


def _waiver_entry(change: WaiverChange) -> Entry:
    waiver = change.after or change.before
    assert waiver is not None
    if change.before is None:
        state, text = "added", _describe_waiver(waiver)
    elif change.after is None:
        state, text = "removed", _describe_waiver(waiver)
    else:
        state, text = "changed", f"{_describe_waiver(change.after)}; before: {_describe_waiver(change.before)}"
    name = f"{waiver.subject} of {waiver.service}"
    return Entry(services=(name,), state=state, lines=(EntryLine(label="", text=text),))


def _describe_waiver(waiver: WaiverRecord) -> str:
    return f"until {waiver.until.isoformat()}, {waiver.owner}: {waiver.reason}"
