"""Read the keys ``deploy``, ``soak``, ``contract`` and ``acceptance`` of the plan into :class:`RolloutSettings`.

They are separate from the rest of the plan (:mod:`.loader` only validates them), so that a run of the checks does not
load what it never uses.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_py312.core.service_patterns import glob_problem
from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.contract_tables import read_contracts
from pytest_py312.repository.plan.environment_tables import read_environments
from pytest_py312.repository.plan.metric_conditions import parse_condition
from pytest_py312.repository.plan.plan_file import PlanFile, read_plan_file
from pytest_py312.repository.plan.plan_node import (
    FieldReaders,
    PlanNode,
    list_of_tables,
    read_table,
    read_values,
    required_member,
)
from pytest_py312.repository.plan.rollout_settings import (
    TARGETS,
    AcceptanceSettings,
    CompareSettings,
    ConfirmSettings,
    DeploySettings,
    MetricSettings,
    RolloutSettings,
    SettingsOverrides,
    SoakSettings,
)
from pytest_py312.repository.plan.rollout_values import (
    choice_reader,
    count_reader,
    duration_or_zero,
    number_reader,
    pattern_reader,
    share,
    url_path,
)
from pytest_py312.repository.plan.target_tables import TARGET_DEFAULTS, check_target_keys, deployment, namespace
from pytest_py312.repository.plan.traffic_tables import read_traffic

PROVIDERS = ("http", "prometheus", "docker", "logs", "python")
"""Values of ``provider`` of a metric; ``rollout/monitoring/probe_plan.py`` has a probe for each of them."""
_PUBLISH = re.compile(r"(?:(?:\d{1,3}\.){3}\d{1,3}:)?(\d{1,5}):(\d{1,5})", re.ASCII)
_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_GRPC = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,120}", re.ASCII)


def load_rollout_settings(path: Path) -> RolloutSettings:
    """Return the rollout settings of the plan file at ``path``.

    :raises PlanError: a setting is invalid; the rest of the file is not validated.
    """
    return read_rollout_settings(read_plan_file(path))


def read_rollout_settings(file: PlanFile) -> RolloutSettings:
    """Return the rollout settings of a plan file that was read already.

    :raises PlanError: as :func:`load_rollout_settings`.
    """
    root = PlanNode(file=file, key=(), value=file.table)
    top = root.members("")
    deploy = read_table(top["deploy"], (*_DEPLOY_READERS, "environments"), "deploy") if "deploy" in top else {}
    soak = read_table(top["soak"], (*_SOAK_READERS, "compare", "metric"), "soak") if "soak" in top else {}
    deploy_values = _deploy_values(deploy)
    check_target_keys(root)
    settings = RolloutSettings(
        deploy=replace(
            DeploySettings(), **{**TARGET_DEFAULTS.get(deploy_values.get("target", ""), {}), **deploy_values}
        ),
        soak=_check_interval(replace(SoakSettings(), **read_values(soak, _SOAK_READERS)), top.get("soak")),
        compare=replace(CompareSettings(), **(_compare_values(soak["compare"]) if "compare" in soak else {})),
        metrics=_metrics(soak["metric"]) if "metric" in soak else (),
        contracts=read_contracts(top["contract"]) if "contract" in top else (),
        acceptance=tuple(_stage_acceptance(top["stage"])) if "stage" in top else (),
        environments=read_environments(deploy["environments"]) if "environments" in deploy else (),
        stages=tuple(_stage_overrides(top["stage"])) if "stage" in top else (),
        services=tuple(_service_overrides(top["service"])) if "service" in top else (),
    )
    for stage, kind, changes in settings.stages:
        if kind == "soak":
            _check_interval(replace(settings.soak, **changes), _stage_node(top["stage"], stage))
    return settings


# ---- values


def _grpc(node: PlanNode) -> str | None:
    """Read ``true`` (the whole server) or the name of a gRPC service."""
    if isinstance(node.value, bool):
        return "" if node.value else None
    return str(pattern_reader(_GRPC, "true or the name of a gRPC service", '"orders.Orders"')(node))


def _confirm_settings(node: PlanNode) -> ConfirmSettings:
    readers: FieldReaders = {
        "probes": count_reader(1, 100, "5"),
        "every": read.duration,
        "bad": count_reader(1, 100, "4"),
    }
    settings = replace(ConfirmSettings(), **read_values(read_table(node, tuple(readers), "confirm"), readers))
    if settings.bad > settings.probes:
        raise node.error(
            f"requires {settings.bad} bad probes of {settings.probes}; write at most as many bad as probes"
        )
    return settings


def _condition(node: PlanNode) -> str:
    text = node.text('"value < 0.01"')
    try:
        parse_condition(text)
    except ValueError as error:
        raise node.error(str(error)) from None
    return text


def _names(node: PlanNode) -> tuple[str, ...]:
    return tuple(read.pattern(item) for item in node.items('["auth-service"]'))


def _image(node: PlanNode) -> str:
    text = node.text('"registry/{service}:{version}"')
    plain = replace(node, value=text.replace("{service}", "service"))
    read.image(plain, template="{version}" in text)
    return text


def _published_ports(node: PlanNode) -> tuple[str, ...]:
    return tuple(_published_port(item) for item in node.items('["127.0.0.1:8080:80"]'))


def _published_port(node: PlanNode) -> str:
    text = node.text('"127.0.0.1:8080:80"')
    match = _PUBLISH.fullmatch(text)
    if not match or not all(1 <= int(port) <= 65535 for port in match.groups()):
        raise node.unexpected("[address:]port:port inside, with ports from 1 to 65535", '"127.0.0.1:8080:80"')
    return text


_SOAK_READERS: FieldReaders = {
    "interval": read.duration,
    "duration": read.duration,
    "initial-delay": duration_or_zero,
    "confirm": _confirm_settings,
    "consecutive-failure-limit": count_reader(1, 10_000, "3"),
    "failure-limit": share,
    "inconclusive-limit": count_reader(1, 10_000, "3"),
    "consecutive-error-limit": count_reader(1, 10_000, "4"),
    "min-requests": count_reader(0, 10**9, "50"),
    "missing": choice_reader("inconclusive", "fail", "pass"),
    "worker-processes": choice_reader("inconclusive", "ignore"),
    "on-severe": choice_reader("rollback", "hold"),
    "non-critical": choice_reader("hold", "rollback"),
    "scope": choice_reader("stage"),
    "control": PlanNode.flag,
    "load": read_traffic,
}
_COMPARE_READERS: FieldReaders = {
    "test": choice_reader("mann-whitney"),
    "confidence": number_reader(0.5, 1, "0.98"),
    "max-ratio": number_reader(1, 100, "1.25"),
    "min-points": count_reader(8, 100_000, "36"),
    "looks": count_reader(1, 100, "2"),
    "align": choice_reader("same-time"),
}
_DEPLOY_READERS: FieldReaders = {
    "ready-timeout": read.duration,
    "readiness-delay": duration_or_zero,
    "monitor": duration_or_zero,
    "drain": duration_or_zero,
    "retain": count_reader(1, 1000, "5"),
    "target": choice_reader(*TARGETS),
    "image": _image,
    "container": pattern_reader(_CONTAINER, "the name of a container", '"user-service"'),
    "port": count_reader(1, 65535, "8080"),
    "health": url_path,
    "grpc-health": _grpc,
    "health-command": lambda node: read.strings(node, '["python", "check.py"]'),
    "version": url_path,
    "network": pattern_reader(_CONTAINER, "the name of a network", '"backend"'),
    "deployment": deployment,
    "namespace": namespace,
    "needs": _names,
    "publish": _published_ports,
    "require-drill": PlanNode.flag,
}
_LIMIT_KEYS = ("consecutive-failure-limit", "failure-limit", "inconclusive-limit", "consecutive-error-limit")
_METRIC_READERS: FieldReaders = {
    "provider": choice_reader(*PROVIDERS),
    "query": lambda node: node.text('"/health"'),
    "requests": lambda node: node.text('"sum(increase(requests_total[{window}]))"'),
    "budget": share,
    "success": _condition,
    "failure": _condition,
    "direction": choice_reader("increase", "decrease", "either"),
    "critical": PlanNode.flag,
    "dry-run": PlanNode.flag,
    "window": read.duration,
    "services": _names,
}
_METRIC_LIMIT_READERS: FieldReaders = {
    key: _SOAK_READERS[key] for key in (*_LIMIT_KEYS, "min-requests", "missing", "confirm")
}


def _deploy_values(members: Mapping[str, PlanNode]) -> dict[str, Any]:
    return read_values(members, _DEPLOY_READERS, {"grpc-health": "grpc"})


def _compare_values(node: PlanNode) -> dict[str, Any]:
    return read_values(read_table(node, tuple(_COMPARE_READERS), "compare"), _COMPARE_READERS)


def _check_interval(soak: SoakSettings, node: PlanNode | None) -> SoakSettings:
    """Return ``soak``; an interval longer than the soak is an error."""
    if node is not None and soak.interval > soak.duration:
        raise node.error(f"has an interval of {soak.interval:g} s, longer than the soak of {soak.duration:g} s")
    return soak


# ---- lists of tables, and what stages and services change


def _metrics(node: PlanNode) -> tuple[MetricSettings, ...]:
    metrics: dict[str, MetricSettings] = {}
    for item in list_of_tables(node, "soak.metric"):
        members = read_table(item, ("name", *_METRIC_READERS, *_METRIC_LIMIT_READERS, "compare"), "metric")
        for key, example in (("name", '"errors"'), ("provider", '"prometheus"')):
            required_member(item, members, key, example)
        name = pattern_reader(_NAME, "the name of a metric", '"errors"')(members["name"])
        if name in metrics:
            raise members["name"].error(f"there is a metric {name} already; metrics have different names")
        if "budget" in members and not ("requests" in members and members["provider"].value == "prometheus"):
            raise members["budget"].error(
                "applies to a share of errors measured by Prometheus, and needs `requests`, a query for their number"
            )
        metrics[name] = MetricSettings(
            name=name,
            limits=tuple(read_values(members, _METRIC_LIMIT_READERS).items()),
            compare=tuple(_compare_values(members["compare"]).items()) if "compare" in members else (),
            **read_values(members, _METRIC_READERS),
        )
    return tuple(metrics.values())


def _acceptance(node: PlanNode) -> tuple[AcceptanceSettings, ...]:
    """Read the tables ``[[stage.acceptance]]`` of one stage: tests that decide about it once it is deployed."""
    tests: dict[str, AcceptanceSettings] = {}
    for item in list_of_tables(node, "stage.acceptance"):
        settings = _acceptance_tests(item)
        if settings.name in tests:
            raise item.error(
                f'there are acceptance tests "{settings.name}" already; give each of a stage a name of its own'
            )
        tests[settings.name] = settings
    return tuple(tests.values())


def _acceptance_tests(item: PlanNode) -> AcceptanceSettings:
    readers: FieldReaders = {
        "name": pattern_reader(_NAME, "a name of letters, digits, dots and dashes", '"end-to-end"'),
        "command": lambda node: read.command(node, '["sh", "tests/smoke.sh"]'),
        "pytest": lambda node: read.relative_path(node, "tests/e2e"),
        "python": lambda node: node.text('".venv/bin/python"'),
        "folder": lambda node: read.relative_path(node, "tests"),
        "timeout": read.duration,
        "environment": read.environment,
    }
    members = read_table(item, tuple(readers), "acceptance")
    required_member(item, members, "name", '"end-to-end"')
    if ("command" in members) == ("pytest" in members):
        present_keys = "both" if "command" in members else "neither"
        raise item.error(
            f'needs either "pytest" (a path, such as "tests/e2e") or "command" (words, such as ["sh", '
            f'"tests/smoke.sh"]); has {present_keys}'
        )
    if "python" in members and "pytest" not in members:
        raise members["python"].error("is the interpreter of pytest; a command names its own program, so remove it")
    return AcceptanceSettings(**read_values(members, readers))


def _overrides_in(item: PlanNode) -> list[tuple[str, SettingsOverrides]]:
    """Read the tables ``deploy`` and ``soak`` of a stage or a service."""
    if not isinstance(item.value, dict):
        return []  # the loader reports it
    members = item.members("a table")
    overrides: list[tuple[str, SettingsOverrides]] = []
    if "deploy" in members:
        deploy = read_table(members["deploy"], tuple(_DEPLOY_READERS), "deploy")
        if "target" in deploy:
            raise deploy["target"].error(
                "applies to the whole plan, because it decides where the lock is kept; write it in [deploy]"
            )
        overrides.append(("deploy", _deploy_values(deploy)))
    if "soak" in members:
        soak = read_table(members["soak"], (*_SOAK_READERS, "compare"), "soak")
        overrides.append(("soak", read_values(soak, _SOAK_READERS)))
        if "compare" in soak:
            overrides.append(("compare", _compare_values(soak["compare"])))
    return overrides


def _stage_overrides(node: PlanNode) -> list[tuple[int, str, SettingsOverrides]]:
    return [(number, kind, changes) for number, item in _numbered_stages(node) for kind, changes in _overrides_in(item)]


def _stage_acceptance(node: PlanNode) -> list[tuple[int, AcceptanceSettings]]:
    return [
        (number, tests)
        for number, item in _numbered_stages(node)
        for key, member in item.members("[[stage]]").items()
        if key == "acceptance"
        for tests in _acceptance(member)
    ]


def _numbered_stages(node: PlanNode) -> list[tuple[int, PlanNode]]:
    """Return the stages by number; the loader reports what is none."""
    if not isinstance(node.value, list):
        return []
    return [
        (number, item)
        for item in node.items("[[stage]]")
        if isinstance(item.value, dict) and isinstance(number := item.value.get("number"), int)
    ]


def _stage_node(node: PlanNode, number: int) -> PlanNode | None:
    return next((item for stage, item in _numbered_stages(node) if stage == number), None)


def _service_overrides(node: PlanNode) -> list[tuple[str, str, SettingsOverrides]]:
    if not isinstance(node.value, dict):
        return []
    return [
        (pattern, kind, changes)
        for pattern, item in node.members('[service."user-service"]').items()
        if not glob_problem(pattern)
        for kind, changes in _overrides_in(item)
    ]
