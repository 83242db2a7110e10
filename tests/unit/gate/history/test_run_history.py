"""The counts of runs over time. The texts are the documentation of the formats."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.html_page import PAGE_FOLDER, load_template
from pytest_py312.core.model.readiness import PastRun, ServiceVerdict
from pytest_py312.gate.history.run_history import TITLES, format_markdown, format_text, history_rows, to_document
from tests.support.history_samples import BLOCKED, ERRORED, READY

FIRST = PastRun(
    origin="r1",
    ended_at="2025-03-01T12:00:00Z",
    target="3.12",
    exit_status=1,
    complete=True,
    commit="0d1f6a3c5e7b9d8f",
    branch="main",
    stages=(1, 2),
    all_stages=True,
    verdicts=(("gateway", READY), ("users", BLOCKED), ("orders", BLOCKED)),
)
STAGE_1 = replace(
    FIRST,
    origin="r2",
    ended_at="2025-03-02T12:00:00Z",
    exit_status=0,
    stages=(1,),
    all_stages=False,
    modified=True,
    verdicts=(("gateway", READY),),
)
KILLED = PastRun(origin="r3", ended_at="2025-03-03T12:00:00Z")
LAST = replace(
    FIRST,
    origin="r4",
    ended_at="2025-03-04T12:00:00Z",
    complete=False,
    verdicts=(("gateway", ERRORED), ("users", READY), ("orders", BLOCKED)),
)
RUNS = (FIRST, STAGE_1, KILLED, LAST)


def test_the_text_for_a_terminal() -> None:
    assert (
        format_text(history_rows(RUNS))
        == """\
ended                 commit                         target  services         ready  blocked  not checked  exit  \
since the run before
2025-03-01 12:00 UTC  0d1f6a3c (main)                3.12    3                1      2        0            1     \
the first run of these services
2025-03-02 12:00 UTC  0d1f6a3c (main), with changes  3.12    1 (stage 1)      1      0        0            0     \
no change
2025-03-03 12:00 UTC                                                                                             \
no report: it was ended before, or is still running
2025-03-04 12:00 UTC  0d1f6a3c (main)                3.12    3, not complete  1      1        1            1     \
ready now: users; could not be checked now: gateway
"""
    )


def test_the_markdown_has_the_newest_run_first() -> None:
    lines = format_markdown(history_rows(RUNS)).splitlines()
    assert lines[0].startswith("| Ended | Commit | Target | Services | Ready | Blocked | Not checked | Exit |")
    assert lines[2].startswith("| 2025-03-04 12:00 UTC | 0d1f6a3c (main) | 3.12 | 3, not complete | 1 | 1 | 1 | 1 |")
    assert len(lines) == 2 + len(RUNS)


def test_the_document_has_counts_and_verdicts() -> None:
    document = to_document(history_rows(RUNS))
    assert (document["schema"], document["kind"]) == (1, "history of runs")
    first, _, killed, _ = document["runs"]
    assert (first["ready"], first["blocked"], first["not_checked"], first["exit_status"]) == (1, 2, 0, 1)
    assert first["services"] == {"gateway": "ready", "users": "blocked", "orders": "blocked"}
    assert (killed["ready"], killed["exit_status"], killed["services"]) == (None, None, {})


def test_a_run_of_another_target_is_no_change_of_this_one() -> None:
    other = replace(LAST, target="3.13", complete=True)
    assert history_rows([FIRST, other])[1].change == "the first run of these services"


def test_a_part_of_a_run_is_no_run_without_services() -> None:
    (row,) = history_rows([replace(KILLED, exit_status=0)])
    assert row.change == "one part of a divided run, or stored by another version"


def test_the_part_of_a_page_escapes_and_has_the_newest_run_first() -> None:
    macro = load_template(PAGE_FOLDER / "history.html.j2").module.history_section  # type: ignore[attr-defined]
    section = str(macro(TITLES, [row.cells for row in history_rows([FIRST, replace(LAST, branch="<b>")])]))
    assert section.index("2025-03-04") < section.index("2025-03-01")
    assert "(&lt;b&gt;)" in section
    assert section.count("<tr>") == 3


RUN = st.builds(
    PastRun,
    origin=st.text(max_size=4),
    ended_at=st.text(max_size=24),
    target=st.sampled_from(["3.12", "3.13"]),
    exit_status=st.none() | st.integers(0, 9),
    branch=st.text(max_size=4),
    commit=st.text(max_size=4),
    verdicts=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(ServiceVerdict))).map(tuple),
)


@given(st.lists(RUN, max_size=6))
def test_each_run_is_one_line_whatever_it_contains(runs: list[PastRun]) -> None:
    rows = history_rows(runs)
    assert len(format_text(rows).splitlines()) == 1 + len(runs)
    assert len(format_markdown(rows).splitlines()) == 2 + len(runs)
    assert len(to_document(rows)["runs"]) == len(runs)
