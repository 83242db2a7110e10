"""What a Prometheus is told about rollouts, as families of metrics, text and textfile.

Everything is made of the journal and the tallies each time it is asked for, and nothing is counted on the side: a
watcher that was started anew tells the same figures as the one before it.

Figures over HTTP while a watcher stays, for a Prometheus to fetch.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_py312.rollout.canary_analysis.time_series import OLD, Tally
from pytest_py312.rollout.domain.events import Breached, Decided, DeployFailed, RollbackAsked
from pytest_py312.rollout.domain.journal import Entry
from pytest_py312.rollout.domain.model import Reaction, Result, StageRun, StageState
from pytest_py312.rollout.metrics.resource_usage import CPU_COUNTER, RESTART_COUNTER

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageFigures:
    """What is told about one stage. ``tallies`` are of a stage that is watched here; others have none.

    ``breaches`` counts (service, metric, severity, reaction), ``rollbacks`` what they were begun for.
    """

    run: StageRun
    interval: float = 0.0
    missed: int = 0
    untold: int = 0
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    breaches: Mapping[tuple[str, str, str, str], int] = field(default_factory=dict)
    rollbacks: Mapping[str, int] = field(default_factory=dict)


def figures_of(
    run: StageRun,
    history: Iterable[Entry] = (),
    *,
    tallies: Mapping[str, Tally] | None = None,
    interval: float = 0.0,
    missed: int = 0,
    untold: int = 0,
) -> StageFigures:
    """The figures of a run, with what its history says."""
    breaches: Counter[tuple[str, str, str, str]] = Counter()
    rollbacks: Counter[str] = Counter()
    for entry in history:
        what = entry.what
        if isinstance(what, Breached):
            one = what.breach
            breaches[(one.service, one.metric, one.severity.value, one.reaction.value)] += 1
            rollbacks["breach"] += one.reaction is Reaction.ROLL_BACK
        elif isinstance(what, DeployFailed):
            rollbacks["deployment"] += 1
        elif isinstance(what, RollbackAsked):
            rollbacks["asked for"] += 1
        elif isinstance(what, Decided):
            rollbacks["decided"] += not what.accept
    return StageFigures(
        run=run,
        interval=interval,
        missed=missed,
        untold=untold,
        tallies=tallies or {},
        breaches=dict(breaches),
        rollbacks={reason: count for reason, count in rollbacks.items() if count},
    )


_STAGE = ("environment", "stage")
_SERVICE = (*_STAGE, "service")
FAMILIES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # name without _total -> (kind, what it is, labels)
    "py312_stage_state": ("gauge", "1 for the state that a stage is in, 0 for all others.", (*_STAGE, "state")),
    "py312_soak_wanted_seconds": ("gauge", "How long a stage is to be watched.", _STAGE),
    "py312_soak_credited_seconds": ("gauge", "How much of the soak is proven by good samples.", _STAGE),
    "py312_soak_interval_seconds": ("gauge", "Seconds between two samples.", _STAGE),
    "py312_soak_last_sample_timestamp_seconds": ("gauge", "When the newest sample was taken.", _STAGE),
    "py312_soak_missed_samples": ("gauge", "Samples that this watcher was too late for, or could not keep.", _STAGE),
    "py312_soak_untold": ("gauge", "Metrics that nothing can be said about just now.", _STAGE),
    "py312_measurement": ("counter", "Measurements by how they ended.", (*_SERVICE, "metric", "result")),
    "py312_measurement_failed": ("gauge", "1 where the newest measurement failed.", (*_SERVICE, "metric")),
    "py312_measurement_value": ("gauge", "The newest value.", (*_SERVICE, "metric", "version")),
    "py312_service_restarts": ("counter", "How often the container was started again.", _SERVICE),
    "py312_service_cpu_seconds": ("counter", "Processor time that the container used.", _SERVICE),
    "py312_breach": ("counter", "Limits that were broken.", (*_SERVICE, "metric", "severity", "reaction")),
    "py312_rollback": ("counter", "Ways back that were begun.", (*_STAGE, "reason")),
}
"""All that is told. Rules and dashboards may name nothing else."""

Row = tuple[tuple[str, ...], float]


def rows_of(figures: StageFigures) -> Iterator[tuple[str, Row]]:
    """(name of the family, (labels, value)) of a stage."""
    run = figures.run
    stage = (run.environment, str(run.stage))
    for state in StageState:
        yield "py312_stage_state", ((*stage, state.value), float(run.state is state))
    yield "py312_soak_wanted_seconds", (stage, run.soak)
    yield "py312_soak_credited_seconds", (stage, run.credited)
    if figures.tallies:
        yield "py312_soak_interval_seconds", (stage, figures.interval)
        yield "py312_soak_missed_samples", (stage, float(figures.missed))
        yield "py312_soak_untold", (stage, float(figures.untold))
        taken = [tally.last.at.wall for tally in figures.tallies.values() if tally.last]
        if taken:
            yield "py312_soak_last_sample_timestamp_seconds", (stage, max(taken))
    for service, tally in figures.tallies.items():
        yield from _of_service((*stage, service), tally)
    for (service, *rest), count in figures.breaches.items():
        yield "py312_breach", ((*stage, service, *rest), float(count))
    for reason, count in figures.rollbacks.items():
        yield "py312_rollback", ((*stage, reason), float(count))


def _of_service(labels: tuple[str, ...], tally: Tally) -> Iterator[tuple[str, Row]]:
    for metric, series in tally.series.items():
        last = series.last
        if last is None:
            continue
        if metric in (RESTART_COUNTER, CPU_COUNTER):
            name = "py312_service_restarts" if metric == RESTART_COUNTER else "py312_service_cpu_seconds"
            yield name, (labels, last.value or 0.0)
            continue
        version = "old" if metric.startswith(OLD) else "new"
        name = metric.removeprefix(OLD)
        if last.value is not None:
            yield "py312_measurement_value", ((*labels, name, version), last.value)
        if version == "new":
            yield "py312_measurement_failed", ((*labels, name), float(last.result is Result.FAILED))
            for result, count in series.counts.items():
                yield "py312_measurement", ((*labels, name, result.value), float(count))


def text_of(figures: Sequence[StageFigures]) -> bytes:
    """The text that a Prometheus reads."""
    from prometheus_client import generate_latest

    return generate_latest(_registry(figures))


def write_textfile(path: Path, figures: Sequence[StageFigures]) -> None:
    """Put the text where a node exporter's textfile collector looks for it; whoever reads gets all of it, or the last.

    :raises OSError: it cannot be written.
    """
    from prometheus_client import write_to_textfile

    write_to_textfile(os.fspath(path), _registry(figures))


def _registry(figures: Sequence[StageFigures]) -> "CollectorRegistry":
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    kinds: dict[str, Any] = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}

    class Figures(Collector):
        """Makes the families when it is asked, in the order of :data:`FAMILIES`."""

        def collect(self) -> Iterator[Any]:
            families = {name: kinds[kind](name, help, labels=labels) for name, (kind, help, labels) in FAMILIES.items()}
            for one in figures:
                for name, (labels, value) in rows_of(one):
                    families[name].add_metric([_plain(label) for label in labels], value)
            return iter(families.values())

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return registry


def _plain(label: str) -> str:
    """A label that can be written: half of a pair of surrogates cannot."""
    return label.encode("utf-8", "replace").decode("utf-8")


def exported_names() -> frozenset[str]:
    """Names as a Prometheus knows them."""
    return frozenset(f"{name}_total" if kind == "counter" else name for name, (kind, _, _) in FAMILIES.items())


PAGE_TYPE = "text/html; charset=utf-8"


@asynccontextmanager
async def serving(
    text: Callable[[], bytes], *, page: Callable[[], str] | None = None, port: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """Answer ``/metrics`` with ``text()`` and ``/`` with ``page()``, made anew each time, and yield the port.

    :param port: 0 is any that is free.
    :raises OSError: the port is taken.
    """
    from aiohttp import web

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=text(), headers={"Content-Type": CONTENT_TYPE})

    async def root(request: web.Request) -> web.Response:
        made = page() if page is not None else ""
        headers = {"Content-Type": PAGE_TYPE, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=made.encode("utf-8", "replace"), headers=headers)

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    if page is not None:
        application.router.add_get("/", root)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
