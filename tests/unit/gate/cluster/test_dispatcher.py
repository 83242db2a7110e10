"""Each job is answered once, whatever happens to workers and scheduler; with a cluster that the test plays."""

import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_py312.core import clock
from pytest_py312.gate.cluster import dispatcher as dispatching
from pytest_py312.gate.cluster.connection import AttemptFailed, Failure
from pytest_py312.gate.cluster.dispatcher import Dispatcher, PlacedJob
from pytest_py312.gate.cluster.jobs import FactsRequest, RunSetup, ServiceAnswer, ServiceJob, from_text, to_text
from pytest_py312.gate.cluster.placement import ServiceNeeds
from pytest_py312.gate.cluster.tree_archive import TreeArchive
from pytest_py312.gate.cluster.worker_pool import WorkerPool
from pytest_py312.gate.sharding.documents import tool_identity
from tests.unit.gate.cluster.worker_facts import facts_of, pythons

SETUP = RunSetup(run_id="run", tree="digest", folder=".", arguments=())
ARCHIVE = TreeArchive(content=b"", digest="digest", files=0, folder=".")
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
WORKERS = ("w1", "w2", "w3", "w4")


@dataclass(kw_only=True, eq=False)
class PlayedFuture:
    job: ServiceJob
    workers: frozenset[str]
    alone: bool
    on_end: Callable[[Any], None]
    result: "ServiceAnswer | AttemptFailed | None" = None
    is_cancelled: bool = False


@dataclass(kw_only=True)
class PlayedCluster:
    """A connection to a cluster in which everything happens when the test says so."""

    present: list[str] = field(default_factory=lambda: list(WORKERS))
    is_alive: bool = True
    submitted: list[PlayedFuture] = field(default_factory=list)
    handler: Callable[[Mapping[str, Any]], None] | None = None
    is_closed: bool = False
    is_submitted: threading.Condition = field(default_factory=threading.Condition)
    is_measuring: threading.Event = field(default_factory=threading.Event)

    def workers(self) -> list[str]:
        return list(self.present)

    def run(self, function: Callable[..., Any], *arguments: object, workers: Collection[str]) -> Mapping[str, Any]:
        facts = facts_of("3.12", tool=tool_identity(), python=THIS_PYTHON, clock=clock.timestamp())
        answer = to_text(facts) if function.__name__ == "describe_worker" else ""
        return dict.fromkeys(workers, answer)

    def subscribe(self, topic: str, handler: Callable[[Mapping[str, Any]], None]) -> None:
        self.handler = handler

    def submit(
        self, job: str, key: str, *, workers: Collection[str], alone: bool, priority: int, on_end: Callable[[Any], None]
    ) -> PlayedFuture:
        future = PlayedFuture(job=from_text(ServiceJob, job), workers=frozenset(workers), alone=alone, on_end=on_end)
        with self.is_submitted:
            self.submitted.append(future)
            self.is_submitted.notify_all()
        if alone:
            self.is_measuring.set()
        return future

    def answer(self, future: PlayedFuture) -> str:
        if isinstance(future.result, AttemptFailed):
            raise future.result
        return to_text(future.result)

    def cancel(self, futures: Collection[PlayedFuture]) -> None:
        for future in futures:
            future.is_cancelled = True

    def close(self) -> None:
        self.is_closed = True

    # -- what happens

    def start(self, service: str, worker: str, *, measures: bool = False) -> None:
        assert self.handler is not None
        self.handler({"service": service, "measures": measures, "worker": worker})

    def end(self, future: PlayedFuture, result: "ServiceAnswer | AttemptFailed") -> None:
        future.result = result
        future.on_end(future)

    def await_attempt(self, after: PlayedFuture) -> PlayedFuture:
        """Return the attempt at the same job that follows another one, when it is submitted."""
        with self.is_submitted:
            self.is_submitted.wait_for(lambda: self.last(after.job.service) is not after, timeout=10)
        return self.last(after.job.service)

    def last(self, service: str) -> PlayedFuture:
        return [future for future in self.submitted if future.job.service == service][-1]


def placed(service: str, *, measures: bool = False, python: str = "3.12") -> PlacedJob:
    job = ServiceJob(run_id="run", service=service, items=((service, None, "versions"),), measures=measures)
    return PlacedJob(job=job, needs=ServiceNeeds(interpreters=pythons(python), memory=0), weight=1)


@dataclass(kw_only=True)
class Play:
    cluster: PlayedCluster
    dispatcher: Dispatcher
    lines: list[str]

    def answer(self, service: str, *, measures: bool = False) -> ServiceAnswer:
        return self.dispatcher.answer((service, measures)).result(timeout=10)


Start = Callable[..., Play]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a run with these jobs on four workers."""
    monkeypatch.setattr(dispatching, "POLL_INTERVAL", 0.01)
    plays: list[Play] = []

    def started(*jobs: PlacedJob) -> Play:
        cluster, lines = PlayedCluster(), list[str]()
        connection: Any = cluster
        pool = WorkerPool(connection=connection, request=FactsRequest(interpreters=("3.12",)), run_id="run")
        pool.facts = {address: facts_of("3.12") for address in WORKERS}
        dispatcher = Dispatcher(
            connection, pool, jobs, setup=SETUP, archive=ARCHIVE, runner="local", fetches=False, notify=lines.append
        )
        dispatcher.start()
        plays.append(Play(cluster=cluster, dispatcher=dispatcher, lines=lines))
        return plays[-1]

    yield started
    for play in plays:
        play.dispatcher.close()


def test_an_answer_is_given_and_shown(start: Start) -> None:
    play = start(placed("a"), placed("b"))
    play.cluster.start("a", "w1")
    play.cluster.end(play.cluster.last("a"), ServiceAnswer(runner="local"))

    assert play.answer("a").runner == "local"
    assert play.lines[0].startswith("a was checked by w1 in ")
    assert play.lines[0].endswith("(1 of 2 left)")


def test_a_service_that_takes_three_workers_with_it_is_named(start: Start) -> None:
    """It is cancelled when Dask starts it a fourth time."""
    play = start(placed("a"), placed("b"))
    for worker in WORKERS:
        play.cluster.start("a", worker)

    failure = play.answer("a").failure
    assert "3 workers were lost while they checked it, one after the other: w1, w2, w3" in failure
    play.cluster.end(play.cluster.last("b"), ServiceAnswer(runner="local"))
    assert play.answer("b").failure == ""
    assert play.cluster.last("a").is_cancelled


def test_a_late_answer_changes_nothing(start: Start) -> None:
    """The first attempt was given up for another one; only that one counts, and once."""
    play = start(placed("a"), placed("b"))
    first = play.cluster.last("a")
    play.cluster.end(first, AttemptFailed("its worker takes no part", Failure.REFUSED))
    play.cluster.start("b", "w2")
    play.cluster.end(play.cluster.last("b"), ServiceAnswer(runner="b"))
    assert play.answer("b").runner == "b"
    second = play.cluster.last("a")
    assert second is not first

    play.cluster.end(first, ServiceAnswer(runner="late"))
    play.cluster.end(second, ServiceAnswer(runner="second"))
    assert play.answer("a").runner == "second"
    play.cluster.end(second, ServiceAnswer(runner="doubled"))
    assert play.answer("a").runner == "second"
    assert first.is_cancelled


def test_a_start_on_a_worker_that_takes_no_part_does_not_count(start: Start) -> None:
    """It did not run there."""
    play = start(placed("a"))
    for worker in WORKERS:
        attempt = play.cluster.last("a")
        play.cluster.start("a", worker)
        play.cluster.end(attempt, AttemptFailed("not prepared", Failure.REFUSED))
        assert play.cluster.await_attempt(after=attempt) is not attempt
    play.cluster.start("a", "w1")
    play.cluster.end(play.cluster.last("a"), ServiceAnswer(runner="local"))

    assert play.answer("a") == ServiceAnswer(runner="local")


def test_a_lost_scheduler_fails_what_has_not_ended(start: Start) -> None:
    play = start(placed("a"), placed("b"))
    play.cluster.end(play.cluster.last("a"), ServiceAnswer(runner="local"))
    assert play.answer("a").failure == ""
    play.cluster.is_alive = False

    assert play.answer("b").failure == "the scheduler of the cluster was lost"


def test_what_nobody_can_take_is_answered_before_anything_is_sent(start: Start) -> None:
    play = start(placed("a"), placed("b", python="3.8"))

    assert "no worker of the cluster can check it" in play.answer("b").failure
    assert "it has no Python 3.8" in play.answer("b").failure
    assert [future.job.service for future in play.cluster.submitted] == ["a"]


def test_without_any_worker_the_run_ends(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatching, "NO_WORKER_LIMIT", 0.05)
    play = start(placed("a"))
    play.cluster.present.clear()

    assert play.answer("a").failure.startswith("all workers of the cluster were lost")


def test_benchmarks_wait_for_everything_else_and_are_alone(start: Start) -> None:
    play = start(placed("a"), placed("a", measures=True), placed("b"))
    play.cluster.end(play.cluster.last("a"), ServiceAnswer(runner="local"))
    assert play.answer("a").runner == "local"
    assert not any(future.job.measures for future in play.cluster.submitted)

    play.cluster.end(play.cluster.last("b"), ServiceAnswer(failure="lost"))
    assert play.answer("b").failure == "lost"
    assert play.cluster.is_measuring.wait(10)
    measured = play.cluster.last("a")
    assert measured.alone
    play.cluster.end(measured, ServiceAnswer(runner="measured"))
    assert play.answer("a", measures=True).runner == "measured"


def test_closing_cancels_what_is_not_answered(start: Start) -> None:
    play = start(placed("a"), placed("b"))
    play.cluster.end(play.cluster.last("a"), ServiceAnswer())
    assert play.answer("a").failure == ""
    play.dispatcher.close()

    assert play.dispatcher.answer(("b", False)).cancelled()
    assert play.cluster.last("b").is_cancelled
    assert play.cluster.is_closed


def test_another_failure_is_not_tried_again(start: Start) -> None:
    play = start(placed("a"))
    play.cluster.end(play.cluster.last("a"), AttemptFailed("the cluster could not run it", Failure.FINAL))

    assert play.answer("a").failure == "the cluster could not run it"
    assert len(play.cluster.submitted) == 1
