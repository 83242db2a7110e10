"""Evidence for auditors: everything in the journal about a stage in an environment, as one JSON document.

The document is reproducible: the same journal gives the same bytes. It has no creation date, and everything in it is in
the order of events. To check a bundle, create it again and compare.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from pytest_py312 import __version__
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.canary_analysis.time_series import MetricSeries, ServiceMetrics, SoakProgress
from pytest_py312.rollout.domain.acceptance import acceptance_document
from pytest_py312.rollout.domain.events import (
    AcceptanceTested,
    Breached,
    ContractPassed,
    Decided,
    Drifted,
    Locked,
    breach_in,
    stored_name,
)
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.journal_documents import encode_measurements
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import (
    CONTRACT_METRIC,
    AcceptancePhase,
    AcceptanceResult,
    Deployment,
    Intent,
    StageRun,
)
from pytest_py312.rollout.domain.run_history import JournalEntry, replay
from pytest_py312.rollout.metrics.load_report import quantile
from pytest_py312.rollout.monitoring.breaches import describe_drift
from pytest_py312.rollout.monitoring.soak import ignored_metrics

SCHEMA = 1
KIND = "evidence of a rollout"


def build_evidence(
    journal: Journal,
    environment: str,
    stage: int,
    *,
    intervals: Mapping[str, float],
    compatibility: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe all runs of ``stage`` in ``environment``, the oldest first; there has to be at least one.

    :param intervals: name of a run -> seconds between its samples, for runs whose interval is known.
    :param compatibility: summary of a gate report for these services; see :func:`summarize_gate_report`.
    """
    names = journal.run_names(environment, stage)
    runs = [_describe_run(journal, name, intervals.get(name)) for name in names]
    last = runs[-1]
    identity = journal.identity
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "tool": {"name": "pytest-py312", "version": __version__},
        "journal": identity,
        "chain": history_chain(identity, runs),
        "environment": environment,
        "stage": stage,
        "target": last["target"],
        "services": [service["service"] for service in last["services"]],
        "outcome": {name: last[name] for name in ("state", "verdict", "reason", "stale")},
        "compatibility": compatibility,
        "runs": runs,
    }


def history_chain(journal: str, runs: Iterable[Mapping[str, Any]]) -> str:
    """Return a digest chained over all lines of the history, so that any changed, removed or added line changes it.

    :param journal: identity of the journal.
    """
    link = hashlib.sha256(journal.encode("utf-8", "surrogatepass")).hexdigest()
    for run in runs:
        for line in ({"run": run["run"], "begun": run["begun"]}, *run["history"]):
            text = json.dumps(line, sort_keys=True, separators=(",", ":"))
            link = hashlib.sha256(f"{link} {text}".encode()).hexdigest()
    return link


def _describe_run(journal: Journal, name: str, interval: float | None) -> dict[str, Any]:
    at, planned_run = journal.begun_and_initial_run(name)
    history = journal.history(name)
    run = journal.load_run(name)
    # samples are read only once: a long soak has a million of them
    credit = SoakProgress(run.services, interval, ignored_metrics(run)) if interval is not None else None
    samples = [_summarize_samples(journal, run, service, credit) for service in run.services]
    return {
        "run": name,
        "begun": at,
        "last_entry": history[-1].at if history else at,
        "by": next((entry.content.by for entry in history if isinstance(entry.content, Locked)), ""),
        "target": str(run.target),
        "configuration": run.configuration,
        "place": run.place or None,
        "asked": dict(sorted(run.asked.items())),
        "state": run.state.value,
        "verdict": run.verdict.value,
        "reason": run.reason,
        "stale": run.stale,
        "is_drill": run.is_drill,
        "drill": run.drill,
        "soak": {
            "wanted": run.soak,
            "credited": run.credited,
            "credited_by_samples": credit.seconds if credit is not None else None,
            "interval": interval,
            "first_slot": run.first_slot,
        },
        "services": [_describe_deployment(item, run) for item in run.deployments],
        "history": list(_history(planned_run, history)),
        "decisions": list(_decisions(planned_run, history)),
        "breaches": list(_breaches(history)),
        "contracts": [_describe_contract(edge, run, history) for edge in run.contracts],
        "acceptance": list(_acceptance(run, history)),
        "samples": [item for item, _ in samples],
        "gaps": _gaps(samples),
    }


def _describe_deployment(deployment: Deployment, run: StageRun) -> dict[str, Any]:
    """Describe a deployment; ``verified`` means that all its processes reported the target interpreter."""
    return {
        "service": deployment.service,
        "container": deployment.spec.container,
        "new": {"container": deployment.new.id if deployment.new else None, "image": deployment.image},
        "old": {
            "observed": deployment.observed,
            "container": deployment.old.id if deployment.old else None,
            "image": deployment.old.image if deployment.old else None,
            "interpreter": str(deployment.old_interpreter) if deployment.old_interpreter else None,
        },
        "twin": {
            "container": deployment.control.id if deployment.control else None,
            "none_because": deployment.no_control_reason,
        },
        "interpreter_asked": str(run.target) if deployment.verified else None,
        "ready": deployment.ready,
        "verified": deployment.verified,
        "restored": deployment.restored,
        "could_not_be_restored": deployment.service in run.unrestored,
    }


# ---- events


def _history(run: StageRun, entries: Iterable[JournalEntry]) -> Iterable[dict[str, Any]]:
    """Yield each line of the journal with the state before and after it."""
    for entry, earlier, later in replay(run, entries):
        event = entry.content
        if isinstance(event, str):
            yield {"at": entry.at, "what": "note", "text": event}
            continue
        if isinstance(event, Intent):
            yield {"at": entry.at, "what": "intent", "act": event.act.value, "service": event.service}
            continue
        yield {
            "at": entry.at,
            "what": stored_name(type(event)),
            "details": _json_safe(encode(event)),
            "before": earlier.state.value,
            "after": later.state.value,
        }


def _decisions(run: StageRun, entries: Iterable[JournalEntry]) -> Iterable[dict[str, Any]]:
    for entry, earlier, _ in replay(run, entries):
        event = entry.content
        if isinstance(event, Decided):
            answer = "accept" if event.accept else "roll back"
            about = [*earlier.pending_decisions]
            yield {"at": entry.at, "by": event.by, "answer": answer, "reason": event.reason, "about": about}


def _breaches(entries: Iterable[JournalEntry]) -> Iterable[dict[str, Any]]:
    for entry in entries:
        event = entry.content
        if breach := breach_in(event):
            yield {"at": entry.at, **_json_safe(encode(breach))}
        elif isinstance(event, Drifted):
            yield {
                "at": entry.at, "service": event.service, "metric": "drift", "severity": "severe", "reaction": "hold",
                "detail": event.detail,
            }  # fmt: skip


def _describe_contract(edge: str, run: StageRun, entries: Iterable[JournalEntry]) -> dict[str, Any]:
    """Describe the result of a contract; the first failure takes precedence over everything else."""
    metric = f"{CONTRACT_METRIC} {edge}"
    contract: dict[str, Any] = {"edge": edge, "answer": "not tried", "at": None, "detail": ""}
    for entry in entries:
        event = entry.content
        if isinstance(event, Breached) and event.breach.metric == metric:
            contract = {"edge": edge, "answer": "broken", "at": entry.at, "detail": event.breach.detail}
            break
        if isinstance(event, ContractPassed) and event.edge == edge and contract["at"] is None:
            contract |= {"answer": "kept", "at": entry.at, "detail": event.detail}
    is_accepted = any(key.endswith(f": {metric}") or key == "verdict" for key in run.accepted_breaches)
    return contract | {"accepted_by_a_person": is_accepted and contract["answer"] != "kept"}


def _acceptance(run: StageRun, entries: Iterable[JournalEntry]) -> Iterable[dict[str, Any]]:
    """Yield the acceptance tests that were run, and those that have to be and were not."""
    for entry in entries:
        if isinstance(entry.content, AcceptanceTested):
            result = entry.content.result
            yield {"at": entry.at, **acceptance_document(run, result), "passing": list(result.passing)}
    for phase in AcceptancePhase:
        for name in run.pending_acceptance(phase):
            not_run = AcceptanceResult(name=name, phase=phase, result=Result.INCONCLUSIVE, reason="not run")
            yield {"at": None, **acceptance_document(run, not_run), "passing": []}


# ---- measurements


def _summarize_samples(
    journal: Journal, run: StageRun, service: str, credit: SoakProgress | None
) -> tuple[dict[str, Any], list[tuple[int, float]]]:
    """Summarize the samples of a service and credit them; return the summary, and (slot, seconds since the epoch)."""
    samples = journal.samples(run.run, service)
    service_metrics, digest = ServiceMetrics(), hashlib.sha256()
    last_problems: dict[str, str] = {}
    for sample in samples:
        service_metrics.add(sample)
        at = sample.at
        line = f"{sample.slot} {at.wall!r} {at.boottime!r} {at.boot} {encode_measurements(sample.measurements)}\n"
        digest.update(line.encode("utf-8", "surrogatepass"))
        if credit is not None and sample.slot >= run.first_slot and not describe_drift(sample):
            credit.add(sample)
        last_problems |= {
            measurement.metric: measurement.detail
            for measurement in sample.measurements
            if measurement.result is not Result.SUCCESSFUL and measurement.detail
        }
    summary = {
        "service": service,
        "taken": len(samples),
        "sha256": digest.hexdigest(),
        "first": _date(samples[0].at.wall) if samples else None,
        "last": _date(samples[-1].at.wall) if samples else None,
        "metrics": [
            _summarize_metric(name, service_metrics.series[name], last_problems.get(name, ""))
            for name in sorted(service_metrics.series)
        ],
    }
    return summary, [(sample.slot, sample.at.wall) for sample in samples]


def _summarize_metric(name: str, series: MetricSeries, last_problem: str) -> dict[str, Any]:
    values = sorted(value for value in series.values if math.isfinite(value))
    return {
        "metric": name,
        "results": {kind.value: count for kind, count in series.result_counts.items()},
        "values": {
            "count": len(values),
            "least": values[0],
            "median": median(values),
            "p95": quantile(values, 0.95),
            "most": values[-1],
        }
        if values
        else None,
        "last_trouble": last_problem,
    }


def _gaps(samples: Sequence[tuple[Mapping[str, Any], list[tuple[int, float]]]]) -> list[dict[str, Any]]:
    """Return the gaps: slots without a sample between two slots with one. They earn no credit."""
    taken: dict[int, float] = {}
    for _, slots_of_service in samples:
        taken |= slots_of_service
    slots = sorted(taken)
    return [
        {
            "slots": later - earlier - 1,
            "after_slot": earlier,
            "from": _date(taken[earlier]) if earlier else None,
            "to": _date(taken[later]),
        }
        for earlier, later in zip([0, *slots], slots, strict=False)
        if later - earlier > 1
    ]


def _date(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json_safe(value: Any) -> Any:
    """Replace numbers that JSON does not support (infinity, NaN) with their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _json_safe(item) for name, item in value.items()}
    return [_json_safe(item) for item in value] if isinstance(value, list) else value


# ---- report of the gate


def summarize_gate_report(report: Any, services: Sequence[str], digest: str) -> dict[str, Any]:
    """Summarize the JSON report of the gate for ``services``.

    :param digest: SHA-256 of the report's file, which identifies it.
    :raises ValueError: the document is not a report of the gate.
    """
    if not isinstance(report, dict) or report.get("schema") != 1 or not isinstance(report.get("outcomes"), list):
        raise ValueError("it is not a report of the gate (--py312-report=FILE.json)")
    outcomes = []
    for outcome in report["outcomes"]:
        if not isinstance(outcome, dict) or outcome.get("service") not in services:
            continue
        reported_findings = outcome.get("findings")
        findings = (
            [entry for entry in reported_findings if isinstance(entry, dict)]
            if isinstance(reported_findings, list)
            else []
        )
        outcomes.append(
            {
                **{name: outcome.get(name) for name in ("service", "interpreter", "check", "status", "reason")},
                "errors": sum(entry.get("severity") == "error" for entry in findings),
                "waived": sum(bool(entry.get("waived")) for entry in findings),
            }
        )
    return {
        "sha256": digest,
        "generated": report.get("generated"),
        "tool": tool.get("version") if isinstance(tool := report.get("tool"), dict) else None,
        "target": report.get("target"),
        "exit_status": report.get("exit_status"),
        "without_outcome": [name for name in services if name not in {entry["service"] for entry in outcomes}],
        "outcomes": outcomes,
    }
