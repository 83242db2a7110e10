"""The findings of a run, each once: what several interpreters have in common is one result. Pure.

A source line with a caret under the column of a finding. Pure.

The caret stands right whatever is before it: tabs, wide and combining characters, and characters that are shown by
their escape because a terminal would obey them or cannot show them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import Page, StyledLine, columns, visible

_UNPLACED = Location(path="")
_WORST_FIRST = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A finding of a service, the interpreters it was made on (none: about the service), and the check's name.

    Where the finding differs among them, it is the one that blocks, of several that of the newest interpreter.
    ``stops`` is whether a check has failed for it.
    """

    service: str
    check: str
    finding: Finding
    interpreters: tuple[Interpreter, ...]
    stops: bool

    @property
    def labels(self) -> str:
        """``py3.11, py3.12``; empty for a finding about the service as a whole."""
        return ", ".join(interpreter.label for interpreter in self.interpreters)

    @property
    def level(self) -> Severity:
        """How much it matters: an error that was as bad before, and that nothing has failed for, is a note."""
        return Severity.NOTE if self.finding.preexisting and not self.stops else self.finding.severity

    @property
    def accepted(self) -> bool:
        return self.finding.waived or self.finding.known


def results(report: Report) -> list[Result]:
    """All of them: the services in the report's order, then by place."""
    found: dict[tuple[object, ...], list[tuple[Outcome, Finding, bool]]] = {}
    for outcome in report.outcomes:
        stopping = {id(finding) for finding in telling(outcome)} if outcome.status is Status.FAILED else frozenset()
        for finding in outcome.findings:
            key = (outcome.service, outcome.check, finding.code, finding.fingerprint, finding.location)
            found.setdefault(key, []).append((outcome, finding, id(finding) in stopping))
    order = {service.name: index for index, service in enumerate(report.services)}
    return sorted(map(_one, found.values()), key=lambda one: (order.get(one.service, len(order)), *_place(one)))


def _one(group: list[tuple[Outcome, Finding, bool]]) -> Result:
    outcome, finding, _ = max(group, key=lambda one: (one[2], one[1].blocks, one[0].interpreter or Interpreter(0, 0)))
    return Result(
        service=outcome.service,
        check=outcome.check,
        finding=finding,
        interpreters=tuple(sorted({one.interpreter for one, *_ in group if one.interpreter})),
        stops=any(stops for *_, stops in group),
    )


def telling(outcome: Outcome) -> list[Finding]:
    """What a failed outcome failed for: what blocks or, where it is as bad on the baseline, those errors."""
    blocking = [finding for finding in outcome.findings if finding.blocks]
    return blocking or [
        finding
        for finding in outcome.findings
        if finding.severity is Severity.ERROR and not (finding.waived or finding.known)
    ]


def _place(result: Result) -> tuple[object, ...]:
    place = result.finding.location or _UNPLACED
    return result.service, place.path, place.line or 0, place.column or 0, result.finding.code, result.finding.names


def worst_first(found: Iterable[Result]) -> list[Result]:
    """What checks have failed for, then warnings, then notes; else as they came."""
    return sorted(found, key=lambda one: (not one.stops, _WORST_FIRST[one.level]))


def not_checked(report: Report) -> list[Outcome]:
    """The outcomes that could not be checked, in the order of services and interpreters."""
    return _in_order(report, [outcome for outcome in report.outcomes if outcome.status is Status.ERRORED])


def told_by_reason(report: Report) -> list[Outcome]:
    """Those that have nothing but their reason: what could not be checked, and what failed without a finding."""
    bare = (outcome for outcome in report.outcomes if outcome.status is Status.FAILED and not telling(outcome))
    return _in_order(report, [*bare, *not_checked(report)])


def _in_order(report: Report, outcomes: Iterable[Outcome]) -> list[Outcome]:
    order = {service.name: index for index, service in enumerate(report.services)}
    return sorted(
        outcomes,
        key=lambda one: (order.get(one.service, len(order)), one.interpreter or Interpreter(0, 0), one.check),
    )


_TAB = 4
_NARROWEST = 20  # columns of source that are shown however narrow the page is
_BEFORE = 3  # of so many parts of the room, one is before the caret where a line is cut


def excerpt(finding: Finding, page: Page, indent: int) -> list[StyledLine]:
    """The line, and below it the caret; nothing where the line is not known, no caret where the column is not."""
    place = finding.location
    if place is None or place.line is None or not finding.source_line.strip():
        return []
    gutter = f"{place.line} | "
    shown, caret = _fitted(
        finding.source_line, (place.column or 0) - 1, max(_NARROWEST, page.width - indent - len(gutter)), page
    )
    lines = [page.line((" " * indent, ""), (gutter, "dim"), (shown, ""))]
    if caret is not None:
        margin = " " * (indent + len(gutter) - 2)
        lines.append(page.line((margin + "| ", "dim"), (" " * caret + "^", "red")))
    return lines


def _fitted(line: str, index: int, room: int, page: Page) -> tuple[str, int | None]:
    """``line`` in at most ``room`` columns, and the column (from 0) of its character ``index`` where it has one.

    What a line begins with is left out if it is blank, and of a long line what is far from the caret.
    """
    blank = len(line) - len(line.lstrip())
    pieces = _pieces(line.rstrip(), page)
    pointed = blank <= index <= len(pieces)
    pieces, at = pieces[blank:], index - blank if pointed else 0
    starts = [0, *accumulate(columns(piece) for piece in pieces)]
    if starts[-1] <= room:
        return "".join(pieces), starts[at] if pointed else None
    dots = page.ellipsis
    first = _first_shown(starts, at, room - 2 * columns(dots))
    head = dots if first else ""
    last = first
    tail_room = room - columns(head) - columns(dots)
    while last < len(pieces) and starts[last + 1] - starts[first] <= tail_room:
        last += 1
    tail = dots if last < len(pieces) else ""
    caret = columns(head) + starts[at] - starts[first]
    return head + "".join(pieces[first:last]) + tail, caret if pointed else None


def _first_shown(starts: Sequence[int], at: int, room: int) -> int:
    """The character that a cut line begins with: the first, unless ``at`` would be out of sight then."""
    if starts[at] < room:
        return 0
    wanted = starts[at] - room // _BEFORE
    return next(index for index, start in enumerate(starts) if start >= wanted)


def _pieces(line: str, page: Page) -> list[str]:
    """What is shown of each character, so that a character's column is the width of all before it."""
    pieces = []
    column = 0
    for char in line:
        piece = " " * (_TAB - column % _TAB) if char == "\t" else page.plain(visible(char))
        column += columns(piece)
        pieces.append(piece)
    return pieces
