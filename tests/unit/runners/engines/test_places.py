"""Where jobs run: on the freest engine that has their image, and elsewhere if it is lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier, Event

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import ExitReason
from pytest_py312.runners.engines.places import MAX_REFUSALS, NotCopied, Place, PlaceChooser
from pytest_py312.runners.runner import ProbeJob, ProbeResult

GIB = 1024**3
BUILD = InterpreterBuild(
    interpreter=Interpreter(3, 12),
    version="3.12.1",
    executable="/usr/local/bin/python3.12",
    digest="d",
    origin="o",
    flags="",
)


def job(name: str = "a", *, memory: int = GIB) -> ProbeJob:
    return ProbeJob(
        identifier=f"{name}-py3.12-suite",
        build=BUILD,
        environment=Path("/cache/envs/a"),
        root=Path("/repository"),
        folders=("a",),
        request={},
        memory_limit=memory,
    )


def result(reason: ExitReason = ExitReason.EXITED, failure: str = "") -> ProbeResult:
    return ProbeResult(exit_reason=reason, exit_code=0, seconds=0.0, records=(), failure=failure)


@dataclass
class Engine:
    """An engine that notes what it runs, and answers with ``answer``."""

    answer: Callable[[], ProbeResult] = result
    ran: list[str] = field(default_factory=list)

    def run(self, image: str, job: ProbeJob) -> ProbeResult:
        self.ran.append(job.identifier.removesuffix("-py3.12-suite"))
        return self.answer()


def lost() -> ProbeResult:
    return result(ExitReason.ENGINE_LOST, "the Docker engine does not answer")


def place(engine: Engine, name: str = "far", **settings: object) -> Place:
    return replace(Place(name=name, slots=1, run=engine.run), **settings)  # type: ignore[arg-type]  # fields of Place


def test_jobs_in_parallel_are_distributed() -> None:
    """Each of two engines with one slot gets one of two jobs, which wait for each other."""
    both_run = Barrier(2)

    def together() -> ProbeResult:
        both_run.wait(30)
        return result()

    own, far = Engine(together), Engine(together)
    chooser = PlaceChooser(place(own), [place(far)], Event())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: chooser.run("image", job(name)), "ab"))
    assert len(own.ran) == len(far.ran) == 1
    assert chooser.notes() == []


def test_an_engine_without_the_image_gets_no_job() -> None:
    """Though it has room."""
    own, far = Engine(), Engine()
    far_place = place(far, slots=8, has_image=lambda image: False)
    chooser = PlaceChooser(place(own), [far_place], Event())
    assert chooser.run("image", job()).exit_reason is ExitReason.EXITED
    assert (own.ran, far.ran) == (["a"], [])


def test_all_jobs_of_a_service_run_on_one_engine() -> None:
    """What they are compared with ran there, so one waits for room rather than move."""
    own, far = Engine(), Engine()
    own_place, far_place = place(own, slots=2), place(far, slots=4)
    chooser = PlaceChooser(own_place, [far_place], Event())
    own_place.jobs = [job("busy")]
    chooser.run("image", job("a"))
    own_place.jobs, far_place.jobs = [], [job("busy")] * 3
    for name in ("a", "b", "a"):
        chooser.run("image", job(name))
    assert (own.ran, far.ran) == (["b"], ["a", "a", "a"])


def test_a_job_with_the_network_takes_room_of_the_own_engine() -> None:
    """It runs nowhere else, and others wait for it."""
    own, far = Engine(), Engine()
    own_place = place(own, jobs=[job("busy")], slots=2)
    chooser = PlaceChooser(own_place, [place(far)], Event())
    chooser.run("image", job("a"), only_own=True)
    assert (own.ran, far.ran) == (["a"], [])


def test_what_cannot_be_copied_runs_here_and_is_no_fault_of_the_engine() -> None:
    """A file of one service that cannot be read says nothing about the others."""

    def cannot_copy() -> ProbeResult:
        raise NotCopied("permission denied")

    own, far = Engine(), Engine(cannot_copy)
    far_place = place(far, slots=4)
    chooser = PlaceChooser(place(own, jobs=[job("busy")], slots=2), [far_place], Event())
    for number in range(MAX_REFUSALS + 2):
        assert chooser.run("image", job(f"{number}")).exit_reason is ExitReason.EXITED
    assert len(far.ran) == len(own.ran) == MAX_REFUSALS + 2
    assert (far_place.lost, far_place.jobs, chooser.notes()) == ("", [], [])


def test_a_job_that_needs_more_memory_than_an_engine_has_stays_here() -> None:
    """It would be ended there for that reason."""
    own, far = Engine(), Engine()
    chooser = PlaceChooser(place(own), [place(far, memory=2 * GIB)], Event())
    chooser.run("image", job(memory=3 * GIB))
    assert (own.ran, far.ran) == (["a"], [])


def test_the_jobs_of_a_lost_engine_run_elsewhere() -> None:
    """And the engine gets no further one."""
    own, dead = Engine(), Engine(lost)
    chooser = PlaceChooser(place(own, jobs=[job("busy")], slots=2), [place(dead, "dead", slots=9)], Event())
    for name in "abc":
        assert chooser.run("image", job(name)).exit_reason is ExitReason.EXITED
    assert (dead.ran, own.ran) == (["a"], ["a", "b", "c"])
    assert chooser.notes() == [
        "The engine dead was given up during the run, and its jobs ran elsewhere: the Docker engine does not answer."
    ]


def test_the_own_engine_stays_as_only_it_has_everything() -> None:
    """A job that it lost runs elsewhere; the next one is tried there again."""
    own, far = Engine(lost), Engine()
    chooser = PlaceChooser(place(own), [place(far)], Event())
    for name in "ab":
        assert chooser.run("image", job(name)).exit_reason is ExitReason.EXITED
    assert (own.ran, far.ran) == (["a", "b"], ["a", "b"])


def test_if_all_engines_are_lost_the_job_is_lost() -> None:
    """It is no verdict."""
    chooser = PlaceChooser(place(Engine(lost)), [place(Engine(lost))], Event())
    assert chooser.run("image", job()).exit_reason is ExitReason.ENGINE_LOST


@pytest.mark.parametrize("reason", [ExitReason.NOT_STARTED, ExitReason.DISK_FULL])
def test_what_an_engine_refuses_runs_elsewhere_and_after_some_refusals_it_gets_no_more(reason: ExitReason) -> None:
    """One job that cannot run there says nothing about the others."""
    own, far = Engine(), Engine(lambda: result(reason, "no space"))
    chooser = PlaceChooser(place(own, jobs=[job("busy")], slots=2), [place(far)], Event())
    for number in range(MAX_REFUSALS + 2):
        assert chooser.run("image", job(f"{number}")).exit_reason is ExitReason.EXITED
    assert len(far.ran) == MAX_REFUSALS
    assert len(own.ran) == MAX_REFUSALS + 2


def test_refusals_that_are_not_in_a_row_do_not_add_up() -> None:
    """An engine that runs jobs is all right."""
    answers = iter([ExitReason.NOT_STARTED, ExitReason.EXITED] * MAX_REFUSALS)
    own, far = Engine(), Engine(lambda: result(next(answers)))
    far_place = place(far)
    chooser = PlaceChooser(place(own, jobs=[job("busy")], slots=2), [far_place], Event())
    for number in range(2 * MAX_REFUSALS):
        chooser.run("image", job(f"{number}"))
    assert (len(far.ran), far_place.lost) == (2 * MAX_REFUSALS, "")


@pytest.mark.parametrize("reason", [ExitReason.TIMED_OUT, ExitReason.OUT_OF_MEMORY, ExitReason.KILLED])
def test_what_happens_to_a_job_is_its_result_wherever_it_ran(reason: ExitReason) -> None:
    """A second attempt would hide it."""
    own, far = Engine(), Engine(lambda: result(reason))
    chooser = PlaceChooser(place(own, jobs=[job("busy")], slots=2), [place(far)], Event())
    assert chooser.run("image", job()).exit_reason is reason
    assert own.ran == []


def test_a_cancelled_run_waits_for_no_room() -> None:
    """The runner answers what is left."""
    closing = Event()
    closing.set()
    own = Engine(lambda: result(ExitReason.CANCELLED))
    chooser = PlaceChooser(place(own, jobs=[job("busy")]), [], closing)
    assert chooser.run("image", job()).exit_reason is ExitReason.CANCELLED
