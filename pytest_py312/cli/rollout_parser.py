"""Argument parsers of the rollout's commands, of the commands around it, and of ``py312 test``."""

import argparse
import sys
from typing import Any

OPERATIONS_COMMANDS = {
    "doctor": "check whether a rollout would work here: engine, clocks, disks, journal, images; changes nothing",
    "evidence": "write the journal's record of a stage for an auditor, or verify such a record",
    "roadmap": "print all stages as Markdown: services, their current and planned Python, their state, the next step",
    "compare": "compare the new version with the previous one by recorded data: control, two windows, two load tests",
    "test-contracts": "test calls and data between the old and new versions of services that rely on each other",
    "drill": "deploy a stage and roll it back on purpose, where the plan allows it",
}
"""Commands before and after a rollout, with their help."""
TEST_COMMAND = "test"
_TEST_HELP = "run the gate, as `pytest --py312`; arguments after -- are passed to pytest"


def add_operations_commands(commands: Any) -> None:
    """Add these commands to the subparsers of ``py312``."""
    for name, text in OPERATIONS_COMMANDS.items():
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        add_location_arguments(parser)
        parser.add_argument(
            "--state-dir", metavar="DIR", help="folder of the journal (default: .py312 beside the plan)"
        )
        parser.add_argument("--env", default="test", metavar="NAME", help="the environment (default: test)")
        parser.add_argument("--json", action="store_true", help="print a JSON document")
        _ARGUMENT_ADDERS[name](parser)
    _add_test_arguments(commands.add_parser(TEST_COMMAND, help=_TEST_HELP, description=_TEST_HELP))


def _add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, metavar="N", help="only the services of this stage")


def _add_evidence_arguments(parser: argparse.ArgumentParser) -> None:
    stage_or_bundle = parser.add_mutually_exclusive_group(required=True)
    stage_or_bundle.add_argument("--stage", type=int, metavar="N", help="write the evidence of this stage")
    stage_or_bundle.add_argument(
        "--verify", metavar="FILE", help="verify that a bundle (its folder, or a file of it) is unchanged"
    )
    parser.add_argument(
        "--digest",
        metavar="SHA256",
        help="with --verify: the digest of the JSON or of the manifest that was kept elsewhere",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be written, without writing it")
    parser.add_argument(
        "--out", metavar="FOLDER", help="the folder to write to (default: evidence in the state folder)"
    )
    parser.add_argument(
        "--report", metavar="FILE.json", help="include this report of the gate (--py312-report=FILE.json)"
    )


def _add_drill_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, metavar="N", required=True)
    parser.add_argument(
        "--fault",
        choices=("none", "stop"),
        default="none",
        help="none: request the rollback (default); stop: stop a new container, which must be detected",
    )
    parser.add_argument(
        "--service", metavar="NAME", help="with --fault stop: the service to stop (default: the last deployed)"
    )
    parser.add_argument("--force", action="store_true", help="run it even if the plan does not allow drills")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, without doing it")


def _add_contract_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stage", type=int, metavar="N", required=True, help="run the contracts of this stage's services"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be tested, without testing it")


def _add_roadmap_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(env=None)  # default: all environments


def _add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, metavar="N", help="compare the newest run of this stage with its control")
    parser.add_argument("--services", nargs="+", default=[], metavar="NAME", help="only these services of the stage")
    parser.add_argument(
        "--metric", action="append", default=[], metavar="NAME", help="compare only this metric; may be repeated"
    )
    parser.add_argument("--before", metavar="FROM..TO", help="with --after: compare two windows of the stage's samples")
    parser.add_argument("--after", metavar="FROM..TO", help="2026-11-24T08:00..2026-11-24T20:00 (UTC without a zone)")
    parser.add_argument(
        "--old",
        nargs="+",
        default=[],
        metavar="FILE",
        help="reports of py312 load-test --json, previous version",
    )
    parser.add_argument("--new", nargs="+", default=[], metavar="FILE", help="the same, new version")


_ARGUMENT_ADDERS = {
    "compare": _add_compare_arguments,
    "doctor": _add_doctor_arguments,
    "roadmap": _add_roadmap_arguments,
    "evidence": _add_evidence_arguments,
    "test-contracts": _add_contract_arguments,
    "drill": _add_drill_arguments,
}


def _add_test_arguments(parser: argparse.ArgumentParser) -> None:
    add_location_arguments(parser)
    parser.add_argument(
        "--services", nargs="+", default=[], metavar="NAME", help="only these services: names, paths or globs"
    )
    parser.add_argument("--stage", type=int, metavar="N", help="only the services of this stage")


def split_pytest_arguments(words: list[str]) -> tuple[list[str], list[str]]:
    """Split the arguments of ``py312 test`` at ``--``; those of other commands are not split."""
    command_name = next((word for word in words if not word.startswith("-")), "")
    separator = words.index("--") if command_name == TEST_COMMAND and "--" in words else len(words)
    return words[:separator], words[separator + 1 :]


def pytest_argv(options: argparse.Namespace, pytest_arguments: list[str]) -> list[str]:
    """Return the command that ``py312 test`` runs."""
    services = [name for words in options.services for name in words.split(",") if name]
    argv = [sys.executable, "-m", "pytest", "--py312"]
    argv += [f"--py312-services={','.join(services)}"] if services else []
    argv += [f"--py312-stage={options.stage}"] if options.stage is not None else []
    argv += [f"--py312-plan={options.plan}"] if options.plan is not None else []
    return [*argv, *pytest_arguments]


JOURNAL_COMMANDS = frozenset({"status", "recover", "rollback", "unlock", "abort", "evidence"})
"""Commands that work without the plan, from what the journal has recorded: a rollback must not need a valid file."""

ROLLOUT_COMMANDS = {
    "plan": "show how a stage would be deployed: order, containers, images; changes nothing",
    "deploy": "deploy a stage up to the start of its soak; roll it back if that fails",
    "status": "show the stages of an environment and the holder of its lock",
    "recover": "finish the work of a run that was killed",
    "rollback": "roll a stage, or some of its services, back to the previous version",
    "unlock": "release the lock of an environment whose holder is dead",
}
"""Commands that deploy a stage or roll it back, with their help."""
MONITOR_COMMANDS = {
    "watch": "monitor a deployed stage until its soak is decided",
    "sample": "take the sample that is due and exit; for cron, timers and scheduled pipelines",
    "promote": "accept a stage that waits for a decision",
    "abort": "roll back a stage that waits for a decision",
    "load-test": "send requests at a fixed rate (open loop) and check the latencies",
    "export": "print alert rules for Prometheus, or a dashboard for Grafana",
}
"""Commands that monitor a stage, and related ones, with their help."""
DECISION_COMMANDS = ("promote", "abort")
EXPORTS = ("alert-rules", "dashboard")


def add_location_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select the repository and the plan."""
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="the repository, or a folder in it")
    parser.add_argument("--plan", metavar="FILE", help="the plan file (default: searched from PATH upwards)")


def add_rollout_commands(commands: Any) -> None:
    """Add the commands of the rollout to the subparsers of ``py312``."""
    _add_deployment_commands(commands)
    _add_monitor_commands(commands)


def _add_deployment_commands(commands: Any) -> None:
    for name, text in ROLLOUT_COMMANDS.items():
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        add_location_arguments(parser)
        parser.add_argument(
            "--state-dir", metavar="DIR", help="folder of the journal (default: .py312 beside the plan)"
        )
        parser.add_argument("--env", default="test", metavar="NAME", help="the environment (default: test)")
        parser.add_argument("--json", action="store_true", help="print a JSON document")
        if name in ("plan", "deploy", "rollback"):
            parser.add_argument("--stage", type=int, metavar="N", required=name == "plan")
        if name in ("deploy", "rollback"):
            parser.add_argument(
                "--services", nargs="+", default=[], metavar="NAME", help="only these services (rollback)"
            )
            parser.add_argument("--cascade", action="store_true", help="roll later stages back first")
            parser.add_argument(
                "--keep-later", action="store_true", help="keep later stages up; their results become stale"
            )
            parser.add_argument(
                "--run", default="", metavar="RUN", help="an earlier run that a later one was rolled back to (rollback)"
            )
            parser.add_argument("--reason", default="manual", metavar="TEXT", help="recorded in the journal (rollback)")
        if name == "deploy":
            _add_soak_arguments(parser)
            parser.add_argument("--rollback", action="store_true", help="the same as py312 rollback")
        if name == "unlock":
            parser.add_argument(
                "--force", action="store_true", help="release the lock even if its holder may still be running"
            )
        if name == "recover":
            parser.add_argument(
                "--accept-new-engine", action="store_true", help="accept that the environment is now on another engine"
            )
            parser.add_argument(
                "--start",
                action="store_true",
                help="start the stopped services that a rollback has skipped",
            )
        if name not in ("plan", "status"):
            parser.add_argument("--dry-run", action="store_true", help="print what would be done, without doing it")


def _add_monitor_commands(commands: Any) -> None:
    for name, text in MONITOR_COMMANDS.items():
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        if name == "export":
            parser.add_argument("document", choices=EXPORTS, help="what to print")
        if name == "load-test":
            _add_load_arguments(parser)
        add_location_arguments(parser)
        parser.add_argument(
            "--state-dir", metavar="DIR", help="folder of the journal (default: .py312 beside the plan)"
        )
        if name in ("watch", "sample"):
            stage_choice = parser.add_mutually_exclusive_group(required=True)
            stage_choice.add_argument("--stage", type=int, metavar="N")
            stage_choice.add_argument(
                "--services", nargs="+", default=[], metavar="NAME", help="the stage of these services"
            )
            _add_soak_arguments(parser)
        if name in DECISION_COMMANDS:
            parser.add_argument("--stage", type=int, metavar="N", required=True)
        if name in ("watch", "sample", *DECISION_COMMANDS):
            parser.add_argument("--env", default="test", metavar="NAME", help="the environment (default: test)")
        parser.add_argument("--json", action="store_true", help="print a JSON document")
        if name in ("watch", "sample", "load-test", *DECISION_COMMANDS):
            parser.add_argument("--dry-run", action="store_true", help="print what would be done, without doing it")
        if name in ("watch", "sample"):
            parser.add_argument(
                "--accept-config-change", action="store_true", help="continue although the plan has changed"
            )
        if name == "watch":
            parser.add_argument(
                "--port",
                type=int,
                metavar="N",
                help="serve metrics on 127.0.0.1:N/metrics and a live page on 127.0.0.1:N",
            )
        if name in DECISION_COMMANDS:
            parser.add_argument("--reason", required=True, metavar="TEXT", help="recorded in the journal")


def _add_soak_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--duration", metavar="48h", help="duration of the soak, instead of the plan's")
    parser.add_argument("--interval", metavar="5m", help="time between samples, instead of the plan's")


def _add_load_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--step", action="append", default=[], metavar="RATExSECONDS", help="200x60; may be repeated")
    parser.add_argument("--warm-up", metavar="RATExSECONDS", help="load before the steps, not judged")
    parser.add_argument("--p95", type=float, default=0.0, metavar="SECONDS", help="limit of the 95th percentile")
    parser.add_argument("--p99", type=float, default=0.0, metavar="SECONDS", help="limit of the 99th percentile")
    parser.add_argument(
        "--errors", type=float, default=0.01, metavar="SHARE", help="share of requests that may fail (0.01)"
    )
