"""Run one measurement in a cell, and parse the records that it wrote. Records of cells are untrusted input."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.gate.benchmarks.sampling import MeasurementFailed
from pytest_py312.runners.probe_records import is_complete
from pytest_py312.runners.runner import JobSession, ProbeResult
from pytest_py312.runners.suite_job import suite_job

BENCHMARK_SECONDS = 0.1
"""Time for which pytest-benchmark repeats a benchmark in one process, unless its marker sets another one."""
IMPORT_REPEATS = 3
"""Number of fresh interpreters for one measurement of an import."""
TIME_PREFIX, CPU_TIME_PREFIX = "time of ", "processor time of "
"""Prefixes of the ids of tests in the names of figures."""
MAX_FIGURES = 20_000
"""Maximum number of figures that are read from one process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkSide:
    """A cell with its interpreter and environment; ``versions`` are the installed distributions."""

    cell: Cell
    build: InterpreterBuild
    environment: Path
    built: bool
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessMeasurements:
    """The figures of one process: values by name, thresholds by marker, failed benchmarks, measuring conditions."""

    values: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0


class BenchmarkSession:
    """Runner of the measurements of one side in one job session, on ``core`` if it is given and allowed there."""

    def __init__(self, session: JobSession, root: Path, side: BenchmarkSide, *, core: int | None = None) -> None:
        self._session = session
        self._root = root
        self._core = core
        self.side = side
        self._number = 0

    def tests(self, select: Sequence[str], seed: int) -> ProcessMeasurements:
        """Measure the service's own benchmarks, or those in ``select``.

        :raises MeasurementFailed: the process did not complete.
        """
        return self._run({"measure": "tests", "select": list(select), "seconds": BENCHMARK_SECONDS}, seed)

    def imports(self, module: str, seed: int) -> ProcessMeasurements:
        """Measure the import of ``module``: ``import`` in seconds and ``memory`` in bytes."""
        leading_path_entries = 1 + len(self.side.cell.service.python_path)
        return self._run(
            {"measure": "imports", "module": module, "repeats": IMPORT_REPEATS, "ahead": leading_path_entries}, seed
        )

    def suite(self, seed: int, watch: Sequence[str] | None = None) -> ProcessMeasurements:
        """Measure the whole suite: ``suite`` and ``processor`` in seconds, ``peak`` in bytes.

        Adds figures with :data:`TIME_PREFIX` and :data:`CPU_TIME_PREFIX` for each test in ``watch``; ``None``: for all
        tests that take a measurable time.
        """
        return self._run({"measure": "suite", "watch": None if watch is None else list(watch)}, seed)

    def close(self) -> None:
        """Close the job session."""
        self._session.close()

    def _run(self, measurement: Mapping[str, Any], seed: int) -> ProcessMeasurements:
        self._number += 1
        side = self.side
        service = side.cell.service
        cell = side.cell
        if service.suite is None:  # only imports are measured, but the request has the same form
            cell = replace(cell, service=replace(service, suite=Suite(kind=SuiteKind.PYTEST)))
        job = suite_job(cell, side.build, side.environment, root=self._root, built=side.built, attempt=seed)
        core = True if self._core is None else self._core
        request = {**job.request, **measurement, "kind": "benchmark", "core": core}
        identifier = f"{cell.identifier}-{self._number}-benchmark"
        return read_measurements(self._session.run(replace(job, identifier=identifier, request=request)))


def read_measurements(probe_result: ProbeResult) -> ProcessMeasurements:
    """Parse the records of one process.

    :raises MeasurementFailed: the process did not complete, or reported that it could not measure.
    """
    values: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    failed: dict[str, str] = {}
    conditions: dict[str, str] = {}
    exit_code = 0
    failure = probe_result.failure
    for record in probe_result.records:
        event, name = record.get("event"), str(record.get("name", ""))[:1000]
        value = _positive_number(record.get("value"))
        if event == "measured" and name and value and len(values) < MAX_FIGURES:
            values[name] = value
        elif event == "threshold" and value:
            thresholds[name] = min(value, 10.0)
        elif event == "failed":
            failed[name] = str(record.get("detail", ""))
        elif event == "conditions":
            raw_conditions = record.get("values")
            conditions = (
                {str(key): str(condition)[:500] for key, condition in raw_conditions.items()}
                if isinstance(raw_conditions, dict)
                else {}
            )
        elif event == "trouble":
            failure = failure or " ".join((str(record.get("what", "")), str(record.get("detail", ""))[-300:])).strip()
        elif event == "exit":
            raw_code = record.get("code")
            exit_code = raw_code if isinstance(raw_code, int) else 1
    if failure or not is_complete(probe_result.records):
        raise MeasurementFailed(failure or f"the process ended early, with exit code {probe_result.exit_code}")
    return ProcessMeasurements(
        values=values, thresholds=thresholds, failed=failed, conditions=conditions, exit_code=exit_code
    )


def _positive_number(value: object) -> float:
    """Return ``value`` if it is a finite number above zero, otherwise 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    return 0.0
