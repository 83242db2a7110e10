"""The progress as text: no line is wider than the terminal, and none brings control characters into it."""

import pytest

from pytest_py312.core.progress.events import ActivityCounted, ActivityStarted, ProgressEvent, RunPlanned
from pytest_py312.core.progress.lines import live_lines, waiting_line
from pytest_py312.core.progress.state import RunProgress
from pytest_py312.core.text import TerminalFormat, display_width


def progress_of(*subjects: str, count: tuple[int, int] = (0, 0)) -> RunProgress:
    """Return the progress of a run in which each worker runs a suite, of which the first is counted."""
    events: list[ProgressEvent] = [RunPlanned(items={"a": 90.0, "b": 90.0}, parallel=2, at=0.0)]
    events += [
        ActivityStarted(activity=str(number), worker=str(number), what="suite", subject=subject, at=float(number))
        for number, subject in enumerate(subjects)
    ]
    events.append(ActivityCounted(activity="0", done=count[0], total=count[1]))
    progress = RunProgress()
    for event in events:
        progress = progress.after(event)
    return progress


def shown(progress: RunProgress, *, width: int = 80, height: int = 10, unicode: bool = True) -> list[str]:
    layout = TerminalFormat(width=width, unicode=unicode, verbosity=0)
    return [line.text for line in live_lines(progress, started=0.0, now=12.0, layout=layout, height=height)]


def test_one_line_for_each_worker_and_one_for_the_run() -> None:
    assert shown(progress_of("user-service 3.12", "auth-service 3.11", count=(214, 380))) == [
        "  suite user-service 3.12, 214 of 380 tests  12 s",
        "  suite auth-service 3.11  11 s",
        "py312: 0 of 2 items, 12 s, about 1 m 18 s left",
    ]


def test_a_number_of_tests_that_is_not_known_yet() -> None:
    assert shown(progress_of("a", count=(1, 0)))[0] == "  suite a, 1 test  12 s"
    assert shown(progress_of("a", count=(3, 2)))[0] == "  suite a, 3 tests  12 s"


def test_what_has_no_room_is_a_number() -> None:
    lines = shown(progress_of(*"abcdef"), height=4)
    assert lines == [
        "  suite a  12 s",
        "  suite b  11 s",
        "  and 4 more",
        "py312: 0 of 2 items, 12 s, about 1 m 18 s left",
    ]
    assert shown(progress_of(*"abcdef"), height=1) == lines[-1:]
    assert shown(progress_of(*"abcdef"), height=0) == []


@pytest.mark.parametrize("width", [10, 20, 40, 60, 80, 120, 240])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_reaches_the_last_column(width: int, unicode: bool) -> None:
    progress = progress_of("健康数据服务" * 10, "a-service-with-a-name-" * 9 + "3.12", count=(214, 380))
    lines = shown(progress, width=width, unicode=unicode)
    assert max(map(display_width, lines)) < width
    assert unicode or "".join(lines).isascii()


def test_a_long_name_loses_its_middle_and_not_the_count() -> None:
    lines = shown(progress_of("health-" * 20 + "service 3.11", count=(214, 380)), width=70)
    assert lines[0].startswith("  suite health-")
    assert lines[0].endswith("service 3.11, 214 of 380 tests  12 s")


def test_names_cannot_control_the_terminal() -> None:
    progress = progress_of("evil\x1b[2J\u202e\x07 3.12")
    assert shown(progress)[0] == "  suite evil\\u202e\\x07 3.12  12 s"
    assert waiting_line(progress, started=0.0, now=12.0).isprintable()


def test_a_line_of_a_log_names_what_takes_longest() -> None:
    assert waiting_line(progress_of(*"abcde"), started=0.0, now=72.0) == (
        "py312: 0 of 2 items, 1 m 12 s, about 18 s left: suite a (1 m 12 s), suite b (1 m 11 s), suite c (1 m 10 s), "
        "and 2 more"
    )


def test_a_run_without_a_plan_has_only_a_duration() -> None:
    assert shown(RunProgress()) == ["py312: 12 s"]
