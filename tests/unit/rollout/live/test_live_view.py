"""What live views show of a monitored stage."""

import asyncio
import errno
import io
import re
from pathlib import Path

import pytest

from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.events import Breached, Drifted
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import Breach, BreachSeverity, Reaction
from pytest_py312.rollout.domain.run_history import JournalEntry
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import current_operator
from pytest_py312.rollout.execution.watcher import Watcher
from pytest_py312.rollout.live.live_page import LivePage
from pytest_py312.rollout.live.live_terminal import live_display
from pytest_py312.rollout.live.live_view import LiveView, build_view, format_value
from pytest_py312.rollout.monitoring.soak import SoakSnapshot
from pytest_py312.rollout.reporting.roadmap.roadmap import NOT_DEPLOYED
from tests.unit.rollout.runs import soaking
from tests.unit.rollout.shells import Shell, shell_in

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m"


def metrics_of(*measurements: Measurement) -> ServiceMetrics:
    service_metrics = ServiceMetrics()
    service_metrics.add(
        Sample(service="user", slot=1, at=Timestamp(wall=1.0, boottime=1.0, boot="b"), measurements=measurements)
    )
    return service_metrics


def measured(
    metric: str, result: Result = Result.SUCCESSFUL, value: float | None = None, detail: str = ""
) -> Measurement:
    return Measurement(metric=metric, result=result, value=value, detail=detail)


def seen(*measurements: Measurement, history: tuple[JournalEntry, ...] = ()) -> LiveView:
    progress = SoakSnapshot(run=soaking(), slot=1, missed=2, seconds_to_next=40.0)
    return build_view(
        progress, 600.0, {"user": metrics_of(*measurements) if measurements else ServiceMetrics()}, history
    )


BREACH = Breach(service="user", metric="latency", severity=BreachSeverity.MINOR, reaction=Reaction.HOLD, detail="slow")
HISTORY = (
    JournalEntry(at="", content="a note"),
    JournalEntry(at="", content=Breached(breach=BREACH)),
    JournalEntry(at="", content=Drifted(service="user", detail="another", slot=1)),
)


def test_a_service_that_was_not_measured_is_not_called_well() -> None:
    assert seen().services[0].summary == "nothing was measured yet"
    assert "user: nothing was measured yet" in seen().log_line


def test_a_line_for_a_log() -> None:
    line = seen(measured("availability", value=1.0)).log_line
    assert line == "soaking, sample 1: all well; 10 m credited, 50 m left; 2 missed"
    bad = seen(measured("availability", Result.FAILED), measured("errors", Result.INCONCLUSIVE))
    assert "user: availability failed, errors inconclusive" in bad.log_line


def test_a_sample_that_was_not_stored_is_not_well() -> None:
    metrics_by_service = {"user": metrics_of(measured("availability", value=1.0))}
    progress = SoakSnapshot(run=soaking(), slot=2, storage_problem="the disk is full")
    line = build_view(progress, 60.0, metrics_by_service).log_line
    assert line.startswith("soaking, sample 2: not stored, so it earns no credit: the disk is full; 1 m credited")


def test_an_error_of_an_earlier_sample_does_not_go_on() -> None:
    """While the engine is away a sample has only its error; that is over with the next sample that has none."""
    service_metrics = metrics_of(measured("engine", Result.ERROR))
    at = Timestamp(wall=2.0, boottime=2.0, boot="b")
    service_metrics.add(Sample(service="user", slot=2, at=at, measurements=(measured("availability", value=1.0),)))
    (line,) = build_view(SoakSnapshot(run=soaking(), slot=2), 60.0, {"user": service_metrics}).services
    assert line.summary == "well"
    assert [metric.bad_samples for metric in line.metrics if metric.metric == "engine"] == [1]


def test_the_newest_values_stand_beside_those_of_the_old_version() -> None:
    view = seen(
        measured("memory", value=2**21),
        measured("latency", value=0.02),
        measured(CONTROL_PREFIX + "latency", value=0.01),
    )
    latency, memory = view.services[0].metrics
    assert (latency.metric, latency.value, latency.control_value) == ("latency", "20 ms", "10 ms")
    assert (memory.value, memory.control_value, memory.bad_samples, memory.samples) == ("2.0 MiB", "", 0, 1)


def test_what_is_only_noted_for_the_next_reading_is_not_shown() -> None:
    assert seen(measured("cpu seconds", value=1.0), measured("drift")).services[0].metrics == ()


def test_broken_limits_are_listed() -> None:
    assert seen(history=HISTORY).services[0].breaches == ("latency: slow (minor: hold)", "drift: another")


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [("latency", 1.5, "1.5 s"), ("cpu", 0.5, "0.50 cores"), ("orders", 12345.0, "12345"),
     ("availability", 1.0, ""), ("x", None, "")],
)  # fmt: skip
def test_values_have_their_units(metric: str, value: float | None, expected: str) -> None:
    assert format_value(metric, value) == expected


# ---- a terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_where_nobody_looks_there_is_a_line_for_each_sample() -> None:
    lines: list[str] = []
    with live_display(io.StringIO(), lambda: seen(measured("availability")), lines.append) as on_sample:
        on_sample()
        on_sample()
    assert len(lines) == 2


def test_a_lost_terminal_does_not_end_the_watching(monkeypatch: pytest.MonkeyPatch) -> None:
    class LostTerminal(Terminal):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            if self.writes > 3:
                raise OSError(errno.EIO, "Input/output error")
            return super().write(text)

    monkeypatch.setenv("TERM", "xterm")
    stream, lines = LostTerminal(), list[str]()
    with live_display(stream, seen, lines.append) as on_sample:
        for _ in range(5):
            on_sample()
    assert stream.writes > 3
    assert lines == []


def test_on_a_terminal_a_table_is_kept_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    views = [seen(), seen(measured("availability", Result.FAILED, detail=f"HTTP 500 {HOSTILE}"), history=HISTORY)]
    stream = Terminal()
    with live_display(stream, lambda: views[-1], lambda text: None) as on_sample:
        on_sample()
    text = stream.getvalue()
    for expected in (
        "stage 1 in test is soaking",
        "HTTP 500",
        "drift: another",
        "10 m of 1 h credited",
        "next in 40 s",
    ):
        assert expected in text
    assert "alert(1)>\x1b[31m" not in text, "what a service says does not colour the terminal"


# ---- the page


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch)
    shell("deploy --stage 1")
    return shell


def page_of(shell: Shell, *, ticks: int = 0) -> str:
    journal = Journal(shell.context.state_dir)
    run = next(run for run in journal.current_runs("test") if run.stage == 1)
    settings, fleet = shell.context.settings(), shell.context.fleet()
    driver = Driver(journal, shell.target, current_operator(), log=shell.logged.append)
    watcher = Watcher(
        journal, driver, shell.target, run, settings=settings, log=shell.logged.append, root=shell.root,
        services={one.name: one for one in fleet.services},
    )  # fmt: skip
    for _ in range(ticks):
        asyncio.run(watcher.soak.sample_once())
        shell.seconds += 60.0
    page = LivePage(watcher, journal, shell.context.plan, fleet, settings, lambda run: None).render()
    journal.close()
    return page


def test_the_page_shows_all_stages_and_what_was_measured(py312: Shell) -> None:
    page = page_of(py312, ticks=3)
    assert "Stage 1 is" in page
    assert NOT_DEPLOYED in page, "stage 2"
    assert "2 m of 3 m" in page
    assert "<progress" in page
    assert re.search(r"availability</th>.*successful", page)
    assert '<meta http-equiv="refresh" content="15">' in page


def test_before_the_first_sample_nothing_is_called_well(py312: Shell) -> None:
    page = page_of(py312)
    assert ">nothing was measured yet<" in page
    assert ">well<" not in page


def test_what_a_service_says_is_no_element(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rest(seconds: float) -> None:
        py312.seconds += seconds

    monkeypatch.setattr("pytest_py312.core.clock.asyncio.sleep", rest)
    monkeypatch.setattr("pytest_py312.rollout.monitoring.probes.availability_reading", lambda seen: failed(HOSTILE))
    page = page_of(py312, ticks=2)
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "\x1b" not in page
    assert "<script" not in page


def failed(detail: str) -> object:
    from pytest_py312.rollout.metrics.reading import MetricReading

    return MetricReading.failed(detail)
