"""The one line of what a process printed that says best why it ended. Pure."""

import re

_LOOKED_AT = 20_000
"""Characters of the end of what was printed."""
_LONGEST = 400
_EXCEPTION = re.compile(
    r"(?:E\s+)?(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Exit|Configured|NotFound|Failed)(?::\s.*)?"
)
"""The last line of a traceback, as Python or pytest prints it."""
_RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*Warning: .+")
"""A warning that a filter has made an error of."""
_USAGE = re.compile(r"(?:[\w./-]+: )?(?:error|ERROR): .+")
_WIDE = 80
"""Columns: a line of so many was folded where it ends, if another one follows."""
_NOT_ONE = re.compile(r"^[~^\s|]*$|^\s*hint:|^note: |^\[.*\]$")


def last_words(output: str) -> str:
    """That line without a leading ``E``; empty where nothing was printed.

    The last exception goes before the last warning, that before the last ``error: ...``, and all before whatever was
    printed last. What a narrow terminal has folded is put together again.
    """
    lines = [line.strip() for line in output[-_LOOKED_AT:].splitlines()]
    lines = [line for line in lines if not (line and _NOT_ONE.match(line))]
    for pattern in (_EXCEPTION, _RAISED, _USAGE):
        for number in range(len(lines) - 1, -1, -1):
            if pattern.fullmatch(lines[number]):
                return _shortened(re.sub(r"^E\s+", "", _unfolded(lines, number)))
    return _shortened(next(filter(None, reversed(lines)), ""))


def _unfolded(lines: list[str], number: int) -> str:
    """The line with those after it that it was folded into."""
    end = number + 1
    while end < min(len(lines), number + 4) and len(lines[end - 1]) >= _WIDE and lines[end]:
        if lines[end].startswith("inifile: "):
            break
        end += 1
    return " ".join(lines[number:end])


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
