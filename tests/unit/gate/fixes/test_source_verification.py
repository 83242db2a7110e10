"""Changed source is believed when what was mended is gone and nothing worse has come."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pytest_py312.analysis.services.service_analysis import Inspection
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, SourceChange
from pytest_py312.gate.fixes.source_verification import disproofs, proven
from pytest_py312.repository.edits.change_set import FileChange, MendingPlan

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


# ---- the whole of it, with judges that answer by what a file holds

TEXT = b"import configparser\np = configparser.SafeConfigParser()\np.readfp(f)\n"
PARSER = SourceChange(path=PATH, line=2, column=5, old="configparser.SafeConfigParser", new="configparser.ConfigParser")
READFP = SourceChange(
    path=PATH, line=3, column=1, old="configparser.ConfigParser.readfp", new="configparser.ConfigParser.read_file"
)
GONE = Finding(
    code="PY202",
    message="the class is gone",
    location=Location(path=PATH, line=2),
    names=("configparser.SafeConfigParser",),
    changes=(PARSER,),
)
HIDDEN = Finding(
    code="PY203",
    message="the method is gone",
    location=Location(path=PATH, line=3),
    names=("configparser.ConfigParser.readfp",),
    changes=(READFP,),
)
OUTCOME = Outcome.judged(service="app", interpreter=Interpreter(3, 12), check="source", findings=(GONE,))
PLAN = MendingPlan(changes=(FileChange(path=PATH, before=TEXT, after=TEXT.replace(b"SafeC", b"C")),))


def judges(files: Mapping[str, bytes], services: Sequence[str]) -> Mapping[str, Inspection]:
    """The class hides its method."""
    assert list(services) == ["app"]
    text = files[PATH]
    found = (GONE,) if b"Safe" in text else (HIDDEN,) if b"readfp" in text else ()
    return {"app": Inspection(findings=found)}


def test_what_a_mended_name_stood_in_front_of_is_mended_as_well() -> None:
    found = proven(PLAN, [OUTCOME], [PARSER], judges)
    assert found.doubts == ()
    assert [change.after for change in found.plan.changes] == [
        b"import configparser\np = configparser.ConfigParser()\np.read_file(f)\n"
    ]


def test_what_it_stood_in_front_of_and_nothing_mends_is_no_reason_against_it() -> None:
    """It was there before, and is told by the next run."""

    def others(files: Mapping[str, bytes], _services: Sequence[str]) -> Mapping[str, Inspection]:
        return {"app": Inspection(findings=(replace(HIDDEN, changes=()),))}

    assert proven(PLAN, [OUTCOME], [PARSER], others).plan == PLAN


def test_a_file_that_the_interpreters_do_not_agree_with_stays() -> None:
    """What cannot be judged to the end is told."""

    def others(files: Mapping[str, bytes], _services: Sequence[str]) -> Mapping[str, Inspection]:
        return {"app": Inspection(findings=(GONE,), unchecked="3.9 is not here")}

    found = proven(PLAN, [OUTCOME], [PARSER], others)
    assert found.plan.changes == ()
    assert found.doubts == (
        "app: not all could be proven: 3.9 is not here",
        f"not changed: {PATH}: line 2 would not be mended: the class is gone",
    )


def test_nobody_is_asked_where_no_source_changes() -> None:
    assert proven(MendingPlan(), [OUTCOME], [], judges).plan == MendingPlan()
