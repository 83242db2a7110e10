"""Runs inside an interpreter that reads newer syntax than the one that runs pytest: ``python -I -S scan_probe.py``.

Standard library only, with the scanner beside it. Reads one JSON document from stdin, ``{"files": [[path, content as
Latin-1, [local module, ...]], ...]}``, and writes a line of JSON for each file, ``[number, facts]``, then ``["end"]``.
"""

import json
import os
import sys

_ROOT = os.path.abspath(os.path.join(__file__, *[".."] * 4))  # noqa: PTH100, PTH118 - pathlib is slow to import
sys.path.insert(0, _ROOT)
from pytest_py312.analysis.scanner.gc_pause import no_collector  # noqa: E402 - found only now
from pytest_py312.analysis.scanner.scan_worker import facts_of  # noqa: E402 - as above


def main() -> int:
    request = json.loads(sys.stdin.buffer.read().decode("ascii"))
    answers = os.dup(1)
    os.dup2(2, 1)
    with no_collector(), os.fdopen(answers, "w", encoding="ascii") as lines:
        for number, row in enumerate(request["files"]):
            lines.write(json.dumps([number, facts_of(row)]) + "\n")
            lines.flush()  # what comes may be the end of this process
        lines.write('["end"]\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
