"""Print the parts of the gate's summary with pytest's terminal writer."""

from collections.abc import Iterable
from typing import Any

from pytest_py312.core.model.report import Report
from pytest_py312.core.text import StyledLine, escape_terminal
from pytest_py312.gate.report_files import ReportWriter
from pytest_py312.gate.run.known_findings_file import KnownFindings


def write_lines(writer: Any, lines: Iterable[StyledLine]) -> None:
    """Print styled lines."""
    for line in lines:
        for text, style in line.segments:
            markup = {"light" if style == "dim" else style: True} if style else {}
            writer.write(text, **markup)
        writer.write("\n")


def write_known_findings(writer: Any, known_findings: KnownFindings) -> None:
    """Print what was found of the recorded findings."""
    writer.section("recorded findings", sep="=")
    for text, style in known_findings.messages:
        indent = text[: len(text) - len(text.lstrip())]
        writer.write_line(indent + escape_terminal(text), **({style: True} if style else {}))


def write_report_files(writer: Any, report_writer: ReportWriter, report: Report) -> None:
    """Print which files were written, and the annotations."""
    for text, style in report_writer.messages(report):
        writer.write_line(text, **({style: True} if style else {}))
    annotations = report_writer.annotations(report)
    if annotations:
        writer.ensure_newline()
    for line in annotations:
        writer.write_line(line)
