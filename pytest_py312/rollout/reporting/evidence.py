"""What an auditor reads later: all that the journal knows of a stage in an environment, as one document.

The same journal gives the same document, to the byte: there is no "made at" in it, and no order but that of what
happened. So whoever doubts a bundle makes it again and compares.
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
from pytest_py312.rollout.canary_analysis.time_series import Credit, Series, Tally
from pytest_py312.rollout.domain.events import Breached, ContractKept, Decided, Drifted, Locked
from pytest_py312.rollout.domain.journal import Entry, Journal, text_of
from pytest_py312.rollout.domain.model import CONTRACT, Deployment, Intent, Result, StageRun
from pytest_py312.rollout.domain.state_machine import advance
from pytest_py312.rollout.metrics.load_generator import quantile
from pytest_py312.rollout.monitoring.breaches import drift_in
from pytest_py312.rollout.monitoring.soak import ignored_in

SCHEMA = 1
KIND = "evidence of a rollout"


def document_of(
    journal: Journal,
    environment: str,
    stage: int,
    *,
    intervals: Mapping[str, float],
    compatibility: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All runs of ``stage`` in ``environment``, the oldest first; there has to be one.

    :param intervals: seconds between the samples of runs (by name) of which that is known for certain.
    :param compatibility: what a report of the gate says of these services; see :func:`compatibility_in`.
    """
    names = journal.names(environment, stage)
    runs = [_run(journal, name, intervals.get(name)) for name in names]
    last = runs[-1]
    identity = journal.identity
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "tool": {"name": "pytest-py312", "version": __version__},
        "journal": identity,
        "chain": chain_of(identity, runs),
        "environment": environment,
        "stage": stage,
        "target": last["target"],
        "services": [one["service"] for one in last["services"]],
        "outcome": {name: last[name] for name in ("state", "verdict", "reason", "stale")},
        "compatibility": compatibility,
        "runs": runs,
    }


def chain_of(journal: str, runs: Iterable[Mapping[str, Any]]) -> str:
    """A digest that each line of the journal goes into, in turn: no line can be changed, left out or put in later
    without it being another one.

    :param journal: which one it is.
    """
    link = hashlib.sha256(journal.encode("utf-8", "surrogatepass")).hexdigest()
    for run in runs:
        for line in ({"run": run["run"], "begun": run["begun"]}, *run["history"]):
            text = json.dumps(line, sort_keys=True, separators=(",", ":"))
            link = hashlib.sha256(f"{link} {text}".encode()).hexdigest()
    return link


def _run(journal: Journal, name: str, interval: float | None) -> dict[str, Any]:
    at, planned = journal.begun(name)
    history = journal.history(name)
    run = journal.run(name)
    # read once: a long soak has a million of them
    credit = Credit(run.services, interval, ignored_in(run)) if interval is not None else None
    samples = [_of_service(journal, run, service, credit) for service in run.services]
    return {
        "run": name,
        "begun": at,
        "last_entry": history[-1].at if history else at,
        "by": next((each.what.by for each in history if isinstance(each.what, Locked)), ""),
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
        "services": [_deployment(one, run) for one in run.deployments],
        "history": list(_history(planned, history)),
        "decisions": list(_decisions(planned, history)),
        "breaches": list(_breaches(history)),
        "contracts": [_contract(edge, run, history) for edge in run.contracts],
        "samples": [one for one, _ in samples],
        "gaps": _gaps(samples),
    }


def _deployment(one: Deployment, run: StageRun) -> dict[str, Any]:
    """Who was asked for its interpreter, and what it said: ``verified`` is that all its processes said the target."""
    return {
        "service": one.service,
        "container": one.spec.container,
        "new": {"container": one.new.id if one.new else None, "image": one.image},
        "old": {
            "observed": one.observed,
            "container": one.old.id if one.old else None,
            "image": one.old.image if one.old else None,
            "interpreter": str(one.old_interpreter) if one.old_interpreter else None,
        },
        "twin": {"container": one.twin.id if one.twin else None, "none_because": one.no_twin},
        "interpreter_asked": str(run.target) if one.verified else None,
        "ready": one.ready,
        "verified": one.verified,
        "restored": one.restored,
        "could_not_be_restored": one.service in run.unrestored,
    }


# ---- what happened


def _history(run: StageRun, entries: Iterable[Entry]) -> Iterable[dict[str, Any]]:
    """Every line of the journal, with the state before and after it."""
    for entry in entries:
        what = entry.what
        before = run.state.value
        if isinstance(what, str):
            yield {"at": entry.at, "what": "note", "text": what}
            continue
        if isinstance(what, Intent):
            yield {"at": entry.at, "what": "intent", "act": what.act.value, "service": what.service}
            continue
        run = advance(run, what)
        yield {
            "at": entry.at,
            "what": type(what).__name__,
            "details": _plain(encode(what)),
            "before": before,
            "after": run.state.value,
        }


def _decisions(run: StageRun, entries: Iterable[Entry]) -> Iterable[dict[str, Any]]:
    for entry in entries:
        if isinstance(entry.what, str | Intent):
            continue
        what, before = entry.what, run
        run = advance(run, what)
        if isinstance(what, Decided):
            answer = "accept" if what.accept else "roll back"
            about = [*before.held_for]
            yield {"at": entry.at, "by": what.by, "answer": answer, "reason": what.reason, "about": about}


def _breaches(entries: Iterable[Entry]) -> Iterable[dict[str, Any]]:
    for entry in entries:
        what = entry.what
        if isinstance(what, Breached):
            yield {"at": entry.at, **_plain(encode(what.breach))}
        elif isinstance(what, Drifted):
            yield {
                "at": entry.at, "service": what.service, "metric": "drift", "severity": "severe", "reaction": "hold",
                "detail": what.detail,
            }  # fmt: skip


def _contract(edge: str, run: StageRun, entries: Iterable[Entry]) -> dict[str, Any]:
    """What is known of what two services rely on each other for; what was broken first goes before all else."""
    metric = f"{CONTRACT} {edge}"
    found: dict[str, Any] = {"edge": edge, "answer": "not tried", "at": None, "detail": ""}
    for entry in entries:
        what = entry.what
        if isinstance(what, Breached) and what.breach.metric == metric:
            found = {"edge": edge, "answer": "broken", "at": entry.at, "detail": what.breach.detail}
            break
        if isinstance(what, ContractKept) and what.edge == edge and found["at"] is None:
            found |= {"answer": "kept", "at": entry.at, "detail": what.detail}
    answered = any(key.endswith(f": {metric}") or key == "verdict" for key in run.decided)
    return found | {"accepted_by_a_person": answered and found["answer"] != "kept"}


# ---- what was measured


def _of_service(
    journal: Journal, run: StageRun, service: str, credit: Credit | None
) -> tuple[dict[str, Any], list[tuple[int, float]]]:
    """The summary of a service, and (slot, seconds since the epoch) of its samples; those that count are credited."""
    samples = journal.samples(run.run, service)
    tally, digest = Tally(), hashlib.sha256()
    troubles: dict[str, str] = {}
    for sample in samples:
        tally.add(sample)
        at = sample.at
        line = f"{sample.slot} {at.wall!r} {at.boottime!r} {at.boot} {text_of(sample.measurements)}\n"
        digest.update(line.encode("utf-8", "surrogatepass"))
        if credit is not None and sample.slot >= run.first_slot and not drift_in(sample):
            credit.add(sample)
        troubles |= {
            one.metric: one.detail for one in sample.measurements if one.result is not Result.SUCCESSFUL and one.detail
        }
    found = {
        "service": service,
        "taken": len(samples),
        "sha256": digest.hexdigest(),
        "first": _date(samples[0].at.wall) if samples else None,
        "last": _date(samples[-1].at.wall) if samples else None,
        "metrics": [_metric(name, tally.series[name], troubles.get(name, "")) for name in sorted(tally.series)],
    }
    return found, [(sample.slot, sample.at.wall) for sample in samples]


def _metric(name: str, series: Series, trouble: str) -> dict[str, Any]:
    values = sorted(value for value in series.values if math.isfinite(value))
    return {
        "metric": name,
        "results": {kind.value: count for kind, count in series.counts.items()},
        "values": {
            "count": len(values),
            "least": values[0],
            "median": median(values),
            "p95": quantile(values, 0.95),
            "most": values[-1],
        }
        if values
        else None,
        "last_trouble": trouble,
    }


def _gaps(samples: Sequence[tuple[Mapping[str, Any], list[tuple[int, float]]]]) -> list[dict[str, Any]]:
    """Slots of the schedule in which nothing was sampled, between two that were. They are worth nothing."""
    taken: dict[int, float] = {}
    for _, found in samples:
        taken |= found
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


def _plain(value: Any) -> Any:
    """Numbers that no JSON has are written out."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


# ---- what the gate said before


def compatibility_in(report: Any, services: Sequence[str], digest: str) -> dict[str, Any]:
    """What a report of the gate (its JSON document) says of ``services``.

    :param digest: SHA-256 of the report's file, by which it can be known again.
    :raises ValueError: it is no such document.
    """
    if not isinstance(report, dict) or report.get("schema") != 1 or not isinstance(report.get("outcomes"), list):
        raise ValueError("it is no report of the gate (--py312-report=FILE.json)")
    found = []
    for outcome in report["outcomes"]:
        if not isinstance(outcome, dict) or outcome.get("service") not in services:
            continue
        told = outcome.get("findings")
        findings = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
        found.append(
            {
                **{name: outcome.get(name) for name in ("service", "interpreter", "check", "status", "reason")},
                "errors": sum(one.get("severity") == "error" for one in findings),
                "waived": sum(bool(one.get("waived")) for one in findings),
            }
        )
    return {
        "sha256": digest,
        "generated": report.get("generated"),
        "tool": tool.get("version") if isinstance(tool := report.get("tool"), dict) else None,
        "target": report.get("target"),
        "exit_status": report.get("exit_status"),
        "without_outcome": [name for name in services if name not in {one["service"] for one in found}],
        "outcomes": found,
    }
