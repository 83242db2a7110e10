"""Import what a service is started with, in a cell: build the job for the probe, and parse its records.

Nothing is started: of ``python -m NAME`` only the imports run, of ``uvicorn NAME:app`` the module is imported as the
server does.
"""

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_py312.core.model.fleet import Cell, StartModule
from pytest_py312.core.model.measurements import InterpreterBuild, StartImport
from pytest_py312.runners.placeholders import (
    missing_variables,
    names_placeholder_module,
    placeholder_of,
    variables_without_default,
)
from pytest_py312.runners.runner import ProbeJob, Runner
from pytest_py312.runners.suite_job import folders_read_by, generation_requests, paths_of_service

TIME_LIMIT = 300.0
"""Seconds for all modules of a service."""

MAX_ATTEMPTS = 5
"""How often modules that fail are imported again, each time with placeholders for more variables."""


def start_job(cell: Cell, build: InterpreterBuild, environment: Path, *, root: Path, built: bool) -> ProbeJob:
    """Return the job that imports the modules with which the service of ``cell`` is started.

    ``built``: the service's distribution is installed in the environment.
    """
    service, settings = cell.service, cell.service.settings
    paths = paths_of_service(service, built=built)
    folders = service.recipe.code_folders if service.recipe is not None else ()
    provided = service.recipe.environment if service.recipe is not None else ()
    paths["python_path"] += [posixpath.relpath(folder, service.path) for folder in folders]
    return ProbeJob(
        identifier=f"{cell.identifier}-start",
        build=build,
        environment=environment,
        root=root,
        folders=tuple(dict.fromkeys((*folders_read_by(service), *(folder for folder in folders if folder != ".")))),
        request={
            "kind": "start",
            "generate": generation_requests(service),
            "prepare": [list(argv) for argv in settings.prepare],
            "modules": [
                {"name": module.name, "folder": module.folder, "kind": module.kind} for module in service.start_modules
            ],
            "without_pth": service.runs_without_pth is not None,
            **paths,
        },
        variables=tuple({"PYTHONHASHSEED": "0", **dict(provided), **dict(settings.environment)}.items()),
        time_limit=TIME_LIMIT,
        memory_limit=settings.memory_limit,
        network=settings.network,
    )


def import_start_modules(
    runner: Runner, job: ProbeJob, declared: Mapping[str, str] = MappingProxyType({})
) -> Mapping[str, StartImport]:
    """Run the job; map each module to how its import ended.

    A module that fails is imported once more in a process of its own, with placeholders for the variables that it
    lacks, and again as long as it lacks others. It fails if it does so each time.

    :param declared: values that the repository declares for such variables; they count before others.
    """
    declared = {name: value for name, value in declared.items() if value}
    imports = _import_modules(runner, job)
    plain = {name: imported.detail for name, imported in imports.items()}
    given: dict[str, str] = {}
    for attempt in range(MAX_ATTEMPTS):
        failed = {name for name, imported in imports.items() if imported.detail and not imported.is_unfinished}
        again = [module for module in job.request["modules"] if module["name"] in failed]
        details = [imports[module["name"]].detail for module in again]
        lacking = {
            name: placeholder_of(name, detail)
            for detail in reversed(details)
            for name in (missing_variables(detail, declared) or variables_without_default(detail, job.root, declared))
        }
        new = {name: value for name, value in lacking.items() if name not in given and name not in dict(job.variables)}
        if not again or (attempt > 0 and not new):
            break
        given.update({name: declared.get(name) or value for name, value in new.items()})
        invented = [value for name, value in given.items() if name not in declared]
        request, variables = {**job.request, "modules": again}, (*job.variables, *given.items())
        for name, imported in _import_modules(runner, replace(job, request=request, variables=variables)).items():
            is_kept = given or not imported.is_unfinished  # else it failed, which is known better
            if is_kept and not names_placeholder_module(imported.detail, invented):
                imports[name] = replace(
                    imported,
                    placeholders=tuple(given.items()),
                    declared=frozenset(given.keys() & declared.keys()),
                    without_placeholders=plain.get(name, "") if given else "",
                )
    return imports


def import_in_batches(
    runner: Runner, job: ProbeJob, modules: Sequence[StartModule], *, after: Sequence[str] = (), alone: bool = False
) -> Mapping[tuple[str, str], StartImport]:
    """Import modules one after the other, in one process for each folder; map folder and name to how its import ended.

    :param job: that of :func:`start_job`. What was not tried is missing in the result.
    :param after: modules that are imported first, whether they can be or not: an application configures Django.
    :param alone: whether each module has a process of its own.
    """
    folders: dict[tuple[str, str], list[str]] = {}
    for module in modules:
        folders.setdefault((module.folder, module.name if alone else ""), []).append(module.name)
    batches = [{"folder": folder, "before": list(after), "modules": names} for (folder, _), names in folders.items()]
    request = {**job.request, "modules": [], "batches": batches}
    ends: dict[tuple[str, str], StartImport] = {}
    for record in runner.run(replace(job, identifier=f"{job.identifier}-later", request=request)).records:
        if (end := _end_of_import(record)) is not None:
            ends[str(record.get("folder")), str(record.get("module"))] = end
    return ends


def _import_modules(runner: Runner, job: ProbeJob) -> dict[str, StartImport]:
    """Return how the import of each module ended: also that of one which its process did not reach.

    Of several with one name (``a/main.py``, ``b/main.py``) one that fails counts, then one that did not end.
    """
    ends: dict[str, list[StartImport]] = {}
    for record in runner.run(job).records:
        if (end := _end_of_import(record)) is not None:
            ends.setdefault(str(record.get("module")), []).append(end)
    imports: dict[str, StartImport] = {}
    for name, number in Counter(str(module["name"]) for module in job.request["modules"]).items():
        known = ends.get(name, [])
        if len(known) < number:
            known.append(_unfinished_import("the process that imports it ended early"))
        imports[name] = max(known, key=lambda one: (bool(one.detail) and not one.is_unfinished, one.is_unfinished))
    return imports


def _end_of_import(record: Mapping[str, Any]) -> StartImport | None:
    """Return how an import ended, if that is what a record says."""
    if record.get("event") == "import":
        detail = "" if record.get("ok") is True else str(record.get("detail") or "no reason was reported")
        return StartImport(detail=detail)
    if record.get("event") == "import_unfinished":
        return _unfinished_import(f"it did not end within {record.get('seconds')} seconds")
    return None


def _unfinished_import(reason: str) -> StartImport:
    """Return an import of which it is not known how it ends."""
    return StartImport(detail=reason, is_unfinished=True)
