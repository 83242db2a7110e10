"""The HTML page: its content, that it is self-contained, and that texts of services are escaped."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location, Outcome, Severity, Status
from pytest_py312.core.model.measurements import BenchmarkComparison, PastComparison, SpeedVerdict, SuiteComparison
from pytest_py312.core.model.plan import Plan, Stage, Waiver
from pytest_py312.core.model.report import Checkout, Report, ReportSection
from pytest_py312.gate.reports import html
from tests.support.fakes import build_of, service
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged, report_of, speed

FRAGMENT = re.compile(r"#[a-z]+\d*|#(?:stage|code)=[\w.%~/-]*|data:,")
"""Where links of the page lead: to a part of it, or to the services of a stage or with a code."""
CELLS = frozenset({"td", "th", "dt", "dd", "li", "p"})
VOID = frozenset({"meta", "link", "br", "path", "input", "wbr"})
FETCHED = ("src", "srcset", "href", "xlink:href", "action", "data", "poster", "background", "formaction")


class Page(HTMLParser):
    """Elements of a page with their attributes and texts, and whether each is closed correctly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag in CELLS:
            self.texts.append((tag, " "))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        """All that is read, with single spaces."""
        return " ".join("".join(data for tag, data in self.texts if tag not in ("style", "script")).split())


def shown(report: Report) -> str:
    return Page(html.render(report, draw_charts=False)).text


def measured(*speeds: BenchmarkComparison) -> Report:
    return replace(report_of(judged(finding())), benchmarks=speeds)


# ---- what stands on it


def test_the_verdict_comes_first_and_is_the_title() -> None:
    page = Page(html.render(report_of(judged(finding()))))
    assert page.texts[[tag for tag, _ in page.texts].index("title")][1] == "Python 3.12: not proven: 1 service blocked"
    assert "✗ The service is not ready for Python 3.12: it is blocked. Date 1 March 2025, 12:00 UTC" in page.text


def test_the_table_has_a_word_and_a_sign_for_each_service_and_interpreter() -> None:
    passed = [Outcome(service="auth", interpreter=on, check="suite", status=Status.PASSED) for on in (PY39, PY312)]
    report = report_of(
        *passed, judged(finding()), errored("lost", on=PY310), services=[service("auth"), service("user-service")]
    )
    text = shown(report)
    assert "auth 1 ? not fully checked ✓ passed (current Python) ? not checked ✓ passed" in text
    assert (
        "user-service 1 ✗ blocked 1 finding ? not checked (current Python) ! could not be checked suite ✗ failed source"
        in text
    )


def test_a_cell_is_cached_if_all_of_its_outcomes_are() -> None:
    cached = replace(judged(on=PY310), cached=True)
    assert "✓ passed cached" in shown(report_of(cached))
    mixed = shown(report_of(replace(judged(), cached=True), judged(finding(), check="suite")))
    assert "✗ failed suite" in mixed
    failed = shown(report_of(cached, replace(judged(finding(), check="suite", on=PY310), cached=True)))
    assert "✗ failed cached suite ? not checked" in failed


def test_each_outcome_has_its_reason() -> None:
    skipped = Outcome.skipped(service="user-service", interpreter=PY39, check="suite", reason="it has no tests")
    text = shown(report_of(errored("the engine was lost", on=PY310), skipped, judged(finding())))
    assert "suite 3.10 ! could not be checked the engine was lost" in text
    assert "suite 3.9 - skipped it has no tests" in text
    assert "source 3.12 ✗ failed asyncio.coroutine was removed in 3.11" in text


def test_a_finding_has_place_source_remedy_and_evidence() -> None:
    reported = finding(
        source_line="    @asyncio.coroutine",
        detail="line one\nline two",
        names=("tests/test_a.py::test_b",),
        waived=True,
    )
    text = shown(report_of(judged(reported), judged(reported, on=PY310)))
    assert "error PY202 asyncio.coroutine was removed in 3.11 services/user-service/app.py:3" in text
    assert "check source; on 3.10, 3.12; non-blocking; waived" in text
    assert "3 | @asyncio.coroutine" in text
    assert "Names: tests/test_a.py::test_b" in text
    assert "Remedy: write async def" in text
    assert "line one line two" in text


def test_a_long_list_of_findings_is_shortened_and_counted() -> None:
    many = [finding(line=line, message=f"gone: {line}", severity=Severity.WARNING) for line in range(1, 311)]
    assert "And 10 more: see a report as .json." in shown(report_of(judged(*many)))


def test_a_few_blocking_findings_of_a_service_are_expanded_and_many_are_not() -> None:
    for number, expected in ((1, 1), (11, 0)):
        page = Page(html.render(report_of(judged(*(finding(line=line) for line in range(1, number + 1))))))
        details = [found for found in page.named("details") if "finding" in str(found["class"])]
        assert (len(details), sum("open" in found for found in details)) == (number, expected)


def test_benchmarks_are_shown_in_figures() -> None:
    past = PastComparison(
        ended_at="2025-02-01T12:00:00Z",
        verdict=SpeedVerdict.SAME,
        ratio=1.02,
        low=0.98,
        high=1.05,
        baseline_median=0.0111,
        target_median=0.0112,
    )
    one = speed(
        conditions={"python": ("3.9.18", "3.12.1"), "clock": ("wall", "wall")}, past_comparisons=(past,), confirmed=True
    )
    text = shown(measured(one))
    assert "tests/test_speed.py::test_it ▲ slower 1.42 (1.38 to 1.47) 11 ms 15 ms 3" in text
    assert "Threshold 10 % Interval holds with 99.8 %, p 0.0002, confirmed by a second round" in text
    assert "Baseline against itself 1.00 (0.99 to 1.01)" in text
    assert "python 3.9.18 → 3.12.1" in text
    assert "clock wall" in text
    assert "2025-02-01T12:00:00Z same 1.02 (0.98 to 1.05) 11.1 ms 11.2 ms" in text


@pytest.mark.parametrize(
    ("more", "says"), [(12, "about 12 more pairs needed"), (None, "more pairs would not decide it")]
)
def test_an_inconclusive_benchmark_states_how_many_pairs_are_needed(more: int | None, says: str) -> None:
    unsure = speed(SpeedVerdict.INCONCLUSIVE, low=0.0, high=float("inf"), control=None, pairs_needed=more, pairs=())
    text = shown(measured(unsure))
    assert "? inconclusive 1.42 (too few pairs)" in text
    assert says in text


def test_waivers_builds_suites_and_assumptions() -> None:
    waiver = Waiver(service="user-*", code="PY203", reason="gone in May", owner="Lin", until=date(2025, 5, 1))
    compared = SuiteComparison(service="user-service", baseline=PY39, target=PY312, counts={PY312: {"passed": 4}})
    report = report_of(
        judged(finding()),
        plan=replace(report_of().plan, waivers=(waiver,), stages=(Stage(number=1, name="Core"),)),
        builds=(build_of(),),
        comparisons=(compared,),
        assumptions=("auth has no image",),
    )
    text = shown(report)
    assert "user-* PY203 2025-05-01 Lin gone in May" in text
    assert "3.12 3.12.1 a test pgo" in text
    assert "Tests: on 3.12 4 passed" in text
    assert "Assumptions auth has no image" in text
    assert "stage 1 (Core); current Python 3.9: the test says so" in text


def test_a_run_that_checked_nothing_has_a_page() -> None:
    empty = replace(report_of(), services=(), cells=())
    assert "nothing was checked" in shown(empty)


# ---- it stands alone, and is not to be written by others


def test_nothing_is_loaded_from_the_network() -> None:
    page = Page(html.render(measured(speed()), draw_charts=False))
    targets = {str(found[name]) for _, found in page.elements for name in FETCHED if name in found}
    assert all(FRAGMENT.fullmatch(target) for target in targets)
    assert [found for tag, found in page.texts if tag == "style" and re.search(r"url\(|@import", found)] == []


def test_the_policy_allows_only_the_own_style_and_script() -> None:
    text = html.render(report_of())
    [policy] = [str(found["content"]) for found in Page(text).named("meta") if "http-equiv" in found]
    assert policy.startswith("default-src 'none'; ")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        [inner] = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert not re.search(r"\sstyle=|\son\w+=", text)


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "<script>alert(1)</script>", "</script><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>",
            "' onmouseover='alert(1)", "</style><style>*{display:none}", "<!--", "]]>", "{{ 7 * 7 }}", "{% raw %}",
            "javascript:alert(1)", "&lt;b&gt;", "\x1b[31mred", "\u202egnp.exe", "\udc80", "</title><base href=//x>",
        ]
    ),
)  # fmt: skip


def every_text(text: str) -> Report:
    """Return a report in which every text from a repository is ``text``."""
    reported = replace(
        finding(), code=text, message=text, remedy=text, names=(f"{text}?",), detail=text, source_line=text,
        location=Location(path=text, line=1, column=1),
    )  # fmt: skip
    past = PastComparison(
        ended_at=text, verdict=SpeedVerdict.SAME, ratio=1.0, low=0.9, high=1.1, baseline_median=1.0, target_median=1.0
    )
    measured = speed(
        service=text, name=text, note=text, conditions={text: (text, text + "b")}, past_comparisons=(past,)
    )
    waiver = Waiver(service=text, test=text, reason=text, owner=text, until=date(2025, 5, 1))
    return report_of(
        judged(reported, of=text, check=text or "own"),
        errored(text.strip() or "lost", of=text),
        services=[service(text, path=text, baseline_source=text, owners=(text or "nobody",))],
        plan=Plan(root=report_of().plan.root, source=text, waivers=(waiver,), stages=(Stage(number=1, name=text),)),
        comparisons=(SuiteComparison(service=text, baseline=PY39, target=PY312, counts={PY312: {text: 1}}),),
        benchmarks=(measured,),
        assumptions=(text,),
        runner=text,
        resolver=text,
        checkout=Checkout(repository=text, commit=text, branch=text, modified=True),
        builds=(build_of(version=text, origin=text, flags=text),),
        tool_version=text,
    )


def tags_of(page: Page) -> list[str]:
    """Return the elements of a page, apart from the places where a long word may be broken."""
    return [tag for tag, _ in page.elements if tag != "wbr"]


PLAIN = tags_of(Page(html.render(every_text("plain"), draw_charts=False)))


@settings(deadline=None)  # the first page also reads the template
@given(HOSTILE)
def test_no_text_of_a_repository_becomes_an_element(text: str) -> None:
    """The page has the same elements for hostile texts as for plain ones, apart from omitted ones."""
    page = Page(html.render(every_text(text), draw_charts=False))
    tags = tags_of(page)
    assert len(tags) <= len(PLAIN)
    assert set(tags) <= set(PLAIN)
    assert tags.count("script") == tags.count("style") == 1
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert FRAGMENT.fullmatch(attributes.get("href") or "data:,")
    page.text.encode("utf-8")


def test_sections_of_other_plugins_are_shown_as_they_are() -> None:
    page = html.render(report_of(sections=(ReportSection(title="Licences", text="a <b>\n  two"),)))
    assert "Licences</h2>" in page
    assert "a &lt;b&gt;\n  two</pre>" in page


def test_the_runs_so_far_are_shown_the_newest_first() -> None:
    """A single run has no history."""
    titles = ("Ended", "Exit")
    page = html.render(report_of(history=(titles, ("first", "1"), ("second", "0"))))
    assert page.index(">second<") < page.index(">first<")
    assert 'href="#history"' in page
    assert "History" not in html.render(report_of(history=(titles, ("first", "1"))))
