"""What a live view shows of a monitored stage, in a browser, a terminal or a log. Pure.

It is computed from the metrics of the services each time; nothing is stored for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_py312.core.text import format_duration
from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, MetricSeries, ServiceMetrics
from pytest_py312.rollout.domain.events import Breached, Drifted
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.run_history import JournalEntry
from pytest_py312.rollout.metrics.resource_usage import CPU, MEMORY
from pytest_py312.rollout.monitoring.breaches import AUXILIARY_METRICS
from pytest_py312.rollout.monitoring.probes import AVAILABILITY, LATENCY
from pytest_py312.rollout.monitoring.soak import SoakSnapshot

_FIRST_METRICS = (AVAILABILITY, LATENCY)


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricLine:
    """The newest result of a metric, beside the control's. ``bad_samples`` of ``samples`` were not successful."""

    metric: str
    result: Result
    value: str = ""
    control_value: str = ""
    detail: str = ""
    is_newest: bool = True
    """Whether the newest sample has it, and not only an earlier one."""
    bad_samples: int = 0
    samples: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceLine:
    """A monitored service. ``breaches`` are the limits that were broken so far."""

    service: str
    metrics: tuple[MetricLine, ...] = ()
    breaches: tuple[str, ...] = ()

    @property
    def bad_metrics(self) -> tuple[MetricLine, ...]:
        """Metrics that were not successful in the newest sample."""
        return tuple(metric for metric in self.metrics if metric.is_newest and metric.result is not Result.SUCCESSFUL)

    @property
    def status(self) -> str:
        """``passed``, ``failed`` or ``inconclusive``."""
        if any(metric.result is Result.FAILED for metric in self.bad_metrics):
            return "failed"
        return "inconclusive" if self.bad_metrics or not self.metrics else "passed"

    @property
    def summary(self) -> str:
        """What is wrong, in a few words, or that nothing is. A service without measurements is not well."""
        if not self.metrics:
            return "nothing was measured yet"
        return ", ".join(f"{metric.metric} {metric.result.value}" for metric in self.bad_metrics) or "well"

    def value_of(self, metric: str) -> str:
        """Return the newest value of a metric; empty if it has none."""
        return next((line.value for line in self.metrics if line.metric == metric), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveView:
    """All that a live view shows. Times are in seconds."""

    progress: SoakSnapshot
    credited: float
    services: tuple[ServiceLine, ...]

    @property
    def remaining(self) -> float:
        """Time that the soak will last at least."""
        return max(0.0, self.progress.run.soak - self.credited)

    @property
    def log_line(self) -> str:
        """The view as one line for a log."""
        run = self.progress.run
        problem = self.progress.storage_problem
        problems = [f"not stored, so it earns no credit: {problem}"] if problem else []
        problems += [f"{service.service}: {service.summary}" for service in self.services if service.summary != "well"]
        state = f"{run.state.value}, sample {self.progress.slot}: {'; '.join(problems) or 'all well'}"
        missed = f"; {self.progress.missed} missed" if self.progress.missed else ""
        return f"{state}; {format_duration(self.credited)} credited, {format_duration(self.remaining)} left{missed}"


def build_view(
    progress: SoakSnapshot,
    credited: float,
    metrics_by_service: Mapping[str, ServiceMetrics],
    history: Iterable[JournalEntry] = (),
) -> LiveView:
    """Build the view of the current state."""
    breaches_by_service: dict[str, list[str]] = {}
    for entry in history:
        content = entry.content
        if isinstance(content, Breached):
            breach = content.breach
            breach_text = f"{breach.metric}: {breach.detail} ({breach.severity.value}: {breach.reaction.value})"
            breaches_by_service.setdefault(breach.service, []).append(breach_text)
        elif isinstance(content, Drifted):
            breaches_by_service.setdefault(content.service, []).append(f"drift: {content.detail}")
    return LiveView(
        progress=progress,
        credited=credited,
        services=tuple(
            ServiceLine(
                service=name,
                metrics=tuple(_metric_lines(service_metrics)),
                breaches=tuple(breaches_by_service.get(name, ())),
            )
            for name, service_metrics in metrics_by_service.items()
        ),
    )


def _metric_lines(service_metrics: ServiceMetrics) -> Iterable[MetricLine]:
    def order(name: str) -> tuple[int, str]:
        return (_FIRST_METRICS.index(name) if name in _FIRST_METRICS else len(_FIRST_METRICS), name)

    sample = service_metrics.last_sample
    # what an earlier sample had, such as an error of the engine, does not go on
    newest = {measurement.metric for measurement in sample.measurements} if sample else None
    for name in sorted(service_metrics.series, key=order):
        series = service_metrics.series[name]
        if name.startswith(CONTROL_PREFIX) or name in AUXILIARY_METRICS or series.last is None:
            continue
        yield MetricLine(
            metric=name,
            result=series.last.result,
            value=format_value(name, series.last.value),
            control_value=format_value(name, _last_value(service_metrics.series.get(CONTROL_PREFIX + name))),
            detail=series.last.detail,
            is_newest=newest is None or name in newest,
            bad_samples=len(series.results) - series.result_counts.get(Result.SUCCESSFUL, 0),
            samples=len(series.results),
        )


def _last_value(series: MetricSeries | None) -> float | None:
    return series.last.value if series is not None and series.last is not None else None


def format_value(metric: str, value: float | None) -> str:
    """Format a value with its unit, if the metric is one of ours."""
    if value is None or metric == AVAILABILITY:
        return ""
    if metric == LATENCY:
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    if metric == MEMORY:
        return f"{value / 2**20:.1f} MiB"
    return f"{value:.2f} cores" if metric == CPU else f"{value:.6g}"
