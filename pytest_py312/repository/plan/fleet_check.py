"""Validate the plan against the fleet that was discovered: patterns without a match, duplicates, paths."""

import posixpath
from collections.abc import Sequence

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage
from pytest_py312.core.service_patterns import PatternIndex, matches, normalize_pattern, suggest_service
from pytest_py312.repository.formats.toml import KeyPath
from pytest_py312.repository.plan.plan_file import PlanFile, format_key, read_plan_file

_PARENT_PATH_FIELDS = {
    "requirements": "requirements",
    "test-requirements": "test_requirements",
    "python-path": "python_path",
}
"""Key with paths relative to the service, which may contain ``..`` -> field of ServiceSettings."""


def settings_for(plan: Plan, name: str, path: str) -> ServiceSettings:
    """Return the settings of the service ``name`` at ``path``: the last ``[service."..."]`` that matches, or the
    defaults.

    Matching tables are not merged: the one further down in the plan applies, on top of the defaults.
    """
    for pattern, settings in reversed(plan.overrides):
        if matches(pattern, name, path):
            return settings
    return plan.defaults


def check_against_fleet(plan: Plan, services: Sequence[tuple[str, str]]) -> None:
    """Validate the plan against the services (name, path) of the fleet.

    :raises PlanError: a stage, a ``[service."..."]`` or a waiver matches no service, a service is in two stages, a path
        of a service leaves the fleet's root, or a deployment cannot work.
    """
    lookup = PatternIndex(services)
    _check_stages(plan, services, lookup)
    for pattern, _ in plan.overrides:
        if not lookup.matching_services(pattern):
            raise _plan_error(plan, ("service", pattern), f"fits no service{suggest_service(pattern, services)}")
    for index, waiver in enumerate(plan.waivers):
        if not lookup.matching_services(waiver.service):
            raise _plan_error(
                plan,
                ("waiver", index, "service"),
                f'"{waiver.service}" fits no service{suggest_service(waiver.service, services)}',
                expected=waiver.service,
            )
    _check_paths(plan, services)
    if plan.has_rollout:
        _check_rollout(plan, services)


def _check_rollout(plan: Plan, services: Sequence[tuple[str, str]]) -> None:
    # slow to import, and most plans deploy nothing
    from pytest_py312.repository.plan.deployment_check import check_deployments
    from pytest_py312.repository.plan.rollout_tables import read_rollout_settings

    if file := _reread_plan_file(plan):
        check_deployments(file, plan, read_rollout_settings(file), services)


def _check_stages(plan: Plan, services: Sequence[tuple[str, str]], lookup: PatternIndex) -> None:
    stage_by_service: dict[tuple[str, str], tuple[Stage, int]] = {}
    for stage in plan.stages:
        for index, pattern in enumerate(stage.services):
            matching = lookup.matching_services(pattern)
            if not matching:
                key, expected = _stage_pattern_key(plan, stage, index)
                raise _plan_error(
                    plan, key, f'"{pattern}" fits no service{suggest_service(pattern, services)}', expected=expected
                )
            for service in matching:
                earlier, earlier_index = stage_by_service.setdefault(service, (stage, index))
                if earlier is not stage:
                    raise _two_stages_error(plan, service[0], (earlier, earlier_index), (stage, index))


def _two_stages_error(plan: Plan, name: str, first: tuple[Stage, int], second: tuple[Stage, int]) -> PlanError:
    places = []
    for stage, index in (first, second):
        key, expected = _stage_pattern_key(plan, stage, index)
        where = _plan_error(plan, key, "", expected=expected).where
        places.append(f'stage {stage.number} ("{stage.services[index]}", {where})')
    key, expected = _stage_pattern_key(plan, *second)
    return _plan_error(plan, key, f'"{name}" is in two stages, {places[0]} and {places[1]}; leave it in one', expected)


def _stage_pattern_key(plan: Plan, stage: Stage, index: int) -> tuple[KeyPath, str]:
    """Return the key of a pattern of ``stage`` in the file, whose stages need not be sorted."""
    position = plan.stages.index(stage)
    file = _reread_plan_file(plan)
    tables = file.table.get("stage") if file else None
    for table_index, table in enumerate(tables if isinstance(tables, list) else ()):
        if isinstance(table, dict) and table.get("number") == stage.number:
            position = table_index
    return ("stage", position, "services", index), stage.services[index]


def _check_paths(plan: Plan, services: Sequence[tuple[str, str]]) -> None:
    for name, path in services:
        settings = settings_for(plan, name, path)
        for key, field in _PARENT_PATH_FIELDS.items():
            for index, item in enumerate(getattr(settings, field) or ()):
                target = posixpath.normpath(posixpath.join(path, item))
                if target == ".." or target.startswith("../"):
                    table = _table_defining(plan, name, path, key)
                    message = f'"{item}" of the service at {path} leads out of the folder of the plan'
                    raise _plan_error(plan, (*table, key, index), message, expected=item)


def _table_defining(plan: Plan, name: str, path: str, key: str) -> KeyPath:
    """Return the table that sets ``key`` for a service."""
    file = _reread_plan_file(plan)
    for pattern, _ in reversed(plan.overrides):
        if matches(pattern, name, path):
            if file and key in file.table.get("service", {}).get(pattern, {}):
                return ("service", pattern)
            break
    return ("defaults",)


def _plan_error(plan: Plan, key: KeyPath, message: str, expected: str | None = None) -> PlanError:
    """Return an error at ``key``, with its line if ``expected`` is the value there (``None``: any value)."""
    file = _reread_plan_file(plan)
    if file and _still_holds(file, key, expected):
        return file.error(key, message)
    return PlanError(where=plan.source or "the plan", key=format_key(key), message=message)


def _reread_plan_file(plan: Plan) -> PlanFile | None:
    """Read the plan's file again for what the Plan does not keep: line numbers, and the settings of the rollout."""
    if not plan.source:
        return None
    try:
        return read_plan_file(plan.root / plan.source)
    except PlanError:
        return None  # changed since the Plan was loaded: report the mistake without its line


def _still_holds(file: PlanFile, key: KeyPath, expected: str | None) -> bool:
    value = file.value(key)
    return value is not None and (expected is None or (isinstance(value, str) and normalize_pattern(value) == expected))
