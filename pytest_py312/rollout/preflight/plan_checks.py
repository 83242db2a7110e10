"""Rows of ``py312 doctor`` about what the plan names: Prometheus, notifications, acceptance tests and interpreters.

Nothing is posted, no test is run, and no interpreter is installed.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pytest_py312.core import process
from pytest_py312.core.directories import default_cache_folder
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.text import error_line
from pytest_py312.repository.plan.rollout_settings import AcceptanceSettings, EnvironmentSettings, RolloutSettings
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.metrics.prometheus import run_query, substitute_placeholders
from pytest_py312.rollout.metrics.reading import MetricReading
from pytest_py312.rollout.preflight.health_rows import HealthRow, HealthStatus
from pytest_py312.rollout.targets.target import SupportsInspection, Target, TargetError
from pytest_py312.runners.interpreters import find_installed
from pytest_py312.runners.runner import CellUnavailable

TIMEOUT = 5.0
"""Timeout of a connection and of a Prometheus query, in seconds."""
IMPORT_TIMEOUT = 60.0
"""Seconds for an import of pytest."""


def prometheus_rows(
    settings: RolloutSettings, environment_settings: EnvironmentSettings, services: list[Service]
) -> Iterator[HealthRow]:
    metrics = [metric for metric in settings.metrics if metric.provider == "prometheus"]
    if not environment_settings.prometheus:
        if metrics:
            name = environment_settings.name
            detail = f"{metrics[0].name} needs a Prometheus, but {name} names none"
            remedy = f'write {name} = {{ prometheus = "http://..." }} in [deploy.environments]'
            yield HealthRow.problem("prometheus", "address", detail, remedy)
        return
    address = _host_and_port(environment_settings.prometheus)
    queries = [("reachable", "vector(1)")]
    for metric in metrics:
        matching_services = [
            candidate for candidate in services if metric in settings.metrics_for(candidate.name, candidate.path)
        ]
        for service in matching_services[:1]:  # a query that is refused for one service is refused for all
            text = substitute_placeholders(metric.query, service=service.name, window=metric.window or 300.0)
            queries.append((f"{metric.name} of {service.name}", text))
    for subject, text in queries:
        reading = asyncio.run(run_query(environment_settings.prometheus, text, timeout=TIMEOUT))
        yield (row := _prometheus_row(subject, address, reading))
        if row.health is HealthStatus.PROBLEM and subject == "reachable":
            return


def _prometheus_row(subject: str, address: str, reading: MetricReading) -> HealthRow:
    """Return the row of a query. Missing data is no problem: some series exist only under load."""
    if reading.result is Result.ERROR:
        remedy = "start it, or fix its address or the query in the plan"
        return HealthRow.problem("prometheus", subject, f"{address}: {reading.detail}", remedy)
    if reading.value is None:
        remedy = "a soak without data is inconclusive: check that the series exists under load"
        return HealthRow.unknown("prometheus", subject, f"{address}: {reading.detail}", remedy, needed=False)
    return HealthRow.ok("prometheus", subject, address)


def notification_rows(environment_settings: EnvironmentSettings) -> Iterator[HealthRow]:
    """Connect to webhooks without posting: people stop reading a chat that is full of tests."""
    addresses = (*environment_settings.slack, *environment_settings.teams)
    variables = [address[1:] for address in addresses if address.startswith("$")]
    for name in (name for name in variables if not os.environ.get(name)):
        detail = "is not set: its webhook would not be notified"
        yield HealthRow.problem("notifications", f"variable {name}", detail, "set it where stages are watched")
    urls = [os.environ.get(address[1:], "") if address.startswith("$") else address for address in addresses]
    if environment_settings.mail is not None:
        host, port = environment_settings.mail.address
        urls.append(f"smtp://{host}:{port}")
    for url in (*environment_settings.webhooks, *filter(None, urls)):
        what = f"{'mail server' if url.startswith('smtp:') else 'webhook'} at {_host_and_port(url)}"
        if problem := _connection_problem(url):
            remedy = "fix its address or the network: notifications of a held stage would be lost"
            yield HealthRow.problem("notifications", what, problem, remedy)
        else:
            yield HealthRow.ok("notifications", what, "accepts connections; nothing was posted")
    for argv in environment_settings.notify:
        what = argv[0] if argv else "notify"
        if argv and shutil.which(argv[0]) is not None:
            yield HealthRow.ok("notifications", what, "installed; it was not run")
        else:
            yield HealthRow.problem("notifications", what, "there is no such program", "install it, or give its path")


def _connection_problem(url: str) -> str:
    """Return why nothing listens at an address; empty if the connection succeeds."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=TIMEOUT):
            return ""
    except (OSError, ValueError, UnicodeError) as error:
        return f"cannot be connected to: {error}"


def _host_and_port(url: str) -> str:
    """Return host and port only: the rest of a URL is often a secret."""
    return urlsplit(url).netloc.rpartition("@")[2] or "?"


def acceptance_rows(settings: RolloutSettings, root: Path, stage: int | None) -> list[HealthRow]:
    """Return a row for the acceptance tests of a stage, or of all stages: one without results would be held.

    :param root: of the repository.
    """
    return [
        _acceptance_row(tests, _start_problem(tests, root))
        for number, tests in settings.acceptance
        if stage in (None, number)
    ]


def _acceptance_row(tests: AcceptanceSettings, problem: str) -> HealthRow:
    if not problem:
        return HealthRow.ok("acceptance", tests.name, tests.description)
    remedy = "install it, or correct `command`"
    if tests.pytest:
        remedy = "install pytest there, or name the interpreter of the tests as `python`"
    return HealthRow.problem("acceptance", tests.name, problem, remedy)


def _start_problem(tests: AcceptanceSettings, root: Path) -> str:
    """Return why the tests could not be started; empty if they could."""
    if tests.pytest:
        result = process.run((tests.interpreter(root), "-c", "import pytest"), time_limit=IMPORT_TIMEOUT)
        return "" if result.ok else error_line(result.stderr) or f"pytest: {result.exit_reason.value}"
    program = tests.command[0]
    place = str(root / tests.folder / program) if "/" in program else program
    return "" if shutil.which(place) else f"there is no program {program}"


def interpreter_rows(context: RolloutContext, target: Target | None) -> Iterator[HealthRow]:
    """Return rows about the gate's interpreters. A rollout does not need them, but proving an urgent change does."""
    inspectable: object = target  # not every target can be inspected
    for interpreter in sorted(context.plan.interpreters):
        image = context.plan.image_of(interpreter)
        location = _describe_local_interpreter(interpreter)
        if not location and isinstance(inspectable, SupportsInspection):
            try:
                location = f"the image {image}" if inspectable.image_info(image) is not None else ""
            except TargetError as error:
                image = f"{image} ({error})"
        if location:
            yield HealthRow.ok("interpreters", str(interpreter), location, needed=False)
            continue
        detail = f"neither on this machine nor as the image {image}"
        remedy = f"the gate needs it: uv python install {interpreter}, or docker pull {image}"
        yield HealthRow.problem("interpreters", str(interpreter), detail, remedy, needed=False)


def _describe_local_interpreter(interpreter: Interpreter) -> str:
    """Describe this machine's installation of an interpreter; empty if it has none."""
    try:
        build = find_installed(interpreter, default_cache_folder())
    except CellUnavailable:
        return ""
    return f"{build.version}, {build.origin}"
