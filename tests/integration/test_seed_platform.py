"""A real platform's requirements, with the real index and uv: all blockers of each service, with their lines.

Its files are beside the checkout, and not part of it. The expected results were established by hand: with uv, pip
and real builds on each interpreter.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.resolution.lock import DependencyLock, ResolutionRequest, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner

ROOT = Path(__file__).parents[3] / "shared" / "data" / "seed-platform"
CUT_OFF = "2026-11-24T00:00:00Z"

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not ROOT.is_dir(), reason="the seed platform is not beside this checkout"),
]

CodesAndNames = set[tuple[str, tuple[str, ...]]]

PROMETHEUS = ("PY102", ("opentelemetry-exporter-prometheus",))
CORN_MAZE: CodesAndNames = {
    ("PY101", ("grpcio", "grpcio-health-checking")),
    ("PY101", ("grpcio", "grpcio-reflection")),
    ("PY101", ("motor", "pymongo")),
    ("PY102", ("openai",)),
}


class PlatformLocker:
    """Locks one service's requirements at a time, with one cache."""

    def __init__(self, cache: Path) -> None:
        self.runner = local_runner(cache)
        self.resolver = UvResolver(cache=cache, runner=self.runner, uv_version="test", lock_hours=24.0)
        self.locker = Locker(cache=cache, resolver=self.resolver, single_flight=SingleFlight(None), lock_hours=24.0)

    def lock(self, service: str, interpreter: str) -> DependencyLock | tuple[Finding, ...]:
        """Return the lock of a service's requirements.txt, or the blocking findings."""
        source = RequirementSource(path=f"services/{service}/requirements.txt")
        entries = read_requirement_set(ROOT, [source]).entries
        request = ResolutionRequest(
            lines=tuple(item.text for item in entries),
            direct=tuple((item.name, item.location) for item in entries),
            exclude_newer=CUT_OFF,
        )
        try:
            return self.locker.lock(request, self.runner.find_interpreter(Interpreter.parse(interpreter)))
        except CellUnavailable as reason:
            pytest.skip(str(reason))
        except Unresolvable as blocked:
            return blocked.findings


@pytest.fixture(scope="module")
def locker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformLocker]:
    made = PlatformLocker(tmp_path_factory.mktemp("cache"))
    yield made
    made.runner.close()


def codes_and_names(
    blocking: DependencyLock | tuple[Finding, ...], severity: Severity = Severity.ERROR
) -> CodesAndNames:
    assert not isinstance(blocking, DependencyLock), blocking
    return {(finding.code, finding.names) for finding in blocking if finding.severity is severity}


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
@pytest.mark.parametrize(
    ("service", "blocks"),
    [("medical-service", {PROMETHEUS}), ("corn-maze-service", CORN_MAZE)],
    ids=["medical", "corn-maze"],
)
def test_blockers_on_every_python(
    locker: PlatformLocker, service: str, blocks: CodesAndNames, interpreter: str
) -> None:
    assert codes_and_names(locker.lock(service, interpreter)) == blocks


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_many_conflicts_are_each_minimal(locker: PlatformLocker, interpreter: str) -> None:
    """Checked by hand: any two of the three in a conflict of three resolve. Each conflict has an instrumentation."""
    blocking = locker.lock("api-gateway", interpreter)

    api, sdk = "opentelemetry-api", "opentelemetry-sdk"
    fastapi, grpc = "opentelemetry-instrumentation-fastapi", "opentelemetry-instrumentation-grpc"
    assert codes_and_names(blocking) == {
        ("PY101", (api, grpc)),
        ("PY101", (fastapi, sdk)),
        ("PY101", (grpc, sdk)),
        ("PY101", (api, "opentelemetry-exporter-jaeger", fastapi)),
        ("PY101", (api, "opentelemetry-exporter-otlp", fastapi)),
    }


def test_sources_without_a_wheel_are_reported_per_python(locker: PlatformLocker) -> None:
    on39, on312 = (locker.lock("corn-maze-service", interpreter) for interpreter in ("3.9", "3.12"))

    only = {names for _, names in codes_and_names(on312, Severity.WARNING) - codes_and_names(on39, Severity.WARNING)}
    assert only == {("grpcio",), ("grpcio-tools",), ("pyyaml",), ("numpy",), ("matplotlib",), ("pymongo",)}


@pytest.mark.parametrize(
    ("service", "sources"),
    [
        ("user-service", {"asyncpg"}),
        ("diagnostic-services/palpation-service", {"aiohttp", "numpy", "pywavelets"}),
    ],
)
def test_a_lock_marks_pins_that_are_built_from_source(locker: PlatformLocker, service: str, sources: set[str]) -> None:
    """Whether these sources build is checked by the installation."""
    on39, on312 = locker.lock(service, "3.9"), locker.lock(service, "3.12")

    assert isinstance(on39, DependencyLock)
    assert not any(pin.from_source for pin in on39.pins)
    assert isinstance(on312, DependencyLock)
    assert {pin.name for pin in on312.pins if pin.from_source} == sources


def test_each_finding_has_the_line_of_its_requirement(locker: PlatformLocker) -> None:
    findings = locker.lock("corn-maze-service", "3.12")
    assert not isinstance(findings, DependencyLock)

    text = (ROOT / "services/corn-maze-service/requirements.txt").read_text(encoding="utf-8").splitlines()
    for finding in findings:
        assert finding.location is not None
        assert finding.location.line is not None
        assert canonicalize_name(Requirement(text[finding.location.line - 1]).name) in finding.names


def test_a_second_lock_starts_no_tool(locker: PlatformLocker, monkeypatch: pytest.MonkeyPatch) -> None:
    first = locker.lock("corn-maze-service", "3.12")

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a tool was started")

    monkeypatch.setattr(LocalRunner, "run_tool", refuse)
    assert locker.lock("corn-maze-service", "3.12") == first
