"""The plan against the fleet that was found: what only the two together can tell."""

import posixpath
from collections.abc import Sequence

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage
from pytest_py312.core.service_patterns import Lookup, matches, suggestion, tidy
from pytest_py312.repository.formats.toml import KeyPath
from pytest_py312.repository.plan.plan_file import PlanFile, key_text, read_plan_file

_UPWARD_FIELDS = {
    "requirements": "requirements",
    "test-requirements": "test_requirements",
    "python-path": "python_path",
}
"""Keys whose paths are relative to the service and may have ``..`` -> the fields of ServiceSettings."""


def settings_for(plan: Plan, name: str, path: str) -> ServiceSettings:
    """What the plan says of the service ``name`` at ``path``: its last ``[service."..."]`` that fits, or the defaults.

    Two tables that fit are not joined: the one further down in the plan holds, over the defaults.
    """
    for pattern, settings in reversed(plan.overrides):
        if matches(pattern, name, path):
            return settings
    return plan.defaults


def check_against_fleet(plan: Plan, services: Sequence[tuple[str, str]]) -> None:
    """Hold the plan against the services (name, path) of the fleet.

    :raises PlanError: a stage, a ``[service."..."]`` or a waiver fits no service, a service is in two stages, or a
        path of a service leads out of the fleet's root.
    """
    lookup = Lookup(services)
    _check_stages(plan, services, lookup)
    for pattern, _ in plan.overrides:
        if not lookup.of(pattern):
            raise _fault(plan, ("service", pattern), f"fits no service{suggestion(pattern, services)}")
    for index, waiver in enumerate(plan.waivers):
        if not lookup.of(waiver.service):
            raise _fault(
                plan,
                ("waiver", index, "service"),
                f'"{waiver.service}" fits no service{suggestion(waiver.service, services)}',
                expected=waiver.service,
            )
    _check_paths(plan, services)


def _check_stages(plan: Plan, services: Sequence[tuple[str, str]], lookup: Lookup) -> None:
    taken: dict[tuple[str, str], tuple[Stage, int]] = {}
    for stage in plan.stages:
        for index, pattern in enumerate(stage.services):
            found = lookup.of(pattern)
            if not found:
                key, expected = _stage_key(plan, stage, index)
                raise _fault(
                    plan, key, f'"{pattern}" fits no service{suggestion(pattern, services)}', expected=expected
                )
            for service in found:
                earlier, at = taken.setdefault(service, (stage, index))
                if earlier is not stage:
                    raise _in_two_stages(plan, service[0], (earlier, at), (stage, index))


def _in_two_stages(plan: Plan, name: str, one: tuple[Stage, int], other: tuple[Stage, int]) -> PlanError:
    places = []
    for stage, index in (one, other):
        key, expected = _stage_key(plan, stage, index)
        where = _fault(plan, key, "", expected=expected).where
        places.append(f'stage {stage.number} ("{stage.services[index]}", {where})')
    key, expected = _stage_key(plan, *other)
    return _fault(plan, key, f'"{name}" is in two stages, {places[0]} and {places[1]}; leave it in one', expected)


def _stage_key(plan: Plan, stage: Stage, index: int) -> tuple[KeyPath, str]:
    """Where a pattern of ``stage`` stands in the file, which need not have its stages sorted."""
    position = plan.stages.index(stage)
    file = _reread(plan)
    tables = file.table.get("stage") if file else None
    for at, table in enumerate(tables if isinstance(tables, list) else ()):
        if isinstance(table, dict) and table.get("number") == stage.number:
            position = at
    return ("stage", position, "services", index), stage.services[index]


def _check_paths(plan: Plan, services: Sequence[tuple[str, str]]) -> None:
    for name, path in services:
        settings = settings_for(plan, name, path)
        for key, field in _UPWARD_FIELDS.items():
            for index, item in enumerate(getattr(settings, field) or ()):
                target = posixpath.normpath(posixpath.join(path, item))
                if target == ".." or target.startswith("../"):
                    table = _table_with(plan, name, path, key)
                    message = f'"{item}" of the service at {path} leads out of the folder of the plan'
                    raise _fault(plan, (*table, key, index), message, expected=item)


def _table_with(plan: Plan, name: str, path: str, key: str) -> KeyPath:
    """The table that ``key`` of a service comes from."""
    file = _reread(plan)
    for pattern, _ in reversed(plan.overrides):
        if matches(pattern, name, path):
            if file and key in file.table.get("service", {}).get(pattern, {}):
                return ("service", pattern)
            break
    return ("defaults",)


def _fault(plan: Plan, key: KeyPath, message: str, expected: str | None = None) -> PlanError:
    """A mistake at ``key``, with its line if ``expected`` still stands there (``None``: whatever stands there)."""
    file = _reread(plan)
    if file and _stands(file, key, expected):
        return file.error(key, message)
    return PlanError(where=plan.source or "the plan", key=key_text(key), message=message)


def _reread(plan: Plan) -> PlanFile | None:
    """The plan's file once more, for lines, which the Plan does not carry. Only on the way to an error."""
    if not plan.source:
        return None
    try:
        return read_plan_file(plan.root / plan.source)
    except PlanError:
        return None  # it was readable when the Plan was made; the mistake is told without its line


def _stands(file: PlanFile, key: KeyPath, expected: str | None) -> bool:
    found = file.value(key)
    return found is not None and (expected is None or (isinstance(found, str) and tidy(found) == expected))
