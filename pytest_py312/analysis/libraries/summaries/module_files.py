"""Map the files of a distribution to module names, and recognize tests and vendored copies among them."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.analysis.files.file_kinds import module_kind

MAX_FILES = 50_000
"""Files considered per distribution."""

_EXTENSION_MODULE = re.compile(r"([A-Za-z_]\w*)(?:\.[\w-]+)*\.(?:so|pyd)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleFile:
    """An importable Python file: its dotted name, its path below site-packages and its :class:`ModuleKind`."""

    name: str
    path: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributionFiles:
    """The importable files of a distribution. ``compiled`` are the names of extension modules."""

    modules: tuple[ModuleFile, ...]
    compiled: tuple[str, ...]


def list_files(site: Path) -> list[str]:
    """Return the files below ``site`` as relative paths in a fixed order. Links to folders are not followed."""
    paths: list[str] = []
    for folder, folders, names in os.walk(site):
        folders[:] = sorted(name for name in folders if name.isidentifier() and name != "__pycache__")
        prefix = "" if Path(folder) == site else f"{os.path.relpath(folder, site)}/"
        paths += [prefix + name for name in sorted(names)]
        if len(paths) > MAX_FILES:
            return paths[:MAX_FILES]
    return paths


def classify(paths: Iterable[str]) -> DistributionFiles:
    """Return the modules among ``paths``, which are relative to site-packages."""
    modules, compiled = [], []
    for path in paths:
        folder, _, name = path.rpartition("/")
        package = folder.replace("/", ".")
        if name == "__init__.py" and package:
            modules.append(ModuleFile(name=package, path=path, kind=module_kind(path)))
        elif name.endswith(".py") and name.removesuffix(".py").isidentifier():
            modules.append(
                ModuleFile(name=_join_dotted(package, name.removesuffix(".py")), path=path, kind=module_kind(path))
            )
        elif match := _EXTENSION_MODULE.fullmatch(name):
            compiled.append(_join_dotted(package, match[1]))
    return DistributionFiles(modules=tuple(modules), compiled=tuple(compiled))


def _join_dotted(package: str, name: str) -> str:
    return f"{package}.{name}" if package else name


def prefixes(name: str) -> list[str]:
    """Return a dotted name and all of its parents, outermost first."""
    steps = name.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps) + 1)]
