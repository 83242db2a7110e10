"""Work that is done once, whoever asks."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import Once


@pytest.fixture(params=["in memory", "across processes"])
def once(request: pytest.FixtureRequest, tmp_path: Path) -> Once:
    return Once(tmp_path if request.param == "across processes" else None)


def test_an_answer_is_worked_out_once(once: Once) -> None:
    done: list[int] = []

    def work() -> int:
        done.append(1)
        return len(done)

    assert [once("key", work), once("key", work), once("other", work)] == [1, 1, 2]


def test_nothing_is_an_answer_as_well(once: Once) -> None:
    done: list[int] = []

    for _ in range(2):
        assert once("key", lambda: done.append(1)) is None
    assert done == [1]


def test_what_the_work_raises_is_raised_and_the_next_may_try_again(once: Once) -> None:
    def fail() -> int:
        raise LookupError("not now")

    with pytest.raises(LookupError, match="not now"):
        once("key", fail)
    assert once("key", lambda: 3) == 3


def test_threads_that_ask_at_once_wait_for_the_first(once: Once) -> None:
    started, done = threading.Barrier(4), []

    def work() -> str:
        done.append(threading.get_ident())
        return "answer"

    def ask(_: int) -> str:
        started.wait(10)
        return once("key", work)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == ["answer"] * 4
    assert len(done) == 1


def test_work_may_ask_for_other_answers(once: Once) -> None:
    assert once("outer", lambda: once("inner", lambda: 1) + 1) == 2


def test_another_process_gets_the_same_answer(tmp_path: Path) -> None:
    assert Once(tmp_path)("key", lambda: ["a", ("b", "c")]) == ["a", ("b", "c")]
    assert Once(tmp_path)("key", lambda: ["not asked", ("", "")]) == ["a", ("b", "c")]


def _work_in(folder: Path) -> str:
    def work() -> str:
        with (folder / "done").open("a") as file:
            file.write("x")
        return "answer"

    return Once(folder)("key", work)


def test_processes_that_ask_at_once_do_the_work_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_work_in, [tmp_path] * 3) == ["answer"] * 3
    assert (tmp_path / "done").read_text() == "x"
