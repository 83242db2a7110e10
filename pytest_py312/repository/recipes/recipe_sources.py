"""Determine the sources of requirements that the steps of an install recipe name: files, tables and arguments."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep, LocalProject, RequirementSource
from pytest_py312.repository.formats.conda import PIP_TABLE
from pytest_py312.repository.formats.requirements_file import DependencyTable
from pytest_py312.repository.formats.toml import TomlText, read_toml, strings_in
from pytest_py312.repository.recipes.commands.index_settings import settings_of
from pytest_py312.repository.tree import Tree, join_path

TableReader = Callable[[str, str], tuple[DependencyTable, ...]]
"""From the text and path of a file to its tables."""

_RUN_TIME_TABLES = (
    "project.dependencies", "tool.setuptools.dynamic.dependencies", "tool.poetry.dependencies",
    "options.install_requires", "install_requires", "packages",
)  # fmt: skip
_EXTRA_TABLES = (
    "project.optional-dependencies", "tool.poetry.extras", "options.extras_require", "extras_require",
)  # fmt: skip
_GROUP = re.compile(
    r"(?:dependency-groups|tool\.poetry\.group|tool\.pdm\.dev-dependencies)\.(?P<name>.+?)(?:\.dependencies)?"
)
_DEV_TABLES = ("tool.poetry.dev-dependencies", "tool.uv.dev-dependencies", "dev-packages")
_MAIN_GROUPS = frozenset({"main", "default"})


def sources_of_recipe(
    tree: Tree, recipe: InstallRecipe, readers: Mapping[str, TableReader], service_path: str
) -> tuple[RequirementSource, ...]:
    """Return the sources of all steps, without duplicates, in the order in which they are installed.

    :param readers: file names with tables of requirements -> their readers.
    :param service_path: of the service itself its tables count; other projects are requirements by their path.
    """
    sources: dict[tuple[object, ...], RequirementSource] = {}
    for position, step in enumerate(recipe.steps, start=1):
        for source in _sources_of_step(tree, step, readers, service_path):
            source = source if source.constraints else replace(source, step=position)
            key = (source.path, source.table, source.arguments, source.constraints)
            earlier = sources.get(key)
            # what one command installs without its dependencies, another one may install with them
            if earlier is None or (earlier.settings.no_deps and not source.settings.no_deps):
                sources.pop(key, None)
                sources[key] = source
            elif earlier.folder is None and source.folder is not None:
                sources[key] = replace(earlier, folder=source.folder)
    return tuple(sources.values())


def _sources_of_step(
    tree: Tree, step: InstallStep, readers: Mapping[str, TableReader], service_path: str
) -> Iterator[RequirementSource]:
    settings = settings_of(step)
    for path in step.constraints:
        yield RequirementSource(path=path, constraints=True)
    for path in step.files:
        folder, _, name = path.rpartition("/")
        if step.tool == "conda":
            yield RequirementSource(path=path, table=PIP_TABLE)
        elif (
            step.tool == "uv pip" and name in readers
        ):  # https://docs.astral.sh/uv/pip/packages/#installing-packages-from-files
            of_file = {name: readers[name]}
            tables = _project_sources(tree, folder or ".", of_file, lambda table, toml: _is_selected(step, table, toml))
            yield from (replace(source, settings=settings, unlocked=True) for source in tables)
        else:
            yield RequirementSource(path=path, folder=step.folder, settings=settings)
    if step.arguments:
        location = step.location
        yield RequirementSource(
            path=location.path,
            line=location.line,
            arguments=step.arguments,
            folder=step.folder,
            settings=settings,
        )
    if step.project is not None:
        tables = _project_sources(tree, step.project, readers, lambda table, toml: _is_selected(step, table, toml))
        yield from (replace(source, settings=settings, unlocked=step.unlocked) for source in tables)
    for project in step.projects:
        if project.path == service_path:
            if not settings.no_deps:
                own = own_sources(tree, project, readers)
                yield from (replace(source, settings=settings, unlocked=True) for source in own)
        else:
            extras = f"[{','.join(project.extras)}]" if project.extras else ""
            yield RequirementSource(
                path=step.location.path,
                line=step.location.line,
                arguments=(f"./{project.path}{extras}",),
                folder=".",
                settings=settings,
            )


def own_sources(tree: Tree, project: LocalProject, readers: Mapping[str, TableReader]) -> Iterator[RequirementSource]:
    """Yield the tables of a project that is installed by its path, with those of its extras."""
    extras = {canonicalize_name(name) for name in project.extras}

    def is_selected(table: str, toml: TomlText) -> bool:
        return table in _RUN_TIME_TABLES or _extra_of(table) in extras

    yield from _project_sources(tree, project.path, readers, is_selected)


def _project_sources(
    tree: Tree, folder: str, readers: Mapping[str, TableReader], is_selected: Callable[[str, TomlText], bool]
) -> Iterator[RequirementSource]:
    toml = read_toml(tree.read_or_none(join_path(folder, "pyproject.toml")) or "")
    for name, reader in readers.items():
        path = join_path(folder, name)
        text = tree.read_or_none(path)
        for table in reader(text, path) if text is not None else ():
            if is_selected(table.table, toml):
                yield RequirementSource(path=path, table=table.table)


def _is_selected(step: InstallStep, table: str, toml: TomlText) -> bool:
    """Whether a step that installs a project includes one of its tables."""
    if step.tool == "hatch":
        return table == "project.dependencies" or table in {f"tool.hatch.envs.{name}" for name in step.groups}
    if (step.tool == "pipenv") is not (table in ("packages", "dev-packages")):
        return False
    if table in _RUN_TIME_TABLES:
        return not step.only or not _MAIN_GROUPS.isdisjoint(step.only)
    extra = _extra_of(table)
    if extra:
        names = {canonicalize_name(name) for name in (*step.extras, *(step.groups if step.tool == "pdm" else ()))}
        return extra in names or (step.all_extras and not step.only)
    group = _group_of(table)
    if not group:
        return False
    if step.only:
        return group in _names(step.only)
    if group in _names(step.without):
        return False
    return group in _names(step.groups) or step.all_groups or (step.default_groups and _is_default(step, group, toml))


def _is_default(step: InstallStep, group: str, toml: TomlText) -> bool:
    """Whether the tool installs a group without being asked for it.

    https://python-poetry.org/docs/managing-dependencies/, https://docs.astral.sh/uv/concepts/projects/dependencies/,
    https://pdm-project.org/en/latest/usage/dependency/
    """
    if step.tool == "poetry":
        groups = toml.table("tool", "poetry", "group")
        settings: object = next((value for name, value in groups.items() if canonicalize_name(name) == group), {})
        return not (isinstance(settings, Mapping) and settings.get("optional") is True)
    if step.tool == "uv":
        value = toml.value("tool", "uv", "default-groups")
        return value == "all" or group in _names(strings_in(value) if value is not None else ("dev",))
    return step.tool == "pdm"


def _extra_of(table: str) -> str:
    for prefix in _EXTRA_TABLES:
        if table.startswith(f"{prefix}."):
            return canonicalize_name(table.removeprefix(f"{prefix}."))
    return ""


def _group_of(table: str) -> str:
    if table in _DEV_TABLES:
        return "dev-packages" if table == "dev-packages" else "dev"
    match = _GROUP.fullmatch(table)
    return canonicalize_name(match["name"]) if match else ""


def _names(groups: Sequence[str]) -> set[str]:
    return {canonicalize_name(name) for name in groups}
