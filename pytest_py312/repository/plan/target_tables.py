"""Keys of the plan that only apply to some targets (Docker, Swarm, Kubernetes), and their validation."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_py312.repository.plan.plan_node import PlanNode
from pytest_py312.repository.plan.rollout_settings import KUBERNETES
from pytest_py312.repository.plan.rollout_values import pattern_reader

CLUSTER_DEPLOY_KEYS = frozenset({"deployment", "namespace"})
ENGINE_DEPLOY_KEYS = frozenset({"monitor", "drain", "network", "publish", "grpc-health", "health-command"})
"""Keys of ``deploy`` that mean nothing to Kubernetes."""
CLUSTER_ENVIRONMENT_KEYS = frozenset({"context", "namespace"})
ENGINE_ENVIRONMENT_KEYS = frozenset({"engine", "engines"})

_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)

TARGET_DEFAULTS: Mapping[str, Mapping[str, Any]] = {KUBERNETES: {"ready_timeout": 600.0}}
"""Target -> defaults of :class:`~pytest_py312.repository.plan.rollout_settings.DeploySettings` that differ there.

Kubernetes replaces pods one by one, and they may wait for a node; its own default for a rollout is ten minutes.
"""


deployment = pattern_reader(_SUBDOMAIN, "the name of a Deployment", '"user-service"')
namespace = pattern_reader(_DNS_LABEL, "the name of a namespace", '"shop"')


def engines(node: PlanNode) -> tuple[tuple[str, str], ...]:
    """Read pairs of (swarm node, address of its engine)."""
    example = '{ worker-1 = "tcp://10.0.0.12:2376" }'
    return tuple((name, item.text('"tcp://10.0.0.12:2376"')) for name, item in node.members(example).items())


def check_target_keys(root: PlanNode) -> None:
    """Refuse keys that mean nothing to the plan's target.

    :param root: the whole plan.
    :raises PlanError: there is such a key.
    """
    top = root.members("")
    target = _target_in(top)
    is_cluster = target == KUBERNETES
    meaningless_keys, meaningless_environment_keys = (
        (ENGINE_DEPLOY_KEYS, ENGINE_ENVIRONMENT_KEYS) if is_cluster else (CLUSTER_DEPLOY_KEYS, CLUSTER_ENVIRONMENT_KEYS)
    )  # fmt: skip
    for table in _deploy_tables(top):
        _refuse_keys(table, meaningless_keys, target)
    environments = _table_members(top["deploy"]).get("environments") if "deploy" in top else None
    for table in _table_members(environments).values() if environments else ():
        _refuse_keys(table, meaningless_environment_keys, target)


def _target_in(top: Mapping[str, PlanNode]) -> str:
    target_node = _table_members(top["deploy"]).get("target") if "deploy" in top else None
    return str(target_node.value) if target_node else "docker"


def _refuse_keys(table: PlanNode, meaningless_keys: frozenset[str], target: str) -> None:
    for key, member in _table_members(table).items():
        if key.replace("_", "-") in meaningless_keys:
            raise member.error(f'means nothing where the target is "{target}"; remove it')


def _deploy_tables(top: Mapping[str, PlanNode]) -> Iterator[PlanNode]:
    """Yield every table ``deploy``: at the top, of stages, of services."""
    if "deploy" in top:
        yield top["deploy"]
    stages = top["stage"].items("[[stage]]") if "stage" in top and isinstance(top["stage"].value, list) else ()
    services = _table_members(top["service"]).values() if "service" in top else ()
    for parent in (*stages, *services):
        deploy = _table_members(parent).get("deploy")
        if deploy is not None:
            yield deploy


def _table_members(node: PlanNode) -> Mapping[str, PlanNode]:
    """Return the members of a table; none for another value, which its own reader reports."""
    return node.members("a table") if isinstance(node.value, dict) else {}
