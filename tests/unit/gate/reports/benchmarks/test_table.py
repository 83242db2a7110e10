"""Benchmark comparisons in the terminal and in Markdown."""

from dataclasses import replace
from datetime import date

import pytest

from pytest_py312.core.model.measurements import BenchmarkComparison, SpeedVerdict
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.benchmarks.table import comparisons_by_service, format_measurement, sorted_for_table
from pytest_py312.gate.reports.markdown import render
from pytest_py312.gate.reports.terminal import summary_lines
from tests.support.fakes import service
from tests.support.report_samples import finding, judged, report_of, speed


def measured(*speeds: BenchmarkComparison) -> Report:
    services = [service("auth"), service("user-service")]
    return replace(report_of(judged(finding()), services=services), benchmarks=speeds)


def lines(report: Report, *, unicode: bool = True, verbosity: int = 0) -> list[str]:
    found = summary_lines(report, width=120, unicode=unicode, verbosity=verbosity, today=date(2026, 1, 1))
    return [line.text for line in found]


def test_a_line_has_verdict_ratio_interval_and_the_control() -> None:
    found = lines(measured(speed()))
    assert "  user-service 3.9 -> 3.12" in found
    [line] = [one for one in found if one.endswith("itself 1.00 (0.99 to 1.01)")]
    assert line.split("  ")[2].strip() == "slower"
    assert "1.42 (1.38 to 1.47)" in line
    assert "tests/test_speed.py::test_it  3 pairs" in line


def test_there_is_no_section_where_nothing_was_measured() -> None:
    assert not any(line.startswith("Benchmarks") for line in lines(measured()))
    assert "Benchmarks" not in render(measured())


def test_a_quiet_run_shows_only_what_blocks() -> None:
    assert not any(line.startswith("Benchmarks") for line in lines(measured(speed()), verbosity=-1))


def test_too_few_pairs_have_no_interval() -> None:
    found = lines(measured(speed(SpeedVerdict.INCONCLUSIVE, low=0.0, high=float("inf"), control=None)))
    assert any("inconclusive" in line and "1.42 (too few pairs)" in line for line in found)


def test_own_benchmarks_come_first_and_services_in_their_order() -> None:
    general = speed(kind="import", name="import of app")
    other = speed(service="auth")
    assert comparisons_by_service(measured(general, speed(), other)) == {
        "auth": [other],
        "user-service": [speed(), general],
    }


def test_the_table_of_the_page() -> None:
    """The median of each side has a suitable unit."""
    text = render(
        measured(speed(), speed(name="memory after import of a|b", kind="memory", unit="B", pairs=((2e7, 3e7),)))
    )
    assert "## Benchmarks (2)" in text
    assert (
        r"| user-service | tests/test\_speed.py::test\_it | slower | 1.42 (1.38 to 1.47) | 11 ms | 15 ms | 3 | "
        "1.00 (0.99 to 1.01) |"
    ) in text
    assert r"| memory after import of a\|b | slower | 1.42 (1.38 to 1.47) | 20.0 MB | 30.0 MB | 1 |" in text


def test_single_tests_are_shown_where_their_time_has_changed() -> None:
    """The terminal shows all of them with -v, after the others."""
    changed = speed(kind="test", name="time of tests/test_a.py::test_slow")
    others = [
        speed(SpeedVerdict.SAME, kind="test", name=f"time of tests/test_a.py::test_{number}") for number in range(3)
    ]
    report = measured(*others, changed, speed(kind="suite", name="time of the suite"), speed())
    found = lines(report)
    assert sum("time of tests/" in line for line in found) == 1
    assert "    and 3 measurements of tests that are unchanged or inconclusive, see -v" in found
    assert sum("time of tests/" in line for line in lines(report, verbosity=1)) == 4
    assert "## Benchmarks (3)" in render(report)
    assert [one.kind for one in sorted_for_table(report)] == ["benchmark", "suite", "test", "test", "test", "test"]


def test_a_long_table_keeps_the_services_own_benchmarks() -> None:
    """The number of omitted rows is stated."""
    general = [speed(kind="import", name=f"import of app{number}", service="auth") for number in range(205)]
    text = render(measured(*general, speed()))
    assert "## Benchmarks (206)" in text
    assert "\nand 6 more\n" in text
    assert r"tests/test\_speed.py::test\_it" in text


@pytest.mark.parametrize(
    ("value", "text"), [(12.5, "12.5 s"), (0.0123, "12.3 ms"), (4.2e-6, "4.2 µs"), (3.1e-8, "31 ns")]
)
def test_a_time_has_a_suitable_unit(value: float, text: str) -> None:
    assert format_measurement(speed(), value) == text
