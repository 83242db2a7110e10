"""Which workers of a cluster can check which services. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service, cells_of
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.core.text import format_duration, format_size, join_with_and, list_names
from pytest_py312.gate.cluster.jobs import WorkerFacts

CLOCK_LIMIT = 60.0
"""Seconds that the clock of a worker may be off: locks and known findings expire by it."""
_USUAL_MEMORY = ServiceSettings().memory_limit
_SHOWN_WORKERS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceNeeds:
    """What a worker must have to check a service. ``memory`` is 0 unless the plan lets it use more than usual."""

    interpreters: frozenset[Interpreter]
    memory: int


def needs_of(plan: Plan, service: Service, interpreters: Iterable[Interpreter]) -> ServiceNeeds:
    """Return what checking a service on ``interpreters`` needs; its baseline and the target are always needed."""
    cells = cells_of(plan, service)
    limit = service.settings.memory_limit
    return ServiceNeeds(
        interpreters=frozenset({*interpreters, cells[0].interpreter, cells[-1].interpreter}),
        memory=limit if limit > _USUAL_MEMORY else 0,
    )


def refusal(
    facts: WorkerFacts,
    *,
    tool: str,
    python: str,
    clock_offset: float,
    plugins: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return why a worker cannot take part in the run at all; empty if it can.

    :param tool: version of this package that the coordinator runs, with the digest of its code.
    :param python: the coordinator's Python, as ``3.11``.
    :param clock_offset: seconds by which the worker's clock is ahead, as far as is certain.
    :param plugins: module of each plugin -> digest of its code in this run.
    """
    if facts.tool != tool:
        return f"it has pytest-py312 {facts.tool}, and this run is by {tool}: install the same version there"
    if facts.python != python:
        return f"it runs Python {facts.python}, and this run Python {python}: start it with the same"
    for name, digest in plugins.items():
        if not facts.plugins.get(name):
            return f"it has no module {name}, a plugin of this run: install it there"
        if facts.plugins[name] != digest:
            return f"its plugin {name} has other code than that of this run: install the same version there"
    if abs(clock_offset) > CLOCK_LIMIT:
        direction = "ahead" if clock_offset > 0 else "behind"
        return f"its clock is {format_duration(abs(clock_offset))} {direction}: synchronise it"
    return ""


def choose_runner(requested: str, workers: Collection[WorkerFacts]) -> str:
    """Return the runner of all services: that of ``auto`` is docker if a worker has an engine."""
    if requested in ("local", "docker"):
        return requested
    return "docker" if any(facts.engine for facts in workers) else "local"


def missing(facts: WorkerFacts, needs: ServiceNeeds, *, runner: str, fetches: bool) -> str:
    """Return what a worker lacks to check a service; empty if nothing.

    :param fetches: interpreters that are not there are downloaded.
    """
    lacks = []
    if runner == "docker" and not facts.engine:
        lacks.append("no Docker engine answers")
    if runner == "local" and not fetches:
        present = {build.interpreter for build in facts.interpreters}
        absent = [str(interpreter) for interpreter in sorted(needs.interpreters - present)]
        lacks += [f"it has no Python {join_with_and(absent)}"] if absent else []
    if needs.memory > facts.memory:
        lacks.append(f"it has {format_size(facts.memory)} of memory, and the plan allows {format_size(needs.memory)}")
    return join_with_and(lacks)


def cannot_be_placed(lacks: Mapping[str, str]) -> str:
    """Return the reason of a service that no worker can take, from what each of them (by name) lacks."""
    workers: dict[str, list[str]] = {}
    for worker, lack in lacks.items():
        workers.setdefault(lack, []).append(worker)
    listed = [f"{list_names(names, _SHOWN_WORKERS)}: {lack}" for lack, names in sorted(workers.items())]
    return "no worker of the cluster can check it: " + "; ".join(listed)


def differing_interpreters(workers: Mapping[str, WorkerFacts]) -> Sequence[str]:
    """Return the sentences on interpreters that workers have in different builds."""
    builds: dict[Interpreter, dict[str, list[str]]] = {}
    for worker, facts in workers.items():
        for build in facts.interpreters:
            builds.setdefault(build.interpreter, {}).setdefault(f"{build.version} {build.flags}", []).append(worker)
    return [
        f"Python {interpreter} is not the same on all workers: "
        + "; ".join(f"{kind} on {list_names(names, _SHOWN_WORKERS)}" for kind, names in sorted(kinds.items()))
        for interpreter, kinds in sorted(builds.items())
        if len(kinds) > 1
    ]
