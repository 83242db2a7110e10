"""Determine whether a service is a distribution, and whether its metadata is known without building it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.fleet import Distribution
from pytest_py312.repository.formats.setuptools import IniText, SetupPy, ini_list, read_ini, read_setup_py
from pytest_py312.repository.formats.toml import TomlText, read_toml, strings_in
from pytest_py312.repository.tree import Tree, join_path, leaves_root

PATH_DEPENDENCY_LIMIT = 200
"""Maximum number of projects that one requires by their paths."""
_BACKENDS = frozenset(
    {
        "", "setuptools.build_meta", "setuptools.build_meta:__legacy__", "hatchling.build", "flit_core.buildapi",
        "poetry.core.masonry.api", "uv_build", "pdm.backend",
    }
)  # fmt: skip
"""Build backends whose way to find code is known. Empty: no backend is named, which means setuptools."""
_LIMITED_BACKEND = re.compile(
    r"(?:setuptools|poetry)(?![\w-])[^;]*(?:[=~]=|<)|[\w.-]+[ \t]*(?:\[[^\]]*\])?[ \t]*[=~]=", re.IGNORECASE | re.ASCII
)
"""A build requirement of an old version, which may not run on a newer Python: only a build shows it."""
_COMPILING_REQUIREMENTS = re.compile(
    r"cython|cffi|rust|mypy|pybind11|nanobind|scikit-build|meson|maturin|cmake|numpy|swig|hatch-build",
    re.IGNORECASE,
)
"""Build requirements that compile or generate code."""
_COMPILED_SUFFIXES = (".pyx", ".pxd", ".c", ".cc", ".cpp", ".cxx", ".rs", ".f90")
_NON_CODE_FOLDERS = frozenset({"tests", "test", "docs", "doc", "examples", "example", "scripts", "tools", "benchmarks"})
_CUSTOM_BUILD_ARGUMENTS = frozenset(
    {"cmdclass", "ext_modules", "cffi_modules", "rust_extensions", "distclass", "use_2to3", "**"}
)
_COMPUTABLE_ARGUMENTS = frozenset(
    {"long_description", "long_description_content_type", "description", "classifiers", "license"}
)
"""Arguments of ``setup()`` that do not affect which files are installed, so they may be computed."""
_BUILD_HOOKS = (
    ("tool", "hatch", "build", "hooks"), ("tool", "hatch", "build", "targets", "wheel", "hooks"),
    ("tool", "hatch", "build", "targets", "wheel", "force-include"), ("tool", "poetry", "build"),
    ("tool", "setuptools", "ext-modules"), ("tool", "setuptools", "cmdclass"),
    ("tool", "pdm", "build", "run-setuptools"),
)  # fmt: skip


def find_distribution(files: Sequence[str], texts_of: Mapping[str, str]) -> Distribution | None:
    """Return the distribution that a service with these ``files`` (relative to it) is; ``None`` if it is none.

    ``texts_of`` holds its pyproject.toml, setup.cfg and setup.py, as far as they exist.
    """
    toml = read_toml(texts_of.get("pyproject.toml", ""))
    ini = read_ini(texts_of.get("setup.cfg", ""))
    setup = read_setup_py(texts_of.get("setup.py", ""))
    poetry = toml.table("tool", "poetry")
    if isinstance(toml.table("project").get("name"), str) and poetry.get("package-mode") is not False:
        distribution = _project_distribution(files, toml, ini, setup)
    elif isinstance(poetry.get("name"), str) and poetry.get("package-mode") is not False:
        if poetry_folders_outside(texts_of.get("pyproject.toml", "")):
            return None
        if not (poetry.get("packages") or poetry.get("include") or _has_module(files, str(poetry["name"]))):
            return None  # Poetry finds nothing to build, so it is used with `--no-root`
        distribution = _poetry_distribution(files, toml)
    elif setup.is_packaging or ini.get("metadata", "name") or "options" in ini.sections:
        distribution = _setuptools_distribution(files, ini, setup)
    else:
        return None
    if any(leaves_root(root) or "\0" in root for root in distribution.source_roots):
        return replace(distribution, source_roots=(".",), static=False)
    # a setup.py is executed by the build, wherever the metadata is declared
    readable = setup.is_packaging or "setup.py" not in texts_of
    return replace(distribution, static=distribution.static and readable and _is_plain_build(files, toml, setup))


def poetry_folders_outside(text: str) -> tuple[tuple[str, str], ...]:
    """Return the (root, package) folders above a Poetry project that it packs, relative to it; at most 200.

    Poetry itself packs nothing from above a project ("is not in the subpath of"). Projects that name such folders are
    packed by a plugin (https://github.com/DavidVujic/poetry-multiproject-plugin), and pip cannot build them.
    """
    if "../" not in text:  # most often: parsing again what no reader has cached any more takes time at each start
        return ()
    packages = read_toml(text).table("tool", "poetry").get("packages")
    tables = [item for item in packages if isinstance(item, dict)] if isinstance(packages, list) else []
    pairs = [(_text_or_empty(item.get("from")), _text_or_empty(item.get("include"))) for item in tables[:200]]
    return tuple(
        (root.rstrip("/"), f"{root.rstrip('/')}/{include.rstrip('/')}")
        for root, include in pairs
        if root.startswith("../") and include and "\0" not in f"{root}{include}"
    )


def poetry_path_dependencies(tree: Tree, folder: str) -> tuple[str, ...]:
    """Return the folders of the projects that a Poetry project requires by their paths, and those that these require.

    Poetry builds such a requirement with the absolute path in its metadata, which is that of a copy in a build.
    """
    folders: dict[str, None] = {}
    pending = [folder]
    while pending and len(folders) < PATH_DEPENDENCY_LIMIT:
        project = pending.pop()
        text = tree.read_or_none(join_path(project, "pyproject.toml")) or ""
        toml = read_toml(text if "path" in text else "")  # most have none, and parsing takes time at each start
        values = toml.table("tool", "poetry", "dependencies").values()
        requirements = [item for value in values for item in (value if isinstance(value, list) else [value])]
        for requirement in (item for item in requirements if isinstance(item, dict)):
            path = _text_or_empty(requirement.get("path"))
            place = join_path(project, path) if path and not requirement.get("optional") else ""
            if place and not leaves_root(place) and tree.is_folder(place) and place not in {folder, *folders}:
                folders[place] = None
                pending.append(place)
    return tuple(folders)


def _has_module(files: Sequence[str], name: str) -> bool:
    """Return whether there is a module or package with the project's name where Poetry expects it."""
    module = re.sub(r"[-_.]+", "_", name).lower()
    candidates = (f"{root}{form}" for root in ("", "src/") for form in (f"{module}.py", f"{module}/"))
    return any(path.lower().startswith(candidate) for candidate in candidates for path in files)


def has_src_packages(files: Sequence[str]) -> bool:
    """Return whether ``src/`` holds importable modules or packages, and is not a package itself."""
    inside = [path for path in files if path.startswith("src/") and path.endswith(".py")]
    return "src/__init__.py" not in inside and any(
        path.count("/") == 1 or path.endswith("/__init__.py") for path in inside
    )


def _is_plain_build(files: Sequence[str], toml: TomlText, setup: SetupPy) -> bool:
    """Return whether there is no sign of compiled code, or of a build that does more than copy files."""
    backend = toml.value("build-system", "build-backend") or ""
    needed = strings_in(toml.value("build-system", "requires"))
    compiled = any(
        path.endswith(_COMPILED_SUFFIXES) and path.partition("/")[0] not in _NON_CODE_FOLDERS for path in files
    )
    return (
        isinstance(backend, str)
        and backend in _BACKENDS
        and toml.value("build-system", "backend-path") is None
        and not any(_COMPILING_REQUIREMENTS.search(requirement) for requirement in needed)
        and not any(toml.value(*keys) for keys in _BUILD_HOOKS)
        and not _CUSTOM_BUILD_ARGUMENTS & (set(setup.literal_arguments) | setup.computed_arguments)
        and not compiled
    )


def old_build_requirements(toml: TomlText) -> tuple[str, ...]:
    """Return the build requirements of a pyproject.toml whose versions are limited from above."""
    needed = strings_in(toml.value("build-system", "requires"))
    return tuple(text for text in needed if _LIMITED_BACKEND.match(text[:300]))


def _project_distribution(files: Sequence[str], toml: TomlText, ini: IniText, setup: SetupPy) -> Distribution:
    project = toml.table("project")
    version = _text_or_empty(project.get("version"))
    roots = _toml_roots(toml) or _setuptools_roots(ini, setup) or _default_roots(files)
    static = _is_version(version) and not {"name", "version"} & set(strings_in(project.get("dynamic")))
    return Distribution(
        name=_text_or_empty(project.get("name")),
        version=version,
        static=static,
        source_roots=roots,
        scripts=_string_pairs(project.get("scripts")),
        plugins=_plugins(toml.table("project", "entry-points")),
    )


def _poetry_distribution(files: Sequence[str], toml: TomlText) -> Distribution:
    poetry = toml.table("tool", "poetry")
    version = _text_or_empty(poetry.get("version"))
    packages = poetry.get("packages")
    tables = [item for item in packages if isinstance(item, dict)] if isinstance(packages, list) else []
    roots = [_text_or_empty(item.get("from")) or "." for item in tables]
    dynamic = bool(toml.value("tool", "poetry-dynamic-versioning", "enable"))
    return Distribution(
        name=_text_or_empty(poetry.get("name")),
        version=version,
        static=_is_version(version) and not dynamic,
        source_roots=tuple(dict.fromkeys(roots)) or _default_roots(files),
        scripts=_string_pairs(poetry.get("scripts")),
        plugins=_plugins(toml.table("tool", "poetry", "plugins")),
    )


def _setuptools_distribution(files: Sequence[str], ini: IniText, setup: SetupPy) -> Distribution:
    """Read setup.cfg and setup.py; as in setuptools, an argument of setup.py has precedence over an option."""
    name = _text_or_empty(setup.literal_arguments.get("name")) or (ini.get("metadata", "name") or "").strip()
    version = _text_or_empty(setup.literal_arguments.get("version")) or (ini.get("metadata", "version") or "").strip()
    if version.startswith(("attr:", "file:")):
        version = ""
    packaged = ini.get("options", "packages", "py_modules") or {"packages", "py_modules"} & set(setup.literal_arguments)
    groups = _literal_entry_points(setup) or ini.sections.get("options.entry_points", {})
    static = (
        bool(name and packaged)
        and _is_version(version)
        and setup.computed_arguments <= _COMPUTABLE_ARGUMENTS
        and not ini.parse_error
    )
    return Distribution(
        name=name,
        version=version if _is_version(version) else "",
        static=static,
        source_roots=_setuptools_roots(ini, setup) or _default_roots(files),
        scripts=_listed_scripts(groups.get("console_scripts", "")),
        plugins=_plugins({group: dict(_listed_scripts(value or "")) for group, value in groups.items()}),
    )


def _toml_roots(toml: TomlText) -> tuple[str, ...]:
    hatch = strings_in(toml.value("tool", "hatch", "build", "targets", "wheel", "packages"))
    if hatch:
        return tuple(dict.fromkeys(path.rstrip("/").rpartition("/")[0] or "." for path in hatch[:20]))
    directories = (
        toml.table("tool", "setuptools", "package-dir").get(""),
        toml.value("tool", "uv", "build-backend", "module-root"),
        toml.value("tool", "pdm", "build", "package-dir"),
    )
    where = strings_in(toml.value("tool", "setuptools", "packages", "find", "where"))
    folders = where or tuple(path for path in directories if isinstance(path, str))
    return tuple(path.rstrip("/") or "." for path in folders[:20])


def _setuptools_roots(ini: IniText, setup: SetupPy) -> tuple[str, ...]:
    literal = setup.literal_arguments.get("package_dir")
    for line in ini_list(ini.get("options", "package_dir")) if literal is None else ():
        package, _, folder = line.partition("=")
        if not package.strip() and folder.strip():
            return (folder.strip(),)
    packages = _text_or_empty(setup.literal_arguments.get("packages"))
    root = (
        (ini.get("options.packages.find", "where") or "").strip()
        or (_text_or_empty(literal.get("")) if isinstance(literal, Mapping) else "")
        or (packages.removeprefix("find:") if packages.startswith("find:") else "")
    )
    return (root.rstrip("/") or ".",) if root else ()


def _default_roots(files: Sequence[str]) -> tuple[str, ...]:
    """Return ``src`` if it holds packages or modules, otherwise the service's own folder."""
    return ("src",) if has_src_packages(files) else (".",)


def _listed_scripts(value: str) -> tuple[tuple[str, str], ...]:
    pairs = (line.partition("=") for line in value.splitlines())
    return tuple(sorted((name.strip(), target.strip()) for name, _, target in pairs if target.strip()))


def _literal_entry_points(setup: SetupPy) -> Mapping[str, str]:
    """Return the groups of entry points of a setup.py, each as lines."""
    value = setup.literal_arguments.get("entry_points")
    if isinstance(value, str):
        sections = read_ini(value).sections
        return {
            group: "\n".join(f"{name} = {target}" for name, target in sections[group].items()) for group in sections
        }
    groups = value if isinstance(value, Mapping) else {}
    return {str(group): "\n".join(strings_in(lines) or [str(lines)]) for group, lines in groups.items()}


def _plugins(groups: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Return the entry points that are no console scripts."""
    others = sorted((group, value) for group, value in groups.items() if group != "console_scripts")
    return tuple((group, name, target) for group, value in others for name, target in _string_pairs(value))


def _string_pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        return ()
    return tuple(sorted((name, target) for name, target in value.items() if isinstance(target, str)))


def _text_or_empty(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except (InvalidVersion, ValueError):
        return False
    return True
