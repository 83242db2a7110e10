"""Discover the fleet: find the folders that are services, and read what their files declare.

Only reads files. Starts no process, uses no network, imports and executes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

from packaging.utils import canonicalize_name

from pytest_py312.core.errors import NoFleetError, PlanError, did_you_mean
from pytest_py312.core.model.fleet import PLATFORMS, Fleet, InstallRecipe, LocalProject, RequirementSource, Service
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage, Suite, SuiteKind
from pytest_py312.core.service_patterns import PatternIndex, is_glob, normalize_pattern
from pytest_py312.core.text import join_names
from pytest_py312.repository.declarations.declaration import VersionDeclaration
from pytest_py312.repository.declarations.reader import is_dockerfile, read_declarations
from pytest_py312.repository.formats.dockerfile import read_dockerfile
from pytest_py312.repository.formats.requirements_file import project_name
from pytest_py312.repository.plan.fleet_check import check_against_fleet
from pytest_py312.repository.recipes.recipe_sources import own_sources
from pytest_py312.repository.services.compiled_requirements import compiled_from, read_compile_header
from pytest_py312.repository.services.detection.baseline import find_baseline
from pytest_py312.repository.services.detection.declared_variables import read_declared_variables
from pytest_py312.repository.services.detection.entry_points import start_modules, started_programs
from pytest_py312.repository.services.detection.owners import with_owners
from pytest_py312.repository.services.detection.packaging import find_distribution, has_src_packages
from pytest_py312.repository.services.detection.service_files import (
    ServiceFiles,
    read_service_files,
    service_indicator,
)
from pytest_py312.repository.services.detection.service_folders import detect_folders, is_excluded
from pytest_py312.repository.services.detection.suites import django_project_folder, find_suite
from pytest_py312.repository.services.detection.suites_above import with_suites_above
from pytest_py312.repository.services.detection.suites_of_packages import with_suites_of_packages
from pytest_py312.repository.services.detection.uninstalled_requirements import with_uninstalled
from pytest_py312.repository.services.detection.unread_service import bare_service, read_or_mark
from pytest_py312.repository.services.exact_sets import contradicting_projects, contradicting_tables
from pytest_py312.repository.services.install_recipes import (
    find_production_recipe,
    find_test_recipe,
    read_planned_recipe,
)
from pytest_py312.repository.services.own_distributions import with_libraries
from pytest_py312.repository.services.requirement_set import read_requirement_set, tested_with_lock
from pytest_py312.repository.services.requirement_sources import (
    MAX_ADDITIONAL_SOURCES,
    TABLE_READERS,
    describe_completion,
    describe_left_out,
    describe_sources_by_name,
    detect_sources,
    find_additional_sources,
    installed_sources,
    is_requirements_path,
    planned_sources,
    with_recipe,
)
from pytest_py312.repository.services.shared_baseline import with_shared_baselines, with_usual_baselines
from pytest_py312.repository.services.shared_packages import (
    required_modules,
    with_packed_folders,
    with_shared_packages,
)
from pytest_py312.repository.services.unassigned_files import describe_unassigned_files
from pytest_py312.repository.tree import Tree, join_path, nested_paths
from pytest_py312.repository.unchanging_tree import UnchangingTree

_CODE_FOLDERS = frozenset({"app", "code", "python", "src"})
_GROUP_FOLDERS = frozenset({"apps", "functions", "lambdas", "libs", "packages", "projects", "samples", "services"})


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
        describe = partial(_describe_service, plan, tree, stage, inner.get(path, ()), assumptions)
        services.append(read_or_mark(bare_service(plan, name, path, stage), describe))
    declared_elsewhere = with_shared_baselines(plan, services)
    assumptions = [text for text in assumptions if service_without_version(text) not in declared_elsewhere]
    services = [declared_elsewhere.get(service.name, service) for service in services]
    usual = with_usual_baselines(services, plan)
    assumptions = [_with_usual_baseline(text, usual) for text in assumptions]
    services = [usual.get(service.name, service) for service in services]
    services, of_packages = with_packed_folders(tree, with_shared_packages(tree, services))
    services = with_libraries(plan, tree, services)
    services, of_suites = with_suites_above(tree, services, _test_sources)
    services, of_package_suites = with_suites_of_packages(
        tree, services, _test_sources, lambda sources: required_modules(tree, sources)
    )
    services = [_without_lock_of_tests(service) for service in services]
    ordered = sorted(with_owners(plan, services), key=lambda service: (service.stage, service.path))
    assumptions = [
        *describe_unassigned_files(
            plan,
            tree,
            paths,
            [needed for discovered in services for needed in discovered.settings.needs],
            {
                source.path
                for discovered in services
                for source in (*discovered.requirements, *(discovered.test_requirements if discovered.suite else ()))
            },
        ),
        *assumptions,
        *of_packages,
        *of_suites,
        *of_package_suites,
        *describe_sources_by_name(ordered),
    ]
    return Fleet(services=tuple(ordered), assumptions=tuple(assumptions))


def _test_sources(files: ServiceFiles) -> tuple[RequirementSource, ...]:
    return detect_sources(files).tests


def _without_lock_of_tests(service: Service) -> Service:
    """Return a service without tests as production has it, if only its tests were installed from a lock file."""
    is_locked = service.separate_tests and any(source.unlocked for source in service.requirements)
    return (
        replace(service, test_requirements=(), separate_tests=False) if is_locked and service.suite is None else service
    )


def service_without_version(assumption: str) -> str:
    """Return the name of the service of which an assumption says that no file says its Python; empty for another."""
    name, separator, _ = assumption.partition(" says nowhere which Python it runs on")
    return name if separator else ""


def _with_usual_baseline(assumption: str, usual: Mapping[str, Service]) -> str:
    """Return the assumption about the baseline of a service with the baseline that it got."""
    service = usual.get(service_without_version(assumption))
    if service is None:
        return assumption
    start = assumption.rpartition("; ")[0]  # without the baseline that it had
    return f"{start}; {service.baseline} is taken as its baseline, because {service.baseline_source}."


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


def _describe_service(
    plan: Plan, tree: Tree, stage: Stage | None, inner: Sequence[str], assumptions: list[str], bare: Service
) -> Service:
    """Return the service with what its files declare, and add what was assumed about it to ``assumptions``."""
    name, path, settings = bare.name, bare.path, bare.settings
    files = read_service_files(tree, path, inner)
    distribution = find_distribution(files.scan.files, files.texts)
    recipe = (
        read_planned_recipe(tree, plan, path, "install", settings.install)
        if settings.install is not None
        else find_production_recipe(tree, files)
    )
    baseline = find_baseline(_with_image(tree, files, recipe), settings, plan, _runtime_of(tree, path, recipe))
    test_recipe = (
        read_planned_recipe(tree, plan, path, "test-install", settings.test_install)
        if settings.test_install is not None
        else find_test_recipe(tree, files, name)
    )
    run_time, tests, requirement_clauses = _requirement_sources(plan, tree, files, settings, recipe, test_recipe)
    suite, suite_clause = _choose_suite(tree, files, settings, test_recipe)
    programs = started_programs(tree, files)
    additional = with_uninstalled(
        tree, files, _additional_sources(plan, files, (*run_time, *tests)), (recipe, test_recipe)
    )
    clauses = [*baseline.assumptions, *requirement_clauses, suite_clause]
    if recipe is None and settings.requirements is None and (other := contradicting_tables(plan.root, run_time)):
        run_time, additional = tuple(source for source in run_time if source not in other), (*other, *additional)
        clauses.append(f"is installed from {run_time[0]} or from {other[0]}, which exclude each other: two sets")
    if suite is not None and test_recipe is not None and test_recipe.environment:
        names = join_names([name for name, _ in test_recipe.environment])
        clauses.append(f"is tested with the variables of {test_recipe.source}: {names}")
    variables = read_declared_variables(tree, path)
    if suite is not None and variables.of_tests:
        names = join_names([name for name, _ in variables.of_tests])
        clauses.append(f"is tested with the variables of {variables.source}: {names}")
    if len(additional) > MAX_ADDITIONAL_SOURCES:
        clauses.append(
            f"has {len(additional)} additional requirements files, of which {MAX_ADDITIONAL_SOURCES} are checked"
        )
    if plan.stages and stage is None:
        clauses.append("is in no stage of the plan; it counts as stage 0")
    if not files.scan.complete:
        clauses.append("is too deep or too large to be searched in full")
    locked_tests = tested_with_lock(tree, run_time, tests, test_recipe)
    if locked_tests:
        tests = locked_tests
        apart = "; its tests are installed with that: two environments" if suite is not None else ""
        clauses.append(f"is installed without the lock file beside it{apart}")
    other_versions = () if locked_tests else _versions_of_tests_only(tree, path, run_time, tests, test_recipe)
    if other_versions:
        clauses.append(
            f"is tested with other versions of {join_names(other_versions)} than production has: two environments"
        )
    assumptions += [f"{name} {clause}." for clause in clauses if clause]
    return replace(
        bare,
        baseline=baseline.interpreter,
        baseline_source=baseline.source,
        requirements=run_time,
        test_requirements=tests,
        suite=suite,
        python_path=_python_path(files, settings, test_recipe, is_distribution=distribution is not None),
        distribution=distribution,
        declarations=files.declarations,
        manifest=_manifest(files, run_time),
        additional_requirements=additional,
        nested_folders=tuple(inner),
        programs=programs,
        start_modules=start_modules(programs, files),
        recipe=recipe,
        test_recipe=test_recipe,
        test_variables=variables.of_tests,
        declared_variables=variables.others,
        separate_tests=bool(other_versions or locked_tests),
    )


def _versions_of_tests_only(
    tree: Tree,
    path: str,
    run_time: Sequence[RequirementSource],
    tests: Sequence[RequirementSource],
    test_recipe: InstallRecipe | None,
) -> tuple[str, ...]:
    """Return the projects of which the tests require another version than production.

    Empty if what installs the tests installs requirements of production as well. If it is not known, their files have
    to be complete by themselves: compiled from those of production and others.
    """
    installed = {(source.path, source.table) for source in installed_sources(tree, test_recipe, path)}
    if not installed.isdisjoint((source.path, source.table) for source in run_time):
        return ()
    if not installed and not all(_contains_any(tree, source, run_time) for source in tests):
        return ()
    return contradicting_projects(tree.root, run_time, tests)


def _contains_any(tree: Tree, compiled: RequirementSource, others: Sequence[RequirementSource]) -> bool:
    """Return whether a requirements file was compiled from one of ``others``, or from what that was compiled from."""
    files = compiled_from(tree, compiled.path)
    return bool(files) and any(source.path in files or compiled_from(tree, source.path) & files for source in others)


def _with_image(tree: Tree, files: ServiceFiles, recipe: InstallRecipe | None) -> ServiceFiles:
    """Return the service's files with the Dockerfile outside of it that installs it: its base is the service's."""
    path = recipe.source if recipe is not None else ""
    if not is_dockerfile(path.rpartition("/")[2]) or any(image.path == path for image in files.dockerfiles):
        return files
    return replace(files, dockerfiles=(*files.dockerfiles, read_dockerfile(tree.read_or_none(path) or "", path)))


def _runtime_of(tree: Tree, path: str, recipe: InstallRecipe | None) -> VersionDeclaration | None:
    """Return what a platform runs the service on: where its functions are defined, or in a file of App Engine."""
    steps = recipe.steps if recipe is not None else ()
    places = [(step.location.path, step.location.line) for step in steps if step.tool in PLATFORMS]
    places += [(join_path(path, name), None) for name in ("app.yaml", "app.yml")]
    for place, line in places:
        for declaration in read_declarations(tree.read_or_none(place) or "", place):
            is_there = line is None or declaration.line == line
            if is_there and declaration.kind == "image" and declaration.version and not declaration.images:
                return declaration
    return None


def _requirement_sources(
    plan: Plan,
    tree: Tree,
    files: ServiceFiles,
    settings: ServiceSettings,
    recipe: InstallRecipe | None,
    test_recipe: InstallRecipe | None,
) -> tuple[tuple[RequirementSource, ...], tuple[RequirementSource, ...], tuple[str, ...]]:
    """Return the sources for run time and tests, and what was assumed about them."""
    inferred = detect_sources(files)
    clauses = [describe_left_out(recipe), describe_left_out(test_recipe)]
    if settings.requirements is not None:
        run_time = tuple(planned_sources(plan, tree, files, "requirements", settings.requirements))
    elif settings.install is not None:
        run_time = _with_own_tables(plan, tree, files, installed_sources(tree, recipe, files.path))
    else:
        installed, added = with_recipe(tree, inferred.run_time, recipe, files.path)
        run_time = _with_own_tables(plan, tree, files, (*installed, *added))
        clauses.append(describe_completion(added, recipe) if recipe else "")
    if settings.test_requirements is not None:
        tests = tuple(planned_sources(plan, tree, files, "test-requirements", settings.test_requirements))
    elif settings.test_install is not None:
        tests = _with_own_tables(plan, tree, files, installed_sources(tree, test_recipe, files.path))
    else:
        installed, added = with_recipe(tree, inferred.tests, test_recipe, files.path)
        tests = _with_own_tables(plan, tree, files, (*installed, *added))
        clauses.append(describe_completion(added, test_recipe) if test_recipe else inferred.assumption)
    places = {(source.path, source.table, source.arguments, source.constraints) for source in run_time}
    tests = tuple(
        source for source in tests if (source.path, source.table, source.arguments, source.constraints) not in places
    )
    return run_time, tests, tuple(clauses)


def _with_own_tables(
    plan: Plan, tree: Tree, files: ServiceFiles, sources: tuple[RequirementSource, ...]
) -> tuple[RequirementSource, ...]:
    """Add the tables of the service itself where a file or a command installs it: ``-e .[test]``, or its own name."""
    distribution = find_distribution(files.scan.files, files.texts)
    own = canonicalize_name(distribution.name) if distribution is not None else ""
    if all(source.table or (source.arguments and not own) for source in sources):
        return sources
    read = read_requirement_set(plan.root, sources)
    steps = {source.path: source.step for source in sources if not source.table}
    places = [(local.location.path, local.extras) for local in read.locals if local.path == files.path]
    places += [(item.location.path, item.entry.extras) for item in read.entries if own and item.name == own]
    tables = [
        replace(table, step=steps.get(path, 0), unlocked=True)
        for path, extras in places
        for table in own_sources(tree, LocalProject(path=files.path, extras=extras), TABLE_READERS)
    ]
    kept = [other for source in sources if (other := _without_project(source, own)) is not None]
    known = {(source.path, source.table) for source in kept}
    return tuple(dict.fromkeys((*kept, *(table for table in tables if (table.path, table.table) not in known))))


def _without_project(source: RequirementSource, name: str) -> RequirementSource | None:
    """Return the source without the requirement of a project in its command; ``None`` if nothing else is in it."""
    if not source.arguments or not name:
        return source
    others = tuple(text for text in source.arguments if project_name(text) != name)
    return replace(source, arguments=others) if others else None


def _additional_sources(
    plan: Plan, files: ServiceFiles, sources: Sequence[RequirementSource]
) -> tuple[RequirementSource, ...]:
    """Return the requirements files that ``sources`` neither are nor include."""
    taken = {source.path for source in sources}
    if not find_additional_sources(files, taken):
        return ()
    tree = Tree(plan.root)
    names = (name for name in files.scan.files if is_requirements_path(name))
    compiled = (read_compile_header(tree, join_path(files.path, name)) for name in names)
    inputs = {source for header in compiled if header is not None for source in header.sources}
    return find_additional_sources(files, {*taken, *inputs, *read_requirement_set(plan.root, sources).files})


def _choose_suite(
    tree: Tree, files: ServiceFiles, settings: ServiceSettings, test_recipe: InstallRecipe | None
) -> tuple[Suite | None, str]:
    if settings.suite or settings.suite_skip_reason:
        return settings.suite, ""
    manage = tree.read_or_none(join_path(files.path, "manage.py")) if files.scan.existing_files("manage.py") else None
    detected = find_suite(files.scan.files, files.scan.folders, files.texts, files.nested_folders, manage or "")
    suite, ignored = detected.suite, test_recipe.ignored_tests if test_recipe is not None else ()
    if suite is None or suite.kind is not SuiteKind.PYTEST or suite.folder or test_recipe is None or not ignored:
        return suite, detected.assumption
    suite = replace(suite, arguments=(*suite.arguments, *(f"--ignore={path}" for path in ignored)))
    left_out = f"is tested without {join_names(list(ignored))}, as in {test_recipe.source}"
    return suite, "; it ".join(filter(None, (detected.assumption, left_out)))


def _python_path(
    files: ServiceFiles, settings: ServiceSettings, test_recipe: InstallRecipe | None, *, is_distribution: bool
) -> tuple[str, ...]:
    if settings.python_path is not None:
        return settings.python_path
    source = ("src",) if not is_distribution and has_src_packages(files.scan.files) else ()
    project = django_project_folder(files.scan.files, files.texts)
    variables = dict(test_recipe.environment) if test_recipe is not None else {}
    named = [path.strip("/") for path in variables.get("PYTHONPATH", "").split(":")]
    folders = [path.removeprefix("./") for path in named if path.removeprefix("./") in files.scan.folders]
    return tuple(dict.fromkeys((*source, *filter(None, [project]), *folders)))


def _manifest(files: ServiceFiles, sources: Sequence[RequirementSource]) -> str:
    names = files.scan.existing_files("pyproject.toml", "requirements.txt", "setup.py", "Dockerfile")
    if names:
        return join_path(files.path, names[0])
    images = [name for name in files.scan.files if is_dockerfile(name.rpartition("/")[2])]
    return sources[0].path if sources else join_path(files.path, images[0]) if images else ""
