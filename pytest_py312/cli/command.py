"""What a command of ``py312`` is: its name, its help, its arguments, and the function that runs it."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

AddArguments = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command of ``py312``.

    ``function`` is ``module:function`` below ``pytest_py312.cli``, which takes the parsed options and returns the exit
    code. It is imported when the command runs, so that the other commands start fast. Each of ``arguments`` adds
    arguments to the parser.
    """

    name: str
    help: str
    function: str
    arguments: tuple[AddArguments, ...] = ()

    def load(self) -> Callable[..., Any]:
        """Import the function that runs the command."""
        module, _, name = self.function.partition(":")
        function: Callable[..., Any] = getattr(import_module(f"pytest_py312.cli.{module}"), name)
        return function


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutCommand(Command):
    """A command of the rollout. Its function takes the options and a ``RolloutContext``, and returns the text to print
    and the exit code.

    ``works_from_journal``: it does not need the plan, because the journal has recorded what it needs: a rollback must
    not fail because of a typo in a file.
    """

    works_from_journal: bool = False


def argument(*names: str, **settings: Any) -> AddArguments:
    """Return what adds one argument; the parameters are those of ``ArgumentParser.add_argument``."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(*names, **settings)

    return add


def option(name: str, metavar: str, help: str, **settings: Any) -> AddArguments:
    """Return what adds an option with one value."""
    return argument(name, metavar=metavar, help=help, **settings)


def repeated_option(name: str, metavar: str, help: str) -> AddArguments:
    """Return what adds an option that may be repeated."""
    return option(name, metavar, help, action="append", default=[])


def several_values(name: str, metavar: str, help: str) -> AddArguments:
    """Return what adds an option with at least one value."""
    return option(name, metavar, help, nargs="+", default=[])


def flag(*names: str, help: str) -> AddArguments:
    """Return what adds an option without a value."""
    return argument(*names, action="store_true", help=help)


def exactly_one(*arguments: AddArguments) -> AddArguments:
    """Return what adds arguments of which exactly one has to be given."""

    def add(parser: argparse.ArgumentParser) -> None:
        group: Any = parser.add_mutually_exclusive_group(required=True)
        for add_argument in arguments:
            add_argument(group)

    return add
