"""What an installation shows to be wrong with what was installed: files that pip would refuse, imports that fail. Pure.

The same questions are asked of a cell's own installation and of one that tries a change out.
"""

import re
from collections.abc import Iterator, Sequence

from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.console_scripts import owner_of
from pytest_py312.dependencies.installation.installer import Installation
from pytest_py312.dependencies.installation.requests import shut_out
from pytest_py312.dependencies.resolution.known_replacements import SUCCESSORS
from pytest_py312.repository.services.requirement_set import LocatedEntry

_IMPORTED = re.compile(r"`import ([\w.]+)` fails: ")
_NEEDS_SETUPTOOLS = re.compile(r"No module named '(?:setuptools|pkg_resources|distutils)[.']")


def faults_of(cell: Cell, here: Installation, entries: Sequence[LocatedEntry]) -> Iterator[Finding]:
    """The faults of ``here``, the installation of ``cell``; ``entries`` are its requirements, which give the places."""
    yield from here.findings
    yield from _excluded(cell, here, entries)
    yield from _not_importable(cell, here, entries)


def _excluded(cell: Cell, here: Installation, entries: Sequence[LocatedEntry]) -> Iterator[Finding]:
    """Distributions that do not allow this interpreter, and of which no older version that fits the set does."""
    if here.build is None:
        return
    for entry in shut_out(here.entries, here.build):
        where = _where(entry.name, entries)
        # what is neither required nor locked is the service itself, or lies beside it in the repository
        is_tree = where is None and here.lock is not None and entry.name not in here.lock.versions
        yield Finding(
            code="PY103",
            message=f"{entry.name}=={entry.version} says Requires-Python {entry.requires_python}: "
            f"pip refuses it on {here.build.version}",
            remedy=f"widen the Requires-Python of {entry.name} in its metadata"
            if is_tree
            else f"require a version of {entry.name} that allows {cell.interpreter}",
            location=Location(path=cell.service.manifest) if is_tree and cell.service.manifest else where,
            names=(entry.name,),
        )


def _not_importable(cell: Cell, here: Installation, entries: Sequence[LocatedEntry]) -> Iterator[Finding]:
    for module, detail in sorted((here.imports or {}).items()):
        if not detail or here.environment is None:
            continue
        owners = (name for name, found in here.environment.modules.items() if module in found)
        project = next(owners, None) or owner_of(module, here.entries) or module
        version = here.environment.versions.get(project, "")
        last = (detail.strip().splitlines() or ["it did not say why"])[-1]
        yield Finding(
            code="PY105",
            message=f"{project}=={version} installs on {cell.interpreter}, but `import {module}` fails: {last}",
            remedy=_import_remedy(project, cell, last),
            location=_where(project, entries),
            names=(project,),
            detail=detail,
        )


def obstacle(here: Installation) -> str:
    """Why an installation has no environment, where it has none."""
    return here.unchecked or "its requirements cannot be installed there (see dependencies)"


def same_trouble(found: Finding) -> tuple[str, tuple[str, ...], str]:
    """What two findings have in common that tell the same: a project may have modules that fail and others that do."""
    module = _IMPORTED.search(found.message) if found.code == "PY105" else None
    return found.code, found.names, module[1] if module else ""


def _import_remedy(project: str, cell: Cell, last: str) -> str:
    successor = SUCCESSORS.get(project)
    if successor:
        return f"replace {project}: {successor}"
    other = f"require a version of {project} that runs on {cell.interpreter}"
    if _NEEDS_SETUPTOOLS.search(last):
        return f"{other}, or setuptools beside it (below 82 for pkg_resources), which it needs and does not require"
    return f"{other}, or replace it"


def _where(project: str, entries: Sequence[LocatedEntry]) -> Location | None:
    return next((item.location for item in entries if item.name == project), None)
