"""Fakes and builders for tests of checks, runners and rollouts. No process, no network, no Docker.

cell = cell_of("3.12") facts = FakeFacts(runs={"3.9": run_of({"tests/test_x.py::test_a": "passed"}), "3.12":
run_of({...})}) assert SuiteCheck().judge(cell, facts).outcome.status is Status.PASSED
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_py312.analysis.services.service_analysis import AnalysisResult
from pytest_py312.core.model.findings import Finding, Interpreter, Location
from pytest_py312.core.model.fleet import Cell, RequirementSource, Service, StartModule
from pytest_py312.core.model.measurements import (
    BenchmarkResults,
    ImagePackages,
    InterpreterBuild,
    StartImport,
    SuiteRun,
    TestResult,
)
from pytest_py312.core.model.plan import Plan, ServiceSettings, Suite, SuiteKind
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.store.environments import Environment
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.services.images import ImageCheckResult
from pytest_py312.repository.services.requirements.requirement_set import RequirementSet
from pytest_py312.repository.services.version_survey import DeclaredVersions
from pytest_py312.rollout.domain.target_model import Container, LockHolder, Observation, ServiceSpec, Usage
from pytest_py312.rollout.targets.target import Readiness, ReadinessPhase, TargetRefused
from pytest_py312.runners.runner import CellUnavailable, ProbeJob, ProbeResult

INTERPRETERS = ("3.9", "3.10", "3.12")


def service(name: str = "user-service", **changes: Any) -> Service:
    """Return a service in ``services/<name>`` on 3.9 with a pytest suite; ``changes`` replace any field."""
    made = Service(
        name=name,
        path=f"services/{name}",
        stage=1,
        critical=False,
        baseline=Interpreter(3, 9),
        baseline_source="the test says so",
        requirements=(RequirementSource(path=f"services/{name}/requirements.txt"),),
        test_requirements=(),
        suite=Suite(kind=SuiteKind.PYTEST),
        settings=ServiceSettings(),
        manifest=f"services/{name}/requirements.txt",
    )
    return replace(made, **changes)


def cell_of(interpreter: str = "3.12", of: Service | None = None) -> Cell:
    """Return a cell of ``of`` (or of :func:`service`)."""
    return Cell(service=of or service(), interpreter=Interpreter.parse(interpreter))


def build_of(interpreter: str = "3.12", patch: int = 1, **changes: Any) -> InterpreterBuild:
    """Return a build of ``interpreter`` that does not exist."""
    made = InterpreterBuild(
        interpreter=Interpreter.parse(interpreter),
        version=f"{interpreter}.{patch}",
        executable=f"/opt/python{interpreter}/bin/python{interpreter}",
        origin="a test",
        digest=f"digest-{interpreter}",
        flags="pgo",
    )
    return replace(made, **changes)


def run_of(
    outcomes: Mapping[str, str], interpreter: str = "3.12", *, details: Mapping[str, str] | None = None, **changes: Any
) -> SuiteRun:
    """Return a run with these outcomes of tests; ``details`` are the ends of tracebacks or reasons."""
    detail_by_test = details or {}
    results = {
        name: TestResult(id=name, outcome=outcome, detail=detail_by_test.get(name, ""))
        for name, outcome in outcomes.items()
    }
    return replace(SuiteRun(interpreter=Interpreter.parse(interpreter), results=results), **changes)


def installation_of(
    interpreter: str = "3.12", versions: Mapping[str, str] | None = None, **changes: Any
) -> Installation:
    """Return a proven installation of ``versions`` (normalised name to version)."""
    held = dict(versions or {})
    modules = {name: (name.replace("-", "_"),) for name in held}
    folder = Path("/nowhere")
    made = Installation(
        build=build_of(interpreter),
        environment=Environment(key="0" * 32, folder=folder, versions=held, modules=modules),
        imports={module: "" for names in modules.values() for module in names},
        distributions=tuple(
            StoredDistribution(name=name, version=version, folder=folder) for name, version in held.items()
        ),
    )
    return replace(made, **changes)


def service_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write ``files`` (relative path to text) below ``root`` and return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@dataclass(kw_only=True)
class FakeFacts:
    """A fake of gate.checks.check.Facts. Keys are interpreters (``"3.12"``).

    ``runs`` are first runs; ``again`` returns every further one, by default the first run is repeated. The requested
    runs are recorded in ``asked``: (interpreter, attempt, tests).
    """

    plan: Plan = field(default_factory=lambda: Plan(root=Path("/nowhere")))
    interpreters: Sequence[str] = INTERPRETERS
    runs: Mapping[str, SuiteRun] = field(default_factory=dict)
    installations: Mapping[str, Installation] = field(default_factory=dict)
    started: Mapping[str, Mapping[str, str | StartImport]] = field(default_factory=dict)
    """Interpreter -> module -> how its import ended, or the traceback only."""
    later: Mapping[str, str] = field(default_factory=dict)
    """Module -> the traceback with which its import fails on the target only."""
    required: RequirementSet = field(default_factory=RequirementSet)
    inspections: Mapping[str, AnalysisResult] = field(default_factory=dict)
    library_inspections: Mapping[str, AnalysisResult] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    reading: DeclaredVersions = field(default_factory=DeclaredVersions)
    image_results: Mapping[str, Sequence[ImageCheckResult]] = field(default_factory=dict)
    measured: BenchmarkResults = field(default_factory=BenchmarkResults)
    again: Callable[[str, int, tuple[str, ...]], SuiteRun] | None = None
    asked: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)
    with_baseline_versions: SuiteRun | None = None

    def builds_without_compiler(self, installation: Installation, distribution: StoredDistribution) -> bool:
        return False

    def cells(self, service: Service) -> Sequence[Cell]:
        interpreters = [Interpreter.parse(text) for text in self.interpreters]
        return [
            Cell(service=service, interpreter=interpreter)
            for interpreter in interpreters
            if interpreter >= service.baseline
        ]

    def requirements(self, service: Service) -> RequirementSet:
        return self.required

    def installation(self, cell: Cell) -> Installation:
        return self.installations.get(str(cell.interpreter)) or installation_of(str(cell.interpreter))

    def start_imports(self, cell: Cell) -> Mapping[str, StartImport]:
        started = self.started.get(str(cell.interpreter), {})
        return {name: StartImport(detail=how) if isinstance(how, str) else how for name, how in started.items()}

    def later_failures(self, cell: Cell, imported_files: frozenset[str]) -> Mapping[StartModule, StartImport]:
        return {
            StartModule(name=name, imported_at=Location(path="app/main.py", line=7)): StartImport(detail=how)
            for name, how in self.later.items()
            if name not in imported_files
        }

    def repair(self, cell: Cell, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings without repairs."""
        return list(findings)

    def library_analysis(self, cell: Cell) -> AnalysisResult:
        """Return the result in ``library_inspections``, or one without findings."""
        return self.library_inspections.get(str(cell.interpreter)) or AnalysisResult()

    def suite_warnings(self, cell: Cell) -> SuiteRun:
        """Return the first run."""
        return self.suite_run(cell)

    def source_analysis(self, cell: Cell) -> AnalysisResult:
        return self.inspections.get(str(cell.interpreter)) or AnalysisResult()

    def optional_requirements(self, service: Service) -> Mapping[str, str]:
        return self.optional

    def declared_versions(self, service: Service) -> DeclaredVersions:
        return self.reading

    def image_runs(self, cell: Cell) -> Sequence[ImageCheckResult]:
        return self.image_results.get(str(cell.interpreter), ())

    def benchmark_results(self, cell: Cell) -> BenchmarkResults:
        return self.measured

    def suite_run_with_baseline_versions(self, cell: Cell, select: tuple[str, ...]) -> SuiteRun | None:
        return self.with_baseline_versions

    def suite_run(self, cell: Cell, attempt: int = 0, select: tuple[str, ...] = ()) -> SuiteRun:
        name = str(cell.interpreter)
        self.asked.append((name, attempt, select))
        if attempt and self.again is not None:
            return self.again(name, attempt, select)
        return replace(self.runs[name], interpreter=cell.interpreter)


@dataclass(kw_only=True)
class FakeRunner:
    """A runners.runner.Runner that starts nothing: tools return ``answers`` in turn, ``cell`` returns results of jobs.

    Calls are recorded in ``tools`` (argv) and ``jobs``. The query for uv's index returns none and is not
    recorded.
    """

    name: str = "local"
    interpreters: Sequence[str] = INTERPRETERS
    answers: list[CommandResult] = field(default_factory=list)
    cell: Callable[[ProbeJob], ProbeResult] | None = None
    tools: list[tuple[str, ...]] = field(default_factory=list)
    jobs: list[ProbeJob] = field(default_factory=list)
    closed: bool = False

    def describe(self) -> str:
        return f"{self.name} (fake)"

    def find_interpreter(self, interpreter: Interpreter) -> InterpreterBuild:
        if str(interpreter) not in self.interpreters:
            raise CellUnavailable(f"no Python {interpreter} was found. Get one")
        return build_of(str(interpreter))

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        if "--emit-index-url" in argv:
            return command_run_of()
        if "compile" in argv and "--no-deps" in argv and not self.answers:
            return command_run_of()  # the question for the newest versions, which follows an open set
        self.tools.append(tuple(argv))
        return self.answers.pop(0)

    def path_inside(self, path: Path) -> str:
        return str(path)

    def run(self, job: ProbeJob) -> ProbeResult:
        self.jobs.append(job)
        return self.cell(job) if self.cell else cell_run_of({"event": "end", "code": 0})

    def close(self) -> None:
        self.closed = True


@dataclass(kw_only=True)
class ImageRunner(FakeRunner):
    """A runner whose images can have packages; ``made`` are those that exist."""

    made: dict[Interpreter, ImagePackages] = field(default_factory=dict)
    failure: str = ""

    def find_with_packages(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild | None:
        if self.made.get(build.interpreter) != packages:
            return None
        return replace(build, digest=f"{build.digest}+", packages=packages)

    def add_packages(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild:
        if self.failure:
            raise CellUnavailable(self.failure)
        self.made[build.interpreter] = packages
        found = self.find_with_packages(build, packages)
        assert found is not None
        return found


@dataclass(kw_only=True)
class FakeContainer:
    """A container of a :class:`FakeTarget`."""

    name: str
    image: str
    running: bool = False
    run: str = ""


@dataclass(kw_only=True)
class FakeTarget:
    """A rollout.targets.target.Target in memory. Images are named by their interpreter: ``old-3.9``, ``new-3.12``.

    ``before`` and ``after`` are called with each step before and after it: either may raise, to simulate a target that
    refuses or a process that is killed. Steps are recorded in ``steps``.
    """

    name: str = "fake"
    place: str = ""
    """The target's identity."""
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    unready: set[str] = field(default_factory=set)
    """Images that never become healthy."""
    locks: dict[str, LockHolder] = field(default_factory=dict)
    before: Callable[[str], None] = lambda step: None
    after: Callable[[str], None] = lambda step: None
    steps: list[str] = field(default_factory=list)
    made: int = 0

    def serve(self, service: str, image: str) -> Container:
        """Start a serving container that was not deployed by this tool."""
        self.made += 1
        self.containers[f"id{self.made}"] = FakeContainer(name=service, image=image, running=True)
        return Container(id=f"id{self.made}", image=image)

    def serving(self) -> dict[str, str]:
        """Return the image of each running container, by its name."""
        return {container.name: container.image for container in self.containers.values() if container.running}

    def identity(self) -> str:
        return self.place

    def image_id(self, reference: str) -> str:
        return reference

    def observe(self, spec: ServiceSpec) -> Observation | None:
        self._step("observe", spec)
        container_id = next(
            (key for key, container in self.containers.items() if container.name == spec.container), None
        )
        if container_id is None:
            return None
        container = self.containers[container_id]
        interpreter = Interpreter.parse(container.image.rpartition("-")[2])
        return Observation(
            container=Container(id=container_id, image=container.image),
            running=container.running,
            interpreters=(interpreter,) if container.running else (),
        )

    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        self._step("prepare", spec)
        if image in self.missing:
            raise TargetRefused(f"there is no image {image}")
        self._remove(spec, run)
        self.made += 1
        self.containers[f"id{self.made}"] = FakeContainer(name=f"{spec.container}.next", image=image, run=run)
        self._done("prepare", spec)
        return Container(id=f"id{self.made}", image=image)

    def switch(self, spec: ServiceSpec, container: Container) -> None:
        self._step("switch", spec)
        for key, one in self.containers.items():
            if one.name == spec.container and key != container.id:
                one.running, one.name = False, f"{spec.container}.{key}"
        self._step("switch (nothing serves)", spec)
        chosen = self.containers[container.id]
        chosen.name, chosen.running = spec.container, True
        self._done("switch", spec)

    def readiness(self, spec: ServiceSpec, container: Container) -> Readiness:
        self._step("ready", spec)
        bad = self.containers[container.id].image in self.unready
        return (
            Readiness(phase=ReadinessPhase.BROKEN, detail="exit code 1")
            if bad
            else Readiness(phase=ReadinessPhase.READY)
        )

    def start_control(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        self._step("start control", spec)
        self._remove_control(spec)
        self.made += 1
        made = FakeContainer(name=f"{spec.container}.control", image=old.image, run=run, running=True)
        self.containers[f"id{self.made}"] = made
        self._done("start control", spec)
        return Container(id=f"id{self.made}", image=old.image)

    def remove_control(self, spec: ServiceSpec, *, run: str) -> None:
        self._step("remove control", spec)
        self._remove_control(spec)
        self._done("remove control", spec)

    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        self._step("restore", spec)
        if old is not None and old.id not in self.containers:
            raise TargetRefused("the old container is gone")
        if old is not None:
            self.switch(spec, old)
        self._remove(spec, run)
        self._done("restore", spec)
        return "the log of it"

    def read_usage(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        return Usage(cpu_seconds=0.0, memory=0, restarts=0, out_of_memory=False)

    def environment_lock(self, environment: str) -> "FakeLock":
        return FakeLock(environment=environment, locks=self.locks)

    def _remove_control(self, spec: ServiceSpec) -> None:
        for key in [key for key, one in self.containers.items() if one.name == f"{spec.container}.control"]:
            del self.containers[key]

    def _remove(self, spec: ServiceSpec, run: str) -> None:
        mine = [key for key, one in self.containers.items() if one.run == run and one.name.startswith(spec.container)]
        for key in mine:
            del self.containers[key]

    def _step(self, step: str, spec: ServiceSpec) -> None:
        self.before(f"{step} {spec.service}")
        self.steps.append(f"{step} {spec.service}")

    def _done(self, step: str, spec: ServiceSpec) -> None:
        self.after(f"{step} {spec.service}")


@dataclass(kw_only=True)
class FakeLock:
    """The rollout.targets.target.Lock of a :class:`FakeTarget`."""

    environment: str
    locks: dict[str, LockHolder]

    def holder(self) -> LockHolder | None:
        return self.locks.get(self.environment)

    def acquire(self, holder: LockHolder, *, replacing: LockHolder | None = None) -> LockHolder | None:
        current = self.locks.get(self.environment)
        if current is not None and current != replacing:
            return current
        self.locks[self.environment] = holder
        return None

    def release(self, holder: LockHolder) -> None:
        if self.locks.get(self.environment) == holder:
            del self.locks[self.environment]


def command_run_of(stdout: str = "", stderr: str = "", exit_code: int | None = 0, **changes: Any) -> CommandResult:
    """Return the result of a command that exited."""
    made = CommandResult(
        argv=("tool",), exit_reason=ExitReason.EXITED, exit_code=exit_code, stdout=stdout, stderr=stderr, seconds=0.0
    )
    return replace(made, **changes)


def cell_run_of(*records: Mapping[str, Any], **changes: Any) -> ProbeResult:
    """Return the result of a cell's process that exited after it had reported ``records``."""
    return replace(ProbeResult(exit_reason=ExitReason.EXITED, exit_code=0, seconds=0.0, records=records), **changes)
