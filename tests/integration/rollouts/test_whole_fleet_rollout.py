"""One run of pytest for each stage of the example fleet proves, deploys, watches and accepts it, on a real engine.

Two services of each stage, with fixes for what their checks find; ``whole_fleet_rollout.py`` deploys all twenty.
"""

from pathlib import Path

import pytest

from tests.integration.rollouts.example_fleet import example_fleet, example_stages
from tests.integration.rollouts.whole_fleet_rollout import apply_fixes

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]


def test_all_four_stages_are_accepted_in_order(tmp_path: Path, gate_cache: Path) -> None:
    stages = {number: folders[:2] for number, folders in example_stages().items()}
    assert [*stages] == [1, 2, 3, 4]
    with example_fleet(tmp_path, stages, cache=gate_cache, prepare=apply_fixes) as fleet:

        def run(stage: int, *arguments: str, code: int = 0) -> str:
            return fleet.pytest(f"--py312-stage={stage}", f"--py312-deploy={fleet.name}", *arguments, code=code)

        out = run(2, code=1)
        assert f"stage 2 cannot start in {fleet.name}: stage 1 was never deployed there" in out
        assert fleet.serving(2) == {"3.11"}
        ticks = ("--py312-stage=1", f"--py312-deploy={fleet.name}", "--py312-soak-mode=sample-once")
        assert f"pending: stage 1 in {fleet.name} is soaking: 0 s of 3 s credited" in fleet.pytest(*ticks, code=75)
        out = fleet.run_until_done(*ticks)
        for stage in stages:
            if stage > 1:
                out = run(stage)
            assert f"passed: stage {stage} in {fleet.name} is accepted on Python 3.12 (" in out, out
            assert fleet.serving(stage) == {"3.12"}
            if stage < 4:
                assert fleet.serving(stage + 1) == {"3.11"}
        assert fleet.locks() == []
