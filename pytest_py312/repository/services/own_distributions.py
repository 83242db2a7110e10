"""Find the distributions that the repository itself provides, and that a service requires by name.

A project of the repository is taken from there, and not from an index, where something installs it by its folder: a
path or ``-e`` in a requirements file of the service or above it, a member of a workspace, a path in a table, a target
of a Makefile or a script that installs it together with the service, or a folder that the plan says the service
``needs``. Having the name alone does not make it one: examples and copies of
other projects have names as well. Nothing is built; names and versions are read from the metadata.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import Distribution, RequirementSource, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.service_patterns import is_glob, matches
from pytest_py312.repository.formats.commands.makefile import read_makefile
from pytest_py312.repository.formats.toml import TomlText, read_toml, strings_in
from pytest_py312.repository.recipes.suites.suite_recipe import new_walk
from pytest_py312.repository.services.detection.packaging import find_distribution
from pytest_py312.repository.services.requirements.requirement_set import RequirementSet, read_requirement_set
from pytest_py312.repository.services.requirements.sources import TABLE_READERS, is_requirements_path
from pytest_py312.repository.tree import Tree, is_inside_root, join_path, lies_in, matching_folders, with_outer_folders

FOLDER_LIMIT = 500
"""Folders that are looked at for one service."""
_MAY_BE_LOCAL = re.compile(
    r"^[ \t]*(?:-e|--editable|-r|--requirement|\.)|^[^#\n]*(?:/|@\s*\.|file:|\\|\$|\.(?:whl|zip|t?gz|tar|bz2|xz))",
    re.MULTILINE,
)
"""What a line has that requires a folder or archive of the repository, or reads another file."""
_INSTALLS_FOLDER = re.compile(
    r"\binstall\b(?:(?!\binstall\b)[^\n])*(?:\s-e|\s--editable|[\s\"'][\w.$-]*/|\s\.)", re.ASCII
)
"""What a command has that installs a folder."""
SCRIPT_LIMIT = 40
"""Scripts and targets of Makefiles that are followed for one service."""
_METADATA_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_SCRIPT_FOLDERS = ("scripts", "script", "bin", "tools", "ci", ".ci")
_RUN_TIME_TABLES = frozenset(
    {"project.dependencies", "tool.poetry.dependencies", "options.install_requires", "install_requires"}
)


def find_own_distributions(tree: Tree, service: Service, requirements: RequirementSet) -> Mapping[str, str]:
    """Return the folders of the repository's distributions that ``requirements`` name, by normalised name.

    Those that these require by name in turn are included; the service itself is not.
    """
    provided: dict[str, tuple[str, Distribution]] = {}
    for folder in dict.fromkeys(_installed_folders(tree, service, requirements)):
        distribution = _distribution_of(tree, folder) if folder != service.path else None
        if distribution is not None and distribution.name:
            provided.setdefault(canonicalize_name(distribution.name), (folder, distribution))
    own: dict[str, str] = {}
    pending = [(item.name, item.entry.specifier) for item in requirements.entries if not item.entry.url]
    while pending and provided:
        name, specifier = pending.pop()
        if name in own or name not in provided or not _satisfies(provided[name][1], specifier):
            continue
        own[name] = provided[name][0]
        pending += _required_names(tree, own[name])
    return own


def with_libraries(plan: Plan, tree: Tree, services: Sequence[Service]) -> list[Service]:
    """Return ``services`` without the libraries that others install by their folder; these need it instead.

    A library has metadata only: nothing starts it, no image or lock installs it, and it has no tests. What the plan
    names is a service.
    """
    libraries = {service.path for service in services if _is_library(service) and not _is_named(plan, service)}
    installed = {
        service.path: libraries.intersection(
            local.path for local in read_requirement_set(tree.root, service.requirements).locals
        )
        for service in (services if libraries else ())
        if service.path not in libraries
    }
    dropped = set().union(*installed.values())
    kept = [service for service in services if service.path not in dropped]
    return [_needing(service, sorted(installed.get(service.path, ()))) for service in kept]


def _needing(service: Service, folders: Sequence[str]) -> Service:
    needs = tuple(dict.fromkeys((*service.settings.needs, *folders)))
    return replace(service, settings=replace(service.settings, needs=needs))


def _is_library(service: Service) -> bool:
    distribution = service.distribution
    is_installed_alone = any((service.recipe, service.images, service.programs, service.suite))
    sources = (*service.requirements, *service.test_requirements, *service.additional_requirements)
    return (
        distribution is not None
        and not (distribution.scripts or distribution.plugins or is_installed_alone)
        and all(source.table for source in sources)
    )


def _is_named(plan: Plan, service: Service) -> bool:
    patterns = [pattern for stage in plan.stages for pattern in stage.services]
    patterns += [*plan.services, *(pattern for pattern, _ in plan.overrides)]
    return any(not is_glob(pattern) and matches(pattern, service.name, service.path) for pattern in patterns)


def _installed_folders(tree: Tree, service: Service, requirements: RequirementSet) -> Iterator[str]:
    """Yield the folders that something installs for the service, or for all services."""
    yield from (local.path for local in requirements.locals)
    yield from service.settings.needs
    if service.recipe is None:
        yield from _folders_of_commands(tree, service.path)
    for folder in with_outer_folders(service.path):
        toml = read_toml(tree.read_or_none(join_path(folder, "pyproject.toml")) or "")
        yield from _sources_of(toml, folder)
        yield from _workspace_members(tree, toml, folder)
        inner = (f"requirements/{name}" for name in _files_of(tree, join_path(folder, "requirements")))
        files = (*tree.list_folder(folder).files, *inner)
        paths = [join_path(folder, name) for name in files if is_requirements_path(join_path(folder, name))]
        for path in paths[:FOLDER_LIMIT]:
            if not _MAY_BE_LOCAL.search(tree.read_or_none(path) or ""):
                continue  # most files have names and versions only, and reading their syntax takes long
            yield from (local.path for local in read_requirement_set(tree.root, [RequirementSource(path=path)]).locals)


def _folders_of_commands(tree: Tree, service: str) -> Iterator[str]:
    """Yield the folders that a script or a target of a Makefile installs together with the service."""
    for path, folder, words in islice(installing_commands(tree, service, _INSTALLS_FOLDER), SCRIPT_LIMIT):
        walk = new_walk(tree, path, folder)
        walk.run_argv(words, 1)
        installed = {project.path for step in walk.steps for project in step.projects}
        named = (path for step in walk.steps for path in (*step.files, step.project or ""))
        if service in installed or any(lies_in(path, service) for path in named):
            yield from installed


def installing_commands(
    tree: Tree, service: str, pattern: re.Pattern[str]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what somebody may run to install services: the file, the folder in which it is run, and the command.

    :param pattern: what is in the text of a file that counts.
    """
    for folder in with_outer_folders(service):
        names = tree.list_folder(folder).files
        inner = [f"{each}/{name}" for each in _SCRIPT_FOLDERS for name in _files_of(tree, join_path(folder, each))]
        for name in (*names, *inner):
            path = join_path(folder, name)
            if name != "Makefile" and not name.endswith((".sh", ".bash")):
                continue
            text = tree.read_or_none(path) or ""
            if not pattern.search(text):
                continue
            if name != "Makefile":
                yield path, folder, ("bash", name)
                continue
            for target in read_makefile(text).targets:
                yield path, folder, ("make", target)


def _files_of(tree: Tree, folder: str) -> tuple[str, ...]:
    return tuple(tree.list_folder(folder).files) if tree.is_folder(folder) else ()


def _sources_of(toml: TomlText, folder: str) -> Iterator[str]:
    """Yield the paths of ``[tool.uv.sources]``."""
    for source in toml.table("tool", "uv", "sources").values():
        for alternative in source if isinstance(source, list) else [source]:
            path = alternative.get("path") if isinstance(alternative, dict) else None
            if isinstance(path, str) and is_inside_root(target := join_path(folder, path)):
                yield target


def _workspace_members(tree: Tree, toml: TomlText, folder: str) -> list[str]:
    """Return the members of a uv workspace, or of one of the same form (``[tool.rye.workspace]``, ``[tool.hatch]``)."""
    members: dict[str, None] = {}
    for keys in (("tool", "uv", "workspace"), ("tool", "rye", "workspace"), ("tool", "hatch", "workspace")):
        table: Mapping[str, Any] = toml.table(*keys)
        excluded = strings_in(table.get("exclude"))
        for pattern in strings_in(table.get("members"))[:FOLDER_LIMIT]:
            for path in matching_folders(tree, folder, pattern, FOLDER_LIMIT):
                if not any(fnmatchcase(path, join_path(folder, other)) for other in excluded):
                    members[path] = None
    return list(members)[:FOLDER_LIMIT]


def _distribution_of(tree: Tree, folder: str) -> Distribution | None:
    if not is_inside_root(folder) or not tree.is_folder(folder):
        return None
    texts = {name: text for name in _METADATA_FILES if (text := tree.read_or_none(join_path(folder, name)))}
    return find_distribution(tree.scan_folder(folder, depth=2, limit=2_000).files, texts) if texts else None


def _required_names(tree: Tree, folder: str) -> list[tuple[str, str]]:
    """Return the projects that the metadata in a folder require, with their specifiers."""
    required = []
    for name, reader in TABLE_READERS.items():
        path = join_path(folder, name)
        for table in reader(tree.read_or_none(path) or "", path) if tree.is_file(path) else ():
            if table.table in _RUN_TIME_TABLES:
                required += [(entry.name, entry.specifier) for entry in table.requirements.entries if not entry.url]
    return required


def _satisfies(distribution: Distribution, specifier: str) -> bool:
    """Whether the version in the repository is accepted; one that only a build can tell is."""
    if not specifier or not distribution.version:
        return True
    try:
        return SpecifierSet(specifier).contains(distribution.version, prereleases=True)
    except (InvalidSpecifier, ValueError):
        return True
