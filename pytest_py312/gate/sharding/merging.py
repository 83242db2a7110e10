"""Join the reports of the parts of a run into that of the whole. Pure.

The result equals the report of an undivided run, but for times.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from pytest_py312.core.errors import Py312Error
from pytest_py312.core.model.findings import Interpreter, Outcome, Status, interpreter_order
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import BenchmarkComparison, SuiteComparison
from pytest_py312.core.model.report import EXIT_INCONCLUSIVE, Report
from pytest_py312.gate.run.run_report import with_shared_remedies
from pytest_py312.gate.sharding.comparison import differing_builds, find_faults, incomplete_parts, measures
from pytest_py312.gate.sharding.documents import ShardDocument

OK, TESTS_FAILED, INTERRUPTED, INTERNAL_ERROR, USAGE_ERROR, NO_TESTS_COLLECTED = range(6)
"""pytest's exit codes."""
_PRECEDENCE = (INTERNAL_ERROR, USAGE_ERROR, INTERRUPTED, TESTS_FAILED)
_LAST_CHECK = "benchmark"


class MergeRefused(Py312Error):
    """The documents are not those of one whole run: there is no verdict. The message has a line for each fault."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedRun:
    """The report of the whole run, ``warnings`` about it, and ``incomplete``: parts that were stopped."""

    report: Report
    documents: tuple[ShardDocument, ...]
    """One of each part, in their order."""
    warnings: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """The path from the checkout to the folder of the plan."""
        return self.documents[0].shard.prefix

    @property
    def options(self) -> dict[str, str]:
        """The options that all parts were checked with."""
        return dict(identity.options) if (identity := self.documents[0].shard.identity) else {}

    @property
    def commit(self) -> str:
        """The commit that was checked; empty outside of a git checkout."""
        return identity.commit if (identity := self.documents[0].shard.identity) else ""


def merge(documents: Sequence[ShardDocument], root: Path) -> MergedRun:
    """Return the whole run.

    :param root: the folder of the plan on this machine.
    :raises MergeRefused: the documents are not those of one whole run.
    """
    warnings: list[str] = []
    unique: dict[str, ShardDocument] = {}
    for document in documents:
        first = unique.setdefault(document.digest, document)
        if first is not document:
            warnings.append(f"{document.file} is the same document as {first.file}")
    parts = sorted(unique.values(), key=lambda document: (document.shard.part, document.file))
    refuse(find_faults(parts))
    builds = differing_builds(parts)
    if measures(parts):
        refuse([f"{text}; benchmarks of different builds cannot be compared" for text in builds])
    return MergedRun(
        report=_merged_report(parts, root),
        documents=tuple(parts),
        warnings=(*warnings, *builds),
        incomplete=tuple(incomplete_parts(parts)),
    )


def refuse(faults: Sequence[str]) -> None:
    """Refuse a merge if there are faults.

    :raises MergeRefused: there are.
    """
    if faults:
        lines = "".join(f"\n  {fault}" for fault in faults)
        raise MergeRefused(f"the parts cannot be merged, so nothing is proven:{lines}")


def _merged_report(documents: Sequence[ShardDocument], root: Path) -> Report:
    reports = [document.report for document in documents]
    first = reports[0]
    services_of_run = list(dict.fromkeys(unit.service for unit in documents[0].shard.units))
    order = defaultdict(lambda: len(services_of_run), {name: index for index, name in enumerate(services_of_run)})
    checks = {name: index for index, name in enumerate(first.checks)}

    def outcome_key(outcome: Outcome) -> tuple[object, ...]:
        is_last = outcome.check == _LAST_CHECK
        number = checks.get(outcome.check, len(checks))
        return is_last, order[outcome.service], interpreter_order(outcome.interpreter), number

    def place(entry: SuiteComparison | BenchmarkComparison) -> int:
        return order[entry.service]

    outcomes = sorted((outcome for report in reports for outcome in report.outcomes), key=outcome_key)
    services = {service.name: service for report in reports for service in report.services}
    cells: dict[tuple[str, Interpreter], Cell] = {}
    for report in reports:
        for cell in report.cells:
            cells.setdefault((cell.service.name, cell.interpreter), cell)
    return replace(
        first,
        plan=replace(first.plan, root=root),
        services=tuple(services[name] for name in services_of_run if name in services),
        cells=tuple(sorted(cells.values(), key=lambda cell: order[cell.service.name])),
        outcomes=with_shared_remedies(outcomes, first.plan.target),
        comparisons=tuple(sorted(chain.from_iterable(report.comparisons for report in reports), key=place)),
        benchmarks=tuple(sorted(chain.from_iterable(report.benchmarks for report in reports), key=place)),
        objections=tuple(dict.fromkeys(text for report in reports for text in report.objections)),
        sections=tuple(dict.fromkeys(section for report in reports for section in report.sections)),
        assumptions=tuple(dict.fromkeys(text for report in reports for text in report.assumptions)),
        runner="; ".join(dict.fromkeys(report.runner for report in reports)),
        generated=max(report.generated for report in reports),
        exit_status=_exit_status(reports),
        cut_short=any(report.cut_short for report in reports),
        not_run=tuple(sorted((key for report in reports for key in report.not_run), key=lambda key: order[key[0]])),
        end_signal=next((report.end_signal for report in reports if report.end_signal), ""),
        builds=tuple(
            sorted(
                dict.fromkeys(build for report in reports for build in report.builds), key=lambda build: build.sort_key
            )
        ),
        shard=None,
    )


def _exit_status(reports: Sequence[Report]) -> int:
    """Return the exit status of the whole run, as pytest would end it."""
    statuses = {int(report.exit_status) for report in reports}
    for status in _PRECEDENCE:
        if status in statuses:
            return status
    if EXIT_INCONCLUSIVE in statuses and statuses <= {0, EXIT_INCONCLUSIVE, NO_TESTS_COLLECTED}:
        return EXIT_INCONCLUSIVE
    is_blocked = any(
        outcome.status in (Status.FAILED, Status.ERRORED) for report in reports for outcome in report.outcomes
    )
    if is_blocked or any(report.not_run for report in reports):
        return TESTS_FAILED
    return NO_TESTS_COLLECTED if statuses == {NO_TESTS_COLLECTED} else max(statuses - {NO_TESTS_COLLECTED})
