"""The top of the HTML page: the verdict in one sentence, the facts, the stages, and the causes in words."""

from dataclasses import replace

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.plan import Stage
from pytest_py312.core.model.report import Checkout, Report
from pytest_py312.gate.reports import html
from pytest_py312.gate.reports.blockers import Blocker
from pytest_py312.gate.reports.html_overview import (
    BarPart,
    effect_of,
    headline,
    masthead,
    readable_time,
    remarks,
    services_command,
    stage_views,
    verification,
)
from pytest_py312.gate.reports.run_verdict import RunVerdict, summarize
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged, report_of

NOTHING = summarize(replace(report_of(), services=(), cells=()))


def verdict(ready: int = 0, blocked: int = 0, errored: int = 0, incomplete: int = 0) -> RunVerdict:
    """Return a verdict on as many services as these numbers add up to."""
    names = iter(f"service-{number}" for number in range(99))
    return replace(
        NOTHING,
        ready=tuple(next(names) for _ in range(ready)),
        blocked=tuple(next(names) for _ in range(blocked)),
        errored=tuple(next(names) for _ in range(errored)),
        incomplete=tuple((next(names), "not run") for _ in range(incomplete)),
        services=ready + blocked + errored + incomplete,
        anything_checked=True,
    )


@pytest.mark.parametrize(
    ("judged_as", "sentence"),
    [
        (NOTHING, "Nothing was checked."),
        (verdict(ready=1), "The service is ready for Python 3.12."),
        (verdict(ready=20), "All 20 services are ready for Python 3.12."),
        (verdict(ready=11, blocked=9), "11 of 20 services are ready for Python 3.12: 9 are blocked."),
        (
            verdict(ready=1, blocked=1, errored=2, incomplete=1),
            "1 of 5 services is ready for Python 3.12: 1 is blocked and 3 were not fully checked.",
        ),
        (
            verdict(incomplete=3),
            "None of 3 services are ready for Python 3.12: nothing is blocked, but 3 were not fully checked.",
        ),
        (verdict(blocked=1), "The service is not ready for Python 3.12: it is blocked."),
        (verdict(errored=1), "The service is not ready for Python 3.12: it was not fully checked."),
        (
            replace(verdict(ready=2), interrupted=True),
            "2 of 2 services are ready for Python 3.12, but the run was ended early.",
        ),
    ],
)
def test_the_verdict_is_one_sentence(judged_as: RunVerdict, sentence: str) -> None:
    assert headline(judged_as) == sentence


def test_what_limits_a_verdict_is_beside_it() -> None:
    limited = replace(verdict(ready=3), without_suite=("service-0",), silent_files=2, test_files=7, known_findings=1)
    assert remarks(limited) == [
        "1 of 3 ready services has no tests of its own.",
        "2 of 7 test files prove nothing.",
        "1 known finding did not count.",
    ]
    assert remarks(verdict(ready=3)) == []


def platform() -> Report:
    """Return a report of four services in two stages: one ready, one blocked, one errored, one that was not run."""
    names = ("auth", "billing", "search", "tools")
    passed = [
        Outcome(service="auth", interpreter=on, check="suite", status=Status.PASSED) for on in (PY39, PY310, PY312)
    ]
    report = report_of(
        *passed, judged(finding(), of="billing"), errored("lost", of="search"),
        services=[service(name, stage=1 if name < "s" else 2) for name in names],
    )  # fmt: skip
    plan = replace(report.plan, stages=(Stage(number=1, name="Core", critical=True), Stage(number=3, name="Empty")))
    return replace(report, plan=plan)


def test_a_stage_has_a_bar_of_its_services() -> None:
    report = platform()
    first, second = stage_views(report, summarize(report))
    assert (first.number, first.name, first.critical, first.summary) == (1, "Core", True, "1 ready, 1 blocked")
    assert first.parts == (
        BarPart(kind="ready", start=0.0, width=50.0),
        BarPart(kind="blocked", start=50.0, width=50.0),
    )
    assert (second.number, second.name, second.summary) == (2, "", "2 not checked")


def test_the_head_names_where_the_files_come_from_and_who_to_ask() -> None:
    checkout = Checkout(repository="suoke/platform", commit="0123456789abcdef", branch="main", modified=True)
    owners = {"auth": ("@core",), "billing": ("@money",), "search": ("@find", "@money")}
    services = tuple(replace(member, owners=owners.get(member.name, ())) for member in platform().services)
    report = replace(platform(), checkout=checkout, services=services)
    assert masthead(report, summarize(report)) == [
        ("Repository", "suoke/platform", ""),
        ("Branch", "main", ""),
        ("Commit", "0123456789 with changes", "0123456789abcdef"),
        ("Date", "1 March 2025, 12:00 UTC", "2025-03-01T12:00:00Z"),
        ("Who to ask", "@money, @find", ""),
    ]


def test_what_is_not_known_is_left_out_of_the_head() -> None:
    report = replace(report_of(judged()), generated="yesterday")
    assert masthead(report, summarize(report)) == [("Date", "yesterday", "yesterday")]
    assert readable_time("2025-12-24T23:30:00+02:00") == "24 December 2025, 21:30 UTC"


def cause(services: int, freed: int, **changes: object) -> Blocker:
    made = Blocker(
        title="pyyaml 6.0", message="", code="PY104", remedy="", has_one_remedy=True,
        is_fixable=True, services=("a",) * services, freed=("a",) * freed,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("blocker", "words"),
    [
        (cause(7, 7), "7 services, the same change frees all of them"),
        (cause(7, 5), "7 services, the same change frees 5"),
        (cause(7, 5, has_one_remedy=False), "7 services, a change in each frees 5"),
        (cause(3, 0), "3 services, which all have other causes as well"),
        (cause(1, 1), "1 service, nothing else blocks it"),
        (cause(1, 0), "1 service, which has other causes as well"),
        (cause(4, 4, code=""), "holds up 4 services"),
    ],
)
def test_a_cause_says_what_its_removal_achieves(blocker: Blocker, words: str) -> None:
    assert effect_of(blocker) == words


def test_commands_are_quoted_for_the_shell() -> None:
    assert services_command(["a", "b"], fix=True) == "pytest --py312-services=a,b --py312-fix"
    assert services_command(["a b; rm"], fix=False) == "pytest '--py312-services=a b; rm'"


@pytest.mark.parametrize(
    ("remedy", "end"),
    [
        ("x==1 -> x==2 (verified: installs on 3.12)", "(verified: installs on 3.12)"),
        ("x==1 -> x==2 (verified: installs); compile again", ""),
        ("replace x", ""),
    ],
)
def test_the_proof_of_a_remedy_is_at_its_end(remedy: str, end: str) -> None:
    assert verification(remedy) == end


@pytest.mark.parametrize("accepted", [judged(finding()), errored("lost")])
def test_a_run_that_exits_with_0_has_no_red_cross(accepted: Outcome) -> None:
    """Neither for a selection that proves no service, nor for a failure that another plugin has accepted."""
    for outcomes in ([judged()], [accepted], []):
        page = html.render(replace(report_of(*outcomes), exit_status=0))
        assert "✗" not in page
        assert 'class="failed"' not in page
    assert "✗" in html.render(report_of(judged(finding())))
