"""Read the key ``acceptance`` of a stage: end-to-end tests that decide about the deployed stage."""

import re

from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.rollout_settings import AcceptanceSettings
from pytest_py312.repository.plan.rollout_values import pattern_reader
from pytest_py312.repository.plan.values import FieldReaders, PlanNode, read_table, read_values

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)


def read_acceptance(node: PlanNode) -> tuple[AcceptanceSettings, ...]:
    """Read the tables ``[[stage.acceptance]]`` of one stage.

    :raises PlanError: one of them is invalid, or two have one name.
    """
    if isinstance(node.value, dict):
        raise node.error("expected a list of tables; write [[stage.acceptance]], with two brackets, above each")
    tests: dict[str, AcceptanceSettings] = {}
    for item in node.items("[[stage.acceptance]]"):
        settings = _acceptance_tests(item)
        if settings.name in tests:
            raise item.error(
                f'there are acceptance tests "{settings.name}" already; give each of a stage a name of its own'
            )
        tests[settings.name] = settings
    return tuple(tests.values())


def _acceptance_tests(item: PlanNode) -> AcceptanceSettings:
    readers: FieldReaders = {
        "name": ("name", pattern_reader(_NAME, "a name of letters, digits, dots and dashes", '"end-to-end"')),
        "command": ("command", lambda node: read.command(node, '["sh", "tests/smoke.sh"]')),
        "pytest": ("pytest", lambda node: read.relative_path(node, "tests/e2e")),
        "python": ("python", lambda node: node.text('".venv/bin/python"')),
        "folder": ("folder", lambda node: read.relative_path(node, "tests")),
        "timeout": ("timeout", read.duration),
        "environment": ("environment", read.environment),
    }
    members = read_table(item, tuple(readers), "acceptance")
    if "name" not in members:
        raise item.error('has no "name"; add one, such as name = "end-to-end"')
    if ("command" in members) == ("pytest" in members):
        present_keys = "both" if "command" in members else "neither"
        raise item.error(
            f'needs either "pytest" (a path, such as "tests/e2e") or "command" (words, such as ["sh", '
            f'"tests/smoke.sh"]); has {present_keys}'
        )
    if "python" in members and "pytest" not in members:
        raise members["python"].error("is the interpreter of pytest; a command names its own program, so remove it")
    return AcceptanceSettings(**read_values(members, readers))
