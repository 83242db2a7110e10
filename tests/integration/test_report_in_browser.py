"""The HTML report in a real browser: no requests, no errors, sortable tables, and a layout for narrow screens."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.measurements import PastComparison, SpeedVerdict
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports import html
from tests.integration.browsers import OpenedPage, launched_browser, open_page
from tests.support.fakes import build_of, service
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged, report_of, speed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

LONG = "services-" + "x" * 120
HOSTILE = (
    "</script><script>document.title='taken'</script><img src=https://example.org/x onerror=\"document.title='taken'\">"
)
PAST = PastComparison(
    ended_at="2025-02-01T12:00:00Z",
    verdict=SpeedVerdict.SAME,
    ratio=1.0,
    low=0.9,
    high=1.1,
    baseline_median=0.01,
    target_median=0.01,
)


def sample() -> Report:
    """Return a report with three services, long and hostile names, and measurements with earlier results."""
    passed = [
        Outcome(service="auth", interpreter=on, check="suite", status=Status.PASSED) for on in (PY39, PY310, PY312)
    ]
    hostile = finding(source_line="@asyncio.coroutine" + " " * 300 + "# far", detail=HOSTILE, names=(LONG,))
    speeds = (
        speed(past_comparisons=(PAST, PAST), conditions={"python": ("3.9.18", "3.12.1")}),
        speed(SpeedVerdict.FASTER, name=LONG, ratio=0.7, low=0.6, high=0.8),
        speed(
            SpeedVerdict.INCONCLUSIVE,
            name="a|b",
            ratio=1.2,
            low=0.0,
            high=float("inf"),
            control=None,
            pairs_needed=None,
        ),
    )
    report = report_of(
        *passed, judged(hostile), errored(HOSTILE, on=PY310), errored("lost", of=LONG),
        services=[service("auth", stage=2), service("user-service"), service(LONG, stage=10, baseline=PY310)],
        builds=(build_of("3.9"), build_of("3.12")),
    )  # fmt: skip
    return replace(report, benchmarks=speeds)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with launched_browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("page") / "report.html"
    written.write_text(html.render(sample()), encoding="utf-8", errors="backslashreplace")
    return written


def test_the_page_sends_no_requests_and_logs_no_errors(browser: "Browser", file: Path) -> None:
    """Scripts in a repository's names or texts do not run."""
    page = open_page(browser, file)
    page.unfold_all()
    assert page.requested_urls == [file.as_uri()]
    assert page.console_messages == []
    assert page.page.title().startswith("Python 3.12: not proven")
    assert page.page.get_by_text("document.title='taken'").count() > 0


def heading(page: OpenedPage, table: str, name: str) -> "Locator":
    return page.page.locator(f"{table} > thead").get_by_role("columnheader", name=name)


def test_a_heading_sorts_and_is_marked(browser: "Browser", file: Path) -> None:
    """Numbers are sorted as numbers: stage 10 comes after 2. The keyboard works as well."""
    page = open_page(browser, file)
    assert page.row_names(".fleet") == ["user-service", LONG, "auth"]  # blocked, not checked, ready
    stage = heading(page, ".fleet", "Stage")
    stage.get_by_role("button").click()
    assert page.row_names(".fleet") == ["user-service", "auth", LONG]
    assert stage.get_attribute("aria-sort") == "ascending"
    stage.get_by_role("button").press("Enter")
    assert page.row_names(".fleet") == [LONG, "auth", "user-service"]
    assert stage.get_attribute("aria-sort") == "descending"
    heading(page, ".fleet", "Service").get_by_role("button").click()
    assert stage.get_attribute("aria-sort") is None


def test_measurements_are_sorted_with_their_charts(browser: "Browser", file: Path) -> None:
    page = open_page(browser, file)
    heading(page, ".speeds", "Ratio").get_by_role("button").click()
    ratios = page.page.locator(".speeds > tbody > tr:first-child > td.ratio").all_inner_texts()
    assert [text.split()[0] for text in ratios] == ["0.70", "1.20", "1.42"]
    labels = page.run("[...document.querySelectorAll('.speeds td.ratio .chart')].map(one => one.ariaLabel)")
    assert [label.split()[1] for label in labels] == ["0.70", "1.20", "1.42"]


@pytest.mark.parametrize("width", [320, 360, 400, 700, 993, 1000, 1200])
def test_the_page_is_never_wider_than_the_window(browser: "Browser", file: Path, width: int) -> None:
    page = open_page(browser, file, width)
    page.unfold_all()
    assert page.run("document.documentElement.scrollWidth") == width


def test_on_narrow_screens_a_list_replaces_the_headings(browser: "Browser", file: Path) -> None:
    page = open_page(browser, file, 360)
    page.page.get_by_label("Sort by").first.select_option("Stage")
    assert page.row_names(".fleet") == ["user-service", "auth", LONG]
    page.page.get_by_role("button", name="Reverse order").first.click()
    assert page.row_names(".fleet") == [LONG, "auth", "user-service"]


def test_the_page_can_be_read_without_javascript(browser: "Browser", file: Path) -> None:
    """Folded parts can be opened; there are no buttons without function."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(file.as_uri())
    assert page.get_by_role("button").count() == 0
    page.locator("details.service > summary").filter(has_text="auth").click()
    assert page.locator("details.service[open]").filter(has_text="current Python 3.9: the test says so").count() >= 1
    assert page.locator("svg").count() > 0


def test_a_link_to_a_folded_service_unfolds_it(browser: "Browser", file: Path) -> None:
    page = open_page(browser, file)
    service_of = page.page.locator("details.service").filter(has_text="auth").first
    assert service_of.get_attribute("open") is None
    page.page.locator(".fleet").get_by_role("link", name="auth").click()
    # the browser reports the new fragment a little later
    page.page.locator("details.service[open]").filter(has_text="auth").first.wait_for(timeout=10_000)
    assert service_of.get_attribute("open") is not None


CONTRAST = """() => {
  const part = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map(part);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const one of document.querySelectorAll("main *, header *")) {
    const says = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!says || one.closest("svg, button, select")) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(background(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(one.outerHTML.slice(0, 100));
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: "Browser", file: Path, scheme: str) -> None:
    """4.5 to 1, as WCAG 2 requires (AA)."""
    page = open_page(browser, file, color_scheme=scheme)
    page.unfold_all()
    assert page.run(CONTRAST) == []


def test_headings_tables_and_charts_have_names(browser: "Browser", file: Path) -> None:
    """Heading levels are consecutive; every table and chart has a label."""
    page = open_page(browser, file)
    levels = page.run("[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(following <= previous + 1 for previous, following in pairwise(levels))
    unnamed = ":is(table, .chart):not([aria-label], [aria-labelledby])"
    assert page.page.locator(unnamed).count() == 0
    assert page.page.locator("th:not([scope])").count() == 0


def test_printing_unfolds_everything(browser: "Browser", file: Path, tmp_path: Path) -> None:
    """And folds it again afterwards."""
    page = open_page(browser, file)
    open_count = page.run("document.querySelectorAll('details[open]').length")
    folded = "document.querySelectorAll('details:not(.aside, [open])').length"
    page.run(f"addEventListener('beforeprint', () => {{ document.title = {folded} }})")
    page.page.pdf(path=tmp_path / "report.pdf")
    assert page.page.title() == "0"
    assert page.run("document.querySelectorAll('details[open]').length") == open_count
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert page.console_messages == []
