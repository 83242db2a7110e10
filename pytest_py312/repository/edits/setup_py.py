"""Change the specifier or the comment of a literal requirement in a setup.py. No code is executed."""

import ast
from collections.abc import Iterator

from pytest_py312.core.text_edits import EditRefused, annotate_line
from pytest_py312.repository.edits.setuptools import Span, with_specifier
from pytest_py312.repository.formats.setuptools import parse_module, read_setup_py, read_setup_py_dependencies
from pytest_py312.repository.formats.text_positions import SourcePositions


def set_specifier(text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str:
    """Return ``text`` with ``specifier`` for the requirement ``name`` in a string on ``line`` (from 1).

    :param old: the specifier that has to be there now, in any equal spelling; ``None``: any.
    :raises EditRefused: there is no such requirement, it is computed, or it cannot be edited on its own.
    """
    spans = [span for number, span in _requirement_strings(text) if number == line]
    return with_specifier(text, read_setup_py_dependencies, spans, line=line, name=name, specifier=specifier, old=old)


def annotate(text: str, *, line: int, comment: str) -> str:
    """Return ``text`` with ``# py312: comment`` at the end of ``line``, which has a requirement.

    :raises EditRefused: there is none, or a comment would change what the file means.
    """
    module = parse_module(text)
    spans = [span for number, span in _requirement_strings(text) if number == line]
    if module is None or not spans:
        raise EditRefused(f"Line {line} holds no requirement that can be annotated.")
    end = min((position for mark in "\r\n" if (position := text.find(mark, spans[-1][1])) >= 0), default=len(text))
    start = spans[-1][1]
    edited = text[:start] + annotate_line(text[start:end], comment) + text[end:]
    reparsed = parse_module(edited)
    if reparsed is None or ast.dump(reparsed) != ast.dump(module):
        raise EditRefused("A comment there would change what the file means.")
    return edited


def _requirement_strings(text: str) -> Iterator[tuple[int, Span]]:
    """Yield (line, span) of each line of each string with literal requirements."""
    nodes, source = read_setup_py(text).nodes, SourcePositions(text)
    for keyword in ("install_requires", "extras_require"):
        for node in ast.walk(nodes[keyword]) if keyword in nodes else ():
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            start, end = source.string_content(node)[0]
            raw = text[start:end]
            exact = raw.replace("\r\n", "\n") == node.value
            for offset, piece in enumerate(raw.split("\n") if exact else ()):
                yield node.lineno + offset, (start, start + len(piece.rstrip()))
                start += len(piece) + 1
