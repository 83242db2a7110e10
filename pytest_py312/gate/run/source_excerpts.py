"""The source lines that findings point at, read for those who show them.

Lines are counted as Python counts them: ``\\n``, ``\\r\\n`` and ``\\r`` end one, a form feed does not.
"""

import io
import re
import tokenize
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.files import Refused, read_regular
from pytest_py312.core.model.findings import Finding, Location, Outcome, Severity
from pytest_py312.repository.tree import decode

SIZE_LIMIT = 2 * 1024 * 1024
"""Bytes of a file that is looked into."""
LONGEST = 10_000
"""Characters of a line that is kept; of a longer one (minified, generated) nothing is."""

_FILES_KEPT = 32
_LINE_END = re.compile(r"\r\n|\r|\n")


class SourceLines:
    """Lines of the files beneath ``root``. The files last asked for are kept, as they were when first read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: OrderedDict[str, list[str]] = OrderedDict()

    def laid_into(self, outcome: Outcome) -> Outcome:
        """``outcome`` with the source lines of its errors that nobody has accepted: those are shown in full."""
        findings = tuple(self._with_line(finding) for finding in outcome.findings)
        return replace(outcome, findings=findings) if findings != outcome.findings else outcome

    def _with_line(self, finding: Finding) -> Finding:
        accepted = finding.waived or finding.known
        if finding.severity is not Severity.ERROR or accepted or finding.source_line or finding.location is None:
            return finding
        line = self.line(finding.location)
        return replace(finding, source_line=line) if line else finding

    def line(self, place: Location) -> str:
        """The line at ``place`` without its end; empty where there is none, or none that can be read."""
        if place.line is None:
            return ""
        lines = self._lines(place.path)
        text = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
        return text if len(text) <= LONGEST else ""

    def _lines(self, path: str) -> list[str]:
        if path not in self._files:
            try:
                text = _decoded(read_regular(self._root, path, SIZE_LIMIT), path)
            except Refused:
                text = ""
            self._files[path] = _LINE_END.split(text)
            if len(self._files) > _FILES_KEPT:
                self._files.popitem(last=False)
        self._files.move_to_end(path)
        return self._files[path]


def _decoded(content: bytes, path: str) -> str:
    """The text: of a Python file in the encoding that it declares, where that is one of text and fits."""
    if path.endswith((".py", ".pyi")):
        with suppress(SyntaxError, ValueError, LookupError):  # ValueError: the file is in another encoding
            return content.decode(tokenize.detect_encoding(io.BytesIO(content).readline)[0])
    return decode(content)
