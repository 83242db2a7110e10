"""Sources in a set that something else blocks: what came of building them takes the place of "not tried"."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.diagnose import all_blockers
from pytest_py312.dependencies.diagnosis.package_index import File, Index, Page, PageState
from pytest_py312.dependencies.installation.distribution_store import Store
from pytest_py312.dependencies.installation.source_builds import SET_LIMIT, with_sources_tried
from pytest_py312.dependencies.resolution.lock import Blocked, Pin, Unchecked, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from tests.support.fakes import FakeRunner, build_of

BUILD = build_of("3.12")
WANTED = Wanted(
    lines=("gone", "numpy==1.24.3", "jieba==0.42.1"),
    direct=tuple((name, Location(path="r.txt", line=at)) for at, name in enumerate(("gone", "numpy", "jieba"), 1)),
)


class Sources(Store):
    """A store that builds nothing: ``ends`` are what becomes of each project."""

    def __init__(self, **ends: Exception) -> None:
        super().__init__(cache=Path("/nowhere"), runner=FakeRunner())
        self.ends = ends
        self.built: list[str] = []

    def fill(self, pins: Iterable[Pin], build: InterpreterBuild, wanted: Wanted, build_limit: float = 1800.0) -> None:
        for pin in pins:
            assert pin.from_source
            self.built.append(pin.line)
            if pin.name in self.ends:
                raise self.ends[pin.name]


class OnlySources(Index):
    """An index on which nothing has a wheel."""

    def __init__(self) -> None:
        super().__init__(cache=Path("/nowhere"), url=None, lock_hours=0.0)

    def page(self, name: str) -> Page:
        if name == "gone":
            return Page(name=name, state=PageState.MISSING)
        versions = {"numpy": ["1.24.3"], "jieba": ["0.42.1"]}[name]
        return Page(name=name, state=PageState.FOUND, files={one: (File(one, "", "", False, ""),) for one in versions})


class Content(Resolver):
    """A resolver to which everything else resolves."""

    def __init__(self) -> None:
        super().__init__(cache=Path("/nowhere"), runner=FakeRunner(), uv_version="0", lock_hours=0.0)

    def guess(self, wanted: Wanted, build: InterpreterBuild, from_source: object = ()) -> Finding | None:
        return None

    def refusal(self, wanted: Wanted, build: InterpreterBuild, from_source: object = ()) -> Finding | None:
        return None


@pytest.fixture
def blocked() -> list[Finding]:
    return all_blockers(WANTED, BUILD, Content(), OnlySources())


def told(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.names[0]: finding.code for finding in findings}


def test_a_blocked_set_has_its_sources_not_tried(blocked: list[Finding]) -> None:
    assert told(blocked) == {"gone": "PY102", "numpy": "PY112", "jieba": "PY112"}


def test_each_is_built_by_itself(blocked: list[Finding]) -> None:
    """The one that fails blocks as well, the other one does not, and both keep their places."""
    failure = Finding(code="PY104", message="numpy==1.24.3: no distutils", names=("numpy",))
    store = Sources(numpy=Blocked([failure]))

    found = with_sources_tried(blocked, WANTED, BUILD, store)

    assert store.built == ["numpy==1.24.3", "jieba==0.42.1"]
    assert told(found) == {"gone": "PY102", "numpy": "PY104", "jieba": "PY110"}
    assert [finding.location and finding.location.line for finding in found] == [1, 2, 3]
    assert [finding.severity for finding in found] == [Severity.ERROR, Severity.ERROR, Severity.NOTE]


def test_what_could_not_be_told_stays_a_warning_with_its_reason(blocked: list[Finding]) -> None:
    store = Sources(numpy=Unchecked("no compiler here"))

    found = with_sources_tried(blocked, WANTED, BUILD, store)

    (warning,) = [finding for finding in found if finding.names == ("numpy",)]
    assert (warning.code, warning.severity) == ("PY112", Severity.WARNING)
    assert warning.message.startswith("no compiler here")


def test_a_set_is_given_only_so_much_time(blocked: list[Finding], monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, SET_LIMIT + 1])
    monkeypatch.setattr(clock, "stopwatch", lambda: next(times))
    store = Sources()

    assert told(with_sources_tried(blocked, WANTED, BUILD, store)) == {
        "gone": "PY102",
        "numpy": "PY110",
        "jieba": "PY112",
    }
