"""FakeStore in a set that something else blocks: the results of their builds replace "not tried"."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.diagnose import find_all_conflicts
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.diagnosis.package_index import DistributionFile, IndexPage, PackageIndex, PageState
from pytest_py312.dependencies.installation.source_builds import (
    SET_TIME_LIMIT,
    build_untried_sources,
    findings_on_pins_alone,
)
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from tests.support.fakes import FakeRunner, build_of

BUILD = build_of("3.12")
WANTED = ResolutionRequest(
    lines=("gone", "numpy==1.24.3", "jieba==0.42.1"),
    direct=tuple((name, Location(path="r.txt", line=at)) for at, name in enumerate(("gone", "numpy", "jieba"), 1)),
)


class FakeStore(DistributionStore):
    """A store that builds nothing: ``ends`` are the results by project."""

    def __init__(self, **ends: Exception) -> None:
        super().__init__(cache=Path("/nowhere"), runner=FakeRunner())
        self.ends = ends
        self.built: list[str] = []

    def fill(
        self,
        pins: Iterable[Pin],
        build: InterpreterBuild,
        request: ResolutionRequest,
        build_limit: float = 1800.0,
        *,
        stop_at_failure: bool = False,
    ) -> None:
        for pin in pins:
            assert pin.from_source
            self.built.append(pin.line)
            if pin.name in self.ends:
                raise self.ends[pin.name]


class IndexWithoutWheels(PackageIndex):
    """An index without any wheel."""

    def __init__(self) -> None:
        super().__init__(cache=Path("/nowhere"), url=None, lock_hours=0.0)

    def page(self, name: str) -> IndexPage:
        if name == "gone":
            return IndexPage(name=name, state=PageState.MISSING)
        versions = {"numpy": ["1.24.3"], "jieba": ["0.42.1"]}[name]
        return IndexPage(
            name=name,
            state=PageState.FOUND,
            files={one: (DistributionFile(one, "", "", False, ""),) for one in versions},
        )


class FakeResolver(UvResolver):
    """A resolver that resolves everything else."""

    def __init__(self) -> None:
        super().__init__(cache=Path("/nowhere"), runner=FakeRunner(), uv_version="0", lock_hours=0.0)

    def explain_offline(
        self, wanted: ResolutionRequest, build: InterpreterBuild, from_source: object = ()
    ) -> Finding | None:
        return None

    def explain(self, wanted: ResolutionRequest, build: InterpreterBuild, from_source: object = ()) -> Finding | None:
        return None


@pytest.fixture
def blocked() -> list[Finding]:
    return find_all_conflicts(WANTED, BUILD, FakeResolver(), IndexWithoutWheels())


def codes_by_project(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.names[0]: finding.code for finding in findings}


def test_the_sources_of_a_blocked_set_are_not_tried(blocked: list[Finding]) -> None:
    assert codes_by_project(blocked) == {"gone": "PY102", "numpy": "PY112", "jieba": "PY112"}


def test_each_source_is_built_on_its_own(blocked: list[Finding]) -> None:
    """A failing build blocks as well, a successful one does not, and both keep their locations."""
    failure = Finding(code="PY104", message="numpy==1.24.3: no distutils", names=("numpy",))
    store = FakeStore(numpy=Unresolvable([failure]))

    updated = build_untried_sources(blocked, WANTED, BUILD, store)

    assert store.built == ["numpy==1.24.3", "jieba==0.42.1"]
    assert codes_by_project(updated) == {"gone": "PY102", "numpy": "PY104", "jieba": "PY110"}
    assert [finding.location and finding.location.line for finding in updated] == [1, 2, 3]
    assert [finding.severity for finding in updated] == [Severity.ERROR, Severity.ERROR, Severity.NOTE]


def test_an_unfinished_build_stays_a_warning_with_its_reason(blocked: list[Finding]) -> None:
    store = FakeStore(numpy=Undetermined("no compiler here"))

    found = build_untried_sources(blocked, WANTED, BUILD, store)

    (warning,) = [finding for finding in found if finding.names == ("numpy",)]
    assert (warning.code, warning.severity) == ("PY112", Severity.WARNING)
    assert warning.message.startswith("no compiler here")


def test_the_time_for_a_set_is_limited(blocked: list[Finding], monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, SET_TIME_LIMIT + 1])
    monkeypatch.setattr(clock, "stopwatch", lambda: next(times))
    store = FakeStore()

    assert codes_by_project(build_untried_sources(blocked, WANTED, BUILD, store)) == {
        "gone": "PY102",
        "numpy": "PY110",
        "jieba": "PY112",
    }


# ---- pins of a set that cannot be had as a whole


class FakeLocker(Locker):
    """A locker whose locks have everything from source; ``unavailable`` cannot be had here."""

    def __init__(self, *unavailable: str) -> None:
        self.unavailable = unavailable
        self.asked: list[tuple[str, ...]] = []

    def lock(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        self.asked.append(request.lines)
        assert request.no_deps
        missing = [name for name in self.unavailable if any(line.startswith(name) for line in request.lines)]
        if missing:
            raise Undetermined("no header", missing[:1])
        return DependencyLock(
            pins=tuple(
                Pin(name=line.partition("==")[0].partition("[")[0], version="1", line=line, from_source=True)
                for line in request.lines
            )
        )


def test_pins_are_judged_without_the_rest_of_their_set() -> None:
    """celery brings back what was left out, so that the set as a whole cannot be had without it."""
    request = ResolutionRequest(
        lines=("celery[sqs]==1", "open>=1", "x @ https://x/x.zip", "pycurl==1", "greenlet==1"),
        direct=(("greenlet", Location(path="r.txt", line=5)),),
    )
    fails = Finding(code="PY104", message="greenlet fails to build", names=("greenlet",))
    locker, store = FakeLocker("pycurl"), FakeStore(greenlet=Unresolvable([fails]), celery=Undetermined("no"))
    findings, left_out = findings_on_pins_alone(request, BUILD, locker, store)
    assert [(finding.code, str(finding.location)) for finding in findings] == [("PY104", "r.txt:5")]
    assert left_out == ("pycurl", "celery")
    assert locker.asked == [("celery[sqs]==1", "pycurl==1", "greenlet==1"), ("celery[sqs]==1", "greenlet==1")]
