"""Format benchmark comparisons, one line per benchmark, for the terminal and for Markdown."""

import math
from collections.abc import Iterable, Iterator

from pytest_py312.core.model.measurements import BenchmarkComparison, SpeedVerdict
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import StyledLine, TerminalFormat, escape_control, pluralize

_STYLES = {
    SpeedVerdict.SLOWER: "red",
    SpeedVerdict.FASTER: "green",
    SpeedVerdict.SAME: "green",
    SpeedVerdict.INCONCLUSIVE: "yellow",
    SpeedVerdict.NOT_COMPARABLE: "yellow",
}
OWN_BENCHMARK = "benchmark"
"""Kind of a service's own benchmarks."""
SUITE_TEST = "test"
"""Kind of single tests of the suite. There are many; they are listed where their time has changed."""
_KIND_ORDER = {OWN_BENCHMARK: 0, SUITE_TEST: 2}  # all other kinds come in between
_CHANGED_VERDICTS = (SpeedVerdict.SLOWER, SpeedVerdict.FASTER)


def comparisons_by_service(report: Report) -> dict[str, list[BenchmarkComparison]]:
    """Return the comparisons of each service in report order, with its own benchmarks first and its tests last."""
    return {
        service.name: comparisons
        for service in report.services
        if (
            comparisons := sorted(
                (speed for speed in report.benchmarks if speed.service == service.name),
                key=lambda speed: (_KIND_ORDER.get(speed.kind, 1), speed.kind, speed.name),
            )
        )
    }


def sorted_for_table(report: Report) -> list[BenchmarkComparison]:
    """Return all comparisons for one table: the services' own benchmarks, then common measurements, then tests."""
    comparisons = [speed for speeds in comparisons_by_service(report).values() for speed in speeds]
    return sorted(comparisons, key=lambda speed: _KIND_ORDER.get(speed.kind, 1))


def noteworthy(speeds: Iterable[BenchmarkComparison]) -> list[BenchmarkComparison]:
    """Return the comparisons without the tests that are inconclusive or unchanged."""
    return [speed for speed in speeds if speed.kind != SUITE_TEST or speed.verdict in _CHANGED_VERDICTS]


def format_ratio(ratio: float, low: float, high: float) -> str:
    """Format a ratio and its interval as ``1.42 (1.38 to 1.47)``. An interval without an upper end is omitted."""
    return f"{ratio:.2f} ({low:.2f} to {high:.2f})" if math.isfinite(high) else f"{ratio:.2f} (too few pairs)"


def format_measurement(speed: BenchmarkComparison, value: float) -> str:
    """Format a value of a benchmark with a suitable unit: ``1.2 ms``, ``34 MB``."""
    factor, unit = unit_of(speed, value)
    return f"{value / factor:.1f} {unit}" if speed.unit == "B" else f"{value / factor:.3g} {unit}"


def unit_of(speed: BenchmarkComparison, value: float) -> tuple[float, str]:
    """Return the size and the name of the unit in which a value of a benchmark is a short number."""
    if speed.unit == "B":
        return 1e6, "MB"
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    return next((unit for unit in units if value >= unit[0]), (1e-9, "ns"))


def benchmark_lines(report: Report, page: TerminalFormat) -> list[StyledLine]:
    """Return the terminal section on benchmarks; empty if nothing was measured."""
    by_service = comparisons_by_service(report)
    if not by_service:
        return []
    lines = [
        page.styled_line(
            ("Benchmarks", "bold"), (", as a ratio to the current Python: above 1 is slower or uses more", "")
        )
    ]
    for service, speeds in by_service.items():
        first = speeds[0]
        lines.append(
            page.styled_line((f"  {escape_control(service)}", ""), (f" {first.baseline} -> {first.target}", "dim"))
        )
        shown = speeds if page.verbosity >= 1 else noteworthy(speeds)
        for speed in shown:
            ratio = format_ratio(speed.ratio, speed.low, speed.high)
            lines.append(
                page.styled_line(
                    (f"    {speed.verdict.value:<14}", _STYLES[speed.verdict]),
                    (f"  {ratio:<22}  {escape_control(speed.name)}", ""),
                    (f"  {_pair_count_text(speed)}", "dim"),
                )
            )
        if len(shown) < len(speeds):
            hidden = pluralize(len(speeds) - len(shown), "measurement")
            lines.append(
                page.styled_line((f"    and {hidden} of tests that are unchanged or inconclusive, see -v", "dim"))
            )
    return lines


def _pair_count_text(speed: BenchmarkComparison) -> str:
    parts = [f"{len(speed.pairs)} pairs"]
    if speed.control is not None:
        parts.append(f"baseline against itself {format_ratio(*speed.control)}")
    return ", ".join(parts)


def benchmark_rows(report: Report) -> list[list[str]]:
    """Return the cells of the Markdown table, heading first; empty if nothing was measured."""
    rows = list(_table_rows(report))
    heading = ["Service", "What", "Verdict", "Ratio", "Baseline", "Target", "Pairs", "Baseline against itself"]
    return [heading, *rows] if rows else []


def _table_rows(report: Report) -> Iterator[list[str]]:
    for speed in noteworthy(sorted_for_table(report)):
        baseline_value, target_value = speed.medians
        control = format_ratio(*speed.control) if speed.control is not None else ""
        yield [
            escape_control(speed.service),
            escape_control(speed.name),
            speed.verdict.value,
            format_ratio(speed.ratio, speed.low, speed.high),
            format_measurement(speed, baseline_value) if speed.pairs else "",
            format_measurement(speed, target_value) if speed.pairs else "",
            str(len(speed.pairs)),
            control,
        ]
