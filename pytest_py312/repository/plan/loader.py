"""Load the plan: ``py312.toml`` or ``[tool.pytest-py312]`` -> :class:`~pytest_py312.core.model.plan.Plan`.

Every mistake is a :class:`~pytest_py312.core.errors.PlanError` with file, line and key. The keys are described in
``docs/reference/plan.md``. The settings of the rollout are only validated here (:mod:`.rollout_tables` reads them).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pytest_py312.core.errors import did_you_mean
from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.plan import (
    RESOLVERS,
    BenchmarkSettings,
    Plan,
    ServiceSettings,
    Stage,
    StageDates,
    Suite,
    SuiteKind,
    Waiver,
)
from pytest_py312.core.service_patterns import glob_problem
from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.plan_file import PlanFile, plan_file_in, read_plan_file
from pytest_py312.repository.plan.plan_node import FieldReaders, PlanNode, list_of_tables, read_values, required_member

_T = TypeVar("_T")
TOP_KEYS = (
    "target", "interpreters", "services", "exclude", "runner", "isolation", "resolver", "image", "images", "engines",
    "shared-folder", "fetch-interpreters", "reruns", "exclude-newer", "lock-hours", "build-limit", "build-network",
    "stage", "defaults", "service", "waiver", "deploy", "soak", "contract",
)  # fmt: skip
STAGE_KEYS = ("number", "name", "services", "critical", "dates", "deploy", "soak", "acceptance")
_STAGE_DATES_KEYS = ("start", "end")
WAIVER_KEYS = ("service", "code", "test", "reason", "owner", "until")
_SUITE_KEYS = ("suite", "junit", "reason")


def relative_change(node: PlanNode) -> float:
    """Read a relative change: more than 0, at most 10."""
    value = node.number("a share", "0.1 (10 %)")
    if not 0 < value <= 10:
        raise node.error(f"expected a share of more than 0 and at most 10; found {value}{read.percent_hint(value)}")
    return float(value)


_BENCHMARK_READERS: FieldReaders = {
    "threshold": relative_change,
    "thresholds": lambda node: tuple(
        (pattern, relative_change(member))
        for pattern, member in node.members('{ "tests/test_speed.py::*" = 0.2 }').items()
    ),
    "budget": read.duration,
    "unlike-builds": PlanNode.flag,
    "accept-inconclusive": PlanNode.flag,
}


def benchmark_settings(node: PlanNode) -> BenchmarkSettings:
    """Read the table ``benchmark`` of a service; keys that are missing have their defaults."""
    members = node.members("{ threshold = 0.2 }")
    for name, member in members.items():
        if name not in _BENCHMARK_READERS:
            hint = did_you_mean(name.replace("_", "-"), list(_BENCHMARK_READERS))
            raise member.error(f"`benchmark` has no such key{hint}; its keys are {', '.join(_BENCHMARK_READERS)}")
    return BenchmarkSettings(**read_values(members, _BENCHMARK_READERS))


_SERVICE_READERS: FieldReaders = {
    "baseline": read.interpreter,
    "requirements": lambda node: read.relative_paths(node, "requirements.txt", allow_parent=True),
    "test-requirements": lambda node: read.relative_paths(node, "requirements-test.txt", allow_parent=True),
    "install": read.install_commands,
    "test-install": read.install_commands,
    "python-path": lambda node: read.relative_paths(node, "src", allow_parent=True),
    "prepare": read.commands,
    "needs": lambda node: read.relative_paths(node, "libs/common"),
    "time-limit": read.duration,
    "memory-limit": read.memory,
    "suite-share": read.share,
    "network": PlanNode.flag,
    "benchmark": benchmark_settings,
    "owner": read.one_or_more_names,
}
"""The keys of a service; ``environment`` and those of the suite are read apart."""

_DEFAULTS_KEYS = (*_SERVICE_READERS, "environment", *_SUITE_KEYS)
SERVICE_KEYS = (*_DEFAULTS_KEYS, "deploy", "soak")
"""The keys of ``[service."..."]``. ``[defaults]`` has all but the last two, whose defaults are tables at the top."""

_CHECK_CODE = re.compile(r"[A-Z]{2,12}[0-9]{3,4}", re.ASCII)
_OLDEST_DEFAULT = Interpreter(3, 9)


def find_plan(start: Path, stop: Path | None = None) -> Path | None:
    """Return the plan file in ``start`` or the nearest folder above it; ``None`` if there is none.

    The search ends at a folder that contains ``.git``, and at ``stop``. A ``pyproject.toml`` without
    ``[tool.pytest-py312]`` does not count.

    :raises PlanError: one folder has two plans, or a ``pyproject.toml`` that mentions a plan is not valid TOML.
    """
    start = start.resolve()
    stop = stop.resolve() if stop else None
    for folder in (start, *start.parents):
        if plan_path := plan_file_in(folder):
            return plan_path
        outside = stop is not None and not folder.is_relative_to(stop)
        if folder == stop or outside or (folder / ".git").exists():
            return None
    return None


def default_plan(root: Path) -> Plan:
    """Return the plan that applies to the fleet at ``root`` if no file has one."""
    return Plan(root=root.resolve())


def _has_rollout_settings(table: Mapping[str, Any]) -> bool:
    """Return whether the plan has settings for deploying or monitoring, at the top or in a stage or service."""
    stages, services = table.get("stage"), table.get("service")
    if "contract" in table:
        return True
    nested_tables = [
        *(stages if isinstance(stages, list) else ()),
        *(services.values() if isinstance(services, Mapping) else ()),
    ]
    return any(
        key in candidate_table
        for candidate_table in (table, *nested_tables)
        if isinstance(candidate_table, Mapping)
        for key in ("deploy", "soak", "acceptance")
    )


def load_plan(path: Path, *, today: date) -> Plan:
    """Load the plan file at ``path``; its folder is the fleet's root. Waivers that ended before ``today`` are errors.

    :raises PlanError: something in the file is invalid.
    """
    return plan_of(read_plan_file(path), path.parent, today=today)


def plan_of(file: PlanFile, root: Path, *, today: date) -> Plan:
    """As :func:`load_plan`, from a file that was read; ``root`` is the fleet's root."""
    has_rollout = _has_rollout_settings(file.table)
    if has_rollout:
        from pytest_py312.repository.plan.rollout_tables import read_rollout_settings  # slow, and not needed by checks

        read_rollout_settings(file)  # reports mistakes now, not when a stage is deployed
    top = _read_known_members(PlanNode(file=file, key=(), value=file.table), TOP_KEYS, "", "the plan")
    base = default_plan(root)
    target = _read_or_default(top, "target", read.interpreter, base.target)
    defaults = _read_or_default(top, "defaults", _defaults, base.defaults)
    readers: FieldReaders = {
        "services": read.patterns,
        "exclude": read.patterns,
        "stage": _stages,
        "service": lambda node: _overrides(node, defaults),
        "waiver": lambda node: tuple(_waiver(item, today) for item in list_of_tables(node, "waiver")),
        "fetch-interpreters": PlanNode.flag,
        "runner": lambda node: read.choice(node, ("auto", "local", "docker")),
        "isolation": lambda node: read.choice(node, ("cell", "interpreter")),
        "images": _images,
        "image": lambda node: read.image(node, template=True),
        "engines": read.engine_addresses,
        "shared-folder": read.absolute_folder,
        "reruns": lambda node: node.integer(minimum=0, maximum=100, example="2"),
        "exclude-newer": read.utc_timestamp,
        "lock-hours": read.hours,
        "build-limit": read.duration,
        "resolver": lambda node: read.choice(node, RESOLVERS),
        "build-network": PlanNode.flag,
    }
    return replace(
        base,
        source=file.name,
        target=target,
        interpreters=_interpreters(top, target),
        defaults=defaults,
        has_rollout=has_rollout,
        **read_values(top, readers, {"stage": "stages", "service": "overrides", "waiver": "waivers"}),
    )


def _read_or_default(members: Mapping[str, PlanNode], key: str, reader: Callable[[PlanNode], _T], default: _T) -> _T:
    return reader(members[key]) if key in members else default


def _read_known_members(node: PlanNode, allowed_keys: Sequence[str], example: str, title: str) -> dict[str, PlanNode]:
    """Return the members of a table; an unknown key is an error."""
    members = node.members(example)
    for name, member in members.items():
        if name not in allowed_keys:
            raise member.error(
                f"{title} has no such key{_key_hint(name, allowed_keys)}; its keys are {', '.join(allowed_keys)}"
            )
    return members


def _key_hint(name: str, allowed_keys: Sequence[str]) -> str:
    """Suggest what an unknown key was meant to be, or where it belongs."""
    if name in SERVICE_KEYS:
        return ' (it belongs into [defaults] or [service."..."])'
    if name in TOP_KEYS:
        return " (it belongs to the top, above the first table)"
    if name in STAGE_KEYS:
        return " (it belongs into [[stage]])"
    return did_you_mean(name.replace("_", "-"), list(allowed_keys))


def _interpreters(top: Mapping[str, PlanNode], target: Interpreter) -> tuple[Interpreter, ...]:
    if "interpreters" not in top:
        minors = range(min(_OLDEST_DEFAULT.minor, target.minor), target.minor + 1)
        return tuple(Interpreter(target.major, minor) for minor in minors)
    interpreters = read.interpreters(top["interpreters"])
    if target not in interpreters:
        raise top["interpreters"].error(f'does not contain the target, "{target}"; add it, or change "target"')
    return interpreters


def _images(node: PlanNode) -> tuple[tuple[Interpreter, str], ...]:
    images = []
    for name, member in node.members('"3.12" = "registry/python:3.12-bookworm"').items():
        if isinstance(member.value, dict):
            raise member.error('write the version in quotes, such as "3.12" = "registry/python:3.12-bookworm"')
        if name in TOP_KEYS:
            raise member.error(f"[images] has versions as its keys{_key_hint(name, ())}")
        version = read.interpreter(replace(member, value=name))
        images.append((version, read.image(member, template=False)))
    return tuple(sorted(images))


def _stages(node: PlanNode) -> tuple[Stage, ...]:
    """Read the stages, sorted by number."""
    stages: dict[int, Stage] = {}
    for item in list_of_tables(node, "stage"):
        keys = _read_known_members(item, STAGE_KEYS, "[[stage]]", "[[stage]]")
        number_node = required_member(item, keys, "number", "1")
        number = number_node.integer(minimum=1, maximum=9999, example="1")
        if number in stages:
            raise number_node.error(f"there is a stage {number} already; stages have different numbers")
        stages[number] = Stage(
            number=number,
            name=_read_or_default(keys, "name", lambda name: name.text('"Core"'), ""),
            services=read.patterns(required_member(item, keys, "services", '["api-gateway"]')),
            critical=_read_or_default(keys, "critical", PlanNode.flag, False),
            dates=_read_or_default(keys, "dates", _stage_dates, ()),
        )
    return tuple(stages[number] for number in sorted(stages))


def _stage_dates(node: PlanNode) -> tuple[StageDates, ...]:
    """Read the planned dates of a stage, by environment."""
    example = "test = { start = 2027-01-11, end = 2027-01-15 }"
    environments = _declared_environments(node.file.table)
    dates = []
    for name, item in node.members(example).items():
        if environments and name not in environments:
            raise item.error(
                f"the plan has no environment {name}{did_you_mean(name, environments)}; "
                f"[deploy.environments] has {', '.join(environments)}"
            )
        keys = _read_known_members(item, _STAGE_DATES_KEYS, example, f"the dates in {name}")
        start = _read_or_default(keys, "start", read.calendar_date, None)
        end = _read_or_default(keys, "end", read.calendar_date, None)
        if start and end and end < start:
            raise keys["end"].error(f"is before the start, {start.isoformat()}")
        dates.append(StageDates(environment=name, start=start, end=end))
    return tuple(dates)


def _declared_environments(table: Mapping[str, Any]) -> list[str]:
    deploy = table.get("deploy")
    environments = deploy.get("environments") if isinstance(deploy, Mapping) else None
    return list(environments) if isinstance(environments, Mapping) else []


def _overrides(node: PlanNode, defaults: ServiceSettings) -> tuple[tuple[str, ServiceSettings], ...]:
    if isinstance(node.value, list):
        raise node.error('expected a table; write [service."user-service"], with the name and one bracket')
    overrides = []
    for pattern, item in node.members('[service."user-service"]').items():
        if problem := glob_problem(pattern):
            raise item.error(f"the name, path or glob of the service {problem}")
        if not isinstance(item.value, dict):
            raise item.error(f'expected a table; write [service."user-service"] above "{pattern}"')
        overrides.append((pattern, _service_settings(item, defaults, "a service")))
    return tuple(overrides)


def _defaults(node: PlanNode) -> ServiceSettings:
    return _service_settings(node, ServiceSettings(), "[defaults]", _DEFAULTS_KEYS)


def _service_settings(
    node: PlanNode, base: ServiceSettings, title: str, allowed_keys: tuple[str, ...] = SERVICE_KEYS
) -> ServiceSettings:
    """Apply a table of service keys on top of ``base``; ``environment`` is merged variable by variable."""
    keys = _read_known_members(node, allowed_keys, "[defaults]", title)
    overridden = read_values(keys, _SERVICE_READERS) | _suite_settings(keys)
    for key, other in (("requirements", "install"), ("test-requirements", "test-install")):
        if key in keys and other in keys:
            raise keys[other].error(f"`{key}` beside it says the same in another way; leave one of the two")
        if key in keys or other in keys:  # of the defaults, the other one does not apply then
            overridden.setdefault((other if key in keys else key).replace("-", "_"), None)
    if "environment" in keys:
        overridden["environment"] = tuple(
            {**dict(base.environment), **dict(read.environment(keys["environment"]))}.items()
        )
    return replace(base, **overridden)


def _suite_settings(keys: Mapping[str, PlanNode]) -> dict[str, Any]:
    """Read ``suite``, ``junit`` and ``reason``, which belong together and have to be in one table."""
    if "suite" not in keys:
        for key in ("junit", "reason"):
            if key in keys:
                raise keys[key].error('has no "suite" beside it in this table; the two belong together')
        return {}
    node = keys["suite"]
    if node.value is False:
        if "reason" not in keys:
            raise node.error(
                'suite = false needs a "reason" beside it, such as reason = "covered by the end-to-end run"'
            )
        if "junit" in keys:
            raise keys["junit"].error("a suite that is not run writes no JUnit file; remove it")
        return {"suite": None, "suite_skip_reason": keys["reason"].text('"covered by the end-to-end run"')}
    if not isinstance(node.value, list):
        raise node.unexpected("a list of words, or false", '["pytest", "-q", "tests"]')
    if "reason" in keys:
        raise keys["reason"].error("a reason belongs to suite = false only; remove one of the two")
    return {"suite": _suite_command(node, keys.get("junit")), "suite_skip_reason": ""}


def _suite_command(node: PlanNode, junit: PlanNode | None) -> Suite:
    program, *arguments = read.command(node, '["pytest", "-q", "tests"]')
    if program in (SuiteKind.PYTEST.value, SuiteKind.UNITTEST.value):
        if junit:
            raise junit.error(f"{program} needs no JUnit file of yours, its results are read as they come; remove it")
        return Suite(kind=SuiteKind(program), arguments=tuple(arguments))
    if not junit:
        hint = ""
        if arguments[:2] in (["-m", "pytest"], ["-m", "unittest"]):
            hint = f'; to run {arguments[1]}, begin with "{arguments[1]}" and leave out "{program} -m"'
        raise node.error(
            'a command of your own needs "junit" beside it, the JUnit file that it writes, '
            f'such as junit = "report.xml"{hint}'
        )
    path = read.relative_path(junit, "report.xml")
    return Suite(kind=SuiteKind.COMMAND, arguments=(program, *arguments), junit=path)


def _waiver(item: PlanNode, today: date) -> Waiver:
    keys = _read_known_members(item, WAIVER_KEYS, "[[waiver]]", "[[waiver]]")
    if ("code" in keys) == ("test" in keys):
        present_keys = "both" if "code" in keys else "neither"
        raise item.error(
            f'needs one of "code" (such as "PY401") and "test" (such as "tests/test_x.py::*"); has {present_keys}'
        )
    code = _read_or_default(keys, "code", lambda node: node.text('"PY401"'), "")
    if code and not _CHECK_CODE.fullmatch(code):
        raise keys["code"].unexpected("the code of a check", '"PY401"')
    return Waiver(
        service=read.pattern(required_member(item, keys, "service", '"user-service"')),
        reason=required_member(item, keys, "reason", '"fixed in the next release"').text('"fixed in the next release"'),
        owner=required_member(item, keys, "owner", '"payments team"').text('"payments team"'),
        until=read.end_date(required_member(item, keys, "until", "2027-01-31"), today),
        code=code,
        test=_read_or_default(keys, "test", lambda node: node.text('"tests/test_x.py::test_y"'), ""),
        location=Location(path=item.file.name, line=item.file.line(item.key)),
    )
