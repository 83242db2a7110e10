"""The load generator, in an event loop in which waiting takes no time."""

import asyncio
import io
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import TrafficRequest
from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.load_generator import (
    LoadStep,
    Send,
    generate_load,
    main,
    parse_step,
    take_turns,
    validate_steps,
)
from pytest_py312.rollout.metrics.load_report import LoadLimits, LoadReport, quantile
from tests.unit.rollout.virtual_time import VirtualLoop, run_virtually

LIMITS = LoadLimits(p95=0.5)


def generated(
    *steps: LoadStep, service: Callable[[VirtualLoop], Send], limits: LoadLimits = LIMITS, most_open: int = 2000
) -> LoadReport:
    loop = VirtualLoop()
    work = generate_load(steps, service(loop), limits, stopwatch=loop.time, sleep=asyncio.sleep, max_open=most_open)
    return run_virtually(loop, work)


def answers_in(seconds: float) -> Callable[[VirtualLoop], Send]:
    def service(loop: VirtualLoop) -> Send:
        async def send(_: int) -> bool:
            await asyncio.sleep(seconds)
            return True

        return send

    return service


def stalls(loop: VirtualLoop) -> Send:
    """Answers at once, except during a stall of two seconds."""

    async def send(_: int) -> bool:
        await asyncio.sleep(max(0.01, 7.0 - loop.time()) if 5.0 <= loop.time() < 7.0 else 0.01)
        return True

    return send


def test_a_service_that_keeps_up_passes() -> None:
    report = generated(LoadStep(rate=100, seconds=10), service=answers_in(0.02))
    (step,) = report.steps
    assert report.verdict is Verdict.PASSED
    assert (step.sent, step.errors, step.not_sent) == (1000, 0, 0)
    assert step.achieved == pytest.approx(100.0)
    assert [step.p50, step.p99] == pytest.approx([0.02, 0.02])
    assert step.lateness == pytest.approx(0.0, abs=1e-6)


def test_a_stall_makes_all_requests_due_in_it_late() -> None:
    """Of 2,400 requests, 400 fall into it, more than one in twenty. Clients that wait would have seen ten."""
    report = generated(LoadStep(rate=200, seconds=12), service=stalls)
    (step,) = report.steps
    assert (step.sent, step.not_sent) == (2400, 0)
    assert step.p50 == pytest.approx(0.01)
    assert step.p95 == pytest.approx(1.4, abs=0.01)
    assert step.p99 == pytest.approx(1.88, abs=0.01)
    assert report.verdict is Verdict.FAILED
    assert report.reason.startswith("p95 is 1")


def test_a_service_that_cannot_keep_up_fails() -> None:
    report = generated(LoadStep(rate=100, seconds=10), service=answers_in(20.0), most_open=50)
    assert report.verdict is Verdict.FAILED
    assert report.reason == "requested rate not reached: 5.0 of 100 per second"
    assert report.steps[0].not_sent == 950


def test_a_service_that_falls_behind_has_a_lower_rate() -> None:
    """It answers all requests one after the other at half the rate."""

    def service(loop: VirtualLoop) -> Send:
        free_at = 0.0

        async def send(_: int) -> bool:
            nonlocal free_at
            free_at = max(free_at, loop.time()) + 0.02
            await asyncio.sleep(free_at - loop.time())
            return True

        return send

    report = generated(LoadStep(rate=100, seconds=10), service=service)
    assert report.reason == "requested rate not reached: 50.0 of 100 per second"
    late_but_steady = generated(LoadStep(rate=100, seconds=10), service=answers_in(5.0), limits=LoadLimits())
    assert late_but_steady.verdict is Verdict.PASSED


def test_a_saturated_generator_is_inconclusive() -> None:
    def service(loop: VirtualLoop) -> Send:
        async def send(_: int) -> bool:
            loop.busy(0.012)  # it can send 83 a second
            return True

        return send

    report = generated(LoadStep(rate=100, seconds=10), service=service)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reason.startswith("generator saturated")


def test_errors_count_even_if_the_generator_was_late() -> None:
    def service(loop: VirtualLoop) -> Send:
        async def send(_: int) -> bool:
            loop.busy(0.012)
            return int(loop.time() * 1000) % 10 != 0

        return send

    report = generated(LoadStep(rate=100, seconds=10), service=service)
    assert report.verdict is Verdict.FAILED
    assert "requests failed; 1.00% are allowed" in report.reason


def test_warm_ups_are_not_judged_and_the_worst_step_counts() -> None:
    def service(loop: VirtualLoop) -> Send:
        async def send(_: int) -> bool:
            await asyncio.sleep(3.0 if loop.time() < 5.0 else 0.01)
            return True

        return send

    cold, warm = LoadStep(rate=50, seconds=5, is_judged=False), LoadStep(rate=50, seconds=5)
    report = generated(cold, warm, service=service)
    assert (report.verdict, len(report.steps)) == (Verdict.PASSED, 1)
    assert generated(warm, warm, service=service).verdict is Verdict.FAILED


def test_each_kind_of_request_is_reported_by_itself() -> None:
    """Of forty requests, one goes to an endpoint that is slow and broken: 2.5 % of all would not be seen in p95."""
    kinds = TrafficRequest(path="/orders", weight=39), TrafficRequest(path="/report", method="POST")

    async def send(kind: int) -> bool:
        await asyncio.sleep(0.01 if kind == 0 else 0.8)
        return kind == 0

    loop = VirtualLoop()
    work = generate_load(
        [LoadStep(rate=100, seconds=10)], send, LoadLimits(errors=0.05), requests=kinds, stopwatch=loop.time,
        sleep=asyncio.sleep,
    )  # fmt: skip
    (step,) = run_virtually(loop, work).steps
    assert step.p95 == pytest.approx(0.01)
    assert step.p99 == pytest.approx(0.8)
    read, report = step.endpoints
    assert (read.name, read.sent, read.errors) == ("GET /orders", 975, 0)
    assert (report.name, report.sent, report.errors) == ("POST /report", 25, 25)
    assert read.longest == pytest.approx(0.01)
    assert report.p50 == pytest.approx(0.8)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 20))
def test_turns_follow_the_weights_exactly_and_evenly(weights: list[int], rounds: int) -> None:
    """In each round, and at no time more than one turn behind or ahead."""
    total = sum(weights)
    counts = [0] * len(weights)
    for turn, index in enumerate(itertools.islice(take_turns(weights), total * rounds), start=1):
        counts[index] += 1
        for count, weight in zip(counts, weights, strict=True):
            assert abs(count - turn * weight / total) < len(weights)
    assert counts == [weight * rounds for weight in weights]


@given(st.lists(st.tuples(st.floats(1, 200), st.floats(0.1, 2)), min_size=1, max_size=3))
def test_each_requested_request_is_sent_or_counted(asked: list[tuple[float, float]]) -> None:
    steps = [LoadStep(rate=rate, seconds=seconds) for rate, seconds in asked]
    report = generated(*steps, service=answers_in(0.2), most_open=20)
    assert [step.sent + step.not_sent for step in report.steps] == [step.requests for step in steps]


@pytest.mark.parametrize(
    "steps",
    [[], [LoadStep(rate=1, seconds=1, is_judged=False)], [LoadStep(rate=0, seconds=1)],
     [LoadStep(rate=5, seconds=float("inf"))],
     [LoadStep(rate=9000, seconds=1)], [LoadStep(rate=float("nan"), seconds=1)], [LoadStep(rate=4000, seconds=600)]],
)  # fmt: skip
def test_too_many_requests_are_refused(steps: list[LoadStep]) -> None:
    with pytest.raises(ValueError, match=r"step|requests"):
        validate_steps(steps)


@pytest.mark.parametrize("text", ["100", "x", "100x", "axb", ""])
def test_invalid_steps_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_step(text)
    with pytest.raises(SystemExit):
        main(["http://127.0.0.1:1/", f"--step={text}"], io.StringIO())


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 0.99]))
def test_quantiles_are_values_of_the_data(values: list[float], share: float) -> None:
    found = quantile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert quantile([], share) == 0.0
