"""The tree -> the fleet. Reads files only: no process, no network, nothing imported or executed."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from pytest_py312.core.errors import NoFleetError, PlanError, perhaps
from pytest_py312.core.model.fleet import Fleet, RequirementSource, Service
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage, Suite
from pytest_py312.core.service_patterns import Lookup, is_glob, tidy
from pytest_py312.repository.declarations.reader import is_dockerfile
from pytest_py312.repository.plan.fleet_check import check_against_fleet, settings_for
from pytest_py312.repository.services.baseline import find_baseline
from pytest_py312.repository.services.entry_points import started_programs
from pytest_py312.repository.services.packaging import find_distribution, has_src_packages
from pytest_py312.repository.services.requirement_set import requirement_set
from pytest_py312.repository.services.requirement_sources import (
    MOST_FURTHER,
    find_further,
    find_sources,
    stated_sources,
)
from pytest_py312.repository.services.service_files import (
    NOT_SERVICES,
    ServiceFiles,
    has_own_code,
    has_python_image,
    is_deployable,
    read_service,
    sign_of_service,
)
from pytest_py312.repository.services.suites import django_project, find_suite
from pytest_py312.repository.services.unassigned_files import FOLDER_LIMIT, SEARCH_DEPTH, is_excluded, unowned
from pytest_py312.repository.tree import Listing, Tree, folders_beneath, join


def discover(plan: Plan) -> Fleet:
    """All services below ``plan.root``, with what their files say.

    :raises NoFleetError: there is none.
    :raises PlanError: the plan names services, stages, files or folders that do not exist.
    """
    tree = Tree(plan.root)
    paths, assumptions = _stated_folders(plan, tree) if plan.services else _found_folders(plan, tree)
    names = unique_names(paths, plan.root.resolve().name or "root")
    named = [(names[path], path) for path in paths if not is_excluded(plan, names[path], path)]
    inner = folders_beneath(paths)
    if not named:
        raise NoFleetError(_nothing_found(plan))
    check_against_fleet(plan, named)
    stages = _stages(plan, named)
    services = []
    for name, path in named:
        service, clauses = _service(plan, tree, name, path, stages.get((name, path)), inner.get(path, ()))
        services.append(service)
        assumptions += [f"{name} {clause}." for clause in clauses]
    ordered = sorted(services, key=lambda service: (service.stage, service.path))
    assumptions = [
        *unowned(plan, tree, paths, [needed for one in services for needed in one.settings.needs]),
        *assumptions,
    ]
    return Fleet(services=tuple(ordered), assumptions=tuple(assumptions))


def unique_names(paths: Sequence[str], root_name: str) -> dict[str, str]:
    """A name for each path: that of the folder, with as many of those above in front as it takes to tell them apart."""
    parts = {path: [root_name] if path == "." else path.split("/") for path in paths}
    taken = dict.fromkeys(paths, 1)
    while True:
        names = {path: "-".join(parts[path][-taken[path] :]) for path in paths}
        owners: dict[str, list[str]] = {}
        for path, name in names.items():
            owners.setdefault(name, []).append(path)
        longer = [path for same in owners.values() if len(same) > 1 for path in same if taken[path] < len(parts[path])]
        if not longer:
            break
        for path in longer:
            taken[path] += 1
    for same in owners.values():
        for number, path in enumerate(sorted(same)[1:], start=2):
            names[path] = f"{names[path]}-{number}"
    return names


def _nothing_found(plan: Plan) -> str:
    if plan.exclude:
        left = f" that is not excluded ({', '.join(plan.exclude)})"
    else:
        left = ""
    return (
        f"no Python service was found below {plan.root}{left}. A service is a folder with a requirements file, a "
        "pyproject.toml with [project] or [tool.poetry], a setup.py or setup.cfg, a Pipfile, or a Dockerfile based on "
        'a Python image. Run it in the repository, or name the folders in the plan: services = ["services/*"]'
    )


# ---- which folders


def _found_folders(plan: Plan, tree: Tree) -> tuple[list[str], list[str]]:
    """Folders that show themselves to be services, the outermost first met. One that holds others, as the root may, is
    one itself only when it has code of its own."""
    found: list[str] = []
    groups: dict[str, str] = {}
    assumptions: list[str] = []
    pending = [(".", 0)]
    for _ in range(FOLDER_LIMIT):
        if not pending:
            break
        path, depth = pending.pop()
        listing = tree.listing(path)
        if path != ".":
            if is_excluded(plan, path.rpartition("/")[2], path):
                continue
            sign = sign_of_service(tree, path, listing)
            if sign and not _is_group(tree, path, listing):
                found.append(path)
                continue
            if sign:
                groups[path] = sign
        if depth < SEARCH_DEPTH:
            pending += [(join(path, name), depth + 1) for name in reversed(listing.folders) if _is_searched(name)]
    else:
        assumptions.append(f"More than {FOLDER_LIMIT} folders; those after {path} were not searched for services.")
    if sign := sign_of_service(tree, ".", tree.listing(".")):
        if not found or found == ["src"]:  # the layout of one distribution, not a service in a folder of that name
            return ["."], assumptions
        groups["."] = sign
    for path, sign in groups.items():
        if is_deployable(tree, path) and has_own_code(tree, path, found):
            found.append(path)
        elif path != ".":
            assumptions.append(f"{path} has {sign}, and services of its own below it, so it is taken for a group.")
    return sorted(found), assumptions


def _is_searched(name: str) -> bool:
    return name not in NOT_SERVICES and not name.startswith(".")


def _is_group(tree: Tree, path: str, listing: Listing) -> bool:
    """Whether a folder with requirements holds several services: two folders in it show themselves to be some."""
    if has_python_image(tree, path, listing):
        return False
    inside = 0
    for name in filter(_is_searched, listing.folders):
        inner = join(path, name)
        inside += bool(sign_of_service(tree, inner, tree.listing(inner)))
        if inside > 1:
            return True
    return False


def _stated_folders(plan: Plan, tree: Tree) -> tuple[list[str], list[str]]:
    """The folders that the plan's ``services`` fit. Of those that a glob fits, only the ones with a sign of Python."""
    found: dict[str, None] = {}
    assumptions: list[str] = []
    for pattern in plan.services:
        fitting = _expand(tree, tidy(pattern).split("/"))
        signed = [path for path in fitting if not is_glob(pattern) or sign_of_service(tree, path, tree.listing(path))]
        if not signed:
            where, known = plan.source or "the plan", _found_folders(plan, tree)[0]
            what = "no folder with a Python service" if fitting else "no folder"
            raise PlanError(where, "services", f'"{pattern}" fits {what}{perhaps(tidy(pattern), known)}')
        assumptions += [
            f'{path} fits "{pattern}" and shows no sign of a Python service, so it is left out.'
            for path in fitting
            if path not in signed and not is_excluded(plan, path.rpartition("/")[2], path)
        ]
        found.update(dict.fromkeys(signed))
    return sorted(found), [text for text in assumptions if text.partition(" fits ")[0] not in found]


def _expand(tree: Tree, components: Sequence[str]) -> list[str]:
    """The folders that a glob fits; ``**`` is any number of folders."""
    fitting = {"."}
    for component in components:
        if component == "**":
            fitting = {join(path, inner) for path in fitting for inner in (".", *tree.scan(path, depth=6).folders)}
        elif not is_glob(component):
            fitting = {join(path, component) for path in fitting if tree.is_folder(join(path, component))}
        else:
            fitting = {
                join(path, name)
                for path in fitting
                for name in tree.listing(path).folders
                if fnmatchcase(name, component) and not name.startswith(".")
            }
    return sorted(fitting)


# ---- one service


def _stages(plan: Plan, named: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Stage]:
    lookup = Lookup(named)
    return {
        service: stage
        for stage in sorted(plan.stages, key=lambda stage: -stage.number)
        for pattern in stage.services
        for service in lookup.of(pattern)
    }


def _service(
    plan: Plan, tree: Tree, name: str, path: str, stage: Stage | None, inner: Sequence[str]
) -> tuple[Service, tuple[str, ...]]:
    """The service, and what had to be assumed of it, as clauses that follow its name."""
    settings = settings_for(plan, name, path)
    files = read_service(tree, path, inner)
    baseline = find_baseline(files, settings, plan)
    distribution = find_distribution(files.scan.files, files.texts)
    run_time, tests, requirement_clause = _requirements(plan, tree, files, settings)
    suite, suite_clause = _suite(tree, files, settings)
    further = _further(plan, files, (*run_time, *tests))
    clauses = [*baseline.assumptions, requirement_clause, suite_clause]
    if len(further) > MOST_FURTHER:
        clauses.append(f"has {len(further)} further requirements files, of which {MOST_FURTHER} are judged")
    if plan.stages and stage is None:
        clauses.append("is in no stage of the plan; it counts as stage 0")
    if not files.scan.complete:
        clauses.append("is too deep or too large to be searched in full")
    service = Service(
        name=name,
        path=path,
        stage=stage.number if stage else 0 if plan.stages else 1,
        critical=bool(stage and stage.critical),
        baseline=baseline.interpreter,
        baseline_source=baseline.source,
        requirements=run_time,
        test_requirements=tests,
        suite=suite,
        settings=settings,
        python_path=_python_path(files, settings, is_distribution=distribution is not None),
        distribution=distribution,
        declarations=files.declarations,
        manifest=_manifest(files, run_time),
        further=further,
        inner=tuple(inner),
        programs=started_programs(tree, files),
    )
    return service, tuple(filter(None, clauses))


def _requirements(
    plan: Plan, tree: Tree, files: ServiceFiles, settings: ServiceSettings
) -> tuple[tuple[RequirementSource, ...], tuple[RequirementSource, ...], str]:
    inferred = find_sources(files)
    run_time, tests, clause = inferred.run_time, inferred.tests, inferred.assumption
    if settings.requirements is not None:
        run_time = tuple(stated_sources(plan, tree, files, "requirements", settings.requirements))
    if settings.test_requirements is not None:
        tests, clause = tuple(stated_sources(plan, tree, files, "test-requirements", settings.test_requirements)), ""
    return run_time, tests, clause


def _further(plan: Plan, files: ServiceFiles, sources: Sequence[RequirementSource]) -> tuple[RequirementSource, ...]:
    """The requirements files that ``sources`` do not take: neither they themselves nor what they include."""
    taken = {source.path for source in sources}
    if not find_further(files, taken):
        return ()
    return find_further(files, {*taken, *requirement_set(plan.root, sources).files})


def _suite(tree: Tree, files: ServiceFiles, settings: ServiceSettings) -> tuple[Suite | None, str]:
    if settings.suite or settings.suite_skip_reason:
        return settings.suite, ""
    manage = tree.text(join(files.path, "manage.py")) if files.scan.named("manage.py") else None
    found = find_suite(files.scan.files, files.scan.folders, files.texts, files.inner, manage or "")
    return found.suite, found.assumption


def _python_path(files: ServiceFiles, settings: ServiceSettings, *, is_distribution: bool) -> tuple[str, ...]:
    if settings.python_path is not None:
        return settings.python_path
    source = ("src",) if not is_distribution and has_src_packages(files.scan.files) else ()
    project = django_project(files.scan.files, files.texts)
    return (*source, project) if project and project not in source else source


def _manifest(files: ServiceFiles, sources: Sequence[RequirementSource]) -> str:
    names = files.scan.named("pyproject.toml", "requirements.txt", "setup.py", "Dockerfile")
    if names:
        return join(files.path, names[0])
    images = [name for name in files.scan.files if is_dockerfile(name.rpartition("/")[2])]
    return sources[0].path if sources else join(files.path, images[0]) if images else ""
