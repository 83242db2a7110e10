"""Describe one service from its files: what it requires and starts, how it is tested, on which Python it runs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import PLATFORMS, InstallRecipe, LocalProject, RequirementSource, Service
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage, Suite, SuiteKind
from pytest_py312.core.text import join_names
from pytest_py312.repository.declarations.declaration import VersionDeclaration
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.formats.dockerfile import is_dockerfile, read_dockerfile
from pytest_py312.repository.formats.requirements_file import project_name
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.recipes.recipe_sources import own_sources
from pytest_py312.repository.services.detection.baseline import find_baseline
from pytest_py312.repository.services.detection.declared_variables import DeclaredVariables, read_declared_variables
from pytest_py312.repository.services.detection.entry_points import start_modules, started_above, started_programs
from pytest_py312.repository.services.detection.interpreter_variables import read_interpreter_variables
from pytest_py312.repository.services.detection.packaging import (
    find_distribution,
    has_src_packages,
    old_build_requirements,
)
from pytest_py312.repository.services.detection.service_files import (
    ServiceFiles,
    read_service_files,
)
from pytest_py312.repository.services.detection.suites import READ_MODULES, django_project_folder, find_suite
from pytest_py312.repository.services.install_recipes import (
    find_production_recipe,
    find_test_recipe,
    find_test_run,
    read_planned_recipe,
)
from pytest_py312.repository.services.requirements.compiled_files import compiled_from, read_compile_header
from pytest_py312.repository.services.requirements.exact_sets import contradicting_projects, contradicting_tables
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set, tested_with_lock
from pytest_py312.repository.services.requirements.sources import (
    MAX_ADDITIONAL_SOURCES,
    TABLE_READERS,
    describe_completion,
    describe_left_out,
    detect_sources,
    find_additional_sources,
    installed_sources,
    is_requirements_path,
    planned_sources,
    with_recipe,
)
from pytest_py312.repository.services.requirements.uninstalled import with_uninstalled
from pytest_py312.repository.tree import Tree, join_path

_WORKFLOWS = ".github/workflows/"
_BUILDING_TOOLS = frozenset({"uv", "pdm", "rye", "hatch"})
"""Tools that install a project with the requirements of its build."""
_OWN_BUILD = re.compile(
    r"^[ \t]*(?:(?:-e|--editable)[ =]?)?[ \t]*\.(?:\[[^\]\n]*\])?/?[ \t]*(?:[;#].*)?$"
    r"|path[ \t]*=[ \t]*[\"']\.[\"']|-m[ \t]+build\b|bdist_wheel|\bpip3?[ \t]+wheel\b",
    re.MULTILINE,
)
"""A requirement of the project itself in a requirements file or a Pipfile, or a command that builds it."""
_BOOTSTRAP = "opentelemetry-bootstrap"
"""Installs the instrumentation of the libraries that are there; https://opentelemetry.io/docs/zero-code/python/."""
_JOBS = re.compile(r"^jobs:[ \t]*(?:#.*)?\n", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Requirements:
    """The sources of a service's requirements, and clauses about what was assumed."""

    run_time: tuple[RequirementSource, ...]
    tests: tuple[RequirementSource, ...]
    additional: tuple[RequirementSource, ...]
    separate_tests: bool
    clauses: tuple[str, ...]


def describe_service(
    plan: Plan, tree: Tree, stage: Stage | None, inner: Sequence[str], assumptions: list[str], bare: Service
) -> Service:
    """Return the service with what its files declare, and add what was assumed about it to ``assumptions``."""
    path, settings = bare.path, bare.settings
    files = read_service_files(tree, path, inner)
    distribution = find_distribution(files.scan.files, files.texts)
    recipe, test_recipe = _recipes(plan, tree, files, bare)
    if distribution is not None and _has_to_be_built(tree, files, (recipe, test_recipe)):
        distribution = replace(distribution, static=False)
    image_files = _with_image(tree, files, recipe)
    baseline = find_baseline(
        image_files,
        settings,
        plan,
        partial(_runtime_of, tree, path, recipe),
        partial(_with_test_job, tree, test_recipe),
    )
    suite, suite_clause = _choose_suite(tree, files, settings, test_recipe)
    test_run = None if suite is None else _test_run(tree, files, bare, test_recipe)
    if suite is not None and settings.suite is None and test_run is not None:
        suite = _with_test_run(suite, test_run)
        suite_clause = "; it ".join(filter(None, (suite_clause, _further_tests_clause(test_run))))
    required = _requirements(plan, tree, files, settings, recipe, test_recipe, is_tested=suite is not None)
    scripts = distribution.scripts if distribution is not None else ()
    programs = started_programs(tree, files, scripts, recipe.build_programs if recipe is not None else ())
    variables = read_declared_variables(tree, path, recipe.image_variables if recipe is not None else ())
    clauses = [*baseline.assumptions, *required.clauses, suite_clause, _stage_clause(files, recipe)]
    clauses += _unlisted_clauses(recipe)
    warnings = _warnings_of(test_run) if test_run is not test_recipe else ()
    if suite is not None:
        clauses += [*_variable_clauses(test_recipe, variables), *_warning_clauses(suite, test_run, warnings)]
    if plan.stages and stage is None:
        clauses.append("is in no stage of the plan; it counts as stage 0")
    if not files.scan.complete:
        clauses.append("is too deep or too large to be searched in full")
    assumptions += [f"{bare.name} {clause}." for clause in clauses if clause]
    return replace(
        bare,
        baseline=baseline.interpreter,
        baseline_source=baseline.source,
        baseline_is_declared=baseline.is_declared,
        requirements=required.run_time,
        test_requirements=required.tests,
        suite=suite,
        python_path=_python_path(files, settings, test_recipe, is_distribution=distribution is not None),
        distribution=distribution,
        declarations=files.declarations,
        manifest=_manifest(files, required.run_time),
        additional_requirements=required.additional,
        nested_folders=tuple(inner),
        programs=programs,
        started_above=started_above(tree, files),
        start_modules=start_modules(programs, files),
        recipe=recipe,
        test_recipe=test_recipe,
        test_variables=(*warnings, *variables.of_tests),
        declared_variables=variables.others,
        interpreter_variables=read_interpreter_variables(
            tree, image_files, recipe.source if recipe is not None else ""
        ),
        separate_tests=required.separate_tests,
    )


def _stage_clause(files: ServiceFiles, recipe: InstallRecipe | None) -> str:
    """Return which stage is that of production, as a clause, if it is not the last; otherwise empty."""
    dockerfile = next((each for each in files.dockerfiles if recipe is not None and each.path == recipe.source), None)
    if dockerfile is None or not dockerfile.build_target:
        return ""
    last = dockerfile.stages[-1].name
    return (
        f"is built from the stage {dockerfile.build_target} of {dockerfile.path}: {last} is for developers by its name"
    )


def _unlisted_clauses(recipe: InstallRecipe | None) -> list[str]:
    """Return what an image installs for the libraries that it finds in itself, as a clause: no file lists that."""
    installs = recipe is not None and any(program.name == _BOOTSTRAP for program in recipe.build_programs)
    return [f"gets packages from {_BOOTSTRAP} while its image is built, which are not checked"] if installs else []


def _recipes(
    plan: Plan, tree: Tree, files: ServiceFiles, bare: Service
) -> tuple[InstallRecipe | None, InstallRecipe | None]:
    """Return what installs the service for production and for its tests: as the plan says, or as its files do."""
    install, test_install = bare.settings.install, bare.settings.test_install
    return (
        find_production_recipe(tree, files)
        if install is None
        else read_planned_recipe(tree, plan, files.path, "install", install),
        find_test_recipe(tree, files, bare.name)
        if test_install is None
        else read_planned_recipe(tree, plan, files.path, "test-install", test_install),
    )


def _has_to_be_built(tree: Tree, files: ServiceFiles, recipes: Sequence[InstallRecipe | None]) -> bool:
    """Return whether only a build shows that the service installs: its build has requirements of old versions.

    Not where a recipe is known that does not install it. Poetry installs a project without the requirements of its
    build.
    """
    if not old_build_requirements(read_toml(files.texts.get("pyproject.toml", ""))):
        return False
    own_recipes = [recipe for recipe in recipes if recipe is not None]
    steps = [step for recipe in own_recipes for step in recipe.steps]
    named = (file for step in steps for file in step.files if file.rpartition("/")[0] == files.path.removeprefix("."))
    texts = [
        tree.read_or_none(path) or "" for path in dict.fromkeys((*named, *(recipe.source for recipe in own_recipes)))
    ]
    return (
        not own_recipes
        or any(map(_OWN_BUILD.search, texts))
        or any(project.path == files.path for step in steps for project in step.projects)
        or any(
            step.project == files.path and step.tool in _BUILDING_TOOLS and not step.without_project for step in steps
        )
    )


def _test_run(
    tree: Tree, files: ServiceFiles, bare: Service, test_recipe: InstallRecipe | None
) -> InstallRecipe | None:
    """Return how the tests are run: with what is installed for them or, if the plan says that or nobody, by itself."""
    is_planned = bare.settings.test_install is not None
    return find_test_run(tree, files, bare.name) if test_recipe is None or is_planned else test_recipe


def _warnings_of(run: InstallRecipe | None) -> tuple[tuple[str, str], ...]:
    """Return the variable for warnings with which tests are run."""
    return tuple(pair for pair in (run.environment if run is not None else ()) if pair[0] == "PYTHONWARNINGS")


def _with_test_run(suite: Suite, run: InstallRecipe) -> Suite:
    """Return the suite with the options for warnings of a run of its tests, and the commands beside it.

    Those of an interpreter that runs no pytest are for the tests only: pytest itself, and its plugins, may warn.
    """
    suite = replace(suite, further=run.further_tests)
    if suite.kind is not SuiteKind.PYTEST:
        return replace(suite, warning_options=run.warning_options)
    of_python = run.warning_options if run.runs_pytest else ()
    of_pytest = run.pytest_warnings if run.runs_pytest else run.warning_options
    arguments = (*suite.arguments, *(f"-W{value}" for value in of_pytest))
    return replace(suite, arguments=arguments, warning_options=of_python)


def _warning_clauses(suite: Suite, run: InstallRecipe | None, variables: Sequence[tuple[str, str]]) -> Iterator[str]:
    of_pytest = (word.removeprefix("-W") for word in suite.arguments if word.startswith("-W"))
    options = dict.fromkeys((*suite.warning_options, *of_pytest))
    shown = [*(f"{name}={value}" for name, value in variables), *(f"-W {value}" for value in options)]
    if run is not None and shown:
        yield f"is tested with {join_names(shown)}, as in {run.source}"


def _further_tests_clause(run: InstallRecipe) -> str:
    """Return what else tests the service that a cell does not repeat, as a clause; empty if nothing does."""
    commands = [f"`{command.text}`" for command in run.further_tests if not command.words]
    verb, pronoun = ("is", "it") if len(commands) == 1 else ("are", "them")
    end = f"which {verb} not run here: the proof does not include {pronoun}"
    return f"is also tested with {join_names(commands)} ({run.source}), {end}" if commands else ""


def _variable_clauses(test_recipe: InstallRecipe | None, declared: DeclaredVariables) -> Iterator[str]:
    of_recipe = (test_recipe.source, test_recipe.environment) if test_recipe is not None else ("", ())
    for source, variables in (of_recipe, (declared.source, declared.of_tests)):
        if variables:
            yield f"is tested with the variables of {source}: {join_names([name for name, _ in variables])}"


def _requirements(
    plan: Plan,
    tree: Tree,
    files: ServiceFiles,
    settings: ServiceSettings,
    recipe: InstallRecipe | None,
    test_recipe: InstallRecipe | None,
    *,
    is_tested: bool,
) -> _Requirements:
    run_time, tests, of_sources = _requirement_sources(plan, tree, files, settings, recipe, test_recipe)
    clauses = [*of_sources]
    additional = with_uninstalled(
        tree, files, _additional_sources(plan, files, (*run_time, *tests)), (recipe, test_recipe)
    )
    if recipe is None and settings.requirements is None and (other := contradicting_tables(plan.root, run_time)):
        run_time, additional = tuple(source for source in run_time if source not in other), (*other, *additional)
        clauses.append(f"is installed from {run_time[0]} or from {other[0]}, which exclude each other: two sets")
    if len(additional) > MAX_ADDITIONAL_SOURCES:
        clauses.append(
            f"has {len(additional)} additional requirements files, of which {MAX_ADDITIONAL_SOURCES} are checked"
        )
    locked_tests = tested_with_lock(tree, run_time, tests, test_recipe)
    if locked_tests:
        apart = "; its tests are installed with that: two environments" if is_tested else ""
        clauses.append(f"is installed without the lock file beside it{apart}")
    other_versions = () if locked_tests else _versions_of_tests_only(tree, files.path, run_time, tests, test_recipe)
    if other_versions:
        names = join_names(other_versions)
        clauses.append(f"is tested with other versions of {names} than production has: two environments")
    return _Requirements(
        run_time=run_time,
        tests=locked_tests or tests,
        additional=additional,
        separate_tests=bool(other_versions or locked_tests),
        clauses=tuple(clauses),
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


def _with_test_job(tree: Tree, test_recipe: InstallRecipe | None, files: ServiceFiles) -> ServiceFiles:
    """Return the service's files with the Pythons of the job outside of it that runs its tests."""
    path = test_recipe.source if test_recipe is not None else ""
    is_own = path.startswith(f"{files.path}/") or files.path == "."
    if test_recipe is None or _WORKFLOWS not in path or is_own:
        return files
    text = tree.read_or_none(path) or ""
    lines = [step.location.line for step in test_recipe.steps if step.location.path == path and step.location.line]
    line = min(lines, default=test_recipe.line)
    job = job_around(text, line) if line else range(0)
    declared = tuple(found for found in _declarations_of_workflow(text, path) if found.line in job)
    return replace(files, workflows=(*files.workflows, declared))


@lru_cache(maxsize=16)
def _declarations_of_workflow(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the declarations of a workflow, which is the same for many services."""
    return read_declarations(text, path)


def job_around(text: str, line: int) -> range:
    """Return the lines of the job of a workflow that contains ``line``, counted from 1; empty if there is none."""
    jobs = _JOBS.search(text)
    first = re.compile(r"^( +)[^\s#]", re.MULTILINE).search(text, jobs.end()) if jobs else None
    if first is None:
        return range(0)
    names = re.compile(rf"^{first[1]}[^\s#-]", re.MULTILINE).finditer(text, first.start())
    starts = [text.count("\n", 0, name.start()) + 1 for name in names]
    start = max((start for start in starts if start <= line), default=0)
    end = min((start for start in starts if start > line), default=len(text.splitlines()) + 1)
    return range(start, end) if start else range(0)


def _runtime_of(tree: Tree, path: str, recipe: InstallRecipe | None) -> VersionDeclaration | None:
    """Return what a platform runs the service on: where its functions are defined, or in a file of App Engine."""
    steps = recipe.steps if recipe is not None else ()
    places = [(step.location.path, step.location.line) for step in steps if step.tool in PLATFORMS]
    places += [(join_path(path, name), None) for name in ("app.yaml", "app.yml")]
    deploying = (name for name in tree.list_folder(path).files if name.endswith((".sh", ".yaml", ".yml", "Makefile")))
    texts = ((join_path(path, name), tree.read_or_none(join_path(path, name)) or "") for name in deploying)
    places += [(place, None) for place, text in texts if "--runtime" in text]
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
        installed, added = with_recipe(tree, inferred.tests, test_recipe, files.path, of_tests=True)
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
    names = files.scan.existing_files(*READ_MODULES)
    modules = {name: tree.read_or_none(join_path(files.path, name)) or "" for name in names}
    further = test_recipe.further_paths if test_recipe is not None else ()
    detected = find_suite(files.scan.files, files.scan.folders, files.texts, files.nested_folders, modules, further)
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
    source: tuple[str, ...] = ("src",) if not is_distribution and has_src_packages(files.scan.files) else ()
    if files.scan.existing_files("charmcraft.yaml"):  # the script that starts a charm sets PYTHONPATH=lib:venv:src
        source = tuple(name for name in ("lib", "src") if name in files.scan.folders)
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
