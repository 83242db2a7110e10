"""Sample pairs of measurements on baseline and target until there is a verdict or the budget is spent.

Pairs are taken in blocks of two, in the random order baseline-target-target-baseline or the reverse. So a drift (heat,
other load) affects both sides equally. The two measurements of the baseline in a block are a control: the baseline
compared with itself should show no difference.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_py312.core import clock
from pytest_py312.core.model.measurements import SpeedVerdict
from pytest_py312.gate.benchmarks.sequential_test import ERROR_RATE, SamplingRound, SequentialTestResult
from pytest_py312.gate.benchmarks.statistics import (
    UNKNOWN_INTERVAL,
    Interval,
    median_interval,
    median_ratio,
    pair_ratios,
)

Measure = Callable[[Sequence[str], int], Mapping[str, float]]
"""Measures each of the named benchmarks once, in a fresh process with the given hash seed. May raise
:class:`MeasurementFailed`."""

MAX_BUDGET_FACTOR = 5
"""Factor by which a round may exceed its budget if it would otherwise end with too few pairs for any verdict."""
CONTROL_CONFIDENCE = 0.9
"""Confidence of the interval of the control. It affects no verdict, and has only half as many ratios as pairs."""


class MeasurementFailed(Exception):
    """A measurement failed. ``str()`` is a sentence with the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SidePair:
    """How to measure on the baseline and on the target."""

    baseline: Measure
    target: Measure


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingSettings:
    """How to sample.

    ``budget``: time for a round in seconds; a started block is completed. ``families`` and ``secondary``: see
    :class:`SamplingRound`. ``confirm``: whether verdicts are needed, so that slower benchmarks get a second round.
    """

    budget: float
    error_rate: float = ERROR_RATE
    families: int = 1
    seed: int = 0
    secondary: frozenset[str] = frozenset()
    confirm: bool = True


@dataclass(kw_only=True, slots=True)
class SampledPairs:
    """All measurements of one benchmark, (baseline, target), and the ratios of the baseline to itself."""

    pairs: list[tuple[float, float]] = field(default_factory=list)
    control_ratios: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkResult:
    """The result of one benchmark. ``confirmed``: a second, independent round also found it slower."""

    test_result: SequentialTestResult
    samples: SampledPairs
    control: tuple[float, Interval] | None
    confirmed: bool = False
    note: str = ""


@dataclass(slots=True)
class _Sampler:
    """Sampler of the blocks of all rounds, so that no two rounds share hash seeds or the random order."""

    sides: SidePair
    settings: SamplingSettings
    coin: random.Random
    stopwatch: Callable[[], float]
    seeds_used: int = 0

    def sample_block(self, names: Sequence[str], samples: Mapping[str, SampledPairs]) -> dict[str, list[float]]:
        """Measure two pairs of each benchmark, add them to ``samples``, and return their ratios."""
        baseline_first = self.coin.random() < 0.5
        seeds = (self.seeds_used, self.seeds_used + 1)
        self.seeds_used += 2
        baseline, target = self.sides.baseline, self.sides.target
        order = (baseline, target, target, baseline) if baseline_first else (target, baseline, baseline, target)
        # both sides of a pair have the same hash seed
        measured = [measure(names, seeds[position // 2]) for position, measure in enumerate(order)]
        baseline_runs, target_runs = (
            (measured[0::3], measured[1:3]) if baseline_first else (measured[1:3], measured[0::3])
        )
        ratios_by_name = {}
        for name in names:
            baseline_values, target_values = (
                [measurement[name] for measurement in baseline_runs],
                [measurement[name] for measurement in target_runs],
            )
            ratios_by_name[name] = pair_ratios(baseline_values, target_values)
            samples[name].pairs += zip(baseline_values, target_values, strict=True)
            # random order, so that the control does not depend on which one was measured first
            measurement, other_measurement = self.coin.sample(baseline_values, 2)
            samples[name].control_ratios.append(other_measurement / measurement)
        return ratios_by_name

    def run_round(
        self, sampling_round: SamplingRound, samples: Mapping[str, SampledPairs]
    ) -> dict[str, SequentialTestResult]:
        """Take one round, until it is over or its budget is spent.

        With too few pairs for any verdict the budget is extended, as the time would be wasted otherwise.
        """
        round_started = self.stopwatch()
        longest_block, count = 0.0, 0
        budget = self.settings.budget
        extended_budget = budget * (MAX_BUDGET_FACTOR if self.settings.confirm else 1)
        while not sampling_round.is_over:
            while count < sampling_round.next_look:
                block_started = self.stopwatch()
                if count and block_started - round_started + longest_block > (
                    budget if count >= sampling_round.min_pairs else extended_budget
                ):
                    sampling_round.look()
                    return sampling_round.results()
                for name, values in self.sample_block(sampling_round.undecided, samples).items():
                    sampling_round.add(name, values)
                count += 2
                longest_block = max(longest_block, self.stopwatch() - block_started)
            sampling_round.look()
        return sampling_round.results()


def measure_and_compare(
    sides: SidePair,
    thresholds: Mapping[str, float],
    settings: SamplingSettings,
    *,
    stopwatch: Callable[[], float] = clock.stopwatch,
) -> dict[str, BenchmarkResult]:
    """Measure benchmarks and compare both sides. Slower benchmarks are confirmed in a second round.

    Warming up is up to the caller.

    :param thresholds: the benchmarks by name, with the relative change that counts for each.
    :raises MeasurementFailed: a benchmark could not be measured.
    """
    sampler = _Sampler(sides, settings, random.Random(settings.seed), stopwatch)
    samples = {name: SampledPairs() for name in thresholds}
    first_round = SamplingRound(
        thresholds, error_rate=settings.error_rate, families=settings.families, secondary=settings.secondary
    )
    first_results = sampler.run_round(first_round, samples)
    slower = {
        name: thresholds[name]
        for name, first_result in first_results.items()
        if first_result.verdict is SpeedVerdict.SLOWER and settings.confirm
    }
    # the second round tests only a few benchmarks, so it needs fewer pairs for the same error rate
    second_round = SamplingRound(slower, error_rate=settings.error_rate, confirming=True)
    second_results = sampler.run_round(second_round, samples) if slower else {}
    results = {}
    for name, first_result in first_results.items():
        confirmed = name in second_results and second_results[name].verdict is SpeedVerdict.SLOWER
        results[name] = BenchmarkResult(
            test_result=first_result
            if name not in second_results or confirmed
            else _unconfirmed_result(first_result, second_results[name]),
            samples=samples[name],
            control=_control_interval(samples[name].control_ratios),
            confirmed=confirmed,
            note=f"slower in a first round, and {second_results[name].verdict.value} in a second one"
            if name in second_results and not confirmed
            else "",
        )
    return results


def _unconfirmed_result(first: SequentialTestResult, second: SequentialTestResult) -> SequentialTestResult:
    """Return the inconclusive result of a benchmark that was slower only in the first round."""
    return SequentialTestResult(
        verdict=SpeedVerdict.INCONCLUSIVE,
        ratio=second.ratio,
        interval=second.interval,
        p_value=max(first.p_value, second.p_value),
        pairs=first.pairs + second.pairs,
        missing_pairs=second.missing_pairs or second.pairs,
    )


def _control_interval(control_ratios: Sequence[float]) -> tuple[float, Interval] | None:
    if not control_ratios:
        return None
    return median_ratio(control_ratios), median_interval(control_ratios, CONTROL_CONFIDENCE) if len(
        control_ratios
    ) > 1 else UNKNOWN_INTERVAL
