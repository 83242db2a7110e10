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
ready-timeout = "3m"

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


@pytest.mark.docker
@pytest.mark.parametrize("is_pruned", [False, True], ids=["kept", "pruned"])
@pytest.mark.parametrize("command", ["rollback --stage 1", "deploy --rollback --stage 1"])
def test_a_stage_is_rolled_back_by_ids_when_tags_have_moved(
    tmp_path: Path, images: dict[str, str], command: str, is_pruned: bool
) -> None:
    """Also if the previous container was removed; without the repository, and with tags that mean sick versions."""
    with start_environment(tmp_path / "journal", images, "auth") as environment:
        client, name = environment.engine.client, environment.name

        def tag(**image_ids: str) -> None:
            for version, image_id in image_ids.items():
                client.tag(image_id, name, version.replace("_", "."))

        tag(v3_9=images["3.9"], v3_12=images["3.12"])
        plan = PLAN.format(container=f"{name}-auth").replace(
            "py312-rollout-test:{version}-good", f"{name}:v{{version}}"
        )
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})
        try:
            assert main(["deploy", "--stage", "1", str(root), "--env", name]) == 0
            tag(v3_9=images["3.12 sick"], v3_12=images["3.12 sick"])
            if is_pruned:
                client.remove_container(environment.old["auth"], force=True)
            state = str((root / ".py312").rename(tmp_path / "state"))
            (root / "py312.toml").unlink()
            words = command.split()
            assert main([words[0], str(tmp_path / "gone"), *words[1:], "--env", name, "--state-dir", state]) == 0
            observed = environment.target.observe(environment.spec("auth"))
            assert observed is not None
            assert (observed.container.image, str(observed.interpreter)) == (images["3.9"], "3.9")
        finally:
            for version in ("v3.9", "v3.12"):
                client.remove_image(f"{name}:{version}", noprune=True)
