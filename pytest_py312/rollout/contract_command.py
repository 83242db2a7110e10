"""Keeping the contracts of a stage: for ``py312 contract``, and for whoever shows each edge as a step."""

import argparse
import json
from collections.abc import Iterable, Sequence

from pytest_py312.codec import encode
from pytest_py312.errors import OptionError, RolloutRefused
from pytest_py312.model import Service
from pytest_py312.rollout.commands import Ground
from pytest_py312.rollout.contracting import Contracting
from pytest_py312.rollout.contracts import ContractResult, concerned, of_edge, on_edge
from pytest_py312.rollout.driver import Driver
from pytest_py312.rollout.dry_runs import would
from pytest_py312.rollout.events import ContractKept
from pytest_py312.rollout.holding import myself
from pytest_py312.rollout.journal import Journal
from pytest_py312.rollout.model import Result, StageRun
from pytest_py312.rollout.planning import spec_of, stage_services
from pytest_py312.rollout.settings import RolloutSettings
from pytest_py312.rollout.stages import WATCHED
from pytest_py312.rollout.targets.protocol import Target


def contracting(
    target: Target, runs: Sequence[StageRun], settings: RolloutSettings, services: Iterable[Service]
) -> Contracting:
    """What keeps contracts between ``services`` on a target; to be closed in the end.

    :param runs: the newest run of each stage in the environment.
    :raises RolloutRefused: the target cannot do this.
    """
    specs = {
        one.name: spec_of(one, settings.deploy_of(stage=one.stage, name=one.name, path=one.path)) for one in services
    }
    return Contracting(target, runs, specs)


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


def text_of(results: Sequence[ContractResult]) -> str:
    """Each contract with the versions that met."""
    from pytest_py312.reports.text import prose

    lines = []
    for one in results:
        told = {Result.SUCCESSFUL: "kept", Result.FAILED: "broken"}.get(one.result, "cannot be told")
        lines.append(f"{prose(one.edge)}  {prose(one.what)}  {told}" + (f": {prose(one.reason)}" if one.reason else ""))
        lines += [f"    {prose(str(each))}" for each in one.tried]
    return "\n".join(lines) + "\n"
