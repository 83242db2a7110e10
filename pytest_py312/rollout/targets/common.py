"""What all targets share: labels of the objects that they create, and commands that report the Python of processes.

The module is pure; the targets execute the commands inside containers.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_py312.core.model.findings import Interpreter

SERVICE_LABEL = "pytest-py312.rollout.service"
RUN_LABEL = "pytest-py312.rollout.run"

JsonObject = Mapping[str, Any]
"""A JSON object as an engine's API returns it."""


def printable_last_lines(log: bytes, count: int) -> Sequence[str]:
    """Return the last lines of a log without terminal control characters."""
    text = log.decode("utf-8", "replace")
    return ["".join(character for character in line if character.isprintable()) for line in text.splitlines()[-count:]]


# ---- Python versions of running processes


ALL_VERSIONS_SCRIPT = (
    "for link in /proc/[0-9]*/exe; do program=$(readlink $link 2>/dev/null) || continue; "
    'case "${program##*/}" in python*|pypy*) $link -V 2>&1;; esac; done'
)
"""Shell script that prints the version of the executable of each process whose name begins with ``python`` or ``pypy``.

It may differ from the one in PATH.
"""
FIRST_PROCESS_VERSION_COMMAND = ("/proc/1/exe", "-V")
"""The same for the first process only, without a shell. Use it only if that process is known to be Python."""
MAX_OUTPUT_BYTES = 64 * 1024
"""Maximum size of the output that is parsed."""

_VERSION = re.compile(r"Python (\d+)\.(\d+)\.\d", re.ASCII)
_VERSION_IN_TEXT = re.compile(r"(?<![\d.])3\.\d{1,2}(?=\.\d|\b)", re.ASCII)


def is_python_executable(path: str) -> bool:
    """Return whether a program is a Python interpreter, judging by its name."""
    return path.rpartition("/")[2].startswith(("python", "pypy"))


def parse_interpreters(output: bytes) -> set[Interpreter]:
    """Return the versions in the output of one or more ``python -V``."""
    text = output.decode("utf-8", "replace")
    return {Interpreter(int(major), int(minor)) for major, minor in _VERSION.findall(text)}


def apply_self_reported(detected: set[Interpreter], body: bytes) -> set[Interpreter]:
    """Apply the version that the service reports at its ``version`` path to those of its processes.

    If a process confirms the reported version, return only that: other interpreters in the container do not matter (for
    example a supervisor on the distribution's Python). Otherwise return both.
    """
    versions = _VERSION_IN_TEXT.findall(body.decode("utf-8", "replace"))
    self_reported = {Interpreter.parse(version) for version in versions[:1]}
    return self_reported if self_reported and self_reported <= detected else detected | self_reported
