"""Entry point of ``py312``: parse the command line, run one command, print what is wrong."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from pytest_py312 import __version__
from pytest_py312.cli.command import RolloutCommand
from pytest_py312.cli.commands import COMMANDS, TEST_COMMAND
from pytest_py312.cli.common import escape_line, log, read_plan, write_output
from pytest_py312.core.directories import STATE_FOLDER
from pytest_py312.core.errors import OptionError, Py312Error, did_you_mean
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import (
    Terminated,
    discard_output,
    enable_interrupts,
    interrupt_on_termination,
    print_or_discard,
)
from pytest_py312.repository.plan.loader import default_plan


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 for success, 1 if something is missing, 4 for a user error.

    128 and the number of the signal if SIGINT, SIGTERM or SIGHUP ended it.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    enable_interrupts()
    try:
        with interrupt_on_termination():
            return _run_command(words)
    except Py312Error as error:
        log(f"py312: {error}")
        return error.exit_code
    except Terminated as interruption:
        return interruption.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader has closed the pipe (`| head`); without this Python would report an error when it flushes
        discard_output(sys.stdout)
        return 0


def _run_command(words: Sequence[str]) -> int:
    options = parse_arguments(words)
    if not options.command:
        build_parsers()[0].print_help()
        return 0
    command = COMMANDS[options.command]
    code: int = _run_in_rollout(command, options) if isinstance(command, RolloutCommand) else command.load()(options)
    print_or_discard("", sys.stdout)
    return code


# ---- the command line


class _ArgumentParser(argparse.ArgumentParser):
    """argparse with the exit codes and messages of this tool."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}; see `{self.prog} --help`")


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; ``pytest_arguments`` of the result are those of ``py312 test`` after ``--``.

    :raises OptionError: there is no such command or argument; the message proposes a similar one.
    """
    command_name = next((word for word in words if not word.startswith("-")), "")
    if command_name and command_name not in COMMANDS:
        raise OptionError(
            f"there is no command {command_name}{did_you_mean(command_name, tuple(COMMANDS))}; "
            f"the commands are {', '.join(COMMANDS)}"
        )
    separator = words.index("--") if command_name == TEST_COMMAND and "--" in words else len(words)
    parser, parser_by_command = build_parsers()
    options, unknown_words = parser.parse_known_args(words[:separator])
    options.pytest_arguments = list(words[separator + 1 :])
    if unknown_words:
        known_words = tuple(parser_by_command[options.command]._option_string_actions) if options.command else ()
        suggestion = did_you_mean(unknown_words[0].partition("=")[0], known_words)
        raise OptionError(
            f"{unknown_words[0]} is not an argument of this command{suggestion}; "
            f"see `py312 {options.command or ''} --help`"
        )
    return options


def build_parsers() -> tuple[_ArgumentParser, Mapping[str, _ArgumentParser]]:
    """Return the parser of the command line, and the parsers of the commands."""
    parser = _ArgumentParser(
        prog="py312",
        allow_abbrev=False,
        description="Inspect the services of a repository, and run their rollout. The gate itself is `pytest --py312`.",
    )
    parser.add_argument("--version", action="version", version=f"py312 {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_ArgumentParser)
    for command in COMMANDS.values():
        command_parser = subparsers.add_parser(command.name, help=command.help, description=command.help)
        for add_arguments in command.arguments:
            add_arguments(command_parser)
    return parser, subparsers.choices


# ---- rollout


def _run_in_rollout(command: RolloutCommand, options: argparse.Namespace) -> int:
    from pytest_py312.core.progress.display import progress_on_stderr
    from pytest_py312.rollout.context import RolloutContext
    from pytest_py312.rollout.execution.target_factory import connect_target

    plan, plan_problem = _read_rollout_plan(command, options)
    state = Path(options.state_dir).expanduser() if options.state_dir else plan.root / STATE_FOLDER
    with ExitStack() as exit_stack:
        if not getattr(options, "no_progress", True):  # only commands that may wait for long have the argument
            exit_stack.enter_context(progress_on_stderr(os.environ))
        context = RolloutContext(
            plan=plan,
            state_dir=state.absolute(),
            target=lambda: exit_stack.enter_context(connect_target(context.settings(), options.env)),
            log=log,
            plan_problem=plan_problem,
        )
        text, code = command.load()(options, context)
    write_output("".join(escape_line(line) for line in text.splitlines(keepends=True)))
    return int(code)


def _read_rollout_plan(command: RolloutCommand, options: argparse.Namespace) -> tuple[Plan, str]:
    """Return the plan; or the default plan, and why the real one cannot be used, for what works from the journal."""
    needs_journal_only = command.works_from_journal or getattr(options, "rollback", False)
    try:
        plan = read_plan(options)
    except Py312Error as error:
        if not needs_journal_only:
            raise
        log(f"py312: the plan cannot be used, so the journal's record of it applies: {error}")
        return default_plan(_journal_root(options)), str(error)
    return (default_plan(_journal_root(options)) if needs_journal_only and not plan.source else plan), ""


def _journal_root(options: argparse.Namespace) -> Path:
    """Return the nearest folder with a state folder, at or above the given path; without a plan this is its place."""
    start = (Path(options.plan).parent if options.plan is not None else Path(options.path)).absolute()
    return next((folder for folder in (start, *start.parents) if (folder / STATE_FOLDER).is_dir()), start)


if __name__ == "__main__":
    sys.exit(main())
