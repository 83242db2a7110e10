"""Imports in a cell, what they prove and what is cached; and the cache key of local wheels."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Interpreter, Location
from pytest_py312.core.model.fleet import Cell, InstallRecipe, InstallStep, RequirementSource
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import ExitReason
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.installation.lock_installation import LockInstaller
from pytest_py312.dependencies.installation.reduced_sets import ReducedSets
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.proofs.import_check import ImportChecker
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.environments import Environment, EnvironmentStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.build_tools import MissingTool
from tests.support.fakes import FakeRunner, ImageRunner, build_of, cell_of, cell_run_of, service, service_tree

IMPORTING = {"event": "importing", "module": "acme"}


def installer_of(root: Path, runner: FakeRunner) -> Installer:
    """Return an installer for the repository ``root``, with its cache there as well."""
    (root / "envs").mkdir(exist_ok=True)
    return Installer(
        plan=Plan(root=root),
        cache=root,
        runner=runner,
        resolver=UvResolver(cache=root, runner=runner, uv_version="test", lock_hours=24.0),
        store=DistributionStore(cache=root, runner=runner),
        environments=EnvironmentStore(cache=root, runner=runner),
        single_flight=SingleFlight(None),
        parallel=1,
    )


def imports_of(cache: Path, *records: dict[str, Any], **end: Any) -> dict[str, str]:
    """Check the module ``acme`` in a cell that reports ``records`` and ends as ``end`` says."""
    runner = FakeRunner(cell=lambda job: cell_run_of(*records, **end))
    environment = Environment(key="0" * 32, folder=cache / "environment", versions={}, modules={})
    (cache / "envs").mkdir(exist_ok=True)
    imports = ImportChecker(root=cache, runner=runner, environments=EnvironmentStore(cache=cache, runner=runner))
    return imports.check(cell_of(), build_of(), environment, ("acme",))


@pytest.mark.parametrize(
    ("exit_reason", "code"),
    [(ExitReason.EXITED, 0), (ExitReason.EXITED, 1), (ExitReason.KILLED, -11), (ExitReason.EXITED, 134)],
)
def test_a_module_that_ends_its_process_cannot_be_imported(tmp_path: Path, exit_reason: ExitReason, code: int) -> None:
    import_errors = imports_of(tmp_path, IMPORTING, exit_reason=exit_reason, exit_code=code, failure="it died")

    assert import_errors == {"acme": "importing it ended the process: it died"}


@pytest.mark.parametrize(
    ("exit_reason", "code"),
    [
        (ExitReason.CANCELLED, -9),
        (ExitReason.KILLED, -9),
        (ExitReason.TIMED_OUT, -2),
        (ExitReason.OUT_OF_MEMORY, -9),
        (ExitReason.ENGINE_LOST, None),
        (ExitReason.DISK_FULL, 1),
    ],
)
def test_an_import_that_the_run_or_the_machine_ended_is_undetermined(
    tmp_path: Path, exit_reason: ExitReason, code: int | None
) -> None:
    """It is not cached either: the next run tries again."""
    with pytest.raises(Undetermined, match="the run was ended"):
        imports_of(tmp_path, IMPORTING, exit_reason=exit_reason, exit_code=code, failure="the run was ended")

    assert imports_of(tmp_path, {"event": "import", "module": "acme", "ok": True}) == {"acme": ""}


@pytest.mark.parametrize(
    ("detail", "now"),
    [
        ("ImportError: libgit2.so.1.5: cannot open shared object file: No such file or directory", ""),
        ("ModuleNotFoundError: No module named 'imp'", "ModuleNotFoundError: No module named 'imp'"),
    ],
)
def test_an_import_that_lacks_a_library_of_the_machine_is_tried_again(tmp_path: Path, detail: str, now: str) -> None:
    """The library may be installed before the next run. Other results belong to the content of the environment."""
    failed = imports_of(tmp_path, IMPORTING, {"event": "import", "module": "acme", "ok": False, "detail": detail})
    again = imports_of(tmp_path, IMPORTING, {"event": "import", "module": "acme", "ok": True})

    assert (failed, again) == ({"acme": detail}, {"acme": now})


@pytest.mark.parametrize(
    ("result", "determined"),
    [
        (Installation(), True),
        (Installation(unchecked="no network"), False),
        (Installation(imports={"acme": "ImportError: libgit2.so.1.5: cannot open shared object file"}), False),
    ],
)
def test_what_another_process_could_not_determine_is_known_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: Installation, determined: bool
) -> None:
    """Another worker has installed the cell: what the machine lacks may be there in the next run."""
    installer = installer_of(tmp_path, FakeRunner())
    monkeypatch.setattr(SingleFlight, "run", lambda once, key, work: result)
    assert installer.installation(cell_of()) is result
    assert installer.locks.is_determined(cell_of().service) is determined


def test_versions_that_cannot_be_tried_are_undetermined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installer = installer_of(tmp_path, FakeRunner())
    monkeypatch.setattr(Locker, "lock", _without_answer)
    assert installer.trials.with_versions(cell_of(), {"acme": "1"}).unchecked
    assert not installer.locks.is_determined(cell_of().service)


def _without_answer(*_: object) -> DependencyLock:
    raise Undetermined("the index did not answer")


def test_the_versions_of_another_interpreter_stay_if_older_ones_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = installer_of(tmp_path, FakeRunner())
    asked: list[ResolutionRequest] = []

    def lock(_: Locker, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        asked.append(request)
        return DependencyLock(pins=())

    def install(_: object, cell: Cell, found: DependencyLock, make_request: Any, limit: float) -> Installation:
        asked.append(make_request(cell, (), ("other<2",)))
        return Installation()

    monkeypatch.setattr(Locker, "lock", lock)
    monkeypatch.setattr(LockInstaller, "install", install)
    installer.trials.with_versions(cell_of(), {"acme": "1"})
    assert [request.constraints[-2:] for request in asked] == [("acme==1",), ("acme==1", "other<2")]


def test_a_lock_depends_on_the_content_of_a_local_folder_of_wheels(tmp_path: Path) -> None:
    """The option ``--find-links ../wheels`` is the same text when another wheel of the same version is put there."""
    of = service(requirements=(RequirementSource(path="user/requirements.txt"),))
    root = service_tree(tmp_path, {"user/requirements.txt": "--find-links ../wheels\nacme\n", "wheels/a.whl": "1"})
    resolver = UvResolver(cache=root, runner=FakeRunner(), uv_version="test", lock_hours=24.0)
    keys = []
    for content in ("1", "2", "1"):
        (root / "wheels/a.whl").write_text(content)
        wanted = installer_of(root, FakeRunner()).request_builder.request(cell_of(of=of), (), ())
        keys.append(resolver.cache_key(wanted, build_of()))

    assert keys[0] == keys[2]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_requirement_that_cannot_be_fetched_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    """Findings that name it are left out: with it, the set might resolve."""
    of = service(requirements=(RequirementSource(path="user/requirements.txt"),), suite=None)
    service_tree(tmp_path, {"user/requirements.txt": "acme @ git+https://git.invalid/acme\nsix==1.16.0\nnumpy==1.0\n"})
    installer = installer_of(tmp_path, FakeRunner())
    numpy = Finding(code="PY104", message="numpy==1.0: no wheel", names=("numpy",))
    plugin = Finding(code="PY102", message="no version of acme fits, which six requires", names=("six",))
    requested: list[tuple[str, ...]] = []

    def lock(_locker: Locker, request: ResolutionRequest, _build: InterpreterBuild) -> DependencyLock:
        requested.append(request.lines)
        if any(line.startswith("acme") for line in request.lines):
            raise Undetermined("acme could not be fetched with git: no such host", ("acme",))
        raise Unresolvable([numpy, plugin])

    monkeypatch.setattr(Locker, "lock", lock)

    installation = installer.installation(cell_of(interpreter, replace(of, baseline=Interpreter.parse(interpreter))))

    assert requested[-1] == ("six==1.16.0", "numpy==1.0")
    assert installation.environment is None
    assert installation.unchecked == (
        "acme could not be fetched with git: no such host; the other requirements were checked without acme"
    )
    assert installation.rest is not None
    assert installation.rest.findings == (numpy,)


IMAGE = "user/Dockerfile"


def test_the_sources_of_a_command_are_built_where_another_command_is_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_tree(tmp_path, {"user/requirements.txt": "grpcio==1\n"})
    sources = tuple(
        RequirementSource(path=IMAGE, line=line, arguments=(name,), step=line)
        for line, name in enumerate(("grpcio==1", "grpcio-tools==1"), 1)
    )
    of = service(requirements=sources, suite=None, baseline=Interpreter.parse("3.12"))
    installer = installer_of(tmp_path, FakeRunner())
    findings = {
        name: Finding(code="PY104", message=f"{name}==1: its source fails to build", names=(name,))
        for name in ("grpcio", "grpcio-tools")
    }

    def lock(_locker: Locker, request: ResolutionRequest, _build: InterpreterBuild) -> DependencyLock:
        if request.others or request.lines != ("grpcio==1",):
            raise Unresolvable([findings["grpcio-tools"]])
        return DependencyLock(pins=(Pin(name="grpcio", version="1", line="grpcio==1", from_source=True),))

    def fill(_store: DistributionStore, pins: Sequence[Pin], *_: object) -> None:
        raise Unresolvable([findings[pin.name] for pin in pins])

    monkeypatch.setattr(Locker, "lock", lock)
    monkeypatch.setattr(DistributionStore, "fill", fill)

    installation = installer.installation(cell_of("3.12", of))

    assert {finding.names for finding in installation.findings} == {("grpcio",), ("grpcio-tools",)}


def test_preparing_many_services_does_not_wait_for_the_builds_of_a_blocked_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = service(requirements=(RequirementSource(path="user/requirements.txt"),), suite=None)
    service_tree(tmp_path, {"user/requirements.txt": "acme==1\nnumpy==1\n"})
    installer, cell = installer_of(tmp_path, FakeRunner()), cell_of("3.12", of)
    built: list[str] = []

    def lock(*_: object) -> DependencyLock:
        raise Unresolvable(
            [
                Finding(code="PY102", message="no acme==1", names=("acme",)),
                Finding(code="PY112", message="numpy==1 has no wheel and was not tried", names=("numpy",)),
            ]
        )

    def fill(_store: DistributionStore, pins: Sequence[Pin], *_: object, **_options: object) -> None:
        built.extend(pin.name for pin in pins)

    monkeypatch.setattr(Locker, "lock", lock)
    monkeypatch.setattr(DistributionStore, "fill", fill)
    monkeypatch.setattr(
        "pytest_py312.dependencies.installation.source_builds.unbuilt_source",
        lambda finding: ("numpy", "1") if finding.names == ("numpy",) else None,
    )

    installer.prepare(cell.interpreter, [cell])
    assert (installer.locks.remaining_work(cell) > 0, "numpy" in built) == (True, False)
    installation = installer.locks.lock_or_failure(cell)
    assert isinstance(installation, Installation)
    assert built[-1] == "numpy"
    assert [finding.code for finding in installation.findings] == ["PY110", "PY102"]


def test_an_error_of_ours_in_one_set_does_not_end_the_preparation_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_tree(tmp_path, {"a/requirements.txt": "acme==1\n", "b/requirements.txt": "numpy==1\n"})
    installer = installer_of(tmp_path, FakeRunner())
    cells = [
        cell_of("3.12", service(name, requirements=(RequirementSource(path=f"{name}/requirements.txt"),), suite=None))
        for name in "ab"
    ]
    filled: list[str] = []

    def lock(_locker: Locker, request: ResolutionRequest, _build: InterpreterBuild) -> DependencyLock:
        if "acme==1" in request.lines:
            raise KeyError("of ours")
        return DependencyLock(pins=(Pin(name="numpy", version="1", line="numpy==1"),))

    def fill(_store: DistributionStore, pins: Sequence[Pin], *_: object, **_options: object) -> None:
        filled.extend(pin.name for pin in pins)

    monkeypatch.setattr(Locker, "lock", lock)
    monkeypatch.setattr(Locker, "keep_preinstalled", lambda _locker, lock, *_: lock)
    monkeypatch.setattr(DistributionStore, "fill", fill)

    assert installer.prepare(cells[0].interpreter, cells)
    assert "numpy" in filled
    with pytest.raises(KeyError, match="of ours"):
        installer.locks.lock_or_failure(cells[0])


@pytest.mark.parametrize("interpreter", ["3.10", "3.12"])
def test_all_projects_that_only_tests_need_are_left_out_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    """Between the service's own Python and the target, a build that fails ends the others."""
    of = service(requirements=(RequirementSource(path="user/requirements.txt"),), suite=None)
    service_tree(tmp_path, {"user/requirements.txt": "acme==1\nblack==1\ntyped-ast==1\n"})
    installer, left_out = installer_of(tmp_path, FakeRunner()), list[frozenset[str]]()
    whole = Installation(findings=(Finding(code="PY104", message="black==1", names=("black",)),))

    def without(_sets: ReducedSets, _cell: Cell, names: Collection[str]) -> Installation:
        left_out.append(frozenset(names))
        if "typed-ast" in names:
            return Installation(environment=Environment(key="0", folder=tmp_path, versions={}, modules={}))
        return Installation(findings=(Finding(code="PY104", message="typed-ast==1", names=("typed-ast",)),))

    monkeypatch.setattr(Installer, "_attempt_equipped", lambda *_: whole)
    monkeypatch.setattr(ReducedSets, "_dispensable", lambda *_: frozenset(("black", "typed-ast", "flake8")))
    monkeypatch.setattr(ReducedSets, "_install_without", without)

    installation = installer.installation(cell_of(interpreter, of))

    assert installation.environment is not None
    assert [finding.names for finding in installation.dispensed] == [("black",)]
    assert left_out == [{"black"}, {"black", "typed-ast"}]


def test_nothing_is_judged_without_a_project_that_others_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = service(requirements=(RequirementSource(path="user/requirements.txt"),), suite=None)
    service_tree(tmp_path, {"user/requirements.txt": "six==1.16.0\n"})
    installer = installer_of(tmp_path, FakeRunner())

    def lock(*_: object) -> DependencyLock:
        raise Undetermined("psycopg2 cannot be built here", ("psycopg2",))

    monkeypatch.setattr(Locker, "lock", lock)

    found = installer.installation(cell_of("3.9", of))

    assert (found.unchecked, found.rest) == ("psycopg2 cannot be built here", None)


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_folder_whose_build_takes_too_long_is_built_once_and_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    """Two services require it; what else they require is judged."""
    sources = (RequirementSource(path="user/requirements.txt"),)
    root = service_tree(tmp_path, {"user/requirements.txt": "../slow\nsix==1.0\n", "slow/setup.py": ""})
    installer = installer_of(root, FakeRunner())
    built: list[float] = []

    def install_tree(
        _store: object, _source: Path, _key: str, build: InterpreterBuild, limit: float, **_: bool
    ) -> None:
        built.append(limit)
        raise Undetermined(f"its build on {build.interpreter} took longer than {limit:g} s, and was ended")

    def lock(*_: object) -> DependencyLock:
        raise Unresolvable([Finding(code="PY102", message="no six==1.0", names=("six",))])

    monkeypatch.setattr(DistributionStore, "install_tree", install_tree)
    monkeypatch.setattr(Locker, "lock", lock)

    for name in ("user-service", "other-service"):
        of = service(name=name, requirements=sources, suite=None, baseline=Interpreter.parse(interpreter))
        installation = installer.installation(cell_of(interpreter, of))
        assert installation.unchecked == (
            f"slow: its build on {interpreter} took longer than 600 s, and was ended; "
            "the other requirements were checked without slow"
        )
        assert installation.rest is not None
        assert [finding.code for finding in installation.rest.findings] == ["PY102"]
    assert built == [600.0]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize("failure", ["", "apt's servers could not be reached: no route"])
def test_a_set_that_lacks_a_compiler_is_tried_in_an_image_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str, failure: str
) -> None:
    """All sides get the packages. If these cannot be had, the set could not be checked, and is not broken."""
    place = Location(path="services/user-service/Dockerfile", line=4)
    step = InstallStep(tool="apt", location=place, system_packages=("gcc",), flags=("--no-install-recommends",))
    of = service(
        requirements=(RequirementSource(path="user/requirements.txt"),), suite=None,
        recipe=InstallRecipe(source=place.path, steps=(step,)),
    )  # fmt: skip
    root = service_tree(tmp_path, {"user/requirements.txt": "fakec==1.0\n"})
    runner = ImageRunner(name="docker", failure=failure)
    installer = installer_of(root, runner)
    blocked = Finding(code="PY102", message="the set was resolved with a compiler")

    def lock(_locker: Locker, _request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        if build.packages is None and build.interpreter == Interpreter(3, 12):
            raise Undetermined("gcc is missing", missing=MissingTool(name="gcc", key="gcc", message="gcc: not found"))
        raise Unresolvable([blocked])

    monkeypatch.setattr(Locker, "lock", lock)

    installation = installer.installation(cell_of(interpreter, of))

    if failure:
        assert not installation.environment
        assert (installation.unchecked != "") == (interpreter == "3.12")
        assert failure in installation.unchecked or interpreter != "3.12"
    else:
        assert installation.findings == (blocked,)
        assert set(runner.made) == {Interpreter(3, 9), Interpreter(3, 12), Interpreter.parse(interpreter)}


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_source_that_does_not_build_names_the_requirement_that_brings_it_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    service_tree(tmp_path, {"services/user-service/requirements.txt": "six==1\nplaywright==1.31.1\n"})
    failed = Finding(code="PY104", message="greenlet==2.0.1: its source fails to build", names=("greenlet",))
    pins = tuple(Pin(name=name, version="1", line=f"{name}==1") for name in ("six", "playwright", "greenlet"))

    def fill(*_: object, **__: object) -> None:
        raise Unresolvable([failed])

    def get(_store: DistributionStore, pin: Pin, _build: InterpreterBuild) -> StoredDistribution | None:
        requires = ("greenlet (==2.0.1)",) if pin.name == "playwright" else ()
        is_built = pin.name != "greenlet"
        return StoredDistribution(name=pin.name, version="1", folder=tmp_path, requires=requires) if is_built else None

    monkeypatch.setattr(Locker, "lock", lambda *_: DependencyLock(pins=pins))
    monkeypatch.setattr(DistributionStore, "fill", fill)
    monkeypatch.setattr(DistributionStore, "get", get)
    of = service(suite=None, baseline=Interpreter.parse(interpreter))

    (finding,) = installer_of(tmp_path, FakeRunner()).installation(cell_of(interpreter, of)).findings

    assert finding.message == "greenlet==2.0.1: its source fails to build (playwright requires it)"
    assert str(finding.location) == "services/user-service/requirements.txt:2"
