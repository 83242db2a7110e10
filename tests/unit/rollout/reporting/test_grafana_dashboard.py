"""The dashboard and the alert rules use only exported metrics."""

import json
import re

import yaml

from pytest_py312.rollout.reporting.alert_rules import alert_rules, format_rules
from pytest_py312.rollout.reporting.grafana_dashboard import build_dashboard
from pytest_py312.rollout.reporting.prometheus_metrics import exported_names


def expressions() -> list[str]:
    return [target["expr"] for panel in build_dashboard()["panels"] for target in panel["targets"]]


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\bpy312_\w+", text))


def test_each_metric_of_the_dashboard_is_exported() -> None:
    assert set().union(*map(named_in, expressions())) <= exported_names()
    assert all(map(named_in, expressions()))


def test_each_metric_of_the_rules_is_exported() -> None:
    assert set().union(*(named_in(rule.expression) for rule in alert_rules())) <= exported_names()


def test_its_data_source_is_a_variable_everywhere() -> None:
    """So that it can be imported into any Grafana."""
    document = build_dashboard()
    assert document["schemaVersion"] >= 39
    sources = [one for one in document["templating"]["list"] if one["type"] == "datasource"]
    assert [one["name"] for one in sources] == ["datasource"]
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    assert all(panel["datasource"] == wanted for panel in document["panels"])
    assert all(target["datasource"] == wanted for panel in document["panels"] for target in panel["targets"])
    assert json.loads(json.dumps(document)) == document


def test_panels_have_unique_numbers_and_do_not_overlap() -> None:
    panels = build_dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    covered = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(covered) == len(set(covered))
    assert max(x for x, _ in covered) < 24


def test_the_rules_are_valid_yaml() -> None:
    read = yaml.safe_load(format_rules(alert_rules()))
    assert [rule["alert"] for rule in read["groups"][0]["rules"]] == [rule.name for rule in alert_rules()]


def test_ranges_cover_at_least_three_samples() -> None:
    text = format_rules(alert_rules(interval=3600.0))
    assert {int(span) for span in re.findall(r'"failed"\}\[(\d+)m\]', text)} == {60, 180, 360}
