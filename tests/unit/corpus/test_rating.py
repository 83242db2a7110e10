"""What the gate's answer is worth, by what was found by hand."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pytest_py312.core.model.findings import Interpreter
from tests.corpus.manifest import Culprit, CulpritKind, Manifest, Place, TrueService, TrueVerdict
from tests.corpus.rating import RatedService, Rating, points_at, rate
from tests.corpus.report import (
    BlockingFinding,
    ReportedService,
    ReportedState,
    ReportError,
    read_report,
    services_of,
)
from tests.corpus.tables import HEADINGS, aligned, is_all_right, markdown, mistakes, rows, totals

GREENLET = Culprit(
    kind=CulpritKind.REQUIREMENT,
    name="Greenlet==1.1.2",
    place=Place(path="api/requirements.txt", line=12),
    reason="no wheel",
)
PY104 = BlockingFinding(
    code="PY104",
    message="greenlet==1.1.2: no wheel for 3.12",
    path="api/requirements.txt",
    line=12,
    names=("greenlet",),
)


def manifest(*services: TrueService, complete: bool = False) -> Manifest:
    return Manifest(
        name="acme+shop",
        url="https://github.com/acme/shop",
        commit="0123456789abcdef0123456789abcdef01234567",
        baseline=Interpreter(3, 11),
        target=Interpreter(3, 12),
        complete=complete,
        services=services,
    )


def truth(verdict: TrueVerdict, *culprits: Culprit) -> TrueService:
    return TrueService(path="api", verdict=verdict, reason="tried by hand", culprits=culprits)


def reported(state: ReportedState, *findings: BlockingFinding, path: str = "api", reason: str = "") -> ReportedService:
    reasons = (reason,) if reason else ()
    return ReportedService(
        name=path, path=path, baseline="3.11", state=state, findings=findings, reasons=reasons
    )  # fmt: skip


def rate_one(service: TrueService, *entries: ReportedService) -> RatedService:
    (result,) = rate(manifest(service), entries).services
    return result


@pytest.mark.parametrize(
    ("verdict", "state", "rating"),
    [
        (TrueVerdict.READY, ReportedState.PROVEN, Rating.RIGHT),
        (TrueVerdict.READY, ReportedState.BLOCKED, Rating.FALSE_ALARM),
        (TrueVerdict.READY, ReportedState.NOT_CHECKED, Rating.NOT_CHECKED),
        (TrueVerdict.BROKEN, ReportedState.PROVEN, Rating.WRONG_GREEN),
        (TrueVerdict.BROKEN, ReportedState.BLOCKED, Rating.RIGHT),
        (TrueVerdict.BROKEN, ReportedState.NOT_CHECKED, Rating.NOT_CHECKED),
        (TrueVerdict.NOT_CHECKABLE, ReportedState.PROVEN, Rating.WRONG_GREEN),
        (TrueVerdict.NOT_CHECKABLE, ReportedState.BLOCKED, Rating.FALSE_ALARM),
        (TrueVerdict.NOT_CHECKABLE, ReportedState.NOT_CHECKED, Rating.RIGHT),
        (TrueVerdict.NO_SERVICE, ReportedState.PROVEN, Rating.INVENTED),
    ],
)
def test_verdict_and_report(verdict: TrueVerdict, state: ReportedState, rating: Rating) -> None:
    culprits = (GREENLET,) if verdict is TrueVerdict.BROKEN else ()
    findings = (PY104,) if state is ReportedState.BLOCKED else ()

    assert rate_one(truth(verdict, *culprits), reported(state, *findings)).rating is rating


def test_a_known_culprit_of_a_service_that_cannot_be_proven_is_right() -> None:
    service = truth(TrueVerdict.NOT_CHECKABLE, GREENLET)
    assert rate_one(service, reported(ReportedState.BLOCKED, PY104)).rating is Rating.RIGHT


def test_the_first_culprit_has_to_be_named() -> None:
    gone = Culprit(kind=CulpritKind.SOURCE, name="imp", place=Place(path="api/app.py", line=3), reason="removed")
    service = truth(TrueVerdict.BROKEN, gone, GREENLET)
    finding = BlockingFinding(
        code="PY401", message="2 tests fail", path="api/tests/test_a.py", names=("tests/test_a.py::a",)
    )

    result = rate_one(service, reported(ReportedState.BLOCKED, PY104, finding))

    assert result.rating is Rating.WRONG_CULPRIT
    assert result.note == (
        "not named: source imp (api/app.py:3); instead: PY104 api/requirements.txt:12 greenlet==1.1.2: no wheel for "
        "3.12; PY401 api/tests/test_a.py 2 tests fail"
    )  # fmt: skip
    assert result.unexplained == ()  # a suite fails as a consequence
    assert (result.named, result.unnamed, result.fixed) == ((GREENLET,), (gone,), False)


def test_a_change_for_the_first_culprit_is_a_fix() -> None:
    finding = replace(PY104, changes=("greenlet==3.0",))
    assert rate_one(truth(TrueVerdict.BROKEN, GREENLET), reported(ReportedState.BLOCKED, finding)).fixed


def test_what_else_blocks_is_listed() -> None:
    other = BlockingFinding(code="PY201", message="module 'imp' was removed", path="api/app.py", line=3, names=("imp",))
    result = rate_one(truth(TrueVerdict.BROKEN, GREENLET), reported(ReportedState.BLOCKED, PY104, other))
    assert result.rating is Rating.RIGHT
    assert result.unexplained == (other,)


def test_services_that_are_missing_or_too_many() -> None:
    service = truth(TrueVerdict.READY)
    none = truth(TrueVerdict.NO_SERVICE)
    extra = reported(ReportedState.PROVEN, path="worker")

    assert rate_one(service).rating is Rating.NOT_FOUND
    assert rate(manifest(none), ()).services == ()
    assert [item.rating for item in rate(manifest(), [extra]).services] == [Rating.UNLISTED]
    assert [item.rating for item in rate(manifest(complete=True), [extra]).services] == [Rating.INVENTED]


ASKS = "suite on 3.11: no tests were found in api: name them with `suite` in the plan, or set `suite = false`"


@pytest.mark.parametrize(
    ("verdict", "reasons", "rating"),
    [
        (TrueVerdict.READY, (ASKS,), Rating.ASKS),
        (TrueVerdict.READY, (ASKS, "source on all Pythons: a file is not UTF-8"), Rating.NOT_CHECKED),
        (TrueVerdict.BROKEN, (ASKS,), Rating.NOT_CHECKED),
        (TrueVerdict.NOT_CHECKABLE, (ASKS,), Rating.RIGHT),
    ],
)
def test_a_question_with_its_answer_is_not_wrong(
    verdict: TrueVerdict, reasons: tuple[str, ...], rating: Rating
) -> None:
    entry = replace(reported(ReportedState.NOT_CHECKED), reasons=reasons)
    assert rate_one(truth(verdict, GREENLET), entry).rating is rating


def test_without_a_report_nothing_was_checked() -> None:
    result = rate(manifest(truth(TrueVerdict.READY)), (), problem="the run was ended after 900 s")
    assert [(item.rating, item.note) for item in result.services] == [
        (Rating.NOT_CHECKED, "the run was ended after 900 s")
    ]


def test_of_a_run_that_was_ended_the_services_that_came_to_their_end_are_rated() -> None:
    services = [
        {"name": name, "path": name, "baseline": "3.11", "has_suite": False, "complete": complete}
        for name, complete in (("api", True), ("web", False))
    ]
    outcomes: list[dict[str, object]] = [
        {"service": name, "interpreter": "3.12", "check": "dependencies", "status": "passed", "findings": []}
        for name in ("api", "web")
    ]
    document = {"schema": 1, "target": "3.12", "complete": False, "services": services, "outcomes": outcomes}
    assert {service.name: (service.state, service.reasons) for service in services_of(document)} == {
        "api": (ReportedState.PROVEN, ()),
        "web": (ReportedState.NOT_CHECKED, ("the run was ended before all of it was checked",)),
    }
    services[0]["complete"] = False
    with pytest.raises(ReportError, match="did not come to its end"):
        services_of(document)


def finding(
    code: str, message: str = "", path: str = "", line: int = 0, *names: str, detail: str = ""
) -> BlockingFinding:
    return BlockingFinding(code=code, message=message, path=path, line=line, names=names, detail=detail)


def culprit(kind: str, name: str, place: str = "", line: int | None = None) -> Culprit:
    return Culprit(kind=CulpritKind(kind), name=name, place=Place(path=place, line=line), reason="known")


@pytest.mark.parametrize(
    ("cause", "blocking", "expected"),
    [
        # a requirement: by its name in any spelling, by what pulled it in, by its line
        (culprit("requirement", "zope.interface[test]>=5"), finding("PY104", "", "r.txt", 3, "zope-interface"), True),
        (
            culprit("requirement", "gevent==21.1"),
            finding("PY104", "greenlet 1.0, from gevent", "", 0, "greenlet"),
            True,
        ),
        (
            culprit("requirement", "six==1.0"),
            finding("PY240", "urllib3 fails", "a.py", 3, "urllib3", detail="six.moves"),
            False,
        ),
        (
            culprit("requirement", "six==1.0"),
            finding("PY240", "urllib3 fails", "a.py", 3, "urllib3", detail="six: x"),
            True,
        ),
        (culprit("requirement", "py"), finding("PY104", "pytest-py and x.py and py-x fail", "", 0, "pytest"), False),
        (culprit("requirement", "-e ./lib", "r.txt", 3), finding("PY106", "does not build", "r.txt", 3), True),
        (culprit("requirement", "a==1", "r.txt", 3), finding("PY104", "b", "r.txt", 4, "b"), False),
        (culprit("requirement", "a==1", "r.txt", 3), finding("PY301", "a", "r.txt", 3, "a"), False),
        # source: by file and line, or by name
        (culprit("source", "imp", "a.py", 10), finding("PY201", "", "a.py", 13, "imp.load"), True),
        (
            culprit("source", "asyncio.coroutine", "a.py", 10),
            finding("PY202", "", "a.py", 90, "asyncio.coroutine"),
            True,
        ),
        (culprit("source", "import imp", "a.py", 10), finding("PY202", "", "b.py", 10, "imp"), False),
        (
            culprit("source", "assertEquals", "a.py"),
            finding("PY203", "", "a.py", 4, "unittest.TestCase.assertEquals"),
            True,
        ),
        (culprit("source", "assertEquals"), finding("PY203", "", "a.py", 4, "unittest.TestCase.assertItems"), False),
        (
            culprit("source", "pkg_resources", "tools/pkg/log.py", 13),
            finding("PY243", "pkg 1.0 fails on import: it is missing (pkg/log.py:13)", "api/setup.py", 4, "pkg"),
            True,
        ),
        (
            culprit("source", "pkg_resources", "tools/pkg/log.py", 13),
            finding("PY243", "pkg 1.0 fails on import: it is missing (pkg/log.py:31)", "api/setup.py", 4, "pkg"),
            False,
        ),
        # tests: by id, relative to the service or to the root
        (
            culprit("suite", "tests/test_a.py::test_x"),
            finding("PY401", "", "api/tests/test_a.py", 3, "tests/test_a.py::test_x[1]"),
            True,
        ),
        (
            culprit("suite", "api/tests/test_a.py"),
            finding("PY402", "", "api/tests/test_a.py", 0, "tests/test_a.py::T::test_x"),
            True,
        ),
        (
            culprit("suite", "tests/test_a.py::test_x"),
            finding("PY401", "", "api/tests/test_a.py", 3, "tests/test_a.py::test_y"),
            False,
        ),
        (culprit("suite", "all tests", "api"), finding("PY401", "", "api/tests/test_a.py"), True),
        (
            culprit("suite", "test_a.py", "a/test_a.py", 74),
            finding("PY206", "", "a/test_a.py", 75, "called_with"),
            True,
        ),
        (culprit("suite", "all tests", "api"), finding("PY201", "", "api/tests/test_a.py"), False),
        # versions, builds and locks: by their file
        (
            culprit("version", "requires-python", "api/pyproject.toml", 4),
            finding("PY301", "", "api/pyproject.toml", 9),
            True,
        ),
        (culprit("version", "requires-python"), finding("PY301", "", "api/pyproject.toml", 9), False),
        (culprit("lock", "numpy", "poetry.lock"), finding("PY115", "numpy", "api/poetry.lock", 9, "numpy"), True),
        (culprit("build", "setup.py", "api/setup.py", 2), finding("PY106", "api/setup.py exits with 1"), True),
    ],
)
def test_a_finding_points_at_a_culprit(cause: Culprit, blocking: BlockingFinding, expected: bool) -> None:
    assert points_at(blocking, cause) is expected


# ---- the report


def document(*outcomes: dict[str, Any], has_suite: bool = True, **changes: Any) -> dict[str, Any]:
    service = {"name": "api", "path": "api", "baseline": "3.11", "has_suite": has_suite}
    report = {"schema": 1, "target": "3.12", "complete": True, "services": [service], "outcomes": list(outcomes)}
    return {**report, **changes}


def outcome(check: str, status: str, interpreter: str | None = "3.12", *findings: dict[str, Any]) -> dict[str, Any]:
    return {
        "service": "api", "interpreter": interpreter, "check": check, "status": status, "reason": f"{check} {status}",
        "findings": list(findings),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ((outcome("suite", "passed"), outcome("source", "passed", None)), ReportedState.PROVEN),
        ((outcome("suite", "passed"), outcome("source", "failed", None)), ReportedState.BLOCKED),
        ((outcome("suite", "failed"), outcome("source", "errored", None)), ReportedState.BLOCKED),
        ((outcome("suite", "passed"), outcome("suite", "errored", "3.11")), ReportedState.NOT_CHECKED),
        ((outcome("dependencies", "passed"), outcome("suite", "skipped")), ReportedState.NOT_CHECKED),
        ((outcome("suite", "passed", "3.11"),), ReportedState.NOT_CHECKED),
        ((), ReportedState.NOT_CHECKED),
    ],
)
def test_only_what_was_checked_is_proven(outcomes: tuple[dict[str, Any], ...], state: ReportedState) -> None:
    (service,) = services_of(document(*outcomes))
    assert service.state is state
    assert bool(service.reasons) is (state is ReportedState.NOT_CHECKED or "errored" in str(outcomes))


def test_findings_that_do_not_block_are_left_out() -> None:
    entry = {
        "code": "PY104", "message": "no wheel", "path": "r.txt", "line": None, "names": ["a"], "detail": "",
        "remedy": "", "changes": [{"name": "a", "new": "==2"}],
    }  # fmt: skip
    findings = ({**entry, "blocks": True}, {**entry, "code": "PY110", "blocks": False})
    (service,) = services_of(document(outcome("dependencies", "failed", "3.12", *findings)))
    assert [(str(item), item.changes) for item in service.findings] == [("PY104 r.txt no wheel", ("a==2",))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the report is no JSON"),
        ("[]", "not of version 1"),
        (json.dumps({"schema": 2}), "not of version 1"),
        (json.dumps({"schema": 1, "complete": False}), "did not come to its end"),
    ],
)
def test_a_report_that_is_not_whole(text: str, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        read_report(text)


# ---- the tables


def test_the_tables() -> None:
    services = [
        TrueService(path="a", verdict=TrueVerdict.READY, reason="tried"),
        TrueService(path="b", verdict=TrueVerdict.BROKEN, reason="tried", culprits=(GREENLET,)),
        TrueService(path="c", verdict=TrueVerdict.NOT_CHECKABLE, reason="PostgreSQL"),
        TrueService(path="d", verdict=TrueVerdict.READY, reason="tried"),
    ]
    report = [
        reported(ReportedState.PROVEN, path="a"),
        reported(ReportedState.BLOCKED, PY104, path="b"),
        reported(ReportedState.NOT_CHECKED, path="c", reason="no server"),
        reported(ReportedState.NOT_CHECKED, path="d", reason="suite on 3.12: it did not end"),
    ]
    rated = [rate(manifest(*services), report, seconds=12.4)]

    table = list(rows(rated))

    assert dict(zip(HEADINGS, table[0], strict=True)) == {
        "repository": "[acme/shop](https://github.com/acme/shop)", "commit": "01234567", "move": "3.11 to 3.12",
        "services": "4", "ready": "2", "broken": "1", "not checkable": "1", "right": "3", "wrong green": "0",
        "false alarm": "0", "culprit": "1/1", "not checked": "1", "asks": "0", "not found": "0",
        "invented": "0", "seconds": "12", "again": "",
    }  # fmt: skip
    assert table[1][0] == "all 1"
    assert markdown(HEADINGS, table).splitlines()[2].startswith("| [acme/shop](https://github.com/acme/shop) | 0123")
    assert aligned(HEADINGS, table).splitlines()[1].startswith("acme/shop   01234567  3.11 to 3.12  4")
    assert list(mistakes(rated)) == ["not checked: acme/shop d: suite on 3.12: it did not end"]
    assert "1 not checked for a reason of the gate (25 %) and 1 for one of the repository" in totals(rated)
    assert not is_all_right(rated)
    assert is_all_right([rate(manifest(services[0]), report[:1])])
    assert not is_all_right([rate(manifest(), ())])
