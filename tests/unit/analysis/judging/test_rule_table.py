"""The table of hand-written rules: complete, in order, and with messages."""

import pytest

from pytest_py312.analysis.judging.rule_table import NEW_FEATURES, RULES
from pytest_py312.core.model.findings import Severity


@pytest.mark.parametrize("name", sorted(RULES))
def test_phases_are_in_order_and_become_more_severe(name: str) -> None:
    phases = RULES[name].phases

    assert [one.since for one in phases] == sorted({one.since for one in phases})
    assert [one.severity for one in phases] == sorted(
        (one.severity for one in phases), key=lambda one: one.value != "warning"
    )
    assert RULES[name].remedy


@pytest.mark.parametrize("name", sorted(RULES))
def test_phases_that_raise_are_errors_and_name_the_exception(name: str) -> None:
    for phase in RULES[name].phases:
        assert phase.message.format("x")
        assert bool(phase.raises) <= (phase.severity is Severity.ERROR)
        assert phase.code in ("PY206", "PY207", "PY220", "PY230")


def test_rules_and_new_features_are_disjoint() -> None:
    assert not set(RULES) & set(NEW_FEATURES)
    assert all(one.description for one in NEW_FEATURES.values())
