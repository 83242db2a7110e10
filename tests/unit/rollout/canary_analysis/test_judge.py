"""Rules of judgement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import ConfirmSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.judge import (
    BreachKind,
    burn_rate,
    clock_jumps,
    compare_with_control,
    failures_allowed,
    is_from_future,
    judge_metric,
    judge_reprobe,
    reaction_to,
    restarts_within,
    severity_of,
    slot_due,
)
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import BreachSeverity, Reaction, Verdict
from pytest_py312.rollout.metrics.resource_usage import UsageCounters

SOAK = SoakSettings()
RESULTS = {"s": Result.SUCCESSFUL, "f": Result.FAILED, "i": Result.INCONCLUSIVE, "e": Result.ERROR}


def results(text: str) -> list[Result]:
    """``"ssf"``: two successes and a failure."""
    return [RESULTS[letter] for letter in text]


def at(seconds: float, *, boot: str = "b", ahead: float = 0.0) -> Timestamp:
    return Timestamp(wall=1e9 + seconds + ahead, boottime=seconds, boot=boot)


def sample(slot: int, letter: str = "s", *, service: str = "user", moment: Timestamp | None = None) -> Sample:
    measured = (Measurement(metric="health", result=RESULTS[letter]),) if letter in RESULTS else ()
    return Sample(service=service, slot=slot, at=moment or at(300.0 * slot), measurements=measured)


# ---- one bad sample


@pytest.mark.parametrize(
    ("burst", "result"),
    [
        ("fffff", Result.FAILED),
        ("ffffs", Result.FAILED),
        ("fffss", Result.SUCCESSFUL),
        ("ss", Result.SUCCESSFUL),
        ("ffff", Result.FAILED),
        ("fffee", Result.ERROR),
        ("fffis", Result.INCONCLUSIVE),
        ("eeeee", Result.ERROR),
        ("", Result.INCONCLUSIVE),
    ],
)
def test_a_bad_sample_is_asked_again(burst: str, result: Result) -> None:
    """Four bad ones of five confirm it; measuring errors do not."""
    assert judge_reprobe(results(burst), ConfirmSettings()) is result


@given(st.lists(st.sampled_from("sfie"), max_size=5).map("".join))
def test_a_burst_that_was_cut_short_says_the_same_in_full(burst: str) -> None:
    decided = judge_reprobe(results(burst), ConfirmSettings())
    if decided in (Result.FAILED, Result.SUCCESSFUL):
        assert all(judge_reprobe(results((burst + more * 5)[:5]), ConfirmSettings()) is decided for more in "sfie")


def test_bad_on_both_sides_is_the_environment() -> None:
    assert compare_with_control(Result.FAILED, Result.FAILED) is Result.INCONCLUSIVE
    assert compare_with_control(Result.FAILED, Result.SUCCESSFUL) is Result.FAILED
    assert compare_with_control(Result.FAILED, Result.ERROR) is Result.FAILED
    assert compare_with_control(Result.SUCCESSFUL, Result.FAILED) is Result.SUCCESSFUL


# ---- one metric


@pytest.mark.parametrize(
    ("series", "verdict"),
    [
        ("", Verdict.PENDING),
        ("ssss", Verdict.PENDING),
        ("ssffs", Verdict.PENDING),
        ("ssfff", Verdict.FAILED),
        ("fff" + "s" * 100, Verdict.FAILED),
        ("feief", Verdict.PENDING),
        ("feiefef", Verdict.FAILED),
        ("ffsff", Verdict.PENDING),
        ("fs" * 11, Verdict.PENDING),
        ("fs" * 12, Verdict.FAILED),
        ("eee", Verdict.PENDING),
        ("eeee", Verdict.INCONCLUSIVE),
        ("eeees", Verdict.PENDING),
        ("ii", Verdict.PENDING),
        ("iii", Verdict.INCONCLUSIVE),
        ("iiis", Verdict.PENDING),
        ("iief", Verdict.PENDING),
    ],
)
def test_limits_of_a_metric(series: str, verdict: Verdict) -> None:
    """Three consecutive failures, or more than 2 % of 576; errors are never failures."""
    assert judge_metric(results(series), SOAK).verdict is verdict


@given(st.lists(st.sampled_from("sie"), max_size=50).map("".join))
def test_without_a_failure_nothing_fails(series: str) -> None:
    """Missing measurements never roll anything back."""
    assert judge_metric(results(series), SOAK).verdict is not Verdict.FAILED


@given(st.lists(st.sampled_from("sfie"), max_size=50).map("".join), st.sampled_from("sfie"))
def test_what_failed_stays_failed(series: str, more: str) -> None:
    if judge_metric(results(series), SOAK).verdict is Verdict.FAILED:
        assert judge_metric(results(series + more), SOAK).verdict is Verdict.FAILED


def test_a_share_of_a_short_soak_does_not_forbid_each_single_failure() -> None:
    assert failures_allowed(SOAK) == 11
    assert failures_allowed(SoakSettings(duration=3600.0)) == 2
    assert failures_allowed(SoakSettings(failure_limit=0.0)) == 0


# ---- the soak


def test_the_schedule_follows_the_clock_that_cannot_be_set() -> None:
    assert slot_due(at(299.0), at(0.0), 300.0) == 0
    assert slot_due(at(600.0), at(0.0), 300.0) == 2
    assert slot_due(at(600.0, ahead=86400.0), at(0.0), 300.0) == 2
    assert slot_due(at(10.0, boot="other", ahead=900.0), at(0.0), 300.0) == 3
    assert slot_due(at(10.0, boot="other", ahead=-900.0), at(0.0), 300.0) == 0


def test_a_date_that_was_set_is_noticed() -> None:
    moments = [at(0.0), at(300.0), at(600.0, ahead=3600.0), at(900.0, ahead=3600.0), at(5.0, boot="other")]
    assert clock_jumps(moments, 300.0) == [(moments[2], 3600.0)]
    assert clock_jumps([at(0.0), at(300.0, ahead=100.0)], 300.0) == []


def test_a_sample_of_tomorrow_is_refused() -> None:
    assert is_from_future(at(1000.0), at(500.0), slack=300.0)
    assert not is_from_future(at(700.0), at(500.0), slack=300.0)
    assert is_from_future(at(5.0, boot="other", ahead=9999.0), at(500.0), slack=300.0)


# ---- what a breach leads to


@pytest.mark.parametrize(
    ("severity", "critical", "reaction"),
    [
        (BreachSeverity.SEVERE, True, Reaction.ROLL_BACK),
        (BreachSeverity.MINOR, True, Reaction.HOLD),
        (BreachSeverity.SEVERE, False, Reaction.HOLD),
        (BreachSeverity.MINOR, False, Reaction.RECORD),
    ],
)
def test_the_table_of_reactions(severity: BreachSeverity, critical: bool, reaction: Reaction) -> None:
    assert reaction_to(severity, critical_service=critical, settings=SOAK) is reaction
    assert reaction_to(severity, critical_service=critical, settings=SOAK, dry_run=True) is Reaction.RECORD


def test_the_plan_may_choose_otherwise() -> None:
    careful = SoakSettings(on_severe="hold", non_critical="rollback")
    assert reaction_to(BreachSeverity.SEVERE, critical_service=True, settings=careful) is Reaction.HOLD
    assert reaction_to(BreachSeverity.SEVERE, critical_service=False, settings=careful) is Reaction.ROLL_BACK


def test_a_slow_service_is_one_thing_and_a_dead_one_another() -> None:
    assert severity_of(BreachKind.AVAILABILITY) is BreachSeverity.SEVERE
    assert severity_of(BreachKind.LATENCY, ratio=1.5) is BreachSeverity.MINOR
    assert severity_of(BreachKind.LATENCY, ratio=2.0) is BreachSeverity.SEVERE
    assert severity_of(BreachKind.METRIC) is BreachSeverity.MINOR
    assert severity_of(BreachKind.METRIC, critical=True) is BreachSeverity.SEVERE


def test_restarts_are_counted_whatever_caused_them() -> None:
    def reading(minutes: float, restarts: int, started: str) -> UsageCounters:
        return UsageCounters(at=at(60.0 * minutes), cpu_seconds=0.0, restarts=restarts, started_at=started)

    loop = [reading(0, 0, "a"), reading(5, 2, "b"), reading(10, 2, "c"), reading(15, 2, "c")]
    assert restarts_within(loop) == 3
    assert restarts_within(loop, seconds=300.0) == 1
    assert restarts_within([]) == 0


def test_errors_of_a_service_without_traffic_say_nothing() -> None:
    assert burn_rate(1, 10, 0.001, min_requests=50) is None
    assert burn_rate(0, 0, 0.001, min_requests=0) is None
    assert burn_rate(15, 1000, 0.001, min_requests=50) == pytest.approx(15.0)
