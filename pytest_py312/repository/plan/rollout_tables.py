"""The keys ``deploy`` and ``soak`` of the plan, of its stages and services -> RolloutSettings.

The rest of the plan is read without them (:mod:`.loader` only has them checked), so that a run of the checks does not
carry what it never uses.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_py312.core.errors import perhaps
from pytest_py312.core.service_patterns import glob_problem
from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.contract_tables import contracts_in
from pytest_py312.repository.plan.metric_conditions import parse_condition
from pytest_py312.repository.plan.plan_file import PlanFile, read_plan_file
from pytest_py312.repository.plan.rollout_settings import (
    KUBERNETES,
    Changes,
    CompareSettings,
    Confirm,
    DeploySettings,
    EnvironmentSettings,
    MetricSettings,
    RolloutSettings,
    SoakSettings,
    TrafficSettings,
)
from pytest_py312.repository.plan.target_tables import DEFAULTS, check_target, deployment, engines, namespace
from pytest_py312.repository.plan.values import Node, Reader, Readers, table, values

PROVIDERS = ("http", "prometheus", "docker", "logs", "python")
_PUBLISH = re.compile(r"(?:(?:\d{1,3}\.){3}\d{1,3}:)?\d{1,5}:\d{1,5}", re.ASCII)
_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_GRPC = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,120}", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%", re.ASCII)


def load_rollout(path: Path) -> RolloutSettings:
    """The settings of a rollout in the plan file at ``path``.

    :raises PlanError: something about them cannot be used; what else is in the file is not looked at.
    """
    return rollout_in(read_plan_file(path))


def rollout_in(file: PlanFile) -> RolloutSettings:
    """The same of a file that was read already.

    :raises PlanError: as :func:`load_rollout`.
    """
    root = Node(file=file, key=(), value=file.table)
    top = root.members("")
    deploy = table(top["deploy"], (*_DEPLOY, "environments"), "deploy") if "deploy" in top else {}
    soak = table(top["soak"], (*_SOAK, "compare", "metric"), "soak") if "soak" in top else {}
    given = values(deploy, _DEPLOY)
    check_target(root)
    made = RolloutSettings(
        deploy=replace(DeploySettings(), **{**DEFAULTS.get(given.get("target", ""), {}), **given}),
        soak=_checked(replace(SoakSettings(), **values(soak, _SOAK)), top.get("soak")),
        compare=replace(CompareSettings(), **(_compare(soak["compare"]) if "compare" in soak else {})),
        metrics=_metrics(soak["metric"]) if "metric" in soak else (),
        contracts=contracts_in(top["contract"]) if "contract" in top else (),
        environments=_environments(deploy["environments"]) if "environments" in deploy else (),
        stages=tuple(_of_stages(top["stage"])) if "stage" in top else (),
        services=tuple(_of_services(top["service"])) if "service" in top else (),
    )
    for stage, kind, changes in made.stages:
        if kind == "soak":
            _checked(replace(made.soak, **changes), _stage_node(top["stage"], stage))
    return made


# ---- values


def _share(node: Node) -> float:
    """``"2%"`` or ``0.02``."""
    value = node.value
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match:
        value = float(match[1]) / 100
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise node.unexpected("a share", '"2%" or 0.02')
    if not 0 <= value <= 1:
        raise node.error(f'expected a share from 0 to 1 ("100%"); found {read.described(node.value)}')
    return float(value)


def _count(least: int, most: int, example: str) -> Reader:
    return lambda node: node.integer(least=least, most=most, example=example)


def _choice(*words: str) -> Reader:
    return lambda node: read.choice(node, words)


def _delay(node: Node) -> float:
    """A time that may be nothing."""
    return 0.0 if node.value in (0, "0s", "0") and not isinstance(node.value, bool) else read.duration(node)


def _number(low: float, high: float, example: str) -> Reader:
    def reader(node: Node) -> float:
        value = node.value
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise node.unexpected("a number", example)
        if not low < value < high:
            raise node.error(f"expected a number between {low:g} and {high:g}; found {value}")
        return float(value)

    return reader


def _matching(pattern: re.Pattern[str], what: str, example: str) -> Reader:
    def reader(node: Node) -> str:
        text = node.text(example)
        if not pattern.fullmatch(text):
            raise node.unexpected(what, example)
        return text

    return reader


def _path(node: Node) -> str:
    text = node.text('"/health"')
    if not text.startswith("/") or any(character.isspace() for character in text):
        raise node.unexpected("a path of the service, from its /", '"/health"')
    return text


def _url(node: Node) -> str:
    text = node.text('"http://prometheus:9090"')
    if not text.startswith(("http://", "https://")) or any(character.isspace() for character in text):
        raise node.unexpected("an address of HTTP", '"http://prometheus:9090"')
    return text


def _grpc(node: Node) -> str | None:
    """``true`` is the whole server, a name one of its services."""
    if isinstance(node.value, bool):
        return "" if node.value else None
    return str(_matching(_GRPC, "true or the name of a gRPC service", '"orders.Orders"')(node))


def _argv(node: Node) -> tuple[str, ...]:
    return read.strings(node, '["tell-us", "--urgent"]')


def _confirm(node: Node) -> Confirm:
    readers: Readers = {
        "probes": ("probes", _count(1, 100, "5")),
        "every": ("every", read.duration),
        "bad": ("bad", _count(1, 100, "4")),
    }
    found = replace(Confirm(), **values(table(node, tuple(readers), "confirm"), readers))
    if found.bad > found.probes:
        raise node.error(f"asks for {found.bad} bad ones of {found.probes} probes")
    return found


def _load(node: Node) -> TrafficSettings:
    readers: Readers = {
        "rate": ("rate", _number(0, 5000, "20")),
        "path": ("path", _path),
        "seconds": ("seconds", read.duration),
        "p95": ("p95", read.duration),
        "errors": ("errors", _share),
        "budget": ("budget", _share),
    }
    members = table(node, tuple(readers), "load")
    if "rate" not in members:
        raise node.error('has no "rate", how many requests a second are to be made; add one, such as rate = 20')
    return replace(TrafficSettings(), **values(members, readers))


def _condition(node: Node) -> str:
    text = node.text('"value < 0.01"')
    try:
        parse_condition(text)
    except ValueError as error:
        raise node.error(str(error)) from None
    return text


def _names(node: Node) -> tuple[str, ...]:
    return tuple(read.pattern(item) for item in node.items('["auth-service"]'))


def _image(node: Node) -> str:
    text = node.text('"registry/{service}:{version}"')
    plain = replace(node, value=text.replace("{service}", "service"))
    read.image(plain, template="{version}" in text)
    return text


def _published(node: Node) -> tuple[str, ...]:
    one = _matching(_PUBLISH, "[address:]port:port inside", '"127.0.0.1:8080:80"')
    return tuple(one(item) for item in node.items('["127.0.0.1:8080:80"]'))


_SOAK: Readers = {
    "interval": ("interval", read.duration),
    "duration": ("duration", read.duration),
    "initial-delay": ("initial_delay", _delay),
    "confirm": ("confirm", _confirm),
    "consecutive-failure-limit": ("consecutive_failure_limit", _count(1, 10_000, "3")),
    "failure-limit": ("failure_limit", _share),
    "inconclusive-limit": ("inconclusive_limit", _count(1, 10_000, "3")),
    "consecutive-error-limit": ("consecutive_error_limit", _count(1, 10_000, "4")),
    "min-requests": ("min_requests", _count(0, 10**9, "50")),
    "missing": ("missing", _choice("inconclusive", "fail", "pass")),
    "on-severe": ("on_severe", _choice("rollback", "hold")),
    "non-critical": ("non_critical", _choice("hold", "rollback")),
    "scope": ("scope", _choice("stage")),
    "twin": ("twin", Node.flag),
    "load": ("load", _load),
}
_COMPARE: Readers = {
    "test": ("test", _choice("mann-whitney")),
    "confidence": ("confidence", _number(0.5, 1, "0.98")),
    "max-ratio": ("max_ratio", _number(1, 100, "1.25")),
    "min-points": ("min_points", _count(8, 100_000, "36")),
    "looks": ("looks", _count(1, 100, "2")),
    "align": ("align", _choice("same-time")),
}
_DEPLOY: Readers = {
    "ready-timeout": ("ready_timeout", read.duration),
    "readiness-delay": ("readiness_delay", _delay),
    "monitor": ("monitor", _delay),
    "drain": ("drain", _delay),
    "retain": ("retain", _count(1, 1000, "5")),
    "target": ("target", _choice("docker", "swarm", KUBERNETES)),
    "image": ("image", _image),
    "container": ("container", _matching(_CONTAINER, "the name of a container", '"user-service"')),
    "port": ("port", _count(1, 65535, "8080")),
    "health": ("health", _path),
    "grpc-health": ("grpc", _grpc),
    "health-command": ("health_command", lambda node: read.strings(node, '["python", "check.py"]')),
    "version": ("version", _path),
    "network": ("network", _matching(_CONTAINER, "the name of a network", '"backend"')),
    "deployment": ("deployment", deployment),
    "namespace": ("namespace", namespace),
    "needs": ("needs", _names),
    "publish": ("publish", _published),
    "require-drill": ("require_drill", Node.flag),
}
_LIMITS = ("consecutive-failure-limit", "failure-limit", "inconclusive-limit", "consecutive-error-limit")
_METRIC: Readers = {
    "provider": ("provider", _choice(*PROVIDERS)),
    "query": ("query", lambda node: node.text('"/health"')),
    "requests": ("requests", lambda node: node.text('"sum(increase(requests_total[{window}]))"')),
    "budget": ("budget", _share),
    "success": ("success", _condition),
    "failure": ("failure", _condition),
    "direction": ("direction", _choice("increase", "decrease", "either")),
    "critical": ("critical", Node.flag),
    "dry-run": ("dry_run", Node.flag),
    "window": ("window", read.duration),
    "services": ("services", _names),
}
_METRIC_LIMITS: Readers = {key: _SOAK[key] for key in (*_LIMITS, "min-requests", "missing", "confirm")}


def _compare(node: Node) -> dict[str, Any]:
    return values(table(node, tuple(_COMPARE), "compare"), _COMPARE)


def _checked(soak: SoakSettings, node: Node | None) -> SoakSettings:
    """Settings that make sense together."""
    if node is not None and soak.interval > soak.duration:
        raise node.error(f"has an interval of {soak.interval:g} s in a soak of {soak.duration:g} s: no sample fits in")
    return soak


# ---- lists of tables, and what stages and services change


def _metrics(node: Node) -> tuple[MetricSettings, ...]:
    if isinstance(node.value, dict):
        raise node.error("expected a list of tables; write [[soak.metric]], with two brackets, above each")
    found: dict[str, MetricSettings] = {}
    for item in node.items("[[soak.metric]]"):
        members = table(item, ("name", *_METRIC, *_METRIC_LIMITS, "compare"), "metric")
        for key, example in (("name", '"errors"'), ("provider", '"prometheus"')):
            if key not in members:
                raise item.error(f'has no "{key}"; add one, such as {key} = {example}')
        name = _matching(_NAME, "the name of a metric", '"errors"')(members["name"])
        if name in found:
            raise members["name"].error(f"there is a metric {name} already; metrics have different names")
        if "budget" in members and not ("requests" in members and members["provider"].value == "prometheus"):
            raise members["budget"].error(
                "is of a share of errors that a Prometheus tells, and needs `requests`, a query for how many there were"
            )
        found[name] = MetricSettings(
            name=name,
            limits=tuple(values(members, _METRIC_LIMITS).items()),
            compare=tuple(_compare(members["compare"]).items()) if "compare" in members else (),
            **values(members, _METRIC),
        )
    return tuple(found.values())


def _environments(node: Node) -> tuple[EnvironmentSettings, ...]:
    readers: Readers = {
        "after": ("after", lambda node: read.strings(node, '["test"]')),
        "same-place-as": ("same_place_as", lambda node: read.strings(node, '["test"]')),
        "engine": ("engine", lambda node: node.text('"ssh://deploy@host"')),
        "engines": ("engines", engines),
        "context": ("context", lambda node: node.text('"staging"')),
        "namespace": ("namespace", namespace),
        "prometheus": ("prometheus", _url),
        "textfile": ("textfile", lambda node: node.text('"/var/lib/node_exporter/py312.prom"')),
        "webhooks": ("webhooks", lambda node: tuple(_url(item) for item in node.items('["https://chat/hook"]'))),
        "notify": ("notify", lambda node: tuple(_argv(item) for item in node.items('[["tell-us", "--urgent"]]'))),
        "drill": ("drill", Node.flag),
    }
    found = []
    tables = node.members('prod = { after = ["test"] }')
    for name, item in tables.items():
        if not _NAME.fullmatch(name):
            raise item.error("is no name of an environment (letters, digits, _, - and .)")
        made = EnvironmentSettings(name=name, **values(table(item, tuple(readers), "an environment"), readers))
        for told, others in (("comes after", made.after), ("is in the same place as", made.same_place_as)):
            for one in others:
                if one not in tables or one == name:
                    raise item.error(f'{told} "{one}", which is no other environment{perhaps(one, [*tables])}')
        found.append(made)
    return tuple(found)


def _changes(item: Node) -> list[tuple[str, Changes]]:
    """What the tables ``deploy`` and ``soak`` in a stage or a service change."""
    if not isinstance(item.value, dict):
        return []  # said by whoever reads the rest of it
    members = item.members("a table")
    found: list[tuple[str, Changes]] = []
    if "deploy" in members:
        deploy = table(members["deploy"], tuple(_DEPLOY), "deploy")
        if "target" in deploy:
            raise deploy["target"].error("holds for the whole plan, whose lock lies with it; write it in [deploy]")
        found.append(("deploy", values(deploy, _DEPLOY)))
    if "soak" in members:
        soak = table(members["soak"], (*_SOAK, "compare"), "soak")
        found.append(("soak", values(soak, _SOAK)))
        if "compare" in soak:
            found.append(("compare", _compare(soak["compare"])))
    return found


def _of_stages(node: Node) -> list[tuple[int, str, Changes]]:
    if not isinstance(node.value, list):
        return []
    return [
        (number, kind, changes)
        for item in node.items("[[stage]]")
        if isinstance(item.value, dict) and isinstance(number := item.value.get("number"), int)
        for kind, changes in _changes(item)
    ]


def _stage_node(node: Node, number: int) -> Node | None:
    found = (item for item in node.items("[[stage]]") if isinstance(item.value, dict))
    return next((item for item in found if item.value.get("number") == number), None)  # type: ignore[attr-defined]  # a dict, by the line above


def _of_services(node: Node) -> list[tuple[str, str, Changes]]:
    if not isinstance(node.value, dict):
        return []
    return [
        (pattern, kind, changes)
        for pattern, item in node.members('[service."user-service"]').items()
        if not glob_problem(pattern)
        for kind, changes in _changes(item)
    ]
