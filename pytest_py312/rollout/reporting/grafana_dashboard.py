"""A dashboard for Grafana: the stages, how far their soak is, and the new version beside the old one."""

from collections.abc import Iterator
from typing import Any

SCHEMA = 39
UID = "pytest-py312"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_CHOSEN = 'environment=~"$environment", stage=~"$stage"'
_SERVICES = f'{_CHOSEN}, service=~"$service"'
_WIDTH = 24


def dashboard() -> dict[str, Any]:
    """The whole document. Its data source is a variable, so that it can be imported anywhere."""
    return {
        "uid": UID,
        "title": "Moving to a new Python: stages and soaks",
        "tags": ["pytest-py312"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-48h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "templating": {"list": _variables()},
        "panels": list(_placed()),
    }


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}
    labels = (
        ("environment", "label_values(py312_stage_state, environment)"),
        ("stage", 'label_values(py312_stage_state{environment=~"$environment"}, stage)'),
        ("service", f"label_values(py312_measurement_failed{{{_CHOSEN}}}, service)"),
    )
    return [
        source,
        *(
            {
                "name": name, "label": name.capitalize(), "type": "query", "datasource": _SOURCE, "query": query,
                "refresh": 2, "multi": True, "includeAll": True, "current": {"text": "All", "value": "$__all"},
            }
            for name, query in labels
        ),
    ]  # fmt: skip


def _placed() -> Iterator[dict[str, Any]]:
    """The panels, three in a row, numbered."""
    height, across = 8, 3
    for number, panel in enumerate(_panels()):
        at = {
            "h": height,
            "w": _WIDTH // across,
            "x": number % across * (_WIDTH // across),
            "y": number // across * height,
        }
        yield {"id": number + 1, "gridPos": at, "datasource": _SOURCE, **panel}


def _panels() -> Iterator[dict[str, Any]]:
    yield from _of_stages()
    yield from _of_services()
    yield from _of_the_watching()


def _of_stages() -> Iterator[dict[str, Any]]:
    yield _panel("Stages", "table", [(f"py312_stage_state{{{_CHOSEN}}} == 1", "")], instant=True)
    yield _panel(
        "Soak that is proven",
        "bargauge",
        [(f"py312_soak_credited_seconds{{{_CHOSEN}}} / py312_soak_wanted_seconds{{{_CHOSEN}}}", "stage {{stage}}")],
        unit="percentunit",
        most=1,
        instant=True,
    )
    yield _panel(
        "Since the last sample",
        "stat",
        [(f"time() - py312_soak_last_sample_timestamp_seconds{{{_CHOSEN}}}", "stage {{stage}}")],
        unit="s",
        instant=True,
    )
    yield _panel(
        "What fails now",
        "table",
        [(f"py312_measurement_failed{{{_SERVICES}}} == 1", "")],
        instant=True,
    )


def _of_services() -> Iterator[dict[str, Any]]:
    yield _panel(
        "Availability",
        "timeseries",
        [(f'1 - py312_measurement_failed{{{_SERVICES}, metric="availability"}}', "{{service}}")],
        most=1,
    )
    yield _panel(
        "Latency, new and old",
        "timeseries",
        [(f'py312_measurement_value{{{_SERVICES}, metric="latency"}}', "{{service}} {{version}}")],
        unit="s",
    )
    yield _panel(
        "Memory",
        "timeseries",
        [(f'py312_measurement_value{{{_SERVICES}, metric="memory"}}', "{{service}} {{version}}")],
        unit="bytes",
    )
    yield _panel(
        "Cores in use",
        "timeseries",
        [(f'py312_measurement_value{{{_SERVICES}, metric="cpu"}}', "{{service}} {{version}}")],
    )
    yield _panel(
        "Restarts",
        "timeseries",
        [(f"increase(py312_service_restarts_total{{{_SERVICES}}}[$__rate_interval])", "{{service}}")],
    )
    yield _panel(
        "Exceptions and deprecations in the log",
        "timeseries",
        [(f'py312_measurement_value{{{_SERVICES}, metric=~"exceptions|deprecations"}}', "{{service}} {{metric}}")],
    )


def _of_the_watching() -> Iterator[dict[str, Any]]:
    yield _panel(
        "Measurements that say nothing",
        "timeseries",
        [
            (
                "sum by (service, metric, result) (increase(py312_measurement_total"
                f'{{{_SERVICES}, result=~"error|inconclusive"}}[$__rate_interval]))',
                "{{service}} {{metric}} {{result}}",
            )
        ],
    )
    yield _panel(
        "Limits broken, ways back",
        "table",
        [(f"py312_breach_total{{{_SERVICES}}}", ""), (f"py312_rollback_total{{{_CHOSEN}}}", "")],
        instant=True,
    )


def _panel(
    title: str,
    kind: str,
    queries: list[tuple[str, str]],
    *,
    unit: str = "short",
    most: float | None = None,
    instant: bool = False,
) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": unit, "min": 0} | ({} if most is None else {"max": most})
    return {
        "title": title,
        "type": kind,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query, "legendFormat": legend,
                "instant": instant, "range": not instant, "format": "table" if kind == "table" else "time_series",
            }
            for number, (query, legend) in enumerate(queries)
        ],
    }  # fmt: skip
