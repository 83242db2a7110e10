"""The terminal summary: its content and order, and that texts of services are escaped."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import SuiteComparison
from pytest_py312.core.model.plan import Plan, Stage, Suite, SuiteKind, Waiver
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import display_width
from pytest_py312.gate.reports.terminal import header_lines, summary_lines
from pytest_py312.gate.reports.terminal_findings import failure_text
from tests.support import fakes

PY39, PY310, PY311, PY312 = (Interpreter(3, minor) for minor in (9, 10, 11, 12))
TODAY = date(2025, 3, 1)
STYLES = {"", "bold", "green", "red", "yellow", "cyan", "dim"}


def service(name: str, *, stage: int = 1, baseline: Interpreter = PY310, path: str = "", suite: bool = True) -> Service:
    return fakes.service(
        name,
        path=path or f"services/{name}",
        stage=stage,
        baseline=baseline,
        baseline_source="Dockerfile:1",
        requirements=(),
        suite=Suite(kind=SuiteKind.PYTEST) if suite else None,
    )


def passed(name: str, on: Interpreter | None, check: str = "suite", *, cached: bool = False) -> Outcome:
    return Outcome(service=name, interpreter=on, check=check, status=Status.PASSED, cached=cached)


def judged(name: str, on: Interpreter | None, check: str, *findings: Finding) -> Outcome:
    return Outcome.from_findings(service=name, interpreter=on, check=check, findings=findings)


def errored(name: str, on: Interpreter | None, check: str, reason: str) -> Outcome:
    return Outcome.errored(service=name, interpreter=on, check=check, reason=reason)


def report(services: Iterable[Service], outcomes: Iterable[Outcome], **others: object) -> Report:
    """Return a report in which each service has cells on 3.9, 3.10 and 3.12, unless ``cells`` are given."""
    fleet = tuple(services)
    cells = tuple(Cell(service=one, interpreter=on) for one in fleet for on in (PY39, PY310, PY312))
    base = Report(plan=Plan(root=Path("repo")), services=fleet, cells=cells, outcomes=tuple(outcomes))
    return replace(base, **others)  # type: ignore[arg-type]  # each test names fields of Report


def lines_of(
    subject: Report, *, width: int = 80, unicode: bool = False, verbosity: int = 0, today: date = TODAY
) -> list[str]:
    return [
        line.text for line in summary_lines(subject, width=width, unicode=unicode, verbosity=verbosity, today=today)
    ]


def blocking_lines(subject: Report, *, verbosity: int = 0) -> list[str]:
    lines = lines_of(subject, verbosity=verbosity)
    start = lines.index("Blocking")
    return lines[start : lines.index("", start)]


def text_of(subject: Report, **options: int) -> str:
    return "\n".join(lines_of(subject, **options)) + "\n"  # type: ignore[arg-type]  # width, unicode or verbosity


FLEET = {
    1: ("user-service", "api-gateway", "config-service", "auth-service", "health-data-service"),
    2: ("diagnostic-look", "diagnostic-listen", "diagnostic-inquiry", "diagnostic-palpation", "diagnostic-fusion"),
    3: ("agent-xiaoai", "agent-xiaoke", "agent-laoke", "agent-soer", "knowledge-graph-and-recommendation-service"),
    4: ("billing", "search", "message-bus", "corn-maze", "accessibility"),
}


def wheel_missing() -> Finding:
    return Finding(
        code="PY103",
        message="aiohttp 3.8.1 has no wheel for CPython 3.12, and building it fails",
        remedy="raise aiohttp to 3.9.0 or newer in services/user-service/requirements.txt",
        location=Location(path="services/user-service/requirements.txt", line=12),
        names=("aiohttp",),
        detail="aiohttp/_websocket.c:1475:12: fatal error: longintrepr.h: No such file\ncompilation terminated.",
    )


def broken_tests() -> Finding:
    return Finding(
        code="PY401",
        message="2 tests pass on 3.10 and fail on 3.12",
        remedy="asyncio.coroutine was removed in 3.11: write async def",
        names=("tests/test_listen.py::test_stream", "tests/test_listen.py::test_pulse[slow]"),
        detail="AttributeError: module 'asyncio' has no attribute 'coroutine'",
    )


def twenty_services() -> Report:
    """Return a realistic fleet in four stages: two services are blocked, one could not be checked."""
    services = [
        service(name, stage=stage, baseline=PY39 if name.startswith("diagnostic") else PY310)
        for stage, names in FLEET.items()
        for name in names
    ]
    cells = tuple(Cell(service=one, interpreter=on) for one in services for on in (PY39, PY310, PY311, PY312))
    cells = tuple(cell for cell in cells if cell.interpreter >= cell.service.baseline)
    outcomes = [outcome for cell in cells for outcome in _outcomes_of(cell)]
    version = Finding(
        code="PY302",
        message="the workflow tests on 3.10 only",
        severity=Severity.WARNING,
        location=Location(path=".github/workflows/search.yml", line=14),
    )
    outcomes.append(judged("search", None, "versions", version))
    listen = SuiteComparison(
        service="diagnostic-listen",
        baseline=PY39,
        target=PY312,
        newly_failing=tuple(sorted(broken_tests().names)),
        failing_on_both=("tests/test_codec.py::test_opus",),
        first_bad=dict.fromkeys(broken_tests().names, PY311),
    )
    soer = SuiteComparison(service="agent-soer", baseline=PY310, target=PY312, flaky=("tests/test_cache.py::test_ttl",))
    plan = Plan(
        root=Path("repo"),
        source="py312.toml",
        stages=(
            Stage(number=1, name="core", critical=True),
            Stage(number=2, name="diagnostics"),
            Stage(number=3, name="agents"),
            Stage(number=4),
        ),
        waivers=(
            Waiver(service="billing", code="PY204", owner="payments", reason="vendor fix", until=date(2025, 3, 12)),
            Waiver(service="search", code="PY203", owner="search", reason="rewrite", until=date(2025, 9, 1)),
        ),
    )
    return Report(
        plan=plan,
        services=tuple(services),
        cells=cells,
        outcomes=tuple(outcomes),
        comparisons=(listen, soer),
        assumptions=("services/corn-maze names no Python version: 3.10, the version of most services, is assumed",),
        exit_status=1,
    )


def _outcomes_of(cell: Cell) -> list[Outcome]:
    name, on = cell.service.name, cell.interpreter
    if name == "user-service" and on >= PY311:
        return [
            judged(name, on, "dependencies", wheel_missing()),
            Outcome.skipped(service=name, interpreter=on, check="suite", reason="its dependencies cannot be installed"),
        ]
    if name == "diagnostic-listen" and on >= PY311:
        return [passed(name, on, "dependencies"), judged(name, on, "suite", broken_tests())]
    if name == "message-bus" and on == PY312:
        return [errored(name, on, "dependencies", "the package index did not answer within 60 s; try again")]
    return [passed(name, on, check, cached=cell.service.stage == 1) for check in ("dependencies", "suite")]


SUMMARIES = Path(__file__).parents[3] / "data/summaries"
"""The summary of :func:`twenty_services`, by the width of the terminal."""

IN_80_COLUMNS = """\
                                      any Python   3.9     3.10    3.11    3.12
stage 1 core (critical)
  user-service                        .            .      [ok*]    FAIL    FAIL
  api-gateway                         .            .      [ok*]    ok*     ok*
  config-service                      .            .      [ok*]    ok*     ok*
  auth-service                        .            .      [ok*]    ok*     ok*
  health-data-service                 .            .      [ok*]    ok*     ok*
stage 2 diagnostics
  diagnostic-look                     .           [ok]     ok      ok      ok
  diagnostic-listen                   .           [ok]     ok      FAIL    FAIL
  diagnostic-inquiry                  .           [ok]     ok      ok      ok
  diagnostic-palpation                .           [ok]     ok      ok      ok
  diagnostic-fusion                   .           [ok]     ok      ok      ok
stage 3 agents
  agent-xiaoai                        .            .      [ok]     ok      ok
  agent-xiaoke                        .            .      [ok]     ok      ok
  agent-laoke                         .            .      [ok]     ok      ok
  agent-soer                          .            .      [ok]     ok      ok
  knowledge-graph...ndation-service   .            .      [ok]     ok      ok
stage 4
  billing                             .            .      [ok]     ok      ok
  search                              ok           .      [ok]     ok      ok
  message-bus                         .            .      [ok]     ok      ERR
  corn-maze                           .            .      [ok]     ok      ok
  accessibility                       .            .      [ok]     ok      ok
  [ ] current Python   * cached   . not part of this run

Blocking
  services/user-service::py3.12::dependencies  (on py3.11, py3.12)
    PY103 aiohttp 3.8.1 has no wheel for CPython 3.12, and building it fails
      services/user-service/requirements.txt:12
      -> raise aiohttp to 3.9.0 or newer in
         services/user-service/requirements.txt
  services/diagnostic-listen::py3.12::suite  (on py3.11, py3.12)
    PY401 2 tests pass on 3.10 and fail on 3.12
      since 3.11
      names: tests/test_listen.py::test_stream,
             tests/test_listen.py::test_pulse[slow]
      -> asyncio.coroutine was removed in 3.11: write async def

Could not be checked
  the package index did not answer within 60 s; try again
    services/message-bus::py3.12::dependencies

Non-blocking (1 pre-existing, 1 flaky, 1 warning, 1 skipped)
  pre-existing  diagnostic-listen: 1 test also fails on 3.9:
                tests/test_codec.py::test_opus
  flaky         agent-soer: 1 flaky test: tests/test_cache.py::test_ttl
  warning       PY302 .github/workflows/search.yml:14: the workflow tests on
                3.10 only
  skipped       suite of user-service: its dependencies cannot be installed

Waivers ending soon
  PY204 of billing ends on 2025-03-12, in 11 days (payments: vendor fix)

Assumptions
  services/corn-maze names no Python version: 3.10, the version of most
  services, is assumed

not proven: 2 services blocked, 1 could not be checked; 17 ready for 3.12
"""


def test_the_whole_summary_in_80_columns_of_ascii() -> None:
    assert text_of(twenty_services()) == IN_80_COLUMNS


@pytest.mark.parametrize("width", [60, 80, 120, 240])
def test_the_whole_summary_in_a_terminal(width: int) -> None:
    """As it was looked at in a terminal of that width, which has to fold no line."""
    text = text_of(twenty_services(), width=width, unicode=True)
    assert text == (SUMMARIES / f"{width}.txt").read_text(encoding="utf-8")
    assert max(map(display_width, text.splitlines())) <= width


def test_unicode_and_v_add_the_evidence_and_cut_nothing() -> None:
    wide = text_of(twenty_services(), width=120, unicode=True, verbosity=1)
    assert "knowledge-graph-and-recommendation-service   ·            ·      [ok]     ok      ok\n" in wide
    assert "        aiohttp/_websocket.c:1475:12: fatal error: longintrepr.h: No such file\n" in wide
    assert "      → raise aiohttp to 3.9.0 or newer in services/user-service/requirements.txt\n" in wide
    assert "diagnostic-listen: 1 test also fails on 3.9: tests/test_codec.py::test_opus\n" in wide


def test_quiet_shows_the_table_what_blocks_and_one_closing_line() -> None:
    complete, quiet = lines_of(twenty_services()), lines_of(twenty_services(), verbosity=-1)
    table = complete[: complete.index("Blocking")]
    assert quiet[: len(table)] == table
    assert quiet[len(table) :] == lines_of(twenty_services(), verbosity=-2)


def test_quieter_shows_what_blocks_and_one_closing_line() -> None:
    quiet = lines_of(twenty_services(), verbosity=-2)
    assert quiet[0] == "Blocking"
    assert [line for line in quiet if line and not line.startswith(" ")] == [
        "Blocking",
        "Could not be checked",
        "not proven: 2 services blocked, 1 could not be checked; 17 ready for 3.12",
    ]


def test_a_quiet_run_without_problems_is_the_table_and_one_line() -> None:
    one = service("billing")
    outcomes = [passed("billing", on) for on in (PY39, PY310, PY312)]
    subject = report([one], outcomes)
    closing_line = "proven: 1 service ready for 3.12 (3 cells)"
    assert lines_of(subject, verbosity=-2) == [closing_line]
    assert [line for line in lines_of(subject, verbosity=-1) if line.startswith("  billing ")]
    assert lines_of(subject, verbosity=-1)[-1] == closing_line


# ---- the closing sentence


def closing(subject: Report) -> tuple[str, str]:
    last = summary_lines(subject, width=200, unicode=False, verbosity=-1, today=TODAY)[-1]
    return last.segments[-1]


def well(*names: str, cached: bool = False) -> list[Outcome]:
    return [passed(name, on, cached=cached) for name in names for on in (PY39, PY310, PY312)]


def test_proven_counts_cells_and_cached_cells() -> None:
    outcomes = [*well("a", cached=True), *well("b")]
    assert closing(report([service("a"), service("b")], outcomes)) == (
        "proven: 2 services ready for 3.12 (6 cells; 3 cached)",
        "green",
    )


def test_a_service_without_a_suite_is_reported_as_such() -> None:
    outcomes = [passed("a", on, "dependencies") for on in (PY39, PY310, PY312)]
    assert closing(report([service("a", suite=False)], outcomes)) == (
        "proven: 1 service ready for 3.12 (3 cells; 1 service without a suite)",
        "green",
    )


@pytest.mark.parametrize(
    ("outcomes", "sentence", "style"),
    [
        ([], "nothing was checked", "yellow"),
        (
            [Outcome.skipped(service="a", interpreter=PY312, check="suite", reason="asked for")],
            "nothing was checked: 1 check skipped",
            "yellow",
        ),
        ([passed("a", PY39), passed("a", PY310)], "not proven: 1 service incomplete", "yellow"),
        ([passed("a", PY310), passed("a", PY312)], "not proven: 1 service incomplete", "yellow"),
        (
            [passed("a", on, "dependencies") for on in (PY39, PY310, PY312)],
            "not proven: 1 service incomplete",
            "yellow",
        ),
        ([*well("a"), judged("a", PY39, "source", broken_tests())], "not proven: 1 service blocked", "red"),
        ([*well("a"), judged("a", None, "versions", broken_tests())], "not proven: 1 service blocked", "red"),
        ([*well("a"), errored("a", PY39, "source", "disk full")], "not proven: 1 service could not be checked", "red"),
        ([errored("a", PY39, "source", "disk full")], "not proven: 1 service could not be checked", "red"),
    ],
    ids=[
        "nothing",
        "only skips",
        "no target",
        "a cell missing",
        "no suite run",
        "blocked",
        "any Python",
        "errored",
        "all errored",
    ],
)
def test_only_a_completely_checked_service_is_ready(outcomes: list[Outcome], sentence: str, style: str) -> None:
    """Service ``a`` is run on 3.9, 3.10 (its baseline) and 3.12, and has a suite."""
    assert closing(report([service("a")], outcomes)) == (sentence, style)


def test_an_interrupted_run_proves_nothing() -> None:
    assert closing(report([service("a")], well("a"), exit_status=2)) == (
        "not proven: the run was interrupted; 1 ready for 3.12",
        "red",
    )


def test_the_signal_that_ended_the_run_is_named() -> None:
    assert closing(report([service("a")], well("a"), exit_status=2, end_signal="SIGTERM")) == (
        "not proven: the run was interrupted by SIGTERM; 1 ready for 3.12",
        "red",
    )
    assert closing(report([service("a")], [], exit_status=2, end_signal="SIGTERM")) == (
        "nothing was checked, the run was interrupted by SIGTERM",
        "red",
    )


def test_an_interrupted_run_says_how_many_services_are_judged() -> None:
    left = (("b", PY312, "suite"), ("c", PY312, "suite"), ("c", PY312, "dependencies"))
    cut = report(map(service, "abc"), [*well("a"), *well("b")[:-1]], exit_status=2, cut_short=True, not_run=left)
    assert closing(cut) == (
        "not proven: 2 services incomplete, the run was interrupted, with 1 of 3 services judged; 1 ready for 3.12",
        "red",
    )


def test_test_files_that_prove_nothing_stand_in_the_verdict() -> None:
    comparison = SuiteComparison(
        service="a", baseline=PY310, target=PY312, test_files=9, silent_files=("tests/test_a.py", "tests/test_b.py")
    )

    sentence, _ = closing(report([service("a")], well("a"), comparisons=(comparison,)))

    assert sentence.startswith("proven: 1 service ready for 3.12")
    assert "2 of 9 test files prove nothing" in sentence


def test_the_reason_for_an_incomplete_service_is_named() -> None:
    outcomes = [passed(name, on, "source") for name in "ab" for on in (PY39, PY310, PY312)]
    lines = lines_of(report([service("a"), service("b")], outcomes))
    assert "  the suite was not run on 3.12: a, b" in lines


OFTEN_PASSED = st.sampled_from([*[Status.PASSED] * 12, Status.FAILED, Status.ERRORED, Status.SKIPPED, None])


@given(st.lists(OFTEN_PASSED, min_size=6, max_size=6), st.sampled_from(["suite", "source"]))
def test_green_means_that_every_planned_cell_was_checked(statuses: list[Status | None], check: str) -> None:
    """Green requires a passed suite on the target for each service, no unchecked cell and no failure."""
    cells = [(name, on) for name in "ab" for on in (PY39, PY310, PY312)]
    ends = dict(zip(cells, statuses, strict=True))
    outcomes = [
        Outcome(service=name, interpreter=on, check=check, status=status, reason="r")
        for (name, on), status in ends.items()
        if status
    ]
    proven = (
        check == "suite"
        and set(statuses) <= {Status.PASSED, Status.SKIPPED}
        and ends["a", PY312] is ends["b", PY312] is Status.PASSED
    )
    sentence, style = closing(report([service("a"), service("b")], outcomes))
    assert (sentence.startswith("proven"), style == "green") == (proven, proven)


# ---- the table


def test_the_worst_check_of_a_cell_is_its_sign() -> None:
    outcomes = [
        passed("a", PY39, "dependencies"),
        judged("a", PY39, "suite", broken_tests()),
        passed("a", PY310, "dependencies"),
        errored("a", PY310, "suite", "engine lost"),
    ]
    assert lines_of(report([service("a")], outcomes))[:3] == [
        "      3.9     3.10    3.12",
        "  a   FAIL   [ERR]    ?",
        "  [ ] current Python   ? not checked",
    ]


def test_a_cell_is_marked_as_cached_only_if_all_of_it_is() -> None:
    outcomes = [
        passed("a", PY312, "dependencies", cached=True),
        passed("a", PY312, "suite"),
        passed("a", PY39, "dependencies", cached=True),
        passed("a", PY39, "suite", cached=True),
    ]
    assert lines_of(report([service("a")], outcomes))[1] == "  a   ok*    [?]      ok"
    failed = judged("a", PY312, "suite", broken_tests())
    assert lines_of(report([service("a")], [*outcomes[:1], failed]))[1] == "  a   ?      [?]      FAIL"
    again = replace(failed, cached=True)
    assert lines_of(report([service("a")], [*outcomes[:1], again]))[1] == "  a   ?      [?]      FAIL*"


def test_owners_stand_beside_their_services_if_there_is_room() -> None:
    owned = replace(service("api"), owners=("@shop/accounts", "@li"))
    subject = report([owned, service("user")], [*well("api"), *well("user")])

    wide, narrow = text_of(subject, width=80).splitlines(), text_of(subject, width=35).splitlines()

    assert wide[0].endswith("  owner")
    assert wide[1].index("@shop/accounts, @li") == wide[0].index("owner")
    assert "@" not in wide[2]
    assert "@" not in "".join(narrow)
    assert all(len(line) <= 35 for line in narrow)


def test_of_many_services_only_those_with_problems_have_a_row() -> None:
    names = [f"s{number:02}" for number in range(61)]
    outcomes = [*well(*names[1:]), *well("s00"), judged("s00", PY312, "source", broken_tests())]
    subject = report([service(name) for name in names], outcomes)
    lines = lines_of(subject)
    assert lines[1].split() == ["s00", "ok", "[ok]", "FAIL"]
    assert lines[2] == "  60 more services: all ok"
    assert sum(line.startswith("  s") for line in lines_of(subject, verbosity=1)[:70]) == 62  # 61 rows, one node id


def test_many_services_without_problems_are_one_line() -> None:
    names = [f"s{number:02}" for number in range(61)]
    assert lines_of(report([service(name) for name in names], well(*names))) == [
        "  61 services: all ok",
        "",
        "proven: 61 services ready for 3.12 (183 cells)",
    ]


def test_wide_characters_do_not_move_the_columns() -> None:
    names = ("用户服务", "a")
    rows = lines_of(report([service(name) for name in names], well(*names)), unicode=True)[1:3]
    assert [display_width(row[: row.index("ok")]) for row in rows] == [13, 13]


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4, unique=True), st.booleans())
def test_no_name_breaks_the_table(names: list[str], unicode: bool) -> None:
    """In 80 columns every row fits and its signs are aligned, whatever the names of the services."""
    subject = report([service(name) for name in names], well(*names))
    rows = lines_of(subject, unicode=unicode)[1 : 1 + len(names)]
    assert max(map(display_width, rows)) <= 80
    assert len({display_width(row[: row.rindex("[ok]")]) for row in rows}) == 1


# ---- blocking


def test_a_finding_of_several_interpreters_is_reported_once() -> None:
    old, new = wheel_missing(), broken_tests()
    outcomes = [judged("a", PY310, "suite", old), judged("a", PY312, "suite", old, new), passed("a", PY39)]
    text = text_of(report([service("a")], outcomes), verbosity=-1)
    assert text.count(old.message) == 1
    assert "  services/a::py3.12::suite  (on py3.10, py3.12)\n" in text
    assert "    PY401 2 tests pass on 3.10 and fail on 3.12\n      on py3.12\n" in text


def test_tests_that_broke_on_different_interpreters_are_counted_for_each() -> None:
    comparison = SuiteComparison(
        service="a",
        baseline=PY39,
        target=PY312,
        first_bad=dict(zip(broken_tests().names, (PY310, PY312), strict=True)),
    )
    subject = report([service("a")], [judged("a", PY312, "suite", broken_tests())], comparisons=(comparison,))
    assert "      since 3.10 (1 test), 3.12 (1 test)" in lines_of(subject)


def test_the_comparison_on_the_target_takes_precedence() -> None:
    """A comparison with an intermediate interpreter has less information."""
    name = broken_tests().names[0]
    on_target = SuiteComparison(service="a", baseline=PY39, target=PY312, first_bad={name: PY310})
    between = SuiteComparison(service="a", baseline=PY39, target=PY311, first_bad={name: PY311})
    outcome = judged("a", PY312, "suite", replace(broken_tests(), names=(name,)))
    for comparisons in ((on_target, between), (between, on_target)):
        assert "      since 3.10" in lines_of(report([service("a")], [outcome], comparisons=comparisons))


def test_blocks_are_in_the_order_of_services() -> None:
    services = [service("a"), service("b")]
    outcomes = [judged(name, PY312, "suite", broken_tests()) for name in "ba"]
    nodes = [line for line in lines_of(report(services, outcomes)) if "::py3.12::suite" in line]
    assert nodes == ["  services/a::py3.12::suite", "  services/b::py3.12::suite"]


def test_what_services_have_in_common_is_written_once() -> None:
    """With ``-v``, each service has all of its findings."""
    services = [service(name) for name in ("a", "b", "c")]
    common = [
        Finding(
            code="PY115",
            message=f"services/{name}/poetry.lock pins yarl to 1.7.2",
            location=Location(path=f"services/{name}/poetry.lock", line=number),
            names=("yarl",),
        )
        for number, name in enumerate("abc", start=3)
    ]
    own = Finding(code="PY105", message="`import fastapi` fails", names=("fastapi",))
    findings = ([common[0]], [common[1]], [common[2], own])
    outcomes = [judged(one.name, PY312, "dependencies", *found) for one, found in zip(services, findings, strict=True)]

    lines = blocking_lines(report(services, outcomes))
    assert lines == [
        "Blocking",
        "  services/a::py3.12::dependencies",
        "    PY115 services/a/poetry.lock pins yarl to 1.7.2",
        "      services/a/poetry.lock:3",
        "      also in: services/b/poetry.lock:4, services/c/poetry.lock:5",
        "  services/c::py3.12::dependencies",
        "    PY105 `import fastapi` fails",
    ]
    all_lines = blocking_lines(report(services, outcomes), verbosity=1)
    assert [line for line in all_lines if "::" in line] == [
        f"  services/{name}::py3.12::dependencies" for name in "abc"
    ]


def test_a_blocked_service_is_always_named() -> None:
    """Also if what it has in common with another one comes after those that are shown."""
    services = [service(name) for name in ("redis", "celery")]
    many = [Finding(code="PY201", message=f"name {number:02} is gone") for number in range(12)]
    outcomes = [judged("redis", PY312, "source", *many), judged("celery", PY312, "source", many[-1])]
    lines = blocking_lines(report(services, outcomes))
    assert "    PY201 name 11 is gone" in lines
    assert "      also in: celery" in lines
    assert "    and 1 more, see -v" in lines


def test_the_same_text_about_another_project_is_another_finding() -> None:
    services = [service(name, path=name) for name in ("redis", "celery")]
    outcomes = [
        judged(one.name, PY312, "dependencies", Finding(code="PY104", message=f"{one.name} has no wheel"))
        for one in services
    ]
    lines = blocking_lines(report(services, outcomes))
    assert [line for line in lines if "has no wheel" in line] == [
        "    PY104 redis has no wheel",
        "    PY104 celery has no wheel",
    ]


def test_places_of_one_service_are_kept_apart() -> None:
    services = [service(name) for name in ("a", "b")]
    findings = [
        Finding(code="PY201", message="imp is gone", location=Location(path=f"services/{path}.py", line=1))
        for path in ("a/x", "b/x", "b/y")
    ]
    outcomes = [judged("a", PY312, "source", findings[0]), judged("b", PY312, "source", *findings[1:])]
    lines = blocking_lines(report(services, outcomes))
    assert [line.strip() for line in lines if ".py" in line] == [
        "services/a/x.py:1",
        "services/b/x.py:1",
        "services/b/y.py:1",
    ]


def test_what_an_errored_check_found_is_reported_once() -> None:
    outcome = Outcome.errored(
        service="a", interpreter=PY312, check="source", reason="too many files", findings=[warning(1)]
    )
    assert text_of(report([service("a")], [outcome])).count("deprecated name 1") == 1


def test_a_long_list_of_names_is_shortened_and_counted() -> None:
    finding = replace(broken_tests(), names=tuple(f"t{number}" for number in range(17)))
    assert "      names: t0, t1, t2, t3, t4, and 12 more" in lines_of(
        report([service("a")], [judged("a", PY312, "suite", finding)])
    )


def test_a_long_list_of_findings_is_cut_unless_v_is_given() -> None:
    findings = [replace(wheel_missing(), message=f"trouble {number}") for number in range(12)]
    subject = report([service("a")], [judged("a", PY312, "source", *findings)])
    assert "    and 2 more, see -v" in lines_of(subject)
    assert any("trouble 11" in line for line in lines_of(subject, verbosity=1))


def test_a_reason_that_is_not_a_finding_is_reported_as_well() -> None:
    outcome = Outcome(
        service="a", interpreter=PY312, check="suite", status=Status.FAILED, reason="the plan asks for 100 tests"
    )
    assert lines_of(report([service("a")], [outcome]), verbosity=-2)[:3] == [
        "Blocking",
        "  services/a::py3.12::suite",
        "    the plan asks for 100 tests",
    ]


def test_errored_cells_are_grouped_by_reason() -> None:
    services = [service(f"s{number}") for number in range(7)]
    outcomes = [errored(one.name, PY39, "suite", "no interpreter 3.9 was found") for one in services]
    text = text_of(report(services, outcomes), width=200, verbosity=-1)
    assert text.count("no interpreter 3.9 was found") == 1
    assert "s4::py3.9::suite, and 2 more\n" in text


# ---- shown, not blocking


def warning(number: int) -> Finding:
    return Finding(code="PY209", message=f"deprecated name {number}", severity=Severity.WARNING)


def test_more_than_ten_lines_need_v() -> None:
    outcomes = [*well("a"), judged("a", PY312, "source", *(warning(number) for number in range(13)))]
    subject = report([service("a")], outcomes)
    assert "Non-blocking (13 warnings)" in lines_of(subject)
    assert "  and 3 more, see -v" in lines_of(subject)
    assert any("deprecated name 12 (py3.12)" in line for line in lines_of(subject, verbosity=1))


def test_a_test_that_fails_on_both_is_reported_once() -> None:
    """The comparison and a finding of the suite check contain the same."""
    same = Finding(code="PY402", message="t fails on both", names=("t",), preexisting=True)
    comparison = SuiteComparison(service="a", baseline=PY310, target=PY312, failing_on_both=("t",))
    outcomes = [*well("a"), judged("a", PY312, "suite", same)]
    lines = lines_of(report([service("a")], outcomes, comparisons=(comparison,)))
    assert "Non-blocking (1 pre-existing)" in lines
    assert "  pre-existing  a: 1 test also fails on 3.10: t" in lines


def test_a_waived_finding_is_shown_and_does_not_block() -> None:
    subject = report([service("a")], [*well("a"), judged("a", PY312, "source", replace(wheel_missing(), waived=True))])
    assert "Non-blocking (1 waived)" in lines_of(subject)
    assert closing(subject)[1] == "green"


def test_a_recorded_finding_is_shown_does_not_block_and_is_in_the_closing_line() -> None:
    """It counts once, on any number of interpreters."""
    known = replace(wheel_missing(), known=True)
    found = [judged("a", on, "source", known) for on in (PY310, PY312)]
    subject = report([service("a")], [*well("a"), *found])
    assert "Non-blocking (1 known)" in lines_of(subject)
    assert closing(subject)[0].endswith("; 1 known finding)")


def test_a_finding_shows_its_line_and_the_column_unless_q_is_given() -> None:
    placed = replace(wheel_missing(), location=Location(path="a/b.py", line=12, column=8), source_line="import aiohttp")
    subject = report([service("a")], [judged("a", PY312, "source", placed)])
    lines = lines_of(subject)
    place = next(index for index, line in enumerate(lines) if "a/b.py:12" in line)
    assert lines[place + 1 : place + 3] == ["        12 | import aiohttp", "           |        ^"]
    assert not any("12 | import" in line for line in lines_of(subject, verbosity=-1))


@pytest.mark.parametrize(
    ("until", "expiry"),
    [
        (date(2025, 3, 31), "ends on 2025-03-31, in 30 days"),
        (date(2025, 3, 2), "ends on 2025-03-02, in 1 day"),
        (date(2025, 3, 1), "ends on 2025-03-01, today"),
        (date(2025, 2, 20), "ended on 2025-02-20, 9 days ago"),
        (date(2025, 4, 1), ""),
    ],
)
def test_a_waiver_is_mentioned_in_its_last_thirty_days(until: date, expiry: str) -> None:
    waiver = Waiver(service="a", test="tests/*", owner="core", reason="known", until=until)
    lines = lines_of(report([service("a")], well("a"), plan=Plan(root=Path("repo"), waivers=(waiver,))))
    assert [line for line in lines if "tests/*" in line] == (
        [f"  tests/* of a {expiry} (core: known)"] if expiry else []
    )


def test_five_assumptions_are_enough_unless_v_is_given() -> None:
    subject = report([service("a")], well("a"), assumptions=tuple(f"assumed {number}" for number in range(7)))
    assert "  and 2 more, see -v" in lines_of(subject)
    assert "  assumed 6" in lines_of(subject, verbosity=1)


# ---- harmless


HOSTILE = "\x1b[2J\x1b]0;title\x07red \x1b[31malarm\x1b[0m\x07 \u202etxt.exe \x9b1m\udc80"


def hostile_report() -> Report:
    finding = Finding(
        code=HOSTILE,
        message=HOSTILE,
        remedy=HOSTILE,
        location=Location(path=HOSTILE, line=1),
        names=(HOSTILE, "x"),
        detail=HOSTILE + "\r\n" + HOSTILE,
    )
    shown = replace(finding, preexisting=True)
    comparison = SuiteComparison(service=HOSTILE, baseline=PY39, target=PY312, flaky=(HOSTILE,))
    waiver = Waiver(service=HOSTILE, code=HOSTILE, reason=HOSTILE, owner=HOSTILE, until=TODAY)
    outcomes = [
        judged(HOSTILE, PY312, HOSTILE, finding, shown),
        errored(HOSTILE, PY39, HOSTILE, HOSTILE),
        Outcome.skipped(service=HOSTILE, interpreter=None, check=HOSTILE, reason=HOSTILE),
    ]
    plan = Plan(root=Path("repo"), waivers=(waiver,), stages=(Stage(number=1, name=HOSTILE),))
    return report([service(HOSTILE)], outcomes, plan=plan, comparisons=(comparison,), assumptions=(HOSTILE,))


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
@pytest.mark.parametrize("unicode", [False, True])
def test_no_text_of_a_service_controls_the_terminal(verbosity: int, unicode: bool) -> None:
    lines = lines_of(hostile_report(), verbosity=verbosity, unicode=unicode, width=200)
    assert all(line.isprintable() for line in lines)
    assert unicode or all(line.isascii() for line in lines)


def test_escape_sequences_are_removed_and_other_control_characters_are_visible() -> None:
    outcome = errored("a", PY312, "suite", HOSTILE)
    assert failure_text(outcome, verbosity=0) == r"red alarm\x07 \u202etxt.exe \udc80"


@given(st.text(st.characters(), max_size=80), st.sampled_from([-1, 0, 1]), st.integers(10, 130))
def test_no_text_breaks_the_summary(text: str, verbosity: int, width: int) -> None:
    finding = Finding(code="PY1", message=text, remedy=text, names=(text,), detail=text, location=Location(path=text))
    outcomes = [judged("a", PY312, "suite", finding), errored("a", PY39, "suite", text if text.strip() else "reason")]
    lines = summary_lines(
        report([service("a")], outcomes), width=width, unicode=False, verbosity=verbosity, today=TODAY
    )
    assert all(line.text.isascii() and line.text.isprintable() for line in lines)
    assert {style for line in lines for _, style in line.segments} <= STYLES
    assert (
        failure_text(outcomes[0], verbosity=verbosity)
        .replace("\n", "")
        .replace("\u200c", "")
        .replace("\u200d", "")
        .isprintable()
    )


# ---- a failing item's own text, and the header


def test_a_failing_item_shows_problem_location_and_remedy() -> None:
    assert failure_text(judged("a", PY312, "dependencies", wheel_missing()), verbosity=0) == (
        "aiohttp 3.8.1 has no wheel for CPython 3.12, and building it fails\n"
        "  PY103 services/user-service/requirements.txt:12\n"
        "      aiohttp/_websocket.c:1475:12: fatal error: longintrepr.h: No such file\n"
        "      compilation terminated.\n"
        "    -> raise aiohttp to 3.9.0 or newer in services/user-service/requirements.txt"
    )


def test_a_failing_item_with_several_findings_shows_five() -> None:
    findings = [
        Finding(code="PY201", message=f"name {number} is gone", location=Location(path="a/b.py", line=number + 1))
        for number in range(7)
    ]
    text = failure_text(judged("a", PY312, "source", *findings, warning(1)), verbosity=0).splitlines()
    assert text[:4] == ["name 0 is gone (and 6 more)", "  PY201 a/b.py:1", "  PY201 name 1 is gone", "    a/b.py:2"]
    assert text[-2:] == ["    a/b.py:5", "  and 2 more (see --py312-report=FILE.json)"]


def test_the_command_line_of_a_compiler_is_no_evidence() -> None:
    detail = "a.c:2:10: fatal error: b.h: No such file\nerror: Command '['gcc', '-O3']' returned 1\n"
    outcome = judged("a", PY312, "dependencies", replace(wheel_missing(), detail=detail))
    text = failure_text(outcome, verbosity=0)
    assert "      a.c:2:10: fatal error: b.h: No such file" in text
    assert "gcc" not in text
    assert "gcc" in failure_text(outcome, verbosity=1)


def test_v_shows_more_of_the_evidence() -> None:
    long = replace(wheel_missing(), detail="\n".join(f"line {number}" for number in range(30)))
    outcome = judged("a", PY312, "dependencies", long)
    assert [failure_text(outcome, verbosity=verbosity).count("line ") for verbosity in (-1, 0, 1)] == [0, 5, 20]


def test_the_header_shows_scope_runner_and_resolver() -> None:
    assert header_lines(
        target="3.12", services=1, cells=4, runner="docker (engine 26)", resolver="uv 0.9", plan="py312.toml"
    ) == [
        "py312: target 3.12; 1 service, 4 cells; plan py312.toml",
        "py312: runner docker (engine 26); resolver uv 0.9",
    ]
    assert header_lines(target="3.12", services=2, cells=8, runner="", resolver="", plan="") == [
        "py312: target 3.12; 2 services, 8 cells; no plan, using defaults"
    ]


# ---- one thing on several Pythons


def import_fails(on: Interpreter, name: str, module: str) -> Finding:
    return Finding(
        code="PY105",
        message=f"{name}==1.0 installs on {on}, but `import {module}` fails: (/opt/python{on}/inspect.py)",
        location=Location(path=f"services/a/{name}.txt", line=1),
        names=(name,),
    )


@pytest.mark.parametrize("verbosity", [0, 1])
def test_one_problem_is_reported_once_in_the_words_of_the_target(verbosity: int) -> None:
    """Messages contain versions and paths of each interpreter. With -v all are listed, that of the target first."""
    outcomes = [
        judged("a", on, "dependencies", *(import_fails(on, name, name) for name in names))
        for on, names in ((PY311, ("old", "flask")), (PY312, ("flask",)))
    ]
    text = text_of(report([service("a")], outcomes), verbosity=verbosity)
    assert "on py3.11, py3.12" in text if verbosity == 0 else "flask==1.0 installs on 3.11" in text
    assert ("flask==1.0 installs on 3.11" in text) is (verbosity == 1)
    assert text.index("flask==1.0 installs on 3.12") < text.index("old==1.0 installs on 3.11")


def test_several_problems_of_one_project_are_all_reported() -> None:
    outcomes = [
        judged(
            "a", PY312, "dependencies", import_fails(PY312, "black", "black"), import_fails(PY312, "black", "blackd")
        )
    ]
    text = text_of(report([service("a")], outcomes))
    assert "`import black`" in text
    assert "`import blackd`" in text


def test_preexisting_findings_are_not_among_the_blocking_ones() -> None:
    """On an intermediate interpreter there may be no other finding, and the cell fails anyway."""
    before = replace(import_fails(PY311, "black", "blackd"), preexisting=True)
    outcomes = [
        Outcome(service="a", interpreter=PY311, check="dependencies", status=Status.FAILED, findings=(before,)),
        judged("a", PY312, "dependencies", import_fails(PY312, "flask", "flask")),
    ]
    blocking = text_of(report([service("a")], outcomes)).partition("Blocking")[2].partition("Shown")[0]
    assert "flask" in blocking
    assert "blackd" not in blocking


def test_what_cannot_be_installed_anywhere_is_reported_with_the_remedy_of_the_target() -> None:
    """It blocks, so it is not listed as non-blocking."""
    there, here = (replace(import_fails(on, "old", "old"), code="PY104", remedy=str(on)) for on in (PY311, PY312))
    outcomes = [
        Outcome(service="a", interpreter=on, check="dependencies", status=Status.FAILED, findings=(finding,))
        for on, finding in ((PY311, there), (PY312, replace(here, preexisting=True)))
    ]
    text = text_of(report([service("a")], outcomes), unicode=True)
    assert text.count("PY104 old") == 1
    assert "→ 3.12" in text
    assert "Shown" not in text
