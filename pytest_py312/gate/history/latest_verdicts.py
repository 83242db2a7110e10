"""The newest verdict on each service, whichever run it is from: stages are checked on different days."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.errors import StateError
from pytest_py312.core.model.readiness import (
    BenchmarkRecord,
    GateKnowledge,
    KnownVerdict,
    RunRecord,
    ServiceRecord,
    ServiceVerdict,
)
from pytest_py312.core.model.report import Checkout
from pytest_py312.gate.history.documents import DocumentFault
from pytest_py312.gate.history.history_store import record_of_report
from pytest_py312.gate.history.stored_runs import RunStore


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
    records: Iterable[RunRecord],
    services: Collection[str],
    target: str,
    checkout: Checkout,
    has_same_files: Callable[[str], bool] = lambda commit: False,
) -> GateKnowledge:
    """Return the verdict on each of ``services`` for ``target``: on the files that are checked out, else the newest.

    A run of some checks only leaves services incomplete. That does not replace a verdict on the same commit.

    :param records: the newest first. They are read only until all services have a verdict that cannot be replaced.
    :param has_same_files: whether a commit has the files that are checked out now.
    """
    collected = _Collector(checkout, has_same_files)
    for record in records:
        if record.target == target:
            collected.add(record)
        if all(map(collected.is_final, services)):
            break
    return GateKnowledge(
        verdicts=collected.verdicts,
        checkout=checkout,
        same_commits=frozenset(commit for commit, is_same in collected.commits.items() if is_same),
        benchmarks=tuple(benchmark for group in collected.benchmarks.values() for benchmark in group),
    )


class _Collector:
    """Collects verdicts from records, the newest first."""

    def __init__(self, checkout: Checkout, has_same_files: Callable[[str], bool]) -> None:
        self.verdicts: dict[str, KnownVerdict] = {}
        self.benchmarks: dict[str, list[BenchmarkRecord]] = {}
        self.commits: dict[str, bool] = {}
        """Each commit that was seen, and whether it has the files that are checked out."""
        self._checkout = checkout
        self._has_same_files = has_same_files

    def add(self, record: RunRecord) -> None:
        commit = record.checkout.commit
        if commit not in self.commits:
            self.commits[commit] = bool(commit and self._checkout.commit) and self._has_same_files(commit)
        for service in record.services:
            verdict = KnownVerdict(
                service=_accepted(service, record.objections),
                origin=record.origin,
                ended_at=record.ended_at,
                checkout=record.checkout,
            )
            newer = self.verdicts.get(service.name)
            if newer is None or self._replaces(verdict, newer):
                self.verdicts[service.name] = verdict
        for name in {benchmark.service for benchmark in record.benchmarks} - set(self.benchmarks):
            self.benchmarks[name] = [benchmark for benchmark in record.benchmarks if benchmark.service == name]

    def is_final(self, service: str) -> bool:
        """Return whether no older record can replace the verdict on a service."""
        verdict = self.verdicts.get(service)
        if verdict is None or _is_incomplete(verdict):
            return False
        return self._is_exact(verdict) or not self._checkout.commit

    def _replaces(self, older: KnownVerdict, newer: KnownVerdict) -> bool:
        if _is_incomplete(older):
            return False
        if self._is_exact(older) and not self._is_exact(newer):
            return True
        same_commit = bool(newer.checkout.commit) and newer.checkout == older.checkout and not newer.checkout.modified
        return _is_incomplete(newer) and same_commit

    def _is_exact(self, verdict: KnownVerdict) -> bool:
        return not verdict.checkout.modified and self.commits.get(verdict.checkout.commit, False)


def _is_incomplete(verdict: KnownVerdict) -> bool:
    return verdict.service.verdict is ServiceVerdict.INCOMPLETE


def _accepted(service: ServiceRecord, objections: Sequence[str]) -> ServiceRecord:
    """Return a service of a run; one that is ready is not proven if plugins have not accepted the run."""
    if not objections or service.verdict is not ServiceVerdict.READY:
        return service
    return replace(service, verdict=ServiceVerdict.ERRORED, reason=f"its run was not accepted: {objections[0]}")
