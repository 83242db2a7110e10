"""Tables with an entry for each Python are matched where one that is asked for may have none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from tests.unit.analysis.fake_interpreters import facts_of

TABLES = """
import platform, sys
MINORS = {9: "a", 10: "b", 11: "c"}
PAIRS = {(3, 9): 1, (3, 10): 2, (3, 12): 3}
TEXTS: dict[str, int] = {"3.9": 1, "3.10": 2}
OTHERS = {"a": 1}
CHANGED = {9: 1}
CHANGED[12] = 2
TESTED = {9: 1}
def has(minor): return minor in TESTED
"""
LINE = TABLES.count("\n") + 1


def missing_in(expression: str) -> list[str]:
    """Return those of 3.9, 3.10 and 3.12 on which the expression is matched."""
    facts = facts_of(f"{TABLES}\nresult = {expression}\n")
    matches = [match for match in facts.rule_matches if match.rule == "version-table" and match.line > LINE - 1]
    conditions = [facts.guards[match.guard].condition for match in matches]
    versions = [Interpreter.parse(name) for name in ("3.9", "3.10", "3.12")]
    return [str(on) for on in versions for condition in conditions if (on.major, on.minor) in condition[2]]


@pytest.mark.parametrize(
    ("expression", "missing"),
    [
        ("MINORS[sys.version_info.minor]", ["3.12"]),
        ("MINORS[sys.version_info[1]]", ["3.12"]),
        ("PAIRS[sys.version_info[:2]]", []),
        ("PAIRS[sys.version_info[0], sys.version_info[1]]", []),
        ("TEXTS['%d.%d' % sys.version_info[:2]]", ["3.12"]),
        ("TEXTS[f'{sys.version_info.major}.{sys.version_info.minor}']", ["3.12"]),
        ("{9: 1, 12: 2}[sys.version_info.minor]", ["3.10"]),
        ("MINORS.get(sys.version_info.minor)", []),
        ("OTHERS[sys.platform]", []),
        ("OTHERS[sys.version_info.minor]", []),
        ("CHANGED[sys.version_info.minor]", []),
        ("TESTED[sys.version_info.minor]", []),
        ("TEXTS[f'{sys.version_info.minor:>5}']", []),
        ("UNKNOWN[sys.version_info.minor]", []),
    ],
)
def test_a_table_without_an_entry_for_a_version(expression: str, missing: list[str]) -> None:
    assert missing_in(expression) == missing


def test_a_lookup_whose_failure_is_expected() -> None:
    text = f"{TABLES}\ntry:\n    x = MINORS[sys.version_info.minor]\nexcept KeyError:\n    x = ''\n"
    assert [match for match in facts_of(text).rule_matches if match.rule == "version-table"] == []


@given(st.lists(st.sampled_from(["MINORS", "[", "]", "{", "}", ":", "9", ",", "(", ")", "sys.version_info", ".minor"])))
def test_no_expression_makes_it_fail(parts: list[str]) -> None:
    assert facts_of(f"{TABLES}\nx = {' '.join(parts)}\n").path
