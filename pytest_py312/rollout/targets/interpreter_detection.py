"""How processes are asked for the interpreter they run on, and what they answer. Pure: the targets do the asking."""

import re

from pytest_py312.core.model.findings import Interpreter

ASK_ALL = (
    "for link in /proc/[0-9]*/exe; do program=$(readlink $link 2>/dev/null) || continue; "
    'case "${program##*/}" in python*|pypy*) $link -V 2>&1;; esac; done'
)
"""For a shell: the interpreter of every process. The very program that runs is asked, not the one that a PATH finds."""
ASK_FIRST = ("/proc/1/exe", "-V")
"""The same of the first process alone, where there is no shell. Only of one that is known to be an interpreter."""
ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer that are looked at."""

_VERSION = re.compile(r"Python (\d+)\.(\d+)\.\d", re.ASCII)
_IN_TEXT = re.compile(r"(?<![\d.])3\.\d{1,2}(?=\.\d|\b)", re.ASCII)


def is_python(path: str) -> bool:
    """Whether a program is an interpreter, by its name."""
    return path.rpartition("/")[2].startswith(("python", "pypy"))


def interpreters_in(printed: bytes) -> set[Interpreter]:
    """Those that have told their version, as ``python -V`` does."""
    text = printed.decode("utf-8", "replace")
    return {Interpreter(int(major), int(minor)) for major, minor in _VERSION.findall(text)}


def with_own_word(found: set[Interpreter], body: bytes) -> set[Interpreter]:
    """``found``, those of the processes, in the light of what the service says itself at its ``version`` path.

    Where the service says so itself and such a process runs, others beside it (a supervisor on the distribution's
    Python) do not matter. Where no process bears it out, both are told.
    """
    words = _IN_TEXT.findall(body.decode("utf-8", "replace"))
    itself = {Interpreter.parse(word) for word in words[:1]}
    return itself if itself and itself <= found else found | itself
