"""What the actions of a stage say when something else runs than was deployed."""

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.model import Deployment
from pytest_py312.rollout.execution.actions import SETTLE_LIMIT, Actions, describe_interpreters
from tests.support.fakes import FakeTarget
from tests.unit.rollout.runs import spec


@pytest.mark.parametrize(
    ("running", "expected", "text"),
    [
        ("3.11", "3.12", "it runs on Python 3.11, not on 3.12"),
        ("3.9 3.10", "3.12", "it runs on Python 3.9, 3.10, not on 3.12"),
        (
            "3.11 3.12",
            "3.12",
            "Python 3.11 runs beside 3.12; if that is intended, set the service's `version` path",
        ),
    ],
)
def test_a_python_beside_the_expected_one_is_not_called_another(running: str, expected: str, text: str) -> None:
    interpreters = [Interpreter.parse(word) for word in running.split()]
    assert describe_interpreters(interpreters, Interpreter.parse(expected)) == text


@pytest.mark.parametrize(("seconds", "problem"), [(3.0, ""), (2 * SETTLE_LIMIT, "nothing serves")])
def test_a_restored_version_has_some_seconds_to_be_all_that_serves(seconds: float, problem: str) -> None:
    target, now = FakeTarget(), [0.0]
    old = target.serve("auth", "old-3.9")
    target.containers[old.id].running = False

    def pause(duration: float) -> None:
        now[0] += duration
        target.containers[old.id].running = now[0] >= seconds

    actions = Actions(target, pause=pause, stopwatch=lambda: now[0])

    restored = Deployment(spec=spec("auth", container="auth"), image="new-3.12", old=old)
    assert actions.verify_previous(restored) == problem
