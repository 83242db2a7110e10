"""``py312 doctor``, ``py312 drill`` and health commands on a real engine."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.cli.main import main
from pytest_py312.rollout.domain.target_model import Container
from pytest_py312.rollout.targets.target import ReadinessPhase, TargetRefused
from tests.integration.rollouts.docker_environments import start_environment
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
def test_the_doctor_reports_what_exists_and_what_is_missing(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with start_environment(tmp_path / "journal", images, "auth") as environment:
        plan = PLAN.format(name=environment.name, container=f"{environment.name}-auth")
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})

        def rows(code: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
            assert main(["doctor", str(root), "--env", environment.name, "--json"]) == code
            return {(row["area"], row["what"]): row for row in json.loads(capsys.readouterr().out)["rows"]}

        containers_before = environment.containers()
        health_rows = rows()
        assert health_rows["engine", "reachable"]["detail"].startswith("Docker ")
        assert health_rows["clock", "engine's clock"]["health"] == "ok"
        assert health_rows["images", "auth"]["detail"].endswith("declares Python 3.12")
        assert health_rows["rollback", "auth"]["detail"] == "what serves now is ok"
        assert environment.containers() == containers_before, "the doctor starts no container"
        assert main(["deploy", "--stage", "1", str(root), "--env", environment.name]) == 0
        capsys.readouterr()
        assert rows()["rollback", "auth"]["detail"] == "the previous container exists"
        environment.engine.remove(environment.old["auth"])
        assert "its container is gone" in rows()["rollback", "auth"]["detail"]


@pytest.mark.docker
def test_a_drill_is_noticed_and_rolled_back(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with start_environment(tmp_path / "journal", images, "auth") as environment:
        plan = PLAN.format(name=environment.name, container=f"{environment.name}-auth")
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})
        assert main(["drill", str(root), "--stage", "1", "--env", environment.name, "--fault", "stop", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert (result["passed"], result["state"]) == (True, "rolled back")
        assert environment.serving() == environment.all_old()
        assert set(environment.containers()) == {f"{environment.name}-auth"}, (
            "nothing of the drill is left, not even its lock"
        )
        assert main(["status", str(root), "--env", environment.name, "--json"]) == 0
        run = json.loads(capsys.readouterr().out)["runs"][0]
        assert run["drill"] == "passed"
        assert run["reason"].startswith("auth: availability")


@pytest.mark.docker
def test_health_can_be_a_command_in_the_container(tmp_path: Path, images: dict[str, str]) -> None:
    with start_environment(tmp_path, images, "auth") as environment:
        old = Container(id=environment.old["auth"], image=images["3.9"])
        code, printed = environment.target.execute(
            old, ["python", "-c", "print('well'); raise SystemExit(3)"], timeout=20.0
        )
        assert (code, printed.strip()) == (3, "well")
        with pytest.raises(TargetRefused, match=r"sleep did not end within 0\.2 s"):
            environment.target.execute(old, ["sleep", "5"], timeout=0.2)
        spec = replace(environment.spec("auth"), health="", health_command=("python", "-c", "raise SystemExit(4)"))
        ready = environment.target.readiness(spec, old)
        assert (ready.phase, ready.detail) == (ReadinessPhase.STARTING, "python ended with 4: ")
        well = environment.target.readiness(replace(spec, health_command=("python", "-V")), old)
        assert (well.phase, well.is_probed) == (ReadinessPhase.READY, True)
        missing = environment.target.readiness(replace(spec, health_command=("no-such-program",)), old)
        assert missing.phase is ReadinessPhase.STARTING
