"""The pages of a difference and of the roadmap in a real browser: no requests, no errors, no wider than a phone."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.plan import Stage
from pytest_py312.gate.history.difference_formats import format_html as difference_page
from pytest_py312.gate.history.difference_view import view_of
from pytest_py312.rollout.reporting.roadmap.roadmap_page import format_html as roadmap_page
from tests.integration.browsers import (
    HOSTILE,
    LONG,
    OpenedPage,
    assert_accessible,
    assert_self_contained,
    launched_browser,
)
from tests.support.history_samples import BLOCKED, IMP, service_record
from tests.unit.gate.history.test_differences import difference
from tests.unit.rollout.reporting.roadmap.test_roadmap_formats import sample


def pages(folder: Path) -> list[Path]:
    """Write the pages of a service with a long name and hostile texts."""
    cause = replace(IMP, message=HOSTILE, remedy=HOSTILE, place=f"{LONG}.py:1")
    compared = difference([service_record(LONG)], [service_record(LONG, BLOCKED, cause)])
    roadmap = sample()
    named = replace(roadmap.stages[0], stage=Stage(number=1, name=HOSTILE))
    texts = {
        "difference": difference_page(view_of(compared)),
        "roadmap": roadmap_page(replace(roadmap, stages=(named, *roadmap.stages[1:]))),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return sorted(folder.glob("*.html"))


@pytest.mark.browser
def test_pages_fit_the_window_and_send_no_requests(tmp_path: Path) -> None:
    assert_self_contained(pages(tmp_path))


@pytest.mark.browser
def test_axe_has_nothing_to_object(tmp_path: Path) -> None:
    assert_accessible(pages(tmp_path))


@pytest.mark.browser
def test_the_bars_of_the_timeline_are_drawn(tmp_path: Path) -> None:
    with launched_browser() as browser:
        page = OpenedPage(browser.new_page(), pages(tmp_path)[1])
        widths = page.run(
            "[...document.querySelectorAll('.timeline rect')].map(bar => bar.getBoundingClientRect().width)"
        )
    assert len(widths) == 3
    assert all(width > 10 for width in widths)
