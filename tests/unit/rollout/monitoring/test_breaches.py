"""From what was measured to what happens."""

from dataclasses import replace
from typing import cast

import pytest

from pytest_py312.repository.plan.rollout_settings import CompareSettings, MetricSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.error_budget import Budget
from pytest_py312.rollout.canary_analysis.time_series import CONFIRMED, OLD, Tally
from pytest_py312.rollout.domain.model import Breach, Measurement, Moment, Reaction, Result, Sample, Severity, Verdict
from pytest_py312.rollout.metrics.resource_usage import CPU_COUNTER, OUT_OF_MEMORY
from pytest_py312.rollout.monitoring.breaches import TWIN, MetricRule, Watched, breaches, joined, last_judgement, untold
from pytest_py312.rollout.monitoring.probes import AVAILABILITY, INTERPRETER, LATENCY, UNDONE, Probe

SOAK = SoakSettings()


def tally_of(*rows: tuple[Measurement, ...]) -> Tally:
    tally = Tally()
    for slot, row in enumerate(rows, start=1):
        at = Moment(wall=300.0 * slot, boottime=300.0 * slot, boot="b")
        tally.add(Sample(service="user", slot=slot, at=at, measurements=row))
    return tally


def failed(metric: str, detail: str = "") -> Measurement:
    return Measurement(metric=metric, result=Result.FAILED, detail=detail)


def well(metric: str, value: float | None = None) -> Measurement:
    return Measurement(metric=metric, result=Result.SUCCESSFUL, value=value)


def watched(*, critical: bool = True, metric: MetricSettings | None = None, soak: SoakSettings = SOAK) -> Watched:
    rules = {metric.name: MetricRule(settings=metric, limits=soak)} if metric else {}
    return Watched(service="user", probes=(), critical=critical, settings=soak, rules=rules)


def only(found: list[Breach]) -> tuple[Severity, Reaction]:
    (breach,) = found
    return breach.severity, breach.reaction


@pytest.mark.parametrize("metric", [OUT_OF_MEMORY, INTERPRETER, UNDONE])
def test_facts_need_no_second_look(metric: str) -> None:
    assert only(breaches(watched(), tally_of((failed(metric),)))) == (Severity.SEVERE, Reaction.ROLL_BACK)


def test_one_failure_is_none_until_it_is_confirmed_or_goes_on() -> None:
    assert breaches(watched(), tally_of((failed(AVAILABILITY),))) == []
    sure = tally_of((failed(AVAILABILITY, f"{CONFIRMED}4 of 5"),), (well(AVAILABILITY),))
    assert only(breaches(watched(), sure)) == (Severity.SEVERE, Reaction.ROLL_BACK)
    running = tally_of(*[(failed(AVAILABILITY, "HTTP 500"),)] * 3)
    assert breaches(watched(), running)[0].detail == "3 failed running, the last is sample 3: HTTP 500"


@pytest.mark.parametrize(
    ("critical", "metric", "dry_run", "expected"),
    [
        (True, False, False, (Severity.MINOR, Reaction.HOLD)),
        (False, False, False, (Severity.MINOR, Reaction.RECORD)),
        (True, True, False, (Severity.SEVERE, Reaction.ROLL_BACK)),
        (False, True, False, (Severity.SEVERE, Reaction.HOLD)),
        (True, True, True, (Severity.SEVERE, Reaction.RECORD)),
    ],
)
def test_the_table_of_reactions(
    critical: bool, metric: bool, dry_run: bool, expected: tuple[Severity, Reaction]
) -> None:
    """``metric``: whether the plan calls the metric critical."""
    rule = MetricSettings(name="orders", provider="python", critical=metric, dry_run=dry_run)
    service = watched(critical=critical, metric=rule)
    assert only(breaches(service, tally_of(*[(failed("orders"),)] * 3))) == expected


def test_counters_and_the_old_versions_answers_are_never_a_reason() -> None:
    rows = [(failed(CPU_COUNTER), failed(OLD + AVAILABILITY))] * 10
    assert breaches(watched(), tally_of(*rows)) == []


@pytest.mark.parametrize(("dry_run", "reaction"), [(False, Reaction.ROLL_BACK), (True, Reaction.RECORD)])
def test_an_error_budget_that_burns_is_severe_whatever_its_condition_says(dry_run: bool, reaction: Reaction) -> None:
    """Here there is none: the share alone is neither good nor bad."""
    metric = MetricSettings(name="errors", provider="prometheus", budget=0.001, dry_run=dry_run)
    service = replace(watched(metric=metric), budgets={"errors": Budget(share=0.001, window=300.0)})
    tally = tally_of(*[(well("errors", 0.05), well("errors requests", 1000.0))] * 12)
    assert only(breaches(service, tally)) == (Severity.SEVERE, reaction)
    assert breaches(service, tally)[0].key == "user: errors burn"
    assert breaches(watched(metric=metric), tally) == []
    assert {"errors", "errors requests"} <= service.kept


def test_the_worst_comes_first() -> None:
    rows = [(failed("orders"), failed(AVAILABILITY))] * 3
    assert [one.metric for one in breaches(watched(), tally_of(*rows))] == [AVAILABILITY, "orders"]


def test_what_both_do_is_inconclusive_and_what_the_old_one_does_alone_is_nothing() -> None:
    service = watched()
    both = joined(service, [failed(AVAILABILITY, "no")], [failed(AVAILABILITY)])
    assert [(one.metric, one.result, one.detail) for one in both] == [
        (AVAILABILITY, Result.INCONCLUSIVE, "the old version too: no"),
        (TWIN, Result.SUCCESSFUL, ""),
    ]
    old_alone = joined(service, [well(LATENCY, 1.0)], [failed(AVAILABILITY), well(LATENCY, 2.0), well("memory", 5.0)])
    assert [(one.metric, one.value) for one in old_alone] == [(LATENCY, 1.0), (TWIN, 0.0), (OLD + LATENCY, 2.0)]


def beside(*rows: tuple[str, str]) -> list[str]:
    """What becomes of the new one's availability, by (what it, what the twin answers) at one sample after another."""
    letters = {"s": Result.SUCCESSFUL, "f": Result.FAILED, "i": Result.INCONCLUSIVE}
    before, found = None, []
    for slot, (new, old) in enumerate(rows, start=1):
        one, other = (Measurement(metric=AVAILABILITY, result=letters[letter]) for letter in (new, old))
        measurements = joined(watched(), [one], [other], before)
        at = Moment(wall=300.0 * slot, boottime=300.0 * slot, boot="b")
        before = Sample(service="user", slot=slot, at=at, measurements=measurements)
        found.append(measurements[0].result.value[0])
    return found


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("s", "s"), ("f", "f"), ("f", "f"), ("s", "s")], "siis"),
        ([("f", "f"), ("f", "f")], "ii"),
        ([("s", "f"), ("f", "f"), ("f", "f")], "sff"),
        ([("s", "i"), ("f", "f")], "sf"),
        ([("s", "s"), ("f", "i"), ("f", "f")], "sff"),
        ([("s", "s"), ("f", "s"), ("f", "f")], "sfi"),
    ],
)
def test_only_a_twin_that_was_well_until_then_can_tell_that_the_environment_is_to_blame(
    rows: list[tuple[str, str]], said: str
) -> None:
    """One that is ill by itself, or does not run, would excuse every outage for ever."""
    assert beside(*rows) == list(said)


def test_blindness_is_told_with_its_reason() -> None:
    rows = [(Measurement(metric="orders", result=Result.ERROR),)] * 4
    assert untold(watched(), tally_of(*rows)) == ["user: orders could not be measured for 4 samples"]


@pytest.mark.parametrize(
    ("bytes_an_hour", "told"),
    [(5 * 2**20, ["grows by 5.0 MiB an hour"]), (2**20, []), (0, []), (-(2**24), [])],
)
def test_memory_that_grows_for_half_a_day_is_a_leak(bytes_an_hour: int, told: list[str]) -> None:
    """A cache that fills in the first two hours is none, and before half a day is over nothing is said."""
    rows = [
        (well("memory", 2**28 + bytes_an_hour * slot / 12 + 40 * 2**20 * min(1.0, slot / 24)),) for slot in range(144)
    ]
    found = breaches(watched(), tally_of(*rows))
    assert [one.detail for one in found] == told
    assert all((one.severity, one.reaction) == (Severity.MINOR, Reaction.HOLD) for one in found)
    assert breaches(watched(), tally_of(*rows[:-1])) == []


# ---- the last judgement


def judged(service: Watched, tally: Tally, decided: tuple[str, ...] = ()) -> Verdict:
    return last_judgement([service], {"user": tally}, decided).verdict


def test_all_well_is_passed_and_says_what_was_not_done() -> None:
    said = last_judgement([watched()], {"user": tally_of((well(AVAILABILITY),))})
    assert (said.verdict, said.reason) == (
        Verdict.PASSED,
        "not compared: no old version ran beside the new one",
    )


def test_a_contract_that_nobody_has_tried_is_inconclusive() -> None:
    said = last_judgement([watched()], {"user": tally_of((well(AVAILABILITY),))}, untried=["user->auth"])
    assert (said.verdict, said.reason) == (Verdict.INCONCLUSIVE, "contract user->auth: was not tried")


def test_what_is_broken_or_untold_at_the_end_is_not_passed() -> None:
    broken = tally_of(*[(failed("orders"),)] * 3)
    assert judged(watched(), broken) is Verdict.FAILED
    assert judged(watched(), broken, ("user: orders",)) is Verdict.PASSED
    assert judged(watched(critical=False), broken) is Verdict.PASSED, "recorded, and no more"
    blind = tally_of(*[(Measurement(metric="orders", result=Result.ERROR),)] * 4)
    assert judged(watched(), blind) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Verdict.PASSED), (1.5, Verdict.FAILED)])
def test_the_comparison_with_the_twin_counts(factor: float, verdict: Verdict) -> None:
    rows = [(well(LATENCY, factor * (1 + slot % 5)), well(OLD + LATENCY, 1.0 + slot % 5)) for slot in range(60)]
    tally = tally_of(*rows)
    service = Watched(service="user", probes=(), settings=SOAK, compare=CompareSettings(min_points=12, looks=9))
    assert judged(service, tally) is verdict
    assert judged(service, tally, ("user: latency compared",)) is Verdict.PASSED


def test_a_twin_that_was_wanted_and_never_answered_is_inconclusive() -> None:
    tally = tally_of((well(LATENCY, 1.0),))
    service = Watched(service="user", probes=(), no_twin="its network is that of host")
    said = last_judgement([service], {"user": tally})
    assert said.verdict is Verdict.INCONCLUSIVE
    assert said.reason == "user: latency compared: no old version ran beside it: its network is that of host"
    silent = Watched(service="user", probes=(), twin=(cast(Probe, None),))
    assert last_judgement([silent], {"user": tally}).verdict is Verdict.INCONCLUSIVE
    assert last_judgement([silent], {"user": tally}, ("user: latency compared",)).verdict is Verdict.PASSED


def test_too_few_points_of_the_twin_are_inconclusive() -> None:
    tally = tally_of((well(LATENCY, 1.0), well(OLD + LATENCY, 1.0)))
    assert judged(watched(), tally) is Verdict.INCONCLUSIVE
