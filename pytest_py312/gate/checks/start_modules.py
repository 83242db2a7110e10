"""PY117 and PY408: can what a service is started with be imported, and what it imports only once it runs?"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from pytest_py312.analysis.libraries.missing_requirements import GENERATED_SUFFIXES
from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.core.model.fleet import Cell, StartModule
from pytest_py312.core.model.measurements import StartImport, SuiteRun
from pytest_py312.core.text import last_line, list_names
from pytest_py312.dependencies.installation.findings import how_imported, without_environment_path
from pytest_py312.dependencies.installation.result import Installation, installed_versions
from pytest_py312.dependencies.proofs.import_causes import named_cause
from pytest_py312.gate.checks.check import Facts, installed_cell
from pytest_py312.repository.formats.commands.server_options import SERVER_PACKAGES
from pytest_py312.runners.placeholders import mentions

_IMPORT_ERRORS = re.compile(
    r"(?:ModuleNotFoundError|ImportError|SyntaxError|IndentationError|TabError|NameError)\b"
    r"|AttributeError: (?:partially initialized )?module '"
)
"""The code itself cannot be imported. Other errors come from what it finds: no database, no variable."""
MAX_LISTED_VARIABLES = 5
"""Number of placeholders that a message names."""
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(?P<module>[\w.]+)'", re.ASCII)
_FRAME = re.compile(r'File "(?P<path>[^"]+)", line (?P<line>\d{1,7})')


def start_imports(cell: Cell, facts: Facts) -> tuple[Mapping[str, StartImport], bool]:
    """Return the imports of what the service is started with, and whether all that could be tried have ended."""
    if not cell.service.start_modules:
        return {}, True
    imports = facts.start_imports(installed_cell(cell, facts))
    return imports, not any(imported.is_unfinished for imported in imports.values())


def start_findings(
    cell: Cell,
    imports: Mapping[str, StartImport],
    baseline: Mapping[str, StartImport],
    installations: tuple[Installation, Installation],
) -> Iterator[Finding]:
    """Yield a finding for each module that the service is started with and that cannot be imported.

    :param imports: how each module was imported here; ``baseline`` is the same there.
    :param installations: what is installed here, and on the baseline.
    """
    for module in cell.service.start_modules:
        imported = _as_compared(_without_path(imports.get(module.name)), baseline.get(module.name))
        if not imported.detail or (not module.is_own and (installations[0].imports or {}).get(module.name)):
            continue  # the latter is a PY105
        is_new = not cell.is_baseline and _is_regression(imported, baseline.get(module.name))
        if module.is_additional and not is_new:
            continue
        yield Finding(
            code="PY117",
            message=f"{_command_of(module)} cannot be imported on {cell.interpreter}: {_error(imported)}"
            f"{how_imported(cell)}",
            severity=Severity.ERROR if is_new else Severity.NOTE,
            remedy=_remedy(imported, *installations)
            if is_new
            else "install what it needs as the image does, or set what it reads with `environment` in the plan",
            location=_location_in(imported.detail, cell.service.path),
            names=(module.name,),
            detail=imported.detail,
            preexisting=not is_new and not cell.is_baseline,
        )


def unproven_start(
    cell: Cell, imports: Mapping[str, StartImport], baseline: Mapping[str, StartImport], suite: SuiteRun | None
) -> str:
    """Return why nothing proves that the service starts: what it is started with can be imported on neither side.

    Empty if it can, or if the suite has imported it: a test may replace the database that it looks for.

    :param suite: the run of the suite on the interpreter of the cell; ``None`` before it, and without one. Before it,
        only what no suite can prove counts: code that cannot be imported anywhere.
    """
    for module in cell.service.start_modules:
        earlier = baseline.get(module.name)
        imported = _as_compared(_without_path(imports.get(module.name)), earlier)
        lacking = _lacking_only_here(imported, earlier)
        if lacking:
            names = list_names(lacking, MAX_LISTED_VARIABLES)
            return (
                f"{_command_of(module)} imports on {cell.interpreter} only with a value for {names}, which it does not "
                f"need on {cell.service.baseline}. Set it with `environment` in the plan if production sets it"
            )
        if not imported.detail or module.is_additional or _is_regression(imported, earlier):
            continue
        where = f"{_how_on_baseline(earlier)} {cell.service.baseline}"
        text = f"{_command_of(module)} cannot be imported: {_error(imported)} ({where}), and "
        is_known = earlier is not None and not earlier.is_unfinished and not imported.is_unfinished
        if not module.is_own and not is_known:
            return f"{text}no test proves that the service starts with it"
        if _is_broken(module, imported.last_line):
            return (
                f"{text}the service is started with it, so nothing proves that it starts. Install what it needs, as "
                "the service's image does"
            )
        is_imported = suite is None or module.name in (suite.started_modules or ())
        if module.is_own and not (is_imported and cell.service.suite is not None):
            tests = "no suite" if cell.service.suite is None else "no test"
            return (
                f"{text}{tests} imports it, so nothing proves that the service starts. Set what it reads with "
                "`environment` in the plan, make what it imports with `prepare`, or let a test import it"
            )
    return ""


def _without_path(imported: StartImport | None) -> StartImport:
    found = imported or StartImport()
    plain = without_environment_path(found.without_placeholders)
    return replace(found, detail=without_environment_path(found.detail), without_placeholders=plain)


def _as_compared(imported: StartImport, baseline: StartImport | None) -> StartImport:
    """Return an import without placeholders if the baseline needs none: it lacks them only here."""
    if baseline is None or baseline.detail or baseline.placeholders or not imported.placeholders:
        return imported
    return StartImport(detail=imported.without_placeholders)


def _how_on_baseline(imported: StartImport | None) -> str:
    if imported is None or imported.is_unfinished:
        return "it is not known how on"
    return "also fails on" if imported.detail else "not on"


def _lacking_only_here(imported: StartImport, baseline: StartImport | None) -> list[str]:
    """Return the variables without which a module imports on the baseline, and not here."""
    if baseline is None or imported.detail or baseline.detail:
        return []
    needed = dict(baseline.placeholders)
    return [name for name, _ in imported.placeholders if name not in needed]


def _is_regression(imported: StartImport, baseline: StartImport | None) -> bool:
    """Return whether a module that fails here imports on the baseline.

    Where that needed placeholders, an error that names the value of one does not count: another version of a library
    may refuse it.
    """
    if baseline is None or baseline.detail or imported.is_unfinished:
        return False
    invented = (value for name, value in baseline.placeholders if name not in baseline.declared)
    return not mentions(imported.last_line, invented)


def _error(imported: StartImport) -> str:
    if not imported.placeholders:
        return imported.last_line
    names = list_names([name for name, _ in imported.placeholders], MAX_LISTED_VARIABLES)
    return f"{imported.last_line}, with placeholders for {names}"


def _is_broken(module: StartModule, last_line: str) -> bool:
    """Return whether an error comes from the code itself and not from what it finds where it runs."""
    package = module.name.partition(".")[0]
    missing = _MISSING.match(last_line)
    if module.is_own:
        is_generated = missing is not None and missing["module"].endswith(GENERATED_SUFFIXES)
        return _IMPORT_ERRORS.match(last_line) is not None and not is_generated
    if package in SERVER_PACKAGES:
        return True  # a worker of a server reads nothing
    # another folder of the repository may provide the package
    return _IMPORT_ERRORS.match(last_line) is not None and not (missing and missing["module"] == package)


def _remedy(imported: StartImport, installation: Installation, baseline: Installation) -> str:
    """Return what to require if the installed projects lack a module that those of the baseline have.

    If a module that is the cause fails by itself with the same error, that has to be fixed.
    """
    error = imported.last_line
    failing = named_cause(imported.detail)
    if failing and last_line((installation.imports or {}).get(failing, "")) == error:
        return f"fix `import {failing}` first, which fails with the same error"
    missing = _MISSING.match(error)
    if missing is None or baseline.environment is None:
        return ""
    package, versions = missing["module"].partition(".")[0], installed_versions(baseline)
    project = next((name for name, modules in sorted(baseline.environment.modules.items()) if package in modules), "")
    if not project or project not in versions or versions[project] == installed_versions(installation).get(project):
        return ""
    if "." in missing["module"]:
        return f"require a version of {project} that has {missing['module']}, as {project}=={versions[project]} does"
    interpreter = baseline.build.interpreter if baseline.build is not None else "the baseline"
    return f"require {project}, which only another project requires on {interpreter}"


def _command_of(module: StartModule) -> str:
    if not module.is_own:
        return f"{module.name}, which an option of the start command names,"
    if module.is_script:
        file = f"{'' if module.folder == '.' else f'{module.folder}/'}{module.name}.py"
        return f"`python {file}`" if module.is_program else f"{file}, which the server reads at its start,"
    return f"`python -m {module.name}`" if module.is_program else f"{module.name}, with which the service is started,"


def _location_in(detail: str, service: str) -> Location | None:
    """Return the innermost place of the service's own code in a traceback. Its copy is in a folder ``repository``."""
    folder = "/repository/" if service == "." else f"/repository/{service}/"
    for frame in reversed(list(_FRAME.finditer(detail))):
        _, found, path = frame["path"].partition(folder)
        if found:
            return Location(path=path if service == "." else f"{service}/{path}", line=int(frame["line"]))
    return None


def later_import_findings(cell: Cell, facts: Facts, imported_files: Collection[str] = ()) -> Iterator[Finding]:
    """Yield a finding for each such module that can be imported on the baseline only; nothing but on the target.

    :param imported_files: files of the service that its suite has imported here.
    """
    cells = facts.cells(cell.service)
    if cell.is_baseline or cell != cells[-1]:
        return
    failures = facts.later_failures(cell, frozenset(imported_files))
    for module, imported in sorted(failures.items(), key=lambda item: item[0].name):
        yield Finding(
            code="PY408",
            message=f"{module.name}, which the service imports once it runs, cannot be imported on {cell.interpreter}: "
            f"{imported.last_line}",
            remedy=imported.remedy
            or _remedy(imported, facts.installation(cell), facts.installation(cell.baseline_cell)),
            location=_location_in(imported.detail, cell.service.path) or module.imported_at,
            names=(module.name,),
            detail=imported.detail,
        )
