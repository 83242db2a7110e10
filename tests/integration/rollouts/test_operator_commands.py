"""What operators do around a rollout, as it is typed, on a real engine."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.cli.main import main
from pytest_py312.rollout.domain.model import Container
from pytest_py312.rollout.targets.target import Phase, TargetRefused
from tests.integration.rollouts.services import place
from tests.support.fakes import service_tree

PLAN = """
target = "3.12"

[deploy]
image = "py312-rollout-test:{{version}}-good"
drain = "2s"

environments = {{ {name} = {{ drill = true }} }}

[soak]
interval = "1m"
duration = "1h"

[[stage]]
number = 1
services = ["auth"]
critical = true

[service.auth]
deploy = {{ container = "{container}", port = 8000, health = "/health", version = "/version" }}
"""


@pytest.mark.docker
def test_the_doctor_sees_what_an_engine_has_and_what_it_lost(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with place(tmp_path / "journal", images, "auth") as here:
        plan = PLAN.format(name=here.name, container=f"{here.name}-auth")
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})

        def rows(code: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
            assert main(["doctor", str(root), "--env", here.name, "--json"]) == code
            return {(row["area"], row["what"]): row for row in json.loads(capsys.readouterr().out)["rows"]}

        before = here.containers()
        found = rows()
        assert found["engine", "reachable"]["detail"].startswith("Docker ")
        assert found["clock", "engine's clock"]["health"] == "ok"
        assert found["images", "auth"]["detail"].endswith("says Python 3.12")
        assert found["way back", "auth"]["detail"] == "what serves now is well"
        assert here.containers() == before, "nothing was started to find out"
        assert main(["deploy", "--stage", "1", str(root), "--env", here.name]) == 0
        capsys.readouterr()
        assert rows()["way back", "auth"]["detail"] == "the old container is there"
        here.engine.remove(here.old["auth"])
        assert "its container is gone" in rows()["way back", "auth"]["detail"]


@pytest.mark.docker
def test_a_drill_brings_back_what_served_and_what_stopped_is_noticed(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with place(tmp_path / "journal", images, "auth") as here:
        plan = PLAN.format(name=here.name, container=f"{here.name}-auth")
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})
        assert main(["drill", str(root), "--stage", "1", "--env", here.name, "--fault", "stop", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["passed"], said["state"]) == (True, "rolled back")
        assert here.serving() == here.all_old()
        assert set(here.containers()) == {f"{here.name}-auth"}, "nothing of the drill is left, nor its lock"
        assert main(["status", str(root), "--env", here.name, "--json"]) == 0
        run = json.loads(capsys.readouterr().out)["runs"][0]
        assert run["drill"] == "passed"
        assert run["reason"].startswith("auth: availability")


@pytest.mark.docker
def test_health_can_be_a_command_in_the_container(tmp_path: Path, images: dict[str, str]) -> None:
    with place(tmp_path, images, "auth") as here:
        old = Container(id=here.old["auth"], image=images["3.9"])
        code, printed = here.target.execute(old, ["python", "-c", "print('well'); raise SystemExit(3)"], limit=20.0)
        assert (code, printed.strip()) == (3, "well")
        with pytest.raises(TargetRefused, match=r"sleep did not end within 0\.2 s"):
            here.target.execute(old, ["sleep", "5"], limit=0.2)
        spec = replace(here.spec("auth"), health="", health_command=("python", "-c", "raise SystemExit(4)"))
        ready = here.target.ready(spec, old)
        assert (ready.phase, ready.detail) == (Phase.STARTING, "python ended with 4: ")
        well = here.target.ready(replace(spec, health_command=("python", "-V")), old)
        assert (well.phase, well.asked) == (Phase.READY, True)
        missing = here.target.ready(replace(spec, health_command=("no-such-program",)), old)
        assert missing.phase is Phase.STARTING
