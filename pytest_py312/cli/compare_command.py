"""``py312 compare``: which recorded values are compared, and how it is told."""

import argparse
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_py312.cli.common import chosen
from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.serialization import decode
from pytest_py312.repository.plan.rollout_settings import CompareSettings, RolloutSettings
from pytest_py312.rollout.canary_analysis.statistics import Compared
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, Verdict
from pytest_py312.rollout.domain.soak_overrides import with_asked
from pytest_py312.rollout.metrics.load_generator import LoadReport
from pytest_py312.rollout.metrics.resource_usage import CPU, MEMORY
from pytest_py312.rollout.monitoring.comparison import (
    Row,
    Window,
    beside,
    between,
    loads,
    same_hours,
    tally_of,
    untold,
    verdict_of,
    window_in,
)
from pytest_py312.rollout.monitoring.probes import LATENCY
from pytest_py312.rollout.monitoring.traffic import LOAD_LATENCY

WITHOUT_ASKING = (LATENCY, MEMORY, CPU)
"""Compared of two windows without being named, beside the metrics of the plan."""


def of_loads(options: argparse.Namespace, ground: Ground) -> list[Row]:
    """Rows of ``--old`` and ``--new``.

    :raises OptionError: a file is no report.
    """
    if not options.old or not options.new:
        raise OptionError("--old and --new belong together: the reports of both versions")
    _check_rounds([*options.old, *options.new])
    old, new = ([_report(name) for name in names] for names in (options.old, options.new))
    settings = ground.settings()
    found = loads(old, new, settings.compare, min_requests=settings.soak.min_requests)
    return [Row(service="", metric=metric, compared=compared) for metric, compared in found]


def _check_rounds(names: Sequence[str]) -> None:
    """A round that is given twice is still one.

    :raises OptionError: two files are the same.
    """
    known: dict[str, str] = {}
    for name in names:
        with suppress(OSError):  # whoever reads it says so
            digest = hashlib.sha256(Path(name).read_bytes()).hexdigest()
            if digest in known:
                raise OptionError(f"{name}: it is the same round as {known[digest]}, and a round counts once")
            known[digest] = name


def _report(name: str) -> LoadReport:
    try:
        return decode(LoadReport, json.loads(Path(name).read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{name}: it is no report of `py312 load --json` ({error})") from error


def of_stage(options: argparse.Namespace, ground: Ground, journal: Journal) -> list[Row]:
    """Rows of ``--stage``, beside the twin or in two windows.

    :raises OptionError: nothing was recorded for it, or a window is none.
    """
    if options.stage is None:
        raise OptionError("--stage N, or --old FILE --new FILE: what is to be compared?")
    names = journal.names(options.env, options.stage)
    if not names:
        raise OptionError(f"stage {options.stage} was never deployed in {options.env}: nothing was recorded")
    run = journal.run(names[-1])
    services = chosen(options.services, [run], ground.paths) or run.services
    windows = _windows(options)
    asked = _Asked(run, ground, options.metric)
    if windows is None:
        return [row for name in services for row in asked.beside(name, journal)]
    return [row for name in services for row in asked.between(name, journal, names, windows)]


def _windows(options: argparse.Namespace) -> tuple[Window, Window] | None:
    if options.before is None and options.after is None:
        return None
    try:
        return window_in(options.before or ""), window_in(options.after or "")
    except ValueError as error:
        raise OptionError(f"--before and --after: {error}") from None


class _Asked:
    """What is compared of a service, and by which rules."""

    def __init__(self, run: StageRun, ground: Ground, metrics: Sequence[str]) -> None:
        self._run = run
        self._settings: RolloutSettings = with_asked(ground.settings(), run.stage, run.asked)
        self._services: dict[str, Service] = {one.name: one for one in ground.fleet().services}
        self._metrics = metrics

    def rule(self, name: str, metric: str) -> tuple[CompareSettings, str]:
        """When a metric is worse, and which direction of a change is."""
        path = self._services[name].path if name in self._services else name
        planned = {one.name: one for one in self._settings.metrics_of(name, path)}
        settings = self._settings.compare_of(
            stage=self._run.stage, name=name, path=path, metric=metric if metric in planned else ""
        )
        return settings, planned[metric].direction if metric in planned else "increase"

    def planned(self, name: str) -> list[str]:
        path = self._services[name].path if name in self._services else name
        return [one.name for one in self._settings.metrics_of(name, path)]

    def beside(self, name: str, journal: Journal) -> list[Row]:
        tally = tally_of(journal.samples(self._run.run, name, first_slot=self._run.first_slot))
        told = tally.compared_metrics
        # a latency that the twin never answered must not look like a good comparison of all the rest
        told += [metric for metric in (LATENCY, LOAD_LATENCY) if metric in tally.series and metric not in told]
        metrics = self._metrics or told or (LATENCY,)
        rules = {metric: self.rule(name, metric) for metric in metrics}
        found = beside(tally, tuple(metrics), rules, self._settings.compare)
        return [Row(service=name, metric=metric, compared=compared) for metric, compared in found]

    def between(self, name: str, journal: Journal, runs: Sequence[str], windows: tuple[Window, Window]) -> list[Row]:
        samples = [sample for run in runs if name in journal.run(run).services for sample in journal.samples(run, name)]
        there = {one.metric for sample in samples for one in sample.measurements if one.value is not None}
        metrics = self._metrics or [one for one in (*WITHOUT_ASKING, *self.planned(name)) if one in there]
        interval = self._settings.soak_of(stage=self._run.stage).interval
        found = []
        for metric in metrics:
            settings, direction = self.rule(name, metric)
            compared = between(samples, metric, *windows, interval=interval, settings=settings, direction=direction)
            found.append(Row(service=name, metric=metric, compared=compared))
        return found or [Row(service=name, metric="all", compared=untold("nothing was recorded in either window"))]


def told(
    rows: Sequence[Row], options: argparse.Namespace, table: Callable[[Sequence[Sequence[str]]], list[str]]
) -> tuple[str, int]:
    """The text and the exit code: 0 only where all of it passed."""
    verdict = verdict_of(rows)
    code = 0 if verdict is Verdict.PASSED else 1
    hours = ""
    windows = _windows(options)
    if windows is not None and not same_hours(*windows):
        hours = "the windows do not begin at the same time of the day, and traffic has hours"
    if options.json:
        document = {"schema": 1, "verdict": verdict.value, "note": hours, "rows": [_document(row) for row in rows]}
        return json.dumps(document, indent=2, allow_nan=False) + "\n", code
    cells = [("verdict", "service", "metric", "ratio", "p", "points", "")]
    cells += [
        (row.compared.verdict.value, row.service, row.metric, *_figures(row.compared), row.compared.reason)
        for row in rows
    ]
    lines = [line.rstrip() for line in table(cells)]
    return "\n".join([*lines, *filter(None, [hours]), verdict.value]) + "\n", code


def _figures(one: Compared) -> tuple[str, str, str]:
    known = one.points > 0 and one.verdict is not Verdict.INCONCLUSIVE
    p_value = "" if math.isnan(one.p_value) or not known else f"{one.p_value:.2g}"
    return f"{one.ratio:.2f}" if known else "", p_value, str(one.points) if one.points else ""


def _document(row: Row) -> dict[str, Any]:
    """What is not known is ``null``; endlessly more than nothing has no number in JSON, and is text."""
    ratio, p_value, _ = _figures(row.compared)
    finite = row.compared.ratio if math.isfinite(row.compared.ratio) else "inf"
    return {
        "service": row.service,
        "metric": row.metric,
        "verdict": row.compared.verdict.value,
        "ratio": finite if ratio else None,
        "p_value": row.compared.p_value if p_value else None,
        "points": row.compared.points,
        "reason": row.compared.reason,
    }
