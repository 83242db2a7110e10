"""A real platform's requirements, through the index and uv: all that blocks each service, and where.

Its files lie beside the checkout, and are not part of it. What is certain there was established by hand: with uv, pip
and real builds on each interpreter.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.dependencies.diagnosis.locker import Locking
from pytest_py312.dependencies.resolution.lock import Blocked, Lock, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.repository.services.requirement_set import requirement_set
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

Told = set[tuple[str, tuple[str, ...]]]

PROMETHEUS = ("PY102", ("opentelemetry-exporter-prometheus",))
CORN_MAZE: Told = {
    ("PY101", ("grpcio", "grpcio-health-checking")),
    ("PY101", ("grpcio", "grpcio-reflection")),
    ("PY101", ("motor", "pymongo")),
    ("PY102", ("openai",)),
}


class Judging:
    """Asks about one file at a time, through one cache."""

    def __init__(self, cache: Path) -> None:
        self.runner = local_runner(cache)
        self.resolver = Resolver(cache=cache, runner=self.runner, uv_version="test", lock_hours=24.0)
        self.locking = Locking(cache=cache, resolver=self.resolver, once=Once(None), lock_hours=24.0)

    def ask(self, service: str, interpreter: str) -> Lock | tuple[Finding, ...]:
        """The lock of a service's requirements.txt, or what blocks it."""
        source = RequirementSource(path=f"services/{service}/requirements.txt")
        entries = requirement_set(ROOT, [source]).entries
        wanted = Wanted(
            lines=tuple(item.text for item in entries),
            direct=tuple((item.name, item.location) for item in entries),
            exclude_newer=CUT_OFF,
        )
        try:
            return self.locking.lock(wanted, self.runner.find(Interpreter.parse(interpreter)))
        except CellUnavailable as reason:
            pytest.skip(str(reason))
        except Blocked as blocked:
            return blocked.findings


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judging]:
    made = Judging(tmp_path_factory.mktemp("cache"))
    yield made
    made.runner.close()


def told(found: Lock | tuple[Finding, ...], severity: Severity = Severity.ERROR) -> Told:
    assert not isinstance(found, Lock), found
    return {(finding.code, finding.names) for finding in found if finding.severity is severity}


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
@pytest.mark.parametrize(
    ("service", "blocks"),
    [("medical-service", {PROMETHEUS}), ("corn-maze-service", CORN_MAZE)],
    ids=["medical", "corn-maze"],
)
def test_all_that_blocks_on_every_python(judging: Judging, service: str, blocks: Told, interpreter: str) -> None:
    assert told(judging.ask(service, interpreter)) == blocks


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_a_knot_of_conflicts_has_each_clash_as_small_as_it_can_be(judging: Judging, interpreter: str) -> None:
    """Asked by hand: any two of the three in a clash of three resolve. The instrumentations are in all of them."""
    found = judging.ask("api-gateway", interpreter)

    api, sdk = "opentelemetry-api", "opentelemetry-sdk"
    fastapi, grpc = "opentelemetry-instrumentation-fastapi", "opentelemetry-instrumentation-grpc"
    assert told(found) == {
        ("PY101", (api, grpc)),
        ("PY101", (fastapi, sdk)),
        ("PY101", (grpc, sdk)),
        ("PY101", (api, "opentelemetry-exporter-jaeger", fastapi)),
        ("PY101", (api, "opentelemetry-exporter-otlp", fastapi)),
    }


def test_sources_without_a_wheel_on_one_python_are_told_there(judging: Judging) -> None:
    on39, on312 = (judging.ask("corn-maze-service", interpreter) for interpreter in ("3.9", "3.12"))

    only = {names for _, names in told(on312, Severity.WARNING) - told(on39, Severity.WARNING)}
    assert only == {("grpcio",), ("grpcio-tools",), ("pyyaml",), ("numpy",), ("matplotlib",), ("pymongo",)}


@pytest.mark.parametrize(
    ("service", "sources"),
    [
        ("user-service", {"asyncpg"}),
        ("diagnostic-services/palpation-service", {"aiohttp", "numpy", "pywavelets"}),
    ],
)
def test_a_set_that_resolves_says_what_is_built(judging: Judging, service: str, sources: set[str]) -> None:
    """Whether these sources build is found out by the installation."""
    before, after = judging.ask(service, "3.9"), judging.ask(service, "3.12")

    assert isinstance(before, Lock)
    assert not any(pin.from_source for pin in before.pins)
    assert isinstance(after, Lock)
    assert {pin.name for pin in after.pins if pin.from_source} == sources


def test_each_finding_has_the_line_of_what_it_blames(judging: Judging) -> None:
    found = judging.ask("corn-maze-service", "3.12")
    assert not isinstance(found, Lock)

    text = (ROOT / "services/corn-maze-service/requirements.txt").read_text(encoding="utf-8").splitlines()
    for finding in found:
        assert finding.location is not None
        assert finding.location.line is not None
        assert canonicalize_name(Requirement(text[finding.location.line - 1]).name) in finding.names


def test_a_second_judgement_asks_nobody(judging: Judging, monkeypatch: pytest.MonkeyPatch) -> None:
    first = judging.ask("corn-maze-service", "3.12")

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a tool was started")

    monkeypatch.setattr(LocalRunner, "tool", refuse)
    assert judging.ask("corn-maze-service", "3.12") == first
