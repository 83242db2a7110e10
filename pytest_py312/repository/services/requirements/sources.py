"""Find the files and tables with a service's run-time requirements, and those of its tests."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.errors import PlanError, did_you_mean
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import AWS_LAMBDA, PLATFORMS, InstallRecipe, RequirementSource, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.text import list_names
from pytest_py312.repository.formats.conda import PIP_TABLE, read_conda_dependencies
from pytest_py312.repository.formats.lockfiles import LOCK_FORMATS
from pytest_py312.repository.formats.pyproject import read_pipfile_dependencies, read_pyproject_dependencies
from pytest_py312.repository.formats.requirements_file import DependencyTable
from pytest_py312.repository.formats.setuptools import read_setup_cfg_dependencies, read_setup_py_dependencies
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.recipes.recipe_sources import sources_of_recipe
from pytest_py312.repository.services.detection.service_files import (
    THIRD_PARTY_FOLDERS,
    ServiceFiles,
    is_requirements_name,
)
from pytest_py312.repository.services.requirements.named_pythons import is_made_for
from pytest_py312.repository.tree import Tree, join_path, leaves_root

TABLE_READERS: Mapping[str, Callable[[str, str], tuple[DependencyTable, ...]]] = {
    "pyproject.toml": read_pyproject_dependencies,
    "setup.cfg": read_setup_cfg_dependencies,
    "setup.py": read_setup_py_dependencies,
    "Pipfile": read_pipfile_dependencies,
}
"""Files that hold requirements in tables -> their readers."""


def table_reader(source: RequirementSource) -> Callable[[str, str], tuple[DependencyTable, ...]] | None:
    """Return the reader for the file of a source with a table; an environment of conda may have any name."""
    if source.table == PIP_TABLE:
        return read_conda_dependencies
    return TABLE_READERS.get(source.path.rpartition("/")[2])


_RUN_TIME_FILES = ("requirements", "requirements/base", "requirements/prod", "requirements/production",
                   "requirements/main", "requirements/requirements")  # fmt: skip
_RUN_TIME_TABLES = frozenset(
    {
        "project.dependencies", "tool.setuptools.dynamic.dependencies", "tool.poetry.dependencies",
        "options.install_requires", "install_requires", "packages",
    }
)  # fmt: skip
_TEST_WORDS = ("test", "tests", "testing", "unittest", "unittests", "unit-test", "unit-tests", "hatch-test")
_DEV_WORDS = ("dev", "develop", "development", "ci", "local")
_GROUP_TABLE = re.compile(
    r"(?:project\.optional-dependencies|dependency-groups|tool\.poetry\.group|options\.extras_require|extras_require"
    r"|tool\.poetry\.extras|tool\.pdm\.dev-dependencies|tool\.hatch\.envs)\.(?P<name>[^.]+)(?:\.dependencies)?"
)
_DEV_TABLES = frozenset(
    {"tool.poetry.dev-dependencies", "tool.uv.dev-dependencies", "tool.hatch.envs.default", "dev-packages"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectedSources:
    """The sources, and what was assumed: a clause that follows the service's name, or empty."""

    run_time: tuple[RequirementSource, ...]
    tests: tuple[RequirementSource, ...]
    assumption: str = ""


def detect_sources(files: ServiceFiles) -> DetectedSources:
    """Infer both kinds of sources from the names of files and tables.

    For tests, only the most specific level that exists is used: a requirements file for tests, then a table for tests,
    then files and tables for development. The levels tend to repeat each other, often with other versions.
    """
    tables = [
        (name, table.table) for name in TABLE_READERS if name in files.texts for table in _read_tables(files, name)
    ]
    run_time = [RequirementSource(path=join_path(files.path, name)) for name in _run_time_files(files.scan.files)]
    run_time += [_table_source(files, name, table) for name, table in tables if table in _RUN_TIME_TABLES]
    if not run_time:  # without requirements, a lock determines what is deployed
        usable_alone = [lock.name for lock in LOCK_FORMATS if lock.usable_alone]
        locks = [name for name in files.scan.files if name in usable_alone]
        run_time = [RequirementSource(path=join_path(files.path, name)) for name in locks[:1]]
    poetry_groups = _poetry_groups(files.texts.get("pyproject.toml", ""))
    levels = (
        _test_files(files, _TEST_WORDS),
        [
            _table_source(files, name, table)
            for name, table in tables
            if table in poetry_groups or (_is_group_named(table, _TEST_WORDS) and not _is_poetry_group(table))
        ],
        _test_files(files, _DEV_WORDS),
        [
            _table_source(files, n, table)
            for n, table in tables
            if (_is_group_named(table, _DEV_WORDS) or table in _DEV_TABLES) and not _is_poetry_group(table)
        ],
    )
    present = [level for level in levels if level]
    tests = present[0] if present else []
    left_out = [str(source) for level in present[1:2] for source in level if source.table]
    clause = f"has its test requirements from {tests[0]}, so {', '.join(left_out)} is not read" if left_out else ""
    return DetectedSources(run_time=tuple(run_time), tests=tuple(tests), assumption=clause)


def installed_sources(tree: Tree, recipe: InstallRecipe | None, service_path: str) -> tuple[RequirementSource, ...]:
    """Return the sources that a recipe installs."""
    return sources_of_recipe(tree, recipe, TABLE_READERS, service_path) if recipe is not None else ()


def _is_poetry_group(table: str) -> bool:
    return table.startswith("tool.poetry.group.") or table == "tool.poetry.dev-dependencies"


def _poetry_groups(text: str) -> frozenset[str]:
    """Return the tables of the groups that ``poetry install`` installs, and of optional ones that are for tests: by
    their names, or with pytest.

    https://python-poetry.org/docs/managing-dependencies/
    """
    if "tool.poetry" not in text:
        return frozenset()
    groups = read_toml(text).table("tool", "poetry", "group")
    chosen = {
        f"tool.poetry.group.{name}.dependencies"
        for name, group in groups.items()
        if name.lower() in _TEST_WORDS
        or not (isinstance(group, Mapping) and group.get("optional") is True and not _has_pytest(group))
    }
    return frozenset(chosen | {"tool.poetry.dev-dependencies"})


def _has_pytest(group: Mapping[str, object]) -> bool:
    dependencies = group.get("dependencies")
    return isinstance(dependencies, Mapping) and "pytest" in dependencies


def with_recipe(
    tree: Tree,
    detected: Sequence[RequirementSource],
    recipe: InstallRecipe | None,
    service_path: str,
    *,
    of_tests: bool = False,
) -> tuple[tuple[RequirementSource, ...], tuple[RequirementSource, ...]]:
    """Return the sources that the recipe installs, and those of ``detected`` that complete them.

    They are completed if there is no recipe, if it could not be followed to its end, and if it installs neither files
    nor projects. Tests are run with what their commands name: ``pip install pytest moto``.
    """
    installed = installed_sources(tree, recipe, service_path)
    is_known = recipe is not None and recipe.is_complete
    if is_known and any(not source.constraints and (of_tests or not source.arguments) for source in installed):
        return installed, ()
    places = {(source.path, source.table) for source in installed}
    return installed, tuple(source for source in detected if (source.path, source.table) not in places)


def describe_completion(added: Sequence[RequirementSource], recipe: InstallRecipe) -> str:
    """Return what is assumed where a recipe could not be followed in full: a clause, or empty."""
    unresolved = [f"{step.location}: {part}" for step in recipe.steps for part in step.unresolved]
    reasons = "; ".join((*recipe.limits, *unresolved)[:3])
    if not reasons:
        return ""
    names = ", ".join(map(str, added))
    taken = f"; by their names these are taken as well: {names}" if names else ""
    return f"is installed as {recipe.source} says, which could not be followed in full ({reasons}){taken}"


def describe_left_out(recipe: InstallRecipe | None) -> str:
    """Return what is assumed where options of a recipe are not used: a clause, or empty."""
    left_out = [f"{step.location}: {option}" for step in recipe.steps for option in step.left_out] if recipe else []
    if recipe is None or not left_out:
        return ""
    shown = "; ".join(left_out[:3])
    return f"is installed as {recipe.source} says, without what cannot be had from the repository ({shown})"


def describe_sources_by_name(services: Sequence[Service]) -> list[str]:
    """Return the assumptions about services for which no file says what is installed, as sentences."""
    run_time = [
        service.name
        for service in services
        if not _is_described(service.recipe) and service.requirements and service.settings.requirements is None
    ]
    tests = [
        service.name
        for service in services
        if not _is_described(service.test_recipe)
        and service.test_requirements
        and service.settings.test_requirements is None
    ]
    sentences = describe_platforms(services)
    if run_time:
        names = list_names(run_time)
        sentences.append(
            f"No Dockerfile says what is installed for {names}: the requirements are taken from files by their names."
        )
    if tests:
        names = list_names(tests)
        sentences.append(
            f"No workflow, tox or nox says what is installed for the tests of {names}: the requirements are taken from "
            "files by their names."
        )
    return sentences


def _is_described(recipe: InstallRecipe | None) -> bool:
    """Return whether a file says what is installed, and not only what the platform provides."""
    return recipe is not None and any(step.tool not in PLATFORMS for step in recipe.steps)


def describe_platforms(services: Sequence[Service]) -> list[str]:
    """Return what is assumed about the packages that platforms provide to functions, as sentences."""
    provided: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for service in services:
        sources = [source for source in service.requirements if source.settings.provided]
        for step in service.recipe.steps if sources and service.recipe is not None else ():
            if step.tool in PLATFORMS:
                names = tuple(argument.partition(";")[0] for argument in step.arguments)
                provided.setdefault((step.tool, names), []).append(f"{service.name} ({step.location})")
    return [
        f"{platform} provides {', '.join(names)} to {list_names(places)}: the newest versions are installed that fit "
        f"to what is required.{' It sets a region.' if platform == AWS_LAMBDA else ''}"
        for (platform, names), places in provided.items()
    ]


MAX_ADDITIONAL_SOURCES = 20
"""Maximum number of additional requirements files that are checked of one service."""


def find_additional_sources(files: ServiceFiles, taken: Collection[str]) -> tuple[RequirementSource, ...]:
    """Return the service's requirements files that are not among ``taken`` (paths of the root).

    Each of them is a set of its own. Those of vendored projects are not the service's.
    """
    present = set(files.scan.files)
    own = (name for name in files.scan.files if THIRD_PARTY_FOLDERS.isdisjoint(name.split("/")[:-1]))
    names = [name for name in own if is_requirements_path(name) and not _is_compile_input(name, present)]
    paths = [path for name in names if (path := join_path(files.path, name)) not in taken]
    return tuple(RequirementSource(path=path) for path in paths)


def _is_compile_input(path: str, present: Collection[str]) -> bool:
    """Return whether the file is only the source of a compiled file beside it, which is checked itself."""
    return path.endswith(".in") and f"{path.removesuffix('.in')}.txt" in present


def is_requirements_path(path: str) -> bool:
    """Return whether the path is a requirements file, by its name or its folder. Constraints do not count."""
    folder, _, name = path.rpartition("/")
    if "constraint" in name.lower():
        return False
    in_folder = folder.rpartition("/")[2] == "requirements" and name.endswith((".txt", ".in"))
    return in_folder or is_requirements_name(name)


def additional_services(service: Service, interpreter: Interpreter | None = None) -> tuple[Service, ...]:
    """Return each additional set of requirements as a service of its own, without anything else in it.

    :param interpreter: only those that are made for it; ``None``: for any.
    """
    return tuple(
        replace(
            service,
            name=f"{service.name}+{re.sub(r'[^A-Za-z0-9._-]+', '-', source.path)}",
            requirements=(source,),
            test_requirements=(),
            suite=None,
            distribution=None,
            additional_requirements=(),
            programs=(),
            start_modules=(),
            recipe=None,
            test_recipe=None,
        )
        for source in service.additional_requirements[:MAX_ADDITIONAL_SOURCES]
        if interpreter is None or is_made_for(source.path.removeprefix(f"{service.path}/"), interpreter)
    )


def production_service(service: Service) -> Service | None:
    """Return the service with its run-time requirements only; ``None`` if its tests require nothing else."""
    if not service.requirements or set(service.test_requirements) <= set(service.requirements):
        return None
    return replace(
        service,
        name=f"{service.name}+production",
        test_requirements=(),
        suite=None,
        additional_requirements=(),
        test_recipe=None,
    )


def installed_sets(service: Service, interpreter: Interpreter | None = None) -> tuple[Service, ...]:
    """Return all sets of requirements that the outcomes of a service depend on, each as a service of its own.

    :param interpreter: only those that count on it; ``None``: on any.
    """
    production = separate_production(service)
    return (service, *([] if production is None else [production]), *additional_services(service, interpreter))


def separate_production(service: Service) -> Service | None:
    """Return what production installs of a service whose tests are installed without it; ``None`` of others."""
    return production_service(service) if service.separate_tests else None


def planned_sources(plan: Plan, tree: Tree, files: ServiceFiles, key: str, items: Sequence[str]) -> Iterator[
    RequirementSource
]:  # fmt: skip
    """Yield the sources that the plan names: files relative to the service, or ``pyproject.toml [table]``.

    :raises PlanError: a file leaves the root, or does not exist.
    """
    for item in items:
        match = re.fullmatch(r"(.+?)\s*\[([^\[\]]+)\]", item)
        name, table = (match[1], match[2]) if match else (item, "")
        path = join_path(files.path, name)
        if leaves_root(path):
            raise PlanError(plan.source or "the plan", key, f'"{item}" leads out of the folder of the plan')
        if not tree.is_file(path):
            candidates = [
                candidate for candidate in files.scan.files if is_requirements_name(candidate.rpartition("/")[2])
            ]
            suggestion = did_you_mean(name, [*candidates, *filter(files.texts.__contains__, TABLE_READERS)])
            message = f'"{item}" is no file of the service at {files.path}{suggestion}'
            raise PlanError(plan.source or "the plan", key, message)
        reader = TABLE_READERS.get(name.rpartition("/")[2])
        if reader and not table:
            table_names = [candidate.table for candidate in reader(tree.read_or_none(path) or "", path)]
            yield from (
                RequirementSource(path=path, table=table_name)
                for table_name in table_names
                if table_name in _RUN_TIME_TABLES
            )
        else:
            yield RequirementSource(path=path, table=table)


def _read_tables(files: ServiceFiles, name: str) -> tuple[DependencyTable, ...]:
    # an unreadable pyproject.toml counts as a table, so that the problem is reported when its requirements are read
    tables = TABLE_READERS[name](files.texts[name], join_path(files.path, name))
    if len(tables) == 1 and not tables[0].table and name == "pyproject.toml":
        return (DependencyTable(table="project.dependencies", requirements=tables[0].requirements),)
    return tables


def _table_source(files: ServiceFiles, name: str, table: str) -> RequirementSource:
    return RequirementSource(path=join_path(files.path, name), table=table)


def _is_group_named(table: str, names: Sequence[str]) -> bool:
    match = _GROUP_TABLE.fullmatch(table)
    return match is not None and match["name"].lower() in names


def _run_time_files(files: Sequence[str]) -> list[str]:
    present = set(files)
    for ending in (".txt", ".in"):
        matching = [name + ending for name in _RUN_TIME_FILES if name + ending in present]
        if matching:
            # requirements.txt is complete on its own; in requirements/, base and production belong together
            return matching[:1] if matching[0].startswith("requirements.") else matching
    return []


def _test_files(files: ServiceFiles, words: Sequence[str]) -> list[RequirementSource]:
    """Return the top-level files named for ``words``; if there is none, those in a folder of requirements or tests."""
    alternatives = "|".join(words)
    top = re.compile(
        rf"requirements[-_.](?:for[-_.])?(?:{alternatives})\.(txt|in)|(?:{alternatives})[-_.]requirements\.(txt|in)"
    )
    inner = re.compile(rf"requirements/(?:{alternatives})\.(txt|in)|(?:{alternatives})/requirements\.(txt|in)")
    for pattern in (top, inner):
        names = [name for name in files.scan.files if pattern.fullmatch(name)]
        compiled = {name.removesuffix(".txt") for name in names if name.endswith(".txt")}
        names = [name for name in names if name.endswith(".txt") or name.removesuffix(".in") not in compiled]
        if names:
            return [RequirementSource(path=join_path(files.path, name)) for name in names]
    return []
