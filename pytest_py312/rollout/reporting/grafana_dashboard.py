"""Grafana dashboard: stages, progress of their soaks, and metrics of the new and the previous version."""

from collections.abc import Iterator, Sequence
from typing import Any

SCHEMA = 39
UID = "pytest-py312"
_DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_STAGE_SELECTOR = 'environment=~"$environment", stage=~"$stage"'
_SERVICE_SELECTOR = f'{_STAGE_SELECTOR}, service=~"$service"'
_WIDTH = 24


def build_dashboard() -> dict[str, Any]:
    """Return the dashboard document. Its data source is a variable, so that it can be imported anywhere."""
    return {
        "uid": UID,
        "title": "Migration to a new Python: stages and soaks",
        "tags": ["pytest-py312"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-48h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "templating": {"list": _variables()},
        "panels": list(_positioned_panels()),
    }


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}
    labels = (
        ("environment", "label_values(py312_stage_state, environment)"),
        ("stage", 'label_values(py312_stage_state{environment=~"$environment"}, stage)'),
        ("service", f"label_values(py312_measurement_failed{{{_STAGE_SELECTOR}}}, service)"),
    )
    return [
        source,
        *(
            {
                "name": name, "label": name.capitalize(), "type": "query", "datasource": _DATA_SOURCE, "query": query,
                "refresh": 2, "multi": True, "includeAll": True, "current": {"text": "All", "value": "$__all"},
            }
            for name, query in labels
        ),
    ]  # fmt: skip


def _positioned_panels() -> Iterator[dict[str, Any]]:
    """Yield the numbered panels, three per row."""
    height, columns = 8, 3
    for number, panel in enumerate(_panels()):
        row, column = divmod(number, columns)
        position = {"h": height, "w": _WIDTH // columns, "x": column * (_WIDTH // columns), "y": row * height}
        yield {"id": number + 1, "gridPos": position, "datasource": _DATA_SOURCE, **panel}


def _panels() -> Iterator[dict[str, Any]]:
    stage, service = _STAGE_SELECTOR, _SERVICE_SELECTOR
    yield _now("Stages", "table", (f"py312_stage_state{{{stage}}} == 1", ""))
    credited = f"py312_soak_credited_seconds{{{stage}}} / py312_soak_duration_seconds{{{stage}}}"
    share = (credited, "stage {{stage}}")
    yield _now("Credited share of the soak", "bargauge", share, unit="percentunit", maximum=1)
    age = (f"time() - py312_soak_last_sample_timestamp_seconds{{{stage}}}", "stage {{stage}}")
    yield _now("Time since the last sample", "stat", age, unit="s")
    yield _now("Current failures", "table", (f"py312_measurement_failed{{{service}}} == 1", ""))

    failed = f'1 - py312_measurement_failed{{{service}, metric="availability"}}'
    yield _course("Availability", failed, "{{service}}", maximum=1)
    for title, metric, unit in (
        ("Latency, new and old", "latency", "s"),
        ("Memory", "memory", "bytes"),
        ("Cores in use", "cpu", "short"),
    ):
        value = f'py312_measurement_value{{{service}, metric="{metric}"}}'
        yield _course(title, value, "{{service}} {{version}}", unit=unit)
    restarts = f"increase(py312_service_restarts_total{{{service}}}[$__rate_interval])"
    yield _course("Restarts", restarts, "{{service}}")
    logged = f'py312_measurement_value{{{service}, metric=~"exceptions|deprecations"}}'
    yield _course("Exceptions and deprecations in the log", logged, "{{service}} {{metric}}")

    unclear = f'py312_measurement_total{{{service}, result=~"error|inconclusive"}}[$__rate_interval]'
    unclear = f"sum by (service, metric, result) (increase({unclear}))"
    yield _course("Inconclusive measurements", unclear, "{{service}} {{metric}} {{result}}")
    breaches = (f"py312_breach_total{{{service}}}", "")
    yield _now("Broken limits and rollbacks", "table", breaches, (f"py312_rollback_total{{{stage}}}", ""))


def _now(title: str, kind: str, *queries: tuple[str, str], **limits: Any) -> dict[str, Any]:
    """Return a panel of the values of now. A query has a legend."""
    return _panel(title, kind, queries, instant=True, **limits)


def _course(title: str, query: str, legend: str, **limits: Any) -> dict[str, Any]:
    """Return a panel of the course of one query."""
    return _panel(title, "timeseries", [(query, legend)], instant=False, **limits)


def _panel(
    title: str,
    kind: str,
    queries: Sequence[tuple[str, str]],
    *,
    instant: bool,
    unit: str = "short",
    maximum: float | None = None,
) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": unit, "min": 0} | ({} if maximum is None else {"max": maximum})
    return {
        "title": title,
        "type": kind,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + number), "datasource": _DATA_SOURCE, "expr": query, "legendFormat": legend,
                "instant": instant, "range": not instant, "format": "table" if kind == "table" else "time_series",
            }
            for number, (query, legend) in enumerate(queries)
        ],
    }  # fmt: skip
