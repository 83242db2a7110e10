"""Select services and cells by the options of a run. Pure."""

from collections.abc import Sequence

from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Cell, Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.service_patterns import PatternIndex, suggest_service


def select_services(
    fleet: Fleet, plan: Plan, *, stages: frozenset[int] = frozenset(), patterns: tuple[str, ...] = ()
) -> tuple[Service, ...]:
    """Return the services in one of ``stages`` that match one of ``patterns``, in the order of the fleet.

    Without stages or patterns, all services match.

    :raises OptionError: a stage does not exist, a pattern matches no service, or no service matches both.
    """
    _check_stages(fleet, plan, stages)
    matching = _matching_services(fleet, patterns)
    chosen = tuple(
        service
        for service in fleet.services
        if (not stages or service.stage in stages) and (not patterns or (service.name, service.path) in matching)
    )
    if not chosen and stages and patterns:
        elsewhere = ", ".join(
            f"{service.name} is in stage {service.stage}"
            for service in fleet.services
            if (service.name, service.path) in matching
        )
        raise OptionError(
            f"no service is in stage {_join_numbers(stages)} and matched by {', '.join(patterns)}: {elsewhere}"
        )
    return chosen


def select_cells(cells: Sequence[Cell], interpreters: frozenset[Interpreter]) -> tuple[Cell, ...]:
    """Return the cells on one of ``interpreters``, in their order. An empty set selects all cells.

    :raises OptionError: no cell is on one of the interpreters. This is an error, because a run with fewer cells than
        requested would look like a proof.
    """
    if not interpreters or not cells:
        return tuple(cells)
    present = {cell.interpreter for cell in cells}
    absent = sorted(interpreters - present)
    if absent:
        available = ", ".join(str(interpreter) for interpreter in sorted(present))
        raise OptionError(
            f"no chosen service runs on Python {absent[0]}; their interpreters are {available}"
            " (from a service's baseline up to the target, as the plan's \"interpreters\" lists them)"
        )
    return tuple(cell for cell in cells if cell.interpreter in interpreters)


def _check_stages(fleet: Fleet, plan: Plan, stages: frozenset[int]) -> None:
    existing_stages = {stage.number for stage in plan.stages} | {service.stage for service in fleet.services}
    absent = sorted(stages - existing_stages)
    if not absent:
        return
    if not plan.stages:
        raise OptionError(
            f"stage {absent[0]} does not exist; the plan has no [[stage]], "
            f"and all services count as stage {_join_numbers(existing_stages) or 1}"
        )
    raise OptionError(f"stage {absent[0]} does not exist; the plan has {_join_numbers(existing_stages)}")


def _matching_services(fleet: Fleet, patterns: tuple[str, ...]) -> set[tuple[str, str]]:
    services = [(service.name, service.path) for service in fleet.services]
    lookup = PatternIndex(services)
    matching: set[tuple[str, str]] = set()
    for pattern in patterns:
        matches = lookup.matching_services(pattern)
        if not matches:
            raise OptionError(f'"{pattern}" matches no service{suggest_service(pattern, services)}')
        matching.update(matches)
    return matching


def _join_numbers(numbers: frozenset[int] | set[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
