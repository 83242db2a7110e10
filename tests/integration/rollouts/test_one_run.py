"""One run of pytest for each stage of the example fleet: proven, deployed, watched and accepted, on a real engine."""

from pathlib import Path

import pytest

from tests.integration.rollouts.example_fleet import example_fleet, example_stages, name_of

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

CHOSEN = ("auth-service", "message-bus", "health-data-service", "xiaoke-service", "look-service")
"""Of each stage those that have no trouble. The whole fleet is gone through by `example_fleet_whole.py`."""


def test_all_four_stages_are_accepted_in_their_order(tmp_path: Path) -> None:
    stages = {
        number: [folder for folder in folders if name_of(folder) in CHOSEN]
        for number, folders in example_stages().items()
    }
    assert [len(folders) for folders in stages.values()] == [2, 1, 1, 1]
    with example_fleet(tmp_path, stages) as fleet:

        def run(stage: int, *arguments: str, code: int = 0) -> str:
            return fleet.pytest(f"--py312-stage={stage}", f"--py312-deploy={fleet.name}", *arguments, code=code)

        out = run(2, code=1)
        assert f"stage 2 cannot start in {fleet.name}: stage 1 was never deployed there" in out
        assert fleet.serving(2) == {"3.11"}
        for stage in (1, 2, 3):
            out = run(stage)
            assert f"passed: stage {stage} in {fleet.name} is accepted on Python 3.12 (" in out, out
            assert fleet.serving(stage) == {"3.12"}
            if stage < 3:
                assert fleet.serving(stage + 1) == {"3.11"}
        ticks = ("--py312-stage=4", f"--py312-deploy={fleet.name}", "--py312-soak-mode=tick")
        assert f"pending: stage 4 in {fleet.name} is soaking: 0 s of 3 s credited" in fleet.pytest(*ticks, code=75)
        out = fleet.ticked(*ticks)
        assert f"passed: stage 4 in {fleet.name} is accepted on Python 3.12" in out
        assert fleet.serving(4) == {"3.12"}
        assert fleet.locks() == []
