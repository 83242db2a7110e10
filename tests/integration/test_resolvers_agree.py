"""Both resolvers on the same requirements: the same verdicts, or a difference that docs/reference/plan.md explains."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import RESOLVERS, Plan, with_resolution
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.resolution.lock import DependencyLock, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.resolvers import make_resolver
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.fake_index import Server, running
from tests.integration.local_runners import local_runner

TOGETHER = ("3.9", "3.10", "3.12")
PLATFORM = Path(__file__).parents[3] / "shared" / "data" / "seed-platform"
CUT_OFF = "2026-11-24T00:00:00Z"

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

Answer = DependencyLock | tuple[Finding, ...] | str
"""A lock, the blocking findings, or why the result is undetermined."""


class ResolverPair:
    """Both resolvers on one cache."""

    def __init__(self, cache: Path) -> None:
        self.runner = local_runner(cache)
        self._cache = cache
        self.restart()

    def restart(self) -> None:
        """Recreate the lockers with the current settings, as a new run does."""
        uv = UvResolver(cache=self._cache, runner=self.runner, uv_version="test", lock_hours=24.0)
        self.lockers = {name: self._locker(name, uv) for name in RESOLVERS}

    def _locker(self, name: str, uv: UvResolver) -> Locker:
        plan = with_resolution(Plan(root=self._cache), resolver=name)
        engine = make_resolver(plan, uv, cache=self._cache, runner=self.runner)
        return Locker(cache=self._cache, resolver=engine, single_flight=SingleFlight(None), lock_hours=24.0)

    def build(self, interpreter: str) -> InterpreterBuild:
        try:
            return self.runner.find_interpreter(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))

    def lock(self, resolver: str, interpreter: str, request: ResolutionRequest) -> Answer:
        try:
            return self.lockers[resolver].lock(request, self.build(interpreter))
        except Unresolvable as blocked:
            return blocked.findings
        except Undetermined as reason:
            return str(reason)


@pytest.fixture(scope="module")
def resolvers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResolverPair]:
    made = ResolverPair(tmp_path_factory.mktemp("cache"))
    for interpreter in TOGETHER:  # pip-tools itself comes from the real index
        made.lock("pip-tools", interpreter, ResolutionRequest(lines=("six==1.16.0",), exclude_newer=CUT_OFF))
    yield made
    made.runner.close()


@pytest.fixture
def server(resolvers: ResolverPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with running(tmp_path / "uv", monkeypatch) as made:
        resolvers.restart()
        yield made
    monkeypatch.undo()
    resolvers.restart()


def blamed(answer: Answer) -> set[str]:
    assert isinstance(answer, tuple), answer
    return {name for finding in answer if finding.severity is Severity.ERROR for name in finding.names}


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_both_resolvers_give_the_same_lock(resolvers: ResolverPair, server: Server, interpreter: str) -> None:
    request = ResolutionRequest(lines=("fine", "one"), constraints=("lib<2",))

    by_uv, by_pip = (resolvers.lock(resolver, interpreter, request) for resolver in RESOLVERS)

    assert isinstance(by_uv, DependencyLock), by_uv
    assert isinstance(by_pip, DependencyLock), by_pip
    assert by_pip.versions == by_uv.versions == {"fine": "1.0", "lib": "1.0", "one": "1.0"}


@pytest.mark.parametrize("interpreter", TOGETHER)
@pytest.mark.parametrize("lines", [("one", "two"), ("gone", "fine"), ("lib==3", "fine"), ("one", "lib==2.0")])
def test_both_resolvers_report_the_same_blockers(
    resolvers: ResolverPair, server: Server, interpreter: str, lines: tuple[str, ...]
) -> None:
    by_uv, by_pip = (resolvers.lock(resolver, interpreter, ResolutionRequest(lines=lines)) for resolver in RESOLVERS)

    assert isinstance(by_uv, tuple), by_uv
    assert by_pip == by_uv


@pytest.mark.parametrize("fault", ["500", "garbage", "denied"])
def test_pip_gives_no_verdict_if_the_index_fails(resolvers: ResolverPair, server: Server, fault: str) -> None:
    """pip itself reports that there is no such version."""
    server.fault = fault

    answer = resolvers.lock("pip-tools", "3.12", ResolutionRequest(lines=("fine", "one")))

    assert isinstance(answer, str), answer
    assert "secret" not in answer


def test_markers_are_evaluated_for_the_cells_interpreter(resolvers: ResolverPair, server: Server) -> None:
    request = ResolutionRequest(lines=("fine", 'one ; python_version < "3.10"'))

    locks = [resolvers.lock("pip-tools", interpreter, request) for interpreter in TOGETHER]

    assert [sorted(lock.versions) for lock in locks if isinstance(lock, DependencyLock)] == [
        ["fine", "lib", "one"],
        ["fine"],
        ["fine"],
    ]


def test_a_second_run_starts_no_tool(resolvers: ResolverPair, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ResolutionRequest(lines=("fine", "two"))
    first = resolvers.lock("pip-tools", "3.12", request)
    resolvers.restart()

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a tool was started")

    monkeypatch.setattr(LocalRunner, "run_tool", refuse)
    assert resolvers.lock("pip-tools", "3.12", request) == first


# ---- a real platform's files

SETS = [
    ("agent-services/laoke-service/test/platform/requirements.txt", "3.9"),
    ("agent-services/laoke-service/test/platform/requirements.txt", "3.12"),
    ("medical-service/requirements.txt", "3.12"),
]
"""tests/benchmarks/resolvers_agree.py tries more of them."""


ONLY_BUILDS_DIFFER = "pip builds what has no wheel to learn what it requires, uv when it is installed"
"""The only difference that is allowed."""


def difference(by_uv: Answer, by_pip: Answer) -> str:
    """Describe the difference of two answers; empty if they agree."""
    if isinstance(by_uv, str) or isinstance(by_pip, str):
        return f"no answer: {by_uv if isinstance(by_uv, str) else by_pip}"
    if isinstance(by_uv, DependencyLock):
        if isinstance(by_pip, DependencyLock):
            return ""
        sources = {pin.name for pin in by_uv.pins if pin.from_source}
        blamed_by_pip = blamed(by_pip)
        return (
            ONLY_BUILDS_DIFFER
            if blamed_by_pip and blamed_by_pip <= sources
            else f"only pip refuses: {sorted(blamed_by_pip)}"
        )
    if isinstance(by_pip, DependencyLock):
        return f"only uv refuses: {sorted(blamed(by_uv))}"
    return "" if blamed(by_uv) & blamed(by_pip) else f"uv blames {blamed(by_uv)}, pip {blamed(by_pip)}"


def platform_request(path: str) -> ResolutionRequest:
    entries = read_requirement_set(PLATFORM, [RequirementSource(path=f"services/{path}")]).entries
    assert entries
    return ResolutionRequest(
        lines=tuple(item.text for item in entries),
        direct=tuple((item.name, item.location) for item in entries),
        exclude_newer=CUT_OFF,
    )


@pytest.mark.skipif(not PLATFORM.is_dir(), reason="the seed platform is not beside this checkout")
@pytest.mark.parametrize(("path", "interpreter"), SETS)
def test_both_resolvers_agree_on_a_real_platforms_files(resolvers: ResolverPair, path: str, interpreter: str) -> None:
    by_uv, by_pip = (resolvers.lock(resolver, interpreter, platform_request(path)) for resolver in RESOLVERS)

    assert difference(by_uv, by_pip) in ("", ONLY_BUILDS_DIFFER)
