"""The pages of a rollout in a real browser: no requests, no errors, and a layout for narrow screens."""

from pathlib import Path

import pytest

from pytest_py312.rollout.canary_analysis.time_series import ServiceMetrics
from pytest_py312.rollout.domain.acceptance import acceptance_document, describe_acceptance
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import AcceptancePhase, AcceptanceResult
from pytest_py312.rollout.live.live_page import live_page
from pytest_py312.rollout.live.live_view import build_view
from pytest_py312.rollout.monitoring.soak import SoakSnapshot
from pytest_py312.rollout.reporting.evidence import build_evidence
from pytest_py312.rollout.reporting.evidence_bundle import write_bundle
from tests.integration.browsers import HOSTILE, LONG, assert_accessible, assert_self_contained
from tests.unit.rollout.watchers import ME, MonitoredStage


def pages(folder: Path) -> list[Path]:
    """Write the pages of a service with a long name and hostile texts."""
    monitored = MonitoredStage(folder / "journal", services=(LONG,))
    for slot in (1, 2, 5):
        measured = Measurement(metric="orders", result=Result.FAILED, value=1.5, detail=HOSTILE)
        at = Timestamp(wall=1e9 + slot, boottime=float(slot), boot="b")
        monitored.journal.add_samples(
            "r1", [Sample(service=LONG, slot=slot, at=at, measurements=(measured,))], owner=ME
        )
    tests = AcceptanceResult(name="e2e", phase=AcceptancePhase.AFTER, result=Result.FAILED, reason=HOSTILE)
    document = build_evidence(monitored.journal, "test", 1, intervals={})
    document["runs"][0]["acceptance"] = [{"at": None, **acceptance_document(monitored.run, tests)}]
    bundle = write_bundle(folder / "out", document)
    metrics = ServiceMetrics()
    for sample in monitored.samples(LONG):
        metrics.add(sample)
    run = monitored.run
    live = folder / "live.html"
    row = {
        "number": 1, "name": LONG, "services": [LONG] * 3, "state": "soaking", "watched": True, "share": 0.4,
        "credited": "3.0 h of 48.0 h", "detail": "",
    }  # fmt: skip
    view = build_view(SoakSnapshot(run=run, slot=5, missed=2, inconclusive_reasons=(HOSTILE,)), 60.0, {LONG: metrics})
    text = live_page(
        view=view, run=run, refresh=3600, stages=[row], left="45.0 h", credited="3.0 h", wanted="48.0 h",
        next_in="40 s", acceptance=[describe_acceptance(tests)],
    )  # fmt: skip
    live.write_text(text, encoding="utf-8")
    monitored.journal.close()
    return [bundle.page, live]


@pytest.mark.browser
def test_pages_fit_the_window_and_send_no_requests(tmp_path: Path) -> None:
    assert_self_contained(pages(tmp_path))


@pytest.mark.browser
def test_axe_has_nothing_to_object(tmp_path: Path) -> None:
    assert_accessible(pages(tmp_path), renews_itself=True)
