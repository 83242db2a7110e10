"""What a scanning process does: files in, facts out. It imports no more than that takes, as its start is waited for."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_py312.analysis.scanner.facts.facts import packed
from pytest_py312.analysis.scanner.gc_pause import no_collector
from pytest_py312.analysis.scanner.scan import scan_text


def facts_of(row: Sequence[Any]) -> list[Any]:
    """The packed facts of a file. Its row: path, content as Latin-1, local modules
    (``analysis.files.parallel_scan.Task.row``).
    """
    path, text, local = row
    return packed(scan_text(text.encode("latin-1"), path, local=frozenset(local)))


def work(asked: str, answered: str) -> None:
    """Scan the files told of in ``asked`` into ``answered``."""
    rows = json.loads(Path(asked).read_bytes())
    with no_collector():
        facts = [facts_of(row) for row in rows]
    Path(answered).write_text(json.dumps(facts), encoding="utf-8")
