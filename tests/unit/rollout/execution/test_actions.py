"""What the actions of a stage say when something else runs than was deployed."""

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.execution.actions import describe_interpreters


@pytest.mark.parametrize(
    ("running", "expected", "text"),
    [
        ("3.11", "3.12", "it runs on Python 3.11, not on 3.12"),
        ("3.9 3.10", "3.12", "it runs on Python 3.9, 3.10, not on 3.12"),
        (
            "3.11 3.12",
            "3.12",
            "Python 3.11 runs beside 3.12; if that is intended, set the service's `version` path",
        ),
    ],
)
def test_a_python_beside_the_expected_one_is_not_called_another(running: str, expected: str, text: str) -> None:
    interpreters = [Interpreter.parse(word) for word in running.split()]
    assert describe_interpreters(interpreters, Interpreter.parse(expected)) == text
