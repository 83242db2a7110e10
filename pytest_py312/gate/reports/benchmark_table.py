"""What was measured, one line for each benchmark: in the terminal and as Markdown. Pure."""

import math
from collections.abc import Iterable, Iterator

from pytest_py312.core.model.measurements import Comparison, Verdict
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import Page, StyledLine, counted, visible

_STYLES = {
    Verdict.SLOWER: "red",
    Verdict.FASTER: "green",
    Verdict.SAME: "green",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_COMPARABLE: "yellow",
}
OWN = "benchmark"
"""The kind of a service's own benchmarks."""
TEST = "test"
"""The kind of single tests of the suite: many, and of interest where their time has changed."""
_RANKS = {OWN: 0, TEST: 2}  # all other kinds are between
_CHANGED = (Verdict.SLOWER, Verdict.FASTER)


def ordered(report: Report) -> dict[str, list[Comparison]]:
    """The comparisons of each service, in the order of the services; its own benchmarks first, its tests last."""
    return {
        service.name: found
        for service in report.services
        if (
            found := sorted(
                (speed for speed in report.speeds if speed.service == service.name),
                key=lambda speed: (_RANKS.get(speed.kind, 1), speed.kind, speed.name),
            )
        )
    }


def in_rows(report: Report) -> list[Comparison]:
    """All comparisons for one table: what services measure themselves, then what every service has; by service."""
    found = [speed for speeds in ordered(report).values() for speed in speeds]
    return sorted(found, key=lambda speed: _RANKS.get(speed.kind, 1))


def telling(speeds: Iterable[Comparison]) -> list[Comparison]:
    """Without the tests of which nothing can be told, or whose time is the same."""
    return [speed for speed in speeds if speed.kind != TEST or speed.verdict in _CHANGED]


def ratio_text(ratio: float, low: float, high: float) -> str:
    """``1.42 (1.38 to 1.47)``: an interval whose end is not known is left out."""
    return f"{ratio:.2f} ({low:.2f} to {high:.2f})" if math.isfinite(high) else f"{ratio:.2f} (too few pairs)"


def seconds(speed: Comparison, value: float) -> str:
    """A measurement with a unit that suits it: ``1.2 ms``, ``34 MB``."""
    if speed.unit == "B":
        return f"{value / 1e6:.1f} MB"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def speed_lines(report: Report, page: Page) -> list[StyledLine]:
    """For the terminal: a section, or nothing where nothing was measured."""
    found = ordered(report)
    if not found:
        return []
    lines = [
        page.line(("Measured", "bold"), (", in ratio to the Python of today: above 1 is slower, or takes more", ""))
    ]
    for service, speeds in found.items():
        first = speeds[0]
        lines.append(page.line((f"  {visible(service)}", ""), (f" {first.baseline} -> {first.target}", "dim")))
        shown = speeds if page.verbosity >= 1 else telling(speeds)
        for speed in shown:
            ratio = ratio_text(speed.ratio, speed.low, speed.high)
            lines.append(
                page.line(
                    (f"    {speed.verdict.value:<14}", _STYLES[speed.verdict]),
                    (f"  {ratio:<22}  {visible(speed.name)}", ""),
                    (f"  {_aside(speed)}", "dim"),
                )
            )
        if len(shown) < len(speeds):
            hidden = counted(len(speeds) - len(shown), "measurement")
            lines.append(page.line((f"    and {hidden} of tests that take as long or cannot be told, see -v", "dim")))
    return lines


def _aside(speed: Comparison) -> str:
    parts = [f"{len(speed.pairs)} pairs"]
    if speed.control is not None:
        parts.append(f"itself {ratio_text(*speed.control)}")
    return ", ".join(parts)


def speed_table(report: Report) -> list[list[str]]:
    """For Markdown: the cells of a table, its heading first; nothing where nothing was measured."""
    rows = list(_rows(report))
    heading = ["Service", "What", "Verdict", "Ratio", "Before", "After", "Pairs", "Baseline by itself"]
    return [heading, *rows] if rows else []


def _rows(report: Report) -> Iterator[list[str]]:
    for speed in telling(in_rows(report)):
        before, after = speed.middles
        control = ratio_text(*speed.control) if speed.control is not None else ""
        yield [
            visible(speed.service),
            visible(speed.name),
            speed.verdict.value,
            ratio_text(speed.ratio, speed.low, speed.high),
            seconds(speed, before) if speed.pairs else "",
            seconds(speed, after) if speed.pairs else "",
            str(len(speed.pairs)),
            control,
        ]
