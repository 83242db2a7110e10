"""Compile files inside the queried interpreter and report errors and warnings.

Run as ``python -I -S compiler_probe.py``: standard library only, for Python 3.8 and later. Reads one JSON document from
stdin, ``{"files": [base64, ...], "memory": bytes}``, and compiles each file as an import would. Writes a JSON line for
each, ``[number, [[error, category, message, line, column], ...]]``, then ``["end"]``. If a file crashes the compiler,
it is the first without a line. Compiled code is not executed.
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

    CompilerMessage = list[Any]

REPORTED_CATEGORIES = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, SyntaxWarning)
MAX_TEXT_LENGTH = 400
MAX_MESSAGES = 100
"""Messages that are reported for one file."""


def compiler_messages(text: bytes, name: str, log: list[warnings.WarningMessage]) -> list[CompilerMessage]:
    """Return the messages of the compiler about a file."""
    del log[:]
    try:
        compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        message = str(error.msg or error)
        # without a line the column is meaningless
        column = error.offset if error.lineno and error.offset and error.offset > 0 else None
        error_message = [True, type(error).__name__, message[:MAX_TEXT_LENGTH], max(1, error.lineno or 1), column]
        return [error_message, *reported_warnings(text, name, log)]
    except Exception as error:  # null bytes, too deep nesting, an unknown encoding, ...
        return [[True, type(error).__name__, str(error)[:MAX_TEXT_LENGTH] or "it does not compile", 1, None]]
    return reported_warnings(text, name, log)


def reported_warnings(text: bytes, name: str, log: list[warnings.WarningMessage]) -> list[CompilerMessage]:
    messages: dict[tuple[str, str, int, int | None], None] = {}
    for item in log:
        if not issubclass(item.category, REPORTED_CATEGORIES):
            continue
        message = str(item.message)[:MAX_TEXT_LENGTH]
        if item.filename == name:
            messages[(item.category.__name__, message, max(1, item.lineno), None)] = None
        elif "~" in message:
            # constant folding has no position, so the warning names that of the caller
            for line, column in inverted_booleans(text):
                messages[(item.category.__name__, message, line, column)] = None
    return [[False, *key] for key in list(messages)[:MAX_MESSAGES]]


def inverted_booleans(text: bytes) -> list[tuple[int, int]]:
    """Return lines and columns (from 1) of ``~True`` and ``~False``."""
    return sorted(
        (node.lineno, node.col_offset + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.Invert)
        and isinstance(node.operand, ast.Constant)
        and isinstance(node.operand.value, bool)
    )


def limit_memory(limit: int) -> None:
    """Limit the memory of this process, where the system supports it. A larger file then raises a MemoryError."""
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
            messages = compiler_messages(base64.b64decode(encoded), f"<file {number}>", log)
            os.write(answers, json.dumps([number, messages]).encode("ascii") + b"\n")
    os.write(answers, b'["end"]\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
