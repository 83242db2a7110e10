"""``py312 compare``: select the recorded values to compare, and format the result."""

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_py312.cli.rollout_common import CommandOutput, format_table, open_journal, select_services
from pytest_py312.core.errors import OptionError
from pytest_py312.core.serialization import decode
from pytest_py312.repository.plan.rollout_settings import CompareSettings, MetricSettings, RolloutSettings
from pytest_py312.rollout.canary_analysis.statistics import MetricComparison
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, Verdict
from pytest_py312.rollout.domain.soak_overrides import with_overrides
from pytest_py312.rollout.metrics.load_report import LoadReport
from pytest_py312.rollout.metrics.resource_usage import CPU, MEMORY
from pytest_py312.rollout.monitoring.comparison import (
    ComparisonRow,
    TimeWindow,
    collect_metrics,
    compare_loads,
    compare_windows,
    compare_with_control,
    inconclusive,
    parse_window,
    same_time_of_day,
    worst_verdict,
)
from pytest_py312.rollout.monitoring.probes import LATENCY
from pytest_py312.rollout.monitoring.traffic import is_traffic_latency

DEFAULT_METRICS = (LATENCY, MEMORY, CPU)
"""Metrics of two windows that are compared without ``--metric``, in addition to those of the plan."""


def compare(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Compare the new version with the previous one."""
    if options.old or options.new:
        return format_comparison(compare_load_reports(options, context), options)
    with open_journal(options, context) as journal:
        return format_comparison(compare_stage(options, context, journal), options)


def compare_load_reports(options: argparse.Namespace, context: RolloutContext) -> list[ComparisonRow]:
    """Return the rows of ``--old`` and ``--new``.

    :raises OptionError: a file is not a load report.
    """
    if not options.old or not options.new:
        raise OptionError("--old and --new must be given together: the reports of both versions")
    _reject_duplicate_rounds([*options.old, *options.new])
    old, new = ([_read_load_report(name) for name in names] for names in (options.old, options.new))
    settings = context.settings()
    comparisons = compare_loads(old, new, settings.compare, min_requests=settings.soak.min_requests)
    return [ComparisonRow(service="", metric=metric, compared=compared) for metric, compared in comparisons]


def _reject_duplicate_rounds(names: Sequence[str]) -> None:
    """Check that no report is given twice, because each round counts only once.

    :raises OptionError: two files have the same content.
    """
    name_by_digest: dict[str, str] = {}
    for name in names:
        with suppress(OSError):  # reported when the file is read
            digest = hashlib.sha256(Path(name).read_bytes()).hexdigest()
            if digest in name_by_digest:
                raise OptionError(f"{name}: it is the same report as {name_by_digest[digest]}; each round counts once")
            name_by_digest[digest] = name


def _read_load_report(name: str) -> LoadReport:
    try:
        return decode(LoadReport, json.loads(Path(name).read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{name}: it is not a report of `py312 load-test --json` ({error})") from error


def compare_stage(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> list[ComparisonRow]:
    """Return the rows of ``--stage``, compared with the control or between two windows.

    :raises OptionError: nothing was recorded for it, or a window is invalid.
    """
    if options.stage is None:
        raise OptionError("nothing to compare: give --stage N, or --old FILE --new FILE")
    names = journal.run_names(options.env, options.stage)
    if not names:
        raise OptionError(f"stage {options.stage} was never deployed in {options.env}: nothing was recorded")
    run = journal.load_run(names[-1])
    services = select_services(options.services, [run], context.service_paths) or run.services
    windows = _windows(options)
    stage_comparison = _StageComparison(run, context, options.metric)
    if windows is None:
        return [row for name in services for row in stage_comparison.compare_with_control(name, journal)]
    return [row for name in services for row in stage_comparison.compare_windows(name, journal, names, windows)]


def _windows(options: argparse.Namespace) -> tuple[TimeWindow, TimeWindow] | None:
    if options.before is None and options.after is None:
        return None
    try:
        return parse_window(options.before or ""), parse_window(options.after or "")
    except ValueError as error:
        raise OptionError(f"--before and --after: {error}") from None


class _StageComparison:
    """Comparison of the recorded metrics of a stage's services by the rules of the plan."""

    def __init__(self, run: StageRun, context: RolloutContext, metrics: Sequence[str]) -> None:
        self._run = run
        self._settings: RolloutSettings = with_overrides(context.settings(), run.stage, run.asked)
        self._services = context.services()
        self._metrics = metrics

    def rule_for(self, name: str, metric: str) -> tuple[CompareSettings, str]:
        """Return the settings of the comparison, and the direction in which the metric gets worse."""
        planned = self._planned_metrics(name).get(metric)
        settings = self._settings.compare_settings_for(
            stage=self._run.stage, name=name, path=self._path_of(name), metric=planned.name if planned else ""
        )
        return settings, planned.direction if planned else "increase"

    def _planned_metrics(self, name: str) -> dict[str, MetricSettings]:
        return {metric.name: metric for metric in self._settings.metrics_for(name, self._path_of(name))}

    def _path_of(self, name: str) -> str:
        return self._services[name].path if name in self._services else name

    def compare_with_control(self, name: str, journal: Journal) -> list[ComparisonRow]:
        metrics_by_time = collect_metrics(journal.samples(self._run.run, name, first_slot=self._run.first_slot))
        recorded_metrics = metrics_by_time.compared_metrics
        # a latency that the control never answered must not be skipped: the other metrics alone could look good
        recorded_metrics += [
            metric
            for metric in metrics_by_time.series
            if (metric == LATENCY or is_traffic_latency(metric)) and metric not in recorded_metrics
        ]
        metrics = self._metrics or recorded_metrics or (LATENCY,)
        rules = {metric: self.rule_for(name, metric) for metric in metrics}
        comparisons = compare_with_control(metrics_by_time, tuple(metrics), rules, self._settings.compare)
        return [ComparisonRow(service=name, metric=metric, compared=compared) for metric, compared in comparisons]

    def compare_windows(
        self, name: str, journal: Journal, runs: Sequence[str], windows: tuple[TimeWindow, TimeWindow]
    ) -> list[ComparisonRow]:
        samples = [
            sample for run in runs if name in journal.load_run(run).services for sample in journal.samples(run, name)
        ]
        recorded_metrics = {
            measurement.metric
            for sample in samples
            for measurement in sample.measurements
            if measurement.value is not None
        }
        metrics = self._metrics or [
            metric for metric in (*DEFAULT_METRICS, *self._planned_metrics(name)) if metric in recorded_metrics
        ]
        interval = self._settings.soak_settings_for(stage=self._run.stage).interval
        rows = []
        for metric in metrics:
            settings, direction = self.rule_for(name, metric)
            compared = compare_windows(
                samples, metric, *windows, interval=interval, settings=settings, direction=direction
            )
            rows.append(ComparisonRow(service=name, metric=metric, compared=compared))
        return rows or [
            ComparisonRow(service=name, metric="all", compared=inconclusive("nothing was recorded in either window"))
        ]


def format_comparison(rows: Sequence[ComparisonRow], options: argparse.Namespace) -> CommandOutput:
    """Return the text and the exit code: 0 only if all comparisons passed."""
    verdict = worst_verdict(rows)
    code = 0 if verdict is Verdict.PASSED else 1
    hours_note = ""
    windows = _windows(options)
    if windows is not None and not same_time_of_day(*windows):
        hours_note = "the windows do not start at the same time of day, and traffic varies over the day"
    if options.json:
        document = {
            "schema": 1,
            "verdict": verdict.value,
            "note": hours_note,
            "rows": [_row_document(row) for row in rows],
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n", code
    cells = [("verdict", "service", "metric", "ratio", "p", "points", "")]
    cells += [
        (row.compared.verdict.value, row.service, row.metric, *_format_figures(row.compared), row.compared.reason)
        for row in rows
    ]
    lines = [line.rstrip() for line in format_table(cells)]
    return "\n".join([*lines, *filter(None, [hours_note]), verdict.value]) + "\n", code


def _format_figures(comparison: MetricComparison) -> tuple[str, str, str]:
    is_known = comparison.points > 0 and comparison.verdict is not Verdict.INCONCLUSIVE
    p_value = "" if math.isnan(comparison.p_value) or not is_known else f"{comparison.p_value:.2g}"
    return f"{comparison.ratio:.2f}" if is_known else "", p_value, str(comparison.points) if comparison.points else ""


def _row_document(row: ComparisonRow) -> dict[str, Any]:
    """Return a row as JSON. Unknown values are ``null``; an infinite ratio is the text ``inf``, as JSON has no such
    number.
    """
    ratio, p_value, _ = _format_figures(row.compared)
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
