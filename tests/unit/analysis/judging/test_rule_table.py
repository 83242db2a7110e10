"""The table of hand-written rules: complete, in order, and with messages."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_py312
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


SCANNER = Path(pytest_py312.__file__).parent / "analysis/scanner"


def recorded_rules(trees: list[ast.Module]) -> Iterator[str]:
    """Yield the rule names that the scanner records.

    They are texts for a parameter named ``rule`` of any function, or returned by a function named ``_..._rule``.
    """
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    positions: dict[str, int] = {}
    for function in functions:
        names = [argument.arg for argument in function.args.args if argument.arg != "self"]
        if "rule" in names:
            positions[function.name] = names.index("rule")
        if function.name.endswith("_rule"):
            returns = [node for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
            yield from (text for node in returns if node.value is not None for text in texts_in(node.value))
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in positions and len(node.args) > positions[name]:
                    yield from texts_in(node.args[positions[name]])
                yield from (text for word in node.keywords if word.arg == "rule" for text in texts_in(word.value))
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "rule":
                yield from texts_in(node.value)


def texts_in(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from texts_in(node.body)
        yield from texts_in(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def test_each_rule_that_the_scanner_records_has_a_meaning_and_the_other_way_round() -> None:
    """A match under a name that is in no table would be dropped silently."""
    trees = [ast.parse(path.read_bytes()) for path in sorted(SCANNER.rglob("*.py"))]

    assert set(recorded_rules(trees)) == {*RULES, *NEW_FEATURES}
