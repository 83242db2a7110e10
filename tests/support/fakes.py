"""Fakes and builders for tests of checks, runners and the parts between them. No process, no network, no Docker.

cell = cell_of("3.12")
facts = FakeFacts(runs={"3.9": run_of({"tests/test_x.py::test_a": "passed"}), "3.12": run_of({...})})
assert SuiteCheck().judge(cell, facts).outcome.status is Status.PASSED
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_py312.analysis.services.service_analysis import Inspection
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.fleet import Cell, RequirementSource, Service
from pytest_py312.core.model.measurements import InterpreterBuild, Speeds, SuiteRun, TestResult
from pytest_py312.core.model.plan import Plan, ServiceSettings, Suite, SuiteKind
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.dependencies.installation.distribution_store import Entry
from pytest_py312.dependencies.installation.environments import Environment
from pytest_py312.dependencies.installation.installer import Installation
from pytest_py312.repository.services.images import ImageRun
from pytest_py312.repository.services.requirement_set import RequirementSet
from pytest_py312.repository.services.version_survey import Reading
from pytest_py312.rollout.domain.model import Container, Holder, Observation, ServiceSpec, Usage
from pytest_py312.rollout.targets.target import Phase, Readiness, TargetRefused
from pytest_py312.runners.runner import CellJob, CellRun, CellUnavailable

INTERPRETERS = ("3.9", "3.10", "3.12")


def service(name: str = "user-service", **changes: Any) -> Service:
    """A service in ``services/<name>`` that is on 3.9 and has a pytest suite; ``changes`` replace any field."""
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
    """A cell of ``of`` (or of :func:`service`)."""
    return Cell(service=of or service(), interpreter=Interpreter.parse(interpreter))


def build_of(interpreter: str = "3.12", patch: int = 1, **changes: Any) -> InterpreterBuild:
    """A build of ``interpreter`` that exists nowhere."""
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
    """A run in which each test ended as ``outcomes`` says; ``details`` are the ends of tracebacks or reasons."""
    known = details or {}
    results = {
        name: TestResult(id=name, outcome=outcome, detail=known.get(name, "")) for name, outcome in outcomes.items()
    }
    return replace(SuiteRun(interpreter=Interpreter.parse(interpreter), results=results), **changes)


def installation_of(
    interpreter: str = "3.12", versions: Mapping[str, str] | None = None, **changes: Any
) -> Installation:
    """A proven installation of ``versions`` (normalised name to version)."""
    held = dict(versions or {})
    modules = {name: (name.replace("-", "_"),) for name in held}
    folder = Path("/nowhere")
    made = Installation(
        build=build_of(interpreter),
        environment=Environment(key="0" * 32, folder=folder, versions=held, modules=modules),
        imports={module: "" for names in modules.values() for module in names},
        entries=tuple(Entry(name=name, version=version, folder=folder) for name, version in held.items()),
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
    """gate.checks.check.Facts, made by hand. Keys are interpreters (``"3.12"``).

    ``runs`` are first runs; ``again`` answers for every further one and, without it, the first run is repeated. What
    was asked for is in ``asked``: (interpreter, attempt, tests).
    """

    plan: Plan = field(default_factory=lambda: Plan(root=Path("/nowhere")))
    interpreters: Sequence[str] = INTERPRETERS
    runs: Mapping[str, SuiteRun] = field(default_factory=dict)
    installations: Mapping[str, Installation] = field(default_factory=dict)
    required: RequirementSet = field(default_factory=RequirementSet)
    inspections: Mapping[str, Inspection] = field(default_factory=dict)
    library_inspections: Mapping[str, Inspection] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    image_runs: Mapping[str, Sequence[ImageRun]] = field(default_factory=dict)
    measured: Speeds = field(default_factory=Speeds)
    again: Callable[[str, int, tuple[str, ...]], SuiteRun] | None = None
    asked: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)

    def cells(self, service: Service) -> Sequence[Cell]:
        found = [Interpreter.parse(text) for text in self.interpreters]
        return [Cell(service=service, interpreter=one) for one in found if one >= service.baseline]

    def requirements(self, service: Service) -> RequirementSet:
        return self.required

    def installation(self, cell: Cell) -> Installation:
        return self.installations.get(str(cell.interpreter)) or installation_of(str(cell.interpreter))

    def repair(self, cell: Cell, findings: Sequence[Finding]) -> list[Finding]:
        """No repair is known."""
        return list(findings)

    def libraries(self, cell: Cell) -> Inspection:
        """Nothing is found, unless ``library_inspections`` says otherwise."""
        return self.library_inspections.get(str(cell.interpreter)) or Inspection()

    def inspection(self, cell: Cell) -> Inspection:
        return self.inspections.get(str(cell.interpreter)) or Inspection()

    def version_places(self, service: Service) -> Reading:
        return self.reading

    def images(self, cell: Cell) -> Sequence[ImageRun]:
        return self.image_runs.get(str(cell.interpreter), ())

    def speeds(self, cell: Cell) -> Speeds:
        return self.measured

    def suite_run(self, cell: Cell, attempt: int = 0, select: tuple[str, ...] = ()) -> SuiteRun:
        name = str(cell.interpreter)
        self.asked.append((name, attempt, select))
        if attempt and self.again is not None:
            return self.again(name, attempt, select)
        return replace(self.runs[name], interpreter=cell.interpreter)


@dataclass(kw_only=True)
class FakeRunner:
    """runners.runner.Runner that starts nothing: ``answers`` are given to tools in turn, ``cell`` answers jobs.

    What it was asked is in ``tools`` (argv) and ``jobs``. Asked which index uv uses, it says none, and keeps quiet
    about it.
    """

    name: str = "local"
    interpreters: Sequence[str] = INTERPRETERS
    answers: list[CommandRun] = field(default_factory=list)
    cell: Callable[[CellJob], CellRun] | None = None
    tools: list[tuple[str, ...]] = field(default_factory=list)
    jobs: list[CellJob] = field(default_factory=list)
    closed: bool = False

    def describe(self) -> str:
        return f"{self.name} (fake)"

    def find(self, interpreter: Interpreter) -> InterpreterBuild:
        if str(interpreter) not in self.interpreters:
            raise CellUnavailable(f"no Python {interpreter} was found. Get one")
        return build_of(str(interpreter))

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        if "--emit-index-url" in argv:
            return command_run_of()
        self.tools.append(tuple(argv))
        return self.answers.pop(0)

    def inside(self, path: Path) -> str:
        return str(path)

    def run(self, job: CellJob) -> CellRun:
        self.jobs.append(job)
        return self.cell(job) if self.cell else cell_run_of({"event": "end", "code": 0})

    def close(self) -> None:
        self.closed = True


@dataclass(kw_only=True)
class FakeContainer:
    """What a :class:`FakeTarget` has instead of a container."""

    name: str
    image: str
    running: bool = False
    run: str = ""


@dataclass(kw_only=True)
class FakeTarget:
    """rollout.targets.target.Target in memory. Images are named by their interpreter: ``old-3.9``, ``new-3.12``.

    ``before`` is called with each step before it is done, ``after`` when it was: either may raise, as a target that
    refuses or a process that is killed. What was done is in ``steps``.
    """

    name: str = "fake"
    place: str = ""
    """Which one it says that it is."""
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    unready: set[str] = field(default_factory=set)
    """Images that never become healthy."""
    locks: dict[str, Holder] = field(default_factory=dict)
    before: Callable[[str], None] = lambda step: None
    after: Callable[[str], None] = lambda step: None
    steps: list[str] = field(default_factory=list)
    made: int = 0

    def serve(self, service: str, image: str) -> Container:
        """Let something serve that nobody of us has deployed."""
        self.made += 1
        self.containers[f"id{self.made}"] = FakeContainer(name=service, image=image, running=True)
        return Container(id=f"id{self.made}", image=image)

    def serving(self) -> dict[str, str]:
        """Service -> image, of all that run."""
        return {one.name: one.image for one in self.containers.values() if one.running}

    def identity(self) -> str:
        return self.place

    def image_id(self, reference: str) -> str:
        return reference

    def observe(self, spec: ServiceSpec) -> Observation | None:
        self._step("observe", spec)
        found = next((key for key, one in self.containers.items() if one.name == spec.container), None)
        if found is None:
            return None
        one = self.containers[found]
        interpreter = Interpreter.parse(one.image.rpartition("-")[2])
        return Observation(
            container=Container(id=found, image=one.image),
            running=one.running,
            interpreters=(interpreter,) if one.running else (),
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

    def ready(self, spec: ServiceSpec, container: Container) -> Readiness:
        self._step("ready", spec)
        bad = self.containers[container.id].image in self.unready
        return Readiness(phase=Phase.BROKEN, detail="exit code 1") if bad else Readiness(phase=Phase.READY)

    def twin(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        self._step("twin", spec)
        self._untwin(spec)
        self.made += 1
        made = FakeContainer(name=f"{spec.container}.twin", image=old.image, run=run, running=True)
        self.containers[f"id{self.made}"] = made
        self._done("twin", spec)
        return Container(id=f"id{self.made}", image=old.image)

    def remove_twin(self, spec: ServiceSpec, *, run: str) -> None:
        self._step("remove twin", spec)
        self._untwin(spec)
        self._done("remove twin", spec)

    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        self._step("restore", spec)
        if old is not None and old.id not in self.containers:
            raise TargetRefused("the old container is gone")
        if old is not None:
            self.switch(spec, old)
        self._remove(spec, run)
        self._done("restore", spec)
        return "the log of it"

    def sample(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        return Usage(cpu_seconds=0.0, memory=0, restarts=0, out_of_memory=False)

    def lock(self, environment: str) -> "FakeLock":
        return FakeLock(environment=environment, locks=self.locks)

    def _untwin(self, spec: ServiceSpec) -> None:
        for key in [key for key, one in self.containers.items() if one.name == f"{spec.container}.twin"]:
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
    """rollout.targets.target.Lock of a :class:`FakeTarget`."""

    environment: str
    locks: dict[str, Holder]

    def holder(self) -> Holder | None:
        return self.locks.get(self.environment)

    def take(self, holder: Holder, *, instead_of: Holder | None = None) -> Holder | None:
        found = self.locks.get(self.environment)
        if found is not None and found != instead_of:
            return found
        self.locks[self.environment] = holder
        return None

    def release(self, holder: Holder) -> None:
        if self.locks.get(self.environment) == holder:
            del self.locks[self.environment]


def command_run_of(stdout: str = "", stderr: str = "", exit_code: int | None = 0, **changes: Any) -> CommandRun:
    """A command that exited."""
    made = CommandRun(
        argv=("tool",), ended=Ended.EXITED, exit_code=exit_code, stdout=stdout, stderr=stderr, seconds=0.0
    )
    return replace(made, **changes)


def cell_run_of(*records: Mapping[str, Any], **changes: Any) -> CellRun:
    """A cell's process that exited by itself after it had reported ``records``."""
    return replace(CellRun(ended=Ended.EXITED, exit_code=0, seconds=0.0, records=records), **changes)
