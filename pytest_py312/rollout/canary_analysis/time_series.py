"""What the samples of a run come to, kept so that a week of them fits in little memory. Pure.

Each sample is added once, in turn; what a process finds in the journal and what it takes itself are the same to it.
"""

from array import array
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pytest_py312.repository.plan.rollout_settings import CompareSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.judge import CRASH_WINDOW, Judgement, is_good, judge_metric, restarts_within
from pytest_py312.rollout.canary_analysis.statistics import Compared, compare, judge_running, slope
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample, Usage, Verdict
from pytest_py312.rollout.metrics.resource_usage import counters_in

OLD = "old "
"""Stands before the name of a metric that the old version's twin answered."""
CONFIRMED = "confirmed: "
"""Begins the evidence of a failure that asking again has confirmed."""
GROWTH_HOURS = 12
_KINDS = tuple(Result)
_NUMBERS = {result: number for number, result in enumerate(_KINDS)}
_WELL = _NUMBERS[Result.SUCCESSFUL]


@dataclass
class Series:
    """One metric of one service: a byte for each result, and the values by slot, where they are compared."""

    results: bytearray = field(default_factory=bytearray)
    slots: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    last: Measurement | None = None
    confirmed: str = ""
    is_troubled: bool = False

    def add(self, slot: int, one: Measurement, *, keeps_value: bool = True) -> None:
        """Take the next measurement in; its value is kept where it will be asked for."""
        number = _NUMBERS[one.result]
        self.results.append(number)
        self.is_troubled = self.is_troubled or number != _WELL
        self.last = one
        if one.result is Result.FAILED and one.detail.startswith(CONFIRMED):
            self.confirmed = self.confirmed or one.detail
        if keeps_value and one.value is not None and one.result in (Result.SUCCESSFUL, Result.FAILED):
            self.slots.append(slot)
            self.values.append(one.value)

    def judged(self, settings: SoakSettings) -> Judgement:
        """What the limits say; a failure that was confirmed needs no second."""
        if self.confirmed:
            return Judgement(verdict=Verdict.FAILED, reason=self.confirmed)
        if not self.is_troubled:  # nearly always, and nothing to count then
            return Judgement(verdict=Verdict.PENDING)
        return judge_metric([_KINDS[number] for number in self.results], settings)

    @property
    def counts(self) -> dict[Result, int]:
        """How many ended in which way; those that none did are left out."""
        found = {kind: self.results.count(number) for kind, number in _NUMBERS.items()}
        return {kind: count for kind, count in found.items() if count}

    @property
    def by_slot(self) -> dict[int, float]:
        return dict(zip(self.slots, self.values, strict=True))


class Tally:
    """All that was measured of one service.

    ``kept`` are the metrics whose values are kept, for comparisons and growth; ``None``: all.
    """

    def __init__(self, kept: Collection[str] | None = None) -> None:
        self._kept = kept
        self.series: dict[str, Series] = {}
        self.last: Sample | None = None
        self._readings: deque[tuple[Moment, Usage]] = deque()

    def begin(self, sample: Sample) -> None:
        """Take in what was read before the first sample: nothing of it is judged, and what an engine counts starts
        there."""
        self.last = sample
        self._read(sample)

    def add(self, sample: Sample) -> None:
        """Take the next sample in."""
        self.last = sample
        for one in sample.measurements:
            keeps_value = self._kept is None or one.metric in self._kept
            series = self.series.get(one.metric)
            if series is None:
                series = self.series[one.metric] = Series()
            series.add(sample.slot, one, keeps_value=keeps_value)
        self._read(sample)

    def _read(self, sample: Sample) -> None:
        counters = counters_in(sample)
        if counters is None:
            return
        usage = Usage(
            cpu_seconds=counters.cpu_seconds,
            memory=0,
            restarts=counters.restarts,
            out_of_memory=False,
            started_at=counters.started_at,
        )
        self._readings.append((sample.at, usage))
        # one more than the window: the first of two readings may be older
        while len(self._readings) > 2:
            age = sample.at.since(self._readings[1][0])
            if age is not None and age <= CRASH_WINDOW:
                break
            self._readings.popleft()

    @property
    def restarts(self) -> int:
        """How often it was started again lately."""
        return restarts_within(list(self._readings))

    def growth(self, metric: str, interval: float) -> float | None:
        """By how much an hour ``metric`` grew over the last :data:`GROWTH_HOURS`; ``None`` where it is not the time.

        Looked at each quarter of that time: a slope of twelve hours is no other five minutes later.
        """
        series = self.series.get(metric)
        wanted = round(GROWTH_HOURS * 3600 / interval)
        each = max(1, wanted // 24)
        if series is None or len(series.slots) < wanted or len(series.slots) % max(1, wanted // 4):
            return None
        newest = range(len(series.slots) - wanted, len(series.slots), each)
        return slope([(series.slots[at] * interval / 3600, series.values[at]) for at in newest])

    @property
    def compared_metrics(self) -> list[str]:
        """Those that the twin answers as well."""
        return sorted(name for name in self.series if OLD + name in self.series)

    def pairs(self, metric: str) -> list[tuple[float, float]]:
        """(old, new) of all slots that have both."""
        old, new = self.series.get(OLD + metric, Series()).by_slot, self.series.get(metric, Series()).by_slot
        return [(old[slot], new[slot]) for slot in sorted(old.keys() & new.keys())]

    def compared_now(self, metric: str, settings: CompareSettings, direction: str) -> Compared | None:
        """What the newest looks say, at the points where there is one; ``None`` between them."""
        step = max(1, settings.min_points // 3)
        shorter = min(len(self.series[name].slots) for name in (metric, OLD + metric))
        if shorter < settings.min_points:
            return None
        pairs = self.pairs(metric)
        if len(pairs) < settings.min_points or (len(pairs) - settings.min_points) % step:
            return None
        looked_at = settings.min_points + step * (settings.looks - 1)
        return judge_running(pairs[-looked_at:], settings, direction=direction)

    def compared_in_all(self, metric: str, settings: CompareSettings, direction: str) -> Compared:
        """What the last judgement says."""
        return compare(self.pairs(metric), settings, direction=direction)


class Credit:
    """Seconds of the soak that are proven, counted as :func:`.judge.credited` counts them, but as samples come."""

    def __init__(self, services: Collection[str], interval: float, ignored: Collection[str] = ()) -> None:
        self._services = len(set(services))
        self._interval = interval
        self._ignored = frozenset(ignored)
        self._waiting: dict[int, int] = {}
        self._boots: dict[str, tuple[int, float, float]] = {}

    def add(self, sample: Sample) -> None:
        """Take a sample in; each service has one for a slot."""
        if not is_good(sample, self._ignored):
            return
        count = self._waiting.pop(sample.slot, 0) + 1
        if count < self._services:
            self._waiting[sample.slot] = count
            return
        number, first, last = self._boots.get(sample.at.boot, (0, sample.at.boottime, sample.at.boottime))
        self._boots[sample.at.boot] = (number + 1, min(first, sample.at.boottime), max(last, sample.at.boottime))

    @property
    def seconds(self) -> float:
        return sum(
            min(number * self._interval, last - first + self._interval) for number, first, last in self._boots.values()
        )


def results_of(tally: Tally) -> Mapping[str, Measurement]:
    """Metric -> its newest measurement."""
    return {name: series.last for name, series in tally.series.items() if series.last is not None}
