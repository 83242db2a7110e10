"""Grafana dashboard: stages, progress of their soaks, and metrics of the new and the previous version."""

from collections.abc import Iterator
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
        position = {
            "h": height,
            "w": _WIDTH // columns,
            "x": number % columns * (_WIDTH // columns),
            "y": number // columns * height,
        }
        yield {"id": number + 1, "gridPos": position, "datasource": _DATA_SOURCE, **panel}


def _panels() -> Iterator[dict[str, Any]]:
    yield from _stage_panels()
    yield from _service_panels()
    yield from _monitoring_panels()


def _stage_panels() -> Iterator[dict[str, Any]]:
    yield _panel("Stages", "table", [(f"py312_stage_state{{{_STAGE_SELECTOR}}} == 1", "")], instant=True)
    yield _panel(
        "Credited share of the soak",
        "bargauge",
        [
            (
                f"py312_soak_credited_seconds{{{_STAGE_SELECTOR}}} / py312_soak_duration_seconds{{{_STAGE_SELECTOR}}}",
                "stage {{stage}}",
            )
        ],
        unit="percentunit",
        maximum=1,
        instant=True,
    )
    yield _panel(
        "Time since the last sample",
        "stat",
        [(f"time() - py312_soak_last_sample_timestamp_seconds{{{_STAGE_SELECTOR}}}", "stage {{stage}}")],
        unit="s",
        instant=True,
    )
    yield _panel(
        "Current failures",
        "table",
        [(f"py312_measurement_failed{{{_SERVICE_SELECTOR}}} == 1", "")],
        instant=True,
    )


def _service_panels() -> Iterator[dict[str, Any]]:
    yield _panel(
        "Availability",
        "timeseries",
        [(f'1 - py312_measurement_failed{{{_SERVICE_SELECTOR}, metric="availability"}}', "{{service}}")],
        maximum=1,
    )
    yield _panel(
        "Latency, new and old",
        "timeseries",
        [(f'py312_measurement_value{{{_SERVICE_SELECTOR}, metric="latency"}}', "{{service}} {{version}}")],
        unit="s",
    )
    yield _panel(
        "Memory",
        "timeseries",
        [(f'py312_measurement_value{{{_SERVICE_SELECTOR}, metric="memory"}}', "{{service}} {{version}}")],
        unit="bytes",
    )
    yield _panel(
        "Cores in use",
        "timeseries",
        [(f'py312_measurement_value{{{_SERVICE_SELECTOR}, metric="cpu"}}', "{{service}} {{version}}")],
    )
    yield _panel(
        "Restarts",
        "timeseries",
        [(f"increase(py312_service_restarts_total{{{_SERVICE_SELECTOR}}}[$__rate_interval])", "{{service}}")],
    )
    yield _panel(
        "Exceptions and deprecations in the log",
        "timeseries",
        [
            (
                f'py312_measurement_value{{{_SERVICE_SELECTOR}, metric=~"exceptions|deprecations"}}',
                "{{service}} {{metric}}",
            )
        ],
    )


def _monitoring_panels() -> Iterator[dict[str, Any]]:
    yield _panel(
        "Inconclusive measurements",
        "timeseries",
        [
            (
                "sum by (service, metric, result) (increase(py312_measurement_total"
                f'{{{_SERVICE_SELECTOR}, result=~"error|inconclusive"}}[$__rate_interval]))',
                "{{service}} {{metric}} {{result}}",
            )
        ],
    )
    yield _panel(
        "Broken limits and rollbacks",
        "table",
        [(f"py312_breach_total{{{_SERVICE_SELECTOR}}}", ""), (f"py312_rollback_total{{{_STAGE_SELECTOR}}}", "")],
        instant=True,
    )


def _panel(
    title: str,
    kind: str,
    queries: list[tuple[str, str]],
    *,
    unit: str = "short",
    maximum: float | None = None,
    instant: bool = False,
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
