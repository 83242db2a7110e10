"""Runs inside the interpreter that judges syntax: ``python -I -S compiler_probe.py``.

Standard library only, for Python 3.8 and later. Reads one JSON document from stdin, ``{"files": [base64, ...],
"memory": bytes}``, compiles each file as it would be imported, and writes a line of JSON for each, ``[number,
[[error, category, message, line, column], ...]]``, then ``["end"]``: if a file takes the compiler down, it is the first
without a line. Nothing that is compiled is run.
"""

from __future__ import annotations

import ast
import base64
import json
import os
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    Complaint = list[Any]

TOLD = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, SyntaxWarning)
LONGEST_TEXT = 400
MOST_COMPLAINTS = 100
"""Of one file: who has more of them knows what to look for."""


def complaints_of(text: bytes, name: str, log: list[warnings.WarningMessage]) -> list[Complaint]:
    """What the compiler says of a file."""
    del log[:]
    try:
        compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        message = str(error.msg or error)
        # the column of an error that has no line is that of nothing
        column = error.offset if error.lineno and error.offset and error.offset > 0 else None
        refusal = [True, type(error).__name__, message[:LONGEST_TEXT], max(1, error.lineno or 1), column]
        return [refusal, *warned(text, name, log)]
    except Exception as error:  # null bytes, nesting that is too deep, an encoding that is none, ...
        return [[True, type(error).__name__, str(error)[:LONGEST_TEXT] or "it does not compile", 1, None]]
    return warned(text, name, log)


def warned(text: bytes, name: str, log: list[warnings.WarningMessage]) -> list[Complaint]:
    found: dict[tuple[str, str, int, int | None], None] = {}
    for item in log:
        if not issubclass(item.category, TOLD):
            continue
        message = str(item.message)[:LONGEST_TEXT]
        if item.filename == name:
            found[(item.category.__name__, message, max(1, item.lineno), None)] = None
        elif "~" in message:
            # given while constants are folded, when the compiler knows no place: it names that of its caller
            for line, column in inverted_truths(text):
                found[(item.category.__name__, message, line, column)] = None
    return [[False, *key] for key in list(found)[:MOST_COMPLAINTS]]


def inverted_truths(text: bytes) -> list[tuple[int, int]]:
    """Where ``~True`` and ``~False`` stand: lines and columns, from 1."""
    return sorted(
        (node.lineno, node.col_offset + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.Invert)
        and isinstance(node.operand, ast.Constant)
        and isinstance(node.operand.value, bool)
    )


def limit_memory(limit: int) -> None:
    """A file that takes more is answered with a MemoryError, where the system can do that."""
    try:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    except (ImportError, OSError, ValueError):
        return


def main() -> int:
    request = json.loads(sys.stdin.buffer.read().decode("ascii"))
    limit_memory(request["memory"])
    answers = os.dup(1)
    os.dup2(2, 1)
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        for number, encoded in enumerate(request["files"]):
            said = complaints_of(base64.b64decode(encoded), f"<file {number}>", log)
            os.write(answers, json.dumps([number, said]).encode("ascii") + b"\n")
    os.write(answers, b'["end"]\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
