"""The soak of a stage, with a simulated clock."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.database import DiskFull
from pytest_py312.repository.plan.rollout_settings import CompareSettings, ConfirmSettings
from pytest_py312.rollout.domain.events import Decided, Drifted
from pytest_py312.rollout.domain.journal import Journal, LostOwnership
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample
from pytest_py312.rollout.domain.model import StageRun, StageState, Verdict
from pytest_py312.rollout.domain.stop_signals import StopRequest
from pytest_py312.rollout.domain.target_model import Usage
from pytest_py312.rollout.metrics.resource_usage import counter_measurements
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.probes import AVAILABILITY, DRIFT, LATENCY
from pytest_py312.rollout.monitoring.soak import SoakMonitor, SoakSnapshot
from tests.unit.rollout.watchers import ME, SETTINGS, Clock, FakeProbe, MonitoredStage, available


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[MonitoredStage]:
    made = MonitoredStage(folder=tmp_path)
    yield made
    made.journal.close()


def waited(watching: MonitoredStage, *watched: MonitoredService) -> SoakSnapshot:
    return asyncio.run(watching.soak(*watched).wait(StopRequest()))


def ticked(watching: MonitoredStage, *watched: MonitoredService) -> SoakSnapshot:
    """As a process that is started for one sample."""
    return asyncio.run(watching.soak(*watched).sample_once())


# ---- the schedule


def test_a_healthy_soak_is_sampled_on_its_schedule_and_accepted(watching: MonitoredStage) -> None:
    """Twelve samples of five minutes after a minute of warm-up."""
    probe = FakeProbe(watching.clock)
    progress = waited(watching, watching.watched(probe))
    assert progress.run.state is StageState.ACCEPTED
    assert progress.run.verdict is Verdict.PASSED
    assert progress.run.reason == "not compared: no control ran beside the new version"
    assert [sample.slot for sample in watching.samples()] == list(range(1, 13))
    begin = 1000.0 + SETTINGS.initial_delay
    assert probe.asked == pytest.approx([begin + 300.0 * slot for slot in range(1, 13)], abs=0.1)
    assert watching.changes == [("soaking", "soaked"), ("soaked", "accepted")]


def test_a_process_for_each_sample_has_the_same_result(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock)
    progress = ticked(watching, watching.watched(probe))
    assert progress.slot == 0
    assert progress.seconds_to_next == pytest.approx(360.0)
    for _ in range(100):
        watching.clock.seconds += 97.0
        progress = ticked(watching, watching.watched(probe))
        if progress.run.state is StageState.ACCEPTED:
            break
    slots = [sample.slot for sample in watching.samples()]
    # the first sample came late and the twelfth did not: between them lies less than the whole soak
    assert slots == list(range(1, 14))
    assert len(probe.asked) == 13
    assert progress.run.credited >= 3600.0


def test_a_sample_that_was_taken_is_not_taken_again(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock)
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += 400.0
    for _ in range(3):
        assert ticked(watching, watching.watched(probe)).run.credited == 300.0
    assert len(probe.asked) == 1


def test_a_gap_earns_no_credit_and_is_not_filled(watching: MonitoredStage) -> None:
    """The machine slept for two hours, longer than the soak, which proves nothing."""
    probe = FakeProbe(watching.clock)
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += 400.0
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += 7200.0
    progress = ticked(watching, watching.watched(probe))
    assert progress.run.credited == 600.0
    assert progress.missed == 23
    assert progress.run.state is StageState.SOAKING


def test_setting_the_clock_changes_nothing_and_is_noted(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock)
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += 400.0
    ticked(watching, watching.watched(probe))
    watching.clock.wall_ahead = 1e6
    watching.clock.seconds += 300.0
    assert ticked(watching, watching.watched(probe)).run.credited == 600.0
    assert "the clock was set by +1000000 s" in str([entry.content for entry in watching.journal.history("r1")])


def test_a_sample_from_the_future_does_not_count(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock)
    ticked(watching, watching.watched(probe))
    at = replace(watching.clock.now(), boottime=watching.clock.seconds + 1e5)
    forged = [
        Sample(service="user", slot=slot, at=at, measurements=(Measurement(metric="x", result=Result.SUCCESSFUL),))
        for slot in range(1, 13)
    ]
    watching.journal.add_samples("r1", [*forged, replace(forged[0], slot=5000)], owner=ME)
    watching.clock.seconds += 400.0
    assert ticked(watching, watching.watched(probe)).run.credited == 0.0
    watching.clock.seconds += 12 * 300.0
    progress = ticked(watching, watching.watched(probe))
    assert (progress.slot, progress.run.credited) == (13, 300.0), "its slot is lost, those after it are not"


def test_all_services_are_sampled_at_once(tmp_path: Path) -> None:
    watching = MonitoredStage(folder=tmp_path, services=("auth", "user"))
    probes = {name: FakeProbe(watching.clock) for name in ("auth", "user")}
    progress = waited(watching, *(watching.watched(probe, name) for name, probe in probes.items()))
    assert progress.run.state is StageState.ACCEPTED
    assert probes["auth"].asked == probes["user"].asked
    with pytest.raises(ValueError, match="all services"):
        watching.soak(watching.watched(probes["auth"], "auth"))
    watching.journal.close()


def test_a_stop_leaves_the_new_version_running(watching: MonitoredStage) -> None:
    stop = StopRequest()

    def answer(seconds: float, again: int) -> list[Measurement]:
        if len(probe.asked) == 3:
            stop.request("SIGTERM")
        return [Measurement(metric=AVAILABILITY, result=Result.SUCCESSFUL)]

    probe = FakeProbe(watching.clock, answer)
    progress = asyncio.run(watching.soak(watching.watched(probe)).wait(stop))
    assert progress.interrupted_by == "SIGTERM"
    assert progress.run.state is StageState.SOAKING
    assert "interrupted by SIGTERM" in str(watching.journal.history("r1")[-2:])
    assert waited(watching, watching.watched(FakeProbe(watching.clock))).run.state is StageState.ACCEPTED


def test_a_process_that_lost_the_run_stops(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock)
    soak = watching.soak(watching.watched(probe))

    async def taken_over() -> None:
        await soak.sample_once()
        watching.journal.acquire("r1", owner="another")
        watching.clock.seconds += 400.0
        await soak.sample_once()

    with pytest.raises(LostOwnership):
        asyncio.run(taken_over())
    assert watching.samples() == []


def test_a_full_disk_is_a_gap_and_no_failure(watching: MonitoredStage, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = FakeProbe(watching.clock)
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += 400.0

    def full(self: Journal, *arguments: object, **named: object) -> int:
        raise DiskFull("no room left")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "add_samples", full)
        progress = ticked(watching, watching.watched(probe))
    assert (progress.run.state, progress.run.credited, progress.missed) == (StageState.SOAKING, 0.0, 1)
    assert progress.storage_problem == "no room left"
    assert progress.inconclusive_reasons[-1] == "the newest sample was not stored: no room left"
    assert ticked(watching, watching.watched(probe)).run.credited == 300.0


def test_the_first_sample_that_is_not_stored_is_reported(
    watching: MonitoredStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once and not at each sample; then that samples are stored again, before a soak that was full is accepted."""
    real, asked, reported = Journal.add_samples, itertools.count(), []

    def full_for_a_while(self: Journal, *arguments: Any, **named: Any) -> int:
        if next(asked) in (3, 4, 5):
            raise DiskFull("no room left")
        return real(self, *arguments, **named)

    async def report(run: StageRun, problem: str) -> None:
        reported.append((len(watching.samples()), problem))

    monkeypatch.setattr(Journal, "add_samples", full_for_a_while)
    monkeypatch.setitem(SoakMonitor.__init__.__kwdefaults__ or {}, "on_storage_problem", report)
    progress = waited(watching, watching.watched(FakeProbe(watching.clock)))
    assert (progress.run.state, progress.missed, progress.storage_problem) == (StageState.ACCEPTED, 3, "")
    assert reported == [(2, "no room left"), (3, "")]


# ---- breaches


def test_a_short_failure_is_probed_again_and_has_no_consequence(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock, available("sfss"))
    progress = waited(watching, watching.watched(probe))
    assert progress.run.state is StageState.ACCEPTED
    assert len(watching.samples()) == 13, "the sample that failed is not credited, so there is one more"
    assert "0 of 2 more probes failed" in watching.samples()[1].measurements[0].detail


def test_an_outage_is_confirmed_and_rolls_a_critical_service_back(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock, available("s" + "f" * 50))
    progress = waited(watching, watching.watched(probe))
    assert progress.run.state is StageState.ROLLING_BACK
    assert progress.run.reason == "user: availability: confirmed: 4 of 4 more probes failed"
    assert len(watching.samples()) == 2, "found with the first sample that was bad"
    assert probe.asked[-1] - probe.asked[1] == pytest.approx(40.0)


def test_a_service_that_is_not_critical_is_held_and_monitored_to_the_end(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock, available("s" + "f" * 5))
    progress = waited(watching, watching.watched(probe, critical=False))
    assert progress.run.state is StageState.HELD
    assert progress.run.pending_decisions == ("user: availability",)
    assert progress.run.credited >= progress.run.soak


def test_three_consecutive_failures_are_a_breach_even_if_each_is_short(watching: MonitoredStage) -> None:
    """Every other probe fails, and the repetition succeeds."""
    probe = FakeProbe(watching.clock, available("fss" * 3))
    progress = waited(watching, watching.watched(probe))
    assert progress.run.state is StageState.ROLLING_BACK
    assert progress.run.reason.startswith("user: availability: 3 consecutive failures")


def test_a_burst_ends_before_the_next_sample_is_due(tmp_path: Path) -> None:
    settings = replace(SETTINGS, interval=30.0, duration=360.0, confirm=ConfirmSettings(probes=5, every=10.0, bad=5))
    watching = MonitoredStage(folder=tmp_path, settings=settings)
    probe = FakeProbe(watching.clock, available("fffffs"))
    assert waited(watching, watching.watched(probe)).missed == 0
    watching.journal.close()


@pytest.mark.parametrize("letter", ["e", "i"])
def test_missing_measurements_roll_nothing_back_and_earn_no_credit(watching: MonitoredStage, letter: str) -> None:
    probe = FakeProbe(watching.clock, available(letter * 10))
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += SETTINGS.initial_delay
    for _ in range(10):
        watching.clock.seconds += 300.0
        progress = ticked(watching, watching.watched(probe))
    assert (progress.run.state, progress.run.credited) == (StageState.SOAKING, 0.0)
    assert len(progress.inconclusive_reasons) == 1
    watching.clock.seconds += 300.0
    assert ticked(watching, watching.watched(probe)).inconclusive_reasons == ()


def test_a_stage_without_measurements_at_the_end_is_not_accepted(watching: MonitoredStage) -> None:
    """The whole soak is credited, but the final verdict is inconclusive: a person has to decide."""
    metric = Measurement(metric=LATENCY, result=Result.SUCCESSFUL, value=1.0)
    new, old = FakeProbe(watching.clock, lambda *_: [metric]), FakeProbe(watching.clock, lambda *_: [metric])
    watched = watching.watched(new, control_probes=(old,), compare=CompareSettings(min_points=1000))
    progress = waited(watching, watched)
    assert (progress.run.state, progress.run.verdict) == (StageState.HELD, Verdict.INCONCLUSIVE)


def test_a_crash_loop_is_detected_by_the_counter(tmp_path: Path) -> None:
    settings = replace(SETTINGS, interval=60.0)
    watching = MonitoredStage(folder=tmp_path, settings=settings)

    def answer(seconds: float, again: int) -> list[Measurement]:
        crashes = max(0, int((seconds - 2000.0) // 120.0))
        usage = Usage(cpu_seconds=1.0, memory=1, restarts=crashes, out_of_memory=False, started_at=str(crashes))
        return [Measurement(metric=DRIFT, result=Result.SUCCESSFUL), *counter_measurements(usage)]

    progress = waited(watching, watching.watched(FakeProbe(watching.clock, answer, repeatable=False)))
    assert progress.run.state is StageState.ROLLING_BACK
    assert progress.run.reason == "user: crash loop: restarted 3 times in 15 minutes"
    watching.journal.close()


def test_failures_of_both_versions_are_caused_by_the_environment(watching: MonitoredStage) -> None:
    new, old = (FakeProbe(watching.clock, available("s" + "f" * 30)) for _ in range(2))
    ticked(watching, watching.watched(new, control_probes=(old,)))
    for _ in range(4):
        watching.clock.seconds += 300.0
        progress = ticked(watching, watching.watched(new, control_probes=(old,)))
    assert progress.run.state is StageState.SOAKING
    assert "the old version too" in watching.samples()[-1].measurements[0].detail


@pytest.mark.parametrize(
    ("control_letters", "state", "again"),
    [
        ("ss" + "f" * 30, StageState.SOAKING, "the old version too"),
        ("sf" + "s" * 30, StageState.ROLLING_BACK, "confirmed: "),
        ("s" * 30, StageState.ROLLING_BACK, "confirmed: "),
    ],
    ids=["ill a moment later", "a blip", "well"],
)
def test_the_control_is_probed_as_often_as_the_new_version(
    watching: MonitoredStage, control_letters: str, state: StageState, again: str
) -> None:
    """With one probe of the control against six, the new version was blamed or excused wrongly."""
    new, old = (FakeProbe(watching.clock, available(letters)) for letters in ("s" + "f" * 30, control_letters))
    ticked(watching, watching.watched(new, control_probes=(old,)))
    for _ in range(3):
        watching.clock.seconds += 300.0
        progress = ticked(watching, watching.watched(new, control_probes=(old,)))
    assert progress.run.state is state
    assert again in watching.samples()[-1].measurements[0].detail
    assert new.asked == old.asked, "at the same moments"


def test_slower_than_the_control_is_held_and_twice_as_slow_rolled_back(tmp_path: Path) -> None:
    """Only with enough points, and at two consecutive looks."""
    for name, factor, state in (("a", 1.5, StageState.HELD), ("b", 3.0, StageState.ROLLING_BACK)):
        watching = MonitoredStage(folder=tmp_path / name, settings=replace(SETTINGS, duration=30 * 300.0))
        clock = watching.clock

        def latency(factor: float, clock: Clock = clock) -> FakeProbe:
            return FakeProbe(
                clock,
                lambda seconds, _: [
                    Measurement(
                        metric=LATENCY, result=Result.SUCCESSFUL, value=factor * (0.1 + 0.01 * (seconds // 300 % 7))
                    )
                ],
            )

        watched = watching.watched(
            latency(factor), control_probes=(latency(1.0),), compare=CompareSettings(min_points=12)
        )
        progress = waited(watching, watched)
        assert progress.run.state is state
        assert progress.run.reason.startswith(f"user: latency compared: the median is {factor:.2f} times that of")
        assert len(watching.samples()) >= 16
        watching.journal.close()


def test_a_foreign_deployment_makes_the_samples_void(watching: MonitoredStage) -> None:
    probe = FakeProbe(watching.clock, available("ssssff", metric=DRIFT), repeatable=False)
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += SETTINGS.initial_delay
    for _ in range(5):
        watching.clock.seconds += 300.0
        progress = ticked(watching, watching.watched(probe))
    assert (progress.run.state, progress.run.credited) == (StageState.HELD, 0.0)
    assert progress.run.pending_decisions == ("user: drift",)
    drifts = [entry for entry in watching.journal.history("r1") if isinstance(entry.content, Drifted)]
    assert len(drifts) == 1
    watching.journal.record("r1", Decided(accept=True, by="me", reason="put back"), owner=ME)
    watching.clock.seconds += 300.0
    assert ticked(watching, watching.watched(probe)).run.credited == 300.0


def test_a_foreign_deployment_is_no_failure_of_the_new_version(watching: MonitoredStage) -> None:
    """The monitored container is stopped and does not answer; another one serves instead."""
    taken = {"count": 0}

    def answer(seconds: float, again: int) -> list[Measurement]:
        replaced = 2 <= taken["count"] < 5
        taken["count"] += 1
        result = Result.FAILED if replaced else Result.SUCCESSFUL
        return [Measurement(metric=DRIFT, result=result), Measurement(metric=AVAILABILITY, result=result)]

    probe = FakeProbe(watching.clock, answer, repeatable=False)
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += SETTINGS.initial_delay
    for _ in range(5):
        watching.clock.seconds += 300.0
        progress = ticked(watching, watching.watched(probe))
    assert (progress.run.state, progress.run.pending_decisions) == (StageState.HELD, ("user: drift",))
    assert progress.run.credited == 300.0, "since it was put back"


def test_a_breach_is_judged_by_the_next_process_after_a_kill(
    watching: MonitoredStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample was stored, but the process was killed before judging it."""
    probe = FakeProbe(watching.clock, available("f" * 50))
    ticked(watching, watching.watched(probe))
    watching.clock.seconds += 400.0

    async def killed(self: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pytest_py312.rollout.monitoring.soak.SoakMonitor._judge", killed)
        with pytest.raises(KeyboardInterrupt):
            ticked(watching, watching.watched(probe))
    assert ticked(watching, watching.watched(probe)).run.state is StageState.ROLLING_BACK
