"""``# py312: ignore[PY201] reason``: findings that a line is allowed to have."""

import io
import re
import tokenize

from pytest_py312.analysis.scanner.facts.facts import Ignore

MARK = "py312:"
_COMMENT = re.compile(r"#\s*py312:\s*ignore\b\s*(?:\[(?P<codes>[^\]]*)\])?\s*[-:]*\s*(?P<reason>.*)", re.DOTALL)


def read_ignores(text: str) -> tuple[Ignore, ...]:
    """All such comments of a file. One that stands alone on its line speaks of the next line with code."""
    if MARK not in text:
        return ()
    found: list[Ignore] = []
    waiting: list[Ignore] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                match = _COMMENT.match(token.string)
                if match:
                    alone = not token.line[: token.start[1]].strip()
                    (waiting if alone else found).append(_ignore(match, token))
            elif token.type not in _SPACE and waiting:
                found += [one._replace(line=token.start[0]) for one in waiting]
                waiting = []
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        pass  # what follows cannot be read; the compilers say so
    return tuple(sorted(found + waiting, key=lambda one: one.written))


_SPACE = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT})


def _ignore(match: re.Match[str], token: tokenize.TokenInfo) -> Ignore:
    codes = tuple(code.strip().upper() for code in (match["codes"] or "").split(",") if code.strip())
    line, column = token.start
    return Ignore(line, column + 1, codes, match["reason"].strip(), line)
