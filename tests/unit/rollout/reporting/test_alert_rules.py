"""Alert rules for the error budgets of a plan."""

from pathlib import Path

import pytest
import yaml

from pytest_py312.rollout.reporting.alert_rules import alert_rules
from tests.unit.rollout.shells import PLAN, Shell, shell_in

BUDGETS = """
load = { rate = 20, path = "/work", budget = "0.2%" }

[[soak.metric]]
name = "errors"
provider = "prometheus"
query = "share"
requests = "count"
budget = "0.1%"
min-requests = 200
success = "value < 0.01"

[[soak.metric]]
name = "orders"
provider = "prometheus"
query = "orders"
success = "value > 0"
"""
STAGES = """
[[stage]]
number = 1
services = ["auth"]

[[stage]]
number = 2
services = ["gateway"]
soak = { interval = "90s" }

[service.gateway]
soak = { load = { rate = 20, path = "/work", budget = "1%" } }
"""


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return shell_in(tmp_path, monkeypatch, plan=PLAN + BUDGETS, stages=STAGES)


def rules(py312: Shell) -> list[dict[str, object]]:
    found: list[dict[str, object]] = yaml.safe_load(py312("export alert-rules"))["groups"][0]["rules"]
    return found


def test_each_budget_has_rules_for_its_services(py312: Shell) -> None:
    fast = [str(rule["expr"]) for rule in rules(py312) if rule["alert"] == "Py312MetricBudgetBurnsFast"]
    contained = [
        [
            word in expression
            for word in ('metric="errors"', 'metric="load errors"', "> 0.0144 ", "> 0.0288 ", "> 0.144 ")
        ]
        for expression in fast
    ]
    assert contained == [
        [True, False, True, False, False],
        [False, True, False, True, False],
        [False, True, False, False, True],
    ]
    assert [word in fast[0] for word in ('service=~"auth|gateway"', ">= 200")] == [True, True]
    assert [word in fast[2] for word in ('service=~"gateway"', ">= 50")] == [True, True]
    assert not any('metric="orders"' in expression for expression in fast), "it has no budget"


def test_ranges_cover_three_samples_of_the_longest_interval(py312: Shell) -> None:
    (nobody,) = [rule for rule in rules(py312) if rule["alert"] == "Py312NotMonitored"]
    assert "> 270)" in str(nobody["expr"])


def test_a_plan_without_budgets_has_the_general_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [rule["alert"] for rule in rules(shell_in(tmp_path, monkeypatch))]
    assert found == [rule.name for rule in alert_rules()]
