"""Builders of reports for tests of renderers."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import BenchmarkComparison, SpeedVerdict
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.model.report import Report
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
