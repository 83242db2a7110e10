"""Edits of the requirements of a setup.cfg: the characters of one specifier."""

import re
from collections.abc import Iterator

from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.edits.setuptools import Span, with_specifier
from pytest_py312.repository.formats.setuptools import read_setup_cfg_dependencies

_KEY = re.compile(r"[^\s=:#;\[][^=:]*?[ \t]*[=:]")
_COMMENT = re.compile(r"(?:^|\s)#.*", re.DOTALL)
_PIECE = re.compile(r"[^;]+")


def set_specifier(text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str:
    """``text`` with ``specifier`` for the requirement ``name`` on ``line`` (from 1).

    :param old: the specifier that must be there now, in any equal spelling; ``None``: any.
    :raises EditRefused: there is no such requirement, or it cannot be edited by itself.
    """
    return with_specifier(
        text, read_setup_cfg_dependencies, _spans(text, line), line=line, name=name, specifier=specifier, old=old
    )


def annotate(text: str, *, line: int, comment: str) -> str:
    """:raises EditRefused: always, as older versions of setuptools take the comment for a part of the requirement."""
    raise EditRefused("A comment beside a requirement of setup.cfg would be read as a part of it.")


def _spans(text: str, line: int) -> Iterator[Span]:
    """The line's value, and its pieces: requirements on one line stand between semicolons, as markers do."""
    body = text.removeprefix("\ufeff")
    lines = body.splitlines(keepends=True)
    if not 0 < line <= len(lines):
        return
    start = len(text) - len(body) + sum(map(len, lines[: line - 1]))
    key = _KEY.match(lines[line - 1])
    first = key.end() if key and not lines[line - 1][:1].isspace() else 0
    value = _COMMENT.sub("", lines[line - 1][first:]).rstrip()
    yield start + first, start + first + len(value)
    for piece in _PIECE.finditer(value):
        yield start + first + piece.start(), start + first + piece.end()
