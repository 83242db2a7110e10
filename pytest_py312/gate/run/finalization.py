"""Complete the outcome that a check has returned. What is cached is the outcome before that.

Lines of the source end as in Python: with ``\\n``, ``\\r\\n`` or ``\\r``, but not with a form feed.
"""

import io
import re
import threading
import tokenize
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_py312.core.files import UnsafeFile, read_regular_file
from pytest_py312.core.model.findings import Finding, Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Waiver
from pytest_py312.gate.run.known_findings import KnownFindingsByKey, apply_known_findings
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.gate.run.waivers import apply_waivers, reevaluate, waivers_for
from pytest_py312.repository.tree import decode_text

SIZE_LIMIT = 2 * 1024 * 1024
"""Maximum size of a file that is read, in bytes."""
MAX_LINE_LENGTH = 10_000
"""Maximum length of a line in characters. A longer one (minified, generated) is left out."""

_MAX_CACHED_FILES = 32
_LINE_END = re.compile(r"\r\n|\r|\n")


class SourceLines:
    """Lines of the files below ``root``. The most recently used files are cached. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: OrderedDict[str, list[str]] = OrderedDict()
        self._lock = threading.Lock()

    def annotate(self, outcome: Outcome) -> Outcome:
        """Add the source lines to the errors of ``outcome`` that are neither waived nor known."""
        findings = tuple(self._with_source_line(finding) for finding in outcome.findings)
        return replace(outcome, findings=findings) if findings != outcome.findings else outcome

    def _with_source_line(self, finding: Finding) -> Finding:
        accepted = finding.waived or finding.known
        if finding.severity is not Severity.ERROR or accepted or finding.source_line or finding.location is None:
            return finding
        line = self.line_at(finding.location)
        return replace(finding, source_line=line) if line else finding

    def line_at(self, location: Location) -> str:
        """Return the line at ``location`` without its line end; empty if it does not exist or cannot be read."""
        if location.line is None:
            return ""
        with self._lock:
            lines = self._lines(location.path)
        text = lines[location.line - 1] if 0 < location.line <= len(lines) else ""
        return text if len(text) <= MAX_LINE_LENGTH else ""

    def _lines(self, path: str) -> list[str]:
        if path not in self._files:
            try:
                text = _decode_source(read_regular_file(self._root, path, SIZE_LIMIT), path)
            except UnsafeFile:
                text = ""
            self._files[path] = _LINE_END.split(text)
            if len(self._files) > _MAX_CACHED_FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(path)
        return self._files[path]


def _decode_source(content: bytes, path: str) -> str:
    """Decode a file; a Python file with its declared encoding, if that is valid."""
    if path.endswith((".py", ".pyi")):
        with suppress(SyntaxError, ValueError, LookupError):  # ValueError: the file is in another encoding
            return content.decode(tokenize.detect_encoding(io.BytesIO(content).readline)[0])
    return decode_text(content)


class HookFailure(Exception):
    """A hook of another plugin has failed, or has changed what it may not. ``str()`` says which, and what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finalizer:
    """What completes the outcomes of a run: plugins, the plan's waivers, the recorded findings, lines of source."""

    waivers: tuple[Waiver, ...]
    known_findings: KnownFindingsByKey
    source_lines: SourceLines
    change_finding: Callable[[Service, Finding], Finding] | None = None
    """Asks other plugins; raises :class:`HookFailure`."""

    def finalize(
        self, outcome: Outcome, task: CheckTask, *, is_target: bool, seconds: float = 0.0, cached: bool = False
    ) -> Outcome:
        """Return ``outcome`` with waived and known findings, the lines that they are about, and its time.

        :param is_target: the cell is the service's last, where a waiver that is not needed is reported.
        """
        waivers = waivers_for(self.waivers, task.cell.service)
        outcome = self._with_changes(outcome, task.cell.service)
        outcome = apply_waivers(outcome, waivers, task.check.codes, is_target=is_target)
        if self.known_findings:
            outcome = apply_known_findings(outcome, self.known_findings)
        return replace(self.source_lines.annotate(outcome), seconds=round(seconds, 3), cached=cached)

    def _with_changes(self, outcome: Outcome, service: Service) -> Outcome:
        """Return the outcome with its findings as other plugins see them; errored if a plugin fails."""
        if self.change_finding is None or not outcome.findings:
            return outcome
        try:
            changed = reevaluate(outcome, [self.change_finding(service, finding) for finding in outcome.findings])
        except HookFailure as failure:
            return replace(outcome, status=Status.ERRORED, reason=str(failure))
        if outcome.status is Status.FAILED and not any(finding.blocks for finding in outcome.findings):
            # no severity made it fail, so none that is lowered makes it pass
            return replace(changed, status=Status.FAILED, reason=outcome.reason)
        return changed
