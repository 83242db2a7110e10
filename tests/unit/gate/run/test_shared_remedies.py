"""One requirement, one remedy: the change that was tried."""

from dataclasses import replace

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, SpecifierChange
from pytest_py312.gate.run.shared_remedies import with_shared_remedies

TARGET = Interpreter(3, 12)
CHANGE = SpecifierChange(path="app/requirements.txt", line=1, name="powertools", old="==1.15.0", new="==1.24.0")
TRIED = Finding(
    code="PY105", message="fails", names=("powertools",), changes=(CHANGE,),
    remedy="powertools==1.15.0 -> powertools==1.24.0 (verified: resolves, installs and imports on 3.12 and 3.9)",
)  # fmt: skip
SCANNED = Finding(
    code="PY243", message="fails on import", names=("powertools",),
    remedy="require powertools>=1.25.0, the first version without the problem",
)  # fmt: skip


def outcome(finding: Finding, check: str, interpreter: str | None = None, service: str = "app") -> Outcome:
    on = Interpreter.parse(interpreter) if interpreter else None
    return Outcome.from_findings(service=service, interpreter=on, check=check, findings=[finding])


@pytest.mark.parametrize(
    "remedy",
    [SCANNED.remedy, "replace powertools (it has no newer version)", "replace powertools: it is unmaintained"],
)
def test_the_tried_change_stands_in_all_findings(remedy: str) -> None:
    """Neither a version that was found by reading nor a replacement is named beside it."""
    of_libraries, of_cell = with_shared_remedies(
        [outcome(replace(SCANNED, remedy=remedy), "libraries"), outcome(TRIED, "dependencies", "3.12")], TARGET
    )
    assert [finding.remedy for finding in (*of_libraries.findings, *of_cell.findings)] == [TRIED.remedy] * 2


@pytest.mark.parametrize(
    "others",
    [
        outcome(TRIED, "dependencies", "3.10"),
        outcome(TRIED, "dependencies", "3.12", service="other"),
        outcome(replace(TRIED, changes=()), "dependencies", "3.12"),
        outcome(replace(TRIED, changes=(replace(CHANGE, name="numpy"),)), "dependencies", "3.12"),
    ],
)
def test_other_remedies_stay(others: Outcome) -> None:
    """Of another service, another Python, another requirement, or without a change."""
    outcomes = (outcome(SCANNED, "libraries"), others)
    assert with_shared_remedies(outcomes, TARGET) == outcomes


def test_findings_on_a_library_share_the_change_whatever_they_name() -> None:
    scanned = replace(SCANNED, remedy="require setuptools<82 (verified: with it powertools imports on 3.12)")
    of_libraries, _ = with_shared_remedies(
        [outcome(scanned, "libraries"), outcome(TRIED, "dependencies", "3.12")], TARGET
    )
    assert [finding.remedy for finding in of_libraries.findings] == [TRIED.remedy]


CORE = replace(SCANNED, names=("core",), remedy="try a newer version of core")
FRAMES = (
    'File "instrumentation/grpc.py", line 3, in <module>\n    from core import a\n'
    'File "core/parts.py", line 4, in <module>\n    from pkg_resources import (\nModuleNotFoundError: pkg_resources'
)


@pytest.mark.parametrize(
    ("finding", "check"),
    [
        (replace(CORE, message="fails on import: no pkg_resources (core/parts.py:4)"), "libraries"),
        (
            replace(CORE, detail='File "/x/site-packages/core/parts.py", line 4, in <module>'),
            "libraries",
        ),
        (
            Finding(
                code="PY402", message="1 test is missing", names=("tests/test_a.py::test_a",),
                detail="/x/site-packages/core/parts.py:4: in <module>\n    from pkg_resources import (",
                remedy="the cause is in core: require a version of it that runs there",
            ),
            "suite",
        ),
    ],
)  # fmt: skip
def test_what_fails_at_the_same_line_has_the_same_remedy(finding: Finding, check: str) -> None:
    """A requirement cannot be imported because of what it brings: changing the requirement fixes both."""
    tried = replace(TRIED, detail=FRAMES)
    outcomes = [outcome(finding, check, "3.12"), outcome(tried, "dependencies", "3.12")]
    others = [
        replace(finding, message="core/parts.py:42", detail=""),
        replace(finding, message="other_core/parts.py:4", detail=""),
    ]

    assert [one.findings[0].remedy for one in with_shared_remedies(outcomes, TARGET)] == [TRIED.remedy] * 2
    for other in others:
        (judged, _) = with_shared_remedies([outcome(other, check), outcomes[1]], TARGET)
        assert judged.findings[0].remedy == finding.remedy
