"""Whether a service is itself a distribution, and whether that can be told without building it. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.fleet import Distribution
from pytest_py312.repository.formats.setuptools import IniText, SetupPy, ini_list, read_ini, read_setup_py
from pytest_py312.repository.formats.toml import TomlText, read_toml, texts
from pytest_py312.repository.tree import escapes

_BACKENDS = frozenset(
    {
        "", "setuptools.build_meta", "setuptools.build_meta:__legacy__", "hatchling.build", "flit_core.buildapi",
        "poetry.core.masonry.api", "uv_build", "pdm.backend",
    }
)  # fmt: skip
"""Backends of which it is known where they find the code. Empty: none is named, which means setuptools."""
_COMPILERS = re.compile(
    r"cython|cffi|rust|mypy|pybind11|nanobind|scikit-build|meson|maturin|cmake|numpy|swig|hatch-build",
    re.IGNORECASE,
)
"""Build requirements that compile or generate."""
_COMPILED = (".pyx", ".pxd", ".c", ".cc", ".cpp", ".cxx", ".rs", ".f90")
_NOT_CODE = frozenset({"tests", "test", "docs", "doc", "examples", "example", "scripts", "tools", "benchmarks"})
_UNUSUAL = frozenset({"cmdclass", "ext_modules", "cffi_modules", "rust_extensions", "distclass", "use_2to3", "**"})
_HARMLESS = frozenset({"long_description", "long_description_content_type", "description", "classifiers", "license"})
"""Arguments of ``setup()`` that change nothing of what is laid where, so they may be computed."""
_HOOKS = (
    ("tool", "hatch", "build", "hooks"), ("tool", "hatch", "build", "targets", "wheel", "hooks"),
    ("tool", "hatch", "build", "targets", "wheel", "force-include"), ("tool", "poetry", "build"),
    ("tool", "setuptools", "ext-modules"), ("tool", "setuptools", "cmdclass"),
    ("tool", "pdm", "build", "run-setuptools"),
)  # fmt: skip


def find_distribution(files: Sequence[str], texts_of: Mapping[str, str]) -> Distribution | None:
    """The distribution that a service with these ``files`` (relative to it) is, or ``None``.

    ``texts_of`` holds its pyproject.toml, setup.cfg and setup.py where they exist.
    """
    toml = read_toml(texts_of.get("pyproject.toml", ""))
    ini = read_ini(texts_of.get("setup.cfg", ""))
    setup = read_setup_py(texts_of.get("setup.py", ""))
    poetry = toml.table("tool", "poetry")
    if isinstance(toml.table("project").get("name"), str) and poetry.get("package-mode") is not False:
        found = _of_project(files, toml, ini, setup)
    elif isinstance(poetry.get("name"), str) and poetry.get("package-mode") is not False:
        if not (poetry.get("packages") or poetry.get("include") or _has_module(files, str(poetry["name"]))):
            return None  # Poetry finds nothing to build, so it is installed with `--no-root`
        found = _of_poetry(files, toml)
    elif setup.packaging or ini.get("metadata", "name") or "options" in ini.sections:
        found = _of_setuptools(files, ini, setup)
    else:
        return None
    if any(escapes(root) or "\0" in root for root in found.source_roots):
        return replace(found, source_roots=(".",), static=False)
    # a setup.py takes part in the build whatever else declares the metadata
    readable = setup.packaging or "setup.py" not in texts_of
    return replace(found, static=found.static and readable and _is_plain(files, toml, setup))


def _has_module(files: Sequence[str], name: str) -> bool:
    """Whether there is a module or a package named like the project, where Poetry looks for it."""
    module = re.sub(r"[-_.]+", "_", name).lower()
    places = (f"{root}{form}" for root in ("", "src/") for form in (f"{module}.py", f"{module}/"))
    return any(path.lower().startswith(place) for place in places for path in files)


def has_src_packages(files: Sequence[str]) -> bool:
    """Whether ``src/`` holds something that can be imported by its own name, and is not a package itself."""
    inside = [path for path in files if path.startswith("src/") and path.endswith(".py")]
    return "src/__init__.py" not in inside and any(
        path.count("/") == 1 or path.endswith("/__init__.py") for path in inside
    )


def _is_plain(files: Sequence[str], toml: TomlText, setup: SetupPy) -> bool:
    """Whether nothing hints at compiled code or at a build that does more than copy files."""
    backend = toml.value("build-system", "build-backend") or ""
    needed = texts(toml.value("build-system", "requires"))
    compiled = any(path.endswith(_COMPILED) and path.partition("/")[0] not in _NOT_CODE for path in files)
    return (
        isinstance(backend, str)
        and backend in _BACKENDS
        and toml.value("build-system", "backend-path") is None
        and not any(_COMPILERS.search(requirement) for requirement in needed)
        and not any(toml.value(*keys) for keys in _HOOKS)
        and not _UNUSUAL & (set(setup.literal) | setup.computed)
        and not compiled
    )


def _of_project(files: Sequence[str], toml: TomlText, ini: IniText, setup: SetupPy) -> Distribution:
    project = toml.table("project")
    version = _text(project.get("version"))
    roots = _toml_roots(toml) or _setuptools_roots(ini, setup) or _roots(files)
    static = _is_version(version) and not {"name", "version"} & set(texts(project.get("dynamic")))
    return Distribution(
        name=_text(project.get("name")),
        version=version,
        static=static,
        source_roots=roots,
        scripts=_pairs(project.get("scripts")),
    )


def _of_poetry(files: Sequence[str], toml: TomlText) -> Distribution:
    poetry = toml.table("tool", "poetry")
    version = _text(poetry.get("version"))
    packages = poetry.get("packages")
    tables = [item for item in packages if isinstance(item, dict)] if isinstance(packages, list) else []
    places = [_text(item.get("from")) or "." for item in tables]
    dynamic = bool(toml.value("tool", "poetry-dynamic-versioning", "enable"))
    return Distribution(
        name=_text(poetry.get("name")),
        version=version,
        static=_is_version(version) and not dynamic,
        source_roots=tuple(dict.fromkeys(places)) or _roots(files),
        scripts=_pairs(poetry.get("scripts")),
    )


def _of_setuptools(files: Sequence[str], ini: IniText, setup: SetupPy) -> Distribution:
    """setup.cfg holds over setup.py, as setuptools has it."""
    name = (ini.get("metadata", "name") or "").strip() or _text(setup.literal.get("name"))
    version = (ini.get("metadata", "version") or "").strip() or _text(setup.literal.get("version"))
    if version.startswith(("attr:", "file:")):
        version = ""
    packaged = ini.get("options", "packages", "py_modules") or {"packages", "py_modules"} & set(setup.literal)
    entry_points = setup.literal.get("entry_points")
    listed = entry_points.get("console_scripts") if isinstance(entry_points, Mapping) else None
    scripts = ini.get("options.entry_points", "console_scripts") or "\n".join(texts(listed))
    static = bool(name and packaged) and _is_version(version) and setup.computed <= _HARMLESS and not ini.trouble
    return Distribution(
        name=name,
        version=version if _is_version(version) else "",
        static=static,
        source_roots=_setuptools_roots(ini, setup) or _roots(files),
        scripts=_listed_scripts(scripts),
    )


def _toml_roots(toml: TomlText) -> tuple[str, ...]:
    hatch = texts(toml.value("tool", "hatch", "build", "targets", "wheel", "packages"))
    if hatch:
        return tuple(dict.fromkeys(path.rstrip("/").rpartition("/")[0] or "." for path in hatch[:20]))
    directories = (
        toml.table("tool", "setuptools", "package-dir").get(""),
        toml.value("tool", "uv", "build-backend", "module-root"),
        toml.value("tool", "pdm", "build", "package-dir"),
    )
    where = texts(toml.value("tool", "setuptools", "packages", "find", "where"))
    found = where or tuple(path for path in directories if isinstance(path, str))
    return tuple(path.rstrip("/") or "." for path in found[:20])


def _setuptools_roots(ini: IniText, setup: SetupPy) -> tuple[str, ...]:
    for line in ini_list(ini.get("options", "package_dir")):
        package, _, folder = line.partition("=")
        if not package.strip() and folder.strip():
            return (folder.strip(),)
    literal = setup.literal.get("package_dir")
    packages = _text(setup.literal.get("packages"))
    found = (
        (ini.get("options.packages.find", "where") or "").strip()
        or (_text(literal.get("")) if isinstance(literal, Mapping) else "")
        or (packages.removeprefix("find:") if packages.startswith("find:") else "")
    )
    return (found.rstrip("/") or ".",) if found else ()


def _roots(files: Sequence[str]) -> tuple[str, ...]:
    """``src`` when it holds packages or modules, else the service's own folder."""
    return ("src",) if has_src_packages(files) else (".",)


def _listed_scripts(value: str) -> tuple[tuple[str, str], ...]:
    pairs = (line.partition("=") for line in value.splitlines())
    return tuple(sorted((name.strip(), target.strip()) for name, _, target in pairs if target.strip()))


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        return ()
    return tuple(sorted((name, target) for name, target in value.items() if isinstance(target, str)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except (InvalidVersion, ValueError):
        return False
    return True
