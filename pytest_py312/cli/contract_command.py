"""Keeping the contracts of a stage: for ``py312 contract``, and for whoever shows each edge as a step."""

import argparse
import json
from collections.abc import Sequence

from pytest_py312.cli.common import would
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.contracts import ContractResult, concerned, of_edge, on_edge
from pytest_py312.rollout.domain.deployment_plan import stage_services
from pytest_py312.rollout.domain.events import ContractKept
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.domain.state_machine import WATCHED
from pytest_py312.rollout.execution.contract_runner import contracting, text_of
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import myself


def run_command(options: argparse.Namespace, ground: Ground, journal: Journal) -> tuple[str, int]:
    """
    :raises Py312Error: it was refused, or cannot be done here.
    """
    settings, fleet = ground.settings(), ground.fleet()
    services = [one.name for one in stage_services(ground.plan, fleet, options.stage)]
    if not concerned(settings.contracts, services):
        raise OptionError(f"the plan has no [[contract]] of a service of stage {options.stage}")
    if options.dry_run:
        named = "; ".join(f"{one.edge}: {one.what}" for one in concerned(settings.contracts, services))
        return would(f"would let the versions of these meet: {named}", services, as_json=options.json)
    keeping = contracting(ground.target(), journal.newest(options.env), settings, fleet.services)
    try:
        results = keeping.results(settings.contracts, services)
    finally:
        keeping.close()
    _write_down(options, ground, journal, results)
    code = 0 if all(one.result is Result.SUCCESSFUL for one in results) else 1
    if options.json:
        document = {"schema": 1, "environment": options.env, "stage": options.stage, "kept": code == 0}
        return json.dumps({**document, "contracts": [encode(one) for one in results]}, indent=2) + "\n", code
    return text_of(results), code


def _write_down(
    options: argparse.Namespace, ground: Ground, journal: Journal, results: Sequence[ContractResult]
) -> None:
    """What holds, where the stage is up and nobody is at it: whoever watches it tries the contracts for itself."""
    run = next((run for run in journal.newest(options.env) if run.stage == options.stage), None)
    kept = [edge for edge in run.untried if of_edge(on_edge(results, edge)) is Result.SUCCESSFUL] if run else []
    if run is None or run.state not in WATCHED or not kept:
        return
    driver = Driver(journal, ground.target(), myself(), told=ground.told)
    try:
        driver.attach(run.run)
    except RolloutRefused as error:
        ground.told(f"that they hold is not written down: {error}")
        return
    for edge in kept:
        detail = text_of(on_edge(results, edge)).strip()[:2000]
        journal.record(run.run, ContractKept(edge=edge, detail=detail), owner=driver.owner)
    driver.leave(run.run)
