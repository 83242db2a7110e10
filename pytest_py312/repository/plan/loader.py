"""The plan, read once: ``py312.toml`` or ``[tool.pytest-py312]`` -> :class:`~pytest_py312.core.model.plan.Plan`.

Each mistake in it is a :class:`~pytest_py312.core.errors.PlanError` that names file, line and key. The keys are
described in ``docs/reference/plan.md``.

The key ``benchmark`` of a service in the plan -> :class:`~pytest_py312.core.model.plan.BenchmarkSettings`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pytest_py312.core.errors import perhaps
from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.plan import (
    RESOLVERS,
    BenchmarkSettings,
    Plan,
    ServiceSettings,
    Stage,
    Suite,
    SuiteKind,
    Waiver,
    plan_with,
)
from pytest_py312.core.service_patterns import glob_problem
from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.plan_file import plan_in, read_plan_file
from pytest_py312.repository.plan.values import Node, duration

_T = TypeVar("_T")
TOP_KEYS = (
    "target",
    "interpreters",
    "services",
    "exclude",
    "runner",
    "isolation",
    "resolver",
    "image",
    "images",
    "fetch-interpreters",
    "reruns",
    "exclude-newer",
    "lock-hours",
    "stage",
    "defaults",
    "service",
    "waiver",
    "deploy",
    "soak",
    "contract",
)
STAGE_KEYS = ("number", "name", "services", "critical", "deploy", "soak")
WAIVER_KEYS = ("service", "code", "test", "reason", "owner", "until")
_SUITE_KEYS = ("suite", "junit", "reason")


KEYS = ("threshold", "thresholds", "budget", "unlike-builds", "accept-inconclusive")


def benchmark_settings(node: Node) -> BenchmarkSettings:
    """A table of :data:`KEYS`; what is not in it has its default."""
    members = node.members("{ threshold = 0.2 }")
    for name, member in members.items():
        if name not in KEYS:
            hint = perhaps(name.replace("_", "-"), list(KEYS))
            raise member.error(f"`benchmark` has no such key{hint}; its keys are {', '.join(KEYS)}")
    base = BenchmarkSettings()
    thresholds = members["thresholds"].members('{ "tests/test_speed.py::*" = 0.2 }') if "thresholds" in members else {}
    return BenchmarkSettings(
        threshold=share(members["threshold"]) if "threshold" in members else base.threshold,
        thresholds=tuple((pattern, share(member)) for pattern, member in thresholds.items()),
        budget=duration(members["budget"]) if "budget" in members else base.budget,
        unlike_builds=members["unlike-builds"].flag() if "unlike-builds" in members else base.unlike_builds,
        accept_inconclusive=(
            members["accept-inconclusive"].flag() if "accept-inconclusive" in members else base.accept_inconclusive
        ),
    )


def share(node: Node) -> float:
    """A relative change, more than nothing and at most tenfold."""
    value = node.value
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise node.unexpected("a share", "0.1 (10 %)")
    if not 0 < value <= 10:
        hint = f"; for {value} % write {value / 100}" if 1 < value <= 100 else ""
        raise node.error(f"expected a share of more than 0 and at most 10; found {value}{hint}")
    return float(value)


_SETTINGS: Mapping[str, tuple[str, Callable[[Node], object]]] = {
    "baseline": ("baseline", read.interpreter),
    "requirements": ("requirements", lambda node: read.paths_below(node, "requirements.txt", upward=True)),
    "test-requirements": (
        "test_requirements",
        lambda node: read.paths_below(node, "requirements-test.txt", upward=True),
    ),
    "python-path": ("python_path", lambda node: read.paths_below(node, "src", upward=True)),
    "prepare": ("prepare", read.commands),
    "needs": ("needs", lambda node: read.paths_below(node, "libs/common")),
    "time-limit": ("time_limit", read.duration),
    "memory-limit": ("memory_limit", read.memory),
    "network": ("network", Node.flag),
    "benchmark": ("benchmark", benchmark_settings),
}
"""Key of a service -> the field of ServiceSettings, and how it is read. ``environment`` and the suite's keys differ."""

_DEFAULTS_KEYS = (*_SETTINGS, "environment", *_SUITE_KEYS)
SERVICE_KEYS = (*_DEFAULTS_KEYS, "deploy", "soak")
"""The keys of ``[service."..."]``; ``[defaults]`` has them but for the last two, whose defaults stand at the top."""

_CODE = re.compile(r"[A-Z]{2,12}[0-9]{3,4}", re.ASCII)
_OLDEST_DEFAULT = Interpreter(3, 9)


def find_plan(start: Path, stop: Path | None = None) -> Path | None:
    """The plan file in ``start`` or the nearest folder above it that has one; ``None`` where there is none.

    The search ends at a folder that contains ``.git``, and at ``stop``. ``py312.toml`` holds even where a
    ``pyproject.toml`` without ``[tool.pytest-py312]`` is beside it.

    :raises PlanError: one folder has two plans, or a ``pyproject.toml`` that mentions a plan is not TOML.
    """
    start = start.resolve()
    stop = stop.resolve() if stop else None
    for folder in (start, *start.parents):
        if found := plan_in(folder):
            return found
        outside = stop is not None and not folder.is_relative_to(stop)
        if folder == stop or outside or (folder / ".git").exists():
            return None
    return None


def default_plan(root: Path) -> Plan:
    """What holds for the fleet at ``root`` when there is no plan."""
    return Plan(root=root.resolve())


def _speaks_of_rollouts(table: Mapping[str, Any]) -> bool:
    """Whether a plan says, somewhere, how anything is deployed or watched."""
    stages, services = table.get("stage"), table.get("service")
    if "contract" in table:
        return True
    within = [
        *(stages if isinstance(stages, list) else ()),
        *(services.values() if isinstance(services, Mapping) else ()),
    ]
    return any(key in one for one in (table, *within) if isinstance(one, Mapping) for key in ("deploy", "soak"))


def load_plan(path: Path, *, today: date) -> Plan:
    """Read the plan file at ``path``; its folder is the fleet's root. A waiver that ended before ``today`` is an error.

    :raises PlanError: anything in the file cannot be used as it stands.
    """
    file = read_plan_file(path)
    if _speaks_of_rollouts(file.table):
        from pytest_py312.repository.plan.rollout_tables import rollout_in  # the checks have no use for it

        rollout_in(file)  # so that a mistake in it is told before a stage is about to be deployed
    top = _table(Node(file=file, key=(), value=file.table), TOP_KEYS, "", "the plan")
    base = default_plan(path.parent)
    target = _value(top, "target", read.interpreter, base.target)
    defaults = _value(top, "defaults", _defaults, base.defaults)
    plan = Plan(
        root=base.root,
        source=file.name,
        target=target,
        interpreters=_interpreters(top, target),
        services=_value(top, "services", read.patterns, base.services),
        exclude=_value(top, "exclude", read.patterns, base.exclude),
        stages=_value(top, "stage", _stages, base.stages),
        defaults=defaults,
        overrides=_value(top, "service", lambda node: _overrides(node, defaults), base.overrides),
        waivers=_value(top, "waiver", lambda node: _waivers(node, today), base.waivers),
        fetch_interpreters=_value(top, "fetch-interpreters", Node.flag, base.fetch_interpreters),
        runner=_value(top, "runner", lambda node: read.choice(node, ("auto", "local", "docker")), base.runner),
        isolation=_value(top, "isolation", lambda node: read.choice(node, ("cell", "interpreter")), base.isolation),
        images=_value(top, "images", _images, base.images),
        image=_value(top, "image", lambda node: read.image(node, template=True), base.image),
        reruns=_value(top, "reruns", lambda node: node.integer(least=0, most=100, example="2"), base.reruns),
        exclude_newer=_value(top, "exclude-newer", read.cut_off, base.exclude_newer),
        lock_hours=_value(top, "lock-hours", read.hours, base.lock_hours),
    )
    return plan_with(plan, resolver=_value(top, "resolver", lambda node: read.choice(node, RESOLVERS), ""))


def _value(top: Mapping[str, Node], key: str, reader: Callable[[Node], _T], default: _T) -> _T:
    return reader(top[key]) if key in top else default


def _table(node: Node, known: Sequence[str], example: str, title: str) -> dict[str, Node]:
    """The keys of a table, all of them known."""
    members = node.members(example)
    for name, member in members.items():
        if name not in known:
            raise member.error(f"{title} has no such key{_elsewhere(name, known)}; its keys are {', '.join(known)}")
    return members


def _elsewhere(name: str, known: Sequence[str]) -> str:
    """Where a key that is unknown here belongs, if that can be told."""
    if near := perhaps(name.replace("_", "-"), list(known)):
        return near
    if name in SERVICE_KEYS:
        return ' (it belongs into [defaults] or [service."..."])'
    if name in TOP_KEYS:
        return " (it belongs to the top, above the first table)"
    return ""


def _required(node: Node, members: Mapping[str, Node], key: str, example: str) -> Node:
    if key not in members:
        raise node.error(f'has no "{key}"; add one, such as {key} = {example}')
    return members[key]


def _interpreters(top: Mapping[str, Node], target: Interpreter) -> tuple[Interpreter, ...]:
    if "interpreters" not in top:
        minors = range(min(_OLDEST_DEFAULT.minor, target.minor), target.minor + 1)
        return tuple(Interpreter(target.major, minor) for minor in minors)
    found = read.interpreters(top["interpreters"])
    if target not in found:
        raise top["interpreters"].error(f'does not contain the target, "{target}"; add it, or change "target"')
    return found


def _images(node: Node) -> tuple[tuple[Interpreter, str], ...]:
    found = []
    for name, member in node.members('"3.12" = "registry/python:3.12-bookworm"').items():
        if isinstance(member.value, dict):
            raise member.error('write the version in quotes, such as "3.12" = "registry/python:3.12-bookworm"')
        if name in TOP_KEYS:
            raise member.error(f"[images] has versions as its keys{_elsewhere(name, ())}")
        version = read.interpreter(replace(member, value=name))
        found.append((version, read.image(member, template=False)))
    return tuple(sorted(found))


def _list_of_tables(node: Node, name: str) -> tuple[Node, ...]:
    if isinstance(node.value, dict):
        raise node.error(f"expected a list of tables; write [[{name}]], with two brackets, above each")
    return node.items(f"[[{name}]]")


def _stages(node: Node) -> tuple[Stage, ...]:
    """Sorted by number."""
    found: dict[int, Stage] = {}
    for item in _list_of_tables(node, "stage"):
        keys = _table(item, STAGE_KEYS, "[[stage]]", "[[stage]]")
        number_node = _required(item, keys, "number", "1")
        number = number_node.integer(least=1, most=9999, example="1")
        if number in found:
            raise number_node.error(f"there is a stage {number} already; stages have different numbers")
        found[number] = Stage(
            number=number,
            name=_value(keys, "name", lambda name: name.text('"Core"'), ""),
            services=read.patterns(_required(item, keys, "services", '["api-gateway"]')),
            critical=_value(keys, "critical", Node.flag, False),
        )
    return tuple(found[number] for number in sorted(found))


def _overrides(node: Node, defaults: ServiceSettings) -> tuple[tuple[str, ServiceSettings], ...]:
    if isinstance(node.value, list):
        raise node.error('expected a table; write [service."user-service"], with the name and one bracket')
    found = []
    for pattern, item in node.members('[service."user-service"]').items():
        if problem := glob_problem(pattern):
            raise item.error(f"the name, path or glob of the service {problem}")
        if not isinstance(item.value, dict):
            raise item.error(f'expected a table; write [service."user-service"] above "{pattern}"')
        found.append((pattern, _settings(item, defaults, "a service")))
    return tuple(found)


def _defaults(node: Node) -> ServiceSettings:
    return _settings(node, ServiceSettings(), "[defaults]", _DEFAULTS_KEYS)


def _settings(node: Node, base: ServiceSettings, title: str, known: tuple[str, ...] = SERVICE_KEYS) -> ServiceSettings:
    """A table of service keys laid over ``base``: key by key, and ``environment`` variable by variable."""
    keys = _table(node, known, "[defaults]", title)
    given: dict[str, Any] = {
        field: reader(keys[key]) for key, (field, reader) in _SETTINGS.items() if key in keys
    } | _suite(keys)
    if "environment" in keys:
        given["environment"] = tuple({**dict(base.environment), **dict(read.environment(keys["environment"]))}.items())
    return replace(base, **given)


def _suite(keys: Mapping[str, Node]) -> dict[str, Any]:
    """``suite``, ``junit`` and ``reason`` are one setting and stand in one table."""
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


def _suite_command(node: Node, junit: Node | None) -> Suite:
    first, *others = read.command(node, '["pytest", "-q", "tests"]')
    if first in (SuiteKind.PYTEST.value, SuiteKind.UNITTEST.value):
        if junit:
            raise junit.error(f"{first} needs no JUnit file of yours, its results are read as they come; remove it")
        return Suite(kind=SuiteKind(first), arguments=tuple(others))
    if not junit:
        hint = ""
        if others[:2] in (["-m", "pytest"], ["-m", "unittest"]):
            hint = f'; to run {others[1]}, begin with "{others[1]}" and leave out "{first} -m"'
        raise node.error(
            'a command of your own needs "junit" beside it, the JUnit file that it writes, '
            f'such as junit = "report.xml"{hint}'
        )
    path = read.relative_path(junit, "report.xml")
    return Suite(kind=SuiteKind.COMMAND, arguments=(first, *others), junit=path)


def _waivers(node: Node, today: date) -> tuple[Waiver, ...]:
    return tuple(_waiver(item, today) for item in _list_of_tables(node, "waiver"))


def _waiver(item: Node, today: date) -> Waiver:
    keys = _table(item, WAIVER_KEYS, "[[waiver]]", "[[waiver]]")
    if ("code" in keys) == ("test" in keys):
        found = "both" if "code" in keys else "neither"
        raise item.error(
            f'needs one of "code" (such as "PY401") and "test" (such as "tests/test_x.py::*"); has {found}'
        )
    code = _value(keys, "code", lambda node: node.text('"PY401"'), "")
    if code and not _CODE.fullmatch(code):
        raise keys["code"].unexpected("the code of a check", '"PY401"')
    return Waiver(
        service=read.pattern(_required(item, keys, "service", '"user-service"')),
        reason=_required(item, keys, "reason", '"fixed in the next release"').text('"fixed in the next release"'),
        owner=_required(item, keys, "owner", '"payments team"').text('"payments team"'),
        until=read.end_date(_required(item, keys, "until", "2027-01-31"), today),
        code=code,
        test=_value(keys, "test", lambda node: node.text('"tests/test_x.py::test_y"'), ""),
        location=Location(path=item.file.name, line=item.file.line(item.key)),
    )
