"""The pages of a rollout in a real browser: they ask for nothing, complain of nothing, and fit on a telephone."""

from pathlib import Path

import pytest

from pytest_py312.rollout.canary_analysis.time_series import Tally
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample
from pytest_py312.rollout.live.live_view import view_of
from pytest_py312.rollout.monitoring.soak import Progress
from pytest_py312.rollout.reporting.evidence import document_of
from pytest_py312.rollout.reporting.evidence_bundle import write_bundle
from pytest_py312.rollout.reporting.html import live_page
from tests.integration.browsers import browser_program
from tests.integration.test_page_in_browser import Opened
from tests.unit.rollout.watchers import ME, Watching

LONG = "user-" + "x" * 110
HOSTILE = "</td><script>document.title='taken'</script><img src=https://example.org/x>" + "y" * 200


def pages(folder: Path) -> list[Path]:
    """Of a service with a long name that says hostile things."""
    there = Watching(folder / "journal", services=(LONG,))
    for slot in (1, 2, 5):
        measured = Measurement(metric="orders", result=Result.FAILED, value=1.5, detail=HOSTILE)
        at = Moment(wall=1e9 + slot, boottime=float(slot), boot="b")
        there.journal.keep_samples("r1", [Sample(service=LONG, slot=slot, at=at, measurements=(measured,))], owner=ME)
    made = write_bundle(folder / "out", document_of(there.journal, "test", 1, intervals={}))
    tally = Tally()
    for sample in there.samples(LONG):
        tally.add(sample)
    run = there.run
    live = folder / "live.html"
    row = {
        "number": 1, "name": LONG, "services": [LONG] * 3, "state": "soaking", "watched": True, "share": 0.4,
        "credited": "3.0 h of 48.0 h", "told": "",
    }  # fmt: skip
    view = view_of(Progress(run=run, slot=5, missed=2, untold=(HOSTILE,)), 60.0, {LONG: tally})
    text = live_page(
        view=view, run=run, refresh=3600, stages=[row], left="45.0 h", credited="3.0 h", wanted="48.0 h", next_in="40 s"
    )
    live.write_text(text, encoding="utf-8")
    there.journal.close()
    return [made.page, live]


@pytest.mark.browser
def test_they_fit_and_stay_by_themselves(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program() or None, args=["--no-sandbox"])
        for file in pages(tmp_path):
            page = Opened(browser.new_page(), file)
            page.unfold()
            for width in (320, 1200):
                page.page.set_viewport_size({"width": width, "height": 800})
                assert page.run("document.documentElement.scrollWidth") == width, file.name
            assert (page.asked, page.said) == ([file.as_uri()], [])
            assert "taken" not in page.page.title()
        browser.close()
