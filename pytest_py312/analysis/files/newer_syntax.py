"""Handle files with syntax that is newer than the Python that runs pytest, or newer than the baseline.

The scanner uses the parser of the Python it runs on. If this parser rejects a file, the target runs the same scanner on
the text. Neither of them executes code of the repository.

:func:`may_use_new_syntax` tells which files the compiler of the baseline has to read: it has no false negatives, but
    may return true for a file without new syntax.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pytest_py312.analysis.files.parallel_scan import SCAN_LIMIT, ScanTask, decode_facts, scanner_version
from pytest_py312.analysis.oracle.probe_protocol import ProbeClient, ToolRunner, batches
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.core.json_cache import JsonCache
from pytest_py312.core.model.measurements import InterpreterBuild

SCAN_PROBE = "pytest_py312/analysis/scanner/scan_probe.py"
BATCH_BYTES = 512 * 1024
"""Bytes of source per process. The process prints the facts, and its output is limited to some MiB."""


class NewerSyntaxScanner:
    """Scanner that uses other interpreters and caches the facts. Safe for threads and for several runs on one cache."""

    def __init__(self, *, cache: Path, tool_runner: ToolRunner) -> None:
        self._folder = cache / "scanner" / scanner_version()
        self._probe_client = ProbeClient(tool_runner=tool_runner, folder=self._folder, probe_files=_scanner_files)

    def scan(self, tasks: Sequence[ScanTask], build: InterpreterBuild) -> Mapping[str, FileFacts]:
        """Return the facts of the ``tasks`` that ``build`` can parse, by key.

        The result is empty if ``build`` is not newer than the running Python.

        :raises InterpreterUnavailable: the interpreter could not be queried. Exceptions of the tool runner propagate.
        """
        if not tasks or (build.interpreter.major, build.interpreter.minor) <= sys.version_info[:2]:
            return {}
        facts_cache = JsonCache(self._folder / f"{build.digest}.json")
        missing = [task for task in tasks if facts_cache.get(task.key) is None]
        fresh: dict[str, Any] = {}
        for batch in batches(missing, lambda task: len(task.content), BATCH_BYTES):
            answers = self._probe_client(build, SCAN_PROBE, batch, _request_document, SCAN_LIMIT)
            # files that an interpreter gave up on are not cached: it may have run out of memory
            fresh |= {batch[number].key: data for number, data in answers if not isinstance(data, str)}
        facts_cache.put(fresh, used_keys=[task.key for task in tasks])
        facts_by_key = {task.key: decode_facts(facts_cache.get(task.key)) for task in tasks}
        return {key: facts for key, facts in facts_by_key.items() if facts is not None and facts.failure is None}


def has_syntax_error(facts: FileFacts) -> bool:
    """Return whether a parser rejected the file, as opposed to a wrong size or encoding."""
    return facts.failure is not None and facts.failure.line is not None


@cache
def _scanner_files() -> Mapping[str, bytes]:
    root = Path(__file__).parents[3]
    scanner = sorted((Path(__file__).parents[1] / "scanner").rglob("*.py"))
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in scanner}


def _request_document(tasks: Sequence[ScanTask]) -> str:
    return json.dumps({"files": [task.to_row for task in tasks]})


_LOOKBEHIND_BYTES = 80
"""Bytes before ``[*`` that are searched for what it follows."""

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
"""Bytes that a pattern requires, and the pattern. Several patterns that each start with few characters are much faster
than one, and a pattern is skipped if its bytes are missing.
"""

_STARRED = re.compile(rb"\[\s*\*")
_OPENS_DISPLAY = re.compile(
    rb"(?:[=(,\[{:+*%|&^<>-]|(?<=[^\w.])(?:return|in|yield|and|or|not|else|if|await|is|assert|for|from|while|lambda))"
    rb"\s*\Z"
)
"""Text before the list ``[*items]``, which is old syntax. In ``table[*items]`` the bracket follows a value."""


def may_use_new_syntax(content: bytes) -> bool:
    """Return whether a file may use syntax newer than 3.8."""
    text = b"\n" + content
    if any(needed in text and pattern.search(text) for needed, pattern in _PATTERNS):
        return True
    return any(_may_be_starred_index(text, match.start()) for match in _STARRED.finditer(text))


def _may_be_starred_index(text: bytes, position: int) -> bool:
    preceding = text[max(0, position - _LOOKBEHIND_BYTES) : position]
    return b"#" in preceding or not _OPENS_DISPLAY.search(preceding)
