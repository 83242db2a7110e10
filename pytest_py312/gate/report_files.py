"""Write the report files of a run, annotations for a GitHub workflow, and the summary of its job."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_py312.core.directories import path_in_checkout
from pytest_py312.core.errors import describe_internal_error
from pytest_py312.core.files import append_to_document, write_document
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports import format_of_file, render


class ReportWriter:
    """Writer of reports at the end of a run.

    :param root: the folder of the plan.
    :param formats: formats of files whose endings do not determine them.
    :param annotations: ``github``, ``none``, or ``auto``: only in a GitHub workflow.
    :param prefix: the path from the checkout to the folder of the plan; default: that of ``root``.
    """

    def __init__(
        self,
        root: Path,
        files: tuple[Path, ...],
        *,
        annotations: str,
        formats: Mapping[Path, str] | None = None,
        prefix: str | None = None,
    ) -> None:
        self._root = root
        self._files = files
        self._formats = {path: format_of_file(path.name) for path in files} | dict(formats or {})
        self._prefix = prefix
        self._is_forced = annotations == "github"
        self._annotates = self._is_forced or (annotations != "none" and os.environ.get("GITHUB_ACTIONS") == "true")
        self._summary = "" if annotations == "none" else os.environ.get("GITHUB_STEP_SUMMARY", "")
        self._errors: dict[Path, str] = {}

    def write(self, report: Report) -> bool:
        """Write all reports, and return whether each requested file could be written: if not, the run has failed."""
        written = [self._write_report(path, report) for path in self._files]
        if self._summary:
            from pytest_py312.gate.reports import markdown

            path = Path(self._summary)
            remaining = markdown.SIZE_LIMIT - (path.stat().st_size if path.is_file() else 0)
            text = markdown.render(report, limit=remaining) if remaining > 0 else ""
            self._write_file(path, text.encode("utf-8", "backslashreplace"), append_to_document)
        return all(written)

    def _write_report(self, path: Path, report: Report) -> bool:
        """Write one report. An error of ours in it leaves the others as they are."""
        try:
            prefix = path_in_checkout(self._root) if self._prefix is None else self._prefix
            return self._write_file(path, render(report, self._formats[path], prefix=prefix), write_document)
        except Exception as error:
            self._errors[path] = f"{path} could not be written: {describe_internal_error(error)}"
            return False

    def _missing_extra_hint(self, path: Path, report: Report) -> str:
        """Return a hint if a page lacks something because an extra is not installed."""
        if self._formats[path] != "html" or not report.benchmarks:
            return ""
        from pytest_py312.gate.reports.benchmarks import charts

        return "" if charts.can_draw() else " (without charts: pip install 'pytest-py312[charts]' draws them)"

    def _write_file(self, path: Path, content: bytes, write: Callable[[Path, bytes], None]) -> bool:
        try:
            write(path, content)
        except OSError as error:
            self._errors[path] = f"{path} could not be written: {error.strerror or error}"
            return False
        return True

    def messages(self, report: Report) -> list[tuple[str, str]]:
        """Return what was written, and what could not be: lines with their styles."""
        written = [
            (f"report: {path}{self._missing_extra_hint(path, report)}", "")
            for path in self._files
            if path not in self._errors
        ]
        return written + [(error, "red") for error in self._errors.values()]

    def annotations(self, report: Report) -> list[str]:
        """Return the commands that annotate a workflow of GitHub; none elsewhere."""
        if not self._annotates:
            return []
        from pytest_py312.gate.reports import github_annotations

        workspace = os.environ.get("GITHUB_WORKSPACE", "")
        prefix = path_in_checkout(self._root, workspace) if self._prefix is None else self._prefix
        return list(github_annotations.command_lines(report, prefix=prefix))
