"""The words of the commands of a rollout: names, options, help. What they do is loaded when one of them is given."""

import argparse
from typing import Any

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
