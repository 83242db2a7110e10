"""What a manager answers, and what is made of it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.rollout.targets.swarm.errors import in_swarm_words
from pytest_py312.rollout.targets.swarm.nodes import Nodes
from pytest_py312.rollout.targets.swarm.services import Services
from pytest_py312.rollout.targets.target import TargetLost, TargetRefused
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import EngineLost, told_apart

LOCAL = {"Id": "sha256:local", "RepoDigests": ["other/app@sha256:x", "reg:5000/app@sha256:pulled"]}


def refusal(status: int, text: str) -> Exception:
    """As the SDK raises it."""
    from docker.errors import APIError
    from requests import Response

    answer = Response()
    answer.status_code = status
    return APIError(text, response=answer, explanation=text)


def services(**answers: Any) -> Services:
    """A manager that has an answer or a refusal to each question; to all others, that there is no such thing."""

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
    return Services(cast(Engine, SimpleNamespace(client=client)))


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
def test_an_image_is_named_by_what_every_node_finds_the_same(answers: dict[str, Any], pinned: str | None) -> None:
    """The registry's word goes before that of the manager, whose own copy may be an old one."""
    assert services(**answers).pinned("reg:5000/app:3.12") == pinned


def test_what_is_pinned_already_stays_so_and_an_id_is_in_no_registry() -> None:
    asked = services(inspect_distribution={"Descriptor": {"digest": "sha256:now"}})
    assert asked.pinned("app@sha256:given") == "app@sha256:given"
    assert asked.is_in_registry("app:3.9")
    assert not asked.is_in_registry("sha256:local")


def test_an_image_that_cannot_be_looked_at_may_check_itself() -> None:
    """A check of ours would take the place of its own."""
    checked = {"Config": {"Healthcheck": {"Test": ["CMD", "check"]}}}
    assert services().is_checked("app:3.12")
    assert services(inspect_image=checked).is_checked("app:3.12")
    assert not services(inspect_image={"Config": {"Healthcheck": {"Test": ["NONE"]}}}).is_checked("app:3.12")
    assert not services(inspect_image={"Config": {}}).is_checked("app:3.12")


def test_a_service_that_others_change_all_the_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_py312.core.clock.pause", lambda seconds: None)
    asked = services(inspect_service={"ID": "s", "Version": {"Index": 1}, "Spec": {"Name": "auth", "TaskTemplate": {}}})
    tried: list[object] = []

    def late(*given: object, **_: object) -> None:
        tried.append(given)
        raise refusal(500, "rpc error: code = Unknown desc = update out of sequence")

    asked._client.update_service = late
    with pytest.raises(TargetRefused, match="auth is changed by others all the time"):
        asked.change("auth", lambda current: current)
    assert len(tried) == 20


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (
            503,
            "rpc error: The swarm does not have a leader. It's possible that too few managers are online",
            TargetLost,
        ),
        (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", TargetLost),
        (503, "This node is not a swarm manager. Use docker swarm init", TargetRefused),
        (500, "rpc error: code = Unknown desc = update out of sequence", TargetRefused),
        (400, "deadline exceeded is no name", TargetRefused),
    ],
)
def test_what_passes_by_itself_is_no_refusal(status: int, text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), in_swarm_words(), told_apart():
        raise refusal(status, text)


def test_a_node_that_cannot_be_asked_keeps_nobody_from_going_back() -> None:
    """Whether it has an image is then not known; that another one has none is."""
    answers: dict[str, Any] = {"n1": True, "n2": None, "n3": EngineLost("away"), "n4": False}

    class Known(Nodes):
        def engine(self, node: str) -> Engine | None:
            found = answers[node]
            if isinstance(found, Exception):
                raise found
            told = "sha256:x" if found else None
            return None if found is None else cast(Engine, SimpleNamespace(image_id=lambda image: told))

    nodes = Known(cast(Engine, SimpleNamespace(image_id=lambda image: None)), {}, lambda address: pytest.fail(address))
    assert nodes.have("x", ["n1", "n1"]) is True
    assert nodes.have("x", ["n1", "n2"]) is None
    assert nodes.have("x", ["n1", "n3"]) is None
    assert nodes.have("x", ["n1", "n3", "n4"]) is False
    assert nodes.have("x", []) is False
