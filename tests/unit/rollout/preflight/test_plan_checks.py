"""The doctor looks whether acceptance tests can be started."""

from pathlib import Path

import pytest

from pytest_py312.repository.plan.rollout_settings import AcceptanceSettings, RolloutSettings
from pytest_py312.rollout.preflight.health_rows import HealthStatus, all_required_ok
from pytest_py312.rollout.preflight.plan_checks import acceptance_rows
from tests.unit.rollout.fake_suites import command_result

PYTEST = AcceptanceSettings(name="e2e", pytest="tests/e2e", python=".venv/bin/python")


def rows_of(root: Path, *tests: AcceptanceSettings) -> list[tuple[HealthStatus, str]]:
    rows = acceptance_rows(RolloutSettings(acceptance=tuple((1, each) for each in tests)), root, 1)
    assert all_required_ok(rows) == all(row.health is HealthStatus.OK for row in rows)
    assert all(bool(row.remedy) == (row.health is HealthStatus.PROBLEM) for row in rows)
    return [(row.health, row.detail) for row in rows]


def test_other_stages_do_not_matter(tmp_path: Path) -> None:
    settings = RolloutSettings(acceptance=((1, AcceptanceSettings(name="a", command=("no-such-command",))),))
    assert acceptance_rows(settings, tmp_path, 2) == []
    assert len(acceptance_rows(settings, tmp_path, None)) == 1


def test_pytest_has_to_be_installed_for_its_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        command_result(()),
        command_result((), reason="NOT_STARTED", output="python could not be started"),
    ]
    commands = []

    def run(argv: tuple[str, ...], **limits: object) -> object:
        commands.append(argv)
        return results.pop(0)

    monkeypatch.setattr("pytest_py312.core.process.run", run)
    assert rows_of(tmp_path, PYTEST, PYTEST) == [
        (HealthStatus.OK, "pytest tests/e2e"),
        (HealthStatus.PROBLEM, "python could not be started"),
    ]
    assert commands == [(f"{tmp_path}/.venv/bin/python", "-c", "import pytest")] * 2


def test_the_program_of_a_command_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    script = tmp_path / "tests" / "smoke.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    commands = [("sh", "smoke.sh"), ("./smoke.sh",), ("no-such-command",), ("./no-such-script",)]
    tests = [AcceptanceSettings(name="a", command=command, folder="tests") for command in commands]
    assert rows_of(tmp_path, *tests) == [
        (HealthStatus.OK, "sh smoke.sh"),
        (HealthStatus.OK, "./smoke.sh"),
        (HealthStatus.PROBLEM, "there is no program no-such-command"),
        (HealthStatus.PROBLEM, "there is no program ./no-such-script"),
    ]
