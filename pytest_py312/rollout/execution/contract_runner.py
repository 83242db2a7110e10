"""Run contracts between deployed services: each version of one service with each version of the other.

The new version is what serves. The previous one is its control, or what serves if the service was not migrated yet. A
version that only calls, writes or reads may be a stand-in: a container of the retained image in which the service does
not run.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pytest_py312.core import clock
from pytest_py312.core.errors import RolloutRefused, did_you_mean
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.text import escape_terminal
from pytest_py312.repository.plan.rollout_settings import ContractSettings, RolloutSettings
from pytest_py312.rollout.domain.contracts import (
    NEW,
    OLD,
    VERSION_PAIRS,
    ContractAnswer,
    ContractResult,
    contracts_of_services,
    evaluate_pairs,
    judge_contract,
    needs_callee_address,
    parse_answer,
    script_request,
)
from pytest_py312.rollout.domain.deployment_plan import make_service_spec
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.targets.target import (
    ServiceUnreachable,
    SupportsContracts,
    Target,
    TargetError,
    TargetRefused,
    TargetUnavailable,
)

PYTHON_COMMANDS = ("python3", "python")
START_GRACE = 20.0
"""Seconds beyond a contract's limit, which is enforced in the container: an interpreter has to start there."""
RETRIES, RETRY_DELAY = 2, 1.0
"""Repetitions of a failed call, and seconds between them: one transient failure does not break a contract."""
_NOT_STARTED_CODES = (126, 127)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractParty:
    """One version of a service. ``serving`` answers calls; without it, a stand-in is made like ``retained``."""

    spec: ServiceSpec
    python: str = ""
    """The interpreter that it has to run on; empty if that is unknown."""
    serving: Container | None = None
    retained: Container | None = None
    run: str = ""


@cache
def script_text() -> str:
    """Return the script that runs in a container."""
    return resources.files("pytest_py312.rollout.execution").joinpath("contract_script.py").read_text(encoding="utf-8")


class ContractRunner:
    """Runner of contracts on one target. It has to be closed, which stops the stand-ins that it has started.

    :param runs: the current run of each stage in the environment.
    :param specs: service -> what the target needs in order to reach it, from the plan.
    :raises RolloutRefused: the target does not support contracts.
    """

    def __init__(self, target: Target, runs: Sequence[StageRun], specs: Mapping[str, ServiceSpec]) -> None:
        if not isinstance(target, SupportsContracts):
            raise RolloutRefused(f"the target {target.name} does not support contracts")
        self._target = target
        self._contract_target: SupportsContracts = target
        self._runs = runs
        self._specs = specs
        self._parties: dict[str, Mapping[str, ContractParty]] = {}
        self._stand_ins: dict[tuple[str, str], Container] = {}
        self._written_data: dict[tuple[int, str], ContractAnswer] = {}

    def run_contracts(self, contracts: Sequence[ContractSettings], services: Sequence[str]) -> list[ContractResult]:
        """Return the result of each contract that involves one of ``services``.

        :raises RolloutRefused: a contract names an unknown service.
        """
        return [self.run_contract(contract) for contract in contracts_of_services(contracts, services)]

    def run_contract(self, contract: ContractSettings) -> ContractResult:
        """Try a contract with all version pairs that are available, and judge the results.

        :raises RolloutRefused: the contract names an unknown service.
        """
        try:
            first, second = (self._versions_of(name) for name in (contract.first, contract.second))
        except TargetError as error:
            return ContractResult(
                edge=contract.edge, what=contract.description, result=Result.INCONCLUSIVE, reason=str(error)
            )
        unavailable = _unavailable_versions(contract, second)
        answers = {
            (first_version, second_version): self._run_pair(
                contract, first[first_version], second[second_version], first_version
            )
            for first_version, second_version in VERSION_PAIRS
            if first_version in first and second_version in second and second_version not in unavailable
        }
        return judge_contract(contract, evaluate_pairs(answers), unavailable=list(unavailable.values()))

    def close(self) -> None:
        """Stop the stand-ins. Never raises: they stop by themselves after a while."""
        for container in self._stand_ins.values():
            with suppress(TargetError):
                self._contract_target.remove_stand_in(container)
        self._stand_ins.clear()

    # ---- versions

    def _versions_of(self, service: str) -> Mapping[str, ContractParty]:
        if service not in self._parties:
            self._parties[service] = self._find_versions(service)
        return self._parties[service]

    def _find_versions(self, service: str) -> Mapping[str, ContractParty]:
        for run in self._runs:
            deployment = next((deployment for deployment in run.deployments if deployment.service == service), None)
            if deployment is None or not (run.is_up and deployment.switched and deployment.new) or deployment.restored:
                continue
            versions = {
                NEW: ContractParty(spec=deployment.spec, python=str(run.target), serving=deployment.new, run=run.run)
            }
            if deployment.old is not None:
                control = None if deployment.control_removed else deployment.control
                python = str(deployment.old_interpreter or "")
                versions[OLD] = ContractParty(
                    spec=deployment.spec, python=python, serving=control, retained=deployment.old, run=run.run
                )
            return versions
        spec = self._specs.get(service)
        if spec is None:
            raise RolloutRefused(
                f"a contract names {service}, which is no service{did_you_mean(service, [*self._specs])}"
            )
        observed = self._target.observe(spec)
        if observed is None or not observed.running:
            raise TargetRefused(f"{service} is not running")
        target_versions = {str(run.target) for run in self._runs}
        version = NEW if str(observed.interpreter) in target_versions else OLD
        return {version: ContractParty(spec=spec, python=str(observed.interpreter or ""), serving=observed.container)}

    def _container_of(self, party: ContractParty) -> Container:
        """Return a container of a version in which a command can run."""
        if party.serving is not None:
            return party.serving
        assert party.retained is not None, "a version serves or is retained"
        key = (party.spec.service, party.retained.id)
        if key not in self._stand_ins:
            self._stand_ins[key] = self._contract_target.start_stand_in(party.spec, party.retained, run=party.run)
        return self._stand_ins[key]

    # ---- one version pair

    def _run_pair(
        self, contract: ContractSettings, first: ContractParty, second: ContractParty, writer_version: str
    ) -> ContractAnswer:
        try:
            if contract.is_data:
                return self._hand_over_data(contract, first, second, writer_version)
            caller = self._container_of(first)
            assert second.serving is not None, "versions that cannot be called are excluded"
            callee_address = None
            if needs_callee_address(contract):
                callee_address = self._contract_target.address_for_caller(second.spec, second.serving, caller)
            request = script_request(contract, callee_address=callee_address)
            answer = self._run_script(first, caller, request, contract.limit)
            for _ in range(RETRIES):
                if answer.result is not Result.FAILED:
                    break
                clock.pause(RETRY_DELAY)
                answer = self._run_script(first, caller, request, contract.limit)
            return answer
        except ServiceUnreachable as error:
            return ContractAnswer(result=Result.ERROR, detail=str(error), is_unreachable=True)
        except (TargetUnavailable, TargetRefused) as error:
            return ContractAnswer(result=Result.ERROR, detail=str(error))

    def _hand_over_data(
        self, contract: ContractSettings, writer: ContractParty, reader: ContractParty, writer_version: str
    ) -> ContractAnswer:
        key = (id(contract), writer_version)
        if key not in self._written_data:
            self._written_data[key] = self._run_script(
                writer, self._container_of(writer), script_request(contract), contract.limit
            )
        written = self._written_data[key]
        if written.result is not Result.SUCCESSFUL:
            detail = f"{contract.first} could not write: {written.detail}"
            return ContractAnswer(result=written.result, detail=detail)
        request = script_request(contract, is_reader=True, data=written.data)
        return self._run_script(reader, self._container_of(reader), request, contract.limit)

    def _run_script(
        self, party: ContractParty, container: Container, request: Mapping[str, object], limit: float
    ) -> ContractAnswer:
        """Run the script with the Python of a container, which has to be the one that the service runs on."""
        output = refusal = ""
        for python in PYTHON_COMMANDS:
            argv = [python, "-c", script_text(), json.dumps(request)]
            try:
                code, output = self._contract_target.execute(container, argv, timeout=limit + START_GRACE)
            except TargetRefused as error:
                refusal = str(error)
                continue  # the container has no command of that name
            if code not in _NOT_STARTED_CODES:
                break
        answer = parse_answer(output or refusal)
        if answer.python and party.python and answer.python != party.python:
            detail = f"the Python of its container is {answer.python}, but {party.spec.service} runs on {party.python}"
            return ContractAnswer(result=Result.ERROR, detail=detail)
        return answer


def _unavailable_versions(contract: ContractSettings, second: Mapping[str, ContractParty]) -> dict[str, str]:
    """Return the versions of the callee that cannot be called, with the reason."""
    if contract.is_data:
        return {}
    unavailable = {
        version: f"the {version} {contract.second} is not running (`control = true` runs it beside the new one)"
        for version, party in second.items()
        if party.serving is None
    }
    if OLD in second and NEW in second and not needs_callee_address(contract):
        callee_text = f"what is at {contract.at}" if contract.at else "a command without {callee}"
        unavailable[OLD] = (
            f"the old {contract.second} cannot be called by {callee_text}, which leads to the deployed version"
        )
    return unavailable


def make_contract_runner(
    target: Target, runs: Sequence[StageRun], settings: RolloutSettings, services: Iterable[Service]
) -> ContractRunner:
    """Return a runner for the contracts between ``services``. It has to be closed.

    :param runs: the current run of each stage in the environment.
    :raises RolloutRefused: the target does not support contracts.
    """
    specs = {
        service.name: make_service_spec(
            service, settings.deploy_settings_for(stage=service.stage, name=service.name, path=service.path)
        )
        for service in services
    }
    return ContractRunner(target, runs, specs)


def describe_results(results: Sequence[ContractResult]) -> str:
    """Describe each contract with the version pairs that were tried."""
    lines = []
    for result in results:
        outcome = {Result.SUCCESSFUL: "holds", Result.FAILED: "broken"}.get(result.result, "inconclusive")
        lines.append(
            f"{escape_terminal(result.edge)}  {escape_terminal(result.what)}  {outcome}"
            + (f": {escape_terminal(result.reason)}" if result.reason else "")
        )
        lines += [f"    {escape_terminal(str(pair))}" for pair in result.tried]
    return "\n".join(lines) + "\n"
