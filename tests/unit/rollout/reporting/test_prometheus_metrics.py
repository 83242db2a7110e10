"""Prometheus metrics about stages."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.events import Breached, Decided, Event
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import Breach, BreachSeverity, Reaction, StageState
from pytest_py312.rollout.domain.run_history import JournalEntry
from pytest_py312.rollout.metrics.resource_usage import RESTART_COUNTER
from pytest_py312.rollout.reporting.prometheus_metrics import (
    FAMILIES,
    StageMetrics,
    exported_names,
    render_metrics,
    write_textfile,
)
from tests.unit.rollout.runs import planned, soaking


def metrics_from(*rows: tuple[tuple[str, Result, float | None], ...]) -> ServiceMetrics:
    service_metrics = ServiceMetrics()
    for slot, row in enumerate(rows, start=1):
        measurements = tuple(Measurement(metric=name, result=result, value=value) for name, result, value in row)
        at = Timestamp(wall=1e9 + 300 * slot, boottime=300.0 * slot, boot="b")
        service_metrics.add(Sample(service="user", slot=slot, at=at, measurements=measurements))
    return service_metrics


def parse_metrics(text: bytes) -> dict[str, dict[tuple[str, ...], float]]:
    """Name -> label values in the order of FAMILIES -> value."""
    values_by_name: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                labels = tuple(sample.labels[name] for name in FAMILIES[family.name][2])
                values_by_name.setdefault(sample.name, {})[labels] = sample.value
    return values_by_name


def test_metrics_of_a_monitored_stage() -> None:
    service_metrics = metrics_from(
        (
            ("availability", Result.SUCCESSFUL, 1.0),
            ("latency", Result.SUCCESSFUL, 0.2),
            (RESTART_COUNTER, Result.SUCCESSFUL, 1.0),
        ),
        (("availability", Result.FAILED, None), (CONTROL_PREFIX + "latency", Result.SUCCESSFUL, 0.1)),
    )
    values = parse_metrics(
        render_metrics(
            [StageMetrics(run=soaking(), metrics_by_service={"user": service_metrics}, interval=300.0, inconclusive=2)]
        )
    )
    stage, service = ("test", "1"), ("test", "1", "user")
    assert values["py312_stage_state"][(*stage, "soaking")] == 1.0
    assert sum(values["py312_stage_state"].values()) == 1.0
    assert values["py312_measurement_total"][(*service, "availability", "failed")] == 1.0
    assert values["py312_measurement_failed"] == {(*service, "availability"): 1.0, (*service, "latency"): 0.0}
    assert values["py312_measurement_value"][(*service, "latency", "new")] == 0.2
    assert values["py312_measurement_value"][(*service, "latency", "old")] == 0.1
    assert values["py312_service_restarts_total"] == {service: 1.0}
    assert values["py312_soak_last_sample_timestamp_seconds"] == {stage: 1e9 + 600}
    assert values["py312_soak_inconclusive"] == {stage: 2.0}
    assert values["py312_soak_duration_seconds"] == {stage: 3600.0}
    assert values.keys() <= exported_names()


def test_breaches_and_rollbacks_are_counted_from_the_history() -> None:
    breach = Breach(
        service="user", metric="availability", severity=BreachSeverity.SEVERE, reaction=Reaction.ROLL_BACK, detail=""
    )
    events: list[Event | str] = [Breached(breach=breach), Decided(accept=False, by="me", reason="no"), "a note"]
    history = [JournalEntry(at="", content=event) for event in events]
    found = parse_metrics(render_metrics([StageMetrics(run=planned(state=StageState.ROLLED_BACK), history=history)]))
    assert found["py312_breach_total"] == {("test", "1", "user", "availability", "severe", "roll back"): 1.0}
    assert found["py312_rollback_total"] == {("test", "1", "breach"): 1.0, ("test", "1", "decided"): 1.0}
    assert "py312_soak_last_sample_timestamp_seconds" not in found


def test_the_textfile_is_written_atomically(tmp_path: Path) -> None:
    path = tmp_path / "py312.prom"
    for _ in range(2):
        write_textfile(path, [StageMetrics(run=planned())])
    assert parse_metrics(path.read_bytes()).keys() <= exported_names()
    assert [one.name for one in tmp_path.iterdir()] == ["py312.prom"]


@given(st.text(), st.floats(), st.text(st.characters(codec=None), max_size=5))
def test_any_metric_name_gives_valid_text(name: str, value: float, environment: str) -> None:
    row = ((name, Result.SUCCESSFUL, value),)
    figures = StageMetrics(run=planned(environment=environment), metrics_by_service={"user": metrics_from(row)})
    for line in render_metrics([figures]).decode().split("\n"):
        assert not line or line.startswith("#") or re.fullmatch(r"py312_\w+(\{.*\})? \S+", line, re.DOTALL)
