"""PY117: can what a service is started with be imported?"""

import re
from collections.abc import Iterator, Mapping

from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.core.model.fleet import Cell, StartModule
from pytest_py312.dependencies.installation.findings import how_imported

_IMPORT_ERRORS = re.compile(
    r"(?:ModuleNotFoundError|ImportError|SyntaxError|IndentationError|TabError|NameError)\b"
    r"|AttributeError: (?:partially initialized )?module '"
)
"""The code itself cannot be imported. Other errors come from what it finds: no database, no variable."""
_FRAME = re.compile(r'File "(?P<path>[^"]+)", line (?P<line>\d{1,7})')


def start_findings(cell: Cell, imports: Mapping[str, str], baseline: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each module that the service is started with and that cannot be imported.

    :param imports: module -> the end of its traceback, empty if it imports; ``baseline`` is the same there.
    """
    for module in cell.service.start_modules:
        detail = imports.get(module.name, "")
        if not detail:
            continue
        is_new = not cell.is_baseline and baseline.get(module.name) == ""
        last_line = (detail.strip().splitlines() or [""])[-1]
        yield Finding(
            code="PY117",
            message=f"{_command_of(module)} cannot be imported on {cell.interpreter}: {last_line}{how_imported(cell)}",
            severity=Severity.ERROR if is_new else Severity.NOTE,
            remedy=""
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
        detail, earlier = imports.get(module.name, ""), baseline.get(module.name, "")
        last_line = (detail.strip().splitlines() or [""])[-1]
        if detail and earlier and _IMPORT_ERRORS.match(last_line):
            return (
                f"{_command_of(module)} cannot be imported: {last_line} (also fails on {cell.service.baseline}), and "
                "the service is started with it, so nothing proves that it starts. Install what it needs, as the "
                "service's image does"
            )
    return ""


def _command_of(module: StartModule) -> str:
    return f"`python -m {module.name}`" if module.is_program else f"{module.name}, with which the service is started,"


def _location_in(detail: str, service: str) -> Location | None:
    """Return the innermost place of the service's own code in a traceback. Its copy is in a folder ``repository``."""
    folder = "/repository/" if service == "." else f"/repository/{service}/"
    for frame in reversed(list(_FRAME.finditer(detail))):
        _, found, path = frame["path"].partition(folder)
        if found:
            return Location(path=path if service == "." else f"{service}/{path}", line=int(frame["line"]))
    return None
