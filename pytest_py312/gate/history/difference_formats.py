"""Write a difference between two runs: for a terminal, as Markdown for a comment, as a page. Pure.

Texts come from services and from files: they are escaped for each format.
"""

from collections.abc import Sequence
from pathlib import Path

from pytest_py312.core import html_page
from pytest_py312.core.text import (
    StyledLine,
    TerminalFormat,
    escape_markdown,
    escape_terminal,
    list_names,
    markdown_table,
    shorten,
)
from pytest_py312.gate.history.difference_view import (
    COUNT_TITLES,
    DifferenceView,
    Entry,
    EntryLine,
    RunSummary,
    Section,
)

COMMENT_LIMIT = 65_536
"""GitHub's limit in characters for a comment. Bytes are counted, of which there are never less."""
PAGE_FOLDER = Path(__file__).parent / "page"
_TEXT_LIMIT = 300
_NAMES_LIMIT = 10
_TERMINAL_LINES = 8
"""Causes of one entry that a terminal shows."""
_STEPS = ((200, 20), (50, 8), (20, 4), (8, 2), (3, 1), (0, 0))
"""Entries of a section and lines of an entry that a comment shows: the first that fits."""
_STYLES = {"new": "red", "cause": "red", "gone": "green", "reason": "yellow"}


# ---- terminal


def format_text(view: DifferenceView, page: TerminalFormat) -> list[StyledLine]:
    """Return the lines for a terminal."""
    lines = [page.styled_line((f"Python {view.target}: ", "bold"), (escape_terminal(view.headline), "bold"))]
    lines += [_run_line("old", view.old, page), _run_line("new", view.new, page)]
    for section in view.sections:
        lines += [StyledLine(), page.styled_line((f"{section.title} ({section.count})", "bold"))]
        lines += page.paragraph(("  ", ""), section.note, "dim") if section.note else []
        for entry in section.entries:
            lines += _entry_lines(entry, page)
    lines.append(StyledLine())
    lines += [line for remark in view.remarks for line in page.paragraph(("note: ", "yellow"), escape_terminal(remark))]
    lines += page.paragraph(("", ""), view.unchanged) if view.unchanged else []
    lines += page.paragraph(("", ""), escape_terminal(view.worse), "bold")
    return lines


def _run_line(label: str, run: RunSummary, page: TerminalFormat) -> StyledLine:
    counts = ", ".join(f"{number} {title}" for number, title in zip(run.counts, COUNT_TITLES, strict=True))
    commit = f", commit {run.commit}" if run.commit else ""
    return page.styled_line((f"  {label}: {escape_terminal(f'{run.origin}, {run.ended_at}{commit}')}: {counts}", ""))


def _entry_lines(entry: Entry, page: TerminalFormat) -> list[StyledLine]:
    lines = page.paragraph(("  ", ""), escape_terminal(f"{entry.title(_NAMES_LIMIT)}: {entry.state}"))
    shown = entry.lines if page.verbosity > 0 else entry.lines[:_TERMINAL_LINES]
    for line in shown:
        label = f"    {line.label}: " if line.label else "    "
        style = _STYLES.get(line.label, "yellow" if line.label.endswith("not fixed") else "")
        lines += page.paragraph((label, style), escape_terminal(shorten(_sentence(line), _TEXT_LIMIT)))
        if line.remedy:
            lines += page.paragraph((f"      {page.arrow} ", "cyan"), escape_terminal(line.remedy))
    if len(entry.lines) > len(shown):
        lines.append(page.styled_line((f"    and {len(entry.lines) - len(shown)} more (-v shows them)", "dim")))
    return lines


def _sentence(line: EntryLine) -> str:
    place = f" ({line.place})" if line.place else ""
    return f"{line.code} {line.text}".strip() + place


# ---- Markdown


def format_markdown(view: DifferenceView, limit: int = COMMENT_LIMIT) -> str:
    """Return Markdown of at most ``limit`` bytes: with many changes, each section shows its first ones."""
    for entries, lines in _STEPS:
        text = _markdown(view, entries, lines)
        if len(text.encode("utf-8", "replace")) <= limit:
            return text
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _markdown(view: DifferenceView, entry_limit: int, line_limit: int) -> str:
    parts = [f"### Python {view.target}: {_escape(view.headline)}", "", _escape(view.worse), ""]
    runs = [_run_cells("before", view.old), _run_cells("after", view.new)]
    parts += [*markdown_table(["", "Report", "Commit", *COUNT_TITLES], runs), ""]
    is_short = False
    for section in view.sections:
        parts += [f"#### {section.title} ({section.count})", ""]
        parts += [section.note, ""] if section.note else []
        for entry in section.entries[:entry_limit]:
            parts += _markdown_entry(entry, line_limit)
            is_short |= len(entry.lines) > line_limit
        hidden = section.entries[entry_limit:]
        parts += [_hidden_entries(section, hidden)] if hidden else []
        is_short |= bool(hidden)
        parts.append("")
    parts += [f"> {_escape(remark)}" for remark in view.remarks]
    parts += [view.unchanged] if view.unchanged else []
    parts += ["", "Shortened: `py312 diff` shows everything."] if is_short else []
    return "\n".join(parts).rstrip("\n") + "\n"


def _run_cells(label: str, run: RunSummary) -> list[str]:
    report = f"{_escape(shorten(run.origin, 80))}, {_escape(run.ended_at)}"
    return [label, report, _escape(run.commit) or "unknown", *map(str, run.counts)]


def _markdown_entry(entry: Entry, line_limit: int) -> list[str]:
    lines = [f"- **{_escape(entry.title(_NAMES_LIMIT))}**: {_escape(entry.state)}"]
    for line in entry.lines[:line_limit]:
        label = f"{line.label}: " if line.label else ""
        lines.append(f"  - {label}{_escape(shorten(_sentence(line), _TEXT_LIMIT))}")
        if line.remedy:
            lines[-1] += f". Remedy: {_escape(shorten(line.remedy, _TEXT_LIMIT))}"
    hidden = len(entry.lines) - line_limit
    return [*lines, f"  - and {hidden} more"] if hidden > 0 and line_limit else lines


def _hidden_entries(section: Section, hidden: Sequence[Entry]) -> str:
    names = [_escape(name) for entry in hidden for name in entry.services]
    return (
        f"- and {list_names(names, _NAMES_LIMIT)}"
        if len(hidden) < len(section.entries)
        else (f"- {list_names(names, _NAMES_LIMIT)}")
    )


def _escape(text: str) -> str:
    return escape_markdown(escape_terminal(text)).replace("#", "\\#").replace("@", "&#64;")


# ---- HTML


def format_html(view: DifferenceView) -> str:
    """Return a page that needs nothing else: no script, no other file."""
    return html_page.render_page(
        PAGE_FOLDER / "difference.html.j2", PAGE_FOLDER / "history.css", view=view, count_titles=COUNT_TITLES
    )
