"""Edits of the requirements that a setup.py lists literally. No code is executed."""

import ast
from collections.abc import Iterator

from pytest_py312.core.text_edits import EditRefused, annotated
from pytest_py312.repository.edits.setuptools import Span, with_specifier
from pytest_py312.repository.formats.setuptools import module_of, read_setup_py, read_setup_py_dependencies
from pytest_py312.repository.formats.text_positions import SourceText


def set_specifier(text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str:
    """``text`` with ``specifier`` for the requirement ``name`` that stands in a string on ``line`` (from 1).

    :param old: the specifier that must be there now, in any equal spelling; ``None``: any.
    :raises EditRefused: there is no such requirement, it is computed, or it cannot be edited by itself.
    """
    spans = [span for number, span in _strings(text) if number == line]
    return with_specifier(text, read_setup_py_dependencies, spans, line=line, name=name, specifier=specifier, old=old)


def annotate(text: str, *, line: int, comment: str) -> str:
    """``text`` with ``# py312: comment`` at the end of ``line``, on which a requirement stands.

    :raises EditRefused: there is none, or a comment would change what the file says.
    """
    module = module_of(text)
    here = [span for number, span in _strings(text) if number == line]
    if module is None or not here:
        raise EditRefused(f"Line {line} holds no requirement that can be annotated.")
    end = min((place for mark in "\r\n" if (place := text.find(mark, here[-1][1])) >= 0), default=len(text))
    start = here[-1][1]
    edited = text[:start] + annotated(text[start:end], comment) + text[end:]
    after = module_of(edited)
    if after is None or ast.dump(after) != ast.dump(module):
        raise EditRefused("A comment there would change what the file says.")
    return edited


def _strings(text: str) -> Iterator[tuple[int, Span]]:
    """(Line, place) of each line of each string in which requirements stand as they are."""
    nodes, source = read_setup_py(text).nodes, SourceText(text)
    for keyword in ("install_requires", "extras_require"):
        for node in ast.walk(nodes[keyword]) if keyword in nodes else ():
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            start, end = source.content(node)[0]
            raw = text[start:end]
            exact = raw.replace("\r\n", "\n") == node.value
            for offset, piece in enumerate(raw.split("\n") if exact else ()):
                yield node.lineno + offset, (start, start + len(piece.rstrip()))
                start += len(piece) + 1
