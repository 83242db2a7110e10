"""The words of the commands of the rollout, and of those around it."""

import argparse
import sys
from typing import Any

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


STANDING = {
    "plan": "show what a stage would be deployed as: order, containers, images; changes nothing",
    "deploy": "bring a stage into service, up to its soak, or back to what was before",
    "status": "show the stages of an environment, and who holds it",
    "recover": "finish what a dead run has left half done",
    "rollback": "bring a stage, or some services of it, back to what served before",
    "unlock": "take away the lock of an environment whose holder is gone",
}
"""Bring a stage into service, and back."""
WATCHING = {
    "watch": "watch a stage that is deployed until its soak is decided",
    "tick": "take the sample that is due and leave; for cron, timers and scheduled pipelines",
    "decide": "answer what a held stage waits for",
    "load": "ask a service at a rate that does not wait for its answers, and judge its latencies",
    "rules": "print alert rules for a Prometheus",
    "dashboard": "print a dashboard for Grafana",
}
"""Watch a stage that is up, and what belongs to that."""


def add_place(parser: argparse.ArgumentParser) -> None:
    """Where a command looks."""
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="the repository, or a folder in it")
    parser.add_argument("--plan", metavar="FILE", help="the plan file (default: looked for from PATH upwards)")


def add_commands(commands: Any) -> None:
    """Add each command to the subparsers of ``py312``."""
    _add_standing(commands)
    _add_watching(commands)


def _add_standing(commands: Any) -> None:
    for name, text in STANDING.items():
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        add_place(parser)
        parser.add_argument("--state-dir", metavar="DIR", help="where the journal lies (default: .py312 by the plan)")
        parser.add_argument("--env", default="test", metavar="NAME", help="the environment (default: test)")
        parser.add_argument("--json", action="store_true", help="print a JSON document")
        if name in ("plan", "deploy", "rollback"):
            parser.add_argument("--stage", type=int, metavar="N", required=name == "plan")
        if name in ("deploy", "rollback"):
            parser.add_argument("--services", nargs="+", default=[], metavar="NAME", help="these alone (rollback)")
            parser.add_argument("--cascade", action="store_true", help="roll later stages back first")
            parser.add_argument("--only", action="store_true", help="leave later stages up; what they proved is gone")
            parser.add_argument("--run", default="", metavar="RUN", help="one that a later one came back to (rollback)")
            parser.add_argument("--reason", default="by hand", metavar="TEXT", help="written down (rollback)")
        if name == "deploy":
            _add_soak(parser)
            parser.add_argument("--rollback", action="store_true", help="the same as py312 rollback")
        if name == "unlock":
            parser.add_argument("--force", action="store_true", help="even if its holder may be at work")
        if name == "recover":
            parser.add_argument(
                "--moved", action="store_true", help="the environment lies on another engine by now, and that is meant"
            )
            parser.add_argument(
                "--start",
                action="store_true",
                help="start again what a way back has left alone and does not run by now",
            )
        if name not in ("plan", "status"):
            parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _add_watching(commands: Any) -> None:
    for name, text in WATCHING.items():
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        if name == "decide":
            parser.add_argument("answer", choices=("accept", "rollback"), help="what is to be done")
        if name == "load":
            _add_load(parser)
        add_place(parser)
        parser.add_argument("--state-dir", metavar="DIR", help="where the journal lies (default: .py312 by the plan)")
        if name in ("watch", "tick"):
            which = parser.add_mutually_exclusive_group(required=True)
            which.add_argument("--stage", type=int, metavar="N")
            which.add_argument("--services", nargs="+", default=[], metavar="NAME", help="the stage of these")
            _add_soak(parser)
        if name == "decide":
            parser.add_argument("--stage", type=int, metavar="N", required=True)
        if name in ("watch", "tick", "decide"):
            parser.add_argument("--env", default="test", metavar="NAME", help="the environment (default: test)")
        parser.add_argument("--json", action="store_true", help="print a JSON document")
        if name in ("watch", "tick", "decide", "load"):
            parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
        if name in ("watch", "tick"):
            parser.add_argument(
                "--accept-config-change", action="store_true", help="go on although the plan was changed since"
            )
        if name == "watch":
            parser.add_argument("--port", type=int, metavar="N", help="tell a Prometheus on 127.0.0.1:N/metrics")
        if name == "decide":
            parser.add_argument("--reason", required=True, metavar="TEXT", help="written down")


def _add_soak(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--duration", metavar="48h", help="of the soak, instead of the plan's")
    parser.add_argument("--interval", metavar="5m", help="between two samples, instead of the plan's")


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--step", action="append", default=[], metavar="RATExSECONDS", help="200x60; may be repeated")
    parser.add_argument("--warm-up", metavar="RATExSECONDS", help="before the steps, not judged")
    parser.add_argument("--p95", type=float, default=0.0, metavar="SECONDS", help="limit for 95 of 100 requests")
    parser.add_argument("--p99", type=float, default=0.0, metavar="SECONDS", help="limit for 99 of 100 requests")
    parser.add_argument("--errors", type=float, default=0.01, metavar="SHARE", help="how many may fail (0.01)")
