"""What workers report arrives at their controller, in order and with names of its own."""

from pathlib import Path

from pytest_py312.core.progress.events import (
    ActivityCounted,
    ActivityEnded,
    ActivityStarted,
    ItemsAnswered,
    ProgressEvent,
    RunPlanned,
)
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.progress.relay import EventReader, EventWriter

EVENTS: list[ProgressEvent] = [
    RunPlanned(items={"a": 1.5}, parallel=2, at=1.0),
    ActivityStarted(activity="1", worker="7", what="suite", subject="健康 3.12", item="a", at=2.0),
    ActivityCounted(activity="1", done=1, total=2),
    ActivityEnded(activity="1", at=3.0),
    ItemsAnswered(items=("b", "c"), at=4.0),
]


def test_events_of_two_workers(tmp_path: Path) -> None:
    reader = EventReader(tmp_path)
    for name in ("gw0", "gw1"):
        writer = EventWriter(tmp_path, name)
        for event in EVENTS:
            writer.write(event)
    read = list(reader.read())
    assert read[1] == ActivityStarted(
        activity="gw0/1", worker="gw0/7", what="suite", subject="健康 3.12", item="a", at=2.0
    )
    assert read[2:4] == [ActivityCounted(activity="gw0/1", done=1, total=2), ActivityEnded(activity="gw0/1", at=3.0)]
    assert [type(event) for event in read] == [type(event) for event in EVENTS] * 2
    assert (read[0], read[4]) == (EVENTS[0], EVENTS[4])
    assert list(reader.read()) == []


def test_a_line_that_is_not_complete_is_read_later(tmp_path: Path) -> None:
    reader, writer = EventReader(tmp_path), EventWriter(tmp_path, "gw0")
    writer.write(EVENTS[0])
    file = tmp_path / "progress-gw0.jsonl"
    content = file.read_bytes()
    file.write_bytes(content[:-10])
    assert list(reader.read()) == []
    file.write_bytes(content)
    assert list(reader.read()) == [EVENTS[0]]


def test_a_worker_that_cannot_write_goes_on(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "missing", "gw0")
    writer.start()
    with PROGRESS.activity("suite", "a"):
        pass
    writer.stop()
    assert list(EventReader(tmp_path / "missing").read()) == []


def test_a_worker_reports_while_it_is_started(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path, "gw0")
    writer.start()
    with PROGRESS.activity("suite", "a"):
        pass
    writer.stop()
    writer.stop()
    PROGRESS.answer(["late"])
    assert [type(event) for event in EventReader(tmp_path).read()] == [ActivityStarted, ActivityEnded]


def test_a_line_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """Two threads may write a long event at once, and the display of all others goes on."""
    EventWriter(tmp_path, "gw0").write(EVENTS[0])
    with (tmp_path / "progress-gw0.jsonl").open("a", encoding="ascii") as file:
        file.write('["RunPlanned", {"items": ["Activ\n["Gone", {}]\n[]\n["ItemsAnswered", {}]\n')
    EventWriter(tmp_path, "gw0").write(EVENTS[4])
    assert list(EventReader(tmp_path).read()) == [EVENTS[0], EVENTS[4]]
