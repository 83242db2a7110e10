"""Which files of a distribution are modules, by what names, and which of them are tests or copies of others."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.analysis.libraries.summary import Part

MOST_FILES = 50_000
"""Files of one distribution that are looked at."""

_TESTS = frozenset({"test", "tests"})
_TESTING = re.compile(r"conftest|tests|test_.*|.*_tests?")
_VENDORED = frozenset(
    {"_vendor", "vendor", "vendored", "_vendored", "_vendored_packages", "extern", "externals", "_externals",
     "third_party", "thirdparty", "_third_party"}
)  # fmt: skip
_COMPILED = re.compile(r"([A-Za-z_]\w*)(?:\.[\w-]+)*\.(?:so|pyd)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleFile:
    """A Python file that can be imported: its dotted name, its path below site-packages, its part."""

    name: str
    path: str
    part: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The importable files of a distribution. ``compiled`` are the names of modules that are no source."""

    modules: tuple[ModuleFile, ...]
    compiled: tuple[str, ...]


def list_files(site: Path) -> list[str]:
    """The files below ``site``, relative to it, in a fixed order; links to folders are not followed."""
    found: list[str] = []
    for folder, folders, names in os.walk(site):
        folders[:] = sorted(name for name in folders if name.isidentifier() and name != "__pycache__")
        start = "" if Path(folder) == site else f"{os.path.relpath(folder, site)}/"
        found += [start + name for name in sorted(names)]
        if len(found) > MOST_FILES:
            return found[:MOST_FILES]
    return found


def classify(paths: Iterable[str]) -> Files:
    """Tell what can be imported among ``paths``, which are relative to site-packages."""
    modules, compiled = [], []
    for path in paths:
        folder, _, name = path.rpartition("/")
        package = folder.replace("/", ".")
        if name == "__init__.py" and package:
            modules.append(ModuleFile(name=package, path=path, part=part_of(path)))
        elif name.endswith(".py") and name.removesuffix(".py").isidentifier():
            modules.append(ModuleFile(name=_join(package, name.removesuffix(".py")), path=path, part=part_of(path)))
        elif found := _COMPILED.fullmatch(name):
            compiled.append(_join(package, found[1]))
    return Files(modules=tuple(modules), compiled=tuple(compiled))


def part_of(path: str) -> str:
    """Whether a file belongs to the distribution itself, to its tests, or to a copy of another project."""
    *folders, name = path.split("/")
    if not _VENDORED.isdisjoint(folders):
        return Part.VENDORED
    if not _TESTS.isdisjoint(folders) or _TESTING.fullmatch(name.removesuffix(".py")):
        return Part.TESTS
    return Part.OWN


def _join(package: str, name: str) -> str:
    return f"{package}.{name}" if package else name
