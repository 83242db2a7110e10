"""Files whose syntax is newer than the Python that runs pytest: an interpreter that reads it scans them.

The scanner takes a tree from the parser of the Python that it runs on. Where that refuses a file, the same scanner is
run by the target, which is handed the text and gives the facts; neither runs anything of the repository.

Which files may hold syntax that Python 3.8 does not know: only these does the baseline's compiler have to read.

Nothing here says that there *is* new syntax; but where nothing is found, there is none.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pytest_py312.analysis.files.parallel_scan import SCAN_LIMIT, Task, remembered, scanner_version
from pytest_py312.analysis.oracle.probe_protocol import Door, Exchange, batches
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.core.json_cache import Memory
from pytest_py312.core.model.measurements import InterpreterBuild

SCAN_PROBE = "pytest_py312/analysis/scanner/scan_probe.py"
BATCH_BYTES = 512 * 1024
"""Of source that one process scans: it prints the facts, and of what it prints some MiB are kept."""


class NewerSyntax:
    """Scans with other interpreters, and remembers. Safe for threads and for several runs on one cache folder."""

    def __init__(self, *, cache: Path, door: Door) -> None:
        self._folder = cache / "scanner" / scanner_version()
        self._exchange = Exchange(door=door, folder=self._folder, files=_scanner_files)

    def scan(self, tasks: Sequence[Task], build: InterpreterBuild) -> Mapping[str, FileFacts]:
        """The facts of those of ``tasks`` that ``build`` reads, by their keys; of none where it is no newer than we.

        :raises Unanswered: it could not be asked. What the door raises passes through.
        """
        if not tasks or (build.interpreter.major, build.interpreter.minor) <= sys.version_info[:2]:
            return {}
        memory = Memory(self._folder / f"{build.digest}.json")
        missing = [task for task in tasks if memory.get(task.key) is None]
        fresh: dict[str, Any] = {}
        for batch in batches(missing, lambda task: len(task.content), BATCH_BYTES):
            said = self._exchange(build, SCAN_PROBE, batch, _document, SCAN_LIMIT)
            # what an interpreter gave up on it is asked about again: that may be for want of memory
            fresh |= {batch[number].key: data for number, data in said if not isinstance(data, str)}
        memory.keep(fresh, used=[task.key for task in tasks])
        found = {task.key: remembered(memory.get(task.key)) for task in tasks}
        return {key: facts for key, facts in found.items() if facts is not None and facts.failure is None}


def is_refused(facts: FileFacts) -> bool:
    """Whether a parser refused the file, and not its size or its encoding."""
    return facts.failure is not None and facts.failure.line is not None


@cache
def _scanner_files() -> Mapping[str, bytes]:
    root = Path(__file__).parents[3]
    scanner = sorted((Path(__file__).parents[1] / "scanner").rglob("*.py"))
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in scanner}


def _document(tasks: Sequence[Task]) -> str:
    return json.dumps({"files": [task.row for task in tasks]})


_BEFORE = 80
"""Bytes looked at in front of ``[*`` for what it follows."""

_PATTERNS = (
    (
        b"\n",
        re.compile(
            rb"\n[ \t]*(?:match\b(?:[ \t]*[(\[{]|[^\n]*:)|type[ \t]+\w[^\n]*=|with[ \t]*\(|async[ \t]+(?:with[ \t]*\("
            rb"|def[ \t]+\w+[ \t]*\[)|def[ \t]+\w+[ \t]*\[|class[ \t]+\w+[ \t]*\[|except[ \t]*\*)"
        ),
    ),
    (b"*", re.compile(rb"\*[ \t]*\w+[ \t]*:[ \t]*\*")),
    (b":=", re.compile(rb"[\[{,]\s*\w+[ \t]*:=")),
    (b"async", re.compile(rb"async[ \t]+for\b")),
    (b"{", re.compile(rb"[fF][rR]?(?:\"\"\"|'''|\"[^\"\n]*\{[^}\n]*[\"\\#\n]|'[^'\n]*\{[^}\n]*['\\#\n])")),
)
"""What each needs, and what it looks like behind the end of a line. Several patterns, each of which begins with few
characters, are searched much faster than one; and those that lack what they need are not searched at all."""

_STARRED = re.compile(rb"\[\s*\*")
_OPENS_DISPLAY = re.compile(
    rb"(?:[=(,\[{:+*%|&^<>-]|(?<=[^\w.])(?:return|in|yield|and|or|not|else|if|await|is|assert|for|from|while|lambda))"
    rb"\s*\Z"
)
"""What stands before ``[*items]``, a list as it always was. In ``table[*items]`` it stands behind a value."""


def may_be_new(content: bytes) -> bool:
    """Whether a file may hold syntax newer than 3.8."""
    text = b"\n" + content
    if any(needed in text and pattern.search(text) for needed, pattern in _PATTERNS):
        return True
    return any(_may_be_index(text, match.start()) for match in _STARRED.finditer(text))


def _may_be_index(text: bytes, place: int) -> bool:
    before = text[max(0, place - _BEFORE) : place]
    return b"#" in before or not _OPENS_DISPLAY.search(before)
