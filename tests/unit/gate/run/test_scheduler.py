"""Which outcomes of earlier runs are used again."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_py312.analysis.services.service_analysis import AnalysisResult, ServiceAnalyzer
from pytest_py312.core import clock
from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell, RequirementSource, Service
from pytest_py312.core.model.measurements import SuiteRun, SuiteWarning
from pytest_py312.core.model.plan import Plan, Waiver, with_resolution
from pytest_py312.core.progress.events import ActivityStarted, ItemsAnswered, ProgressEvent, RunPlanned
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.dependencies.installation.cell_locks import WITHOUT_LOCK, CellLocks
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import CheckResult, Facts
from pytest_py312.gate.checks.static_analysis import SourceCheck
from pytest_py312.gate.run.fact_provider import FactProvider
from pytest_py312.gate.run.finalization import Finalizer, SourceLines
from pytest_py312.gate.run.known_findings import KnownFinding, KnownFindingsByKey
from pytest_py312.gate.run.outcome_keys import OutcomeKeys
from pytest_py312.gate.run.scheduler import LAST, Scheduler, _Readiness
from pytest_py312.gate.run.source_analysis import SourceAnalysis
from pytest_py312.gate.run.state import StateFile
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.runners.surroundings import Surroundings
from tests.support.fakes import FakeRunner, cell_of, installation_of, run_of, service, service_tree

INTERPRETERS = ("3.9", "3.10", "3.11", "3.12")
BROKEN = Finding(code="PY105", message="`import six` fails", names=("six",))
UNDETERMINED = Finding(code="PY113", message="the index did not answer", severity=Severity.WARNING)


@dataclass(kw_only=True)
class ThirdPartyCheck:
    """A check of a third party."""

    name: str = "own"
    codes: tuple[str, ...] = ("OWN1",)
    asked: list[Cell] = field(default_factory=list)
    findings: tuple[Finding, ...] = ()
    unchecked: str = ""
    is_kept: bool = True
    comes_last: bool = False
    runs_suite: bool = False

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        self.asked.append(cell)
        on: dict[str, Any] = {"service": cell.service.name, "interpreter": cell.interpreter, "check": self.name}
        outcome = (
            Outcome.errored(**on, reason=self.unchecked)
            if self.unchecked
            else Outcome.from_findings(**on, findings=self.findings, reason="it is fine")
        )
        return CheckResult(outcome=outcome, is_kept=self.is_kept)


def gate_on(
    *interpreters: str,
    root: Path,
    plan: Plan | None = None,
    reuse_failures: bool = True,
    recorded: KnownFindingsByKey | None = None,
) -> Scheduler:
    """Return a scheduler for ``root``, on a machine that has ``interpreters``."""
    plan, runner, once, state = (
        plan or Plan(root=root),
        FakeRunner(interpreters=interpreters),
        SingleFlight(None),
        StateFile(root / ".py312"),
    )
    facts = FactProvider(
        plan=plan, runner=runner, cache=root / "cache", uv_version="test", parallel=1, single_flight=once
    )
    keys = OutcomeKeys(plan=plan, runner=runner, installer=facts.installer, uv_version="test")
    finalizer = Finalizer(waivers=plan.waivers, known_findings=recorded or {}, source_lines=SourceLines(root))
    return Scheduler(
        facts=facts, keys=keys, finalizer=finalizer, runner=runner, state=state, single_flight=once, parallel=1,
        reuse_failures=reuse_failures,
    )  # fmt: skip


def runs_of_own_check(
    root: Path,
    of: Service,
    own: ThirdPartyCheck,
    monkeypatch: pytest.MonkeyPatch,
    zones: tuple[str, ...] = ("UTC", "UTC"),
    prepare: Callable[[Scheduler], None] = lambda gate: None,
    **options: Any,
) -> int:
    """Return how often ``own`` was run in two runs with no change in between except the time zone."""
    for zone in zones:
        monkeypatch.setenv("TZ", zone)
        gate = gate_on(*INTERPRETERS, root=root, **options)
        monkeypatch.setattr(gate.facts.installer.locks, "cached", lambda cell: DependencyLock(pins=()))
        prepare(gate)
        gate.run(CheckTask(cell=cell_of("3.12", of), check=own))
        gate.close()
    return len(own.asked)


@pytest.fixture
def fleet_of_one(tmp_path: Path) -> tuple[Path, Service]:
    of = service(requirements=())
    (tmp_path / of.path).mkdir(parents=True)
    return tmp_path, of


def test_a_check_of_the_gate_is_not_run_again_without_changes(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ThirdPartyCheck(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch) == 1


def test_owners_are_no_part_of_the_key(fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a line of CODEOWNERS would have every service checked again."""
    root, of = fleet_of_one
    own = ThirdPartyCheck(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))
    owned = replace(of, owners=("@a",), owners_source="CODEOWNERS:1", settings=replace(of.settings, owner=("@a",)))

    runs = [runs_of_own_check(root, each, own, monkeypatch, ("UTC",)) for each in (of, owned)]

    assert runs == [1, 1]


@pytest.mark.parametrize(
    ("path", "runs_suite", "runs"),
    [
        ("settings.env", True, 2),
        ("settings.env", False, 1),
        ("README.md", True, 1),
        ("py312.toml", True, 1),
        ("docs/api.md", True, 2),
    ],
)
def test_files_around_are_part_of_the_key_where_a_suite_may_read_them(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch, path: str, runs_suite: bool, runs: int
) -> None:
    own = ThirdPartyCheck(name=CHECKS[0].name, runs_suite=runs_suite)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))
    contents = iter(("before", "after"))
    monkeypatch.setattr(Surroundings, "files", lambda self, of: {path: next(contents)})

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch) == runs


def test_the_time_zone_is_part_of_the_key(fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of the local runner inherits it, and a suite may depend on it."""
    own = ThirdPartyCheck(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch, ("UTC", "Asia/Tokyo")) == 2


@pytest.mark.parametrize(("sees", "asked"), [(True, 2), (False, 1)])
def test_a_removed_sibling_module_invalidates_the_outcome(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch, sees: bool, asked: int
) -> None:
    """An import of the service may depend on it."""
    own = ThirdPartyCheck(name="libraries")
    own.sees_names_around = sees  # type: ignore[attr-defined]  # a check may say so
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))
    shared = fleet_of_one[0] / "shared_models.py"
    shared.write_text("", encoding="utf-8")
    runs_of_own_check(*fleet_of_one, own, monkeypatch)
    shared.unlink()

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch) == asked


def test_a_change_outside_of_the_folder_that_a_build_packs_invalidates_the_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock stays the same, and so does the folder of the service."""
    packs = '[project]\nname = "api"\nversion = "1"\n[tool.hatch.build.force-include]\n"../../shop" = "shop"\n'
    service_tree(tmp_path, {"apps/api/pyproject.toml": packs, "apps/api/requirements.txt": ".\n"})
    of = service(path="apps/api", requirements=(RequirementSource(path="apps/api/requirements.txt"),))
    own = ThirdPartyCheck(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))
    monkeypatch.setattr(CellLocks, "cached_digests", lambda locks, cell: ["the same lock"])
    contents = iter(["1", "2", "2"])

    def change_what_is_packed(gate: Scheduler) -> None:
        service_tree(tmp_path, {"shop/log.py": f"level = {next(contents)}\n"})

    runs = runs_of_own_check(tmp_path, of, own, monkeypatch, zones=("UTC", "UTC", "UTC"), prepare=change_what_is_packed)

    assert runs == 2


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> ThirdPartyCheck:
    """Return a check that counts as one of the gate's own, and fails."""
    own = ThirdPartyCheck(name=CHECKS[0].name, findings=(BROKEN,))
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))
    return own


def test_a_failure_is_reported_again_without_changes(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, of = fleet_of_one

    assert runs_of_own_check(root, of, kept, monkeypatch) == 1
    gate, task = gate_on(*INTERPRETERS, root=root), CheckTask(cell=cell_of("3.12", of), check=kept)
    monkeypatch.setattr(gate.facts.installer.locks, "cached", lambda cell: DependencyLock(pins=()))
    outcome = gate.run(task).outcome
    assert (outcome.status, outcome.cached, outcome.findings) == (Status.FAILED, True, (BROKEN,))
    assert not gate.is_proven(task)
    assert [str(build.interpreter) for build in gate.facts.builds()] == list(INTERPRETERS)
    gate.close()


def test_a_failure_is_checked_again_after_a_change(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, of = fleet_of_one
    runs_of_own_check(root, of, kept, monkeypatch)
    (root / of.path / "app.py").write_text("", encoding="utf-8")

    assert runs_of_own_check(root, of, kept, monkeypatch) == 2


@pytest.mark.parametrize(("hours", "runs"), [(23.9, 1), (24.1, 2), (-1.0, 2)])
def test_a_failure_is_valid_for_as_long_as_a_lock(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch, hours: float, runs: int
) -> None:
    """Its remedies are those of the index of that time."""
    runs_of_own_check(*fleet_of_one, kept, monkeypatch)
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + hours * 3600)

    assert runs_of_own_check(*fleet_of_one, kept, monkeypatch) == runs


def leave_something_undetermined(gate: Scheduler) -> None:
    gate.facts.installer.locks.mark_undetermined(cell_of("3.9"))


@pytest.mark.parametrize("findings", [(BROKEN,), ()])
def test_a_failure_of_a_service_of_which_something_is_undetermined_is_checked_again(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch, findings: Any
) -> None:
    """A trial that was not possible may be possible in the next run. What passed has no part in it."""
    kept.findings = findings

    runs = runs_of_own_check(*fleet_of_one, kept, monkeypatch, prepare=leave_something_undetermined)

    assert runs == (2 if findings else 1)


def test_a_failure_beside_what_is_undetermined_is_checked_again(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.findings = (BROKEN, UNDETERMINED)

    assert runs_of_own_check(*fleet_of_one, kept, monkeypatch) == 2


def test_a_failure_offline_is_checked_again(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not in the cache looks as if it did not exist."""
    plan = with_resolution(Plan(root=fleet_of_one[0]), offline=True)

    assert runs_of_own_check(*fleet_of_one, kept, monkeypatch, plan=plan) == 2


RECORDABLE = Finding(code="PY202", message="asyncio.coroutine was removed", names=("asyncio.coroutine",))
RECORDED = KnownFinding(
    fingerprint=RECORDABLE.fingerprint, code="PY202", service="user-service", path="", message=RECORDABLE.message
)


def statuses_of_two_runs(
    root: Path, of: Service, own: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch, recorded: tuple[bool, bool]
) -> list[tuple[Status, bool]]:
    """Return status and whether it is cached, of two runs that have the finding recorded, or not."""
    outcomes = []
    for is_known in recorded:
        gate = gate_on(*INTERPRETERS, root=root, recorded={RECORDED.key: RECORDED} if is_known else {})
        monkeypatch.setattr(gate.facts.installer.locks, "cached", lambda cell: DependencyLock(pins=()))
        outcomes.append(gate.run(CheckTask(cell=cell_of("3.12", of), check=own)).outcome)
        gate.close()
    return [(outcome.status, outcome.cached) for outcome in outcomes]


@pytest.mark.parametrize("recorded", [(False, True), (True, False), (True, True)])
def test_a_cached_outcome_is_completed_with_the_findings_that_are_known_now(
    fleet_of_one: tuple[Path, Service],
    kept: ThirdPartyCheck,
    monkeypatch: pytest.MonkeyPatch,
    recorded: tuple[bool, bool],
) -> None:
    kept.findings = (RECORDABLE,)

    assert statuses_of_two_runs(*fleet_of_one, kept, monkeypatch, recorded) == [
        (Status.PASSED if is_known else Status.FAILED, cached)
        for is_known, cached in zip(recorded, (False, True), strict=True)
    ]


def test_a_failure_that_was_known_is_checked_again_if_something_is_undetermined(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passed, so it was cached; a failure would not have been."""
    kept.findings = (RECORDABLE, UNDETERMINED)

    assert statuses_of_two_runs(*fleet_of_one, kept, monkeypatch, (True, False)) == [
        (Status.PASSED, False),
        (Status.FAILED, False),
    ]


def test_an_outcome_has_waivers_lines_and_time_when_it_is_returned(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck
) -> None:
    root, of = fleet_of_one
    (root / of.path / "app.py").write_text("import six\n", encoding="utf-8")
    there = Location(path=f"{of.path}/app.py", line=1)
    waiver = Waiver(service=of.name, code="PY105", reason="r", owner="ada", until=date(2030, 1, 1))
    kept.findings = (BROKEN, replace(RECORDABLE, location=there))
    kept.codes = ("PY105", "PY202")
    gate = gate_on(*INTERPRETERS, root=root, plan=Plan(root=root, waivers=(waiver,)))
    outcome = gate.run(CheckTask(cell=cell_of("3.12", of), check=kept)).outcome
    gate.close()

    assert [(found.waived, found.source_line) for found in outcome.findings] == [(True, ""), (False, "import six")]
    assert outcome.seconds > 0


def test_failures_are_checked_again_on_request(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runs_of_own_check(*fleet_of_one, kept, monkeypatch, reuse_failures=False) == 2


@pytest.mark.parametrize(("hours", "runs"), [(0.0, 1), (24.1, 2)])
def test_what_passed_beside_a_set_without_a_lock_is_valid_for_as_long_as_a_lock(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch, hours: float, runs: int
) -> None:
    """What is installed instead of the set is part of no key."""
    kept.findings = ()

    def leave_unlocked(gate: Scheduler) -> None:
        monkeypatch.setattr(gate.facts.installer.locks, "cached", lambda cell: None)
        locker = gate.facts.installer.locks._parts.locker
        monkeypatch.setattr(locker, "cached_failure_digest", lambda request, build: "0123")

    runs_of_own_check(*fleet_of_one, kept, monkeypatch, prepare=leave_unlocked)
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + hours * 3600)

    assert runs_of_own_check(*fleet_of_one, kept, monkeypatch, prepare=leave_unlocked) == runs


@pytest.mark.parametrize("status", [Status.FAILED, Status.PASSED])
def test_what_was_not_confirmed_is_checked_again(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    kept.is_kept, kept.findings = False, (BROKEN,) if status is Status.FAILED else ()

    assert runs_of_own_check(*fleet_of_one, kept, monkeypatch) == 2


def test_what_could_not_be_checked_is_checked_again(
    fleet_of_one: tuple[Path, Service], kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.unchecked = "the suite was killed"

    assert runs_of_own_check(*fleet_of_one, kept, monkeypatch) == 2


def test_a_set_that_is_known_to_have_no_lock_has_a_digest_as_well(tmp_path: Path) -> None:
    """Otherwise nothing of a blocked service could be cached."""
    source = RequirementSource(path="services/user-service/requirements.txt")
    cell = cell_of("3.12", service(requirements=(source,)))
    service_tree(tmp_path / cell.service.path, {"requirements.txt": "six==99\n"})
    gate = gate_on(*INTERPRETERS, root=tmp_path)
    installer = gate.facts.installer
    request, build = installer.request_builder.request(cell, (), ()), installer.build(cell)

    earlier_digests = installer.locks.cached_digests(cell)
    installer.locks._parts.locker._failures.put(request, build, (BROKEN,), complete=True)
    digests = installer.locks.cached_digests(cell)
    gate.close()

    assert earlier_digests is None
    assert digests is not None
    assert digests[1].startswith(WITHOUT_LOCK)


@pytest.mark.parametrize(("complete", "runs"), [(True, 1), (False, 2)])
def test_the_warnings_of_a_suite_are_those_of_an_earlier_complete_run(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch, complete: bool, runs: int
) -> None:
    root, of = fleet_of_one
    warning = SuiteWarning(category="DeprecationWarning", message="gone in 3.12", origin="app.py:1")
    asked: list[Cell] = []
    for _ in range(2):
        gate = gate_on(*INTERPRETERS, root=root)
        monkeypatch.setattr(gate.facts.installer.locks, "cached", lambda cell: DependencyLock(pins=()))

        def run_suite(cell: Cell) -> SuiteRun:
            asked.append(cell)
            return replace(run_of({"test_a": "passed"}, "3.9"), warnings=(warning,), complete=complete)

        monkeypatch.setattr(gate.facts, "suite_run", run_suite)
        assert gate.facts.suite_warnings(cell_of("3.9", of)).warnings == (warning,)
        gate.close()

    assert len(asked) == runs


def test_a_third_party_check_always_runs(fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its inputs nor changes of its code are known."""
    own = ThirdPartyCheck()

    assert runs_of_own_check(*fleet_of_one, own, monkeypatch) == 2


def test_the_source_check_alone_is_errored_without_the_target(tmp_path: Path) -> None:
    """Nothing is installed, so nothing else has reported the missing interpreter."""
    of = service(requirements=())
    folder = tmp_path / of.path
    folder.mkdir(parents=True)
    gate = gate_on(root=tmp_path)
    (folder / "app.py").write_text("import json\n", encoding="utf-8")

    outcome = gate.run(CheckTask(cell=cell_of("3.12", of), check=SourceCheck())).outcome
    gate.close()

    assert outcome.status is Status.ERRORED
    assert "no Python 3." in outcome.reason


def test_what_is_computed_ahead_is_finished_once_it_is_there(fleet_of_one: tuple[Path, Service]) -> None:
    root, of = fleet_of_one
    gate = gate_on(*INTERPRETERS, root=root)
    passing, failing = (CheckTask(cell=cell_of("3.12", of), check=ThirdPartyCheck(name=name)) for name in ("a", "b"))
    future: Future[CheckResult] = Future()
    gate._futures |= {passing.name: future, failing.name: Future()}
    assert gate.finished(passing) is None
    result = passing.check.run(passing.cell, gate.facts)
    future.set_result(result)
    gate._futures[failing.name].set_exception(ValueError("of ours"))
    assert (gate.finished(passing), gate.finished(failing)) == (result, None)
    gate.close()


@dataclass(kw_only=True)
class FakeInstaller:
    """Prepares and counts work without installing anything. ``prepared`` has the services of each call.

    It is its own ``locks``.
    """

    work: Mapping[str, int]
    grouped: Callable[[Sequence[Cell]], dict[Interpreter, list[Cell]]]
    prepared: list[tuple[str, list[str]]] = field(default_factory=list)

    def group_by_interpreter(self, cells: Sequence[Cell]) -> dict[Interpreter, list[Cell]]:
        return self.grouped(cells)

    def prepare(self, interpreter: Interpreter, cells: Sequence[Cell]) -> bool:
        self.prepared.append((str(interpreter), sorted({cell.service.name for cell in cells})))
        return True

    @property
    def locks(self) -> "FakeInstaller":
        return self

    def is_determined(self, service: Service) -> bool:
        return True

    def remaining_work(self, cell: Cell) -> int:
        if self.work.get(cell.service.name, 0) < 0:
            raise ValueError("of ours")
        return self.work.get(cell.service.name, 0)


@dataclass(kw_only=True)
class WaitingCheck(ThirdPartyCheck):
    """A check of which the services that build wait until all others have ended."""

    waiting: Collection[str]
    others: int
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        if cell.service.name in self.waiting:
            assert self.ended.wait(20)
        result = super().run(cell, facts)
        if sum(other.service.name not in self.waiting for other in self.asked) == self.others:
            self.ended.set()
        return result


def test_services_that_build_for_long_keep_no_other_service_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one whose work is not known because of an error of ours."""
    gate = gate_on(*INTERPRETERS, root=tmp_path)
    slow = {"service-1": 3, "service-2": 9, "service-3": 5, "service-4": -1}
    services = [service(f"service-{number}", requirements=(), suite=None) for number in range(1, 21)]
    check = WaitingCheck(waiting=slow, others=16)
    installer = FakeInstaller(work=slow, grouped=gate.facts.installer.group_by_interpreter)
    monkeypatch.setattr(gate.facts, "installer", installer)
    monkeypatch.setattr(gate._keys, "key_of", lambda *_, **__: "")
    tasks = [CheckTask(cell=cell_of("3.12", of), check=check) for of in services]

    gate.prefetch(tasks)
    for task in tasks:
        assert gate.run(task).outcome.status is Status.PASSED
    gate.close()

    order = [cell.service.name for cell in check.asked]
    assert sorted(order[:16]) == sorted(of.name for of in services if of.name not in slow)
    assert order[16:] == ["service-1", "service-3", "service-2", "service-4"]
    first = [names for interpreter, names in installer.prepared if interpreter == "3.12"]
    assert sorted(map(len, first)) == [4, 8, 8]
    assert {f"service-{number}" for number in range(1, 9)} in map(set, first)


@pytest.mark.parametrize("work", [{}, {"service-2": 3}])
def test_a_benchmark_is_computed_after_all_that_is_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Mapping[str, int]
) -> None:
    """It is measured where suites run: threads that build would start it beside them."""
    gate = gate_on(*INTERPRETERS, root=tmp_path)
    submitted: list[tuple[bool, tuple[int, ...]]] = []

    class Recorder:
        def __init__(self, *, builds: bool) -> None:
            self._builds = builds

        def submit(self, priority: tuple[int, ...], job: Callable[[], object]) -> None:
            submitted.append((self._builds, priority))

    gate._workers, gate._builders = Recorder(builds=False), Recorder(builds=True)  # type: ignore[assignment]  # fakes
    installer = FakeInstaller(work=work, grouped=gate.facts.installer.group_by_interpreter)
    monkeypatch.setattr(gate.facts, "installer", installer)
    services = [service(f"service-{number}", requirements=(), suite=None) for number in range(1, 4)]
    benchmark, other = ThirdPartyCheck(name="benchmark", comes_last=True), ThirdPartyCheck()
    tasks = [CheckTask(cell=cell_of("3.12", of), check=check) for of in services for check in (benchmark, other)]
    gate._register(tasks)

    gate._enqueue(tasks, {of.name: number for number, of in enumerate(services)})

    workers = sorted(priority for builds, priority in submitted if not builds)
    assert [priority[1] == LAST for priority in workers[-3:]] == [True] * 3
    assert [priority[1] == LAST for builds, priority in submitted if builds] == [False] * len(work)
    gate._workers = gate._builders = None
    gate.close()


# ---- errors of ours


@dataclass(kw_only=True)
class RaisingCheck(ThirdPartyCheck):
    """A check that raises for one service."""

    error: BaseException
    name_of_service: str = "service-1"

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        if cell.service.name == self.name_of_service:
            raise self.error
        return super().run(cell, facts)


def tasks_of_two(check: ThirdPartyCheck) -> list[CheckTask]:
    return [
        CheckTask(cell=cell_of("3.12", service(f"service-{number}", requirements=(), suite=None)), check=check)
        for number in (1, 2)
    ]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("error", [KeyError("of ours"), pytest.skip.Exception("of a plugin"), SystemExit(3)])
def test_an_exception_in_one_task_is_raised_where_its_result_is_needed(tmp_path: Path, error: BaseException) -> None:
    """Also one that is no ``Exception``: pytest would wait for the result for ever."""
    gate = gate_on(*INTERPRETERS, root=tmp_path)
    first, second = tasks_of_two(RaisingCheck(error=error))
    gate.prefetch([first, second])
    with pytest.raises(type(error)):
        gate.run(first)
    assert gate.run(second).outcome.status is Status.PASSED
    gate.close()


@pytest.mark.parametrize("shared", [False, True])
def test_a_key_that_cannot_be_computed_ends_only_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    gate = gate_on(*INTERPRETERS, root=tmp_path)
    first, second = tasks_of_two(ThirdPartyCheck())

    def key_of(task: CheckTask, *, installs: bool) -> str:
        if task is first:
            raise ValueError("of ours")
        return ""

    monkeypatch.setattr(gate._keys, "key_of", key_of)
    (gate.prepare_shared if shared else gate.prefetch)([first, second])
    with pytest.raises(ValueError, match="of ours"):
        gate.run(first)
    assert gate.run(second).outcome.status is Status.PASSED
    gate.close()


@pytest.mark.parametrize("ahead", [False, True])
def test_a_service_that_could_not_be_read_is_not_checked(tmp_path: Path, ahead: bool) -> None:
    gate, check = gate_on(*INTERPRETERS, root=tmp_path), ThirdPartyCheck()
    read, unread = tasks_of_two(check)
    unread = replace(unread, cell=replace(unread.cell, service=replace(unread.cell.service, unread="KeyError: x")))
    if ahead:
        gate.prefetch([read, unread])
    outcomes = [gate.run(task).outcome for task in (read, unread)]
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [
        (Status.PASSED, "it is fine"),
        (Status.ERRORED, "KeyError: x"),
    ]
    assert check.asked == [read.cell]
    gate.close()


SEPARATE = service(
    requirements=(RequirementSource(path="shared/production.txt"),),
    test_requirements=(RequirementSource(path="services/user-service/test.txt"),),
    separate_tests=True,
)
"""A service whose tests are installed without production."""


def lock_of_set(cell: Cell, production: dict[str, str], tests: dict[str, str]) -> DependencyLock:
    versions = tests if cell.service.test_requirements else production
    pins = (Pin(name=name, version=version, line=f"{name}=={version}") for name, version in versions.items())
    return DependencyLock(pins=tuple(pins))


def separate_tree(root: Path) -> None:
    service_tree(root, {"shared/production.txt": "six\n", f"{SEPARATE.path}/test.txt": "six==1.15.0\n"})


@pytest.mark.parametrize("change", ["lock", "file", ""])
def test_an_outcome_depends_on_what_production_installs_apart_from_tests(
    tmp_path: Path, kept: ThirdPartyCheck, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    separate_tree(tmp_path)
    versions = iter(("1.15.0", "1.16.0" if change == "lock" else "1.15.0"))

    def install(gate: Scheduler) -> None:
        production = {"six": next(versions)}
        monkeypatch.setattr(
            gate.facts.installer.locks, "cached", lambda cell: lock_of_set(cell, production, {"six": "1.15.0"})
        )
        if change == "file" and kept.asked:
            (tmp_path / "shared/production.txt").write_text("six>1\n", encoding="utf-8")

    runs = runs_of_own_check(tmp_path, SEPARATE, kept, monkeypatch, prepare=install)

    assert runs == (2 if change else 1)


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize(("file", "of_tests"), [("app.py", False), ("tests/test_app.py", True)])
def test_source_is_judged_with_the_versions_that_it_runs_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str, file: str, of_tests: bool
) -> None:
    separate_tree(tmp_path)
    gate = gate_on(*INTERPRETERS, root=tmp_path)
    facts, production, tests = gate.facts, {"six": "1.16.0"}, {"setuptools": "68.0.0"}
    monkeypatch.setattr(facts.installer.locks, "cached", lambda cell: lock_of_set(cell, production, tests))
    place = Location(path=f"{SEPARATE.path}/{file}", line=1)

    class Analyzer:
        def analyze(self, cell: Cell, lock: Mapping[str, str], declared: Sequence[str]) -> AnalysisResult:
            return AnalysisResult(findings=(Finding(code="PY209", message=" ".join(lock), location=place),))

    analysis = SourceAnalysis(installer=facts.installer, is_installed=lambda _: False)
    findings = analysis.result(cast(ServiceAnalyzer, Analyzer()), cell_of(interpreter, SEPARATE)).findings
    gate.close()

    assert [finding.message for finding in findings] == ["setuptools" if of_tests else "six"]


@pytest.mark.parametrize(
    ("file", "production", "message"),
    [
        ("app.py", {"six": "1.16.0"}, "missing"),
        ("app.py", {"six": "1.16.0", "setuptools": "68.0.0"}, "provided"),
        ("app.py", None, "provided"),
        ("tests/test_app.py", {"six": "1.16.0"}, "provided"),
        ("tools/release/noxfile.py", {"six": "1.16.0"}, "provided"),
    ],
)
@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_setuptools_that_only_tests_require_does_not_count_for_production(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interpreter: str,
    file: str,
    production: dict[str, str] | None,
    message: str,
) -> None:
    separate_tree(tmp_path)
    gate, together = gate_on(*INTERPRETERS, root=tmp_path), replace(SEPARATE, separate_tests=False)
    facts = gate.facts

    def cached(cell: Cell) -> DependencyLock | None:
        is_whole = bool(cell.service.test_requirements)
        return None if production is None and not is_whole else lock_of_set(cell, production or {}, {"setuptools": "1"})

    monkeypatch.setattr(facts.installer.locks, "cached", cached)
    place = Location(path=f"{together.path}/{file}", line=1)

    class Analyzer:
        def analyze(self, cell: Cell, lock: Mapping[str, str], declared: Sequence[str]) -> AnalysisResult:
            text = "provided" if "setuptools" in lock else "missing"
            return AnalysisResult(findings=(Finding(code="PY209", message=text, location=place),))

    analysis = SourceAnalysis(installer=facts.installer, is_installed=lambda _: False)
    findings = analysis.result(cast(ServiceAnalyzer, Analyzer()), cell_of(interpreter, together)).findings
    gate.close()

    assert [finding.message for finding in findings] == [message]


def test_the_time_of_a_suite_is_that_of_its_run_although_it_was_run_ahead(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check itself only reads the result then: it would look as if the suite took no time."""
    root, of = fleet_of_one
    gate, cell = gate_on(*INTERPRETERS, root=root), cell_of("3.12", of)
    run = replace(run_of({"test_a": "passed"}), seconds=12.5)
    monkeypatch.setattr(gate.facts, "_run_suite", lambda *_: run)
    monkeypatch.setattr(gate.facts, "installation", lambda cell: installation_of())
    gate.facts.suite_run(cell)

    result = gate.run(CheckTask(cell=cell, check=ThirdPartyCheck(name="suite")))
    gate.close()

    assert result.outcome.seconds == 12.5


def test_the_time_of_an_installation_is_shared_by_the_cells_that_it_was_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells of one Python are installed together, ahead of the checks of their dependencies."""
    gate = gate_on(*INTERPRETERS, root=tmp_path)
    monkeypatch.setattr(
        gate.facts, "installer", FakeInstaller(work={}, grouped=gate.facts.installer.group_by_interpreter)
    )
    monkeypatch.setattr(gate._keys, "key_of", lambda *_, **__: "")
    cells = [cell_of("3.12", service(name, requirements=(), suite=None)) for name in ("a", "b")]
    tasks = [CheckTask(cell=cell, check=ThirdPartyCheck(name="dependencies")) for cell in cells]
    times = iter([100.0, 108.0])
    monkeypatch.setattr(clock, "stopwatch", lambda: next(times, 108.0))

    gate._prepare_interpreter(Interpreter(3, 12), cells, _Readiness(tasks, lambda ready: None), {"a": 0, "b": 1})
    seconds = [gate.run(task).outcome.seconds for task in tasks]
    gate.close()

    assert seconds == [4.0, 4.0]


def test_a_run_reports_what_it_plans_and_does(
    fleet_of_one: tuple[Path, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the durations of an earlier run, and without work for what is cached."""
    root, of = fleet_of_one
    own = ThirdPartyCheck(name=CHECKS[0].name)
    monkeypatch.setattr("pytest_py312.gate.run.outcome_keys.CHECKS", (own,))
    task = CheckTask(cell=cell_of("3.12", of), check=own)
    runs: list[list[ProgressEvent]] = []
    for _ in range(2):
        gate = gate_on(*INTERPRETERS, root=root)
        monkeypatch.setattr(gate.facts.installer.locks, "cached", lambda cell: DependencyLock(pins=()))
        events: list[ProgressEvent] = []
        with PROGRESS.listening(events.append):
            gate.prefetch([task])
            gate.run(task)
        gate.close()
        runs.append(events)
    first, second = ([event for event in events if isinstance(event, RunPlanned)] for events in runs)
    assert first[0].items == {task.name: 0.0}
    assert second[0].items[task.name] > 0
    titles = [
        [event.subject for event in events if isinstance(event, ActivityStarted) and event.item] for events in runs
    ]
    assert titles == [[task.title], []]
    assert [event.items for event in runs[1] if isinstance(event, ItemsAnswered)] == [(task.name,)]
