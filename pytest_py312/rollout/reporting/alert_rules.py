"""Rules for a Prometheus that watches the watching: what has to reach a person, and how soon.

Rules for the error budgets that the plan names: of its metrics, and of the traffic that a watcher makes itself.

The same arithmetic as in the watching: errors are the share of each sample times its requests, over a long and a short
time, and of few requests nothing is said.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS
from pytest_py312.rollout.canary_analysis.judge import BURN
from pytest_py312.rollout.monitoring.traffic import LOAD_ERRORS

GROUP = "pytest-py312"
PAGE, TICKET = "critical", "warning"
_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertRule:
    """One alert. ``hold`` is how many seconds it has to be true, ``metric`` what it is about, if that is not told."""

    name: str
    expression: str
    severity: str
    summary: str
    description: str = ""
    hold: float = 0.0
    metric: str = ""


def alert_rules(
    *, interval: float = 300.0, budget: float = 0.01, max_ratio: float = 1.25, leak: float = 8 * 1024 * 1024
) -> tuple[AlertRule, ...]:
    """The rules that are shipped.

    :param interval: seconds between samples; ranges hold at least three.
    :param budget: share of probes that may fail.
    :param max_ratio: latency of new by old.
    :param leak: bytes an hour that memory may grow by.
    """
    short = max(300.0, 3 * interval)
    return (
        *_of_services(short, budget),
        *_of_trends(max_ratio, leak),
        *_of_stages(interval),
    )


def _of_services(short: float, budget: float) -> tuple[AlertRule, ...]:
    where = "{{ $labels.service }} (stage {{ $labels.stage }}, {{ $labels.environment }})"
    return (
        AlertRule(
            name="Py312ServiceUnavailable",
            expression=f'py312_measurement_failed{{metric="availability"}} == 1 and on (environment, stage, service) '
            f'increase(py312_measurement_total{{metric="availability", result="failed"}}[{in_span(short)}]) > 1',
            severity=PAGE,
            summary=f"{where} does not answer",
        ),
        AlertRule(
            name="Py312ErrorBudgetBurnsFast",
            expression=_burn(14.4 * budget, _HOUR, short),
            severity=PAGE,
            summary=f"{where} fails more often than can be waited for",
        ),
        AlertRule(
            name="Py312ErrorBudgetBurns",
            expression=_burn(6 * budget, 6 * _HOUR, max(1800.0, short)),
            severity=TICKET,
            summary=f"{where} fails more often than it may",
        ),
        AlertRule(
            name="Py312ServiceRestarts",
            expression=f"increase(py312_service_restarts_total[{in_span(max(900.0, short))}]) > 2",
            severity=PAGE,
            summary=f"{where} was started again three times",
        ),
        AlertRule(
            name="Py312OutOfMemory",
            expression='py312_measurement_failed{metric="out of memory"} == 1',
            severity=PAGE,
            summary=f"{where} was ended for want of memory",
        ),
        AlertRule(
            name="Py312NewException",
            expression='py312_measurement_failed{metric="exceptions"} == 1',
            severity=TICKET,
            summary=f"{where} logs an exception that the old version does not",
        ),
    )


def _of_trends(max_ratio: float, leak: float) -> tuple[AlertRule, ...]:
    where = "{{ $labels.service }} (stage {{ $labels.stage }}, {{ $labels.environment }})"
    new, old = (
        f'avg_over_time(py312_measurement_value{{metric="latency", version="{version}"}}[1h])'
        for version in ("new", "old")
    )
    return (
        AlertRule(
            name="Py312Slower",
            expression=f"{new} / ignoring (version) {old} > {max_ratio:g}",
            severity=TICKET,
            summary=f"{where} takes {{{{ $value | humanize }}}} times as long as the old version",
            hold=_HOUR,
        ),
        AlertRule(
            name="Py312MemoryGrows",
            expression=f'deriv(py312_measurement_value{{metric="memory", version="new"}}[6h]) * 3600 > {leak:.0f}',
            severity=TICKET,
            summary=f"{where} grows by {{{{ $value | humanize1024 }}}}B an hour",
            hold=6 * _HOUR,
        ),
    )


def _of_stages(interval: float) -> tuple[AlertRule, ...]:
    where = "Stage {{ $labels.stage }} in {{ $labels.environment }}"
    return (
        AlertRule(
            name="Py312StageHeld",
            expression='py312_stage_state{state="held"} == 1',
            severity=PAGE,
            summary=f"{where} waits for a decision",
            description="py312 status says what it is about; py312 decide answers it.",
        ),
        AlertRule(
            name="Py312RollbackFailed",
            expression='py312_stage_state{state="rollback failed"} == 1',
            severity=PAGE,
            summary=f"{where} could not be brought back",
            description="py312 status says which services; py312 recover tries again.",
        ),
        AlertRule(
            name="Py312RolledBack",
            # not for ever: what was brought back stays so
            expression='py312_stage_state{state="rolled back"} == 1 '
            'unless py312_stage_state{state="rolled back"} offset 1h == 1',
            severity=TICKET,
            summary=f"{where} was brought back to the old version",
        ),
        AlertRule(
            name="Py312NobodyWatches",
            expression=f"(time() - py312_soak_last_sample_timestamp_seconds > {3 * interval:.0f}) "
            'and on (environment, stage) (py312_stage_state{state=~"soaking|held"} == 1)',
            severity=PAGE,
            summary=f"{where} was last looked at {{{{ $value | humanizeDuration }}}} ago",
            description="py312 watch or py312 tick goes on with it.",
        ),
        AlertRule(
            name="Py312NothingIsTold",
            expression="absent(py312_stage_state)",
            severity=TICKET,
            summary="No watcher tells anything: it is gone, or its figures do not get here",
            hold=max(900.0, 3 * interval),
        ),
        AlertRule(
            name="Py312CannotTell",
            expression="py312_soak_untold > 0",
            severity=TICKET,
            summary=f"{where} is not credited: {{{{ $value }}}} metrics cannot be told",
            hold=max(900.0, 3 * interval),
        ),
    )


def _burn(limit: float, long: float, short: float) -> str:
    """The share of failures over a long and a short time: it lasts, and it has not stopped."""
    return " and ".join(
        f'sum by (environment, stage, service) (increase(py312_measurement_total{{metric="availability", '
        f'result="failed"}}[{in_span(span)}])) / sum by (environment, stage, service) '
        f'(increase(py312_measurement_total{{metric="availability", result=~"failed|successful"}}[{in_span(span)}])) '
        f"> {limit:g}"
        for span in (long, short)
    )


def in_span(seconds: float) -> str:
    """A duration as Prometheus reads it."""
    return f"{seconds:.0f}s" if seconds % 60 else f"{seconds / 60:.0f}m"


def rules_document(rules: Sequence[AlertRule]) -> Mapping[str, Any]:
    """The rules as Prometheus reads them."""
    return {"groups": [{"name": GROUP, "rules": [_document(rule) for rule in rules]}]}


def _document(rule: AlertRule) -> dict[str, Any]:
    notes = {"summary": rule.summary} | ({"description": rule.description} if rule.description else {})
    hold = {"for": in_span(rule.hold)} if rule.hold else {}
    labels = {"severity": rule.severity} | ({"metric": rule.metric} if rule.metric else {})
    return {"alert": rule.name, "expr": rule.expression, **hold, "labels": labels, "annotations": notes}


def rules_text(rules: Sequence[AlertRule]) -> str:
    """A file of rules."""
    return yaml.safe_dump(rules_document(rules), sort_keys=False, width=120, allow_unicode=True)


SLOW_BURN = 6.0
"""How many times as fast as it may a budget burns that somebody has to look at, without being woken."""
_ON = "on (environment, stage, service)"
_WHERE = "{{ $labels.service }} (stage {{ $labels.stage }}, {{ $labels.environment }})"


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetRule:
    """``share`` of requests may fail, as ``metric`` counts them. Of less than ``fewest`` requests nothing is said."""

    metric: str
    share: float
    services: tuple[str, ...]
    fewest: int


def budgets_in(settings: RolloutSettings, services: Sequence[Service]) -> list[BudgetRule]:
    """All budgets of a plan; services that have the same are told together."""
    found: dict[tuple[str, float, int], list[str]] = {}
    for service in services:
        stage = service.stage
        load = settings.soak_of(stage=stage, name=service.name, path=service.path).load
        shares = {one.name: one.budget for one in settings.metrics_of(service.name, service.path)}
        shares |= {LOAD_ERRORS: load.budget} if load.rate else {}
        for metric, share in shares.items():
            soak = settings.soak_of(stage=stage, name=service.name, path=service.path, metric=metric)
            if share:
                found.setdefault((metric, share, soak.min_requests), []).append(service.name)
    return [
        BudgetRule(metric=metric, share=share, services=tuple(names), fewest=fewest)
        for (metric, share, fewest), names in found.items()
    ]


def budget_alerts(budgets: Sequence[BudgetRule], *, interval: float) -> tuple[AlertRule, ...]:
    """Two alerts for each budget.

    :param interval: seconds between two samples; ranges hold at least three.
    """
    short = max(300.0, 3 * interval)
    return tuple(
        AlertRule(
            name=name,
            expression=_burns(budget, factor, interval, long, brief),
            severity=severity,
            summary=f"{_WHERE}: {budget.metric} come {factor:g} times as often as they may",
            metric=budget.metric,
        )
        for budget in budgets
        for name, factor, severity, long, brief in (
            ("Py312MetricBudgetBurnsFast", BURN, PAGE, _HOUR, short),
            ("Py312MetricBudgetBurns", SLOW_BURN, TICKET, 6 * _HOUR, max(1800.0, short)),
        )
    )


def _burns(budget: BudgetRule, factor: float, interval: float, long: float, short: float) -> str:
    which = "|".join(re.escape(name) for name in budget.services).replace("\\", "\\\\")
    share, count = (
        f'py312_measurement_value{{metric="{name}", version="new", service=~"{which}"}}'
        for name in (budget.metric, budget.metric + REQUESTS)
    )
    found = []
    for seconds in (long, short):
        span = f"[{in_span(seconds)}:{in_span(interval)}]"
        errors = f"sum_over_time(({share} * {_ON} {count}){span})"
        requests = f"sum by (environment, stage, service) (sum_over_time(({count} and {_ON} {share}){span}))"
        found.append(
            f"{errors} / {_ON} {requests} > {factor * budget.share:.6g} and {_ON} {requests} >= {budget.fewest}"
        )
    return f" and {_ON} ".join(f"({one})" for one in found)
