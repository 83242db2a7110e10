"""The roadmap as people and programs read it. The texts are the documentation of the formats."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.plan import Plan, Stage, StageDates, Waiver
from pytest_py312.core.model.readiness import BenchmarkRecord, GateKnowledge, KnownVerdict
from pytest_py312.core.model.report import Checkout
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.reporting.roadmap.last_phase import ServiceLeftovers, last_phase, waiver_ends
from pytest_py312.rollout.reporting.roadmap.leftovers import Leftover
from pytest_py312.rollout.reporting.roadmap.roadmap import Roadmap, RoadmapStage, StageStatus
from pytest_py312.rollout.reporting.roadmap.roadmap_formats import format_markdown, to_document
from pytest_py312.rollout.reporting.roadmap.roadmap_page import build_timeline, format_html
from pytest_py312.rollout.reporting.roadmap.stage_dates import StageSchedule, StageTiming
from pytest_py312.rollout.reporting.roadmap.stage_readiness import stage_readiness
from tests.support.fakes import service
from tests.support.history_samples import BLOCKED, PYYAML, service_record
from tests.unit.rollout.runs import soaking

HERE = Checkout(commit="0d1f6a3c5e7b9d8f", branch="main")
FOUND = GateKnowledge(
    verdicts={
        record.name: KnownVerdict(service=record, origin="r1", ended_at="2025-03-01T12:00:00Z", checkout=HERE)
        for record in (service_record("auth"), service_record("users", BLOCKED, PYYAML, stage=2))
    },
    checkout=HERE,
    same_commits=frozenset([HERE.commit]),
)
WAIVERS = (
    Waiver(service="users", code="PY204", reason="vendor", owner="core", until=date(2025, 9, 30)),
    Waiver(service="auth", test="tests/a.py::b", reason="flaky", owner="ops", until=date(2025, 3, 20)),
)
SLOWER = BenchmarkRecord(service="users", name="tests/speed.py::load", kind="benchmark", verdict="slower", ratio=1.42)
LEFTOVERS = (
    ServiceLeftovers(
        service="auth",
        stage=1,
        missing=(),
        older=(Interpreter(3, 9),),
        places=(Leftover(location=Location(path="auth/app.py", line=3), reason="the fallback for `tomllib`"),),
    ),
    ServiceLeftovers(service="users", stage=2, missing=("test",), older=(Interpreter(3, 10),), places=()),
)


def schedule(start: date, end: date, **timing: date) -> StageSchedule:
    return StageSchedule(
        planned=StageDates(environment="test", start=start, end=end),
        timing=StageTiming(attempts=len(timing) and 2, **timing),
    )


def sample() -> Roadmap:
    """A first stage that is accepted two days late, and a second one that is blocked and should have been started."""
    accepted = StageStatus(
        environment="test",
        run=replace(soaking(), state=StageState.ACCEPTED),
        schedule=schedule(date(2025, 2, 1), date(2025, 2, 10), started=date(2025, 2, 3), accepted=date(2025, 2, 12)),
    )
    planned = StageStatus(environment="test", schedule=schedule(date(2025, 3, 1), date(2025, 3, 14)))
    stages = (
        RoadmapStage(
            stage=Stage(number=1, name="Core"),
            services=(service("auth", path="auth", critical=True),),
            soak=172800.0,
            statuses=(accepted,),
            readiness=stage_readiness(["auth"], FOUND),
        ),
        RoadmapStage(
            stage=Stage(number=2),
            services=(service("users", path="users", stage=2),),
            soak=172800.0,
            statuses=(planned,),
            readiness=stage_readiness(["users"], FOUND),
        ),
    )
    today = date(2025, 3, 4)
    return Roadmap(
        plan=Plan(root=Path("repository"), waivers=WAIVERS),
        today=today,
        stages=stages,
        environments=("test",),
        after={},
        knowledge=FOUND,
        last_phase=last_phase(waiver_ends(WAIVERS, today), LEFTOVERS, [SLOWER, replace(SLOWER, verdict="same")]),
    )


def test_the_markdown() -> None:
    assert (
        format_markdown(sample())
        == """\
# Roadmap to Python 3.12

As of 2025-03-04.

* test: 1 of 2 stages accepted. Next: fix pyyaml in users: pyyaml==6.0 -&gt; pyyaml==6.0.1 (verified).

| Stage | Services | Gate | Soak | test |
| --- | --- | --- | --- | --- |
| 1: Core | 1 | 1 ready | 48 h | accepted |
| 2 | 1 | 1 blocked | 48 h | not deployed |

## Dates

| Stage | Environment | Planned start | Planned end | Started | Accepted | Late |
| --- | --- | --- | --- | --- | --- | --- |
| 1: Core | test | 2025-02-01 | 2025-02-10 | 2025-02-03 (2 attempts) | 2025-02-12 | 2 days |
| 2 | test | 2025-03-01 | 2025-03-14 |  |  | 3 days, not started |

## Stage 1: Core

| Service | Python now | to | Gate |  | Where |
| --- | --- | --- | --- | --- | --- |
| auth | 3.12 in test; 3.9 in its files | 3.12 | ready (2025-03-01) | critical | auth |

## Stage 2

| Service | Python now | to | Gate |  | Where |
| --- | --- | --- | --- | --- | --- |
| users | 3.9 | 3.12 | blocked by pyyaml (2025-03-01) |  | users |

What blocks most:

* fix pyyaml in users: pyyaml==6.0 -&gt; pyyaml==6.0.1 (verified), which frees users

## Verify and optimise

### Waivers

* **soon** tests/a.py::b of auth, until 2025-03-20 (in 16 days), ops: flaky
* PY204 of users, until 2025-09-30 (in 210 days), core: vendor

### Code for older Pythons

2 services have code or declarations for older Pythons. It can go now in 1 of them: \
`pytest --py312 --py312-drop-old-versions --py312-diff` proposes the declarations.

| Stage | Services | Declared | Places in code | It can go |
| --- | --- | --- | --- | --- |
| 1 | 1 | 3.9 | 1 | now |
| 2 | 1 | 3.10 | 0 | when test has accepted it |

* auth/app.py:3: the fallback for \\`tomllib\\`

### Benchmarks

2 benchmarks measured: 1 slower and 0 faster on the target.

* users: tests/speed.py::load (benchmark) takes 1.42 times as much
"""
    )


def test_the_document() -> None:
    document = to_document(sample())
    first, second = document["stages"]
    assert (first["readiness"]["proven"], second["readiness"]["proven"]) == (True, False)
    assert second["readiness"]["blockers"] == [
        {"subject": "pyyaml", "code": "PY104", "services": ["users"], "freed": ["users"],
         "remedies": ["pyyaml==6.0 -> pyyaml==6.0.1 (verified)"]}
    ]  # fmt: skip
    assert first["dates"]["test"] == {
        "planned_start": "2025-02-01", "planned_end": "2025-02-10", "attempts": 2, "started": "2025-02-03",
        "accepted": "2025-02-12", "earliest_end": None, "late_days": 2,
    }  # fmt: skip
    assert second["services"][0]["verdict"] == "blocked"
    assert [one["days"] for one in document["verify"]["waivers"]] == [16, 210]
    assert [one["can_go"] for one in document["verify"]["leftovers"]] == [True, False]
    assert document["verify"]["benchmarks"]["slower"][0]["ratio"] == 1.42
    assert document["environments"][0]["next"]["command"] == ""


def test_the_timeline_is_on_one_scale() -> None:
    timeline = build_timeline(sample())
    assert timeline is not None
    assert (timeline.first, timeline.last) == (date(2025, 2, 1), date(2025, 3, 14))
    first, second = timeline.rows
    assert first.planned is not None
    assert first.actual is not None
    assert second.planned is not None
    assert second.actual is None
    assert (first.planned.x, first.is_late, first.is_accepted) == (0.0, True, True)
    assert second.planned.x + second.planned.width == 1000.0
    assert first.actual.x < first.planned.x + first.planned.width < first.actual.x + first.actual.width
    assert second.planned.x < timeline.today < 1000.0


def test_a_plan_without_dates_has_no_timeline() -> None:
    roadmap = sample()
    stages = tuple(replace(stage, statuses=(StageStatus(environment="test"),)) for stage in roadmap.stages)
    without = replace(roadmap, stages=stages)
    assert build_timeline(without) is None
    assert 'id="dates"' not in format_html(without)
    assert "## Dates" not in format_markdown(without)
    assert to_document(without)["stages"][0]["dates"] == {"test": None}


def test_the_page_stands_alone_and_escapes() -> None:
    roadmap = sample()
    hostile = replace(roadmap, stages=(replace(roadmap.stages[0], stage=Stage(number=1, name="<i>")),))
    page = format_html(hostile)
    assert "1: &lt;i&gt;" in page
    assert "<i>" not in page
    assert 'src="' not in page
    assert " style=" not in page, "the policy of the page forbids it"
    assert page.count("<svg") == 1
    assert "fix pyyaml in users" in format_html(roadmap)


def test_a_remark_is_shown() -> None:
    roadmap = replace(sample(), knowledge=replace(FOUND, remarks=("The stored runs cannot be read.",)))
    assert "> The stored runs cannot be read." in format_markdown(roadmap)
    assert "The stored runs cannot be read." in format_html(roadmap)
