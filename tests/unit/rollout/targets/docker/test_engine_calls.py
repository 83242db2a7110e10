"""What an engine is asked about a container beside what it says of it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.rollout.targets.docker.engine_calls import moment_in, ran_out_before
from pytest_py312.runners.docker.engine import Engine

STARTED = "2026-11-26T07:28:13.049792022Z"


def container(restarts: int = 1, started: str = STARTED) -> dict[str, Any]:
    return {"Id": "auth", "RestartCount": restarts, "State": {"StartedAt": started, "OOMKilled": False}}


def engine(*events: object) -> tuple[Engine, list[dict[str, Any]]]:
    """And what it is asked for."""
    asked: list[dict[str, Any]] = []

    def answer(**named: Any) -> list[object]:
        asked.append(named)
        return [*events]

    return cast(Engine, SimpleNamespace(client=SimpleNamespace(events=answer))), asked


def test_a_moment_is_read_to_the_microsecond_and_what_is_none_is_none() -> None:
    assert moment_in(STARTED) == 1795678093.049792
    assert moment_in("2026-11-26T07:28:13Z") == 1795678093.0
    assert moment_in("yesterday") is None


@pytest.mark.parametrize("found", [True, False])
def test_an_engine_forgets_that_what_it_has_started_again_ran_out_of_memory_but_its_events_tell(found: bool) -> None:
    """They are asked for up to that start only: an engine waits for those that are to come."""
    asking, asked = engine(*[{"Action": "oom"}] * found)
    assert ran_out_before(asking, container(), since=1795678000.5) is found
    assert asked == [
        {
            "since": "1795678000.500000000",
            "until": "1795678093.049792051",
            "filters": {"container": "auth", "event": "oom"},
            "decode": True,
        }
    ]


def test_what_was_not_started_again_since_is_not_asked_about() -> None:
    asking, asked = engine({"Action": "oom"})
    assert not ran_out_before(asking, container(restarts=0), since=0.0)
    assert not ran_out_before(asking, container(), since=1795678094.0)
    assert not ran_out_before(asking, container(started="?"), since=0.0)
    assert asked == []
