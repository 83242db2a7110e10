"""Keeps contracts between services that are deployed: each version of one meets each version of the other.

The new version is what serves; the old one is its twin, or what serves where a service was not moved yet. To call, to
write and to read, a container of the kept old image will do in which nothing of the service runs.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pytest_py312.core import clock
from pytest_py312.core.errors import RolloutRefused, perhaps
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import ContractSettings, RolloutSettings
from pytest_py312.rollout.domain.contracts import (
    NEW,
    OLD,
    PAIRS,
    ContractResult,
    Said,
    answer_in,
    concerned,
    judged,
    needs_host,
    request_to,
    tried_of,
)
from pytest_py312.rollout.domain.deployment_plan import spec_of
from pytest_py312.rollout.domain.model import Container, Result, ServiceSpec, StageRun
from pytest_py312.rollout.targets.target import (
    Meeting,
    Target,
    TargetError,
    TargetLost,
    TargetRefused,
    TargetUnreachable,
)

PYTHONS = ("python3", "python")
GRACE = 20.0
"""Seconds beside a contract's limit, which is kept in the container: an interpreter has to start there."""
AGAIN, BETWEEN = 2, 1.0
"""So often, after so many seconds, a call that fails is made again: a blip breaks no contract."""
_NOT_STARTED = (126, 127)


@dataclass(frozen=True, kw_only=True, slots=True)
class Party:
    """A version of a service. ``serving`` answers calls; where nothing does, ``kept`` is what one is made like."""

    spec: ServiceSpec
    python: str = ""
    """The interpreter it has to be on; empty where nobody knows."""
    serving: Container | None = None
    kept: Container | None = None
    run: str = ""


@cache
def script() -> str:
    """The text that runs in a container."""
    return resources.files("pytest_py312.rollout.execution").joinpath("contract_script.py").read_text(encoding="utf-8")


class Contracting:
    """Keeps contracts on one target; close it in the end, which ends what it has started.

    :param runs: the newest run of each stage in the environment.
    :param specs: service -> what the target has to know of it, by the plan.
    :raises RolloutRefused: the target cannot do this.
    """

    def __init__(self, target: Target, runs: Sequence[StageRun], specs: Mapping[str, ServiceSpec]) -> None:
        if not isinstance(target, Meeting):
            raise RolloutRefused(f"contracts cannot be kept on the target {target.name}")
        self._target = target
        self._meeting: Meeting = target
        self._runs = runs
        self._specs = specs
        self._parties: dict[str, Mapping[str, Party]] = {}
        self._standing_in: dict[tuple[str, str], Container] = {}
        self._written: dict[tuple[int, str], Said] = {}

    def results(self, contracts: Sequence[ContractSettings], services: Sequence[str]) -> list[ContractResult]:
        """What there is to be said of each contract that one of ``services`` is a party of.

        :raises RolloutRefused: one names a service that there is not.
        """
        return [self.result(contract) for contract in concerned(contracts, services)]

    def result(self, contract: ContractSettings) -> ContractResult:
        """Let all versions of both that can be had meet, and judge what comes of it.

        :raises RolloutRefused: it names a service that there is not.
        """
        try:
            first, second = (self._versions(name) for name in (contract.first, contract.second))
        except TargetError as error:
            return ContractResult(edge=contract.edge, what=contract.what, result=Result.INCONCLUSIVE, reason=str(error))
        missing = _missing(contract, second)
        said = {
            (one, other): self._said(contract, first[one], second[other], one)
            for one, other in PAIRS
            if one in first and other in second and other not in missing
        }
        return judged(contract, tried_of(said), missing=list(missing.values()))

    def close(self) -> None:
        """End the stand-ins. Never raises: they are gone by themselves after a while."""
        for container in self._standing_in.values():
            with suppress(TargetError):
                self._meeting.dismiss(container)
        self._standing_in.clear()

    # ---- who there is

    def _versions(self, service: str) -> Mapping[str, Party]:
        if service not in self._parties:
            self._parties[service] = self._looked_up(service)
        return self._parties[service]

    def _looked_up(self, service: str) -> Mapping[str, Party]:
        for run in self._runs:
            one = next((one for one in run.deployments if one.service == service), None)
            if one is None or not (run.is_up and one.switched and one.new) or one.restored:
                continue
            found = {NEW: Party(spec=one.spec, python=str(run.target), serving=one.new, run=run.run)}
            if one.old is not None:
                twin = None if one.twin_removed else one.twin
                python = str(one.old_interpreter or "")
                found[OLD] = Party(spec=one.spec, python=python, serving=twin, kept=one.old, run=run.run)
            return found
        spec = self._specs.get(service)
        if spec is None:
            raise RolloutRefused(f"a contract names {service}, which is no service{perhaps(service, [*self._specs])}")
        seen = self._target.observe(spec)
        if seen is None or not seen.running:
            raise TargetRefused(f"{service} does not run")
        target = {str(run.target) for run in self._runs}
        version = NEW if str(seen.interpreter) in target else OLD
        return {version: Party(spec=spec, python=str(seen.interpreter or ""), serving=seen.container)}

    def _at_hand(self, party: Party) -> Container:
        """A container of it in which something can be done."""
        if party.serving is not None:
            return party.serving
        assert party.kept is not None, "a version is served, or kept"
        key = (party.spec.service, party.kept.id)
        if key not in self._standing_in:
            self._standing_in[key] = self._meeting.stand_in(party.spec, party.kept, run=party.run)
        return self._standing_in[key]

    # ---- one meeting

    def _said(self, contract: ContractSettings, first: Party, second: Party, version: str) -> Said:
        try:
            if contract.is_data:
                return self._handed_over(contract, first, second, version)
            caller = self._at_hand(first)
            assert second.serving is not None, "who cannot be called is missing"
            host = None
            if needs_host(contract):
                host = self._meeting.met(second.spec, second.serving, caller)
            said = self._done(first, caller, request_to(contract, host=host), contract.limit)
            for _ in range(AGAIN):
                if said.result is not Result.FAILED:
                    break
                clock.pause(BETWEEN)
                said = self._done(first, caller, request_to(contract, host=host), contract.limit)
            return said
        except TargetUnreachable as error:
            return Said(result=Result.ERROR, detail=str(error), apart=True)
        except (TargetLost, TargetRefused) as error:
            return Said(result=Result.ERROR, detail=str(error))

    def _handed_over(self, contract: ContractSettings, writer: Party, reader: Party, version: str) -> Said:
        key = (id(contract), version)
        if key not in self._written:
            self._written[key] = self._done(writer, self._at_hand(writer), request_to(contract), contract.limit)
        written = self._written[key]
        if written.result is not Result.SUCCESSFUL:
            told = f"{contract.first} could not write: {written.detail}"
            return Said(result=written.result, detail=told)
        request = request_to(contract, reads=True, data=written.data)
        return self._done(reader, self._at_hand(reader), request, contract.limit)

    def _done(self, party: Party, container: Container, request: Mapping[str, object], limit: float) -> Said:
        """What a version answers, by the Python of its container: which has to be the one that it is on."""
        printed = refused = ""
        for python in PYTHONS:
            argv = [python, "-c", script(), json.dumps(request)]
            try:
                code, printed = self._meeting.execute(container, argv, limit=limit + GRACE)
            except TargetRefused as error:
                refused = str(error)
                continue  # there is none of that name
            if code not in _NOT_STARTED:
                break
        said = answer_in(printed or refused)
        if said.python and party.python and said.python != party.python:
            told = f"the Python of its container is {said.python}, and {party.spec.service} runs on {party.python}"
            return Said(result=Result.ERROR, detail=told)
        return said


def _missing(contract: ContractSettings, second: Mapping[str, Party]) -> dict[str, str]:
    """Versions of the second that nobody can call, and why."""
    if contract.is_data:
        return {}
    found = {
        version: f"the {version} {contract.second} does not run (`twin = true` lets it run beside the new one)"
        for version, party in second.items()
        if party.serving is None
    }
    if OLD in second and NEW in second and not needs_host(contract):
        named = f"what is at {contract.at}" if contract.at else "a command without {callee}"
        found[OLD] = f"the old {contract.second} is not called by {named}: that meets the one that is deployed"
    return found


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


def text_of(results: Sequence[ContractResult]) -> str:
    """Each contract with the versions that met."""
    from pytest_py312.core.text import prose

    lines = []
    for one in results:
        told = {Result.SUCCESSFUL: "kept", Result.FAILED: "broken"}.get(one.result, "cannot be told")
        lines.append(f"{prose(one.edge)}  {prose(one.what)}  {told}" + (f": {prose(one.reason)}" if one.reason else ""))
        lines += [f"    {prose(str(each))}" for each in one.tried]
    return "\n".join(lines) + "\n"
