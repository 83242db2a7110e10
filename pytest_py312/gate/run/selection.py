"""Plan and fleet -> cells, and which of them are chosen. Pure."""

from collections.abc import Sequence

from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Cell, Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.service_patterns import Lookup, suggestion


def choose(
    fleet: Fleet, plan: Plan, *, stages: frozenset[int] = frozenset(), patterns: tuple[str, ...] = ()
) -> tuple[Service, ...]:
    """The services in one of ``stages`` and matched by one of ``patterns``, in the fleet's order; none given: all.

    :raises OptionError: a stage does not exist, a pattern matches no service, or both together leave no service.
    """
    _check_stages(fleet, plan, stages)
    named = _named(fleet, patterns)
    chosen = tuple(
        service
        for service in fleet.services
        if (not stages or service.stage in stages) and (not patterns or (service.name, service.path) in named)
    )
    if not chosen and stages and patterns:
        elsewhere = ", ".join(
            f"{service.name} is in stage {service.stage}"
            for service in fleet.services
            if (service.name, service.path) in named
        )
        raise OptionError(f"no service is in stage {_listed(stages)} and matched by {', '.join(patterns)}: {elsewhere}")
    return chosen


def choose_interpreters(cells: Sequence[Cell], wanted: frozenset[Interpreter]) -> tuple[Cell, ...]:
    """The cells on one of the ``wanted`` interpreters, in their order; an empty ``wanted`` is all of them.

    :raises OptionError: there are cells, and none of them is on one of the wanted interpreters. It is not left out in
        silence, because a run of fewer cells than asked for would look like a proof.
    """
    if not wanted or not cells:
        return tuple(cells)
    present = {cell.interpreter for cell in cells}
    absent = sorted(wanted - present)
    if absent:
        listed = ", ".join(str(interpreter) for interpreter in sorted(present))
        raise OptionError(
            f"no chosen service runs on Python {absent[0]}; their interpreters are {listed}"
            " (from a service's baseline up to the target, as the plan's \"interpreters\" lists them)"
        )
    return tuple(cell for cell in cells if cell.interpreter in wanted)


def _check_stages(fleet: Fleet, plan: Plan, stages: frozenset[int]) -> None:
    known = {stage.number for stage in plan.stages} | {service.stage for service in fleet.services}
    absent = sorted(stages - known)
    if not absent:
        return
    if not plan.stages:
        raise OptionError(
            f"stage {absent[0]} does not exist; the plan has no [[stage]], "
            f"and all services count as stage {_listed(known) or 1}"
        )
    raise OptionError(f"stage {absent[0]} does not exist; the plan has {_listed(known)}")


def _named(fleet: Fleet, patterns: tuple[str, ...]) -> set[tuple[str, str]]:
    services = [(service.name, service.path) for service in fleet.services]
    lookup = Lookup(services)
    named: set[tuple[str, str]] = set()
    for pattern in patterns:
        found = lookup.of(pattern)
        if not found:
            raise OptionError(f'"{pattern}" matches no service{suggestion(pattern, services)}')
        named.update(found)
    return named


def _listed(numbers: frozenset[int] | set[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
