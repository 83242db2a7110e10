"""A source line with a caret under the column of a finding. Pure.

The caret stands right whatever is before it: tabs, wide and combining characters, and characters that are shown by
their escape because a terminal would obey them or cannot show them.
"""

from collections.abc import Sequence
from itertools import accumulate

from pytest_py312.model import Finding
from pytest_py312.reports.text import Page, StyledLine, columns, visible

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
