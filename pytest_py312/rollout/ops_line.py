"""The words of the commands around a rollout, as :mod:`.command_line` has those of the rollout itself."""

import argparse
from typing import Any

from pytest_py312.rollout.command_line import add_place

OPERATING = {
    "doctor": "see whether a rollout can be relied on here: engine, clocks, disks, journal, images; changes nothing",
}
"""Look before, prove afterwards."""


def add_operating(commands: Any) -> None:
    """Add each command to the subparsers of ``py312``."""
    for name, text in OPERATING.items():
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        add_place(parser)
        parser.add_argument("--state-dir", metavar="DIR", help="where the journal lies (default: .py312 by the plan)")
        parser.add_argument("--env", default="test", metavar="NAME", help="the environment (default: test)")
        parser.add_argument("--json", action="store_true", help="print a JSON document")
        _ADDED[name](parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, metavar="N", help="only the services of this stage")


_ADDED = {"doctor": _doctor}
