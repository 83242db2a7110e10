"""Services, images and nodes of a swarm."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.rollout.targets.swarm.nodes import SwarmNodes
from pytest_py312.rollout.targets.swarm.services import SwarmServices, as_swarm_target_errors
from pytest_py312.rollout.targets.target import TargetRefused, TargetUnavailable
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineUnavailable, translate_errors

LOCAL = {"Id": "sha256:local", "RepoDigests": ["other/app@sha256:x", "reg:5000/app@sha256:pulled"]}


def refusal(status: int, text: str) -> Exception:
    """An error of the SDK."""
    from docker.errors import APIError
    from requests import Response

    answer = Response()
    answer.status_code = status
    return APIError(text, response=answer, explanation=text)


def services(**answers: Any) -> SwarmServices:
    """A manager with an answer or an error for each call; every other call finds nothing."""

    def method(name: str) -> Any:
        def answer(*_: object, **__: object) -> Any:
            found = answers.get(name, refusal(404, f"no such {name}"))
            if isinstance(found, Exception):
                raise found
            return found

        return answer

    client = SimpleNamespace(
        **{name: method(name) for name in ("inspect_image", "inspect_distribution", "inspect_service")}
    )
    return SwarmServices(cast(DockerEngine, SimpleNamespace(client=client)))


@pytest.mark.parametrize(
    ("answers", "pinned"),
    [
        ({"inspect_distribution": {"Descriptor": {"digest": "sha256:now"}}}, "reg:5000/app@sha256:now"),
        ({"inspect_image": LOCAL}, "reg:5000/app@sha256:pulled"),
        ({"inspect_image": {"Id": "sha256:local"}}, "sha256:local"),
        ({"inspect_image": LOCAL, "inspect_distribution": refusal(401, "who are you?")}, "reg:5000/app@sha256:pulled"),
        ({}, None),
    ],
)
def test_an_image_is_pinned_for_all_nodes(answers: dict[str, Any], pinned: str | None) -> None:
    """The registry is preferred to the manager, whose copy may be outdated."""
    assert services(**answers).pinned_reference("reg:5000/app:3.12") == pinned


def test_pinned_references_stay_and_ids_are_in_no_registry() -> None:
    asked = services(inspect_distribution={"Descriptor": {"digest": "sha256:now"}})
    assert asked.pinned_reference("app@sha256:given") == "app@sha256:given"
    assert asked.is_in_registry("app:3.9")
    assert not asked.is_in_registry("sha256:local")


def test_an_unknown_image_may_have_a_health_check() -> None:
    """A check of this tool would replace its own."""
    checked = {"Config": {"Healthcheck": {"Test": ["CMD", "check"]}}}
    assert services().image_has_health_check("app:3.12")
    assert services(inspect_image=checked).image_has_health_check("app:3.12")
    assert not services(inspect_image={"Config": {"Healthcheck": {"Test": ["NONE"]}}}).image_has_health_check(
        "app:3.12"
    )
    assert not services(inspect_image={"Config": {}}).image_has_health_check("app:3.12")


def test_constant_concurrent_changes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_py312.core.clock.pause", lambda seconds: None)
    asked = services(inspect_service={"ID": "s", "Version": {"Index": 1}, "Spec": {"Name": "auth", "TaskTemplate": {}}})
    tried: list[object] = []

    def late(*given: object, **_: object) -> None:
        tried.append(given)
        raise refusal(500, "rpc error: code = Unknown desc = update out of sequence")

    asked._client.update_service = late
    with pytest.raises(TargetRefused, match="auth is changed by others all the time"):
        asked.update("auth", lambda current: current)
    assert len(tried) == 20


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (
            503,
            "rpc error: The swarm does not have a leader. It's possible that too few managers are online",
            TargetUnavailable,
        ),
        (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", TargetUnavailable),
        (503, "This node is not a swarm manager. Use docker swarm init", TargetRefused),
        (500, "rpc error: code = Unknown desc = update out of sequence", TargetRefused),
        (400, "deadline exceeded is no name", TargetRefused),
    ],
)
def test_temporary_errors_are_no_refusals(status: int, text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), as_swarm_target_errors(), translate_errors():
        raise refusal(status, text)


def test_an_inaccessible_node_does_not_block_a_rollback() -> None:
    """Whether it has an image is unknown; that another node has none is known."""
    answers: dict[str, Any] = {"n1": True, "n2": None, "n3": EngineUnavailable("away"), "n4": False}

    class Known(SwarmNodes):
        def engine(self, node: str) -> DockerEngine | None:
            answer = answers[node]
            if isinstance(answer, Exception):
                raise answer
            image_id = "sha256:x" if answer else None
            return None if answer is None else cast(DockerEngine, SimpleNamespace(image_id=lambda image: image_id))

    nodes = Known(
        cast(DockerEngine, SimpleNamespace(image_id=lambda image: None)), {}, lambda address: pytest.fail(address)
    )
    assert nodes.have_image("x", ["n1", "n1"]) is True
    assert nodes.have_image("x", ["n1", "n2"]) is None
    assert nodes.have_image("x", ["n1", "n3"]) is None
    assert nodes.have_image("x", ["n1", "n3", "n4"]) is False
    assert nodes.have_image("x", []) is False
