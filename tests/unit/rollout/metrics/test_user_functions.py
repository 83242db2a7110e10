"""Metrics measured by functions of the user."""

import asyncio
import threading
from pathlib import Path

import pytest

from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.metrics.reading import MetricReading
from pytest_py312.rollout.metrics.user_functions import UserFunction

SOURCE = """
def orders(service): return 12.5
def nothing(service): return None
def words(service): return service
def huge(service): return 10 ** 400
def fails(service):
    return {}["orders"]
def leaves(service): raise SystemExit(3)
def ends(service): raise StopIteration
"""


def call(root: Path, reference: str) -> MetricReading:
    return asyncio.run(UserFunction(reference, root).call("user", timeout=5.0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/business.py").write_text(SOURCE)
    return tmp_path


def test_a_number_is_the_value_and_none_is_no_data(root: Path) -> None:
    assert call(root, "checks/business.py:orders").value == 12.5
    nothing = call(root, "checks/business.py:nothing")
    assert (nothing.value, nothing.result) == (None, None)


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("fails", "KeyError: 'orders' at checks/business.py:7"),
        ("leaves", "SystemExit: 3"),
        ("ends", "StopIteration"),
        ("words", "returned a str, not a number"),
        ("huge", "too large"),
        ("missing", "has no function missing"),
    ],
)
def test_an_exception_is_an_error_with_its_location(root: Path, name: str, detail: str) -> None:
    """It is neither a failure of the service nor the end of the watcher."""
    found = call(root, f"checks/business.py:{name}")
    assert found.result is Result.ERROR
    assert detail in found.detail


@pytest.mark.parametrize("reference", ["../outside.py:f", "/etc/passwd:f", "checks.business", "nowhere.py:f", ":f", ""])
def test_only_files_of_the_repository_are_loaded(root: Path, reference: str) -> None:
    (root.parent / "outside.py").write_text("def f(service): return 1")
    assert call(root, reference).result is Result.ERROR


def test_a_function_that_does_not_return_is_abandoned_and_not_called_again(root: Path) -> None:
    go_on = threading.Event()
    function = UserFunction("x", root)
    function._function = lambda service: float(go_on.wait(20))

    async def twice() -> list[MetricReading]:
        first = await function.call("user", timeout=0.05)
        second = await function.call("user", timeout=5.0)
        go_on.set()
        return [first, second]

    detail = [reading.detail for reading in asyncio.run(twice())]
    assert detail == ["x did not return within 0.05 s", "x has not returned from an earlier call"]
