"""Draws architecture.svg: architecture.py, without arguments. The boxes are the packages, from what users start."""

from html import escape
from pathlib import Path

COLUMN, ROW, GAP, MARGIN = 330, 64, 22, 20
STYLE = (
    "text{font-family:system-ui,sans-serif;fill:#1f2937}.name{font-size:15px;font-weight:600}.what{font-size:12px}"
    ".page{fill:#fff}.box{fill:#eef2ff;stroke:#4f46e5}line{stroke:#6b7280;stroke-width:1.5;marker-end:url(#head)}"
)
"""Its own background, so that it can be read in a dark page as well."""
BOXES = (
    (0, 0, 2, 1, "plugin/, cli/", "what users start: pytest --py312, and the command py312"),
    (0, 1, 1, 1, "gate/", "checks · items · fixes · reports: is a service ready?"),
    (1, 1, 1, 3, "rollout/", "deploy · monitor · accept or roll back"),
    (0, 2, 1, 1, "analysis/", "scanner · oracle · judging: what does code use?"),
    (0, 3, 1, 1, "dependencies/", "resolve · diagnose · build · install · import"),
    (0, 4, 2, 1, "runners/", "where processes run: this machine, Docker"),
    (0, 5, 2, 1, "repository/", "plan · services · formats · edits: the repository under test"),
    (0, 6, 2, 1, "core/", "data classes, and the only doors to processes, files, clock and databases"),
)
"""Column, row, columns, rows, name and purpose; each imports only from those below it."""
ARROWS = ((0, 0), (1, 0), (0, 1), (0, 2), (0, 3), (1, 3), (0.5, 4), (0.5, 5))
"""Column and row below which an arrow points down."""


def top_of(row: int) -> int:
    return MARGIN + row * (ROW + GAP)


def middle_of(column: float) -> float:
    return MARGIN + column * (COLUMN + GAP) + COLUMN / 2


def box(column: int, row: int, columns: int, rows: int, name: str, purpose: str) -> str:
    width, height = columns * (COLUMN + GAP) - GAP, rows * (ROW + GAP) - GAP
    left, top = MARGIN + column * (COLUMN + GAP), top_of(row)
    middle, line = left + width / 2, top + height / 2
    return (
        f'<rect class="box" x="{left}" y="{top}" width="{width}" height="{height}" rx="8"/>'
        f'<text class="name" x="{middle:g}" y="{line - 5:g}" text-anchor="middle">{escape(name)}</text>'
        f'<text class="what" x="{middle:g}" y="{line + 15:g}" text-anchor="middle">{escape(purpose)}</text>'
    )


def arrow(column: float, row: int) -> str:
    middle, start = middle_of(column), top_of(row) + ROW
    return f'<line x1="{middle:g}" y1="{start}" x2="{middle:g}" y2="{start + GAP - 5}"/>'


def drawing() -> str:
    """Return the picture."""
    width, height = 2 * (COLUMN + GAP) - GAP + 2 * MARGIN, top_of(7) - GAP + MARGIN
    marker = (
        '<marker id="head" markerWidth="8" markerHeight="8" refX="4" refY="3" orient="auto">'
        '<path d="M0,0 L6,3 L0,6 z" fill="#6b7280"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="The packages of pytest-py312 in layers"><style>{STYLE}</style><defs>{marker}</defs>'
        f'<rect class="page" width="{width}" height="{height}"/>'
        f"{''.join(box(*values) for values in BOXES)}{''.join(arrow(*place) for place in ARROWS)}</svg>\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("architecture.svg").write_text(drawing(), encoding="utf-8")
