"""``py312 deploy`` and ``py312 rollback`` on a real engine."""

import json
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from tests.integration.rollouts.docker_environments import start_environment
from tests.support.fakes import service_tree

PLAN = """
target = "3.12"

[deploy]
image = "py312-rollout-test:{{version}}-good"
drain = "2s"

[soak]
interval = "1m"
duration = "1h"

[[stage]]
number = 1
services = ["auth"]

[[contract]]
caller = "auth"
callee = "auth"
path = "/version"

[service.auth]
deploy = {{ container = "{container}", port = 8000, health = "/health", version = "/version" }}
"""


@pytest.mark.docker
def test_a_stage_is_deployed_and_rolled_back(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with start_environment(tmp_path / "journal", images, "auth") as environment:
        plan = PLAN.format(container=f"{environment.name}-auth")
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})

        def typed(*words: str, code: int = 0) -> str:
            assert main([*words, str(root), "--env", environment.name]) == code
            return capsys.readouterr().out

        assert f"container {environment.name}-auth from py312-rollout-test:3.12-good" in typed("plan", "--stage", "1")
        assert typed("deploy", "--stage", "1") == "stage 1 is soaking\n"
        assert environment.serving()["auth"][1] == "3.12"
        document = json.loads(typed("status", "--json"))
        assert document["runs"][0]["services"][0]["old"] == environment.old["auth"]
        assert document["held_by"]["run"] == document["runs"][0]["run"]
        typed("deploy", "--stage", "1", code=4)  # it is deployed already
        output = typed("test-contracts", "--stage", "1")
        assert output.startswith("auth->auth  /version  holds: not tried: the old auth is not running")
        assert "    old -> new: holds (200)\n" in output
        assert {
            contract["result"]
            for contract in json.loads(typed("test-contracts", "--stage", "1", "--json"))["contracts"]
        } == {"successful"}
        assert typed("rollback", "--stage", "1", "--reason", "a drill") == "stage 1 is rolled back: a drill\n"
        assert environment.serving() == environment.all_old()
        assert "is not locked" in typed("status")
