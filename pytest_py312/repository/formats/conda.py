"""Read environments of conda: their ``pip`` section, and what conda itself installs. Never raises.

https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_py312.repository.formats.requirements_file import (
    DependencyTable,
    RequirementCollector,
    read_requirements,
    unreadable_table,
)

if TYPE_CHECKING:
    from pytest_py312.repository.formats.yaml import YamlNode

PIP_TABLE = "dependencies.pip"
_NO_LIBRARIES = frozenset(
    {
        "blas", "bzip2", "c-compiler", "ca-certificates", "certifi", "cmake", "compilers", "conda", "cudatoolkit",
        "curl", "cxx-compiler", "ffmpeg", "gcc", "git", "graphviz", "gxx", "icu", "intel-openmp", "jq", "make", "mamba",
        "mkl", "ncurses", "nodejs", "openjdk", "openssl", "pip", "postgresql", "python", "python_abi", "readline",
        "setuptools", "sqlite", "tar", "tini", "tk", "tzdata", "unzip", "uv", "wget", "wheel", "xz", "yaml", "zip",
        "zlib", "zstd",
    }
)  # fmt: skip
_OF_SYSTEM = re.compile(r"_.*|lib.*|.*_(?:linux|osx|win)-\w+", re.ASCII)
"""Packages that no code imports: the interpreter, installers, compilers, programs, libraries of C."""
_NAME = re.compile(r"(?:[^\s:]+::)?(?P<name>[\w.-]+)", re.ASCII)


def read_conda_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """Return the ``pip`` section as one table; what conda itself installs is in none (see :func:`conda_packages`)."""
    from pytest_py312.repository.formats.yaml import InvalidYaml, YamlScalar, child_of, items_of

    try:
        dependencies = _dependencies(text)
    except InvalidYaml as error:
        return (unreadable_table(PIP_TABLE, path, error.line, f"The environment cannot be read: {error}"),)
    collector = RequirementCollector(path)
    for item in dependencies:
        for scalar in items_of(child_of(item, "pip")):
            if isinstance(scalar, YamlScalar):
                # an item is a line of a requirements file; empty lines in front give it its line number
                line = text.count("\n", 0, scalar.start)
                parsed = read_requirements("\n" * line + scalar.value, path)
                collector.entries += parsed.entries
                collector.includes += parsed.includes
                collector.local_paths += parsed.local_paths
                collector.options += parsed.options
                collector.problems += parsed.problems
    return (collector.table(PIP_TABLE),)


def _dependencies(text: str) -> Sequence["YamlNode"]:
    """Return the items of ``dependencies``.

    :raises InvalidYaml: it cannot be read.
    """
    from pytest_py312.repository.formats.yaml import (  # loads YAML, which few services need here
        child_of,
        items_of,
        parse_documents,
    )

    documents = parse_documents(text)
    return items_of(child_of(documents[0] if documents else None, "dependencies"))


def conda_packages(text: str) -> tuple[tuple[str, int], ...]:
    """Return the packages that conda installs of an environment, with their lines, as written (``numpy=1.20``).

    Without those that no code imports. Empty for a text that cannot be read.
    """
    from pytest_py312.repository.formats.yaml import InvalidYaml, YamlScalar

    try:
        items = _dependencies(text)
    except InvalidYaml:
        return ()
    lines = {item.value: text.count("\n", 0, item.start) + 1 for item in items if isinstance(item, YamlScalar)}
    return tuple((name, lines[name]) for name in imported_packages(lines))


def imported_packages(packages: Iterable[str]) -> list[str]:
    """Return those of the packages of conda that code may import: ``numpy=1.20``, ``conda-forge::gdal``."""
    names = ((text, _NAME.match(text.strip().strip("\"'"))) for text in packages)
    return [text for text, name in names if name is not None and not _is_of_system(name["name"].lower())]


def _is_of_system(name: str) -> bool:
    return name in _NO_LIBRARIES or _OF_SYSTEM.fullmatch(name) is not None
