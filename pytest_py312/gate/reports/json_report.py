r"""Render the run as a JSON document for other tools. ``report.schema.json`` describes it; its names are stable.

The same report gives the same document, whatever the order of its outcomes. The document is always valid Unicode: a
lone surrogate, for example in a test id, is spelled out as ``\udc80``, because several common JSON readers reject it
even when it is escaped.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pytest_py312.core.model.findings import (
    Finding,
    Location,
    Outcome,
    SourceChange,
    SpecifierChange,
    interpreter_order,
)
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import BenchmarkComparison, InterpreterBuild, PastComparison, SuiteComparison
from pytest_py312.core.model.plan import Stage, Waiver
from pytest_py312.core.model.readiness import ServiceVerdict
from pytest_py312.core.model.report import Report, RolloutReport
from pytest_py312.core.model.shards import RunIdentity, ShardPart
from pytest_py312.core.serialization import content_digest, format_json
from pytest_py312.gate.reports.results import grouped, service_order
from pytest_py312.gate.reports.run_verdict import not_run_reasons, summarize

SCHEMA = 1
"""Version of the document. It is increased only when a name is removed or changes its meaning."""


def render(report: Report) -> str:
    """Return the document, indented by two spaces, with a final newline, encodable as UTF-8."""
    text = format_json(to_document(report))
    return text if report.shard is None else _with_digest(text)


def _with_digest(text: str) -> str:
    """Return the document of a part with the digest of its content, by which ``py312 merge`` sees that it is whole."""
    document = json.loads(text)
    document["shard"]["digest"] = content_digest(document)
    return format_json(document)


def to_document(report: Report) -> dict[str, Any]:
    """Return the content of the document; that of a part has no digest yet."""
    order = service_order(report)
    outcomes = sorted(report.outcomes, key=lambda outcome: (order(outcome.service), *_outcome_key(outcome)))
    cells = sorted(report.cells, key=lambda cell: (order(cell.service.name), cell.service.name, cell.interpreter))
    comparisons = sorted(
        report.comparisons, key=lambda comparison: (order(comparison.service), comparison.service, comparison.target)
    )
    cells_by_service = grouped(cells, lambda cell: cell.service.name)
    target = report.plan.target
    not_run = not_run_reasons(report)
    verdict = summarize(report)
    verdicts, reasons = verdict.by_service, dict(verdict.incomplete)
    return {
        "schema": SCHEMA,
        "target": str(target),
        "generated": report.generated,
        "tool": {"name": "pytest-py312", "version": report.tool_version},
        "plan": report.plan.source,
        "checkout": asdict(report.checkout),
        "runner": report.runner,
        "resolver": report.resolver,
        "stages": [_stage(stage) for stage in report.plan.stages],
        "services": [
            {
                **_service(service, [str(cell.interpreter) for cell in cells_by_service.get(service.name, ())]),
                "complete": service.name not in not_run,
                **_service_verdict(service.name, verdicts, reasons),
            }
            for service in report.services
        ],
        "cells": [_cell(cell) for cell in cells],
        "builds": [_build(build) for build in sorted(report.builds, key=lambda build: build.sort_key)],
        "outcomes": [_outcome(outcome) for outcome in outcomes],
        "suites": [_suite(comparison) for comparison in comparisons if comparison.target == target],
        "between": [_suite(comparison) for comparison in comparisons if comparison.target != target],
        "comparisons": [
            _benchmark(speed)
            for speed in sorted(report.benchmarks, key=lambda speed: (speed.service, speed.kind, speed.name))
        ],
        "rollout": _rollout(report.rollout),
        "shard": _shard(report.shard),
        "waivers": [_waiver(waiver) for waiver in report.plan.waivers],
        "assumptions": list(report.assumptions),
        "objections": list(report.objections),
        "sections": [{"title": section.title, "text": section.text} for section in report.sections],
        "exit_status": int(report.exit_status),
        "complete": verdict.complete,
    }


def _rollout(rollout: RolloutReport | None) -> dict[str, Any]:
    return {} if rollout is None else {**asdict(rollout), "services": list(rollout.services)}


def _shard(shard: ShardPart | None) -> dict[str, Any] | None:
    """Return which part of a run it is. Services with equal items share one list of them: a fleet may have 10,000."""
    if shard is None:
        return None
    items = list(dict.fromkeys(unit.items for unit in shard.units))
    index = {names: number for number, names in enumerate(items)}
    return {
        "part": shard.part,
        "parts": shard.parts,
        "identity": _identity(shard.identity) if shard.identity else None,
        "items": [list(names) for names in items],
        "units": [[unit.service, unit.part, index[unit.items]] for unit in shard.units],
        "prefix": shard.prefix,
        "record": shard.record,
    }


def _identity(identity: RunIdentity) -> dict[str, Any]:
    changes = [list(change) for change in identity.changes]
    return {**asdict(identity), "changes": changes, "options": dict(identity.options)}


# ---- order


def _outcome_key(outcome: Outcome) -> tuple[object, ...]:
    return outcome.service, interpreter_order(outcome.interpreter), outcome.check, outcome.nodeid, outcome.reason


def _finding_key(finding: Finding) -> tuple[object, ...]:
    location = finding.location or Location(path="")
    return location.path, location.line or 0, location.column or 0, finding.code, finding.names, finding.message


# ---- the parts


def _stage(stage: Stage) -> dict[str, Any]:
    return {"number": stage.number, "name": stage.name, "critical": stage.critical}


def _service_verdict(name: str, verdicts: Mapping[str, ServiceVerdict], reasons: Mapping[str, str]) -> dict[str, Any]:
    """Return the verdict on a service; one of which nothing was to be checked is incomplete."""
    verdict = verdicts.get(name, ServiceVerdict.INCOMPLETE)
    reason = reasons.get(name, "nothing was checked") if verdict is ServiceVerdict.INCOMPLETE else ""
    return {"verdict": verdict.value, "incomplete_reason": reason}


def _service(service: Service, interpreters: list[str]) -> dict[str, Any]:
    return {
        "name": service.name,
        "path": service.path,
        "stage": service.stage,
        "critical": service.critical,
        "baseline": str(service.baseline),
        "baseline_source": service.baseline_source,
        "interpreters": interpreters,
        "has_suite": service.suite is not None,
        "owners": list(service.owners),
        "owners_source": service.owners_source,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "id": cell.identifier,
        "service": cell.service.name,
        "interpreter": str(cell.interpreter),
        "baseline": cell.is_baseline,
    }


def _build(build: InterpreterBuild) -> dict[str, Any]:
    return {
        "interpreter": str(build.interpreter),
        "version": build.version,
        "executable": build.executable,
        "origin": build.origin,
        "digest": build.digest,
        "flags": build.flags,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "service": outcome.service,
        "interpreter": str(outcome.interpreter) if outcome.interpreter else None,
        "check": outcome.check,
        "nodeid": outcome.nodeid,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "seconds": round(outcome.seconds, 3),
        "cached": outcome.cached,
        "findings": [_finding(finding) for finding in sorted(outcome.findings, key=_finding_key)],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "blocks": finding.blocks,
        "message": finding.message,
        "remedy": finding.remedy,
        **_location(finding.location),
        "names": list(finding.names),
        "preexisting": finding.preexisting,
        "waived": finding.waived,
        "known": finding.known,
        "owner": finding.owner,
        "lowered_from": finding.lowered_from.value if finding.lowered_from else None,
        "lowered_by": finding.lowered_by,
        "detail": finding.detail,
        "changes": [_change(change) for change in finding.changes],
        "fingerprint": finding.fingerprint,
    }


def _change(change: SpecifierChange | SourceChange) -> dict[str, Any]:
    kind = {"name": change.name} if isinstance(change, SpecifierChange) else {"column": change.column}
    return {"path": change.path, "line": change.line, **kind, "old": change.old, "new": change.new}


def _location(location: Location | None) -> dict[str, Any]:
    return {
        "path": location.path if location else None,
        "line": location.line if location else None,
        "column": location.column if location else None,
    }


def _suite(comparison: SuiteComparison) -> dict[str, Any]:
    return {
        "service": comparison.service,
        "baseline": str(comparison.baseline),
        "target": str(comparison.target),
        "newly_failing": sorted(comparison.newly_failing),
        "missing": sorted(comparison.missing),
        "fixed": sorted(comparison.fixed),
        "failing_on_both": sorted(comparison.failing_on_both),
        "uncollected": sorted(comparison.uncollected),
        "flaky": sorted(comparison.flaky),
        "new": sorted(comparison.new),
        "first_bad": {test: str(comparison.first_bad[test]) for test in sorted(comparison.first_bad)},
        "counts": {str(on): dict(sorted(comparison.counts[on].items())) for on in sorted(comparison.counts)},
        "test_files": comparison.test_files,
        "silent_files": sorted(comparison.silent_files),
    }


def _benchmark(speed: BenchmarkComparison) -> dict[str, Any]:
    return {
        "service": speed.service,
        "baseline": str(speed.baseline),
        "target": str(speed.target),
        "name": speed.name,
        "kind": speed.kind,
        "unit": speed.unit,
        "verdict": speed.verdict.value,
        "ratio": speed.ratio,
        "low": speed.low,
        "high": speed.high if math.isfinite(speed.high) else None,
        "confidence": speed.confidence,
        "p_value": speed.p_value,
        "threshold": speed.threshold,
        "confirmed": speed.confirmed,
        "more_pairs": speed.pairs_needed,
        "control": _control(speed.control),
        "note": speed.note,
        "conditions": {name: list(speed.conditions[name]) for name in sorted(speed.conditions)},
        "samples": [list(pair) for pair in speed.pairs],
        "earlier": [_past_benchmark(past) for past in speed.past_comparisons],
    }


def _past_benchmark(past: PastComparison) -> dict[str, Any]:
    return {
        "at": past.ended_at,
        "verdict": past.verdict.value,
        "ratio": past.ratio,
        "low": past.low,
        "high": past.high if math.isfinite(past.high) else None,
        "before": past.baseline_median,
        "after": past.target_median,
    }


def _control(control: tuple[float, float, float] | None) -> dict[str, float | None] | None:
    if control is None:
        return None
    ratio, low, high = control
    return {"ratio": ratio, "low": low, "high": high if math.isfinite(high) else None}


def _waiver(waiver: Waiver) -> dict[str, Any]:
    return {
        "service": waiver.service,
        "code": waiver.code,
        "test": waiver.test,
        **_location(waiver.location),
        "reason": waiver.reason,
        "owner": waiver.owner,
        "until": waiver.until.isoformat(),
    }
