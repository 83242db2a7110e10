"""Read comments ``# py312: ignore[PY201] reason``, which suppress findings of a line."""

import io
import re
import tokenize
import warnings
from contextlib import suppress

from pytest_py312.analysis.scanner.facts.facts import SuppressionComment

MARKER = "py312:"
_COMMENT = re.compile(r"#\s*py312:\s*ignore\b\s*(?:\[(?P<codes>[^\]]*)\])?\s*[-:]*\s*(?P<reason>.*)", re.DOTALL)


def read_suppressions(text: str) -> tuple[SuppressionComment, ...]:
    """Return all suppression comments of a file. A comment on a line of its own applies to the next line with code."""
    if MARKER not in text:
        return ()
    suppressions: list[SuppressionComment] = []
    standalone: list[SuppressionComment] = []
    for token in _tokens(text):
        if token.type == tokenize.COMMENT:
            match = _COMMENT.match(token.string)
            if match:
                is_standalone = not token.line[: token.start[1]].strip()
                (standalone if is_standalone else suppressions).append(_suppression_of(match, token))
        elif token.type not in _INSIGNIFICANT_TOKENS and standalone:
            suppressions += [comment._replace(line=token.start[0]) for comment in standalone]
            standalone = []
    return tuple(sorted(suppressions + standalone, key=lambda comment: comment.comment_line))


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    """Return the tokens up to the first that is invalid: the compilers report why."""
    tokens: list[tokenize.TokenInfo] = []
    with suppress(tokenize.TokenError, SyntaxError, ValueError, RecursionError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the user's file: since 3.12, of escapes in f-strings
        tokens.extend(tokenize.generate_tokens(io.StringIO(text).readline))
    return tokens


_INSIGNIFICANT_TOKENS = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT})


def _suppression_of(match: re.Match[str], token: tokenize.TokenInfo) -> SuppressionComment:
    codes = tuple(code.strip().upper() for code in (match["codes"] or "").split(",") if code.strip())
    line, column = token.start
    return SuppressionComment(line, column + 1, codes, match["reason"].strip(), line)
