"""Discover the fleet: find the folders that are services, and read what their files declare.

Only reads files. Starts no process, uses no network, imports and executes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

from pytest_py312.core.directories import checkout_root, path_in_checkout
from pytest_py312.core.errors import NoFleetError, PlanError, did_you_mean
from pytest_py312.core.model.fleet import Fleet, InstallStep, RequirementSource, Service
from pytest_py312.core.model.plan import Plan, Stage
from pytest_py312.core.service_patterns import PatternIndex, is_glob, normalize_pattern
from pytest_py312.repository.formats.codeowners import SIZE_LIMIT, OwnerRule, owning_rules, read_codeowners
from pytest_py312.repository.plan.fleet_check import check_against_fleet
from pytest_py312.repository.services.detection.service_files import ServiceFiles
from pytest_py312.repository.services.detection.service_folders import detect_folders, is_excluded
from pytest_py312.repository.services.detection.service_indicators import service_indicator
from pytest_py312.repository.services.detection.suites_above import with_suites_above
from pytest_py312.repository.services.detection.suites_of_packages import with_suites_of_packages
from pytest_py312.repository.services.detection.unread_service import bare_service, read_or_mark
from pytest_py312.repository.services.detection.working_folders import with_working_folders
from pytest_py312.repository.services.library_files import with_files_apart
from pytest_py312.repository.services.own_distributions import with_libraries
from pytest_py312.repository.services.past_target import services_past_target
from pytest_py312.repository.services.requirements.exact_sets import contradicting_projects
from pytest_py312.repository.services.requirements.sources import describe_sources_by_name, detect_sources
from pytest_py312.repository.services.service_description import describe_service
from pytest_py312.repository.services.shared_baseline import (
    describe_assumed_baselines,
    with_shared_baselines,
    with_usual_baselines,
)
from pytest_py312.repository.services.shared_packages import (
    required_lines,
    with_only_packages,
    with_packed_folders,
    with_shared_packages,
)
from pytest_py312.repository.services.unassigned_files import describe_unassigned_files
from pytest_py312.repository.services.undeclared_test_tools import with_test_tools
from pytest_py312.repository.tree import Tree, UnreadableFile, join_path, lies_in, nested_paths
from pytest_py312.repository.unchanging_tree import UnchangingTree

_FILES_FOR_GIT = frozenset({".gitattributes", ".gitignore", ".gitkeep"})
_CODE_FOLDERS = frozenset({"app", "code", "python", "src"})
_GROUP_FOLDERS = frozenset({"apps", "functions", "lambdas", "libs", "packages", "projects", "samples", "services"})
CODEOWNERS_PATHS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
"""Where GitHub and GitLab look for the file; the first one counts."""
_ANY_FILE = "any file of the service"
"""Stands for a file in the folder of a service. Patterns of certain file names do not say who owns the service."""


def discover(plan: Plan) -> Fleet:
    """Return all services below ``plan.root`` with what their files declare.

    :raises NoFleetError: there is no service.
    :raises PlanError: the plan names services, stages, files or folders that do not exist.
    """
    tree = UnchangingTree(plan.root)
    paths, assumptions = _planned_folders(plan, tree) if plan.services else detect_folders(plan, tree)
    names = unique_names(paths, plan.root.resolve().name or "root")
    named_paths = [(names[path], path) for path in paths if not is_excluded(plan, names[path], path)]
    inner = nested_paths(paths)
    if not named_paths:
        raise NoFleetError(_no_service_message(plan))
    check_against_fleet(plan, named_paths)
    stages = _stage_by_service(plan, named_paths)
    services = []
    for name, path in named_paths:
        stage = stages.get((name, path))
        describe = partial(describe_service, plan, tree, stage, inner.get(path, ()), assumptions)
        services.append(read_or_mark(bare_service(plan, name, path, stage), describe))
    of_parts: list[str] = []
    if not plan.services and not plan.stages:
        services, of_requirements = _without_shared_requirements(tree, services)
        services, of_images = _without_images_of_others(tree, services)
        of_parts = [*of_requirements, *of_images]
    services, of_surroundings = _with_surroundings(plan, tree, services)
    newer = {} if plan.services or plan.stages else services_past_target(plan, services)
    services = [service for service in services if service.name not in newer]
    if newer and not services:
        raise NoFleetError(
            f"nothing is to be moved to {plan.target}, the target of the plan: {next(iter(newer.values()))}"
        )
    ordered = sorted(with_owners(plan, services), key=lambda service: (service.stage, service.path))
    assumptions = [
        *_describe_unassigned(plan, tree, paths, services),
        *describe_assumed_baselines(services),
        *newer.values(),
        *of_parts,
        *(sentence for sentence in assumptions if not sentence.startswith(tuple(f"{name} " for name in newer))),
        *of_surroundings,
        *describe_sources_by_name(ordered),
    ]
    return Fleet(services=tuple(ordered), assumptions=tuple(assumptions))


def _with_surroundings(plan: Plan, tree: Tree, services: list[Service]) -> tuple[list[Service], list[str]]:
    """Add to the services what only the files around their folders show, and return what is assumed, as sentences."""
    services = _with_other_baselines(plan, services)
    services, of_packages = with_packed_folders(tree, with_shared_packages(tree, services))
    services, of_only_packages = with_only_packages(tree, services)
    services = with_libraries(plan, tree, services)
    services, of_files_apart = with_files_apart(tree, services)
    services, of_suites = with_suites_above(tree, services, _test_sources)
    services = [_with_separate_tests(plan, service) for service in services]
    services, of_package_suites = with_suites_of_packages(
        tree, services, _test_sources, lambda sources: required_lines(tree, sources)
    )
    services, of_working_folders = with_working_folders(tree, services)
    services, of_test_tools = with_test_tools(plan, tree, services)
    services = [_without_lock_of_tests(service) for service in services]
    return services, [
        *of_packages,
        *of_only_packages,
        *of_files_apart,
        *of_suites,
        *of_package_suites,
        *of_working_folders,
        *of_test_tools,
    ]


def _describe_unassigned(plan: Plan, tree: Tree, paths: Sequence[str], services: Sequence[Service]) -> list[str]:
    """Return which files belong to no service, and are neither needed nor read by one, as sentences."""
    needed = [path for service in services for path in service.settings.needs]
    sources = {
        source.path
        for service in services
        for source in (*service.requirements, *(service.test_requirements if service.suite else ()))
    }
    return describe_unassigned_files(plan, tree, paths, needed, sources)


def _without_shared_requirements(tree: Tree, services: list[Service]) -> tuple[list[Service], list[str]]:
    """Leave out folders that have nothing but requirements which other services install: ``lock/requirements.txt``.

    Returns the services, and what is assumed, as sentences.
    """
    without_code = {service.path for service in services if _has_only_requirements(tree, service)}
    installing = {
        source.path: service.name
        for service in services
        if service.recipe and service.path not in without_code
        for source in service.requirements
    }
    assumptions = []
    kept = []
    for service in services:
        own = [source.path for source in service.requirements if source.path.startswith(f"{service.path}/")]
        if service.path in without_code and own and installing.keys() >= set(own):
            assumptions.append(
                f"{service.path} has only requirements, which {installing[own[0]]} installs: it is no service."
            )
        else:
            kept.append(service)
    return kept, assumptions


def _without_images_of_others(tree: Tree, services: list[Service]) -> tuple[list[Service], list[str]]:
    """Leave out folders that have only the image of a service beside them: ``Docker/api/Dockerfile``, of ``api``.

    The image is the one that the service is installed by, and installs nothing else. Returns the services, and what is
    assumed, as sentences.
    """
    kept, assumptions = [], []
    by_source: dict[str, list[Service]] = {}
    for service in services:
        if service.recipe is not None:
            by_source.setdefault(service.recipe.source, []).append(service)
    for service in services:
        others = by_source[service.recipe.source] if service.recipe is not None else ()
        owner = next((other for other in others if _has_only_image_of(tree, service, other)), None)
        if owner is None:
            kept.append(service)
        else:
            assumptions.append(f"{service.path} has only the image of {owner.name}: it is no service.")
    return kept, assumptions


def _has_only_image_of(tree: Tree, service: Service, owner: Service) -> bool:
    """Return whether a folder has no code, and its image is that of another service and installs what is there only."""
    recipe, of_owner = service.recipe, owner.recipe
    if recipe is None or of_owner is None or recipe.source != of_owner.source or service is owner:
        return False
    if not lies_in(recipe.source, service.path) or lies_in(owner.path, service.path):
        return False
    steps = [step for step in recipe.steps if step.is_for_python]
    files = tree.scan_folder(service.path, depth=8).files
    has_code = any(name.endswith((".py", ".ipynb", ".proto", ".txt", ".toml")) for name in files)
    return bool(steps) and not has_code and all(_installs_only(step, owner.path) for step in steps)


def _installs_only(step: InstallStep, folder: str) -> bool:
    """Return whether all that a step installs for Python lies in a folder."""
    places = [*step.files, *(project.path for project in step.projects)]
    places += [step.project] if step.project is not None else []
    return not (step.arguments or step.left_out) and all(lies_in(place, folder) for place in places)


def _has_only_requirements(tree: Tree, service: Service) -> bool:
    """Whether each file of a service is text about what is installed: nothing there is started, built or tested."""
    scan = tree.scan_folder(service.path, depth=8)
    names = [name.rpartition("/")[2] for name in scan.files]
    is_text = all(name.endswith((".txt", ".in", ".md", ".rst")) or name in _FILES_FOR_GIT for name in names)
    is_whole = scan.complete and not (scan.linked_folders or scan.broken_links)
    has_table = any(source.table for source in service.requirements)
    return is_whole and is_text and not (has_table or service.programs or service.suite)


def _with_other_baselines(plan: Plan, services: list[Service]) -> list[Service]:
    """Return the services whose own files say no Python with that of files which are about them, or of most others."""
    declared = with_shared_baselines(plan, services)
    services = [declared.get(service.name, service) for service in services]
    usual = with_usual_baselines(services, plan)
    return [usual.get(service.name, service) for service in services]


def _test_sources(files: ServiceFiles) -> tuple[RequirementSource, ...]:
    return detect_sources(files).tests


def _with_separate_tests(plan: Plan, service: Service) -> Service:
    """Return a service with tests beside it as tested apart, if their requirements have other versions than its own."""
    is_beside = service.suite is not None and bool(service.suite.folder) and service.test_recipe is None
    if not is_beside or service.separate_tests or service.settings.test_requirements is not None:
        return service
    others = contradicting_projects(plan.root, service.requirements, service.test_requirements)
    return replace(service, separate_tests=bool(others))


def _without_lock_of_tests(service: Service) -> Service:
    """Return a service without tests as production has it, if only its tests were installed from a lock file."""
    is_locked = service.separate_tests and any(source.unlocked for source in service.requirements)
    return (
        replace(service, test_requirements=(), separate_tests=False) if is_locked and service.suite is None else service
    )


def unique_names(paths: Sequence[str], root_name: str) -> dict[str, str]:
    """Name each path after its folder, with as many parent folders in front as it takes to make the names unique.

    A folder such as ``hello/src``, beside which nothing else is a service, is named after the folder around it.
    """
    parts = {path: [root_name] if path == "." else _naming_parts(path, paths) for path in paths}
    component_counts = dict.fromkeys(paths, 1)
    while True:
        names = {path: "-".join(parts[path][-component_counts[path] :]) for path in paths}
        owners: dict[str, list[str]] = {}
        for path, name in names.items():
            owners.setdefault(name, []).append(path)
        ambiguous = [
            path
            for sharing in owners.values()
            if len(sharing) > 1
            for path in sharing
            if component_counts[path] < len(parts[path])
        ]
        if not ambiguous:
            break
        for path in ambiguous:
            component_counts[path] += 1
    for sharing in owners.values():
        for number, path in enumerate(sorted(sharing)[1:], start=2):
            names[path] = f"{names[path]}-{number}"
    return names


def _naming_parts(path: str, paths: Sequence[str]) -> list[str]:
    *outer, last = path.split("/")
    parent = "/".join(outer)
    if last not in _CODE_FOLDERS or not outer or outer[-1] in _CODE_FOLDERS | _GROUP_FOLDERS:
        return [*outer, last]
    is_shared = any(other == parent or other.startswith(f"{parent}/") for other in paths if other != path)
    return [*outer, last] if is_shared else outer


def _no_service_message(plan: Plan) -> str:
    if plan.exclude:
        exclusion = f" that is not excluded ({', '.join(plan.exclude)})"
    else:
        exclusion = ""
    return (
        f"no Python service was found below {plan.root}{exclusion}. A service is a folder with a requirements file, a "
        "pyproject.toml with [project] or [tool.poetry], a setup.py or setup.cfg, a Pipfile, or a Dockerfile based on "
        'a Python image. Run it in the repository, or name the folders in the plan: services = ["services/*"]'
    )


# ---- which folders


def _planned_folders(plan: Plan, tree: Tree) -> tuple[list[str], list[str]]:
    """Return the folders that match the plan's ``services``, and assumptions.

    Of the matches of a glob, only those with a sign of Python count.
    """
    folders: dict[str, None] = {}
    assumptions: list[str] = []
    for pattern in plan.services:
        matching = _expand_glob(tree, normalize_pattern(pattern).split("/"))
        with_sign = [
            path for path in matching if not is_glob(pattern) or service_indicator(tree, path, tree.list_folder(path))
        ]
        if not with_sign:
            where, detected = plan.source or "the plan", detect_folders(plan, tree)[0]
            missing = "no folder with a Python service" if matching else "no folder"
            raise PlanError(
                where, "services", f'"{pattern}" fits {missing}{did_you_mean(normalize_pattern(pattern), detected)}'
            )
        assumptions += [
            f'{path} fits "{pattern}" and shows no sign of a Python service, so it is left out.'
            for path in matching
            if path not in with_sign and not is_excluded(plan, path.rpartition("/")[2], path)
        ]
        folders.update(dict.fromkeys(with_sign))
    return sorted(folders), [text for text in assumptions if text.partition(" fits ")[0] not in folders]


def _expand_glob(tree: Tree, components: Sequence[str]) -> list[str]:
    """Return the folders that match a glob; ``**`` stands for any number of folders."""
    matching = {"."}
    for component in components:
        if component == "**":
            matching = {
                join_path(path, inner) for path in matching for inner in (".", *tree.scan_folder(path, depth=6).folders)
            }
        elif not is_glob(component):
            matching = {join_path(path, component) for path in matching if tree.is_folder(join_path(path, component))}
        else:
            matching = {
                join_path(path, name)
                for path in matching
                for name in tree.list_folder(path).folders
                if fnmatchcase(name, component) and not name.startswith(".")
            }
    return sorted(matching)


# ---- one service


def _stage_by_service(plan: Plan, services: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Stage]:
    lookup = PatternIndex(services)
    return {
        service: stage
        for stage in sorted(plan.stages, key=lambda stage: -stage.number)
        for pattern in stage.services
        for service in lookup.matching_services(pattern)
    }


def with_owners(plan: Plan, services: Sequence[Service]) -> list[Service]:
    """Return ``services`` with their owners, and the place that names them."""
    path, rules = _read_rules(plan)
    prefix = path_in_checkout(plan.root)
    return [_with_owners(plan, service, path, rules, prefix) for service in services]


def _with_owners(plan: Plan, service: Service, path: str, rules: Sequence[OwnerRule], prefix: str) -> Service:
    if service.settings.owner:
        return replace(service, owners=service.settings.owner, owners_source=plan.source or "the plan")
    matching = owning_rules(rules, f"{prefix}{join_path(service.path, _ANY_FILE)}") if rules else ()
    if not matching:
        return service
    owners = tuple(dict.fromkeys(owner for rule in matching for owner in rule.owners))
    return replace(service, owners=owners, owners_source=f"{path}:{matching[0].line}")


def _read_rules(plan: Plan) -> tuple[str, tuple[OwnerRule, ...]]:
    """Return the path of the file, relative to the checkout, and its rules."""
    tree = Tree(checkout_root(plan.root.resolve()))
    for path in CODEOWNERS_PATHS:
        if tree.is_file(path):
            try:
                return path, read_codeowners(tree.read(path, limit=SIZE_LIMIT))
            except UnreadableFile:
                return path, ()
    return "", ()
