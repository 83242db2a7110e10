"""The meanings of hand rules: complete, in order, and in words."""

import pytest

from pytest_py312.analysis.judging.rule_table import NEEDED, RULES
from pytest_py312.core.model.findings import Severity


@pytest.mark.parametrize("name", sorted(RULES))
def test_phases_are_in_order_and_grow_worse(name: str) -> None:
    phases = RULES[name].phases

    assert [one.since for one in phases] == sorted({one.since for one in phases})
    assert [one.severity for one in phases] == sorted(
        (one.severity for one in phases), key=lambda one: one.value != "warning"
    )
    assert RULES[name].remedy


@pytest.mark.parametrize("name", sorted(RULES))
def test_what_raises_is_an_error_and_names_what(name: str) -> None:
    for phase in RULES[name].phases:
        assert phase.message.format("x")
        assert bool(phase.raises) <= (phase.severity is Severity.ERROR)
        assert phase.code in ("PY206", "PY207", "PY220", "PY230")


def test_rules_and_needs_are_apart() -> None:
    assert not set(RULES) & set(NEEDED)
    assert all(one.what for one in NEEDED.values())
