"""Read ``deploy.environments`` of the plan into :class:`EnvironmentSettings`."""

import re
from collections.abc import Mapping, Sequence

from pytest_py312.core.errors import did_you_mean
from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings
from pytest_py312.repository.plan.target_tables import engines, namespace
from pytest_py312.repository.plan.values import FieldReaders, PlanNode, read_table, read_values

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)


def read_environments(node: PlanNode) -> tuple[EnvironmentSettings, ...]:
    """Read the environments, in the order of the plan."""
    readers: FieldReaders = {
        "after": ("after", lambda node: read.strings(node, '["test"]')),
        "shares-target-with": ("shares_target_with", lambda node: read.strings(node, '["test"]')),
        "engine": ("engine", lambda node: node.text('"ssh://deploy@host"')),
        "engines": ("engines", engines),
        "context": ("context", lambda node: node.text('"staging"')),
        "namespace": ("namespace", namespace),
        "prometheus": ("prometheus", _url),
        "textfile": ("textfile", lambda node: node.text('"/var/lib/node_exporter/py312.prom"')),
        "webhooks": ("webhooks", lambda node: tuple(_url(item) for item in node.items('["https://chat/hook"]'))),
        "notify": ("notify", lambda node: tuple(_argv(item) for item in node.items('[["tell-us", "--urgent"]]'))),
        "drill": ("drill", PlanNode.flag),
    }
    environments = []
    tables = node.members('prod = { after = ["test"] }')
    for name, item in tables.items():
        if not _NAME.fullmatch(name):
            raise item.error("is no valid name of an environment (letters, digits, _, - and .)")
        environment = EnvironmentSettings(
            name=name, **read_values(read_table(item, tuple(readers), "an environment"), readers)
        )
        for relation, other_names in (
            ("comes after", environment.after),
            ("shares its target with", environment.shares_target_with),
        ):
            for other_name in other_names:
                if other_name not in tables or other_name == name:
                    raise item.error(
                        f'{relation} "{other_name}", which is no other environment{did_you_mean(other_name, [*tables])}'
                    )
        environments.append(environment)
    _check_shared_targets(environments, tables)
    return tuple(environments)


def _check_shared_targets(environments: Sequence[EnvironmentSettings], tables: Mapping[str, PlanNode]) -> None:
    """Refuse two environments at one address, unless one of them says that this is meant."""
    for index, environment in enumerate(environments):
        address = (environment.engine.rstrip("/"), environment.context, environment.namespace)
        for other in environments[:index]:
            is_same = address == (other.engine.rstrip("/"), other.context, other.namespace) and any(address)
            is_meant = other.name in environment.shares_target_with or environment.name in other.shares_target_with
            if is_same and not is_meant:
                raise tables[environment.name].error(
                    f'has the same address as "{other.name}", so that each would deploy over the other; correct one of '
                    f'them, or write shares-target-with = ["{other.name}"] if this is meant'
                )


def _url(node: PlanNode) -> str:
    text = node.text('"http://prometheus:9090"')
    if not text.startswith(("http://", "https://")) or any(character.isspace() for character in text):
        raise node.unexpected("an address of HTTP", '"http://prometheus:9090"')
    return text


def _argv(node: PlanNode) -> tuple[str, ...]:
    return read.strings(node, '["tell-us", "--urgent"]')
