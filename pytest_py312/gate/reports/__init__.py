"""Render a finished run as terminal text, HTML, Markdown, JSON, SARIF, JUnit and GitHub annotations.

These modules see ``core`` only: the report and the values in it.
"""

from collections.abc import Mapping

from pytest_py312.core.model.report import Report

FORMATS = ("html", "md", "json", "sarif", "junit")
"""The formats that have all findings."""
FORMAT_OF_ENDING: Mapping[str, str] = {
    ".html": "html",
    ".md": "md",
    ".sarif.json": "sarif",
    ".sarif": "sarif",
    ".junit.xml": "junit",
    ".baseline.pyperf.json": "baseline.pyperf",
    ".target.pyperf.json": "target.pyperf",
    ".baseline.pytest-benchmark.json": "baseline.pytest-benchmark",
    ".target.pytest-benchmark.json": "target.pytest-benchmark",
    ".json": "json",
}
"""Endings of report files and their formats; the first ending that fits counts."""
_ENDINGS_WITHOUT_SIDE = (".pyperf.json", ".pytest-benchmark.json")
"""Endings of benchmark exports that do not name a side, and so are invalid."""


def format_of_file(name: str) -> str:
    """Return the format of a report file; empty if its ending is none of :data:`FORMAT_OF_ENDING`."""
    ending = next((ending for ending in FORMAT_OF_ENDING if name.endswith(ending)), "")
    return "" if ending == ".json" and name.endswith(_ENDINGS_WITHOUT_SIDE) else FORMAT_OF_ENDING.get(ending, "")


def render(report: Report, report_format: str, *, prefix: str) -> bytes:
    """Return a report file. Only the module of its format is imported.

    :param prefix: the path from the checkout to the plan's folder, such as ``platform/``.
    """
    return _render(report, report_format, prefix).encode("utf-8", "backslashreplace")


def _render(report: Report, report_format: str, prefix: str) -> str:
    if report_format == "html":
        from pytest_py312.gate.reports import html

        return html.render(report)
    if report_format == "md":
        from pytest_py312.gate.reports import markdown

        return markdown.render(report)
    if report_format == "sarif":
        from pytest_py312.gate.reports import sarif

        return sarif.render(report, prefix=prefix)
    if report_format == "junit":
        from pytest_py312.gate.reports import junit

        return junit.render(report)
    if report_format == "json":
        from pytest_py312.gate.reports import json_report

        return json_report.render(report)
    from pytest_py312.gate.reports.benchmarks import export

    side, _, tool = report_format.partition(".")
    convert = export.for_pyperf if tool == "pyperf" else export.for_pytest_benchmark
    return convert(report, export.ExportedSide[side.upper()])
