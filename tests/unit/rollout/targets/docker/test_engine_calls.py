"""Events and timestamps of an engine."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.rollout.targets.docker.engine_calls import parse_timestamp, ran_out_of_memory_before_restart
from pytest_py312.runners.docker.engine import DockerEngine

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
