"""The work of a scanning process: read files, write facts.

It imports as little as possible, because the caller waits for its start.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_py312.analysis.scanner.facts.facts import pack
from pytest_py312.analysis.scanner.gc_pause import gc_paused
from pytest_py312.analysis.scanner.scan import scan_text


def packed_facts(row: Sequence[Any]) -> list[Any]:
    """Return the packed facts of one file.

    ``row`` is path, content as Latin-1, and local modules (``analysis.files.parallel_scan``).
    """
    path, text, local_modules = row
    return pack(scan_text(text.encode("latin-1"), path, local_modules=frozenset(local_modules)))


def scan_files(request_file: str, result_file: str) -> None:
    """Scan the files listed in ``request_file`` and write their facts to ``result_file``."""
    rows = json.loads(Path(request_file).read_bytes())
    with gc_paused():
        facts = [packed_facts(row) for row in rows]
    Path(result_file).write_text(json.dumps(facts), encoding="utf-8")
