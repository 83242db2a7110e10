"""Derive findings from an installation: versions that pip would refuse, and imports that fail. Pure.

Used for the installation of a cell and for the trial installation of a repair.
"""

import re
from collections.abc import Iterator, Sequence

from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.console_scripts import project_of_module
from pytest_py312.dependencies.installation.installer import Installation
from pytest_py312.dependencies.installation.requests import excluded_by_requires_python
from pytest_py312.dependencies.resolution.known_replacements import SUCCESSORS
from pytest_py312.repository.services.requirement_set import LocatedEntry

_IMPORTED = re.compile(r"`import ([\w.]+)` fails: ")
_NEEDS_SETUPTOOLS = re.compile(r"No module named '(?:setuptools|pkg_resources|distutils)[.']")


def installation_findings(cell: Cell, installation: Installation, entries: Sequence[LocatedEntry]) -> Iterator[Finding]:
    """Yield the findings of ``installation``, which belongs to ``cell``.

    :param entries: the requirements of the cell, which give the findings their locations.
    """
    yield from installation.findings
    yield from _requires_python_findings(cell, installation, entries)
    yield from _import_findings(cell, installation, entries)


def _requires_python_findings(
    cell: Cell, installation: Installation, entries: Sequence[LocatedEntry]
) -> Iterator[Finding]:
    """Yield distributions that exclude this interpreter, and of which no older version fits the set."""
    if installation.build is None:
        return
    for distribution in excluded_by_requires_python(installation.distributions, installation.build):
        location = _requirement_location(distribution.name, entries)
        # neither required nor locked: the service itself or another source tree of the repository
        is_tree = (
            location is None and installation.lock is not None and distribution.name not in installation.lock.versions
        )
        yield Finding(
            code="PY103",
            message=f"{distribution.name}=={distribution.version} says Requires-Python {distribution.requires_python}: "
            f"pip refuses it on {installation.build.version}",
            remedy=f"widen the Requires-Python of {distribution.name} in its metadata"
            if is_tree
            else f"require a version of {distribution.name} that allows {cell.interpreter}",
            location=Location(path=cell.service.manifest) if is_tree and cell.service.manifest else location,
            names=(distribution.name,),
        )


def _import_findings(cell: Cell, installation: Installation, entries: Sequence[LocatedEntry]) -> Iterator[Finding]:
    for module, detail in sorted((installation.imports or {}).items()):
        if not detail or installation.environment is None:
            continue
        owners = (
            name for name, project_modules in installation.environment.modules.items() if module in project_modules
        )
        project = next(owners, None) or project_of_module(module, installation.distributions) or module
        version = installation.environment.versions.get(project, "")
        last_line = (detail.strip().splitlines() or ["no reason was reported"])[-1]
        yield Finding(
            code="PY105",
            message=f"{project}=={version} installs on {cell.interpreter}, but `import {module}` fails: {last_line}"
            f"{how_imported(cell)}",
            remedy=_import_remedy(project, cell, last_line),
            location=_requirement_location(project, entries),
            names=(project,),
            detail=detail,
        )


def fails_only_here(finding: Finding, installation: Installation, baseline: Installation) -> bool:
    """Return whether a finding counts: that on a module which only the source of the service imports needs a contrast.

    Such a module may need a configuration that only the service makes, so its failure in ``installation`` is one of
    the interpreter only if the module can be imported in that of the ``baseline``.
    """
    module = _IMPORTED.search(finding.message) if finding.code == "PY105" else None
    if module is None or module[1] not in installation.source_imports:
        return True
    return (baseline.imports or {}).get(module[1]) == ""


def how_imported(cell: Cell) -> str:
    """Return what a message adds about imports that ran as in a folder without .pth files; empty for others."""
    location = cell.service.runs_without_pth
    if location is None:
        return ""
    return (
        f" (imported as the service is deployed: {location} installs into a folder that is no site-packages of Python, "
        "so no .pth file runs, and setuptools does not provide distutils)"
    )


def missing_environment_reason(installation: Installation) -> str:
    """Explain why ``installation`` has no environment. Only valid if it has none."""
    return installation.unchecked or "its requirements cannot be installed there (see dependencies)"


def incomplete_environment_reason(*installations: Installation) -> str:
    """Return why what ran in one of ``installations`` proves nothing; empty if all environments are as required."""
    incomplete = next((installation for installation in installations if installation.incomplete), None)
    if incomplete is None:
        return ""
    interpreter = f" on {incomplete.build.interpreter}" if incomplete.build is not None else ""
    return f"the environment{interpreter} is not what is required, so this proves nothing: {incomplete.incomplete}"


def finding_identity(finding: Finding) -> tuple[str, tuple[str, ...], str]:
    """Return a key that is equal for findings about the same problem on different interpreters.

    For imports it includes the module, because a project may have several modules of which only some fail.
    """
    module = _IMPORTED.search(finding.message) if finding.code == "PY105" else None
    return finding.code, finding.names, module[1] if module else ""


def _import_remedy(project: str, cell: Cell, last_line: str) -> str:
    successor = SUCCESSORS.get(project)
    if successor:
        return f"replace {project}: {successor}"
    other_version = f"require a version of {project} that runs on {cell.interpreter}"
    if _NEEDS_SETUPTOOLS.search(last_line):
        return f"{other_version}, or add setuptools (below 82 for pkg_resources), which it needs and does not require"
    return f"{other_version}, or replace it"


def _requirement_location(project: str, entries: Sequence[LocatedEntry]) -> Location | None:
    return next((item.location for item in entries if item.name == project), None)
