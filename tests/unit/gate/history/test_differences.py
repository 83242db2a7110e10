"""What has changed between two runs, as readers see it. The texts are the documentation of the formats."""

from dataclasses import replace
from datetime import date

import pytest

from pytest_py312.core.model.readiness import RunRecord, ServiceRecord
from pytest_py312.core.model.report import Checkout
from pytest_py312.core.text import TerminalFormat
from pytest_py312.gate.history.difference_formats import COMMENT_LIMIT, format_html, format_markdown, format_text
from pytest_py312.gate.history.difference_view import view_of
from pytest_py312.gate.history.differences import ChangeKind, ComparisonRefused, RunDifference, compare_runs
from tests.support.history_samples import (
    BLOCKED,
    ERRORED,
    IMP,
    INCOMPLETE,
    NO_NETWORK,
    PYYAML,
    READY,
    WAIVER,
    run_record,
    service_record,
)


def difference(before: list[ServiceRecord], after: list[ServiceRecord], **changes: object) -> RunDifference:
    old = run_record(*before, origin="old.json", ended_at="2025-02-01T12:00:00Z")
    return compare_runs(old, replace(run_record(*after), **changes))  # type: ignore[arg-type]  # names of its fields


def text_of(compared: RunDifference, verbosity: int = 0) -> str:
    lines = format_text(view_of(compared), TerminalFormat(width=90, unicode=False, verbosity=verbosity))
    return "\n".join(line.text for line in lines)


FLEET = difference(
    [
        service_record("a", BLOCKED, PYYAML),
        service_record("b", BLOCKED, PYYAML),
        service_record("c"),
        service_record("d"),
        service_record("e", BLOCKED, PYYAML, IMP, stage=2),
        service_record("f", stage=2),
        service_record("gone", stage=2),
    ],
    [
        service_record("a"),
        service_record("b"),
        service_record("c", BLOCKED, IMP),
        service_record("d", INCOMPLETE, reason="the suite was not run on 3.12"),
        service_record("e", BLOCKED, IMP, stage=2),
        service_record("f", stage=2),
        service_record("new", ERRORED, NO_NETWORK, stage=2),
    ],
    waivers=(WAIVER,),
)


def test_the_text_for_a_terminal() -> None:
    assert (
        text_of(FLEET)
        == """\
Python 3.12: 1 service newly blocked, 1 no longer checked, 1 still blocked, with changed causes, \
2 newly ready, 1 only in the new report, 1 only in the old report
  old: old.json, 2025-02-01 12:00 UTC, commit 0d1f6a3c (main): 4 ready, 3 blocked, 0 not checked
  new: new.json, 2025-03-01 12:00 UTC, commit 0d1f6a3c (main): 3 ready, 2 blocked, 2 not checked

Newly blocked (1)
  c (stage 1): ready before, blocked now
    new: PY201 module 'imp' was removed in 3.12 (services/a/app.py:1)
      -> use importlib

No longer checked (1)
  d (stage 1): ready before, incomplete now
    reason: the suite was not run on 3.12

Still blocked, with changed causes (1)
  e (stage 2): blocked, as before
    gone: PY104 pyyaml==6.0: no wheel for 3.12 (services/a/requirements.txt:2)
    still there: 1 cause as before

Newly ready (2)
  a, b (stage 1): blocked before, ready now
    gone: PY104 pyyaml==6.0: no wheel for 3.12

Only in the new report (1)
  New in the repository, or not chosen for the old run.
  new (stage 2): it could not be checked
    cause: no network

Only in the old report (1)
  Removed from the repository, or not chosen for the new run.
  gone (stage 2): it was ready

Waivers (1)
  PY204 of user-*: added
    until 2025-03-31, core: vendor is slow

Unchanged: 1 still ready.
Worse than before: c, d and new."""
    )


def test_the_comment_of_a_pull_request() -> None:
    compared = difference([service_record("a", BLOCKED, PYYAML)], [service_record("a"), service_record("c")])
    assert (
        format_markdown(view_of(compared))
        == """\
### Python 3.12: 1 service newly ready, 1 only in the new report

Nothing is worse than before.

|  | Report | Commit | ready | blocked | not checked |
| --- | --- | --- | --- | --- | --- |
| before | old.json, 2025-02-01 12:00 UTC | 0d1f6a3c (main) | 0 | 1 | 0 |
| after | new.json, 2025-03-01 12:00 UTC | 0d1f6a3c (main) | 2 | 0 | 0 |

#### Newly ready (1)

- **a (stage 1)**: blocked before, ready now
  - gone: PY104 pyyaml==6.0: no wheel for 3.12 (services/a/requirements.txt:2)

#### Only in the new report (1)

New in the repository, or not chosen for the old run.

- **c (stage 1)**: it is ready
"""
    )


@pytest.mark.parametrize(
    ("before", "after", "kind", "is_worse"),
    [
        (service_record("a"), service_record("a"), ChangeKind.STILL_READY, False),
        (service_record("a"), service_record("a", BLOCKED, IMP), ChangeKind.NEWLY_BLOCKED, True),
        (service_record("a"), service_record("a", ERRORED, NO_NETWORK), ChangeKind.NO_LONGER_CHECKED, True),
        (service_record("a", ERRORED), service_record("a", BLOCKED, IMP), ChangeKind.NEWLY_BLOCKED, False),
        (service_record("a", BLOCKED, IMP), service_record("a", INCOMPLETE), ChangeKind.NO_LONGER_CHECKED, False),
        (service_record("a", ERRORED), service_record("a", INCOMPLETE), ChangeKind.STILL_UNCHECKED, False),
        (service_record("a", BLOCKED, IMP), service_record("a", BLOCKED, IMP), ChangeKind.STILL_BLOCKED, False),
        (service_record("a", BLOCKED, IMP), service_record("a", BLOCKED, IMP, PYYAML), ChangeKind.CAUSES_CHANGED, True),
        (service_record("a", BLOCKED, IMP), service_record("a", BLOCKED, PYYAML), ChangeKind.CAUSES_CHANGED, False),
        (service_record("a", INCOMPLETE), service_record("a"), ChangeKind.NEWLY_READY, False),
    ],
)  # fmt: skip
def test_what_becomes_of_a_service(
    before: ServiceRecord, after: ServiceRecord, kind: ChangeKind, is_worse: bool
) -> None:
    """Another cause in the place of a fixed one may have been hidden behind it, and is not worse."""
    (change,) = difference([before], [after]).changes
    assert (change.kind, change.is_worse) == (kind, is_worse)


def test_a_waived_cause_is_not_fixed() -> None:
    waived = replace(IMP, accepted="waived")
    compared = difference([service_record("a", BLOCKED, IMP)], [service_record("a", accepted=(waived,))])
    assert "    waived, not fixed: PY201 module 'imp' was removed in 3.12" in text_of(compared)
    assert "gone" not in text_of(compared)


def test_causes_are_not_gone_because_nothing_was_checked() -> None:
    compared = difference([service_record("a", BLOCKED, IMP)], [service_record("a", ERRORED, NO_NETWORK)])
    assert "gone" not in text_of(compared)
    assert "    new: no network" in text_of(compared)


def test_a_waiver_that_was_changed_or_removed_is_shown() -> None:
    old = run_record(service_record("a"), waivers=(WAIVER, replace(WAIVER, subject="PY1")))
    new = replace(old, waivers=(replace(WAIVER, until=date(2025, 6, 30)),))
    text = text_of(compare_runs(old, new))
    assert "no service has changed" in text
    assert "PY204 of user-*: changed" in text
    assert "until 2025-06-30, core: vendor is slow; before: until 2025-03-31" in text.replace("\n    ", " ")
    assert "PY1 of user-*: removed" in text


def test_what_the_comparison_cannot_show_is_reported() -> None:
    old = run_record(service_record("a"), origin="old.json", ended_at="2025-03-02T13:00:00+01:00")
    new = run_record(
        service_record("a"), tool_version="0.2.0", complete=False, checkout=Checkout(commit="0d1f", modified=True)
    )
    text = " ".join(text_of(compare_runs(old, new)).split())
    assert "note: The run of new.json did not come to its end" in text
    assert "note: new.json is older than old.json: are they in the right order?" in text
    assert "different versions of pytest-py312 (0.1.0, 0.2.0)" in text
    assert "note: When new.json was made, files differed from its commit." in text


def test_runs_for_different_targets_are_not_compared() -> None:
    old = run_record(service_record("a"), origin="old.json", target="3.11")
    with pytest.raises(ComparisonRefused, match=r"old\.json is about Python 3\.11, and new\.json about 3\.12"):
        compare_runs(old, run_record(service_record("a")))


def large() -> RunDifference:
    names = [f"service-with-a-long-name-{number}" for number in range(4000)]
    causes = [replace(IMP, fingerprint=f"f{number}", message=f"module {number} was removed") for number in range(30)]
    return difference(
        [service_record(name) for name in names],
        [service_record(name, BLOCKED, *causes[: 1 + index % 30]) for index, name in enumerate(names)],
    )


def test_a_comment_stays_within_the_limit_and_says_that_it_is_shortened() -> None:
    text = format_markdown(view_of(large()))
    assert len(text.encode()) <= COMMENT_LIMIT
    assert "#### Newly blocked (4000)" in text
    assert "Shortened: `py312 diff` shows everything." in text
    assert len(format_markdown(view_of(large()), limit=400).encode()) <= 400


def test_a_terminal_shows_the_first_causes() -> None:
    causes = [replace(IMP, fingerprint=f"f{number}", message=f"module {number} was removed") for number in range(30)]
    compared = difference([service_record("a")], [service_record("a", BLOCKED, *causes)])
    assert "and 22 more (-v shows them)" in text_of(compared)
    assert "module 29 was removed" in text_of(compared, verbosity=1)


HOSTILE = difference(
    [service_record("a")],
    [service_record("a", BLOCKED, replace(IMP, message="\x1b[31m<script>|@team", remedy="`x`", place="<b>:1"))],
)


def test_a_text_of_a_service_cannot_break_a_format() -> None:
    assert "\x1b" not in text_of(HOSTILE)
    markdown = format_markdown(view_of(HOSTILE))
    assert "&lt;script&gt;\\|&#64;team" in markdown, "nobody is notified by a message of a test"
    page = format_html(view_of(HOSTILE))
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_the_page_stands_alone() -> None:
    page = format_html(view_of(FLEET))
    assert page.startswith("<!DOCTYPE html>")
    assert '<h2 id="s1">Newly blocked (1)</h2>' in page
    assert "http" not in page.replace("http-equiv", "")
    assert " style=" not in page, "the policy of the page forbids it"
    assert len(page) < 20_000


def test_the_order_of_services_does_not_matter() -> None:
    def shuffled(run: RunRecord) -> RunRecord:
        return replace(run, services=run.services[::-1])

    assert compare_runs(shuffled(FLEET.old), shuffled(FLEET.new)).changes == FLEET.changes
    assert FLEET.new.count(READY) == 3
