"""Calls that an engine answers differently from moment to moment, its events, and its timestamps."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.core import clock
from pytest_py312.rollout.targets.docker.container_state import parse_timestamp
from pytest_py312.rollout.targets.docker.engine_calls import (
    ran_out_of_memory_before_restart,
    remove_container,
    set_restart_policy,
)
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused

STARTED = "2026-11-26T07:28:13.049792022Z"


def container(restarts: int = 1, started: str = STARTED) -> dict[str, Any]:
    return {"Id": "auth", "RestartCount": restarts, "State": {"StartedAt": started, "OOMKilled": False}}


def engine(*events: object) -> tuple[DockerEngine, list[dict[str, Any]]]:
    """Returns an engine, and the arguments of its calls."""
    asked: list[dict[str, Any]] = []

    def answer(**named: Any) -> list[object]:
        asked.append(named)
        return [*events]

    return cast(DockerEngine, SimpleNamespace(client=SimpleNamespace(events=answer))), asked


def test_timestamps_are_parsed_to_the_microsecond() -> None:
    assert parse_timestamp(STARTED) == 1795678093.049792
    assert parse_timestamp("2026-11-26T07:28:13Z") == 1795678093.0
    assert parse_timestamp("yesterday") is None


@pytest.mark.parametrize("found", [True, False])
def test_events_show_that_a_restarted_container_ran_out_of_memory(found: bool) -> None:
    """Only events up to the start are requested: an engine waits for later ones."""
    asking, asked = engine(*[{"Action": "oom"}] * found)
    assert ran_out_of_memory_before_restart(asking, container(), since=1795678000.5) is found
    assert asked == [
        {
            "since": "1795678000.500000000",
            "until": "1795678093.049792051",
            "filters": {"container": "auth", "event": "oom"},
            "decode": True,
        }
    ]


def test_events_are_only_read_after_a_restart() -> None:
    asking, asked = engine({"Action": "oom"})
    assert not ran_out_of_memory_before_restart(asking, container(restarts=0), since=0.0)
    assert not ran_out_of_memory_before_restart(asking, container(), since=1795678094.0)
    assert not ran_out_of_memory_before_restart(asking, container(started="?"), since=0.0)
    assert asked == []


PROCESS_JUST_ENDED = "Cannot update container 9203950: runc did not terminate successfully: container not running"


@pytest.mark.parametrize(
    ("refusals", "accepted_after"),
    [([], 1), ([PROCESS_JUST_ENDED] * 3, 4), ([PROCESS_JUST_ENDED] * 99, None), (["invalid restart policy"], None)],
)
def test_the_policy_of_a_container_that_crashes_is_set_once_the_engine_knows(
    refusals: list[str], accepted_after: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ended a moment ago makes the engine refuse; another reason is final at once."""
    from docker.errors import APIError

    monkeypatch.setattr(clock, "pause", lambda seconds: None)
    policies: list[object] = []

    def update_container(container: str, restart_policy: object) -> None:
        policies.append(restart_policy)
        if len(policies) <= len(refusals):
            raise APIError("500", explanation=refusals[len(policies) - 1])

    client = SimpleNamespace(update_container=update_container)
    docker_engine = cast(DockerEngine, SimpleNamespace(client=client))
    if accepted_after is None:
        with pytest.raises(EngineRefused, match=refusals[0][:20]):
            set_restart_policy(docker_engine, "auth", "always")
        assert len(policies) == (10 if refusals[0] == PROCESS_JUST_ENDED else 1)
    else:
        set_restart_policy(docker_engine, "auth", "always")
        assert policies == [{"Name": "always"}] * accepted_after


IN_PROGRESS = "removal of container 9203950 is already in progress"


@pytest.mark.parametrize(
    ("refusals", "attempts", "is_refused"),
    [([], 1, False), ([IN_PROGRESS] * 3, 4, False), ([IN_PROGRESS] * 99, 50, True), (["cannot kill it"], 1, True)],
)
def test_a_container_that_another_process_removes_is_waited_for(
    refusals: list[str], attempts: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is free afterwards; once it is gone, the engine has nothing of that name."""
    from docker.errors import APIError, NotFound

    monkeypatch.setattr(clock, "pause", lambda seconds: None)
    calls: list[str] = []

    def remove(container: str, force: bool) -> None:
        calls.append(container)
        if len(calls) <= len(refusals):
            raise APIError("409", explanation=refusals[len(calls) - 1])
        if refusals:
            raise NotFound("404", response=cast(Any, SimpleNamespace(status_code=404, reason="")), explanation="none")

    docker_engine = cast(DockerEngine, SimpleNamespace(client=SimpleNamespace(remove_container=remove)))
    if is_refused:
        with pytest.raises(EngineRefused, match=refusals[0]):
            remove_container(docker_engine, "auth")
    else:
        remove_container(docker_engine, "auth")
    assert calls == ["auth"] * attempts
