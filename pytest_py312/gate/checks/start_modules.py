"""PY117: can what a service is started with be imported?"""

import re
from collections.abc import Iterator, Mapping

from pytest_py312.analysis.libraries.missing_requirements import GENERATED_SUFFIXES
from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.core.model.fleet import Cell, StartModule
from pytest_py312.dependencies.installation.findings import how_imported, without_environment_path
from pytest_py312.dependencies.installation.result import Installation, installed_versions
from pytest_py312.repository.formats.commands.server_options import SERVER_PACKAGES

_IMPORT_ERRORS = re.compile(
    r"(?:ModuleNotFoundError|ImportError|SyntaxError|IndentationError|TabError|NameError)\b"
    r"|AttributeError: (?:partially initialized )?module '"
)
"""The code itself cannot be imported. Other errors come from what it finds: no database, no variable."""
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(?P<module>[\w.]+)'", re.ASCII)
_FRAME = re.compile(r'File "(?P<path>[^"]+)", line (?P<line>\d{1,7})')


def start_findings(
    cell: Cell,
    imports: Mapping[str, str],
    baseline: Mapping[str, str],
    installations: tuple[Installation, Installation],
) -> Iterator[Finding]:
    """Yield a finding for each module that the service is started with and that cannot be imported.

    :param imports: module -> the end of its traceback, empty if it imports; ``baseline`` is the same there.
    :param installations: what is installed here, and on the baseline.
    """
    for module in cell.service.start_modules:
        detail = without_environment_path(imports.get(module.name, ""))
        if not detail or (not module.is_own and (installations[0].imports or {}).get(module.name)):
            continue  # the latter is a PY105
        is_new = not cell.is_baseline and baseline.get(module.name) == ""
        last_line = (detail.strip().splitlines() or [""])[-1]
        yield Finding(
            code="PY117",
            message=f"{_command_of(module)} cannot be imported on {cell.interpreter}: {last_line}{how_imported(cell)}",
            severity=Severity.ERROR if is_new else Severity.NOTE,
            remedy=_remedy(module, last_line, installations[1])
            if is_new
            else "install what it needs as the image does, or set what it reads with `environment` in the plan",
            location=_location_in(detail, cell.service.path),
            names=(module.name,),
            detail=detail,
            preexisting=not is_new and not cell.is_baseline,
        )


def unimportable_on_both(cell: Cell, imports: Mapping[str, str], baseline: Mapping[str, str]) -> str:
    """Return why nothing proves that the service starts: what it is started with cannot be imported on either side.

    Empty if it can, and if it stops because there is no database or variable, as it may anywhere but at home.
    """
    for module in cell.service.start_modules:
        detail, earlier = without_environment_path(imports.get(module.name, "")), baseline.get(module.name, "")
        last_line = (detail.strip().splitlines() or [""])[-1]
        if detail and earlier and _is_broken(module, last_line):
            return (
                f"{_command_of(module)} cannot be imported: {last_line} (also fails on {cell.service.baseline}), and "
                "the service is started with it, so nothing proves that it starts. Install what it needs, as the "
                "service's image does"
            )
    return ""


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


def _remedy(module: StartModule, last_line: str, baseline: Installation) -> str:
    """Return what to require if the installed projects lack a module that those of the baseline have."""
    missing = _MISSING.match(last_line)
    if missing is None or baseline.environment is None:
        return ""
    package, versions = missing["module"].partition(".")[0], installed_versions(baseline)
    project = next((name for name, modules in sorted(baseline.environment.modules.items()) if package in modules), "")
    if not project or project not in versions:
        return ""
    if "." in missing["module"]:
        return f"require a version of {project} that has {missing['module']}, as {project}=={versions[project]} does"
    interpreter = baseline.build.interpreter if baseline.build is not None else "the baseline"
    return f"require {project}, which only another project requires on {interpreter}"


def _command_of(module: StartModule) -> str:
    if not module.is_own:
        return f"{module.name}, which an option of the start command names,"
    if module.is_script:
        return f"`python {'' if module.folder == '.' else f'{module.folder}/'}{module.name}.py`"
    return f"`python -m {module.name}`" if module.is_program else f"{module.name}, with which the service is started,"


def _location_in(detail: str, service: str) -> Location | None:
    """Return the innermost place of the service's own code in a traceback. Its copy is in a folder ``repository``."""
    folder = "/repository/" if service == "." else f"/repository/{service}/"
    for frame in reversed(list(_FRAME.finditer(detail))):
        _, found, path = frame["path"].partition(folder)
        if found:
            return Location(path=path if service == "." else f"{service}/{path}", line=int(frame["line"]))
    return None
