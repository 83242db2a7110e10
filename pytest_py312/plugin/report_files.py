"""Write the report files of a session, annotations for a GitHub workflow, and the summary of its job."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.directories import path_in_checkout
from pytest_py312.core.errors import describe_internal_error
from pytest_py312.core.files import append_to_document, write_document
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports import format_of_file, render


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
            self._write_file(path, text.encode("utf-8", "backslashreplace"), append_to_document)

    def _write_report(self, path: Path, report: Report) -> bool:
        """Write one report. An error of ours in it leaves the others as they are."""
        try:
            content = render(report, format_of_file(path.name), prefix=path_in_checkout(self._root))
            return self._write_file(path, content, write_document)
        except Exception as error:
            self._errors[path] = f"{path} could not be written: {describe_internal_error(error)}"
            return False

    @staticmethod
    def _missing_extra_hint(path: Path, report: Report) -> str:
        """Return a hint if a page lacks something because an extra is not installed."""
        if format_of_file(path.name) != "html" or not report.benchmarks:
            return ""
        from pytest_py312.gate.reports import charts

        return "" if charts.can_draw() else " (without charts: pip install 'pytest-py312[charts]' draws them)"

    def _write_file(self, path: Path, content: bytes, write: Callable[[Path, bytes], None]) -> bool:
        try:
            write(path, content)
        except OSError as error:
            self._errors[path] = f"{path} could not be written: {error.strerror or error}"
            return False
        return True

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
                report, prefix=path_in_checkout(self._root, os.environ.get("GITHUB_WORKSPACE", ""))
            ):
                terminal.write_line(line)
