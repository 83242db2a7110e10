"""Changed source is accepted if the fixed findings are gone and no worse ones have appeared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pytest_py312.analysis.services.service_analysis import AnalysisResult
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, SourceChange
from pytest_py312.gate.fixes.source_verification import disproved_files, verify_source
from pytest_py312.repository.edits.change_set import ChangeSet, FileChange

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


def test_fixed_findings_are_gone() -> None:
    """Other findings may stay, also on another line."""
    moved = replace(OTHER, location=Location(path=PATH, line=2))
    assert disproved_files([BEFORE, OTHER], [moved], [CHANGE], [PATH]) == {}


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
def test_a_remaining_or_new_finding_refutes_the_changes_of_its_file(after: list[Finding]) -> None:
    reasons = disproved_files([BEFORE, OTHER], after, [CHANGE], [PATH])
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
def test_findings_elsewhere_or_accepted_or_harmless_refute_nothing(after: Finding) -> None:
    assert disproved_files([BEFORE], [after], [CHANGE], [PATH]) == {}


def test_of_several_alike_only_the_fixed_ones_must_be_gone() -> None:
    """One change was refused, so one finding stays; two do not."""
    refused = replace(CHANGE, line=9)
    twice = [BEFORE, replace(BEFORE, location=Location(path=PATH, line=9), changes=(refused,))]
    assert disproved_files(twice, twice[1:], [CHANGE], [PATH]) == {}
    assert list(disproved_files(twice, twice, [CHANGE], [PATH])) == [PATH]


def test_a_waived_finding_may_stay() -> None:
    """The findings after a change are not matched with the waivers of the plan."""
    assert disproved_files([replace(OTHER, waived=True)], [OTHER], [CHANGE], [PATH]) == {}


# ---- the whole verification, with an analysis that depends on the content of a file

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
OUTCOME = Outcome.from_findings(service="app", interpreter=Interpreter(3, 12), check="source", findings=(GONE,))
PLAN = ChangeSet(changes=(FileChange(path=PATH, before=TEXT, after=TEXT.replace(b"SafeC", b"C")),))


def judges(files: Mapping[str, bytes], services: Sequence[str]) -> Mapping[str, AnalysisResult]:
    """Analyze the files: the finding on the class hides the one on its method."""
    assert list(services) == ["app"]
    text = files[PATH]
    found = (GONE,) if b"Safe" in text else (HIDDEN,) if b"readfp" in text else ()
    return {"app": AnalysisResult(findings=found)}


def test_a_finding_revealed_by_a_fix_is_fixed_as_well() -> None:
    found = verify_source(PLAN, [OUTCOME], [PARSER], judges)
    assert found.doubts == ()
    assert [change.after for change in found.plan.changes] == [
        b"import configparser\np = configparser.ConfigParser()\np.read_file(f)\n"
    ]


def test_a_revealed_finding_without_a_fix_does_not_refute_the_change() -> None:
    """It existed before, and is reported by the next run."""

    def others(files: Mapping[str, bytes], _services: Sequence[str]) -> Mapping[str, AnalysisResult]:
        return {"app": AnalysisResult(findings=(replace(HIDDEN, changes=()),))}

    assert verify_source(PLAN, [OUTCOME], [PARSER], others).plan == PLAN


def test_a_refuted_file_is_not_changed() -> None:
    """An incomplete analysis is reported."""

    def others(files: Mapping[str, bytes], _services: Sequence[str]) -> Mapping[str, AnalysisResult]:
        return {"app": AnalysisResult(findings=(GONE,), unchecked_reason="3.9 is not here")}

    found = verify_source(PLAN, [OUTCOME], [PARSER], others)
    assert found.plan.changes == ()
    assert found.doubts == (
        "app: not everything could be verified: 3.9 is not here",
        f"not changed: {PATH}: line 2 would not be fixed: the class is gone",
    )


def test_without_source_changes_nothing_is_analyzed() -> None:
    assert verify_source(ChangeSet(), [OUTCOME], [], judges).plan == ChangeSet()
