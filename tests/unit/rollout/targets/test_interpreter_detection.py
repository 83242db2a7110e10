"""What processes answer when they are asked for their interpreter."""

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.targets.interpreter_detection import interpreters_in, is_python, with_own_word

OLD, NEW = Interpreter(3, 9), Interpreter(3, 12)


def test_programs_that_are_interpreters() -> None:
    assert is_python("/usr/local/bin/python3.12")
    assert is_python("python")
    assert is_python("/opt/pypy3.9/bin/pypy3")
    assert not is_python("/usr/bin/tini")


def test_every_process_has_told_its_own() -> None:
    assert interpreters_in(b"Python 3.12.1\nPython 3.9.18+\nsh: \xff not found\n") == {OLD, NEW}
    assert interpreters_in(b"Python\n") == set()


@pytest.mark.parametrize(
    ("processes", "body", "told"),
    [
        ({OLD, NEW}, b"3.12.1", {NEW}),
        ({OLD}, b'{"python": "3.12.1"}', {OLD, NEW}),
        (set[Interpreter](), b"3.12.1 (main)", {NEW}),
        ({OLD}, b"version 13.12", {OLD}),
    ],
)
def test_what_a_service_says_counts_where_a_process_bears_it_out(
    processes: set[Interpreter], body: bytes, told: set[Interpreter]
) -> None:
    assert with_own_word(processes, body) == told
