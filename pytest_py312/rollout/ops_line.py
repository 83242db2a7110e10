"""The words of the commands around a rollout, as :mod:`.command_line` has those of the rollout itself."""

import argparse
import sys
from typing import Any

from pytest_py312.rollout.command_line import add_place

OPERATING = {
    "doctor": "see whether a rollout can be relied on here: engine, clocks, disks, journal, images; changes nothing",
    "evidence": "write down for an auditor what the journal knows of a stage, or verify what was written",
    "roadmap": "print all stages as Markdown: services, their Python now and then, where each stands, what comes next",
    "compare": "hold the new version against the old one, by what was recorded: its twin, two windows, two loads",
    "contract": "let the versions of services that rely on each other meet: old and new, calls and data",
    "drill": "deploy a stage only to see it brought back, on purpose; where the plan allows it",
}
"""Look before, prove afterwards."""
TEST = "test"
_TEST_TEXT = "the gate itself, as `pytest --py312`; what stands after -- is pytest's"


def add_operating(commands: Any) -> None:
    """Add each command to the subparsers of ``py312``."""
    for name, text in OPERATING.items():
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        add_place(parser)
        parser.add_argument("--state-dir", metavar="DIR", help="where the journal lies (default: .py312 by the plan)")
        parser.add_argument("--env", default="test", metavar="NAME", help="the environment (default: test)")
        parser.add_argument("--json", action="store_true", help="print a JSON document")
        _ADDED[name](parser)
    _add_test(commands.add_parser(TEST, help=_TEST_TEXT, description=_TEST_TEXT))


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, metavar="N", help="only the services of this stage")


def _evidence(parser: argparse.ArgumentParser) -> None:
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--stage", type=int, metavar="N", help="the stage that is written down")
    chosen.add_argument(
        "--verify", metavar="FILE", help="see whether a bundle (its folder, or a file of it) is as it was"
    )
    parser.add_argument(
        "--digest",
        metavar="SHA256",
        help="with --verify: what was noted elsewhere, of the JSON or of the manifest",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument("--out", metavar="FOLDER", help="where to (default: evidence in the state folder)")
    parser.add_argument("--report", metavar="FILE.json", help="what the gate said before (--py312-report=FILE.json)")


def _drill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, metavar="N", required=True)
    parser.add_argument(
        "--fault",
        choices=("none", "stop"),
        default="none",
        help="none: the rollback is asked for (default); stop: a new container is stopped, and that has to be noticed",
    )
    parser.add_argument("--service", metavar="NAME", help="with --fault stop: which one (default: the last deployed)")
    parser.add_argument("--force", action="store_true", help="also where the plan does not allow drills")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _contract(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, metavar="N", required=True, help="contracts of the services of this one")
    parser.add_argument("--dry-run", action="store_true", help="say what would be tried, and try nothing")


def _roadmap(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(env=None)  # all of them, unless one is named


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, metavar="N", help="the newest run of this stage, against its twin")
    parser.add_argument("--services", nargs="+", default=[], metavar="NAME", help="these of its services alone")
    parser.add_argument("--metric", action="append", default=[], metavar="NAME", help="this one; may be repeated")
    parser.add_argument("--before", metavar="FROM..TO", help="with --after: two windows of the stage's samples instead")
    parser.add_argument("--after", metavar="FROM..TO", help="2026-11-24T08:00..2026-11-24T20:00 (UTC without a zone)")
    parser.add_argument(
        "--old", nargs="+", default=[], metavar="FILE", help="reports of py312 load --json, old version"
    )
    parser.add_argument("--new", nargs="+", default=[], metavar="FILE", help="the same of the new one")


_ADDED = {
    "compare": _compare,
    "doctor": _doctor,
    "roadmap": _roadmap,
    "evidence": _evidence,
    "contract": _contract,
    "drill": _drill,
}


def _add_test(parser: argparse.ArgumentParser) -> None:
    add_place(parser)
    parser.add_argument("--services", nargs="+", default=[], metavar="NAME", help="these alone: names, paths or globs")
    parser.add_argument("--stage", type=int, metavar="N", help="the services of this stage")


def parted(words: list[str]) -> tuple[list[str], list[str]]:
    """The words of ``py312 test`` before and after its ``--``; of any other command all of them come before."""
    named = next((word for word in words if not word.startswith("-")), "")
    at = words.index("--") if named == TEST and "--" in words else len(words)
    return words[:at], words[at + 1 :]


def pytest_argv(options: argparse.Namespace, more: list[str]) -> list[str]:
    """What ``py312 test`` runs."""
    services = [name for words in options.services for name in words.split(",") if name]
    argv = [sys.executable, "-m", "pytest", "--py312"]
    argv += [f"--py312-services={','.join(services)}"] if services else []
    argv += [f"--py312-stage={options.stage}"] if options.stage is not None else []
    argv += [f"--py312-plan={options.plan}"] if options.plan is not None else []
    return [*argv, *more]
