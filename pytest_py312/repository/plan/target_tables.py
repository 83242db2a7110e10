"""Keys of the plan that belong to one target or another; where they would mean nothing they are refused."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_py312.repository.plan.rollout_settings import KUBERNETES
from pytest_py312.repository.plan.values import Node

OF_CLUSTERS = frozenset({"deployment", "namespace"})
OF_ENGINES = frozenset({"monitor", "drain", "network", "publish", "grpc-health", "health-command"})
"""Keys of ``deploy``. Those of an environment:"""
WHERE_CLUSTERS_ARE = frozenset({"context", "namespace"})
WHERE_ENGINES_ARE = frozenset({"engine", "engines"})

_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)

DEFAULTS: Mapping[str, Mapping[str, Any]] = {KUBERNETES: {"ready_timeout": 600.0}}
"""Target -> settings of :class:`~pytest_py312.repository.plan.rollout_settings.DeploySettings` that have other defaults
there.

Pods are replaced in turn and may wait for a node: a cluster itself gives a rollout ten minutes.
"""


def deployment(node: Node) -> str:
    """The name of a Deployment."""
    return _named(node, _SUBDOMAIN, "the name of a Deployment", '"user-service"')


def namespace(node: Node) -> str:
    """The name of a namespace of a cluster."""
    return _named(node, _DNS_LABEL, "the name of a namespace", '"shop"')


def _named(node: Node, pattern: re.Pattern[str], what: str, example: str) -> str:
    text = node.text(example)
    if not pattern.fullmatch(text):
        raise node.unexpected(what, example)
    return text


def engines(node: Node) -> tuple[tuple[str, str], ...]:
    """(node of a swarm, address of its engine)."""
    example = '{ worker-1 = "tcp://10.0.0.12:2376" }'
    return tuple((name, item.text('"tcp://10.0.0.12:2376"')) for name, item in node.members(example).items())


def check_target(root: Node) -> None:
    """
    :param root: the whole plan.
    :raises PlanError: a key means nothing where the plan's target is.
    """
    top = root.members("")
    target = _target_in(top)
    clustered = target == KUBERNETES
    wrong, wrong_there = (
        (OF_ENGINES, WHERE_ENGINES_ARE) if clustered else (OF_CLUSTERS, WHERE_CLUSTERS_ARE)
    )  # fmt: skip
    for table in _tables(top):
        _refuse(table, wrong, target)
    environments = _dicts(top["deploy"]).get("environments") if "deploy" in top else None
    for table in _dicts(environments).values() if environments else ():
        _refuse(table, wrong_there, target)


def _target_in(top: Mapping[str, Node]) -> str:
    said = _dicts(top["deploy"]).get("target") if "deploy" in top else None
    return str(said.value) if said else "docker"


def _refuse(table: Node, wrong: frozenset[str], target: str) -> None:
    for written, member in _dicts(table).items():
        if written.replace("_", "-") in wrong:
            raise member.error(f'means nothing where the target is "{target}"; remove it')


def _tables(top: Mapping[str, Node]) -> Iterator[Node]:
    """Every table ``deploy``: that at the top, of stages, of services."""
    if "deploy" in top:
        yield top["deploy"]
    stages = top["stage"].items("[[stage]]") if "stage" in top and isinstance(top["stage"].value, list) else ()
    services = _dicts(top["service"]).values() if "service" in top else ()
    for one in (*stages, *services):
        deploy = _dicts(one).get("deploy")
        if deploy is not None:
            yield deploy


def _dicts(node: Node) -> Mapping[str, Node]:
    """The members of a table; none where it is no table, which whoever reads it says."""
    return node.members("a table") if isinstance(node.value, dict) else {}
