"""Derive findings from an installation: versions that pip would refuse, and imports that fail.

Used for the installation of a cell and for the trial installation of a repair.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Location, Severity, SpecifierChange
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.text import last_line
from pytest_py312.dependencies.installation.installed_distributions import (
    entries_of_production,
    excluded_by_requires_python,
    requirement_of,
    with_requirement,
)
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.proofs.import_causes import cause_of, owner_of_module
from pytest_py312.dependencies.system.image_programs import missing_program_findings
from pytest_py312.dependencies.system.known_packages import missing_library
from pytest_py312.dependencies.system.known_replacements import SUCCESSORS
from pytest_py312.repository.recipes.commands.install_steps import BRING_SETUPTOOLS
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry, RequirementSet
from pytest_py312.runners.probe_records import read_bounded

NOT_NEEDED = "The service and its suite were checked without it. Who installs all of that file meets it all the same."

_ENVIRONMENT_PATH = re.compile(r"[^\s'\"(]*/envs/[0-9a-f]{16,64}/(?:lib/python\d+\.\d+/site-packages/)?")
"""The path of an environment, which differs between the sets of one interpreter."""
_SOURCE_LIMIT = 4 * 1024**2
"""Bytes of a source file that are read."""
_IMPORTED = re.compile(r"`import ([\w.]+)` fails: ")
_LACKS_MODULE = re.compile(r"ModuleNotFoundError: No module named '(?P<top>\w+)")
_NEEDS_SETUPTOOLS = re.compile(r"No module named '(?P<top>setuptools|pkg_resources|distutils)[.']")


def installation_findings(cell: Cell, installation: Installation, entries: Sequence[LocatedEntry]) -> Iterator[Finding]:
    """Yield the findings of ``installation``, which belongs to ``cell``.

    :param entries: the requirements of the cell, which give the findings their locations.
    """
    yield from installation.findings
    yield from _requires_python_findings(cell, installation, entries)
    yield from _import_findings(cell, installation, entries)
    yield from _setup_script_findings(cell, installation, entries)
    yield from missing_program_findings(cell)


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


def _setup_script_findings(
    cell: Cell, installation: Installation, entries: Sequence[LocatedEntry]
) -> Iterator[Finding]:
    """Yield a command that runs setup.py itself, or builds without isolation, where production has no setuptools.

    pip brings it along for an isolated build; ``python setup.py install`` does not, and since 3.12 no environment comes
    with it (https://docs.python.org/3/whatsnew/3.12.html#ensurepip).
    """
    recipe, build = cell.service.recipe, installation.build
    if recipe is None or build is None or installation.environment is None:
        return
    commands = [
        step
        for step in recipe.steps
        if (step.tool == "setup.py" or any(project.by_own_setuptools for project in step.projects))
        and not step.conditional
    ]
    other_origin = any(
        step.tool == "conda"
        or "setuptools" in " ".join(step.system_packages)
        or any(text.startswith(tuple(BRING_SETUPTOOLS)) for text in step.installers)
        for step in recipe.steps
    )
    if not commands or other_origin or any(seed.startswith("setuptools==") for seed in build.preinstalled):
        return
    of_production = entries_of_production(cell, entries)
    if requirement_of("setuptools", of_production, installation.distributions) is None:
        is_script = commands[0].tool == "setup.py"
        if not is_script:
            remedy = "leave that option out, or install setuptools before"
        elif commands[0].projects:
            remedy = "write `pip install .` there, which brings setuptools along for the build"
        else:  # it builds in place
            remedy = "install setuptools before"
        yield Finding(
            code="PY106",
            message=f"`{'python setup.py' if is_script else '--no-build-isolation'}` needs setuptools, which an "
            f"environment of {cell.interpreter} does not come with, and nothing installs it before",
            remedy=remedy,
            location=commands[0].location,
            names=("setuptools",),
        )


def _import_findings(cell: Cell, installation: Installation, entries: Sequence[LocatedEntry]) -> Iterator[Finding]:
    for module, traceback in sorted((installation.imports or {}).items()):
        if not traceback or installation.environment is None:
            continue
        detail = without_environment_path(traceback)
        project = owner_of_module(module, installation.environment, installation.distributions)
        version = installation.environment.versions.get(project, "")
        error = last_line(detail) or "no reason was reported"
        is_own = any(entry.name == project and entry.is_of_repository for entry in installation.distributions)
        finding = Finding(
            code="PY105",
            message=f"{project}=={version} installs on {cell.interpreter}, but `import {module}` fails: {error}",
            remedy=_import_remedy(project, cell, error, is_own=is_own),
            names=(project,),
            detail=detail,
        )
        finding = with_requirement(finding, entries, installation.distributions)
        yield replace(finding, message=f"{finding.message}{how_imported(cell)}")


def without_environment_path(text: str) -> str:
    """Return a traceback without the path of the environment: it says nothing, and is another one for each set."""
    return _ENVIRONMENT_PATH.sub("", text)


def fails_only_here(finding: Finding, installation: Installation, baseline: Installation) -> bool:
    """Return whether a finding counts: that on a module which only the source of the service imports needs a contrast.

    Such a module may need a configuration that only the service makes, so its failure in ``installation`` is one of
    the interpreter only if the module can be imported in that of the ``baseline``.
    """
    module = _failed_module(finding)
    return module not in installation.source_imports or (baseline.imports or {}).get(module) == ""


def without_unneeded(finding: Finding, installation: Installation, baseline: Installation) -> Finding:
    """Return a finding as a note if nothing needs the import that fails in ``installation`` and on the ``baseline``.

    It is a warning if it fails only here, and its project is required for another reason than its import, or another
    module of it can be imported and no installed library names this one. A module that needs an extra or is only there
    inside of another program says nothing of its project, if another module of it can be imported, or if it lacks a
    module that no requirement provides on any interpreter.
    """
    module, environment = _failed_module(finding), installation.environment
    if environment is None or module not in installation.unneeded_imports:
        return finding
    details = [(side.imports or {}).get(module, "") for side in (installation, baseline)]
    if not all(details):
        reasons = [installation.unused.get(name, "") for name in finding.names]
        if imports_another_module(finding, installation) and not _is_named_by_libraries(module, installation):
            reasons = ["another module of it can be imported"]
        if not reasons or not all(reasons):
            return finding
        message = f"{finding.message} ({reasons[0]}, and nothing of the service names it)"
        return replace(finding, severity=Severity.WARNING, message=message)
    provided = {name for names in environment.modules.values() for name in names}
    missing = [_LACKS_MODULE.search(last_line(detail)) for detail in details]
    lacks_same = missing[0] and missing[1] and missing[0]["top"] == missing[1]["top"] not in provided
    if not lacks_same and not imports_another_module(finding, installation):
        return finding
    message = f"{finding.message} (on the baseline too, and nothing of the service names this module)"
    return replace(finding, severity=Severity.NOTE, message=message, remedy="")


def _is_named_by_libraries(module: str, installation: Installation) -> bool:
    """Return whether an installed file that is not of the module itself names it."""
    name = re.compile(rb"(?<![\w.])" + re.escape(module.encode()) + rb"(?!\w)")
    files = (path for entry in installation.distributions for path in entry.folder.glob("lib/**/*.py"))
    others = (path for path in files if module not in (*path.parts, path.stem))
    return any(name.search(read_bounded(path, _SOURCE_LIMIT) or b"") for path in others)


def imports_another_module(finding: Finding, installation: Installation) -> bool:
    """Return whether another module of the project whose module fails can be imported."""
    failed, imports = _failed_module(finding), installation.imports or {}
    by_project = installation.environment.modules if installation.environment is not None else {}
    modules = {name for project in finding.names for name in by_project.get(project, ())}
    return any(imports.get(name, "not tried") == "" for name in modules - {failed})


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
    return finding.code, finding.names, _failed_module(finding)


def _failed_module(finding: Finding) -> str:
    """Return the module whose import a PY105 is about; empty for other findings."""
    module = _IMPORTED.search(finding.message) if finding.code == "PY105" else None
    return module[1] if module else ""


def without_blocking(finding: Finding, installation: Installation) -> Finding:
    """Return a finding as a warning if the service and its suite do without the project that it is about."""
    reasons = {finding_identity(reason) for reason in installation.dispensed}
    is_about_dispensable = bool(finding.names) and installation.dispensable.issuperset(finding.names)
    if finding.severity is not Severity.ERROR or not (is_about_dispensable or finding_identity(finding) in reasons):
        return finding
    message = f"{finding.message} (only tests or development require it, and nothing of the service names it)"
    detail = f"{finding.detail}\n{NOT_NEEDED}".strip()
    return replace(finding, severity=Severity.WARNING, message=message, detail=detail)


def without_consequences(findings: Sequence[Finding], installation: Installation) -> list[Finding]:
    """Leave out failing imports that block, if what they fail for is a finding that blocks as well.

    A cause that was imported only because others fail for it blocks no more than these do.
    """
    imports = installation.imports or {}
    failing = {_failed_module(finding): finding for finding in findings if finding.code == "PY105"}
    causes = {module: cause_of(module, imports) for module in failing if module in imports}
    # those that block, also if the service needs the project that they are about
    counted = {module for module, finding in failing.items() if without_blocking(finding, installation).blocks}
    kept = []
    for finding in findings:
        module = _failed_module(finding)
        if module in counted and causes.get(module) in counted:
            continue
        blocks_others = any(causes.get(dependent) == module for dependent in counted)
        if module in installation.import_causes and finding.blocks and not blocks_others:
            finding = replace(finding, severity=Severity.WARNING)
        kept.append(finding)
    return kept


def _import_remedy(project: str, cell: Cell, error: str, *, is_own: bool) -> str:
    successor = SUCCESSORS.get(project)
    if successor:
        return f"replace {project}: {successor}"
    if "ImproperlyConfigured" in error:
        return "no other version: it needs the settings of the service, whose start or suite shows whether it works"
    library = missing_library(error)
    if library is not None:
        return f"install {library.package}, which has {library.name}, on this machine and in the image"
    if is_own:
        return "fix its source, which the repository has, or require what it lacks: the traceback shows the line"
    return f"require a version of {project} that runs on {cell.interpreter}, or replace it"


def missing_setuptools(finding: Finding) -> tuple[str, str] | None:
    """Return the module whose import fails because setuptools is not there, and the requirement that may fix it."""
    module, missing = _failed_module(finding), _NEEDS_SETUPTOOLS.search(finding.message)
    if not module or missing is None:
        return None
    return module, "setuptools<82" if missing["top"] == "pkg_resources" else "setuptools"


SETUPTOOLS_VERIFIED = "verified: with it "


def setuptools_remedy(requirement: str, module: str, cell: Cell) -> str:
    """Return the advice to require setuptools, with which ``module`` was imported."""
    return f"require {requirement} ({SETUPTOOLS_VERIFIED}{module} imports on {cell.interpreter})"


def setuptools_changes(required: RequirementSet, requirement: str) -> tuple[SpecifierChange, ...]:
    """Return the changes with which the lines that require setuptools are as narrow as ``requirement``.

    Empty if no line does, or if one cannot be changed: a pin was chosen, and a URL has no specifier.
    """
    bound = requirement.removeprefix("setuptools")
    lines = [item for item in (*required.entries, *required.duplicates) if item.name == "setuptools"]
    specifiers = [item.entry.specifier for item in lines]
    if not bound or any(item.entry.url or item.entry.hashes or not item.location.line for item in lines):
        return ()
    if any(re.search(r"==|~=|<", specifier) for specifier in specifiers):
        return ()
    return tuple(
        SpecifierChange(
            path=item.location.path,
            line=item.location.line or 0,
            name=item.name,
            old=item.entry.specifier,
            new=",".join(filter(None, (item.entry.specifier, bound))),
        )
        for item in lines
    )


def _requirement_location(project: str, entries: Sequence[LocatedEntry]) -> Location | None:
    requirement = requirement_of(project, entries, ())
    return requirement.location if requirement is not None else None
