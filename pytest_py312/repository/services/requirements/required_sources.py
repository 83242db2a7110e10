"""Gather what one service requires: for production, for its tests, and in files beside those."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import InstallRecipe, LocalProject, RequirementSource
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.core.text import join_names
from pytest_py312.repository.formats.requirements_file import project_name
from pytest_py312.repository.recipes.recipe_sources import own_sources
from pytest_py312.repository.services.detection.packaging import find_distribution
from pytest_py312.repository.services.detection.service_files import ServiceFiles
from pytest_py312.repository.services.requirements.compiled_files import compiled_from, read_compile_header
from pytest_py312.repository.services.requirements.exact_sets import contradicting_projects, contradicting_tables
from pytest_py312.repository.services.requirements.named_pythons import describe_named_pythons
from pytest_py312.repository.services.requirements.requirement_set import lock_file_candidates, read_requirement_set
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


@dataclass(frozen=True, kw_only=True, slots=True)
class RequiredSources:
    """The sources of a service's requirements, and clauses about what was assumed."""

    run_time: tuple[RequirementSource, ...]
    tests: tuple[RequirementSource, ...]
    additional: tuple[RequirementSource, ...]
    separate_tests: bool
    clauses: tuple[str, ...]


def find_required_sources(
    plan: Plan,
    tree: Tree,
    files: ServiceFiles,
    settings: ServiceSettings,
    recipe: InstallRecipe | None,
    test_recipe: InstallRecipe | None,
    *,
    is_tested: bool,
) -> RequiredSources:
    """Return what a service requires by the plan, by what installs it or else by the names of its files."""
    run_time, tests, of_sources = _requirement_sources(plan, tree, files, settings, recipe, test_recipe)
    clauses = [*of_sources]
    additional = with_uninstalled(
        tree, files, _additional_sources(tree, files, (*run_time, *tests)), (recipe, test_recipe)
    )
    if recipe is None and settings.requirements is None and (other := contradicting_tables(tree.root, run_time)):
        run_time, additional = tuple(source for source in run_time if source not in other), (*other, *additional)
        clauses.append(f"is installed from {run_time[0]} or from {other[0]}, which exclude each other: two sets")
    if len(additional) > MAX_ADDITIONAL_SOURCES:
        clauses.append(
            f"has {len(additional)} additional requirements files, of which {MAX_ADDITIONAL_SOURCES} are checked"
        )
    clauses.append(describe_named_pythons(source.path.removeprefix(f"{files.path}/") for source in additional))
    locked_tests = _tested_with_lock(tree, run_time, tests, test_recipe)
    if locked_tests:
        apart = "; its tests are installed with that: two environments" if is_tested else ""
        clauses.append(f"is installed without the lock file beside it{apart}")
    other_versions = () if locked_tests else _versions_of_tests_only(tree, files.path, run_time, tests, test_recipe)
    if other_versions:
        names = join_names(other_versions)
        clauses.append(f"is tested with other versions of {names} than production has: two environments")
    return RequiredSources(
        run_time=run_time,
        tests=locked_tests or tests,
        additional=additional,
        separate_tests=bool(other_versions or locked_tests),
        clauses=tuple(clauses),
    )


def _tested_with_lock(
    tree: Tree,
    run_time: Sequence[RequirementSource],
    tests: Sequence[RequirementSource],
    test_recipe: InstallRecipe | None,
) -> tuple[RequirementSource, ...]:
    """Return all that is installed for the tests, if that is with a lock file that production installs without.

    ``pip install .`` in an image installs the newest versions, as ``poetry install`` does where the image has no lock
    file, and ``poetry install`` for the tests those of the lock. Empty if both are installed alike. Where nothing says
    what is installed for the tests, the lock file does.
    """
    unlocked = [
        source for source in run_time if source.unlocked and any(map(tree.is_file, lock_file_candidates(source)))
    ]
    if not unlocked or (test_recipe is not None and all(step.project is None for step in test_recipe.steps)):
        return ()
    # what else production installs is needed by the tests as well, unless a file says what they have
    production = run_time if test_recipe is None else unlocked
    installed = [replace(source, unlocked=False) if source in unlocked else source for source in production]
    places = {(source.path, source.table, source.arguments) for source in installed}
    return (*installed, *(source for source in tests if (source.path, source.table, source.arguments) not in places))


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


def _requirement_sources(
    plan: Plan,
    tree: Tree,
    files: ServiceFiles,
    settings: ServiceSettings,
    recipe: InstallRecipe | None,
    test_recipe: InstallRecipe | None,
) -> tuple[tuple[RequirementSource, ...], tuple[RequirementSource, ...], tuple[str, ...]]:
    """Return the sources for run time and tests, and what was assumed about them."""
    detected = detect_sources(files)
    clauses = [describe_left_out(recipe), describe_left_out(test_recipe)]
    if settings.requirements is not None:
        run_time = tuple(planned_sources(plan, tree, files, "requirements", settings.requirements))
    elif settings.install is not None:
        run_time = _with_own_tables(tree, files, installed_sources(tree, recipe, files.path))
    else:
        run_time, clause = _sources_of_recipe(tree, files, recipe, detected.run_time)
        clauses.append(clause)
    if settings.test_requirements is not None:
        tests = tuple(planned_sources(plan, tree, files, "test-requirements", settings.test_requirements))
    elif settings.test_install is not None:
        tests = _with_own_tables(tree, files, installed_sources(tree, test_recipe, files.path))
    else:
        tests, clause = _sources_of_recipe(tree, files, test_recipe, detected.tests, of_tests=True)
        clauses.append(clause if test_recipe is not None else detected.assumption)
    places = {(source.path, source.table, source.arguments, source.constraints) for source in run_time}
    tests = tuple(
        source for source in tests if (source.path, source.table, source.arguments, source.constraints) not in places
    )
    return run_time, tests, tuple(clauses)


def _sources_of_recipe(
    tree: Tree,
    files: ServiceFiles,
    recipe: InstallRecipe | None,
    detected: Sequence[RequirementSource],
    *,
    of_tests: bool = False,
) -> tuple[tuple[RequirementSource, ...], str]:
    """Return the sources that a recipe installs, completed by those that were ``detected``, and what was assumed."""
    installed, added = with_recipe(tree, detected, recipe, files.path, of_tests=of_tests)
    clause = describe_completion(added, recipe) if recipe is not None else ""
    return _with_own_tables(tree, files, (*installed, *added)), clause


def _with_own_tables(
    tree: Tree, files: ServiceFiles, sources: tuple[RequirementSource, ...]
) -> tuple[RequirementSource, ...]:
    """Add the tables of the service itself where a file or a command installs it: ``-e .[test]``, or its own name."""
    distribution = find_distribution(files.scan.files, files.texts)
    own = canonicalize_name(distribution.name) if distribution is not None else ""
    if all(source.table or (source.arguments and not own) for source in sources):
        return sources
    read = read_requirement_set(tree.root, sources)
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
    tree: Tree, files: ServiceFiles, sources: Sequence[RequirementSource]
) -> tuple[RequirementSource, ...]:
    """Return the requirements files that ``sources`` neither are nor include."""
    taken = {source.path for source in sources}
    if not find_additional_sources(files, taken):
        return ()
    names = (name for name in files.scan.files if is_requirements_path(name))
    compiled = (read_compile_header(tree, join_path(files.path, name)) for name in names)
    inputs = {source for header in compiled if header is not None for source in header.sources}
    return find_additional_sources(files, {*taken, *inputs, *read_requirement_set(tree.root, sources).files})
