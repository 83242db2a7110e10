"""Read comments ``# py312: ignore[PY201] reason``, which suppress findings of a line."""

import io
import re
import tokenize

from pytest_py312.analysis.scanner.facts.facts import SuppressionComment

MARKER = "py312:"
_COMMENT = re.compile(r"#\s*py312:\s*ignore\b\s*(?:\[(?P<codes>[^\]]*)\])?\s*[-:]*\s*(?P<reason>.*)", re.DOTALL)


def read_suppressions(text: str) -> tuple[SuppressionComment, ...]:
    """Return all suppression comments of a file. A comment on a line of its own applies to the next line with code."""
    if MARKER not in text:
        return ()
    suppressions: list[SuppressionComment] = []
    standalone: list[SuppressionComment] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                match = _COMMENT.match(token.string)
                if match:
                    is_standalone = not token.line[: token.start[1]].strip()
                    (standalone if is_standalone else suppressions).append(_suppression_of(match, token))
            elif token.type not in _INSIGNIFICANT_TOKENS and standalone:
                suppressions += [comment._replace(line=token.start[0]) for comment in standalone]
                standalone = []
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        pass  # the rest cannot be tokenized; the compilers report why
    return tuple(sorted(suppressions + standalone, key=lambda comment: comment.comment_line))


_INSIGNIFICANT_TOKENS = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT})


def _suppression_of(match: re.Match[str], token: tokenize.TokenInfo) -> SuppressionComment:
    codes = tuple(code.strip().upper() for code in (match["codes"] or "").split(",") if code.strip())
    line, column = token.start
    return SuppressionComment(line, column + 1, codes, match["reason"].strip(), line)
