"""The dependencies of a pyproject.toml, table by table, as PEP 508. Text in, facts with lines out; never raises.

The dependencies of a Pipfile as PEP 508. Text in, facts with lines out; never raises.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from pytest_py312.repository.formats.requirements_file import Collector, DependencyTable, Include, LocalPath
from pytest_py312.repository.formats.toml import TomlText, read_toml, texts
from pytest_py312.repository.formats.version_ranges import Untranslatable, python_marker, specifier_of


def read_pyproject_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """Every table of dependencies: ``project.dependencies``, ``project.optional-dependencies.NAME``,
    ``dependency-groups.NAME``, ``tool.poetry.dependencies``, ``tool.poetry.group.NAME.dependencies``,
    ``tool.poetry.dev-dependencies``, ``tool.poetry.extras.NAME``, ``tool.setuptools.dynamic.dependencies``,
    ``tool.uv.dev-dependencies``, ``tool.pdm.dev-dependencies.NAME`` and ``tool.hatch.envs.NAME``.

    A text that is no TOML gives one table without a name, with the problem.
    """
    toml = read_toml(text)
    if toml.trouble:
        found = Collector(path)
        found.problem(toml.trouble_line or 1, "", f"The file is no TOML: {toml.trouble}.")
        return (DependencyTable(table="", requirements=found.result()),)
    return (*_project(toml, path), *_groups(toml, path), *_tools(toml, path), *_poetry(toml, path))


def _project(toml: TomlText, path: str) -> Iterator[DependencyTable]:
    yield from _listed(toml, path, ("project", "dependencies"))
    for name in toml.table("project", "optional-dependencies"):
        yield from _listed(toml, path, ("project", "optional-dependencies", name))
    yield from _listed(toml, path, ("tool", "uv", "dev-dependencies"))
    dynamic = toml.table("tool", "setuptools", "dynamic")
    if "dependencies" in texts(toml.value("project", "dynamic")) and isinstance(dynamic.get("dependencies"), Mapping):
        keys = ("tool", "setuptools", "dynamic", "dependencies")
        found = Collector(path)
        for target in texts(dynamic["dependencies"].get("file")):
            line = toml.line(*keys)
            found.includes.append(Include(kind="requirements", target=target, line=line))
        yield DependencyTable(table=".".join(keys), requirements=found.result())


def _listed(toml: TomlText, path: str, keys: tuple[str, ...]) -> Iterator[DependencyTable]:
    value = toml.value(*keys)
    if value is None:
        return
    found = Collector(path)
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        line = toml.line(*keys, index)
        if isinstance(item, str) and item.startswith("-e ") and keys[1] == "pdm":
            place = item.removeprefix("-e ").removeprefix("file:///${PROJECT_ROOT}/")
            found.requirement(place.partition("#")[0].strip(), line)
        elif isinstance(item, str) and isinstance(value, list):
            found.requirement(item.strip(), line)
        else:
            found.problem(line, str(item), f"{'.'.join(keys)} is no list of strings.")
    yield DependencyTable(table=".".join(keys), requirements=found.result())


def _groups(toml: TomlText, path: str) -> Iterator[DependencyTable]:
    groups = toml.table("dependency-groups")
    for name in groups:
        found = Collector(path)
        _add_group(toml, found, groups, name, ())
        yield DependencyTable(table=f"dependency-groups.{name}", requirements=found.result())


def _add_group(toml: TomlText, found: Collector, groups: Mapping[str, Any], name: str, above: tuple[str, ...]) -> None:
    """Add what the group ``name`` lists, and what the groups list that it includes."""
    keys = ("dependency-groups", name)
    items = groups[name]
    if not isinstance(items, list):
        found.problem(toml.line(*keys), str(items), f"The dependency group {name} is no list.")
        return
    by_name = {canonicalize_name(group): group for group in groups}
    for index, item in enumerate(items):
        line = toml.line(*keys, index)
        if isinstance(item, str):
            found.requirement(item.strip(), line)
            continue
        wanted = item.get("include-group") if isinstance(item, Mapping) else None
        included = by_name.get(canonicalize_name(wanted)) if isinstance(wanted, str) else None
        if included is None:
            found.problem(line, str(item), f"The dependency group {name} includes what is no group: {str(item)[:80]}.")
        elif included in (*above, name):
            found.problem(line, str(item), f"The dependency group {name} includes itself, by way of {included}.")
        elif len(found.entries) < 5_000 and len(above) < 50:
            _add_group(toml, found, groups, included, (*above, name))


def _tools(toml: TomlText, path: str) -> Iterator[DependencyTable]:
    """Groups of PDM before there were dependency groups, and environments of Hatch.

    https://pdm-project.org/en/latest/usage/dependency/, https://hatch.pypa.io/latest/config/environment/overview/: an
    environment has the dependencies of ``default`` where it lists none of its own, and its extra ones beside them.
    """
    for name in toml.table("tool", "pdm", "dev-dependencies"):
        yield from _listed(toml, path, ("tool", "pdm", "dev-dependencies", name))
    home = ("tool", "hatch", "envs")
    for name in toml.table(*home):
        own = toml.table(*home, name)
        origin = name if "dependencies" in own or own.get("detached") else "default"
        found = Collector(path)
        for keys in ((*home, origin, "dependencies"), (*home, name, "extra-dependencies")):
            for index, text in enumerate(texts(toml.value(*keys))):
                found.requirement(text.replace("{root:uri}/", "file:").strip(), toml.line(*keys, index))
        if found.entries or found.problems:
            yield DependencyTable(table=".".join((*home, name)), requirements=found.result())


def _poetry(toml: TomlText, path: str) -> Iterator[DependencyTable]:
    main = ("tool", "poetry", "dependencies")
    tables: list[tuple[str, ...]] = [main, ("tool", "poetry", "dev-dependencies")]
    tables += [("tool", "poetry", "group", name, "dependencies") for name in toml.table("tool", "poetry", "group")]
    for keys in tables:
        value = toml.value(*keys)
        if isinstance(value, Mapping):
            found = Collector(path)
            for name, wanted in value.items():
                if canonicalize_name(name) != "python":
                    add_dependency(toml, found, keys, name, wanted, optional=False)
            yield DependencyTable(table=".".join(keys), requirements=found.result())
    for extra, names in toml.table("tool", "poetry", "extras").items():
        optional = {canonicalize_name(name): name for name in toml.table(*main)}
        found = Collector(path)
        for name in filter(None, (optional.get(canonicalize_name(listed)) for listed in texts(names))):
            add_dependency(toml, found, main, name, toml.table(*main)[name], optional=True)
        yield DependencyTable(table=f"tool.poetry.extras.{extra}", requirements=found.result())


def add_dependency(
    toml: TomlText, found: Collector, keys: tuple[str, ...], name: str, wanted: Any, *, optional: bool
) -> None:
    """Add one dependency in one of Poetry's forms: a version, a table, or a list of them."""
    line = toml.line(*keys, name)
    for one in wanted if isinstance(wanted, list) else [wanted]:
        form = {"version": one} if isinstance(one, str) else one
        if not isinstance(form, Mapping):
            found.problem(line, f"{name} = {one!r}", f"The dependency {name} is neither a version nor a table.")
            continue
        if bool(form.get("optional")) is not optional:
            continue  # an optional one belongs to the extras that name it
        raw = f"{name} = {one!r}"
        try:
            _add_form(found, name, form, line, raw)
        except Untranslatable as error:
            found.problem(line, raw, f"The dependency {name} {error}.")


def _add_form(found: Collector, name: str, form: Mapping[str, Any], line: int, raw: str) -> None:
    extras = texts(form.get("extras"))
    path = form.get("path")
    if isinstance(path, str):
        found.locals.append(LocalPath(path=path, editable=bool(form.get("develop")), extras=extras, line=line, raw=raw))
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
        text += specifier_of(form["version"])
    elif "version" in form:
        raise Untranslatable("has a version that is no string")
    joined = " and ".join(filter(None, markers))
    found.requirement(f"{text}; {joined}" if joined else text.strip(), line, raw=raw)


def _git_url(form: Mapping[str, Any]) -> str:
    """The repository as pip writes it; https://pip.pypa.io/en/stable/topics/vcs-support/."""
    url = str(form["git"])
    host = re.fullmatch(r"([\w.-]+@[\w.-]+):(?!//)(.+)", url)
    url = f"ssh://{host[1]}/{host[2]}" if host else url
    if not re.fullmatch(r"(?:git\+)?(?:https?|ssh|git|file)://[^\s;#]+", url):
        raise Untranslatable(f"comes from a git repository whose address cannot be read ({url[:80]})")
    wanted = next((str(form[key]) for key in ("rev", "ref", "tag", "branch") if form.get(key)), "")
    folder = form.get("subdirectory")
    pinned = f"@{wanted}" if wanted else ""
    inner = f"#subdirectory={folder}" if isinstance(folder, str) and folder else ""
    return f"git+{url.removeprefix('git+')}{pinned}{inner}"


def read_pipfile_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """The tables ``packages`` and ``dev-packages``, whose forms are those of Poetry."""
    toml = read_toml(text)
    if toml.trouble:
        found = Collector(path)
        found.problem(toml.trouble_line or 1, "", f"The file is no TOML: {toml.trouble}.")
        return (DependencyTable(table="packages", requirements=found.result()),)
    tables = []
    for table in ("packages", "dev-packages"):
        if toml.table(table):
            found = Collector(path)
            for name, wanted in toml.table(table).items():
                add_dependency(toml, found, (table,), name, wanted, optional=False)
            tables.append(DependencyTable(table=table, requirements=found.result()))
    return tuple(tables)
