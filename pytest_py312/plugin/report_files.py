"""What a session leaves for others: report files, annotations in a GitHub workflow, and the summary of its job."""

import os
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.report import Report
from pytest_py312.plugin.command_line import checkout_of, ending_of


class Reports:
    """Writes reports at the end of a session, and says where they are.

    :param annotations: ``github``, ``none``, or ``auto``: GitHub's where a workflow of it runs this.
    """

    def __init__(self, root: Path, files: tuple[Path, ...], *, annotations: str) -> None:
        self._root = root
        self._files = files
        self._asked = annotations == "github"
        self._annotated = self._asked or (annotations != "none" and os.environ.get("GITHUB_ACTIONS") == "true")
        self._summary = "" if annotations == "none" else os.environ.get("GITHUB_STEP_SUMMARY", "")
        self._unwritten: list[str] = []

    def write(self, session: pytest.Session, report: Report) -> None:
        """Write everything. What cannot be written is told, and a file that was asked for fails the run."""
        for path in self._files:
            if not self._written(path, self._text(path, report), "w"):
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        if self._summary:
            from pytest_py312.gate.reports import markdown

            path = Path(self._summary)
            room = markdown.SIZE_LIMIT - (path.stat().st_size if path.is_file() else 0)
            self._written(path, markdown.render(report, limit=room) if room > 0 else "", "a")

    def _text(self, path: Path, report: Report) -> str:
        """Each form is loaded where it is asked for."""
        ending = ending_of(path)
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

        side = benchmark_export.Side[ending.split(".")[1].upper()]
        return (benchmark_export.for_pyperf if "pyperf" in ending else benchmark_export.for_pytest_benchmark)(
            report, side
        )

    @staticmethod
    def _lack(path: Path, report: Report) -> str:
        """What a page would have with an extra that is not installed."""
        if ending_of(path) != ".html" or not report.speeds:
            return ""
        from pytest_py312.gate.reports import charts

        return "" if charts.can_draw() else " (without charts: pip install 'pytest-py312[charts]' draws them)"

    def _written(self, path: Path, text: str, mode: str) -> bool:
        try:
            with path.open(mode, encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            self._unwritten.append(f"{path} could not be written: {error.strerror or error}")
            return False
        return True

    def _prefix(self, workspace: str) -> str:
        """The way from the workspace, or else from the checkout, to the folder of the plan: ``platform/``."""
        root = self._root.resolve()
        start = Path(workspace).resolve() if workspace else checkout_of(root)
        inner = root.relative_to(start if root.is_relative_to(start) else checkout_of(root)).as_posix()
        return "" if inner == "." else f"{inner}/"

    def show(self, terminal: Any, report: Report) -> None:
        """Say what was written, and annotate."""
        for path in self._files:
            if not self._unwritten:
                terminal.write_line(f"report: {path}{self._lack(path, report)}")
        for complaint in self._unwritten:
            terminal.write_line(complaint, red=True)
        if self._annotated:
            from pytest_py312.gate.reports import github_annotations

            terminal.ensure_newline()
            for line in github_annotations.lines(report, prefix=self._prefix(os.environ.get("GITHUB_WORKSPACE", ""))):
                terminal.write_line(line)
