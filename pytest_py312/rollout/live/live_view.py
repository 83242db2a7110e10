"""What a watching shows while it goes on, whoever looks: a browser, a terminal, or a log. Pure.

Made anew of the tallies each time, as the figures are: nothing is kept for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_py312.rollout.canary_analysis.soak_status import spelled
from pytest_py312.rollout.canary_analysis.time_series import OLD, Series, Tally
from pytest_py312.rollout.domain.events import Breached, Drifted
from pytest_py312.rollout.domain.journal import Entry
from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.metrics.resource_usage import CPU, MEMORY
from pytest_py312.rollout.monitoring.breaches import NOT_JUDGED
from pytest_py312.rollout.monitoring.probes import AVAILABILITY, LATENCY
from pytest_py312.rollout.monitoring.soak import Progress

_FIRST = (AVAILABILITY, LATENCY)


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricLine:
    """The newest answer of a metric, beside the old version's; ``bad`` of ``taken`` samples were other than well."""

    metric: str
    result: Result
    value: str = ""
    old: str = ""
    detail: str = ""
    bad: int = 0
    taken: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceLine:
    """A service that is watched. ``breaches`` are the limits that it has broken so far."""

    service: str
    metrics: tuple[MetricLine, ...] = ()
    breaches: tuple[str, ...] = ()

    @property
    def troubles(self) -> tuple[MetricLine, ...]:
        """What was other than well in the newest sample."""
        return tuple(one for one in self.metrics if one.result is not Result.SUCCESSFUL)

    @property
    def sign(self) -> str:
        """``passed``, ``failed`` or ``inconclusive``."""
        if any(one.result is Result.FAILED for one in self.troubles):
            return "failed"
        return "inconclusive" if self.troubles or not self.metrics else "passed"

    @property
    def summary(self) -> str:
        """In a few words: what is wrong, or that nothing is; nothing measured is not well."""
        if not self.metrics:
            return "nothing was measured yet"
        return ", ".join(f"{one.metric} {one.result.value}" for one in self.troubles) or "well"

    def value_of(self, metric: str) -> str:
        """The newest value of a metric; empty where it has none."""
        return next((one.value for one in self.metrics if one.metric == metric), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveView:
    """All of it. Times in seconds."""

    progress: Progress
    credited: float
    services: tuple[ServiceLine, ...]

    @property
    def left(self) -> float:
        """Of the soak, at the least."""
        return max(0.0, self.progress.run.soak - self.credited)

    @property
    def sentence(self) -> str:
        """One line for a log."""
        run = self.progress.run
        found = "; ".join(f"{one.service}: {one.summary}" for one in self.services if one.summary != "well")
        told = f"{run.state.value}, sample {self.progress.slot}: {found or 'all well'}"
        missed = f"; {self.progress.missed} missed" if self.progress.missed else ""
        return f"{told}; {spelled(self.credited)} credited, {spelled(self.left)} left{missed}"


def view_of(
    progress: Progress, credited: float, tallies: Mapping[str, Tally], history: Iterable[Entry] = ()
) -> LiveView:
    """What is to be seen now."""
    broken: dict[str, list[str]] = {}
    for entry in history:
        what = entry.what
        if isinstance(what, Breached):
            one = what.breach
            told = f"{one.metric}: {one.detail} ({one.severity.value}: {one.reaction.value})"
            broken.setdefault(one.service, []).append(told)
        elif isinstance(what, Drifted):
            broken.setdefault(what.service, []).append(f"drift: {what.detail}")
    return LiveView(
        progress=progress,
        credited=credited,
        services=tuple(
            ServiceLine(service=name, metrics=tuple(_metrics(tally)), breaches=tuple(broken.get(name, ())))
            for name, tally in tallies.items()
        ),
    )


def _metrics(tally: Tally) -> Iterable[MetricLine]:
    def order(name: str) -> tuple[int, str]:
        return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)

    for name in sorted(tally.series, key=order):
        series = tally.series[name]
        if name.startswith(OLD) or name in NOT_JUDGED or series.last is None:
            continue
        yield MetricLine(
            metric=name,
            result=series.last.result,
            value=valued(name, series.last.value),
            old=valued(name, _last(tally.series.get(OLD + name))),
            detail=series.last.detail,
            bad=len(series.results) - series.counts.get(Result.SUCCESSFUL, 0),
            taken=len(series.results),
        )


def _last(series: Series | None) -> float | None:
    return series.last.value if series is not None and series.last is not None else None


def valued(metric: str, value: float | None) -> str:
    """A value with its unit, where the metric is one of ours."""
    if value is None or metric == AVAILABILITY:
        return ""
    if metric == LATENCY:
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    if metric == MEMORY:
        return f"{value / 2**20:.1f} MiB"
    return f"{value:.2f} cores" if metric == CPU else f"{value:.6g}"
