"""Prometheus metrics about rollouts, as a textfile or over HTTP.

All values are computed from the journal and the samples at each request, so a restarted watcher exports the same values
as the previous process. Only ``py312_soak_missed_samples`` counts since the watcher started.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.events import Decided, DeployFailed, RollbackRequested, breach_in
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import Reaction, StageRun, StageState
from pytest_py312.rollout.domain.run_history import JournalEntry
from pytest_py312.rollout.metrics.resource_usage import CPU_COUNTER, RESTART_COUNTER

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageMetrics:
    """What is exported about one stage. ``metrics_by_service`` is only set for a stage that this process monitors."""

    run: StageRun
    history: Sequence[JournalEntry] = ()
    interval: float = 0.0
    missed: int = 0
    inconclusive: int = 0
    metrics_by_service: Mapping[str, ServiceMetrics] = field(default_factory=dict)

    def count_breaches(self) -> Counter[tuple[str, str, str, str]]:
        """Count the breaches of the history by service, metric, severity and reaction."""
        breaches = filter(None, (breach_in(entry.content) for entry in self.history))
        return Counter(
            (breach.service, breach.metric, breach.severity.value, breach.reaction.value) for breach in breaches
        )

    def count_rollbacks(self) -> Counter[str]:
        """Count the rollbacks of the history by their reason."""
        rollbacks: Counter[str] = Counter()
        for entry in self.history:
            event = entry.content
            if breach := breach_in(event):
                rollbacks["breach"] += breach.reaction is Reaction.ROLL_BACK
            elif isinstance(event, DeployFailed):
                rollbacks["deployment"] += 1
            elif isinstance(event, RollbackRequested):
                rollbacks["asked for"] += 1
            elif isinstance(event, Decided):
                rollbacks["decided"] += not event.accept
        return +rollbacks


_STAGE_LABELS = ("environment", "stage")
_SERVICE_LABELS = (*_STAGE_LABELS, "service")
FAMILIES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # name without _total -> (kind, description, labels)
    "py312_stage_state": ("gauge", "1 for the state that a stage is in, 0 for all others.", (*_STAGE_LABELS, "state")),
    "py312_soak_duration_seconds": ("gauge", "Planned duration of the soak.", _STAGE_LABELS),
    "py312_soak_credited_seconds": ("gauge", "Seconds of the soak that are proven by good samples.", _STAGE_LABELS),
    "py312_soak_interval_seconds": ("gauge", "Seconds between two samples.", _STAGE_LABELS),
    "py312_soak_last_sample_timestamp_seconds": ("gauge", "Time of the newest sample.", _STAGE_LABELS),
    "py312_soak_missed_samples": ("gauge", "Samples that this watcher missed or could not store.", _STAGE_LABELS),
    "py312_soak_inconclusive": ("gauge", "Number of metrics that are inconclusive.", _STAGE_LABELS),
    "py312_measurement": ("counter", "Measurements by result.", (*_SERVICE_LABELS, "metric", "result")),
    "py312_measurement_failed": ("gauge", "1 if the newest measurement failed.", (*_SERVICE_LABELS, "metric")),
    "py312_measurement_value": ("gauge", "The newest value.", (*_SERVICE_LABELS, "metric", "version")),
    "py312_service_restarts": ("counter", "Restarts of the container.", _SERVICE_LABELS),
    "py312_service_cpu_seconds": ("counter", "Processor time that the container used.", _SERVICE_LABELS),
    "py312_breach": ("counter", "Limits that were broken.", (*_SERVICE_LABELS, "metric", "severity", "reaction")),
    "py312_rollback": ("counter", "Rollbacks that were started.", (*_STAGE_LABELS, "reason")),
}
"""All exported metrics. Alert rules and dashboards use only these."""

LabelledValue = tuple[tuple[str, ...], float]


def labelled_values(stage_metrics: StageMetrics) -> Iterator[tuple[str, LabelledValue]]:
    """Yield (name of the family, (labels, value)) for a stage."""
    run = stage_metrics.run
    stage = (run.environment, str(run.stage))
    for state in StageState:
        yield "py312_stage_state", ((*stage, state.value), float(run.state is state))
    yield "py312_soak_duration_seconds", (stage, run.soak)
    yield "py312_soak_credited_seconds", (stage, run.credited)
    if stage_metrics.metrics_by_service:
        yield "py312_soak_interval_seconds", (stage, stage_metrics.interval)
        yield "py312_soak_missed_samples", (stage, float(stage_metrics.missed))
        yield "py312_soak_inconclusive", (stage, float(stage_metrics.inconclusive))
        sample_times = [
            service_metrics.last_sample.at.wall
            for service_metrics in stage_metrics.metrics_by_service.values()
            if service_metrics.last_sample
        ]
        if sample_times:
            yield "py312_soak_last_sample_timestamp_seconds", (stage, max(sample_times))
    for service, service_metrics in stage_metrics.metrics_by_service.items():
        yield from _service_values((*stage, service), service_metrics)
    for (service, *breach_labels), count in stage_metrics.count_breaches().items():
        yield "py312_breach", ((*stage, service, *breach_labels), float(count))
    for reason, count in stage_metrics.count_rollbacks().items():
        yield "py312_rollback", ((*stage, reason), float(count))


def _service_values(labels: tuple[str, ...], service_metrics: ServiceMetrics) -> Iterator[tuple[str, LabelledValue]]:
    for metric, series in service_metrics.series.items():
        last = series.last
        if last is None:
            continue
        if metric in (RESTART_COUNTER, CPU_COUNTER):
            name = "py312_service_restarts" if metric == RESTART_COUNTER else "py312_service_cpu_seconds"
            yield name, (labels, last.value or 0.0)
            continue
        version = "old" if metric.startswith(CONTROL_PREFIX) else "new"
        name = metric.removeprefix(CONTROL_PREFIX)
        if last.value is not None:
            yield "py312_measurement_value", ((*labels, name, version), last.value)
        if version == "new":
            yield "py312_measurement_failed", ((*labels, name), float(last.result is Result.FAILED))
            for result, count in series.result_counts.items():
                yield "py312_measurement", ((*labels, name, result.value), float(count))


def render_metrics(stages: Sequence[StageMetrics]) -> bytes:
    """Return the metrics in the Prometheus text format."""
    from prometheus_client import generate_latest

    return generate_latest(_registry(stages))


def write_textfile(path: Path, stages: Sequence[StageMetrics]) -> None:
    """Write the metrics atomically to a file for the textfile collector of the node exporter.

    :raises OSError: the file cannot be written.
    """
    from prometheus_client import write_to_textfile

    write_to_textfile(os.fspath(path), _registry(stages))


def _registry(stages: Sequence[StageMetrics]) -> "CollectorRegistry":
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    kinds: dict[str, Any] = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}

    class StageCollector(Collector):
        """Creates the families on request, in the order of :data:`FAMILIES`."""

        def collect(self) -> Iterator[Any]:
            families = {name: kinds[kind](name, help, labels=labels) for name, (kind, help, labels) in FAMILIES.items()}
            for stage_metrics in stages:
                for name, (labels, value) in labelled_values(stage_metrics):
                    families[name].add_metric([_encodable(label) for label in labels], value)
            return iter(families.values())

    registry = CollectorRegistry(auto_describe=False)
    registry.register(StageCollector())
    return registry


def _encodable(label: str) -> str:
    """Replace lone surrogates, which cannot be encoded."""
    return label.encode("utf-8", "replace").decode("utf-8")


def exported_names() -> frozenset[str]:
    """Return the names of the metrics as Prometheus stores them."""
    return frozenset(f"{name}_total" if kind == "counter" else name for name, (kind, _, _) in FAMILIES.items())


PAGE_CONTENT_TYPE = "text/html; charset=utf-8"


@asynccontextmanager
async def serve_metrics(
    render: Callable[[], bytes], *, render_page: Callable[[], str], port: int = 0
) -> AsyncIterator[int]:
    """Serve ``render()`` at ``/metrics`` and ``render_page()`` at ``/``, and yield the port.

    :param port: 0 for any free port.
    :raises OSError: the port is taken.
    """
    from aiohttp import web

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=render(), headers={"Content-Type": METRICS_CONTENT_TYPE})

    async def root(request: web.Request) -> web.Response:
        headers = {"Content-Type": PAGE_CONTENT_TYPE, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=render_page().encode("utf-8", "replace"), headers=headers)

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/", root)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
