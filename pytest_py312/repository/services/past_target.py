"""Find the services that need a newer Python than the target: there is nothing to move, and they are not checked."""

from collections.abc import Sequence

from pytest_py312.core.model.fleet import Declaration, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.declarations.declaration import DeclarationRole
from pytest_py312.repository.formats.version_ranges import is_past
from pytest_py312.repository.services.version_survey import VersionSurvey

_RANGE_STARTS = ("<", ">", "=", "!", "~", "^")
_UNCLEAR = (DeclarationRole.UNKNOWN, DeclarationRole.FLOATING)
_RUNNING = (DeclarationRole.EXACT, DeclarationRole.LIST_ITEM, DeclarationRole.PATH)


def services_past_target(plan: Plan, services: Sequence[Service]) -> dict[str, str]:
    """Return the names of these services, and a sentence about each.

    Their metadata exclude the target and everything before it, and nothing says that they run on such a Python, or
    leaves open on which. If only one other service is left, none is returned: it would get the files of all.
    """
    ranges = {service.name: _ranges(service) for service in services if service.settings.baseline is None}
    candidates = [
        service
        for service in services
        if ranges.get(service.name)
        and all(is_past(each.text, plan.target) for each in ranges[service.name])
        and not (service.baseline_is_declared and service.baseline < plan.target)
    ]
    if not candidates:
        return {}
    survey = VersionSurvey(plan.root, services, exclude=plan.exclude)
    newer = [service for service in candidates if not _may_run_on_target(survey, service, plan)]
    if len(newer) == len(services) - 1:
        return {}
    return {
        service.name: f"{service.name} is past {plan.target} already ({ranges[service.name][0].location} says "
        f'"{ranges[service.name][0].text}"), so it is not checked.'
        for service in newer
    }


def _ranges(service: Service) -> list[Declaration]:
    return [each for each in service.declarations if each.kind == "metadata" and each.text[:1] in _RANGE_STARTS]


def _may_run_on_target(survey: VersionSurvey, service: Service, plan: Plan) -> bool:
    """Return whether an image, a workflow or a command is for the target or an older Python, or may be."""
    return any(
        each.role in _UNCLEAR or (each.role in _RUNNING and each.version is not None and each.version <= plan.target)
        for each in survey.read(service).declarations
    )
