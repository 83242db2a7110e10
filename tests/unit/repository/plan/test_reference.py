"""docs/reference/plan.md agrees with the reader of the plan."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pytest_py312.repository.plan.loader import SERVICE_KEYS, STAGE_KEYS, TOP_KEYS, WAIVER_KEYS, default_plan, load_plan

REFERENCE = Path(__file__).parents[4] / "docs" / "reference" / "plan.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_reference_is_a_plan(tmp_path: Path, example: str) -> None:
    """Examples can be copied as they are."""
    path = tmp_path / "py312.toml"
    path.write_text(example, encoding="utf-8")
    plan = load_plan(path, today=date(2026, 11, 25))
    assert plan != replace(default_plan(tmp_path), source="py312.toml")


def test_the_reference_has_a_row_for_every_key() -> None:
    """And none for a key that does not exist."""
    rows = re.findall(r"^\| `([a-z-]+)` \|", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted((*TOP_KEYS, *STAGE_KEYS, *SERVICE_KEYS, *WAIVER_KEYS))


def test_the_first_example_has_every_key() -> None:
    """The example with everything has everything, but a waiver of a test."""
    used = set(re.findall(r"^\[*([a-z-]+)", EXAMPLES[0], re.MULTILINE))
    assert used == {*TOP_KEYS, *STAGE_KEYS, *SERVICE_KEYS, *WAIVER_KEYS} - {"test"}
