"""Builders of records of runs, for tests of what is shown of several runs."""

from dataclasses import replace
from datetime import date
from typing import Any

from pytest_py312.core.model.readiness import Cause, RunRecord, ServiceRecord, ServiceVerdict, WaiverRecord
from pytest_py312.core.model.report import Checkout

READY, BLOCKED, ERRORED, INCOMPLETE = ServiceVerdict
PYYAML = Cause(
    fingerprint="f1",
    subject="pyyaml",
    message="pyyaml==6.0: no wheel for 3.12",
    code="PY104",
    remedy="pyyaml==6.0 -> pyyaml==6.0.1 (verified)",
    place="services/a/requirements.txt:2",
    check="dependencies",
    about_projects=True,
)
IMP = Cause(
    fingerprint="f2",
    subject="module 'imp' was removed in 3.12",
    message="module 'imp' was removed in 3.12",
    code="PY201",
    remedy="use importlib",
    place="services/a/app.py:1",
    check="source",
)
NO_NETWORK = Cause(fingerprint="suite: no network", subject="no network", message="no network", check="suite")
WAIVER = WaiverRecord(service="user-*", subject="PY204", owner="core", reason="vendor is slow", until=date(2025, 3, 31))


def service_record(
    name: str, verdict: ServiceVerdict = READY, *causes: Cause, stage: int = 1, **changes: Any
) -> ServiceRecord:
    made = ServiceRecord(name=name, path=f"services/{name}", stage=stage, verdict=verdict, causes=causes)
    return replace(made, **changes)


def run_record(*services: ServiceRecord, **changes: Any) -> RunRecord:
    """Return a run of 2025-03-01 with ``services``, in a plan of two stages."""
    made = RunRecord(
        origin="new.json",
        ended_at="2025-03-01T12:00:00Z",
        target="3.12",
        tool_version="0.1.0",
        exit_status=0 if all(service.verdict is READY for service in services) else 1,
        complete=True,
        services=services,
        stages={1: "Core", 2: ""},
        checkout=Checkout(commit="0d1f6a3c5e7b9d8f", branch="main"),
    )
    return replace(made, **changes)
