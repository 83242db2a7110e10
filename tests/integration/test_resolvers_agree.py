"""Both resolvers on the same sets: the same verdicts, or a difference that docs/reference/plan.md explains."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import RESOLVERS, Plan, plan_with
from pytest_py312.dependencies.diagnosis.locker import Locking
from pytest_py312.dependencies.resolution.lock import Blocked, Lock, Unchecked, Wanted
from pytest_py312.dependencies.resolution.resolvers import engine_of
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.repository.services.requirement_set import requirement_set
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.fake_index import Server, running
from tests.integration.local_runners import local_runner

TOGETHER = ("3.9", "3.10", "3.12")
PLATFORM = Path(__file__).parents[3] / "shared" / "data" / "seed-platform"
CUT_OFF = "2026-11-24T00:00:00Z"

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

Answer = Lock | tuple[Finding, ...] | str
"""A lock, what blocks, or why it could not be told."""


class Judging:
    """Asks either resolver, through one cache."""

    def __init__(self, cache: Path) -> None:
        self.runner = local_runner(cache)
        self._cache = cache
        self.renew()

    def renew(self) -> None:
        """As another run would begin, with the settings of this moment."""
        uv = Resolver(cache=self._cache, runner=self.runner, uv_version="test", lock_hours=24.0)
        self.by = {name: self._locking(name, uv) for name in RESOLVERS}

    def _locking(self, name: str, uv: Resolver) -> Locking:
        plan = plan_with(Plan(root=self._cache), resolver=name)
        engine = engine_of(plan, uv, cache=self._cache, runner=self.runner)
        return Locking(cache=self._cache, resolver=engine, once=Once(None), lock_hours=24.0)

    def build(self, interpreter: str) -> InterpreterBuild:
        try:
            return self.runner.find(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))

    def ask(self, resolver: str, interpreter: str, wanted: Wanted) -> Answer:
        try:
            return self.by[resolver].lock(wanted, self.build(interpreter))
        except Blocked as blocked:
            return blocked.findings
        except Unchecked as reason:
            return str(reason)


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judging]:
    made = Judging(tmp_path_factory.mktemp("cache"))
    for interpreter in TOGETHER:  # pip-tools itself comes from the real index
        made.ask("pip-tools", interpreter, Wanted(lines=("six==1.16.0",), exclude_newer=CUT_OFF))
    yield made
    made.runner.close()


@pytest.fixture
def server(judging: Judging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with running(tmp_path / "uv", monkeypatch) as made:
        judging.renew()
        yield made
    monkeypatch.undo()
    judging.renew()


def blamed(answer: Answer) -> set[str]:
    assert isinstance(answer, tuple), answer
    return {name for finding in answer if finding.severity is Severity.ERROR for name in finding.names}


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_set_that_resolves_has_the_same_lock_from_both(judging: Judging, server: Server, interpreter: str) -> None:
    wanted = Wanted(lines=("fine", "one"), constraints=("lib<2",))

    by_uv, by_pip = (judging.ask(resolver, interpreter, wanted) for resolver in RESOLVERS)

    assert isinstance(by_uv, Lock), by_uv
    assert isinstance(by_pip, Lock), by_pip
    assert by_pip.versions == by_uv.versions == {"fine": "1.0", "lib": "1.0", "one": "1.0"}


@pytest.mark.parametrize("interpreter", TOGETHER)
@pytest.mark.parametrize("lines", [("one", "two"), ("gone", "fine"), ("lib==3", "fine"), ("one", "lib==2.0")])
def test_what_blocks_is_told_alike_by_both(
    judging: Judging, server: Server, interpreter: str, lines: tuple[str, ...]
) -> None:
    by_uv, by_pip = (judging.ask(resolver, interpreter, Wanted(lines=lines)) for resolver in RESOLVERS)

    assert isinstance(by_uv, tuple), by_uv
    assert by_pip == by_uv


@pytest.mark.parametrize("fault", ["500", "garbage", "denied"])
def test_an_index_that_fails_is_no_verdict_of_pips(judging: Judging, server: Server, fault: str) -> None:
    """pip says that there is no such version."""
    server.fault = fault

    answer = judging.ask("pip-tools", "3.12", Wanted(lines=("fine", "one")))

    assert isinstance(answer, str), answer
    assert "secret" not in answer


def test_markers_are_those_of_the_cells_own_interpreter(judging: Judging, server: Server) -> None:
    wanted = Wanted(lines=("fine", 'one ; python_version < "3.10"'))

    locks = [judging.ask("pip-tools", interpreter, wanted) for interpreter in TOGETHER]

    assert [sorted(lock.versions) for lock in locks if isinstance(lock, Lock)] == [
        ["fine", "lib", "one"],
        ["fine"],
        ["fine"],
    ]


def test_a_second_run_asks_nobody(judging: Judging, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Wanted(lines=("fine", "two"))
    first = judging.ask("pip-tools", "3.12", wanted)
    judging.renew()

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a tool was started")

    monkeypatch.setattr(LocalRunner, "tool", refuse)
    assert judging.ask("pip-tools", "3.12", wanted) == first


# ---- a real platform's files

SETS = [
    ("agent-services/laoke-service/test/platform/requirements.txt", "3.9"),
    ("agent-services/laoke-service/test/platform/requirements.txt", "3.12"),
    ("medical-service/requirements.txt", "3.12"),
]
"""tests/benchmarks/engines_agree.py asks about more of them."""


BUILT = "pip builds what has no wheel to learn what it requires, uv when it is installed"
"""The one difference that there may be."""


def difference(by_uv: Answer, by_pip: Answer) -> str:
    """In what two answers differ, in words; empty where they agree."""
    if isinstance(by_uv, str) or isinstance(by_pip, str):
        return f"no answer: {by_uv if isinstance(by_uv, str) else by_pip}"
    if isinstance(by_uv, Lock):
        if isinstance(by_pip, Lock):
            return ""
        sources = {pin.name for pin in by_uv.pins if pin.from_source}
        blamed_by_pip = blamed(by_pip)
        return BUILT if blamed_by_pip and blamed_by_pip <= sources else f"only pip refuses: {sorted(blamed_by_pip)}"
    if isinstance(by_pip, Lock):
        return f"only uv refuses: {sorted(blamed(by_uv))}"
    return "" if blamed(by_uv) & blamed(by_pip) else f"uv blames {blamed(by_uv)}, pip {blamed(by_pip)}"


def of_platform(path: str) -> Wanted:
    entries = requirement_set(PLATFORM, [RequirementSource(path=f"services/{path}")]).entries
    assert entries
    return Wanted(
        lines=tuple(item.text for item in entries),
        direct=tuple((item.name, item.location) for item in entries),
        exclude_newer=CUT_OFF,
    )


@pytest.mark.skipif(not PLATFORM.is_dir(), reason="the seed platform is not beside this checkout")
@pytest.mark.parametrize(("path", "interpreter"), SETS)
def test_a_real_platforms_files_have_the_same_verdict_from_both(judging: Judging, path: str, interpreter: str) -> None:
    by_uv, by_pip = (judging.ask(resolver, interpreter, of_platform(path)) for resolver in RESOLVERS)

    assert difference(by_uv, by_pip) in ("", BUILT)
