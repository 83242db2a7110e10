"""Rules for a Prometheus that watches the watching: what has to reach a person, and how soon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

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
