"""Scan files inside an interpreter that parses newer syntax than the one that runs pytest.

Run as ``python -I -S scan_probe.py``, with the standard library and a copy of the scanner only. Reads one JSON document
from stdin, ``{"files": [[path, content as Latin-1, [local module, ...]], ...]}``. Writes a JSON line for each file,
``[number, facts]``, then ``["end"]``.
"""

import json
import os
import sys

_ROOT = os.path.abspath(os.path.join(__file__, *[".."] * 4))  # noqa: PTH100, PTH118 - pathlib is slow to import
sys.path.insert(0, _ROOT)
from pytest_py312.analysis.scanner.gc_pause import gc_paused  # noqa: E402 - found only now
from pytest_py312.analysis.scanner.scan import packed_facts  # noqa: E402 - as above


def main() -> int:
    request = json.loads(sys.stdin.buffer.read().decode("ascii"))
    answers = os.dup(1)
    os.dup2(2, 1)
    with gc_paused(), os.fdopen(answers, "w", encoding="ascii") as lines:
        for number, row in enumerate(request["files"]):
            lines.write(json.dumps([number, packed_facts(row)]) + "\n")
            lines.flush()  # the next file may crash this process
        lines.write('["end"]\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
