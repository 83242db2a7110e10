"""Changed source is believed when what was mended is gone and nothing worse has come."""

from dataclasses import replace

import pytest

from pytest_py312.model import Finding, Location, Severity, SourceChange
from pytest_py312.source_proof import disproofs

PATH = "services/app/app.py"
CHANGE = SourceChange(path=PATH, line=3, column=1, old="collections.Mapping", new="collections.abc.Mapping")
BEFORE = Finding(
    code="PY202",
    message="collections.Mapping is gone",
    location=Location(path=PATH, line=3),
    names=("collections.Mapping",),
    changes=(CHANGE,),
)
OTHER = Finding(code="PY202", message="x is gone", location=Location(path=PATH, line=1), names=("x",))


def test_what_was_mended_is_gone() -> None:
    """What stands beside it stays, wherever it has moved to."""
    moved = replace(OTHER, location=Location(path=PATH, line=2))
    assert disproofs([BEFORE, OTHER], [moved], [CHANGE], [PATH]) == {}


@pytest.mark.parametrize(
    "after",
    [
        [BEFORE],
        [replace(BEFORE, severity=Severity.WARNING, location=Location(path=PATH, line=4))],
        [OTHER, OTHER],
        [Finding(code="PY205", message="3.12 refuses it", location=Location(path=PATH, line=1))],
        [Finding(code="PY210", message="too new", severity=Severity.WARNING, location=Location(path=PATH, line=1))],
    ],
)
def test_what_is_still_there_or_new_disproves_the_changes_of_its_file(after: list[Finding]) -> None:
    reasons = disproofs([BEFORE, OTHER], after, [CHANGE], [PATH])
    assert list(reasons) == [PATH]
    assert after[-1].message in reasons[PATH]


@pytest.mark.parametrize(
    "after",
    [
        replace(BEFORE, location=Location(path="services/app/other.py", line=3)),
        replace(BEFORE, waived=True),
        Finding(code="PY220", message="deprecated", severity=Severity.WARNING, location=OTHER.location, names=("y",)),
        Finding(code="PY202", message="nowhere"),
    ],
)
def test_what_is_elsewhere_accepted_or_no_worse_does_not(after: Finding) -> None:
    assert disproofs([BEFORE], [after], [CHANGE], [PATH]) == {}


def test_of_several_alike_only_those_that_were_mended_are_to_be_gone() -> None:
    """One change was refused, so one finding stays; two do not."""
    refused = replace(CHANGE, line=9)
    twice = [BEFORE, replace(BEFORE, location=Location(path=PATH, line=9), changes=(refused,))]
    assert disproofs(twice, twice[1:], [CHANGE], [PATH]) == {}
    assert list(disproofs(twice, twice, [CHANGE], [PATH])) == [PATH]


def test_what_a_waiver_of_the_plan_accepts_may_stay() -> None:
    """The findings after a change have not met the plan's waivers."""
    assert disproofs([replace(OTHER, waived=True)], [OTHER], [CHANGE], [PATH]) == {}
