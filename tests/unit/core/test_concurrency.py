"""SingleFlight: work is done once, also across threads and processes."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.concurrency import SingleFlight, Work

WORK: Work[Any] = Work("work")
TEXT: Work[str] = Work("text")


@pytest.fixture(params=["in memory", "across processes"])
def single_flight(request: pytest.FixtureRequest, tmp_path: Path) -> SingleFlight:
    return SingleFlight(tmp_path if request.param == "across processes" else None)


def test_a_result_is_computed_once(single_flight: SingleFlight) -> None:
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        return len(calls)

    assert [single_flight.run(asked, work) for asked in (WORK, WORK, WORK.of("other"), WORK.of("other"))] == [
        1,
        1,
        2,
        2,
    ]


def test_the_parts_of_a_subject_are_distinguished(single_flight: SingleFlight) -> None:
    """Names of services and ids of tests may have any character."""
    subjects = [("a b", "c"), ("a", "b c"), ("a b c",), ("a", "b", "\udc80")]

    assert [single_flight.run(WORK.of(*subject), partial(tuple, subject)) for subject in subjects] == subjects


def test_none_is_cached_too(single_flight: SingleFlight) -> None:
    calls: list[int] = []

    for _ in range(2):
        assert single_flight.run(WORK, lambda: calls.append(1)) is None
    assert calls == [1]


def test_exceptions_propagate_and_are_not_cached(single_flight: SingleFlight) -> None:
    def fail() -> int:
        raise LookupError("not now")

    with pytest.raises(LookupError, match="not now"):
        single_flight.run(WORK, fail)
    assert single_flight.run(WORK, lambda: 3) == 3


def test_concurrent_threads_wait_for_the_first(single_flight: SingleFlight) -> None:
    started, callers = threading.Barrier(4), []

    def work() -> str:
        callers.append(threading.get_ident())
        return "answer"

    def ask(_: int) -> str:
        started.wait(10)
        return single_flight.run(TEXT, work)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == ["answer"] * 4
    assert len(callers) == 1


def test_work_may_request_other_work(single_flight: SingleFlight) -> None:
    assert single_flight.run(WORK, lambda: single_flight.run(WORK.of("inner"), lambda: 1) + 1) == 2


def test_another_process_gets_the_same_result(tmp_path: Path) -> None:
    assert SingleFlight(tmp_path).run(WORK, lambda: ["a", ("b", "c")]) == ["a", ("b", "c")]
    assert SingleFlight(tmp_path).run(WORK, lambda: ["not asked", ("", "")]) == ["a", ("b", "c")]


def _run_in(folder: Path) -> str:
    def work() -> str:
        with (folder / "done").open("a") as file:
            file.write("x")
        return "answer"

    return SingleFlight(folder).run(TEXT, work)


def test_concurrent_processes_compute_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_run_in, [tmp_path] * 3) == ["answer"] * 3
    assert (tmp_path / "done").read_text() == "x"
