"""Usage of services on a target that does not report it: a warning once, and the reaction that the plan chooses."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.target_model import Usage
from pytest_py312.rollout.preflight.health_checks import run_health_checks
from pytest_py312.rollout.preflight.health_rows import HealthStatus
from tests.unit.rollout.shells import PLAN, STAGES, InspectableTarget, Shell, shell_in

WITHOUT = "nobody tells"
METRICS = """
[[soak.metric]]
name = "memory"
provider = "docker"
missing = "{}"
success = "value < 1e9"

[[soak.metric]]
name = "cpu"
provider = "docker"
missing = "{}"
"""


@dataclass
class Silent(InspectableTarget):
    """A target that does not report usage."""

    def usage_unavailable_reason(self) -> str:
        return WITHOUT


def silent(root: Path, monkeypatch: pytest.MonkeyPatch, plan: str) -> Shell:
    shell = shell_in(root, monkeypatch, plan=plan)
    serving = shell.target
    shell.target = Silent(containers=serving.containers, images=serving.images, made=serving.made)
    shell.target.usage = Usage(cpu_seconds=None, memory=None, restarts=0, out_of_memory=False, unmeasured=WITHOUT)
    return shell


def results(shell: Shell) -> dict[str, Result]:
    """Return the results of the usage metrics in the first sample of a stage."""
    shell("deploy --stage 1")
    shell.sample_once(code=75)
    shell.seconds += 60.0
    shell.document("sample --stage 1", code=75)
    with closing(Journal(shell.context.state_dir)) as journal:
        (sample,) = journal.samples(shell.run().run, "auth")
    return {one.metric: one.result for one in sample.measurements if one.metric in ("cpu", "memory")}


@pytest.mark.parametrize(
    ("soak", "metric", "expected"),
    [
        ("inconclusive", None, Result.INCONCLUSIVE),
        ("pass", None, Result.SUCCESSFUL),
        ("fail", None, Result.FAILED),
        ("inconclusive", "pass", Result.SUCCESSFUL),
        ("pass", "inconclusive", Result.INCONCLUSIVE),
        ("pass", "fail", Result.FAILED),
    ],
)
def test_what_no_data_means_is_the_plans_to_say_for_the_soak_and_for_each_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soak: str, metric: str | None, expected: Result
) -> None:
    plan = PLAN + f'missing = "{soak}"\n' + (METRICS.format(metric, metric) if metric else "")
    assert results(silent(tmp_path, monkeypatch, plan)) == {"cpu": expected, "memory": expected}


@pytest.mark.parametrize(
    ("missing", "health", "needed", "warnings"),
    [
        ("inconclusive", HealthStatus.UNKNOWN, True, 1),
        ("fail", HealthStatus.PROBLEM, True, 1),
        ("pass", HealthStatus.UNKNOWN, False, 0),
    ],
)
def test_missing_usage_is_reported_once_before_a_deployment_and_by_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, health: HealthStatus, needed: bool, warnings: int
) -> None:
    py312 = silent(tmp_path, monkeypatch, PLAN + f'missing = "{missing}"\n')
    (row,) = [row for row in run_health_checks(py312.context, "test", None) if row.what == "usage"]
    assert (row.health, row.needed) == (health, needed)
    py312("deploy --stage 1")
    assert len([line for line in py312.logged if WITHOUT in line]) == warnings


def test_a_target_that_always_tells_has_no_such_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    py312 = shell_in(tmp_path, monkeypatch, plan=PLAN, stages=STAGES)
    assert not [row for row in run_health_checks(py312.context, "test", None) if row.what == "usage"]
