"""Rules for the error budgets that the plan names: of its metrics, and of the traffic that a watcher makes itself.

The same arithmetic as in the watching: errors are the share of each sample times its requests, over a long and a short
time, and of few requests nothing is said.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_py312.model import Service
from pytest_py312.rollout.alert_rules import PAGE, TICKET, AlertRule, in_span
from pytest_py312.rollout.burning import REQUESTS
from pytest_py312.rollout.judging import BURN
from pytest_py312.rollout.settings import RolloutSettings
from pytest_py312.rollout.traffic import LOAD_ERRORS

SLOW_BURN = 6.0
"""How many times as fast as it may a budget burns that somebody has to look at, without being woken."""
_HOUR = 3600.0
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
