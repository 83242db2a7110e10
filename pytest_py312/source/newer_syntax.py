"""Files whose syntax is newer than the Python that runs pytest: an interpreter that reads it scans them.

The scanner takes a tree from the parser of the Python that it runs on. Where that refuses a file, the same scanner is
run by the target, which is handed the text and gives the facts; neither runs anything of the repository.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pytest_py312.model import InterpreterBuild
from pytest_py312.source.exchange import Door, Exchange, batches
from pytest_py312.source.facts import FileFacts
from pytest_py312.source.memory import Memory
from pytest_py312.source.scanning import SCAN_LIMIT, Task, remembered, scanner_version

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
            said = self._exchange(build, "scan_probe.py", batch, _document, SCAN_LIMIT)
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
    return {file.name: file.read_bytes() for file in Path(__file__).parent.glob("*.py")}


def _document(tasks: Sequence[Task]) -> str:
    return json.dumps({"files": [task.row for task in tasks]})
