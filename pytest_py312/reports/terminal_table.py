"""The table of services and interpreters: one word for all checks of a cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_py312.model import Interpreter, Report, Service
from pytest_py312.reports.text import Page, StyledLine, columns, counted, padded, prose, shortened, visible
from pytest_py312.reports.verdict import Outcomes, State, all_cached, by_cell, state_of

MANY_SERVICES = 60
"""From more services than this on, only those that are not all right have a row (unless ``-v`` is given)."""

_SIGN_WIDTH = 6  # "[FAIL]", the longest
_GAP = 2
_SHORTEST_NAME = 12
_INDENT = "  "

_SIGNS = {
    State.PASSED: ("ok", "green"),
    State.FAILED: ("FAIL", "red"),
    State.ERRORED: ("ERR", "yellow"),
    State.SKIPPED: ("skip", "cyan"),
    State.UNCHECKED: ("?", "yellow"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sign:
    """One entry of the table; ``state`` is ``None`` where there is nothing to check."""

    state: State | None
    cached: bool = False
    baseline: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    service: Service
    signs: tuple[_Sign, ...]

    @property
    def is_all_ok(self) -> bool:
        return all(sign.state in (None, State.PASSED) for sign in self.signs)


def table(report: Report, page: Page) -> list[StyledLine]:
    """Rows are services, under their stages; columns are interpreters, and before them the service as a whole."""
    headings = _headings(report)
    outcomes = by_cell(report.outcomes)
    chosen = {(cell.service.name, cell.interpreter) for cell in report.cells}
    taking_part = {name for name, _ in chosen} | {name for name, _ in outcomes}
    rows = [
        _Row(service=service, signs=tuple(_sign(service, heading, outcomes, chosen) for heading in headings))
        for service in report.services
        if service.name in taking_part
    ]
    if not rows:
        return []
    shown = rows
    if len(rows) > MANY_SERVICES and page.verbosity < 1:
        shown = [row for row in rows if not row.is_all_ok]
    lines = _laid_out(report, page, headings, shown) if shown else []
    if len(shown) < len(rows):
        rest = counted(len(rows) - len(shown), "more service" if shown else "service")
        lines.append(page.line((f"{_INDENT}{rest}: all ok", "green")))
    legend = _legend(page, [sign for row in shown for sign in row.signs])
    return [*lines, *([page.line((_INDENT + legend, "dim"))] if legend else [])]


def _headings(report: Report) -> list[Interpreter | None]:
    used = {cell.interpreter for cell in report.cells}
    used |= {outcome.interpreter for outcome in report.outcomes if outcome.interpreter}
    as_a_whole = any(outcome.interpreter is None for outcome in report.outcomes)
    return [*([None] if as_a_whole else []), *sorted(used)]


def _sign(
    service: Service, heading: Interpreter | None, outcomes: Outcomes, chosen: set[tuple[str, Interpreter]]
) -> _Sign:
    found = outcomes.get((service.name, heading), ())
    baseline = heading == service.baseline
    if not found and (heading is None or (service.name, heading) not in chosen):
        return _Sign(state=None, baseline=baseline)
    state = state_of(found)
    return _Sign(state=state, cached=state is State.PASSED and all_cached(found), baseline=baseline)


def _laid_out(
    report: Report, page: Page, headings: Sequence[Interpreter | None], rows: Sequence[_Row]
) -> list[StyledLine]:
    names = [page.plain(visible(row.service.name)) for row in rows]
    room = page.width - len(_INDENT) - len(headings) * (_SIGN_WIDTH + _GAP)
    width = min(max(map(columns, names)), max(room, _SHORTEST_NAME))
    titles = [str(heading) if heading else "whole" for heading in headings]
    head = "".join(f"{' ' * _GAP} {title:<{_SIGN_WIDTH - 1}}" for title in titles).rstrip()
    lines = [page.line((_INDENT + " " * width + head, "bold"))]
    stages = {stage.number: stage for stage in report.plan.stages}
    current: int | None = None
    for row, name in zip(rows, names, strict=True):
        number = row.service.stage
        if number != current and (stages or len({other.service.stage for other in rows}) > 1):
            stage = stages.get(number)
            title = f"stage {number}" + (f" {prose(stage.name)}" if stage and stage.name else "")
            lines.append(page.line((title, "bold"), (" (critical)" if stage and stage.critical else "", "")))
        current = number
        label = padded(shortened(name, width, page.ellipsis), width)
        lines.append(page.line((_INDENT + label, ""), *_pieces(page, row.signs)))
    return lines


def _pieces(page: Page, signs: Sequence[_Sign]) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    pending = ""  # the spaces since the last word: never written after the last one of a line
    for sign in signs:
        word, style = _word(page, sign)
        opening, closing = "[]" if sign.baseline else (" ", "")
        pieces += [(pending + " " * _GAP + opening, ""), (word, style), (closing, "")]
        pending = " " * (_SIGN_WIDTH - 1 - len(word) - len(closing))
    return pieces


def _word(page: Page, sign: _Sign) -> tuple[str, str]:
    if sign.state is None:
        return "·" if page.unicode else ".", "dim"
    word, style = _SIGNS[sign.state]
    return (word + "*", style) if sign.cached else (word, style)


def _legend(page: Page, signs: Sequence[_Sign]) -> str:
    entries = (
        ("[ ] runs on it today", any(sign.baseline for sign in signs)),
        ("* known from an earlier run", any(sign.cached for sign in signs)),
        ("? not checked", any(sign.state is State.UNCHECKED for sign in signs)),
        (f"{_word(page, _Sign(state=None))[0]} not part of this run", any(sign.state is None for sign in signs)),
    )
    return "   ".join(text for text, applies in entries if applies)
