"""Select and merge the findings of a run for the reports, and print source lines with a caret.

What several interpreters have in common, a finding or a reason, is reported once, even if its text names them.

The caret under a source line is aligned whatever precedes it: tabs, wide and combining characters, and control
characters, which are shown as escapes because a terminal would interpret them.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeVar

from pytest_py312.core.model.findings import (
    Finding,
    Interpreter,
    Location,
    Outcome,
    Severity,
    Status,
    interpreter_order,
)
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import StyledLine, TerminalFormat, display_width, escape_control, join_names, pluralize

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
_NO_LOCATION = Location(path="")
_SEVERITY_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedFinding:
    """A finding that several cells of a service have in common, with the interpreters of these cells."""

    finding: Finding
    interpreters: tuple[Interpreter, ...]

    @property
    def interpreter_labels(self) -> str:
        """Labels such as ``py3.11, py3.12``; empty for a finding about the service as a whole."""
        return ", ".join(interpreter.label for interpreter in self.interpreters)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedFinding(MergedFinding):
    """A finding of a service with the check that made it and the interpreters on which it was made.

    ``interpreters`` is empty for a finding about the service as a whole. Where the finding differs between
    interpreters, it is one that failed a check; if several did, that of the newest interpreter, with the remedy of the
    newest one that has changes, since those were tried there. It is pre-existing only if it blocks nowhere.
    ``fails_check`` is whether a check failed because of it.
    """

    service: str
    check: str
    fails_check: bool
    more_places: tuple[Location | None, ...] = ()
    """Places of further findings that only differ in that, see :func:`merge_places`."""

    @property
    def place(self) -> str:
        """``app.py:3``, with the number of further places; empty if it has none."""
        text = str(self.finding.location) if self.finding.location else ""
        more = f"and {pluralize(len(self.more_places), 'more place')}" if self.more_places else ""
        return f"{text} ({more})" if text and more else text or more

    @property
    def level(self) -> Severity:
        """Severity for readers: a note for a pre-existing error that fails no check."""
        return Severity.NOTE if self.finding.preexisting and not self.fails_check else self.finding.severity

    @property
    def is_accepted(self) -> bool:
        return self.finding.waived or self.finding.known


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return ``items`` by their key; keys and items in their order."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def service_order(report: Report) -> Callable[[str], int]:
    """Return a function that tells the place of a service in the report, by its name; the last one if it has none."""
    order = {service.name: index for index, service in enumerate(report.services)}
    return lambda name: order.get(name, len(order))


def describe_lowering(finding: Finding) -> str:
    """Return ``an error, lowered to warning by house-rules``; empty if no plugin has lowered it."""
    if finding.lowered_from is None:
        return ""
    article = "an" if finding.lowered_from is Severity.ERROR else "a"
    by = escape_control(finding.lowered_by)
    return f"{article} {finding.lowered_from.value}, lowered to {finding.severity.value} by {by}"


def reported_findings(report: Report) -> list[ReportedFinding]:
    """Return all findings: the services in report order, then by location."""
    groups: dict[tuple[object, ...], list[tuple[Outcome, Finding, bool]]] = {}
    for outcome in report.outcomes:
        failing_ids = (
            {id(finding) for finding in failure_findings(outcome)} if outcome.status is Status.FAILED else frozenset()
        )
        for finding in outcome.findings:
            subject = finding.names or without_interpreter(finding.message, outcome.interpreter)
            key = (outcome.service, outcome.check, finding.code, subject, finding.location)
            groups.setdefault(key, []).append((outcome, finding, id(finding) in failing_ids))
    order = service_order(report)
    return sorted(
        _without_consequences(list(map(_merge_group, groups.values()))),
        key=lambda reported: (order(reported.service), *_sort_key(reported)),
    )


def _without_consequences(findings: Sequence[ReportedFinding]) -> list[ReportedFinding]:
    """Leave out the start module that cannot be imported because of a line that another finding names as the cause."""
    causes = {
        (reported.service, reported.finding.location.path, reported.finding.location.line)
        for reported in findings
        if reported.fails_check and reported.finding.location and reported.finding.code != "PY117"
    }
    return [
        reported
        for reported in findings
        if reported.finding.code != "PY117"
        or reported.finding.location is None
        or (reported.service, reported.finding.location.path, reported.finding.location.line) not in causes
    ]


_INTERPRETER_MARK = "\0"
"""Stands for the interpreter of an outcome in a text; no text of a report contains it."""


def without_interpreter(text: str, interpreter: Interpreter | None) -> str:
    """Return ``text`` with a mark in the place of the interpreter, to compare it with that of another one."""
    if interpreter is None:
        return text
    return re.sub(rf"(?<![\w.=<>~!-]){re.escape(str(interpreter))}(?![\w-]|\.\d)", _INTERPRETER_MARK, text)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedReason:
    """A reason that outcomes have in common. If it names their interpreters, ``text`` names all of them."""

    text: str
    outcomes: tuple[Outcome, ...]


_CONSEQUENCE = "nothing to compare with: "
"""The beginning of a reason that repeats the one of the baseline."""


def merge_reasons(outcomes: Iterable[Outcome]) -> list[ReportedReason]:
    """Merge reasons that are equal, or that differ only in the interpreter of their outcome.

    A reason that only repeats the one of the baseline is merged into it.
    """
    groups: dict[str, list[Outcome]] = {}
    keys: dict[str, str] = {}
    """reason -> the group of the first outcome with it"""
    for outcome in outcomes:
        reason = outcome.reason.removeprefix(_CONSEQUENCE)
        reason = reason if reason in keys else outcome.reason
        key = keys.setdefault(reason, without_interpreter(reason, outcome.interpreter))
        groups.setdefault(key, []).append(outcome)
    reasons = []
    for text, group in groups.items():
        own = [outcome for outcome in group if without_interpreter(outcome.reason, outcome.interpreter) == text]
        interpreters = sorted({outcome.interpreter for outcome in own if outcome.interpreter})
        named = text.replace(_INTERPRETER_MARK, join_names([str(interpreter) for interpreter in interpreters]))
        reasons.append(ReportedReason(text=named, outcomes=tuple(group)))
    return reasons


def _merge_group(group: list[tuple[Outcome, Finding, bool]]) -> ReportedFinding:
    by_interpreter = sorted(group, key=lambda candidate: interpreter_order(candidate[0].interpreter))
    fails_check = any(fails_check for *_, fails_check in group)
    outcome, finding, _ = next(candidate for candidate in reversed(by_interpreter) if candidate[2] or not fails_check)
    with_changes = next((other for _, other, _ in reversed(by_interpreter) if other.changes), finding)
    if not finding.changes:
        finding = replace(finding, remedy=with_changes.remedy, changes=with_changes.changes)
    if any(other.blocks for _, other, _ in group):
        finding = replace(finding, preexisting=False)
    return ReportedFinding(
        service=outcome.service,
        check=outcome.check,
        finding=finding,
        interpreters=tuple(sorted({outcome.interpreter for outcome, *_ in group if outcome.interpreter})),
        fails_check=fails_check,
    )


def merge_places(findings: Iterable[ReportedFinding]) -> list[ReportedFinding]:
    """Merge the findings of one kind that fail no check: a deprecation with 700 places is one item with a number.

    Those that fail a check are kept apart, since each of their places has to be changed.
    """

    def kind(result: ReportedFinding) -> tuple[object, ...]:
        subject = (result.service, result.check, result.finding.code, result.finding.message)
        return (result.fails_check and id(result), *subject, result.level, result.is_accepted)

    return [
        replace(
            group[0],
            interpreters=tuple(sorted({interpreter for result in group for interpreter in result.interpreters})),
            more_places=tuple(result.finding.location for result in group[1:]),
        )
        for group in grouped(findings, kind).values()
    ]


def failure_findings(outcome: Outcome) -> list[Finding]:
    """Return the findings that made an outcome fail.

    These are the blocking ones or, if there are none, its pre-existing errors that are neither waived nor known.
    """
    blocking = [finding for finding in outcome.findings if finding.blocks]
    return blocking or [
        finding
        for finding in outcome.findings
        if finding.severity is Severity.ERROR and not (finding.waived or finding.known)
    ]


def _sort_key(result: ReportedFinding) -> tuple[object, ...]:
    location = result.finding.location or _NO_LOCATION
    return (
        result.service,
        location.path,
        location.line or 0,
        location.column or 0,
        result.finding.code,
        result.finding.names,
    )


def worst_first(findings: Iterable[ReportedFinding]) -> list[ReportedFinding]:
    """Sort findings: those that failed a check, then warnings, then notes. The order is otherwise kept."""
    return sorted(findings, key=lambda reported: (not reported.fails_check, _SEVERITY_ORDER[reported.level]))


def errored_outcomes(report: Report) -> list[Outcome]:
    """Return the outcomes that could not be checked, in the order of services and interpreters."""
    return _sort_outcomes(report, [outcome for outcome in report.outcomes if outcome.status is Status.ERRORED])


def reason_only_outcomes(report: Report) -> list[Outcome]:
    """Return the outcomes that are explained by their reason alone.

    These are the ones that could not be checked, and those that failed without a finding.
    """
    without_findings = (
        outcome for outcome in report.outcomes if outcome.status is Status.FAILED and not failure_findings(outcome)
    )
    return _sort_outcomes(report, [*without_findings, *errored_outcomes(report)])


def _sort_outcomes(report: Report, outcomes: Iterable[Outcome]) -> list[Outcome]:
    order = service_order(report)
    return sorted(
        outcomes,
        key=lambda outcome: (order(outcome.service), interpreter_order(outcome.interpreter), outcome.check),
    )


_TAB_SIZE = 4
_MIN_SOURCE_WIDTH = 20  # columns of source on any page
_CONTEXT_DIVISOR = 3  # in a shortened line, 1/3 of the width precedes the caret


def source_excerpt(finding: Finding, page: TerminalFormat, indent: int) -> list[StyledLine]:
    """Return the source line of a finding and a line with a caret below it.

    Without a known line the result is empty, without a known column there is no caret.
    """
    location = finding.location
    if location is None or location.line is None or not finding.source_line.strip():
        return []
    gutter = f"{location.line} | "
    shown, caret = _fit_line(
        finding.source_line, (location.column or 0) - 1, max(_MIN_SOURCE_WIDTH, page.width - indent - len(gutter)), page
    )
    lines = [page.styled_line((" " * indent, ""), (gutter, "dim"), (shown, ""))]
    if caret is not None:
        margin = " " * (indent + len(gutter) - 2)
        lines.append(page.styled_line((margin + "| ", "dim"), (" " * caret + "^", "red")))
    return lines


def _fit_line(line: str, index: int, width: int, page: TerminalFormat) -> tuple[str, int | None]:
    """Shorten ``line`` to ``width`` columns and return it with the column (from 0) of its character ``index``.

    Indentation is dropped, and of a long line the parts that are far from the caret.
    """
    indentation = len(line) - len(line.lstrip())
    pieces = _display_pieces(line.rstrip(), page)
    has_caret = indentation <= index <= len(pieces)
    pieces, caret_index = pieces[indentation:], index - indentation if has_caret else 0
    starts = [0, *accumulate(display_width(piece) for piece in pieces)]
    is_behind_end = has_caret and caret_index == len(pieces)
    if starts[-1] + is_behind_end <= width:
        return "".join(pieces), starts[caret_index] if has_caret else None
    dots = page.ellipsis
    first = _first_shown(starts, caret_index, width - 2 * display_width(dots))
    head = dots if first else ""
    last = first
    tail_room = width - display_width(head) - display_width(dots)
    while last < len(pieces) and starts[last + 1] - starts[first] <= tail_room:
        last += 1
    tail = dots if last < len(pieces) else ""
    caret = display_width(head) + starts[caret_index] - starts[first]
    return head + "".join(pieces[first:last]) + tail, caret if has_caret else None


def _first_shown(starts: Sequence[int], caret_index: int, width: int) -> int:
    """Return the first character of a shortened line, so that ``caret_index`` remains visible."""
    if starts[caret_index] < width:
        return 0
    min_start = starts[caret_index] - width // _CONTEXT_DIVISOR
    return next(index for index, start in enumerate(starts) if start >= min_start)


def _display_pieces(line: str, page: TerminalFormat) -> list[str]:
    """Return the displayed text of each character, so that the widths add up to columns."""
    pieces = []
    column = 0
    for char in line:
        piece = " " * (_TAB_SIZE - column % _TAB_SIZE) if char == "\t" else page.to_encodable(escape_control(char))
        column += display_width(piece)
        pieces.append(piece)
    return pieces
