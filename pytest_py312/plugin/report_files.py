"""Write the report files of a session, annotations for a GitHub workflow, and the summary of its job."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.errors import describe_internal_error
from pytest_py312.core.files import append_to_document, write_document
from pytest_py312.core.model.report import Report
from pytest_py312.plugin.command_line import checkout_root, report_ending


class ReportWriter:
    """Writer of reports at the end of a session.

    :param annotations: ``github``, ``none``, or ``auto``: only in a GitHub workflow.
    """

    def __init__(self, root: Path, files: tuple[Path, ...], *, annotations: str) -> None:
        self._root = root
        self._files = files
        self._is_forced = annotations == "github"
        self._annotates = self._is_forced or (annotations != "none" and os.environ.get("GITHUB_ACTIONS") == "true")
        self._summary = "" if annotations == "none" else os.environ.get("GITHUB_STEP_SUMMARY", "")
        self._errors: dict[Path, str] = {}

    def write(self, session: pytest.Session, report: Report) -> None:
        """Write all reports. Failures are reported, and a requested file that cannot be written fails the run."""
        for path in self._files:
            if not self._write_report(path, report):
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        if self._summary:
            from pytest_py312.gate.reports import markdown

            path = Path(self._summary)
            remaining = markdown.SIZE_LIMIT - (path.stat().st_size if path.is_file() else 0)
            text = markdown.render(report, limit=remaining) if remaining > 0 else ""
            self._write_file(path, text, append_to_document)

    def _write_report(self, path: Path, report: Report) -> bool:
        """Write one report. An error of ours in it leaves the others as they are."""
        try:
            return self._write_file(path, self._render(path, report), write_document)
        except Exception as error:
            self._errors[path] = f"{path} could not be written: {describe_internal_error(error)}"
            return False

    def _render(self, path: Path, report: Report) -> str:
        """Render the report in the file's format, importing only the module of that format."""
        ending = report_ending(path)
        if ending == ".html":
            from pytest_py312.gate.reports import html

            return html.render(report)
        if ending == ".md":
            from pytest_py312.gate.reports import markdown

            return markdown.render(report)
        if ending.startswith(".sarif"):
            from pytest_py312.gate.reports import sarif

            return sarif.render(report, prefix=self._prefix(""))
        if ending == ".json":
            from pytest_py312.gate.reports import json_report

            return json_report.render(report)
        from pytest_py312.gate.reports import benchmark_export

        side = benchmark_export.ExportedSide[ending.split(".")[1].upper()]
        return (benchmark_export.for_pyperf if "pyperf" in ending else benchmark_export.for_pytest_benchmark)(
            report, side
        )

    @staticmethod
    def _missing_extra_hint(path: Path, report: Report) -> str:
        """Return a hint if a page lacks something because an extra is not installed."""
        if report_ending(path) != ".html" or not report.benchmarks:
            return ""
        from pytest_py312.gate.reports import charts

        return "" if charts.can_draw() else " (without charts: pip install 'pytest-py312[charts]' draws them)"

    def _write_file(self, path: Path, text: str, write: Callable[[Path, bytes], None]) -> bool:
        try:
            write(path, text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._errors[path] = f"{path} could not be written: {error.strerror or error}"
            return False
        return True

    def _prefix(self, workspace: str) -> str:
        """Return the path from the workspace, or from the checkout, to the plan's folder, such as ``platform/``."""
        root = self._root.resolve()
        start = Path(workspace).resolve() if workspace else checkout_root(root)
        inner = root.relative_to(start if root.is_relative_to(start) else checkout_root(root)).as_posix()
        return "" if inner == "." else f"{inner}/"

    def show(self, terminal: Any, report: Report) -> None:
        """Print what was written, and the annotations."""
        for path in self._files:
            if path not in self._errors:
                terminal.write_line(f"report: {path}{self._missing_extra_hint(path, report)}")
        for error in self._errors.values():
            terminal.write_line(error, red=True)
        if self._annotates:
            from pytest_py312.gate.reports import github_annotations

            terminal.ensure_newline()
            for line in github_annotations.command_lines(
                report, prefix=self._prefix(os.environ.get("GITHUB_WORKSPACE", ""))
            ):
                terminal.write_line(line)
