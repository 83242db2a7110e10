"""What wrappers start, and what a test of the shell says: words in, words or an answer out."""

import pytest

from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.formats.commands.shell_functions import (
    arguments_of_runner,
    evaluate_test,
    started_program,
)


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("poetry run pytest -x", "pytest -x"),
        ("uv run --group dev -- pytest run", "pytest run"),
        ("hatch -e test run pytest", "pytest"),
        ("pytest run", "pytest run"),
    ],
)
def test_what_runs_in_an_environment(command: str, program: str) -> None:
    assert " ".join(started_program(command.split())) == program


def test_a_function_that_runs_its_arguments_may_have_numbers_in_front() -> None:
    assert arguments_of_runner(["retry", "5", "2", "pip", "install", "x"]) == ["pip", "install", "x"]
    assert arguments_of_runner(["retry"]) is None


@pytest.mark.parametrize(
    ("test", "result"),
    [
        ("a = a ]", True),
        ("a != a ]]", False),
        ("! a = b", True),
        ("-n x", True),
        ("-f there", True),
        ("-f elsewhere", None),
        (f"{UNKNOWN}$X{UNKNOWN} = a", None),
        (f"-z {UNKNOWN}$EMPTY{UNKNOWN}", True),
        ("-gt 1 2", None),
    ],
)
def test_a_test_of_the_shell(test: str, result: bool | None) -> None:
    assert evaluate_test(test.split(" "), {"EMPTY"}, lambda path: path == "there") is result
