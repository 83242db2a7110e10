"""Change the specifier of a requirement in a setup.cfg."""

import re
from collections.abc import Iterator

from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.edits.setuptools import Span, with_specifier
from pytest_py312.repository.formats.setuptools import read_setup_cfg_dependencies

_KEY = re.compile(r"[^\s=:#;\[][^=:]*?[ \t]*[=:]")
_COMMENT = re.compile(r"(?:^|\s)#.*", re.DOTALL)
_PIECE = re.compile(r"[^;]+")


def set_specifier(text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str:
    """Return ``text`` with ``specifier`` for the requirement ``name`` on ``line`` (from 1).

    :param old: the specifier that has to be there now, in any equal spelling; ``None``: any.
    :raises EditRefused: there is no such requirement, or it cannot be edited on its own.
    """
    return with_specifier(
        text,
        read_setup_cfg_dependencies,
        _requirement_spans(text, line),
        line=line,
        name=name,
        specifier=specifier,
        old=old,
    )


def annotate(text: str, *, line: int, comment: str) -> str:
    """Refuse: older versions of setuptools read the comment as a part of the requirement.

    :raises EditRefused: always.
    """
    raise EditRefused("In setup.cfg a comment would be read as a part of the requirement.")


def _requirement_spans(text: str, line: int) -> Iterator[Span]:
    """Yield the line's value, and its pieces between semicolons, which separate requirements and markers."""
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
