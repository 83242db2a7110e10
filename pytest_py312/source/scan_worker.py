"""What a scanning process does: files in, facts out. It imports no more than that takes, as its start is waited for."""

import json
from pathlib import Path

from pytest_py312.source.collector import no_collector
from pytest_py312.source.facts import packed
from pytest_py312.source.scan import scan_text


def work(asked: str, answered: str) -> None:
    """Scan the files told of in ``asked`` (path, content as Latin-1, names of local modules) into ``answered``."""
    rows = json.loads(Path(asked).read_bytes())
    with no_collector():
        facts = [packed(scan_text(text.encode("latin-1"), path, local=frozenset(local))) for path, text, local in rows]
    Path(answered).write_text(json.dumps(facts), encoding="utf-8")
