"""Prepare text for a terminal and for Markdown (escape, measure, shorten, wrap), and split it into words.

Output of suites and resolvers and names of files are untrusted: an escape sequence could recolour or rewrite the
terminal, and a bidirectional control character could display something else than the text contains. Escape sequences
are removed; every other unprintable character is shown as its escape (``\\x07``, ``\\u202e``).

:func:`error_line` picks the line of a process's output that best explains why the process ended.
"""

import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MESSAGE_LIMIT = 1_000
"""Characters of one message that are shown."""

LINE_LIMIT = 400
"""Characters of one line of evidence that are shown."""

_EVIDENCE_LIMIT = 50_000  # characters of evidence that are processed; only its last lines are shown

# A sequence's body excludes characters that open a sequence: many openers in a row are then read in linear time.
_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f\n]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS ...: titles, links
    r"|\x1b[ -/]*[0-Z\\^-~]"  # the short ones: character sets, reset
)
_JOINERS = "\u200c\u200d"  # zero-width joiners: unprintable, but needed by several languages and by emoji


def shorten(text: str, limit: int) -> str:
    """Return ``text`` with at most ``limit`` characters: cut between two words, and marked with ``...``."""
    if len(text) <= limit:
        return text
    head = text[: max(0, limit - 4) + 1]
    cut = max(head.rfind(" "), head.rfind("\n"))
    # a word that fills the limit by itself has to be cut
    return f"{head[:cut].rstrip(' ,;:') if cut > 0 else head[:-1]} ..."[: max(limit, 0)]


def without_escapes(text: str) -> str:
    """Remove terminal escape sequences from ``text``."""
    return _ESCAPE_SEQUENCE.sub("", text)


def escape_control(text: str) -> str:
    """Return ``text`` on one line, with control characters escaped and escape sequences removed. Spaces are kept."""
    if text.isprintable():
        return text
    return "".join(map(_escape_character, without_escapes(text)))


def _escape_character(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    if unicodedata.category(char) == "Zs":
        return " "
    return char.encode("unicode-escape").decode("ascii")


def escape_terminal(text: str) -> str:
    """Return a sentence for a terminal: like :func:`escape_control`, with whitespace collapsed and length limited."""
    sentence = " ".join(without_escapes(text[: MESSAGE_LIMIT * 4]).split())
    return escape_control(shorten(sentence, MESSAGE_LIMIT + 4))


def last_line(text: str) -> str:
    """Return the last line that has anything: of a traceback, the one that names the error."""
    return (text.strip().splitlines() or [""])[-1]


def last_lines(text: str, limit: int) -> list[str]:
    """Return the last ``limit`` non-blank lines of ``text``, escaped by :func:`escape_control`, with indentation."""
    lines = [line.expandtabs(4).rstrip() for line in without_escapes(text[-_EVIDENCE_LIMIT:]).splitlines()]
    last = [line for line in lines if line][-limit:] if limit > 0 else []
    return [escape_control(line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + " ...") for line in last]


def display_width(text: str) -> int:
    """Return the number of terminal columns of ``text``: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(char: str) -> int:
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    return 0 if char in _JOINERS or unicodedata.category(char) in ("Mn", "Me") else 1


def pad(text: str, width: int) -> str:
    """Append spaces to ``text`` up to ``width`` columns."""
    return text + " " * (width - display_width(text))


def shorten_middle(text: str, width: int, ellipsis: str = "...") -> str:
    """Shorten ``text`` to ``width`` columns by omitting its middle, because names mostly differ at their ends."""
    if display_width(text) <= width:
        return text
    available = max(0, width - len(ellipsis))
    head = _prefix_within(text, available - available // 2)
    tail = _prefix_within(text[::-1], available // 2)[::-1]
    return head + ellipsis[: max(width, 0)] + tail


def truncate(text: str, width: int, ellipsis: str = "...") -> str:
    """Shorten ``text`` to ``width`` columns by omitting its end."""
    if display_width(text) <= width:
        return text
    return _prefix_within(text, max(0, width - len(ellipsis))).rstrip() + ellipsis[: max(width, 0)]


def _prefix_within(text: str, width: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += _character_width(char)
        if used > width:
            return text[:index]
    return text


def wrap_words(text: str, width: int) -> list[str]:
    """Wrap ``text`` to lines of ``width`` columns. Words are never broken, so that paths and commands can be copied."""
    lines: list[str] = []
    line, used = "", 0
    for word in text.split(" "):
        size = display_width(word)
        if line and used + 1 + size > width:
            lines.append(line)
            line, used = word, size
        else:
            line, used = (f"{line} {word}", used + 1 + size) if line else (word, size)
    return [*lines, line]


def pluralize(number: int, noun: str) -> str:
    """Return ``1 service`` or ``2 services``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def list_names(names: Sequence[str], limit: int = 5) -> str:
    """Return ``a, b, c, d, e and 12 more``: names that are escaped where they are shown."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def join_with_and(names: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def join_names(names: Sequence[str], limit: int = 5) -> str:
    """Return ``a, b, c, d, e, and 12 more``."""
    shown = ", ".join(escape_control(name[:LINE_LIMIT]) for name in names[:limit])
    return f"{shown}, and {len(names) - limit} more" if len(names) > limit else shown


# ---- sizes and durations, as people write and read them

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]i?)?b", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1} | {
    prefix + suffix: base**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix, base in (("", 1000), ("i", 1024))
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def split_words(text: str, *, comments: bool = False) -> list[str]:
    """Split text into words as a shell does; at its blanks where a quotation mark is not closed."""
    try:
        return shlex.split(text, comments=comments)
    except ValueError:
        return text.split()


def parse_count(text: str) -> int | None:
    """Return a whole number of at most 9 digits; ``None`` for anything else."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def parse_size(text: str) -> float | None:
    """Convert ``"512MiB"``, ``"2GiB"`` or ``"1.5GB"`` to bytes; ``None`` if it is no such text."""
    match = _SIZE.fullmatch(text.strip())
    return float(match[1]) * _BYTES[(match[2] or "").lower()] if match else None


def format_size(size: int) -> str:
    """Format a number of bytes: ``256 MiB``, ``2 GiB``, ``1.5 GiB``."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{round(size / unit, 1):g} {name}"
    return f"{size} bytes"


def parse_duration(text: str) -> float | None:
    """Convert ``"200ms"``, ``"90s"``, ``"15m"``, ``"2h"`` or ``"2d"`` to seconds; ``None`` if it is no such text."""
    match = _DURATION.fullmatch(text.strip())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def format_duration(seconds: float) -> str:
    """Format seconds: ``12 h 05 m``, ``4 m 30 s``, ``12 s``."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} m" + (f" {total % 60:02} s" if total % 60 else "")
    return f"{total // 3600} h" + (f" {total % 3600 // 60:02} m" if total % 3600 >= 60 else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class StyledLine:
    """One line: segments of text, each with a style.

    A style is one of ``""``, ``"bold"``, ``"green"``, ``"red"``, ``"yellow"``, ``"cyan"`` and ``"dim"``.
    """

    segments: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The line without styles."""
        return "".join(text for text, _ in self.segments)


@dataclass(frozen=True, kw_only=True, slots=True)
class TerminalFormat:
    """The format of terminal output: width in columns, whether non-ASCII characters are possible, verbosity."""

    width: int
    unicode: bool
    verbosity: int

    @property
    def ellipsis(self) -> str:
        return "…" if self.unicode else "..."

    @property
    def arrow(self) -> str:
        return "→" if self.unicode else "->"

    def to_encodable(self, text: str) -> str:
        """Escape the characters of ``text`` that the terminal cannot show; it must not contain control characters."""
        return text if self.unicode or text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")

    def styled_line(self, *segments: tuple[str, str]) -> StyledLine:
        """Return one line of (text, style) segments without the empty ones."""
        return StyledLine(segments=tuple((self.to_encodable(text), style) for text, style in segments if text))

    def paragraph(self, lead: tuple[str, str], text: str, style: str = "") -> list[StyledLine]:
        """Wrap ``text`` behind ``lead``; continuation lines are indented by the width of ``lead``."""
        head = self.to_encodable(lead[0])
        indent = display_width(head)
        first, *continuation_lines = wrap_words(self.to_encodable(text), max(20, self.width - indent))
        continued = [StyledLine(segments=((" " * indent, ""), (line, style))) for line in continuation_lines]
        return [StyledLine(segments=((head, lead[1]), (first, style))), *continued]


_OUTPUT_LIMIT = 20_000
"""Characters at the end of the output that are searched."""
_EXCEPTION = re.compile(
    r"(?:E\s+)?(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Exit|Configured|NotFound|Failed)(?::\s.*)?"
)
"""The last line of a traceback, as Python or pytest prints it."""
_RAISED_WARNING = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*Warning: .+")
"""A warning that a filter turned into an error."""
_USAGE_ERROR = re.compile(r"(?:[\w./-]+: )?(?:error|ERROR): .+")
_TERMINAL_WIDTH = 80
"""Columns at which terminals fold lines: the line after one of this length continues it."""
_NOISE_LINE = re.compile(r"^[~^\s|]*$|^\s*hint:|^note: |^\[.*\]$")


def error_line(output: str) -> str:
    """Return the line of ``output`` that explains the failure, without a leading ``E``; empty if there is no output.

    The last exception is preferred over the last warning, that over the last ``error: ...``, and all of them over the
    last line. Lines that a narrow terminal has folded are joined.
    """
    lines = [line.strip() for line in output[-_OUTPUT_LIMIT:].splitlines()]
    lines = [line for line in lines if not (line and _NOISE_LINE.match(line))]
    explaining = (
        re.sub(r"^E\s+", "", _join_folded_lines(lines, number))
        for pattern in (_EXCEPTION, _RAISED_WARNING, _USAGE_ERROR)
        for number in range(len(lines) - 1, -1, -1)
        if pattern.fullmatch(lines[number])
    )
    line = next(explaining, None)
    return shorten(next(filter(None, reversed(lines)), "") if line is None else line, LINE_LIMIT + 4)


def _join_folded_lines(lines: list[str], number: int) -> str:
    """Join the line with the lines that it was folded into."""
    end = number + 1
    while end < min(len(lines), number + 4) and len(lines[end - 1]) >= _TERMINAL_WIDTH and lines[end]:
        if lines[end].startswith("inifile: "):
            break
        end += 1
    return " ".join(lines[number:end])


# ---- Markdown


def escape_markdown(text: str) -> str:
    """Escape text for one cell of a Markdown table."""
    for special in "\\`*_[]|~":
        text = text.replace(special, f"\\{special}")
    return "<br>".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split("\n"))


def markdown_row(cells: Sequence[str]) -> str:
    """Return one row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [markdown_row(titles), markdown_row(["---"] * len(titles)), *map(markdown_row, rows)]
