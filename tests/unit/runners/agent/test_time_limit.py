"""How long tests may take, after others that did not end."""

import time

import pytest

from pytest_py312.runners.agent.time_limit import TimeLimit


def ended_after(limit: TimeLimit) -> float:
    """Return the seconds after which a test that does not end is ended."""
    limit.start()
    with pytest.raises(AssertionError, match=r"did not end within ([\d.]+) s") as raised:
        time.sleep(60)
    return float(str(raised.value).split("within ")[1].split(" s")[0])


def fail(text: str) -> None:
    raise AssertionError(text)


def test_after_each_test_that_does_not_end_the_limit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to the shortest one."""
    monkeypatch.setattr("pytest_py312.runners.agent.time_limit.SHORTEST", 0.1)
    limit = TimeLimit(0.4, fail)
    assert [ended_after(limit) for _ in range(4)] == [0.4, 0.2, 0.1, 0.1]


def test_a_limit_below_the_shortest_stays() -> None:
    limit = TimeLimit(0.1, fail)
    assert [ended_after(limit) for _ in range(2)] == [0.1, 0.1]
