"""Detection of the interpreters of running processes."""

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.targets.common import (
    apply_self_reported,
    is_python_executable,
    parse_interpreters,
)

OLD, NEW = Interpreter(3, 9), Interpreter(3, 12)


def test_interpreters_are_recognized_by_name() -> None:
    assert is_python_executable("/usr/local/bin/python3.12")
    assert is_python_executable("python")
    assert is_python_executable("/opt/pypy3.9/bin/pypy3")
    assert not is_python_executable("/usr/bin/tini")


def test_versions_of_all_processes_are_parsed() -> None:
    assert parse_interpreters(b"Python 3.12.1\nPython 3.9.18+\nsh: \xff not found\n") == {OLD, NEW}
    assert parse_interpreters(b"Python\n") == set()


@pytest.mark.parametrize(
    ("processes", "body", "expected"),
    [
        ({OLD, NEW}, b"3.12.1", {NEW}),
        ({OLD}, b'{"python": "3.12.1"}', {OLD, NEW}),
        (set[Interpreter](), b"3.12.1 (main)", {NEW}),
        ({OLD}, b"version 13.12", {OLD}),
    ],
)
def test_a_reported_version_counts_if_a_process_confirms_it(
    processes: set[Interpreter], body: bytes, expected: set[Interpreter]
) -> None:
    assert apply_self_reported(processes, body) == expected
