"""The key ``benchmark`` of a service in the plan."""

from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.plan import BenchmarkSettings
from pytest_py312.repository.plan.loader import load_plan


def read(tmp_path: Path, text: str) -> BenchmarkSettings:
    path = tmp_path / "py312.toml"
    path.write_text(f"[defaults]\nbenchmark = {text}\n", encoding="utf-8")
    return load_plan(path, today=date(2026, 1, 1)).defaults.benchmark


def test_everything_can_be_set(tmp_path: Path) -> None:
    text = (
        '{ threshold = 0.2, thresholds = { "tests/*" = 0.3 }, budget = "5m", unlike-builds = true, '
        "accept-inconclusive = true }"
    )
    assert read(tmp_path, text) == BenchmarkSettings(
        threshold=0.2, thresholds=(("tests/*", 0.3),), budget=300.0, unlike_builds=True, accept_inconclusive=True
    )


def test_what_is_not_set_has_its_default(tmp_path: Path) -> None:
    assert read(tmp_path, "{}") == BenchmarkSettings()
    assert read(tmp_path, "{ threshold = 1 }") == BenchmarkSettings(threshold=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ threshold = 15 }", r"for 15 % write 0\.15"),
        ("{ threshold = 0 }", "more than 0"),
        ('{ threshold = "10 %" }', "expected a share"),
        ("{ treshold = 0.1 }", 'perhaps you meant "threshold"'),
        ("{ unlike_builds = true }", 'perhaps you meant "unlike-builds"'),
        ("{ budget = 0 }", "more than 0 seconds"),
        ("0.1", "expected a table"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        read(tmp_path, text)
