"""Read ``deploy.environments`` of the plan into :class:`EnvironmentSettings`."""

import re
from collections.abc import Mapping, Sequence

from pytest_py312.core.errors import did_you_mean
from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.plan_node import FieldReaders, PlanNode, read_table, read_values, required_member
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings, MailSettings
from pytest_py312.repository.plan.rollout_values import pattern_reader
from pytest_py312.repository.plan.target_tables import engines, namespace

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)

_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]{0,100}", re.ASCII)
_MAIL_ADDRESS = re.compile(r"[^\s@<>,;:\"]{1,100}@[A-Za-z0-9][A-Za-z0-9.-]{0,200}", re.ASCII)
_MAIL_SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,200}(?::[0-9]{1,5})?", re.ASCII)


def read_environments(node: PlanNode) -> tuple[EnvironmentSettings, ...]:
    """Read the environments, in the order of the plan."""
    readers: FieldReaders = {
        "after": lambda node: read.strings(node, '["test"]'),
        "shares-target-with": lambda node: read.strings(node, '["test"]'),
        "engine": lambda node: node.text('"ssh://deploy@host"'),
        "engines": engines,
        "context": lambda node: node.text('"staging"'),
        "namespace": namespace,
        "prometheus": _url,
        "textfile": lambda node: node.text('"/var/lib/node_exporter/py312.prom"'),
        "webhooks": lambda node: tuple(_url(item) for item in node.items('["https://chat/hook"]')),
        "notify": lambda node: tuple(
            read.strings(item, '["tell-us", "--urgent"]') for item in node.items('[["tell-us", "--urgent"]]')
        ),
        "slack": _hooks,
        "teams": _hooks,
        "mail": _mail,
        "drill": PlanNode.flag,
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


def _hooks(node: PlanNode) -> tuple[str, ...]:
    """Read webhooks: addresses, or ``$NAME`` of variables that have them, as an address of these is a secret."""
    items = node.items('["$PY312_SLACK"]')
    return tuple(item.text("") if _VARIABLE.fullmatch(str(item.value)) else _url(item) for item in items)


def _mail(node: PlanNode) -> MailSettings:
    address = pattern_reader(_MAIL_ADDRESS, "an address of mail", '"team@example.com"')
    readers: FieldReaders = {
        "to": lambda node: tuple(address(item) for item in node.items('["team@example.com"]')),
        "from": address,
        "server": pattern_reader(_MAIL_SERVER, "a host, or a host and a port", '"smtp.example.com:587"'),
        "security": lambda node: read.choice(node, ("starttls", "tls", "none")),
    }
    table = read_table(node, tuple(readers), "`mail`")
    for key, example in (("to", '["team@example.com"]'), ("from", '"py312@example.com"'), ("server", '"smtp:587"')):
        required_member(node, table, key, example)
    return MailSettings(**read_values(table, readers, {"from": "sender"}))
