"""Alert rules for Prometheus: general ones for stages and services, and those for the error budgets of the plan.

Budgets are computed as during the soak: the errors of a sample are its error share times its requests, summed over a
long and a short window. With too few requests there is no alert.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS_SUFFIX
from pytest_py312.rollout.canary_analysis.judge import FAST_BURN_RATE
from pytest_py312.rollout.monitoring.traffic import LOAD_ERRORS

GROUP = "pytest-py312"
PAGE, TICKET = "critical", "warning"
_HOUR = 3600.0
SLOW_BURN = 6.0
"""Burn rate (multiple of the allowed rate) from which a ticket is opened; a page needs a faster burn."""
ERROR_BUDGET = 0.01
"""Allowed share of failed probes."""
MAX_GROWTH = 8 * 1024 * 1024
"""Allowed growth of memory in bytes per hour."""
_MATCH_LABELS = "on (environment, stage, service)"
_SUBJECT = "{{ $labels.service }} (stage {{ $labels.stage }}, {{ $labels.environment }})"


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertRule:
    """An alert. Its expression has to be true for ``for_seconds``. ``metric`` is added as a label if it is set."""

    name: str
    expression: str
    severity: str
    summary: str
    description: str = ""
    for_seconds: float = 0.0
    metric: str = ""


def alert_rules(*, interval: float = 300.0, max_ratio: float = 1.25) -> tuple[AlertRule, ...]:
    """Return the general rules.

    :param interval: seconds between samples; each range covers at least three.
    :param max_ratio: allowed ratio of the new version's latency to the previous version's.
    """
    return (*_service_rules(max(300.0, 3 * interval), max_ratio), *_stage_rules(interval))


def _service_rules(short_window: float, max_ratio: float) -> Iterator[AlertRule]:
    failures = f'py312_measurement_total{{metric="availability", result="failed"}}[{format_span(short_window)}]'
    restarts = f"py312_service_restarts_total[{format_span(max(900.0, short_window))}]"
    new, old = (
        f'avg_over_time(py312_measurement_value{{metric="latency", version="{version}"}}[1h])'
        for version in ("new", "old")
    )
    growth = 'deriv(py312_measurement_value{metric="memory", version="new"}[6h]) * 3600'
    for name, severity, summary, expression, seconds in (
        (
            "ServiceUnavailable", PAGE, "does not answer",
            f'py312_measurement_failed{{metric="availability"}} == 1 and {_MATCH_LABELS} increase({failures}) > 1', 0.0,
        ),
        (
            "ErrorBudgetBurnsFast", PAGE, "uses up its error budget quickly",
            _failure_share_expression(FAST_BURN_RATE * ERROR_BUDGET, _HOUR, short_window), 0.0,
        ),
        (
            "ErrorBudgetBurns", TICKET, "uses up its error budget",
            _failure_share_expression(SLOW_BURN * ERROR_BUDGET, 6 * _HOUR, max(1800.0, short_window)), 0.0,
        ),
        ("ServiceRestarts", PAGE, "was restarted three times", f"increase({restarts}) > 2", 0.0),
        (
            "OutOfMemory", PAGE, "was killed: out of memory",
            'py312_measurement_failed{metric="out of memory"} == 1', 0.0,
        ),
        (
            "NewException", TICKET, "logs an exception that the previous version does not",
            'py312_measurement_failed{metric="exceptions"} == 1', 0.0,
        ),
        (
            "Slower", TICKET, "takes {{ $value | humanize }} times as long as the previous version",
            f"{new} / ignoring (version) {old} > {max_ratio:g}", _HOUR,
        ),
        (
            "MemoryGrows", TICKET, "grows by {{ $value | humanize1024 }}B per hour",
            f"{growth} > {MAX_GROWTH:.0f}", 6 * _HOUR,
        ),
    ):  # fmt: skip
        yield AlertRule(
            name=f"Py312{name}",
            expression=expression,
            severity=severity,
            summary=f"{_SUBJECT} {summary}",
            for_seconds=seconds,
        )


def _stage_rules(interval: float) -> tuple[AlertRule, ...]:
    subject = "Stage {{ $labels.stage }} in {{ $labels.environment }}"
    return (
        AlertRule(
            name="Py312StageHeld",
            expression='py312_stage_state{state="held"} == 1',
            severity=PAGE,
            summary=f"{subject} waits for a decision",
            description="py312 status shows the reason; py312 promote or py312 abort decides.",
        ),
        AlertRule(
            name="Py312RollbackFailed",
            expression='py312_stage_state{state="rollback failed"} == 1',
            severity=PAGE,
            summary=f"{subject} could not be rolled back",
            description="py312 status shows the services; py312 recover tries again.",
        ),
        AlertRule(
            name="Py312RolledBack",
            # only for one hour: a rolled back stage stays in that state
            expression='py312_stage_state{state="rolled back"} == 1 '
            'unless py312_stage_state{state="rolled back"} offset 1h == 1',
            severity=TICKET,
            summary=f"{subject} was rolled back to the previous version",
        ),
        AlertRule(
            name="Py312NotMonitored",
            expression=f"(time() - py312_soak_last_sample_timestamp_seconds > {3 * interval:.0f}) "
            'and on (environment, stage) (py312_stage_state{state=~"soaking|held"} == 1)',
            severity=PAGE,
            summary=f"{subject} was last sampled {{{{ $value | humanizeDuration }}}} ago",
            description="py312 watch or py312 sample continues it.",
        ),
        AlertRule(
            name="Py312MetricsAbsent",
            expression="absent(py312_stage_state)",
            severity=TICKET,
            summary="No watcher exports metrics: it has ended, or Prometheus cannot reach it",
            for_seconds=max(900.0, 3 * interval),
        ),
        AlertRule(
            name="Py312SoakInconclusive",
            expression="py312_soak_inconclusive > 0",
            severity=TICKET,
            summary=f"{subject} earns no credit: {{{{ $value }}}} metrics are inconclusive",
            for_seconds=max(900.0, 3 * interval),
        ),
    )


def _failure_share_expression(limit: float, long_window: float, short_window: float) -> str:
    """Return a condition on the failure share over a long and a short window: it lasts and has not stopped."""

    def count(results: str, span: float) -> str:
        selected = f'py312_measurement_total{{metric="availability", {results}}}[{format_span(span)}]'
        return f"sum by (environment, stage, service) (increase({selected}))"

    failed, counted = 'result="failed"', 'result=~"failed|successful"'
    spans = (long_window, short_window)
    return " and ".join(f"{count(failed, span)} / {count(counted, span)} > {limit:g}" for span in spans)


def format_span(seconds: float) -> str:
    """Format a duration for Prometheus."""
    return f"{seconds:.0f}s" if seconds % 60 else f"{seconds / 60:.0f}m"


def rules_document(rules: Sequence[AlertRule]) -> Mapping[str, Any]:
    """Return the rules as a document for Prometheus."""
    return {"groups": [{"name": GROUP, "rules": [_rule_document(rule) for rule in rules]}]}


def _rule_document(rule: AlertRule) -> dict[str, Any]:
    notes = {"summary": rule.summary} | ({"description": rule.description} if rule.description else {})
    hold = {"for": format_span(rule.for_seconds)} if rule.for_seconds else {}
    labels = {"severity": rule.severity} | ({"metric": rule.metric} if rule.metric else {})
    return {"alert": rule.name, "expr": rule.expression, **hold, "labels": labels, "annotations": notes}


def format_rules(rules: Sequence[AlertRule]) -> str:
    """Format the rules as a YAML file."""
    return yaml.safe_dump(rules_document(rules), sort_keys=False, width=120, allow_unicode=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetRule:
    """An error budget: ``share`` of the requests may fail, if there are at least ``min_requests`` requests."""

    metric: str
    share: float
    services: tuple[str, ...]
    min_requests: int


def collect_budgets(settings: RolloutSettings, services: Sequence[Service]) -> list[BudgetRule]:
    """Return the budgets of a plan; services with equal budgets share one rule."""
    services_by_budget: dict[tuple[str, float, int], list[str]] = {}
    for service in services:
        stage = service.stage
        load = settings.soak_settings_for(stage=stage, name=service.name, path=service.path).load
        shares = {
            metric_settings.name: metric_settings.budget
            for metric_settings in settings.metrics_for(service.name, service.path)
        }
        shares |= {LOAD_ERRORS: load.budget} if load.rate else {}
        for metric, share in shares.items():
            soak = settings.soak_settings_for(stage=stage, name=service.name, path=service.path, metric=metric)
            if share:
                services_by_budget.setdefault((metric, share, soak.min_requests), []).append(service.name)
    return [
        BudgetRule(metric=metric, share=share, services=tuple(names), min_requests=min_requests)
        for (metric, share, min_requests), names in services_by_budget.items()
    ]


def budget_alerts(budgets: Sequence[BudgetRule], *, interval: float) -> tuple[AlertRule, ...]:
    """Return two alerts for each budget.

    :param interval: seconds between samples; each range covers at least three.
    """
    short = max(300.0, 3 * interval)
    return tuple(
        AlertRule(
            name=name,
            expression=_budget_burn_expression(budget, factor, interval, long_window, brief_window),
            severity=severity,
            summary=f"{_SUBJECT}: {budget.metric} are {factor:g} times as frequent as allowed",
            metric=budget.metric,
        )
        for budget in budgets
        for name, factor, severity, long_window, brief_window in (
            ("Py312MetricBudgetBurnsFast", FAST_BURN_RATE, PAGE, _HOUR, short),
            ("Py312MetricBudgetBurns", SLOW_BURN, TICKET, 6 * _HOUR, max(1800.0, short)),
        )
    )


def _budget_burn_expression(
    budget: BudgetRule, factor: float, interval: float, long_window: float, short_window: float
) -> str:
    service_pattern = "|".join(re.escape(name) for name in budget.services).replace("\\", "\\\\")
    share, count = (
        f'py312_measurement_value{{metric="{name}", version="new", service=~"{service_pattern}"}}'
        for name in (budget.metric, budget.metric + REQUESTS_SUFFIX)
    )
    conditions = []
    for seconds in (long_window, short_window):
        span = f"[{format_span(seconds)}:{format_span(interval)}]"
        errors = f"sum_over_time(({share} * {_MATCH_LABELS} {count}){span})"
        requests = f"sum by (environment, stage, service) (sum_over_time(({count} and {_MATCH_LABELS} {share}){span}))"
        conditions.append(
            f"{errors} / {_MATCH_LABELS} {requests} > {factor * budget.share:.6g} "
            f"and {_MATCH_LABELS} {requests} >= {budget.min_requests}"
        )
    return f" and {_MATCH_LABELS} ".join(f"({condition})" for condition in conditions)
