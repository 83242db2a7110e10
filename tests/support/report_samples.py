"""Builders of reports for tests of renderers."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, SpecifierChange
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import BenchmarkComparison, SpeedVerdict
from pytest_py312.core.model.plan import Plan, Stage
from pytest_py312.core.model.report import Checkout, Report
from tests.support.fakes import service

PY39, PY310, PY312 = (Interpreter(3, minor) for minor in (9, 10, 12))


def finding(code: str = "PY202", path: str = "services/user-service/app.py", line: int = 3, **changes: Any) -> Finding:
    """Return a finding about ``asyncio.coroutine`` in user-service."""
    made = Finding(
        code=code,
        message="asyncio.coroutine was removed in 3.11",
        remedy="write async def",
        location=Location(path=path, line=line, column=5),
        names=("asyncio.coroutine",),
    )
    return replace(made, **changes)


def judged(*findings: Finding, on: Interpreter = PY312, of: str = "user-service", check: str = "source") -> Outcome:
    """Return an outcome with ``findings``."""
    return Outcome.from_findings(service=of, interpreter=on, check=check, findings=findings)


def errored(reason: str, *, on: Interpreter = PY312, of: str = "user-service", check: str = "suite") -> Outcome:
    return Outcome.errored(service=of, interpreter=on, check=check, reason=reason)


def speed(verdict: SpeedVerdict = SpeedVerdict.SLOWER, **changes: Any) -> BenchmarkComparison:
    """Return a benchmark of user-service that is 1.42 times as slow on 3.12 as on 3.9."""
    made = BenchmarkComparison(
        service="user-service",
        baseline=PY39,
        target=PY312,
        name="tests/test_speed.py::test_it",
        kind="benchmark",
        unit="s",
        verdict=verdict,
        ratio=1.42,
        low=1.38,
        high=1.47,
        confidence=0.998,
        p_value=0.0002,
        threshold=0.1,
        pairs=((0.010, 0.0142), (0.012, 0.0156), (0.011, 0.0150)),
        control=(1.0, 0.99, 1.01),
    )
    return replace(made, **changes)


def report_of(*outcomes: Outcome, services: Iterable[Service] = (), **changes: Any) -> Report:
    """Return a report with user-service on 3.9, 3.10 and 3.12, unless other ``services`` are given."""
    all_services = tuple(services) or (service(),)
    made = Report(
        plan=Plan(root=Path("repository"), source="py312.toml"),
        services=all_services,
        cells=tuple(Cell(service=member, interpreter=on) for member in all_services for on in (PY39, PY310, PY312)),
        outcomes=outcomes,
        generated="2025-03-01T12:00:00Z",
        tool_version="0.1.0",
        exit_status=1,
    )
    return replace(made, **changes)


# ---- a large platform


def large_report(services: int = 400) -> Report:
    """Return a report of a platform: ``services`` on four Pythons, in eight stages, with owners and common causes."""
    members = [
        service(
            f"{_AREAS[number % 8]}-{number:03}",
            stage=1 + number % 8,
            critical=number % 8 == 0,
            baseline=PY39,
            owners=(f"@suoke/{_AREAS[number % 8]}",),
        )
        for number in range(services)
    ]
    base = report_of(services=members)
    stages = tuple(
        Stage(number=number, name=f"{area.capitalize()} services", critical=number == 1)
        for number, area in enumerate(_AREAS, 1)
    )
    outcomes = [outcome for number, member in enumerate(members) for outcome in _outcomes_of(number, member)]
    return replace(
        base,
        plan=replace(base.plan, stages=stages),
        cells=tuple(Cell(service=member, interpreter=on) for member in members for on in _PYTHONS),
        outcomes=tuple(outcomes),
        checks=("dependencies", "suite"),
        checkout=Checkout(repository="suoke/platform", commit="4f2c9e7d" * 5, branch="main"),
    )


_AREAS = ("core", "health", "agents", "diagnosis", "knowledge", "commerce", "devices", "tools")
_PYTHONS = tuple(Interpreter(3, minor) for minor in (9, 10, 11, 12))


def _outcomes_of(number: int, of: Service) -> Iterable[Outcome]:
    for on in _PYTHONS:
        findings = tuple(_findings_of(number, of)) if on == PY312 else ()
        blocked = any(entry.blocks for entry in findings)
        yield judged(*findings, on=on, of=of.name, check="dependencies")
        if blocked:
            yield errored("the suite has no environment to run in on 3.12 (see dependencies)", on=on, of=of.name)
        elif number % 29 == 5 and on == PY312:
            yield errored("the engine was lost while the suite ran", on=on, of=of.name)
        else:
            yield judged(on=on, of=of.name, check="suite")


def _findings_of(number: int, of: Service) -> Iterable[Finding]:
    path = f"{of.path}/requirements.txt"
    for step, name, old, new in ((7, "pyyaml", "6.0", "6.0.1"), (11, "numpy", "1.24.0", "1.26.4")):
        if number % step == 0:
            yield finding(
                "PY104",
                path,
                message=f"{name}=={old}: no wheel for 3.12, and its source fails to build",
                remedy=f"{name}=={old} -> {name}=={new} (verified: resolves, installs and imports on 3.12 and 3.9)",
                names=(name,),
                changes=(SpecifierChange(path=path, line=3, name=name, old=f"=={old}", new=f"=={new}"),),
                source_line=f"{name}=={old}",
            )
    for line in range(number % 4):
        yield finding(
            "PY230",
            f"{of.path}/app/handlers.py",
            10 + line,
            message="datetime.datetime.utcnow() is deprecated since 3.12",
            remedy="use datetime.datetime.now(datetime.UTC)",
            severity=Severity.WARNING,
            source_line="    now = datetime.datetime.utcnow()",
            names=(f"datetime.datetime.utcnow:{line}",),
        )
