"""Text for a terminal: made harmless, measured in columns, shortened and wrapped.

What a suite, a resolver or a file name says is not ours: an escape sequence in it could recolour, retitle or rewrite
the terminal, and a direction mark could show something other than what stands there. Escape sequences are taken out,
every other character that does not print is shown as its escape (``\\x07``, ``\\u202e``).

The one line of what a process printed that says best why it ended. Pure.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

PROSE_LIMIT = 1_000
"""Characters of one message that are shown."""

LINE_LIMIT = 400
"""Characters of one line of evidence that are shown."""

_TAIL_LIMIT = 50_000  # characters of evidence that are looked at; only its last lines are shown

# No body may hold a character that opens a sequence, so that a long run of openers is still read in linear time.
_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f\n]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS ...: titles, links
    r"|\x1b[ -/]*[0-Z\\^-~]"  # the short ones: character sets, reset
)
_JOINERS = "\u200c\u200d"  # do not print, but words of several languages and emoji need them


def without_escapes(text: str) -> str:
    """``text`` without terminal escape sequences."""
    return _ESCAPE_SEQUENCE.sub("", text)


def visible(text: str) -> str:
    """``text`` on one line, with nothing in it that a terminal would obey. Spaces are kept as they are."""
    if text.isprintable():
        return text
    return "".join(map(_shown, without_escapes(text)))


def _shown(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    if unicodedata.category(char) == "Zs":
        return " "
    return char.encode("unicode-escape").decode("ascii")


def prose(text: str) -> str:
    """A sentence: as :func:`visible`, and line breaks and runs of spaces are one space."""
    sentence = " ".join(without_escapes(text[: PROSE_LIMIT * 4]).split())
    return visible(sentence if len(sentence) <= PROSE_LIMIT else sentence[:PROSE_LIMIT] + " ...")


def last_lines(text: str, limit: int) -> list[str]:
    """The last ``limit`` lines of ``text`` that are not blank, each as :func:`visible`, indentation kept."""
    lines = [line.expandtabs(4).rstrip() for line in without_escapes(text[-_TAIL_LIMIT:]).splitlines()]
    kept = [line for line in lines if line][-limit:] if limit > 0 else []
    return [visible(line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + " ...") for line in kept]


def columns(text: str) -> int:
    """How many columns of a terminal ``text`` takes: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(char: str) -> int:
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    return 0 if char in _JOINERS or unicodedata.category(char) in ("Mn", "Me") else 1


def padded(text: str, width: int) -> str:
    """``text`` with spaces after it up to ``width`` columns."""
    return text + " " * (width - columns(text))


def shortened(text: str, width: int, ellipsis: str = "...") -> str:
    """``text`` in at most ``width`` columns: its middle is left out, since names differ at their ends."""
    if columns(text) <= width:
        return text
    room = max(0, width - len(ellipsis))
    head = _fitting(text, room - room // 2)
    tail = _fitting(text[::-1], room // 2)[::-1]
    return head + ellipsis[: max(width, 0)] + tail


def cut(text: str, width: int, ellipsis: str = "...") -> str:
    """``text`` in at most ``width`` columns: its end is left out."""
    if columns(text) <= width:
        return text
    return _fitting(text, max(0, width - len(ellipsis))).rstrip() + ellipsis[: max(width, 0)]


def _fitting(text: str, room: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += _columns_of(char)
        if used > room:
            return text[:index]
    return text


def wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` columns. Words are never broken: paths and commands are copied."""
    lines: list[str] = []
    line, used = "", 0
    for word in text.split(" "):
        size = columns(word)
        if line and used + 1 + size > width:
            lines.append(line)
            line, used = word, size
        else:
            line, used = (f"{line} {word}", used + 1 + size) if line else (word, size)
    return [*lines, line]


def counted(number: int, noun: str) -> str:
    """``1 service``, ``2 services``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str], limit: int = 5) -> str:
    """``a, b, c, d, e, and 12 more``."""
    shown = ", ".join(visible(name[:LINE_LIMIT]) for name in names[:limit])
    return f"{shown}, and {len(names) - limit} more" if len(names) > limit else shown


@dataclass(frozen=True, kw_only=True, slots=True)
class StyledLine:
    """One line: pieces of text, each with its style.

    A style is one of ``""``, ``"bold"``, ``"green"``, ``"red"``, ``"yellow"``, ``"cyan"`` and ``"dim"``.
    """

    segments: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The line without its styles."""
        return "".join(text for text, _ in self.segments)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What is written on: columns, whether it can show more than ASCII, and how much the reader asked for."""

    width: int
    unicode: bool
    verbosity: int

    @property
    def ellipsis(self) -> str:
        return "…" if self.unicode else "..."

    @property
    def arrow(self) -> str:
        return "→" if self.unicode else "->"

    def plain(self, text: str) -> str:
        """``text`` as this page can show it; it must be :func:`visible` already."""
        return text if self.unicode or text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")

    def line(self, *segments: tuple[str, str]) -> StyledLine:
        """One line as it is, without empty pieces."""
        return StyledLine(segments=tuple((self.plain(text), style) for text, style in segments if text))

    def paragraph(self, lead: tuple[str, str], text: str, style: str = "") -> list[StyledLine]:
        """``text`` wrapped, after ``lead`` on its first line and under the end of ``lead`` on the others."""
        head = self.plain(lead[0])
        indent = columns(head)
        first, *others = wrapped(self.plain(text), max(20, self.width - indent))
        rest = [StyledLine(segments=((" " * indent, ""), (line, style))) for line in others]
        return [StyledLine(segments=((head, lead[1]), (first, style))), *rest]


_LOOKED_AT = 20_000
"""Characters of the end of what was printed."""
_LONGEST = 400
_EXCEPTION = re.compile(
    r"(?:E\s+)?(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Exit|Configured|NotFound|Failed)(?::\s.*)?"
)
"""The last line of a traceback, as Python or pytest prints it."""
_RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*Warning: .+")
"""A warning that a filter has made an error of."""
_USAGE = re.compile(r"(?:[\w./-]+: )?(?:error|ERROR): .+")
_WIDE = 80
"""Columns: a line of so many was folded where it ends, if another one follows."""
_NOT_ONE = re.compile(r"^[~^\s|]*$|^\s*hint:|^note: |^\[.*\]$")


def last_words(output: str) -> str:
    """That line without a leading ``E``; empty where nothing was printed.

    The last exception goes before the last warning, that before the last ``error: ...``, and all before whatever was
    printed last. What a narrow terminal has folded is put together again.
    """
    lines = [line.strip() for line in output[-_LOOKED_AT:].splitlines()]
    lines = [line for line in lines if not (line and _NOT_ONE.match(line))]
    for pattern in (_EXCEPTION, _RAISED, _USAGE):
        for number in range(len(lines) - 1, -1, -1):
            if pattern.fullmatch(lines[number]):
                return _shortened(re.sub(r"^E\s+", "", _unfolded(lines, number)))
    return _shortened(next(filter(None, reversed(lines)), ""))


def _unfolded(lines: list[str], number: int) -> str:
    """The line with those after it that it was folded into."""
    end = number + 1
    while end < min(len(lines), number + 4) and len(lines[end - 1]) >= _WIDE and lines[end]:
        if lines[end].startswith("inifile: "):
            break
        end += 1
    return " ".join(lines[number:end])


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


# ---- Markdown


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, within one cell of a table."""
    for mark in "\\`*_[]|~":
        text = text.replace(mark, f"\\{mark}")
    return "<br>".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split("\n"))


def row(cells: Sequence[str]) -> str:
    """One row of a table."""
    return f"| {' | '.join(cells)} |"
