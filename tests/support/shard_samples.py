"""Documents of the three parts of a run, for tests of what merges them."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.model.report import Report
from pytest_py312.core.model.shards import RunIdentity, ShardPart, WorkUnit
from pytest_py312.core.serialization import content_digest
from pytest_py312.gate.history.stored_runs import pack_report
from pytest_py312.gate.reports.json_report import render
from pytest_py312.gate.sharding.documents import tool_identity
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY312, finding, report_of

SERVICES = tuple(service(f"{letter}-service", path=f"services/{letter}-service", suite=None) for letter in "abcd")
PARTS = {"a-service": 1, "b-service": 2, "c-service": 3, "d-service": 1}
ITEMS = ("source", "py3.9::dependencies", "py3.12::dependencies")
UNITS = tuple(WorkUnit(service=of.name, part=PARTS[of.name], items=ITEMS) for of in SERVICES)
IDENTITY = RunIdentity(
    tool=tool_identity(), commit="c0ffee" * 6 + "c0ff", changes=(), plan="9a", options=(("-k", ""),), durations=""
)


def outcomes_of(name: str) -> tuple[Outcome, ...]:
    """Return the outcomes of a service: that of b-service is blocked."""
    path = f"services/{name}"
    findings = [finding(path=f"{path}/app.py")] if name == "b-service" else []
    source = Outcome.from_findings(service=name, interpreter=None, check="source", findings=findings)
    cells = [
        replace(
            Outcome.from_findings(service=name, interpreter=on, check="dependencies", findings=()),
            nodeid=f"{path}::{on.label}::dependencies",
            seconds=2.0,
        )
        for on in (PY39, PY312)
    ]
    return (replace(source, nodeid=f"{path}::source", seconds=1.0), *cells)


def whole_report(*names: str, **changes: Any) -> Report:
    """Return the report of an undivided run of these services, or of all."""
    services = [of for of in SERVICES if not names or of.name in names]
    outcomes = [outcome for of in services for outcome in outcomes_of(of.name)]
    made = report_of(
        *outcomes,
        services=services,
        cells=tuple(Cell(service=of, interpreter=on) for of in services for on in (PY39, PY312)),
        checks=("source", "dependencies"),
        exit_status=int("b-service" in [of.name for of in services]),
        runner="local",
    )
    return replace(made, **changes)


def part_of(
    part: int,
    *,
    report: Report | None = None,
    identity: RunIdentity | None = IDENTITY,
    units: tuple[WorkUnit, ...] = UNITS,
    parts: int = 3,
) -> bytes:
    """Return the document of a part."""
    own = report or whole_report(*(name for name, its_part in PARTS.items() if its_part == part))
    record = base64.b64encode(pack_report(own)).decode("ascii")
    shard = ShardPart(part=part, parts=parts, identity=identity, units=units, record=record)
    return render(replace(own, shard=shard)).encode("utf-8")


def all_parts() -> dict[str, bytes]:
    """Return the documents of a whole run by file name."""
    return {f"shard-{part}.json": part_of(part) for part in (1, 2, 3)}


def signed_again(content: bytes, change: Callable[[Any], None]) -> bytes:
    """Return a document after ``change``, with a digest that fits: one that nobody has changed by accident."""
    document = json.loads(content)
    change(document)
    document["shard"].pop("digest")
    document["shard"]["digest"] = content_digest(document)
    return json.dumps(document).encode("ascii")


def plan_at(root: Any) -> Plan:
    """Return the plan of the samples in another folder."""
    return replace(whole_report().plan, root=root)
