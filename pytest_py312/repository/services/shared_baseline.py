"""Determine the baseline of services whose own files declare none, from shared files that are about them.

A Dockerfile at the root that adds the folder of a service, the runtime of a serverless function, a job of a workflow;
then what is for all services: for functions the runtime that most have, a pin, a tox.ini or a workflow at the root,
images of no service that agree.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_py312.core.model.fleet import PLATFORMS, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration
from pytest_py312.repository.declarations.pins import RUNTIME
from pytest_py312.repository.services.detection.baseline import FALLBACK_SOURCE, OLDEST_SUPPORTED
from pytest_py312.repository.services.detection.service_files import is_production_dockerfile
from pytest_py312.repository.services.version_survey import VersionSurvey

MIN_OTHERS = 2
"""Number of services that have to be on a Python before it is taken for one that says none."""
_RUNNING = (DeclarationRole.EXACT, DeclarationRole.LIST_ITEM)


def with_shared_baselines(plan: Plan, services: Sequence[Service]) -> dict[str, Service]:
    """Return those ``services``, by name, whose baseline only shared files declare, with that baseline."""
    undeclared = [service for service in services if not service.baseline_is_declared]
    if not undeclared:
        return {}
    survey = VersionSurvey(plan.root, services, exclude=plan.exclude)
    by_service: dict[str, list[VersionDeclaration]] = {service.name: [] for service in undeclared}
    of_nobody: list[VersionDeclaration] = []
    at_place: dict[tuple[str, int], VersionDeclaration] = {}
    for file in survey.shared_files():
        at_place |= {(each.path, each.line): each for each in file.declarations if each.subject == RUNTIME}
        owners = [(declaration, file.owners(declaration)) for declaration in file.declarations]
        of_nobody += [declaration for declaration, names in owners if not names]
        for name, declarations in by_service.items():
            own = [(len(names), declaration) for declaration, names in owners if name in names]
            # what a file says of one function or job overrides what it says of all
            fewest = min((count for count, _ in own), default=0)
            declarations += [declaration for count, declaration in own if count == fewest]
    of_fleet = [declaration for declaration in of_nobody if declaration.kind != "image"]
    images = [
        declaration
        for declaration in of_nobody
        if declaration.kind == "image"
        and is_production_dockerfile(declaration.path, ".")
        and declaration.version not in (None, plan.target)
    ]
    with_baseline: dict[str, Service] = {}
    for service in undeclared:
        running = (
            _running_declaration([at_place[place] for place in _runtime_places(service) if place in at_place], plan)
            or _running_declaration(by_service[service.name], plan)
            or (_usual_runtime(of_nobody, plan) if _is_function(service) else None)
            or _running_declaration([one for one in of_fleet if one.kind == "pin"], plan)
            or _running_declaration(of_fleet, plan)
            or (_running_declaration(images, plan) if len({image.version for image in images}) == 1 else None)
        )
        if running is not None and running.version is not None:
            source = f"{running.location} says {running.text[:80]}"
            with_baseline[service.name] = replace(
                service, baseline=running.version, baseline_source=source, baseline_is_declared=True
            )
    return with_baseline


def _is_function(service: Service) -> bool:
    return service.recipe is not None and any(step.tool in PLATFORMS for step in service.recipe.steps)


def _runtime_places(service: Service) -> Iterator[tuple[str, int]]:
    """Yield the files and lines that say where the functions of a service run."""
    steps = service.recipe.steps if service.recipe is not None else ()
    yield from ((step.location.path, step.location.line or 1) for step in steps if step.tool in PLATFORMS)


def _usual_runtime(declarations: Sequence[VersionDeclaration], plan: Plan) -> VersionDeclaration | None:
    """Return the runtime of most functions in programs and modules that no function is known of."""
    of_line = Counter((each.path, each.line) for each in declarations)  # a layer has a list of them
    runtimes = [each for each in declarations if each.subject == RUNTIME and of_line[each.path, each.line] == 1]
    usual, count = Counter(each.version for each in runtimes).most_common(1)[0] if runtimes else (None, 0)
    if 2 * count <= len(runtimes) or usual is None or usual >= plan.target:
        return None
    return _running_declaration([each for each in runtimes if each.version == usual], plan)


def with_usual_baselines(services: Sequence[Service], plan: Plan) -> dict[str, Service]:
    """Return those ``services``, by name, of which nothing says the Python, with that of most others as their baseline.

    A service of a repository on 3.11 is likelier on 3.11 than on the oldest interpreter of the plan, for which its
    requirements may have no versions. At least two others have to say it, and more than half of those that say any.
    """
    undeclared = [service for service in services if not service.baseline_is_declared]
    others = Counter(service.baseline for service in services if service.baseline_is_declared)
    usual, count = others.most_common(1)[0] if others else (plan.target, 0)
    if count < MIN_OTHERS or 2 * count <= others.total() or usual not in plan.interpreters or usual == plan.target:
        return {}
    source = f"{count} other services are on {usual}"
    return {service.name: replace(service, baseline=usual, baseline_source=source) for service in undeclared}


def describe_assumed_baselines(services: Sequence[Service]) -> Iterator[str]:
    """Yield what is assumed about the Python of services of which no file says it, as sentences."""
    for service in services:
        if not service.baseline_is_declared:
            images = service.images
            hint = f" ({images[0].location} says only {images[0].text})" if images else ""
            if service.baseline_source == FALLBACK_SOURCE:
                taken = f"{service.baseline}, the oldest of the plan, is taken as its baseline"
            else:
                taken = f"{service.baseline} is taken as its baseline, because {service.baseline_source}"
            yield f"{service.name} says nowhere which Python it runs on{hint}; {taken}."


def _running_declaration(declarations: Sequence[VersionDeclaration], plan: Plan) -> VersionDeclaration | None:
    """Return the oldest version that runs, of images and runtimes before that of jobs and environments.

    Of those that a job or an environment is tested on one after the other, it is the newest before the target: that one
    has the fewest differences.
    """
    usable = [
        declaration
        for declaration in declarations
        if declaration.role in _RUNNING
        and declaration.version is not None
        and OLDEST_SUPPORTED <= declaration.version <= plan.target
        and not declaration.misread_as
    ]
    deployed = [
        declaration
        for declaration in usable
        if declaration.kind == "image" and declaration.declared and is_production_dockerfile(declaration.path, ".")
    ]
    last_images = [
        declaration
        for declaration in deployed
        if not any(
            other.path == declaration.path
            and max(other.image_lines, default=0) > max(declaration.image_lines, default=0)
            for other in deployed
        )
    ]
    candidates = last_images or usable
    if candidates and all(candidate.role is DeclarationRole.LIST_ITEM for candidate in candidates):
        versions = {candidate.version or plan.target for candidate in candidates}
        newest = max(versions - {plan.target}, default=plan.target)
        candidates = [candidate for candidate in candidates if candidate.version == newest]
    return min(candidates, key=lambda one: (one.version or plan.target, one.path, one.start), default=None)
