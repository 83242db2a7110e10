"""Commands and options that the documentation names exist, and are used as it says."""

import re
from pathlib import Path

import pytest

from pytest_py312.cli.commands import COMMANDS
from pytest_py312.cli.main import parse_arguments
from tests.documentation.commands import (
    NOT_RUN,
    ROOT,
    ShownCommand,
    commands_in,
    logical_lines,
    pages,
    pytest_options,
    wrong_option,
)

PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
OPTION = re.compile(r"(?<![\w-])--py312(?:-[a-z0-9]+)*(?![\w-])")
COMMAND = re.compile(r"`py312 ([a-z][a-z-]*)")


def problem_of(command: ShownCommand) -> str:
    """Return what is wrong with a command; empty if it can be typed as it is printed, or is not of this project."""
    if command.program == "pytest" or command.words[1:3] == ("-m", "pytest"):
        return wrong_option(command.words)
    if command.program == "py312":
        try:
            parse_arguments(command.words[1:])
        except Exception as error:
            return str(error)
        return ""
    return "" if command.program in NOT_RUN else "neither parsed nor marked in NOT_RUN"


@PAGES
def test_commands_can_be_typed_as_they_are_printed(page: Path) -> None:
    """Those of pytest and ``py312`` are parsed; for others it is recorded why no test runs them."""
    problems = {str(command): problem_of(command) for command in commands_in(page)}
    assert {command: problem for command, problem in problems.items() if problem} == {}


@PAGES
def test_options_and_commands_in_the_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known = set(pytest_options()._option_string_actions)
    assert set(OPTION.findall(text)) - known == set()
    assert set(COMMAND.findall(text)) - set(COMMANDS) == set()


def test_a_wrong_option_is_reported() -> None:
    assert wrong_option(("pytest", "--py312-stge=2")) == "there is no option --py312-stge=2"
    assert "expected one argument" in wrong_option(("pytest", "--py312-stage"))
    assert wrong_option(("pytest", "-q", "--py312", "--py312-stage=2", "services/user")) == ""


def test_commands_are_read_from_a_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\n# a comment\nPY312_PYTHON_3_9=/python pytest --py312 \\\n    services && py312 status > file # why\n"
        "```\n\n```yaml\n- run: py312 merge a.json --commit=${{ github.sha }}\n```\n",
        encoding="utf-8",
    )
    assert [(command.line, command.words) for command in commands_in(page)] == [
        (3, ("pytest", "--py312", "services")),
        (3, ("py312", "status")),
        (8, ("py312", "merge", "a.json", "--commit=VALUE")),
    ]


def test_a_text_of_several_lines_is_one_command() -> None:
    assert list(logical_lines("jq '.a\n | .b'\nls\n")) == [(0, "jq '.a  | .b'"), (2, "ls")]
