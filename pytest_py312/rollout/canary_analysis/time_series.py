"""Time series of a run's samples, so compact that a week of them fits into little memory. Pure.

Each sample is added once, in order, whether it was read from the journal or just taken.
"""

from array import array
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from pytest_py312.repository.plan.rollout_settings import CompareSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.judge import (
    CRASH_LOOP_WINDOW,
    MetricVerdict,
    counts_towards_soak,
    judge_metric,
    restarts_within,
)
from pytest_py312.rollout.canary_analysis.memory_growth import MIN_POINTS, MemoryGrowth, MemoryReading, find_leak
from pytest_py312.rollout.canary_analysis.statistics import (
    MetricComparison,
    compare,
    interim_step,
    judge_interim,
    pair_by_slot,
    theil_sen_slope,
)
from pytest_py312.rollout.domain.measurements import CONCLUSIVE, Measurement, Result, Sample
from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.resource_usage import CONTROL_MEMORY, MEMORY_LIMIT, UsageCounters, read_counters

CONTROL_PREFIX = "old "
"""Prefix of the name of a metric that was measured on the control."""
CONFIRMED_PREFIX = "confirmed: "
"""Prefix of the evidence of a failure that repeated probes have confirmed."""
GROWTH_WINDOW_HOURS = 12
_CONTROL_SHARE = 0.8
"""Share of the samples in which the control has to be measured, so that growth is judged beside it."""
_RESULTS = tuple(Result)
_RESULT_CODES = {result: number for number, result in enumerate(_RESULTS)}
_SUCCESSFUL_CODE = _RESULT_CODES[Result.SUCCESSFUL]


@dataclass
class MetricSeries:
    """One metric of one service: a byte for each result, and the values by slot if they are compared."""

    results: bytearray = field(default_factory=bytearray)
    slots: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    last: Measurement | None = None
    confirmed_failure: str = ""
    has_non_success: bool = False

    def add(self, slot: int, measurement: Measurement, *, keep_value: bool = True) -> None:
        """Add the next measurement. Its value is kept if it will be needed."""
        code = _RESULT_CODES[measurement.result]
        self.results.append(code)
        self.has_non_success = self.has_non_success or code != _SUCCESSFUL_CODE
        self.last = measurement
        if measurement.result is Result.FAILED and measurement.detail.startswith(CONFIRMED_PREFIX):
            self.confirmed_failure = self.confirmed_failure or measurement.detail
        if keep_value and measurement.value is not None and measurement.result in CONCLUSIVE:
            self.slots.append(slot)
            self.values.append(measurement.value)

    def judge(self, settings: SoakSettings) -> MetricVerdict:
        """Judge the results by the limits. A confirmed failure needs no second one."""
        if self.confirmed_failure:
            return MetricVerdict(verdict=Verdict.FAILED, reason=self.confirmed_failure)
        if not self.has_non_success:  # the usual case: nothing to count
            return MetricVerdict(verdict=Verdict.PENDING)
        return judge_metric([_RESULTS[code] for code in self.results], settings)

    @property
    def result_counts(self) -> dict[Result, int]:
        """Number of results of each kind that occurred."""
        counts = {result: self.results.count(code) for result, code in _RESULT_CODES.items()}
        return {result: count for result, count in counts.items() if count}

    @property
    def values_by_slot(self) -> dict[int, float]:
        return dict(zip(self.slots, self.values, strict=True))


class ServiceMetrics:
    """All measurements of one service.

    ``stored_metrics`` are the metrics whose values are kept, for comparisons and growth; ``None``: all.
    """

    def __init__(self, stored_metrics: Collection[str] | None = None) -> None:
        self._stored_metrics = stored_metrics
        self.series: dict[str, MetricSeries] = {}
        self.last_sample: Sample | None = None
        self._usage_readings: deque[UsageCounters] = deque()

    def add_initial_sample(self, sample: Sample) -> None:
        """Add what was read before the first sample. It is not judged; the engine's counters start there."""
        self.last_sample = sample
        self._add_usage(sample)

    def add(self, sample: Sample) -> None:
        """Add the next sample."""
        self.last_sample = sample
        for measurement in sample.measurements:
            keep_value = self._stored_metrics is None or measurement.metric in self._stored_metrics
            series = self.series.get(measurement.metric)
            if series is None:
                series = self.series[measurement.metric] = MetricSeries()
            series.add(sample.slot, measurement, keep_value=keep_value)
        self._add_usage(sample)

    def _add_usage(self, sample: Sample) -> None:
        counters = read_counters(sample)
        if counters is None:
            return
        self._usage_readings.append(counters)
        # keep one reading before the window, to see a restart between it and the next
        while len(self._usage_readings) > 2:
            age = sample.at.seconds_since(self._usage_readings[1].at)
            if age is not None and age <= CRASH_LOOP_WINDOW:
                break
            self._usage_readings.popleft()

    @property
    def recent_restarts(self) -> int:
        """Number of restarts within the window of a crash loop."""
        return restarts_within(list(self._usage_readings))

    def find_memory_leak(self, metric: str, settings: SoakSettings, *, final: bool = False) -> MemoryGrowth | None:
        """Return the growth of ``metric`` if it is that of a leak; ``None`` between the points at which it is due.

        It is due each time that the number of values has grown by a twelfth, and at the end of the soak.
        """
        readings = self._memory_readings(metric, settings.interval)
        if not final and len(readings) % max(1, len(readings) // MIN_POINTS):
            return None
        limits = self.series.get(MEMORY_LIMIT, MetricSeries()).last
        limit = limits.value if limits else None
        return find_leak(readings, soak_hours=settings.duration / 3600, limit=limit)

    def _memory_readings(self, metric: str, interval: float) -> list[MemoryReading]:
        """Return the memory at each slot, beside that of the control if it has nearly as many values."""
        values = self.series.get(metric, MetricSeries()).values_by_slot
        control = self.series.get(CONTROL_MEMORY, MetricSeries()).values_by_slot
        if len(control) < _CONTROL_SHARE * len(values):
            control = {}
        return [
            MemoryReading(hours=slot * interval / 3600, used=value, control=control.get(slot))
            for slot, value in values.items()
            if not control or slot in control
        ]

    def growth_per_hour(self, metric: str, interval: float) -> float | None:
        """Return the growth of ``metric`` per hour over the last :data:`GROWTH_WINDOW_HOURS`; ``None`` if it is not
        due.

        It is due four times per window: a slope over twelve hours hardly changes in five minutes.
        """
        series = self.series.get(metric)
        window = round(GROWTH_WINDOW_HOURS * 3600 / interval)
        stride = max(1, window // 24)
        if series is None or len(series.slots) < window or len(series.slots) % max(1, window // 4):
            return None
        newest = range(len(series.slots) - window, len(series.slots), stride)
        return theil_sen_slope([(series.slots[index] * interval / 3600, series.values[index]) for index in newest])

    @property
    def compared_metrics(self) -> list[str]:
        """Metrics that were measured on the control as well."""
        return sorted(name for name in self.series if CONTROL_PREFIX + name in self.series)

    def paired_values(self, metric: str) -> list[tuple[float, float]]:
        """Return (old, new) of all slots that have both."""
        old, new = (self.series.get(name, MetricSeries()) for name in (CONTROL_PREFIX + metric, metric))
        return pair_by_slot(old.values_by_slot, new.values_by_slot)

    def compare_interim(self, metric: str, settings: CompareSettings, direction: str) -> MetricComparison | None:
        """Return the interim verdict at points where an analysis is due; ``None`` between them."""
        step = interim_step(settings)
        shorter_length = min(len(self.series[name].slots) for name in (metric, CONTROL_PREFIX + metric))
        if shorter_length < settings.min_points:
            return None
        pairs = self.paired_values(metric)
        if len(pairs) < settings.min_points or (len(pairs) - settings.min_points) % step:
            return None
        window = settings.min_points + step * (settings.looks - 1)
        return judge_interim(pairs[-window:], settings, direction=direction)

    def compare_whole_soak(self, metric: str, settings: CompareSettings, direction: str) -> MetricComparison:
        """Return the final comparison."""
        return compare(self.paired_values(metric), settings, direction=direction)


class SoakProgress:
    """Proven seconds of the soak: one interval for each slot in which every service was well. A gap counts nothing.

    For each boot of the machine at most the time that passed is credited, however close the samples are.

    :param ignored: what does not count against a sample, as ``service: metric``.
    """

    def __init__(self, services: Collection[str], interval: float, ignored: Collection[str] = ()) -> None:
        self._services = len(set(services))
        self._interval = interval
        self._ignored = frozenset(ignored)
        self._incomplete_slots: dict[int, int] = {}
        self._good_slots_by_boot: dict[str, tuple[int, float, float]] = {}

    def add(self, sample: Sample) -> None:
        """Add a sample. Each service has one per slot."""
        if not counts_towards_soak(sample, self._ignored):
            return
        service_count = self._incomplete_slots.pop(sample.slot, 0) + 1
        if service_count < self._services:
            self._incomplete_slots[sample.slot] = service_count
            return
        slot_count, first, last = self._good_slots_by_boot.get(
            sample.at.boot, (0, sample.at.boottime, sample.at.boottime)
        )
        self._good_slots_by_boot[sample.at.boot] = (
            slot_count + 1,
            min(first, sample.at.boottime),
            max(last, sample.at.boottime),
        )

    @property
    def seconds(self) -> float:
        return sum(
            min(slot_count * self._interval, last - first + self._interval)
            for slot_count, first, last in self._good_slots_by_boot.values()
        )
