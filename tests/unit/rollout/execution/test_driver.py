"""The driver, on a target in memory; killed before and after each of its steps."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process_identity import this_process
from pytest_py312.core.progress.events import ActivityStarted, ProgressEvent
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.rollout.domain.events import Judged, SoakCredited
from pytest_py312.rollout.domain.journal import Journal, LostOwnership
from pytest_py312.rollout.domain.model import Deployment, StageRun, StageState, Verdict
from pytest_py312.rollout.domain.preconditions import StartConditions
from pytest_py312.rollout.domain.target_model import Container, LockHolder, ServiceSpec
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import Operator
from pytest_py312.rollout.targets.target import Readiness, ReadinessPhase, TargetRefused, TargetUnavailable
from tests.support.fakes import FakeTarget
from tests.unit.rollout.runs import spec

S = StageState
OLD, NEW = "old-3.9", "new-3.12"
SERVICES = ("auth", "user", "gateway")
DEAD = "boot/namespace/0/1/1"


class Killed(BaseException):
    """The process is gone: none of its ``except`` and ``finally`` blocks may matter."""


@pytest.fixture(autouse=True)
def _no_disk_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is killed here, not a machine."""
    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def target() -> FakeTarget:
    made = FakeTarget()
    for service in SERVICES:
        made.serve(service, OLD)
    return made


@pytest.fixture
def all_others_are_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    me = str(this_process())
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: process != me)


def driver(journal: Journal, target: FakeTarget, process: str = "", stopping: Callable[[], str] = lambda: "") -> Driver:
    me = Operator(name="release engineer", host="here", process=process or str(this_process()))
    times = itertools.count()
    return Driver(
        journal, target, me, stop_reason=stopping, pause=lambda seconds: None, stopwatch=lambda: float(next(times))
    )


def run_of(*services: str, image: str = NEW, **changes: object) -> StageRun:
    deployments = tuple(Deployment(spec=spec(name), image=image) for name in services or SERVICES)
    made = StageRun(
        run="r1", environment="test", stage=1, target=Interpreter(3, 12), deployments=deployments, soak=600.0
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # names are those of the fields


def accepted(journal: Journal, target: FakeTarget, run: StageRun) -> StageRun:
    mine = driver(journal, target)
    mine.deploy(run)
    journal.record(run.run, SoakCredited(seconds=600.0), owner=mine.owner)
    done = journal.record(run.run, Judged(verdict=Verdict.PASSED), owner=mine.owner)
    mine.detach(run.run)
    return done


# ---- up and back


def test_a_good_stage_is_brought_up_to_its_soak_and_holds_its_environment(journal: Journal, target: FakeTarget) -> None:
    run = driver(journal, target).deploy(run_of())
    assert run.state is S.SOAKING
    assert target.serving() == dict.fromkeys(SERVICES, NEW)
    assert target.locks["test"].run == "r1"
    kept = [one for one in target.containers.values() if not one.running]
    assert [one.image for one in kept] == [OLD] * 3


def test_what_a_deployment_does_is_reported(journal: Journal, target: FakeTarget) -> None:
    """As one service after another is deployed, and brought back."""
    events: list[ProgressEvent] = []
    target.unready.add(NEW)
    with PROGRESS.listening(events.append):
        driver(journal, target).deploy(run_of("auth"))
    activities = [f"{event.what} {event.subject}" for event in events if isinstance(event, ActivityStarted)]
    assert activities == ["looking at auth", "preparing auth", "switching auth", "waiting for auth", "restoring auth"]


def test_a_run_is_brought_up_step_by_step(journal: Journal, target: FakeTarget) -> None:
    mine = driver(journal, target)
    assert mine.begin(run_of()).state is S.LOCKED
    assert target.serving() == dict.fromkeys(SERVICES, OLD), "nothing is touched yet"
    assert mine.continue_run("r1", until=lambda run: run.state is not S.LOCKED).state is S.DEPLOYING
    run = mine.continue_run("r1", until=lambda run: run["auth"].ready)
    assert target.serving() == {**dict.fromkeys(SERVICES, OLD), "auth": NEW}
    assert mine.verify("r1", "auth") == ""
    assert mine.verify("r1", "user") == "it was not prepared"
    run = mine.continue_run("r1")
    assert run.state is S.SOAKING


def test_a_step_that_fails_is_brought_back_whatever_was_waited_for(journal: Journal, target: FakeTarget) -> None:
    mine = driver(journal, target)
    mine.begin(run_of())
    target.unready.add(NEW)
    assert mine.continue_run("r1", until=lambda run: run["user"].ready).state is S.ROLLED_BACK
    assert target.serving() == dict.fromkeys(SERVICES, OLD)


def test_the_last_of_three_is_broken_and_all_are_old_again(journal: Journal, target: FakeTarget) -> None:
    target.unready.add("broken-3.12")
    last = replace(
        run_of(), deployments=(*run_of("auth", "user").deployments, *run_of("gateway", image="broken-3.12").deployments)
    )
    run = driver(journal, target).deploy(last)
    assert (run.state, run.reason) == (S.ROLLED_BACK, "gateway: exit code 1")
    assert target.serving() == dict.fromkeys(SERVICES, OLD)
    assert len(target.containers) == 3
    assert target.locks == {}
    assert [step for step in target.steps if step.startswith("restore")] == [
        f"restore {name}" for name in reversed(SERVICES)
    ]
    notes = [entry.content for entry in journal.history("r1") if isinstance(entry.content, str)]
    assert any("gateway logged:\nthe log of it" in note for note in notes)


def test_another_interpreter_than_the_target_is_found_out(journal: Journal, target: FakeTarget) -> None:
    """It is healthy, but not what was to be deployed."""
    run = driver(journal, target).deploy(run_of(image="wrong-3.11"))
    assert (run.state, run.reason) == (S.ROLLED_BACK, "auth: it runs on Python 3.11, not on 3.12")
    assert target.serving() == dict.fromkeys(SERVICES, OLD)


@pytest.mark.parametrize("first", [False, True], ids=["in place of the previous version", "where nothing did before"])
def test_what_somebody_deploys_meanwhile_is_found_right_before_it_would_be_replaced_and_left_alone(
    journal: Journal, target: FakeTarget, first: bool
) -> None:
    """In the rollback, too: what this run deployed is restored, and the foreign container keeps serving."""
    services = ("auth", "billing" if first else "user")

    def by_hand(step: str) -> None:
        if step == f"prepare {services[1]}":
            for key, container in target.containers.items():
                if container.name == services[1]:
                    container.name, container.running = f"{services[1]}.{key}", False
            target.serve(services[1], "hotfix-3.9")

    target.before = by_hand
    run = driver(journal, target).deploy(run_of(*services))
    assert run.state is S.ROLLED_BACK
    where = "where nothing did before" if first else "in place of id2 of image old-3.9"
    assert f"{services[1]}: id5 of image hotfix-3.9 serves {where}" in run.reason
    assert run.reason.endswith("deployed by someone else, serves and was left as it is")
    others = {"user": OLD} if first else {}
    assert target.serving() == {"auth": OLD, "gateway": OLD, services[1]: "hotfix-3.9"} | others
    assert not [container for container in target.containers.values() if container.run == run.run], (
        "nothing of ours is left"
    )
    assert driver(journal, target).recover("test") == []


def test_what_is_gone_meanwhile_is_not_replaced_without_a_word(journal: Journal, target: FakeTarget) -> None:
    def removed(step: str) -> None:
        if step == "prepare auth":
            del target.containers["id1"]

    target.before = removed
    run = driver(journal, target).deploy(run_of("auth"))
    assert "id1 of image old-3.9 was removed by someone else during this run" in run.reason


def test_without_its_image_nothing_is_touched(journal: Journal, target: FakeTarget) -> None:
    target.missing.add(NEW)
    run = driver(journal, target).deploy(run_of())
    assert (run.state, run.reason) == (S.ROLLED_BACK, f"auth: there is no image {NEW}")
    assert not any(step.startswith("prepare user") for step in target.steps)


def test_what_served_nothing_before_is_removed_again(journal: Journal) -> None:
    target = FakeTarget(unready={NEW})
    run = driver(journal, target).deploy(run_of("auth"))
    assert run.state is S.ROLLED_BACK
    assert target.containers == {}


def test_a_stopped_service_cannot_be_rolled_back_to(journal: Journal, target: FakeTarget) -> None:
    next(one for one in target.containers.values() if one.name == "user").running = False
    run = driver(journal, target).deploy(run_of())
    assert run.state is S.ROLLED_BACK
    assert "is not running, so there is no version to roll back to" in run.reason
    assert not any(step.startswith("prepare") for step in target.steps)


def test_an_unhealthy_service_cannot_be_rolled_back_to(journal: Journal, target: FakeTarget) -> None:
    target.unready.add(OLD)
    run = driver(journal, target).deploy(run_of())
    assert run.state is S.ROLLED_BACK
    assert "what serves now is not well (exit code 1)" in run.reason
    assert not any(step.startswith("prepare") for step in target.steps)


def test_a_blocked_rollback_is_reported_and_tried_again(journal: Journal, target: FakeTarget) -> None:
    mine = driver(journal, target)
    mine.deploy(run_of())

    def blocked(step: str) -> None:
        if step == "restore user":
            raise TargetRefused("its image is gone")

    target.before = blocked
    run = mine.rollback("r1", reason="by hand")
    assert run.state is S.ROLLBACK_FAILED
    assert run.reason == "by hand; user could not be brought back: its image is gone"
    assert target.serving() == {"auth": OLD, "user": NEW, "gateway": OLD}
    assert "test" in target.locks
    target.before = lambda step: None
    assert [found.state for found in driver(journal, target).recover("test")] == [S.ROLLED_BACK]
    assert target.serving() == dict.fromkeys(SERVICES, OLD)
    assert target.locks == {}


def test_a_rollback_waits_for_a_target_that_does_not_answer(journal: Journal, target: FakeTarget) -> None:
    mine = driver(journal, target)
    mine.deploy(run_of())
    left = [3]

    def away(step: str) -> None:
        if step.startswith("restore") and left[0]:
            left[0] -= 1
            raise TargetUnavailable("the engine does not answer")

    target.before = away
    assert mine.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert left == [0]


def test_asked_to_stop_while_deploying_it_rolls_back(journal: Journal, target: FakeTarget) -> None:
    words = itertools.chain([""] * 5, itertools.repeat("SIGTERM"))
    run = driver(journal, target, stopping=lambda: next(words)).deploy(run_of())
    assert run.state is S.ROLLED_BACK
    assert "interrupted by SIGTERM" in run.reason
    assert target.serving() == dict.fromkeys(SERVICES, OLD)


def test_asked_to_stop_it_does_not_wait_for_a_new_version(journal: Journal, target: FakeTarget) -> None:
    """Nor does the reason count as a failure of the new version, which is not deployed again by itself."""
    asked: list[str] = []

    def starting(spec: ServiceSpec, container: Container) -> Readiness:
        is_new = target.containers[container.id].image == NEW
        asked.extend([spec.service] if is_new else [])
        return Readiness(phase=ReadinessPhase.STARTING if is_new else ReadinessPhase.READY, is_probed=True)

    target.readiness = starting  # type: ignore[method-assign]  # of this target only
    run = driver(journal, target, stopping=lambda: "SIGHUP" if len(asked) == 2 else "").deploy(run_of("auth"))
    assert (run.state, run.reason) == (S.ROLLED_BACK, "auth: interrupted by SIGHUP")
    assert asked == ["auth", "auth"]
    assert target.serving()["auth"] == OLD


def test_interrupted_in_the_middle_of_an_act_it_goes_back_and_passes_it_on(
    journal: Journal, target: FakeTarget
) -> None:
    """Twice: once while deploying, once while rolling back."""
    left = [2]

    def interrupt(step: str) -> None:
        if step == "switch user" and left[0]:
            left[0] -= 1
            raise KeyboardInterrupt

    target.after = interrupt
    with pytest.raises(KeyboardInterrupt):
        driver(journal, target).deploy(run_of())
    assert journal.load_run("r1").state is S.ROLLED_BACK
    assert target.serving() == dict.fromkeys(SERVICES, OLD)
    assert target.locks == {}


# ---- the old version beside the new one


def run_with_control(**changes: object) -> StageRun:
    """A run of which the service ``user`` wants a control."""
    return run_of(**changes).with_deployment("user", wants_control=True)  # type: ignore[arg-type]  # as run_of has them


def test_a_control_runs_while_the_stage_is_watched_and_no_longer(journal: Journal, target: FakeTarget) -> None:
    run = driver(journal, target).deploy(run_with_control())
    assert run.state is S.SOAKING
    assert target.serving() == {**dict.fromkeys(SERVICES, NEW), "user.control": OLD}
    assert run["user"].control is not None
    target.containers.pop(run["user"].control.id)  # somebody has removed it: all the same
    accepted_now(journal, target)
    assert target.serving() == dict.fromkeys(SERVICES, NEW)
    assert target.locks == {}
    assert journal.load_run("r1")["user"].control_removed


def accepted_now(journal: Journal, target: FakeTarget) -> None:
    mine = driver(journal, target)
    journal.acquire("r1", owner=mine.owner)
    journal.record("r1", SoakCredited(seconds=600.0), owner=mine.owner)
    journal.record("r1", Judged(verdict=Verdict.PASSED), owner=mine.owner)
    mine.detach("r1")


def test_a_control_that_cannot_start_is_recorded_and_nothing_is_rolled_back(
    journal: Journal, target: FakeTarget
) -> None:
    def sick(step: str) -> None:
        if step == "start control user":
            target.unready.add(OLD)

    target.after = sick
    run = driver(journal, target).deploy(run_with_control())
    assert (run.state, run["user"].control, run["user"].no_control_reason) == (S.SOAKING, None, "exit code 1")
    assert target.serving() == dict.fromkeys(SERVICES, NEW)


def test_a_new_service_has_no_control(journal: Journal) -> None:
    run = driver(journal, FakeTarget()).deploy(run_with_control())
    assert (run.state, run["user"].no_control_reason) == (S.SOAKING, "nothing served before")


def test_a_leftover_control_is_removed_by_the_next_process(journal: Journal, target: FakeTarget) -> None:
    driver(journal, target).deploy(run_with_control())

    def away(step: str) -> None:
        if step == "remove control user":
            raise TargetUnavailable("the engine does not answer")

    target.before = away
    accepted_now(journal, target)
    assert target.serving()["user.control"] == OLD
    assert journal.load_run("r1").is_completed
    target.before = lambda step: None
    assert [run.state for run in driver(journal, target).recover("test")] == [S.ACCEPTED]
    assert "user.control" not in target.serving()
    assert driver(journal, target).recover("test") == []


def test_a_rollback_removes_the_control(journal: Journal, target: FakeTarget) -> None:
    mine = driver(journal, target)
    mine.deploy(run_with_control())
    assert mine.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert target.serving() == dict.fromkeys(SERVICES, OLD)
    assert len(target.containers) == 3


# ---- killed


def killed_at(number: int, when: str, target: FakeTarget) -> Callable[[str], None]:
    """The process ends at its ``number``-th step, before or after it is done."""
    counter = itertools.count(1)

    def kill(step: str) -> None:
        if next(counter) == number:
            raise Killed(step)

    setattr(target, when, kill)
    return kill


@pytest.mark.usefixtures("all_others_are_dead")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("again", [None, 2])
def test_killed_at_any_step_the_next_start_makes_it_all_old(tmp_path: Path, when: str, again: int | None) -> None:
    """Or the deployment was finished and all is new. The recovery is killed as well, at its ``again``-th step."""
    for number in itertools.count(1):
        journal = Journal(tmp_path / str(number))
        target = FakeTarget()
        for service in SERVICES:
            target.serve(service, OLD)
        killed_at(number, when, target)
        survived = False
        try:
            driver(journal, target, process=DEAD).deploy(run_with_control())
            survived = True
        except Killed:
            pass
        if again is not None:
            killed_at(again, when, target)
            with suppress(Killed):
                driver(journal, target, process=f"{DEAD}2").recover("test")
        target.before = target.after = lambda step: None
        driver(journal, target).recover("test")
        states = [run.state for run in journal.current_runs("test")]
        journal.close()
        if survived:
            assert states == [S.SOAKING]
            assert target.serving() == {**dict.fromkeys(SERVICES, NEW), "user.control": OLD}
            return
        assert states in ([S.ROLLED_BACK], []), number
        assert target.serving() == dict.fromkeys(SERVICES, OLD), number
        assert len(target.containers) == 3, number
        assert target.locks == {}, number


@pytest.mark.usefixtures("all_others_are_dead")
def test_a_target_may_finish_what_a_dead_process_asked_of_it_before_it_is_undone(
    journal: Journal, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it creates the new container only after the process that requested it has died."""
    prepare, late = target.prepare, list[Callable[[], object]]()

    def die_asking(one: ServiceSpec, *, image: str, run: str) -> Container:
        late.append(lambda: prepare(one, image=image, run=run))
        raise Killed

    monkeypatch.setattr(target, "prepare", die_asking)
    with suppress(Killed):
        driver(journal, target, process=DEAD).deploy(run_of())
    me = Operator(name="another", host="here", process=str(this_process()))

    def time_passes(seconds: float = 0.0) -> None:
        while late:
            late.pop()()

    Driver(journal, target, me, pause=time_passes).recover("test")
    time_passes()

    assert target.serving() == dict.fromkeys(SERVICES, OLD)
    assert len(target.containers) == len(SERVICES)


@pytest.mark.parametrize("command", ["recover", "rollback"])
@pytest.mark.usefixtures("all_others_are_dead")
def test_killed_when_all_was_done_but_the_lock_the_next_start_gives_it_back(
    journal: Journal, target: FakeTarget, command: str
) -> None:
    mine = driver(journal, target)
    mine.deploy(run_of())
    left = replace(target.locks["test"], process=DEAD)
    mine.rollback("r1", reason="by hand")
    target.locks["test"] = left
    if command == "recover":
        assert driver(journal, target).recover("test") == []
    else:
        assert driver(journal, target).rollback("r1", reason="again").state is S.ROLLED_BACK
    assert target.locks == {}


@pytest.mark.usefixtures("all_others_are_dead")
def test_killed_before_anything_was_written_the_lock_keeps_nobody_out(journal: Journal, target: FakeTarget) -> None:
    target.locks["test"] = LockHolder(
        name="somebody", host="here", process=DEAD, journal=journal.identity, run="never-begun", stage=2, since=""
    )
    assert driver(journal, target).deploy(run_of()).state is S.SOAKING


@pytest.mark.usefixtures("all_others_are_dead")
def test_a_soak_goes_on_in_another_process(journal: Journal, target: FakeTarget) -> None:
    driver(journal, target, process=DEAD).deploy(run_of())
    assert driver(journal, target).recover("test") == []
    run = driver(journal, target).attach("r1")
    assert run.state is S.SOAKING
    assert target.locks["test"].process == str(this_process())
    assert target.serving() == dict.fromkeys(SERVICES, NEW)


# ---- two at once


def test_the_second_operator_learns_who_holds_the_lock(journal: Journal, target: FakeTarget, tmp_path: Path) -> None:
    """With the same journal or another one, as long as the first process may be alive."""
    mine = str(this_process())
    theirs = LockHolder(
        name="night shift",
        host="build-7",
        process=mine,
        journal="another",
        run="r7",
        stage=2,
        since="2026-11-25T20:00:00Z",
    )
    target.locks["test"] = theirs
    with pytest.raises(RolloutRefused, match=r"held by night shift on build-7 \(stage 2, run r7, since 2026-11-25T20"):
        driver(journal, target).deploy(run_of())
    assert target.locks["test"] == theirs
    assert journal.current_runs() == []
    assert not any(step.startswith("prepare") for step in target.steps)


def test_what_a_living_process_does_is_not_recovered(
    journal: Journal, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: False)
    killed_at(6, "before", target)
    with pytest.raises(Killed):
        driver(journal, target, process="another").deploy(run_of())
    target.before = lambda step: None
    serving_before = target.serving()
    for attempt in (
        lambda: driver(journal, target).recover("test"),
        lambda: driver(journal, target).deploy(run_of(run="r2")),
    ):
        with pytest.raises(RolloutRefused, match="held by release engineer"):
            attempt()
    assert target.serving() == serving_before


def test_a_process_that_lost_the_lock_changes_nothing_more(journal: Journal, target: FakeTarget) -> None:
    """It was taken for dead while it was suspended in the middle of a deployment."""

    def stolen(step: str) -> None:
        if step == "prepare user":
            target.locks["test"] = replace(target.locks["test"], process="another")

    target.after = stolen
    with pytest.raises(LostOwnership, match="this process stops"):
        driver(journal, target).deploy(run_of())
    assert not any(step.startswith("switch user") for step in target.steps)


def test_a_lock_that_somebody_swept_away_is_taken_again(journal: Journal, target: FakeTarget) -> None:
    def swept(step: str) -> None:
        if step == "prepare user":
            target.locks.clear()

    target.after = swept
    assert driver(journal, target).deploy(run_of()).state is S.SOAKING
    assert target.locks["test"].run == "r1"
    assert "the lock of test was gone, and was taken again" in [entry.content for entry in journal.history("r1")]


def test_a_soak_that_was_left_in_order_is_gone_on_with_from_anywhere(
    journal: Journal, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine, or after a reboot, it cannot be known that a process is dead: it has to release its run."""
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: False)
    first, second, third = (driver(journal, target, process=f"job {number}") for number in (1, 2, 3))
    first.deploy(run_of())
    first.release("r1")
    with pytest.raises(LostOwnership):
        journal.record("r1", SoakCredited(seconds=1.0), owner=first.owner)
    second.attach("r1")
    with pytest.raises(RolloutRefused, match="only one operator at a time"):
        third.attach("r1")
    second.release("r1")
    assert third.attach("r1").state is S.SOAKING
    journal.record("r1", SoakCredited(seconds=1.0), owner=third.owner)


def test_a_rollback_by_hand_takes_a_healthy_soak_from_its_watcher(
    journal: Journal, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: False)
    watcher = driver(journal, target, process="watcher")
    watcher.deploy(run_of())
    with pytest.raises(RolloutRefused, match="only one operator at a time"):
        driver(journal, target).attach("r1")
    assert driver(journal, target).rollback("r1", reason="by hand").state is S.ROLLED_BACK
    with pytest.raises(LostOwnership):
        journal.record("r1", SoakCredited(seconds=1.0), owner=watcher.owner)


def test_a_lock_of_somewhere_else_needs_force(journal: Journal, target: FakeTarget) -> None:
    target.locks["test"] = LockHolder(
        name="night shift", host="build-7", process="elsewhere", journal="another", run="r7", stage=2, since=""
    )
    mine = driver(journal, target)
    with pytest.raises(RolloutRefused, match="--force"):
        mine.locks.unlock("test", force=False)
    found = mine.locks.unlock("test", force=True)
    assert found is not None
    assert found.host == "build-7"
    assert mine.locks.unlock("test", force=False) is None


# ---- beside other stages


def test_later_stages_wait_and_are_invalidated(journal: Journal, target: FakeTarget) -> None:
    target.serve("billing", OLD)
    second = run_of("billing", run="r2", stage=2)
    with pytest.raises(RolloutRefused, match="stage 1 was never deployed"):
        driver(journal, target).deploy(second, StartConditions(earlier_stages=(1,)))
    accepted(journal, target, run_of())
    assert accepted(journal, target, second).is_completed
    mine = driver(journal, target)
    assert mine.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert journal.load_run("r2").stale == "stage 1, on which it depends, was rolled back"
    assert not journal.load_run("r2").is_completed


def test_what_was_changed_by_hand_is_noticed_before_the_next_stage(journal: Journal, target: FakeTarget) -> None:
    accepted(journal, target, run_of())
    next(one for one in target.containers.values() if one.name == "user").image = "by-hand-3.12"
    with pytest.raises(RolloutRefused, match=r"by-hand-3\.12 serves it now"):
        driver(journal, target).deploy(run_of("user", run="r2", stage=2), StartConditions(earlier_stages=(1,)))


def test_a_rollback_of_what_is_back_already_changes_nothing(journal: Journal, target: FakeTarget) -> None:
    mine = driver(journal, target)
    mine.deploy(run_of())
    once = mine.rollback("r1", reason="by hand")
    steps = len(target.steps)
    assert mine.rollback("r1", reason="again") == once
    assert len(target.steps) == steps


def test_a_deployment_that_changed_nothing_does_not_block_a_rollback(journal: Journal, target: FakeTarget) -> None:
    """What serves has become unhealthy since it was accepted: it is not deployed again, but can be rolled back."""
    target.serve("billing", OLD)
    accepted(journal, target, run_of())
    accepted(journal, target, run_of("billing", run="later", image="also-3.12", stage=2))
    target.unready.add(NEW)
    mine = driver(journal, target)
    assert mine.deploy(run_of(run="r2", image="newer-3.12")).state is S.ROLLED_BACK
    stands, later = journal.current_runs("test")
    assert (stands.run, stands.state) == ("r1", S.ACCEPTED)
    assert later.is_completed, "nothing was changed under it"
    assert mine.rollback(stands.run, reason="by hand").state is S.ROLLED_BACK
    assert target.serving() == dict.fromkeys(SERVICES, OLD) | {"billing": "also-3.12"}
    assert not journal.load_run("later").is_completed


@pytest.mark.usefixtures("all_others_are_dead")
def test_killed_while_rolling_back_an_earlier_run_the_next_start_finishes_it(
    journal: Journal, target: FakeTarget
) -> None:
    """Although a later run, which was rolled back to it, was the newest until then."""
    accepted(journal, target, run_of("auth"))
    target.unready = {"newer-3.12"}
    later = driver(journal, target).deploy(run_of("auth", run="r2", image="newer-3.12"))
    assert (later.state, target.serving()["auth"]) == (S.ROLLED_BACK, NEW)
    below = journal.restored_run(later)
    assert below is not None
    assert (below.run, journal.current_runs()[0].run) == ("r1", "r2")

    def kill(step: str) -> None:
        if step == "restore auth":
            raise Killed

    target.before = kill
    with pytest.raises(Killed):
        driver(journal, target, DEAD).rollback("r1", reason="by hand")
    target.before = lambda step: None
    assert [(run.run, run.state) for run in journal.current_runs()] == [("r1", S.ROLLING_BACK)]
    assert [(run.run, run.state) for run in driver(journal, target).recover("test")] == [("r1", S.ROLLED_BACK)]
    assert target.serving()["auth"] == OLD
    assert journal.current_runs()[0].run == "r1"


def test_redeploying_a_stage_invalidates_later_ones(journal: Journal, target: FakeTarget) -> None:
    target.serve("billing", OLD)
    accepted(journal, target, run_of())
    accepted(journal, target, run_of("billing", run="later", stage=2))
    assert driver(journal, target).deploy(run_of(run="r2", image="newer-3.12")).state is S.SOAKING
    assert journal.load_run("later").stale == "stage 1, on which it depends, was deployed again"
