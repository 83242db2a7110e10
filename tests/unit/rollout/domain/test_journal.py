"""The journal of rollouts."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_py312.core.errors import RolloutRefused, StateError
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.events import (
    AcceptanceInvalidated,
    Breached,
    Decided,
    DeployFailed,
    Drifted,
    Event,
    Judged,
    Locked,
    Observed,
    Prepared,
    RestoreFailed,
    Resumed,
    RollbackRequested,
    SoakCredited,
)
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, Journal, LostOwnership
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import (
    Act,
    Breach,
    BreachSeverity,
    Intent,
    Reaction,
    StageRun,
    StageState,
    Verdict,
)
from pytest_py312.rollout.domain.next_act import next_act
from pytest_py312.rollout.domain.state_machine import IllegalEvent, advance
from pytest_py312.rollout.domain.target_model import Container
from tests.unit.rollout.runs import planned, success

ME, ANOTHER = "boot/ns/0/1/1", "boot/ns/0/2/2"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path)
    yield opened
    opened.close()


def written_to_its_soak(journal: Journal, run: StageRun) -> StageRun:
    """Return the run after all acts up to its soak, each with its intent."""
    journal.begin(run, owner=ME)
    run = journal.record(run.run, Locked(), owner=ME)
    while (intent := next_act(run)) is not None:
        journal.record_intent(run.run, intent, owner=ME)
        run = journal.record(run.run, success(intent), owner=ME)
    return run


def test_a_run_is_what_its_events_make_of_it_in_any_process(tmp_path: Path, journal: Journal) -> None:
    run = written_to_its_soak(journal, planned())
    assert run.state is StageState.SOAKING
    other = Journal(tmp_path)
    assert other.load_run("r1") == run
    assert other.current_runs() == [run]
    other.close()


def test_what_was_begun_and_not_ended_is_known(journal: Journal) -> None:
    run = planned()
    journal.begin(run, owner=ME)
    journal.record("r1", Locked(), owner=ME)
    assert journal.open_intent("r1") is None
    intent = Intent(act=Act.OBSERVE, service="auth")
    journal.record_intent("r1", intent, owner=ME)
    assert journal.open_intent("r1") == intent
    journal.record("r1", success(intent), owner=ME)
    assert journal.open_intent("r1") is None


def test_what_cannot_happen_is_not_written(journal: Journal) -> None:
    journal.begin(planned(), owner=ME)
    with pytest.raises(IllegalEvent):
        journal.record("r1", Judged(verdict=Verdict.PASSED), owner=ME)
    assert journal.history("r1") == []


def test_who_was_taken_for_dead_writes_nothing_any_more(journal: Journal) -> None:
    run = planned()
    journal.begin(run, owner=ME)
    journal.record("r1", Locked(), owner=ME)
    assert journal.acquire("r1", owner=ANOTHER).state is StageState.LOCKED
    intent = Intent(act=Act.OBSERVE, service="auth")
    sample = Sample(service="auth", slot=1, at=Timestamp(wall=1.0, boottime=1.0, boot="b"))
    with pytest.raises(LostOwnership, match="run r1 is now owned by another process"):
        journal.record_intent("r1", intent, owner=ME)
    with pytest.raises(LostOwnership):
        journal.record("r1", success(intent), owner=ME)
    with pytest.raises(LostOwnership):
        journal.add_samples("r1", [sample], owner=ME)
    assert len(journal.history("r1")) == 1
    journal.record("r1", Resumed(), owner=ANOTHER)
    assert journal.load_run("r1").state is StageState.ROLLED_BACK


def test_the_newest_run_of_each_stage_counts(journal: Journal) -> None:
    for number, (environment, stage) in enumerate([("test", 1), ("test", 2), ("prod", 1), ("test", 1)]):
        journal.begin(planned(run=f"r{number}", environment=environment, stage=stage), owner=ME)
    assert [run.run for run in journal.current_runs()] == ["r2", "r3", "r1"]
    assert [run.run for run in journal.current_runs("prod")] == ["r2"]


def test_a_name_that_is_no_text_is_refused(journal: Journal) -> None:
    """A shell passes on whatever bytes were typed."""
    with pytest.raises(StateError, match="cannot be stored"):
        journal.run_names("\udcff")


def test_one_run_has_one_name(journal: Journal) -> None:
    journal.begin(planned(), owner=ME)
    with pytest.raises(StateError, match="UNIQUE"):
        journal.begin(planned(), owner=ME)


def test_a_slot_has_one_sample_from_whichever_process(journal: Journal) -> None:
    journal.begin(planned(), owner=ME)
    first, again, other = (
        Sample(
            service="user",
            slot=slot,
            at=Timestamp(wall=1000.0 + slot, boottime=10.0 + slot, boot="b"),
            measurements=(
                Measurement(metric="health", result=result, value=0.1),
                Measurement(metric="errors", result=Result.INCONCLUSIVE, detail="3 requests of 50"),
            ),
        )
        for slot, result in ((1, Result.SUCCESSFUL), (1, Result.FAILED), (2, Result.ERROR))
    )
    assert journal.add_samples("r1", [first], owner=ME) == 1
    assert journal.add_samples("r1", [again, other], owner=ME) == 1
    assert journal.samples("r1", "user") == [first, other]
    assert journal.samples("r1", "user", first_slot=2) == [other]
    assert journal.samples("r1", "auth") == []


def test_samples_of_old_runs_are_forgotten_and_their_history_is_not(journal: Journal) -> None:
    sample = Sample(service="auth", slot=1, at=Timestamp(wall=1.0, boottime=1.0, boot="b"))
    for number in range(4):
        journal.begin(planned(run=f"r{number}"), owner=ME, retain=2)
        journal.record(f"r{number}", Locked(), owner=ME)
        journal.add_samples(f"r{number}", [sample], owner=ME)
    assert [len(journal.samples(f"r{number}", "auth")) for number in range(4)] == [0, 0, 1, 1]
    assert [len(journal.history(f"r{number}")) for number in range(4)] == [1, 1, 1, 1]


def test_notes_stand_between_events_and_change_nothing(journal: Journal) -> None:
    journal.begin(planned(), owner=ME)
    journal.add_note("r1", "the clock was set back by 3600 s")
    journal.record("r1", Locked(), owner=ME)
    assert [entry.content for entry in journal.history("r1")] == ["the clock was set back by 3600 s", Locked()]
    assert journal.load_run("r1").state is StageState.LOCKED


def test_without_room_nothing_is_begun(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_py312.rollout.domain.journal.MIN_FREE_BYTES", 2**62)
    with pytest.raises(RolloutRefused, match="MiB are free where the journal is stored"):
        journal.begin(planned(), owner=ME)
    assert journal.current_runs() == []


def test_a_damaged_journal_is_reported_and_not_recreated(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(StateError, match="must not be lost"):
        Journal(tmp_path)
    assert (tmp_path / JOURNAL_FILE).read_bytes().startswith(b"not a database")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE entries SET kind = 'Landed'", "unknown kind 'Landed'"),
        ("UPDATE entries SET document = '[]'", "a Locked in it cannot be read"),
        ("INSERT INTO entries SELECT run, 2, at, kind, document FROM entries", "Locked in a stage that is locked"),
        ("UPDATE runs SET document = '[]'", "a StageRun in it cannot be read"),
    ],
)
def test_a_foreign_entry_is_reported(tmp_path: Path, journal: Journal, statement: str, message: str) -> None:
    journal.begin(planned(), owner=ME)
    journal.record("r1", Locked(), owner=ME)
    connection = sqlite3.connect(tmp_path / JOURNAL_FILE)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(StateError, match=message):
        journal.load_run("r1")


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / JOURNAL_FILE)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StateError, match="another version of this tool"):
        Journal(tmp_path)


texts = st.text(max_size=20)
breaches = st.builds(
    Breach,
    service=texts,
    metric=texts,
    severity=st.sampled_from(BreachSeverity),
    reaction=st.sampled_from(Reaction),
    detail=texts,
)
any_event: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Observed,
        service=texts,
        old=st.one_of(st.none(), st.builds(Container, id=texts, image=texts)),
        interpreter=st.sampled_from([None, Interpreter(3, 9), Interpreter(3, 12)]),
    ),
    st.builds(Prepared, service=texts, new=st.builds(Container, id=texts, image=texts)),
    st.builds(DeployFailed, service=texts, reason=texts),
    st.builds(SoakCredited, seconds=st.floats(0, 1e6)),
    st.builds(Breached, breach=breaches),
    st.builds(Drifted, service=texts, detail=texts, slot=st.integers(0, 10**6)),
    st.builds(Judged, verdict=st.sampled_from(Verdict), reason=texts),
    st.builds(Decided, accept=st.booleans(), by=texts, reason=texts),
    st.builds(RollbackRequested, reason=texts, services=st.lists(texts, max_size=3).map(tuple)),
    st.builds(RestoreFailed, service=texts, reason=texts),
    st.builds(AcceptanceInvalidated, reason=texts),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(any_event)
def test_every_event_comes_back_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, event: Event
) -> None:
    """Only the storage is tested here; the event changes nothing."""
    monkeypatch.setattr("pytest_py312.rollout.domain.journal.advance", lambda run, event: run)
    if not journal.current_runs():
        journal.begin(planned(), owner=ME)
    journal.record("r1", event, owner=ME)
    assert journal.history("r1")[-1].content == event


def test_each_event_is_advanced_as_the_machine_says(journal: Journal) -> None:
    """Journal and state machine agree."""
    run = written_to_its_soak(journal, planned("auth"))
    for event in (SoakCredited(seconds=3600.0), Judged(verdict=Verdict.PASSED), RollbackRequested(reason="by hand")):
        expected = advance(run, event)
        run = journal.record("r1", event, owner=ME)
        assert run == expected
