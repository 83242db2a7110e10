"""What a Prometheus is told."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pytest_py312.rollout.canary_analysis.time_series import OLD, Tally
from pytest_py312.rollout.domain.events import Breached, Decided, Event
from pytest_py312.rollout.domain.journal import Entry
from pytest_py312.rollout.domain.model import (
    Breach,
    Measurement,
    Moment,
    Reaction,
    Result,
    Sample,
    Severity,
    StageState,
)
from pytest_py312.rollout.metrics.resource_usage import RESTART_COUNTER
from pytest_py312.rollout.reporting.prometheus_metrics import (
    FAMILIES,
    exported_names,
    figures_of,
    text_of,
    write_textfile,
)
from tests.unit.rollout.runs import planned, soaking


def tally_of(*rows: tuple[tuple[str, Result, float | None], ...]) -> Tally:
    tally = Tally()
    for slot, row in enumerate(rows, start=1):
        measurements = tuple(Measurement(metric=name, result=result, value=value) for name, result, value in row)
        at = Moment(wall=1e9 + 300 * slot, boottime=300.0 * slot, boot="b")
        tally.add(Sample(service="user", slot=slot, at=at, measurements=measurements))
    return tally


def told(text: bytes) -> dict[str, dict[tuple[str, ...], float]]:
    """Name -> values of labels, in the order of FAMILIES -> value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                labels = tuple(sample.labels[name] for name in FAMILIES[family.name][2])
                found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_a_stage_that_is_watched() -> None:
    tally = tally_of(
        (
            ("availability", Result.SUCCESSFUL, 1.0),
            ("latency", Result.SUCCESSFUL, 0.2),
            (RESTART_COUNTER, Result.SUCCESSFUL, 1.0),
        ),
        (("availability", Result.FAILED, None), (OLD + "latency", Result.SUCCESSFUL, 0.1)),
    )
    found = told(text_of([figures_of(soaking(), tallies={"user": tally}, interval=300.0, untold=2)]))
    stage, service = ("test", "1"), ("test", "1", "user")
    assert found["py312_stage_state"][(*stage, "soaking")] == 1.0
    assert sum(found["py312_stage_state"].values()) == 1.0
    assert found["py312_measurement_total"][(*service, "availability", "failed")] == 1.0
    assert found["py312_measurement_failed"] == {(*service, "availability"): 1.0, (*service, "latency"): 0.0}
    assert found["py312_measurement_value"][(*service, "latency", "new")] == 0.2
    assert found["py312_measurement_value"][(*service, "latency", "old")] == 0.1
    assert found["py312_service_restarts_total"] == {service: 1.0}
    assert found["py312_soak_last_sample_timestamp_seconds"] == {stage: 1e9 + 600}
    assert found["py312_soak_untold"] == {stage: 2.0}
    assert found["py312_soak_wanted_seconds"] == {stage: 3600.0}
    assert found.keys() <= exported_names()


def test_what_was_broken_and_brought_back_is_counted_from_the_history() -> None:
    breach = Breach(
        service="user", metric="availability", severity=Severity.SEVERE, reaction=Reaction.ROLL_BACK, detail=""
    )
    events: list[Event | str] = [Breached(breach=breach), Decided(accept=False, by="me", reason="no"), "a note"]
    history = [Entry(at="", what=event) for event in events]
    found = told(text_of([figures_of(planned(state=StageState.ROLLED_BACK), history)]))
    assert found["py312_breach_total"] == {("test", "1", "user", "availability", "severe", "roll back"): 1.0}
    assert found["py312_rollback_total"] == {("test", "1", "breach"): 1.0, ("test", "1", "decided"): 1.0}
    assert "py312_soak_last_sample_timestamp_seconds" not in found


def test_the_textfile_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "py312.prom"
    for _ in range(2):
        write_textfile(path, [figures_of(planned())])
    assert told(path.read_bytes()).keys() <= exported_names()
    assert [one.name for one in tmp_path.iterdir()] == ["py312.prom"]


@given(st.text(), st.floats(), st.text(st.characters(codec=None), max_size=5))
def test_whatever_a_metric_is_called_the_text_can_be_read(name: str, value: float, environment: str) -> None:
    row = ((name, Result.SUCCESSFUL, value),)
    figures = figures_of(planned(environment=environment), tallies={"user": tally_of(row)})
    for line in text_of([figures]).decode().split("\n"):
        assert not line or line.startswith("#") or re.fullmatch(r"py312_\w+(\{.*\})? \S+", line, re.DOTALL)
