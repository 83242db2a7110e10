"""The newest verdict on each service, whichever run it is from: stages are checked on different days."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_py312.core.errors import StateError
from pytest_py312.core.model.readiness import BenchmarkRecord, GateKnowledge, KnownVerdict, RunRecord, ServiceVerdict
from pytest_py312.core.model.report import Checkout
from pytest_py312.gate.history.documents import DocumentFault
from pytest_py312.gate.history.history_store import record_of_report
from pytest_py312.gate.run.stored_runs import RunStore


def stored_records(state_folder: Path) -> Iterator[RunRecord]:
    """Yield the records of the stored runs that have a report, the newest first.

    :raises StateError: the file of the runs cannot be used.
    """
    store = RunStore(state_folder)
    for run in store.runs():
        if run.exit_status is not None:
            with suppress(StateError, DocumentFault):  # of another version, or a part of a divided run
                yield record_of_report(store.report(run), run.id)


def newest_first(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return records in the order of :func:`gate_knowledge`."""
    return sorted(records, key=lambda record: record.ended_at, reverse=True)


def gate_knowledge(
    records: Iterable[RunRecord], services: Collection[str], target: str, checkout: Checkout
) -> GateKnowledge:
    """Return the newest verdict on each of ``services`` for ``target``.

    A run of some checks only leaves services incomplete. That does not replace a verdict on the same commit.

    :param records: the newest first. They are read only until all services have a verdict.
    """
    verdicts: dict[str, KnownVerdict] = {}
    benchmarks: dict[str, list[BenchmarkRecord]] = {}
    for record in records:
        if record.target != target:
            continue
        for service in record.services:
            verdict = KnownVerdict(
                service=service, origin=record.origin, ended_at=record.ended_at, checkout=record.checkout
            )
            if service.name not in verdicts or _replaces(verdict, verdicts[service.name]):
                verdicts[service.name] = verdict
        for name in {benchmark.service for benchmark in record.benchmarks} - set(benchmarks):
            benchmarks[name] = [benchmark for benchmark in record.benchmarks if benchmark.service == name]
        if all(name in verdicts and not _is_incomplete(verdicts[name]) for name in services):
            break
    return GateKnowledge(
        verdicts=verdicts,
        checkout=checkout,
        benchmarks=tuple(benchmark for group in benchmarks.values() for benchmark in group),
    )


def _replaces(older: KnownVerdict, newer: KnownVerdict) -> bool:
    same_commit = bool(newer.checkout.commit) and newer.checkout == older.checkout and not newer.checkout.modified
    return _is_incomplete(newer) and not _is_incomplete(older) and same_commit


def _is_incomplete(verdict: KnownVerdict) -> bool:
    return verdict.service.verdict is ServiceVerdict.INCOMPLETE
