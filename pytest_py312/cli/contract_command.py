"""``py312 test-contracts``: run the contracts of a stage and record which of them passed."""

import argparse
from collections.abc import Sequence

from pytest_py312.cli.rollout_common import CommandOutput, describe_dry_run, json_output, with_journal
from pytest_py312.core.database import DiskFull
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.contracts import ContractResult, contracts_of_services, results_on_edge, worst_result
from pytest_py312.rollout.domain.deployment_plan import stage_services
from pytest_py312.rollout.domain.events import ContractPassed
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import MONITORED
from pytest_py312.rollout.execution.contract_runner import describe_results, make_contract_runner
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import current_operator


@with_journal
def run_contracts(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    """Test the contracts of a stage, and record which of them passed.

    :raises Py312Error: it was refused, or cannot be done here.
    """
    settings, fleet = context.settings(), context.fleet()
    service_names = [item.name for item in stage_services(context.plan, fleet, options.stage)]
    if not contracts_of_services(settings.contracts, service_names):
        raise OptionError(f"the plan has no [[contract]] of a service of stage {options.stage}")
    if options.dry_run:
        contracts_text = "; ".join(
            f"{item.edge}: {item.description}" for item in contracts_of_services(settings.contracts, service_names)
        )
        return describe_dry_run(
            f"would test these contracts with both versions: {contracts_text}", service_names, as_json=options.json
        )
    contract_runner = make_contract_runner(
        context.target(), journal.current_runs(options.env), settings, fleet.services
    )
    try:
        results = contract_runner.run_contracts(settings.contracts, service_names)
    finally:
        contract_runner.close()
    _record_passed_contracts(options, context, journal, results)
    code = 0 if all(item.result is Result.SUCCESSFUL for item in results) else 1
    if options.json:
        document = {"schema": 1, "environment": options.env, "stage": options.stage, "kept": code == 0}
        return json_output({**document, "contracts": [encode(item) for item in results]}, code)
    return describe_results(results), code


def _record_passed_contracts(
    options: argparse.Namespace, context: RolloutContext, journal: Journal, results: Sequence[ContractResult]
) -> None:
    """Record the passed contracts if the stage is up and not locked; an active monitor tests them itself."""
    run = journal.current_run(options.env, options.stage)
    passed_edges = (
        [edge for edge in run.untested_contracts if worst_result(results_on_edge(results, edge)) is Result.SUCCESSFUL]
        if run
        else []
    )
    if run is None or run.state not in MONITORED or not passed_edges:
        return
    driver = Driver(journal, context.target(), current_operator(), log=context.log)
    try:
        driver.attach(run.run)
    except (RolloutRefused, DiskFull) as error:
        context.log(f"the passed contracts are not recorded: {error}")
        return
    for edge in passed_edges:
        detail = describe_results(results_on_edge(results, edge)).strip()[:2000]
        journal.record(run.run, ContractPassed(edge=edge, detail=detail), owner=driver.owner)
    driver.release(run.run)
