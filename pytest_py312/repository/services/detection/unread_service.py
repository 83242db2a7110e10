"""Keep an error of this package in the reading of one service from ending the discovery of the others."""

from collections.abc import Callable
from dataclasses import replace

from pytest_py312.core.errors import Py312Error, describe_internal_error
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Plan, Stage
from pytest_py312.repository.plan.fleet_check import settings_for


def bare_service(plan: Plan, name: str, path: str, stage: Stage | None) -> Service:
    """Return a service of which only the plan was read."""
    settings = settings_for(plan, name, path)
    return Service(
        name=name,
        path=path,
        stage=stage.number if stage else 0 if plan.stages else 1,
        critical=bool(stage and stage.critical),
        baseline=settings.baseline or plan.target,
        baseline_source="its files could not be read",
        requirements=(),
        test_requirements=(),
        suite=None,
        settings=settings,
    )


def read_or_mark(service: Service, step: Callable[[Service], Service]) -> Service:
    """Return the service after a step of discovery, or marked as :attr:`Service.unread` if an error of ours ends it.

    :raises Py312Error: the plan has a mistake.
    """
    try:
        return step(service)
    except Py312Error:
        raise
    except Exception as error:
        return replace(service, unread=f"its files could not be read: {describe_internal_error(error)}")
