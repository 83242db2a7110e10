"""Which files and tables of a service hold its run-time requirements, and which those of its tests."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.errors import PlanError, perhaps
from pytest_py312.core.model.fleet import RequirementSource, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.formats.pyproject import read_pipfile_dependencies, read_pyproject_dependencies
from pytest_py312.repository.formats.requirements_file import DependencyTable
from pytest_py312.repository.formats.setuptools import read_setup_cfg_dependencies, read_setup_py_dependencies
from pytest_py312.repository.services.service_files import ServiceFiles, is_requirements
from pytest_py312.repository.tree import Tree, escapes, join

TABLE_READERS: Mapping[str, Callable[[str, str], tuple[DependencyTable, ...]]] = {
    "pyproject.toml": read_pyproject_dependencies,
    "setup.cfg": read_setup_cfg_dependencies,
    "setup.py": read_setup_py_dependencies,
    "Pipfile": read_pipfile_dependencies,
}
"""Files that hold requirements in tables, and how those are read."""

_RUN_TIME_FILES = ("requirements", "requirements/base", "requirements/prod", "requirements/production",
                   "requirements/main", "requirements/requirements")  # fmt: skip
_RUN_TIME_TABLES = frozenset(
    {
        "project.dependencies", "tool.setuptools.dynamic.dependencies", "tool.poetry.dependencies",
        "options.install_requires", "install_requires", "packages",
    }
)  # fmt: skip
_LOCKS_ALONE = ("pylock.toml", "poetry.lock", "Pipfile.lock")
_TEST = ("test", "tests", "testing", "unittest", "unittests", "unit-test", "unit-tests", "hatch-test")
_DEV = ("dev", "develop", "development", "ci", "local")
_EXTRA = re.compile(
    r"(?:project\.optional-dependencies|dependency-groups|tool\.poetry\.group|options\.extras_require|extras_require"
    r"|tool\.poetry\.extras|tool\.pdm\.dev-dependencies|tool\.hatch\.envs)\.(?P<name>[^.]+)(?:\.dependencies)?"
)
_DEV_TABLES = frozenset(
    {"tool.poetry.dev-dependencies", "tool.uv.dev-dependencies", "tool.hatch.envs.default", "dev-packages"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSources:
    """The sources; ``assumption`` is a clause that follows the service's name, or empty."""

    run_time: tuple[RequirementSource, ...]
    tests: tuple[RequirementSource, ...]
    assumption: str = ""


def find_sources(files: ServiceFiles) -> FoundSources:
    """Infer both kinds from the names of files and tables.

    For the tests the most particular level that exists is taken alone: a requirements file named for tests, then a
    table named for tests, then files and tables for development. Levels repeat each other, often with other versions.
    """
    tables = [(name, table.table) for name in TABLE_READERS if name in files.texts for table in _tables(files, name)]
    run_time = [RequirementSource(path=join(files.path, name)) for name in _run_time_files(files.scan.files)]
    run_time += [_source(files, name, table) for name, table in tables if table in _RUN_TIME_TABLES]
    if not run_time:  # a lock alone says what is deployed
        locks = [name for name in files.scan.files if name in _LOCKS_ALONE]
        run_time = [RequirementSource(path=join(files.path, name)) for name in locks[:1]]
    levels = (
        _test_files(files, _TEST),
        [_source(files, name, table) for name, table in tables if _is_extra(table, _TEST)],
        _test_files(files, _DEV),
        [_source(files, n, table) for n, table in tables if _is_extra(table, _DEV) or table in _DEV_TABLES],
    )
    present = [level for level in levels if level]
    tests = present[0] if present else []
    left_out = [str(source) for level in present[1:2] for source in level if source.table]
    clause = f"has its test requirements from {tests[0]}, so {', '.join(left_out)} is not read" if left_out else ""
    return FoundSources(run_time=tuple(run_time), tests=tuple(tests), assumption=clause)


MOST_FURTHER = 20
"""Requirements files beside those of run time and tests that are judged of one service."""


def find_further(files: ServiceFiles, taken: Collection[str]) -> tuple[RequirementSource, ...]:
    """The service's requirements files that are not among ``taken`` (paths of the root), each a set of its own."""
    present = set(files.scan.files)
    names = [name for name in files.scan.files if is_requirements_path(name) and not _is_compiled(name, present)]
    paths = [path for name in names if (path := join(files.path, name)) not in taken]
    return tuple(RequirementSource(path=path) for path in paths)


def _is_compiled(path: str, present: Collection[str]) -> bool:
    """Whether a file is only what another tool makes the one beside it of: that one is installed and judged."""
    return path.endswith(".in") and f"{path.removesuffix('.in')}.txt" in present


def is_requirements_path(path: str) -> bool:
    """Whether a file of this path is one of requirements: by its name, or in a folder of them. No constraints."""
    folder, _, name = path.rpartition("/")
    if "constraint" in name.lower():
        return False
    in_folder = folder.rpartition("/")[2] == "requirements" and name.endswith((".txt", ".in"))
    return in_folder or is_requirements(name)


def further_services(service: Service) -> tuple[Service, ...]:
    """Each further set of ``service`` as a service of its own, with nothing in it but those requirements."""
    return tuple(
        replace(
            service,
            name=f"{service.name}+{re.sub(r'[^A-Za-z0-9._-]+', '-', source.path)}",
            requirements=(source,),
            test_requirements=(),
            suite=None,
            distribution=None,
            further=(),
            programs=(),
        )
        for source in service.further[:MOST_FURTHER]
    )


def stated_sources(plan: Plan, tree: Tree, files: ServiceFiles, key: str, listed: Sequence[str]) -> Iterator[
    RequirementSource
]:  # fmt: skip
    """The sources that the plan names: files relative to the service, or ``pyproject.toml [table]``.

    :raises PlanError: one leads out of the root, or does not exist.
    """
    for item in listed:
        match = re.fullmatch(r"(.+?)\s*\[([^\[\]]+)\]", item)
        name, table = (match[1], match[2]) if match else (item, "")
        path = join(files.path, name)
        if escapes(path):
            raise PlanError(plan.source or "the plan", key, f'"{item}" leads out of the folder of the plan')
        if not tree.is_file(path):
            known = [found for found in files.scan.files if is_requirements(found.rpartition("/")[2])]
            near = perhaps(name, [*known, *filter(files.texts.__contains__, TABLE_READERS)])
            message = f'"{item}" is no file of the service at {files.path}{near}'
            raise PlanError(plan.source or "the plan", key, message)
        reader = TABLE_READERS.get(name.rpartition("/")[2])
        if reader and not table:
            inner = [found.table for found in reader(tree.text(path) or "", path)]
            yield from (RequirementSource(path=path, table=one) for one in inner if one in _RUN_TIME_TABLES)
        else:
            yield RequirementSource(path=path, table=table)


def _tables(files: ServiceFiles, name: str) -> tuple[DependencyTable, ...]:
    # a name stands for the table even where its text cannot be read, so that the trouble is met when it is read
    found = TABLE_READERS[name](files.texts[name], join(files.path, name))
    if len(found) == 1 and not found[0].table and name == "pyproject.toml":
        return (DependencyTable(table="project.dependencies", requirements=found[0].requirements),)
    return found


def _source(files: ServiceFiles, name: str, table: str) -> RequirementSource:
    return RequirementSource(path=join(files.path, name), table=table)


def _is_extra(table: str, names: Sequence[str]) -> bool:
    match = _EXTRA.fullmatch(table)
    return match is not None and match["name"].lower() in names


def _run_time_files(files: Sequence[str]) -> list[str]:
    present = set(files)
    for ending in (".txt", ".in"):
        found = [name + ending for name in _RUN_TIME_FILES if name + ending in present]
        if found:
            # requirements.txt alone speaks for the service; below it, base and production belong together
            return found[:1] if found[0].startswith("requirements.") else found
    return []


def _test_files(files: ServiceFiles, words: Sequence[str]) -> list[RequirementSource]:
    """Files at the top named for ``words``; if there is none, those in a folder of requirements or of tests."""
    either = "|".join(words)
    top = re.compile(rf"requirements[-_.](?:for[-_.])?(?:{either})\.(txt|in)|(?:{either})[-_.]requirements\.(txt|in)")
    inner = re.compile(rf"requirements/(?:{either})\.(txt|in)|(?:{either})/requirements\.(txt|in)")
    for pattern in (top, inner):
        names = [name for name in files.scan.files if pattern.fullmatch(name)]
        compiled = {name.removesuffix(".txt") for name in names if name.endswith(".txt")}
        names = [name for name in names if name.endswith(".txt") or name.removesuffix(".in") not in compiled]
        if names:
            return [RequirementSource(path=join(files.path, name)) for name in names]
    return []
