"""Read the dependencies of a pyproject.toml or a Pipfile, table by table, as PEP 508 with lines. Never raises."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from packaging.utils import canonicalize_name

from pytest_py312.repository.formats.requirements_file import (
    DependencyTable,
    IncludedFile,
    LocalPath,
    RequirementCollector,
    unreadable_table,
)
from pytest_py312.repository.formats.toml import TomlText, read_toml, strings_in
from pytest_py312.repository.formats.version_ranges import Untranslatable, python_marker, to_specifier

_ROOT_OF_HATCH = re.compile(r"\{root(?P<outer>(?::parent)*):uri\}/")


def read_pyproject_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """Return every table of dependencies.

    These are ``project.dependencies``, ``project.optional-dependencies.NAME``, ``dependency-groups.NAME``,
    ``tool.poetry.dependencies``, ``tool.poetry.group.NAME.dependencies``, ``tool.poetry.dev-dependencies``,
    ``tool.poetry.extras.NAME``, ``tool.setuptools.dynamic.dependencies``, ``tool.uv.dev-dependencies``,
    ``tool.pdm.dev-dependencies.NAME`` and ``tool.hatch.envs.NAME``.

    Invalid TOML yields one table without a name, with the problem.
    """
    toml = read_toml(text)
    if toml.parse_error:
        return (_invalid_table("", toml, path),)
    return (
        *_project_tables(toml, path),
        *_dependency_groups(toml, path),
        *_tool_tables(toml, path),
        *_poetry_tables(toml, path),
    )


def _invalid_table(table: str, toml: TomlText, path: str) -> DependencyTable:
    return unreadable_table(table, path, toml.parse_error_line, f"The file is not valid TOML: {toml.parse_error}.")


def _project_tables(toml: TomlText, path: str) -> Iterator[DependencyTable]:
    yield from _listed_dependencies(toml, path, ("project", "dependencies"))
    for name in toml.table("project", "optional-dependencies"):
        yield from _listed_dependencies(toml, path, ("project", "optional-dependencies", name))
    yield from _listed_dependencies(toml, path, ("tool", "uv", "dev-dependencies"))
    dynamic = toml.table("tool", "setuptools", "dynamic")
    if "dependencies" in strings_in(toml.value("project", "dynamic")) and isinstance(
        dynamic.get("dependencies"), Mapping
    ):
        keys = ("tool", "setuptools", "dynamic", "dependencies")
        collector = RequirementCollector(path)
        for target in strings_in(dynamic["dependencies"].get("file")):
            line = toml.line(*keys)
            collector.includes.append(IncludedFile(kind="requirements", path=target, line=line))
        yield collector.table(".".join(keys))


def _listed_dependencies(toml: TomlText, path: str, keys: tuple[str, ...]) -> Iterator[DependencyTable]:
    value = toml.value(*keys)
    if value is None:
        return
    collector = RequirementCollector(path)
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        line = toml.line(*keys, index)
        if isinstance(item, str) and item.startswith("-e ") and keys[1] == "pdm":
            local_path = _with_relative_paths(item.removeprefix("-e ").strip())
            is_named = " @ " in local_path
            collector.add_requirement(
                local_path if is_named else local_path.removeprefix("file:").partition("#")[0], line
            )
        elif isinstance(item, str) and isinstance(value, list):
            collector.add_requirement(_with_relative_paths(item.strip()), line)
        else:
            collector.add_problem(line, str(item), f"{'.'.join(keys)} is not a list of strings.")
    yield collector.table(".".join(keys))


def _with_relative_paths(text: str) -> str:
    """Return a requirement with its path relative to the project, for which PDM and Hatch have names of their own.

    https://pdm-project.org/en/latest/usage/dependency/#local-dependencies,
    https://hatch.pypa.io/latest/config/context/
    """
    text = text.replace("file:///${PROJECT_ROOT}/", "file:")
    return _ROOT_OF_HATCH.sub(lambda match: "file:" + "../" * match["outer"].count(":"), text)


def _dependency_groups(toml: TomlText, path: str) -> Iterator[DependencyTable]:
    groups = toml.table("dependency-groups")
    for name in groups:
        collector = RequirementCollector(path)
        _add_group(toml, collector, groups, name, ())
        yield collector.table(f"dependency-groups.{name}")


def _add_group(
    toml: TomlText,
    collector: RequirementCollector,
    groups: Mapping[str, Any],
    name: str,
    including_groups: tuple[str, ...],
) -> None:
    """Add the dependencies of the group ``name`` and of the groups that it includes."""
    keys = ("dependency-groups", name)
    items = groups[name]
    if not isinstance(items, list):
        collector.add_problem(toml.line(*keys), str(items), f"The dependency group {name} is not a list.")
        return
    by_name = {canonicalize_name(group): group for group in groups}
    for index, item in enumerate(items):
        line = toml.line(*keys, index)
        if isinstance(item, str):
            collector.add_requirement(_with_relative_paths(item.strip()), line)
            continue
        included_name = item.get("include-group") if isinstance(item, Mapping) else None
        included = by_name.get(canonicalize_name(included_name)) if isinstance(included_name, str) else None
        if included is None:
            collector.add_problem(
                line,
                str(item),
                f"The dependency group {name} includes something that is not a group: {str(item)[:80]}.",
            )
        elif included in (*including_groups, name):
            collector.add_problem(line, str(item), f"The dependency group {name} includes itself through {included}.")
        elif len(collector.entries) < 5_000 and len(including_groups) < 50:
            _add_group(toml, collector, groups, included, (*including_groups, name))


def _tool_tables(toml: TomlText, path: str) -> Iterator[DependencyTable]:
    """Read the groups of PDM that preceded dependency groups, and the environments of Hatch.

    An environment of Hatch has the dependencies of ``default`` if it lists none itself, plus its extra ones.
    https://pdm-project.org/en/latest/usage/dependency/, https://hatch.pypa.io/latest/config/environment/overview/
    """
    for name in toml.table("tool", "pdm", "dev-dependencies"):
        yield from _listed_dependencies(toml, path, ("tool", "pdm", "dev-dependencies", name))
    envs_key = ("tool", "hatch", "envs")
    for name in toml.table(*envs_key):
        environment = toml.table(*envs_key, name)
        source_environment = name if "dependencies" in environment or environment.get("detached") else "default"
        collector = RequirementCollector(path)
        for keys in ((*envs_key, source_environment, "dependencies"), (*envs_key, name, "extra-dependencies")):
            for index, text in enumerate(strings_in(toml.value(*keys))):
                collector.add_requirement(_with_relative_paths(text.strip()), toml.line(*keys, index))
        if collector.entries or collector.problems:
            yield collector.table(".".join((*envs_key, name)))


def _poetry_tables(toml: TomlText, path: str) -> Iterator[DependencyTable]:
    main = ("tool", "poetry", "dependencies")
    tables: list[tuple[str, ...]] = [main, ("tool", "poetry", "dev-dependencies")]
    tables += [("tool", "poetry", "group", name, "dependencies") for name in toml.table("tool", "poetry", "group")]
    for keys in tables:
        value = toml.value(*keys)
        if isinstance(value, Mapping):
            collector = RequirementCollector(path)
            for name, constraint in value.items():
                if canonicalize_name(name) != "python":
                    add_dependency(toml, collector, keys, name, constraint, optional=False)
            yield collector.table(".".join(keys))
    for extra, names in toml.table("tool", "poetry", "extras").items():
        optional = {canonicalize_name(name): name for name in toml.table(*main)}
        collector = RequirementCollector(path)
        for name in filter(None, (optional.get(canonicalize_name(extra_member)) for extra_member in strings_in(names))):
            add_dependency(toml, collector, main, name, toml.table(*main)[name], optional=True)
        yield collector.table(f"tool.poetry.extras.{extra}")


def add_dependency(
    toml: TomlText,
    collector: RequirementCollector,
    keys: tuple[str, ...],
    name: str,
    constraint: Any,
    *,
    optional: bool,
) -> None:
    """Add one dependency in one of Poetry's forms: a version, a table, or a list of them."""
    line = toml.line(*keys, name)
    for alternative in constraint if isinstance(constraint, list) else [constraint]:
        dependency_form = {"version": alternative} if isinstance(alternative, str) else alternative
        if not isinstance(dependency_form, Mapping):
            collector.add_problem(
                line, f"{name} = {alternative!r}", f"The dependency {name} is neither a version nor a table."
            )
            continue
        if bool(dependency_form.get("optional")) is not optional:
            continue  # an optional dependency belongs to the extras that name it
        raw = f"{name} = {alternative!r}"
        try:
            _add_dependency_form(collector, name, dependency_form, line, raw)
        except Untranslatable as error:
            collector.add_problem(line, raw, f"The dependency {name} {error}.")


def _add_dependency_form(
    collector: RequirementCollector, name: str, form: Mapping[str, Any], line: int, raw: str
) -> None:
    extras = strings_in(form.get("extras"))
    path = form.get("path")
    if isinstance(path, str):
        editable = bool(form.get("develop") or form.get("editable"))  # the latter is Pipenv's
        collector.local_paths.append(LocalPath(path=path, editable=editable, extras=extras, line=line, raw=raw))
        return
    markers = []
    if isinstance(form.get("markers"), str):
        markers.append(f"({form['markers']})")
    if isinstance(form.get("python"), str):
        markers.append(python_marker(form["python"]))
    if isinstance(form.get("platform"), str):
        markers.append(f'sys_platform == "{form["platform"]}"')
    text = name + (f"[{','.join(extras)}]" if extras else "")
    if "git" in form:
        text += f" @ {_git_url(form)} "
    elif isinstance(form.get("url"), str):
        text += f" @ {form['url']} "
    elif isinstance(form.get("version"), str):
        text += to_specifier(form["version"])
    elif "version" in form:
        raise Untranslatable("has a version that is not a string")
    joined = " and ".join(filter(None, markers))
    collector.add_requirement(f"{text}; {joined}" if joined else text.strip(), line, raw=raw)


def _git_url(form: Mapping[str, Any]) -> str:
    """Return the repository URL in pip's form; see https://pip.pypa.io/en/stable/topics/vcs-support/."""
    url = str(form["git"])
    scp_address = re.fullmatch(r"([\w.-]+@[\w.-]+):(?!//)(.+)", url)
    url = f"ssh://{scp_address[1]}/{scp_address[2]}" if scp_address else url
    if not re.fullmatch(r"(?:git\+)?(?:https?|ssh|git|file)://[^\s;#]+", url):
        raise Untranslatable(f"comes from a git repository with an unreadable URL ({url[:80]})")
    revision = next((str(form[key]) for key in ("rev", "ref", "tag", "branch") if form.get(key)), "")
    folder = form.get("subdirectory")
    revision_suffix = f"@{revision}" if revision else ""
    folder_fragment = f"#subdirectory={folder}" if isinstance(folder, str) and folder else ""
    return f"git+{url.removeprefix('git+')}{revision_suffix}{folder_fragment}"


def read_pipfile_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """Return the tables ``packages`` and ``dev-packages``, whose entries have the forms of Poetry."""
    toml = read_toml(text)
    if toml.parse_error:
        return (_invalid_table("packages", toml, path),)
    tables = []
    for table in ("packages", "dev-packages"):
        if toml.table(table):
            collector = RequirementCollector(path)
            for name, constraint in toml.table(table).items():
                add_dependency(toml, collector, (table,), name, constraint, optional=False)
            tables.append(collector.table(table))
    return tuple(tables)


_OUTSIDE = re.compile(r"(?:\.\./)+[^\0\\]{0,300}")
_OUTSIDE_LIMIT = 200
_DEPENDENCY_KEYS = frozenset({"path", "dependencies", "sources", "workspace"})
"""Keys below which a path is that of another project, which is installed and not packed."""


def packaged_paths_outside(text: str) -> tuple[str, ...]:
    """Return the paths above the project's folder that its build packs, relative to that folder.

    Monorepos pack modules of shared folders: ``packages = [{include = "shop/log", from = "../../components"}]`` of
    Poetry (https://python-poetry.org/docs/pyproject/#packages), ``force-include`` of Hatch, ``bricks`` of Polylith.
    """
    tool = read_toml(text).table("tool")
    found = (path.rstrip("/") for path in _paths_outside(tool, 0) if not path.startswith("../../../../../../"))
    return tuple(dict.fromkeys(islice(found, _OUTSIDE_LIMIT)))


def _paths_outside(value: Any, depth: int) -> Iterator[str]:
    if depth > 10:
        return
    if isinstance(value, str):
        if _OUTSIDE.fullmatch(value):
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _paths_outside(item, depth + 1)
    elif isinstance(value, Mapping):
        origin, include = value.get("from"), value.get("include")
        if isinstance(origin, str) and isinstance(include, str):
            yield from _paths_outside(f"{origin.rstrip('/')}/{include}", depth + 1)
            return
        for key, item in value.items():
            if key not in _DEPENDENCY_KEYS:
                yield from _paths_outside(key, depth + 1)
                yield from _paths_outside(item, depth + 1)
