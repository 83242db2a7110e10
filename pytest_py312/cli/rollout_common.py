"""Shared by several commands of the rollout: their journal, the output of ``--dry-run``, tables, and the selection of
deployed services by name, path or glob.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from pytest_py312.cli.common import write_file
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.service_patterns import matches
from pytest_py312.core.text import display_width, escape_terminal, format_duration, pad
from pytest_py312.rollout.canary_analysis.soak_status import SoakStatus, describe_soak_status
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import MONITORED, StageRun, StageState
from pytest_py312.rollout.metrics.load_generator import LoadStep
from pytest_py312.rollout.targets.target import TargetError

CommandOutput = tuple[str, int]
"""The text to print, and the exit code."""


@contextmanager
def open_journal(options: argparse.Namespace, context: RolloutContext) -> Iterator[Journal]:
    """Open the journal for one command.

    :raises RolloutRefused: the target refused an operation; the message names the environment.
    """
    with closing(Journal(context.state_dir)) as journal:
        try:
            yield journal
        except TargetError as error:
            raise RolloutRefused(f"{options.env}: {error}") from error


def with_journal(
    function: Callable[[argparse.Namespace, RolloutContext, Journal], CommandOutput],
) -> Callable[[argparse.Namespace, RolloutContext], CommandOutput]:
    """Open the journal while the function of a command runs, and hand it over as its last parameter."""

    @wraps(function)
    def run(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
        with open_journal(options, context) as journal:
            return function(options, context, journal)

    return run


def json_output(document: Mapping[str, Any], code: int = 0) -> CommandOutput:
    """Return a JSON document and the exit code."""
    return json.dumps(document, indent=2) + "\n", code


def print_or_write(text: str, file: str | None) -> CommandOutput:
    """Return the text, or write it to the file that is asked for; the exit code is 0."""
    if not file:
        return text, 0
    write_file(Path(file), text)
    return "", 0


def describe_dry_run(text: str, services: Sequence[str], *, as_json: bool) -> CommandOutput:
    """Return the text or the JSON document, and the exit code 0."""
    if as_json:
        return json_output({"schema": 1, "would": text, "services": list(services)})
    return f"{text}\n", 0


def describe_monitoring(command: str, run: StageRun, interval: float, status: SoakStatus | None) -> str:
    """Describe what ``watch`` and ``sample`` would do."""
    stage_text = f"stage {run.stage} in {run.environment}"
    if run.state not in MONITORED:
        recovery_text = "" if run.state.is_over else "; unfinished work would be completed"
        return f"{stage_text} is {run.state.value}: it would not be sampled{recovery_text}"
    extent = "until its soak is decided" if command == "watch" else "once, if a sample is due"
    status_text = f"; {describe_soak_status(status, run)}" if status else ""
    services_text = ", ".join(run.services)
    return f"would sample {services_text} of {stage_text} {extent}, every {format_duration(interval)}{status_text}"


def describe_decision(run: StageRun, *, accept: bool) -> str:
    """Describe what ``promote`` or ``abort`` would do."""
    stage_text, decisions = f"stage {run.stage} in {run.environment}", ", ".join(run.pending_decisions)
    if not accept:
        services_text = ", ".join(reversed(run.services))
        return f"would roll back {stage_text}, which waits for a decision on {decisions}: {services_text}"
    is_complete = "verdict" in run.pending_decisions and run.credited >= run.soak
    next_step = f"it would then be {StageState.ACCEPTED.value}" if is_complete else "monitoring would then continue"
    return f"would accept {decisions} of {stage_text}; {next_step}"


def describe_load(url: str, steps: Sequence[LoadStep]) -> str:
    """Describe what ``load-test`` would do."""
    steps_text = ", ".join(
        f"{step.rate:g} a second for {step.seconds:g} s ({step.requests} requests"
        f"{'' if step.is_judged else ', not judged'})"
        for step in steps
    )
    return f"would send requests to {url}: {steps_text or 'nothing, as no --step is given'}"


ServicePaths = Callable[[], Mapping[str, str]]
"""Returns service -> path. Only called if names do not match: a rollback must not depend on a readable tree."""


def stage_of_services(patterns: Sequence[str], runs: Sequence[StageRun], paths: ServicePaths) -> int:
    """Return the only stage that the matching services were deployed with.

    :raises OptionError: there are none, or several.
    """
    services = set(select_services(patterns, runs, paths))
    stages = sorted({run.stage for run in runs if services & set(run.services)})
    if len(stages) != 1:
        raise OptionError("select one stage: --stage N, or --services of one stage")
    return stages[0]


def select_services(patterns: Sequence[str], runs: Sequence[StageRun], paths: ServicePaths) -> tuple[str, ...]:
    """Return the deployed services that match the patterns, which may also be separated by commas.

    :raises OptionError: a pattern matches none.
    """
    words = [word for pattern in patterns for word in pattern.split(",") if word]
    deployed = [service for run in runs for service in run.services]
    services_by_word = {word: [name for name in deployed if matches(word, name, name)] for word in words}
    unmatched_words = [word for word, services in services_by_word.items() if not services]
    if unmatched_words:
        paths_by_service = paths()
        services_by_word |= {
            word: [name for name in deployed if matches(word, name, paths_by_service.get(name, name))]
            for word in unmatched_words
        }
    for word, services in services_by_word.items():
        if not services:
            raise OptionError(
                f"--services {word}: no such service was deployed; deployed services: {', '.join(deployed) or 'none'}"
            )
    selected = {service for services in services_by_word.values() for service in services}
    return tuple(service for service in deployed if service in selected)


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align cells in columns, with each line escaped for a terminal."""
    escaped_rows = [[escape_terminal(cell) for cell in row] for row in rows]
    widths = [max(map(display_width, column)) for column in zip(*escaped_rows, strict=True)][:-1]
    return [
        "".join(f"{pad(cell, width)}  " for cell, width in zip(row, widths, strict=False)) + row[-1]
        for row in escaped_rows
    ]
