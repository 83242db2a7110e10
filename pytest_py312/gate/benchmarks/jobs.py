"""What a cell is asked to measure, and what its records say. What a cell wrote is untrusted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.gate.benchmarks.sampling import MeasuringFailed
from pytest_py312.runners.probe_records import came_to_its_end
from pytest_py312.runners.runner import CellRun, Station
from pytest_py312.runners.suite_job import suite_job

SECONDS = 0.1
"""How long pytest-benchmark repeats a benchmark in one process, unless its own marker says otherwise."""
IMPORTS = 3
"""Fresh interpreters for one measurement of an import."""
TIME_OF, PROCESSOR_OF = "time of ", "processor time of "
"""What comes before the id of a test in the name of its figures."""
MOST_NAMES = 20_000
"""Figures of one process that are taken note of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """A cell with all that is needed to run something in it; ``versions`` is what is installed."""

    cell: Cell
    build: InterpreterBuild
    environment: Path
    built: bool
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What one process has told: values by name, thresholds by marker, what failed, and how it was measured."""

    values: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0


class Lab:
    """Runs measurements of one side at its station, on ``core`` where that is known and allowed there."""

    def __init__(self, station: Station, root: Path, side: Side, *, core: int | None = None) -> None:
        self._station = station
        self._root = root
        self._core = core
        self.side = side
        self._number = 0

    def tests(self, select: Sequence[str], seed: int) -> Sample:
        """The service's own benchmarks, or those in ``select``.

        :raises MeasuringFailed: the process did not come to its end.
        """
        return self._run({"measure": "tests", "select": list(select), "seconds": SECONDS}, seed)

    def imports(self, module: str, seed: int) -> Sample:
        """Importing ``module``: ``import`` in seconds and ``memory`` in bytes."""
        ahead = 1 + len(self.side.cell.service.python_path)
        return self._run({"measure": "imports", "module": module, "repeats": IMPORTS, "ahead": ahead}, seed)

    def suite(self, seed: int, watch: Sequence[str] | None = None) -> Sample:
        """The whole suite: ``suite`` and ``processor`` in seconds, ``peak`` in bytes, and :data:`TIME_OF` and
        :data:`PROCESSOR_OF` each of the tests in ``watch`` (``None``: of all that take more than a moment)."""
        return self._run({"measure": "suite", "watch": None if watch is None else list(watch)}, seed)

    def close(self) -> None:
        """Leave the station."""
        self._station.close()

    def _run(self, asked: Mapping[str, Any], seed: int) -> Sample:
        self._number += 1
        side = self.side
        service = side.cell.service
        cell = side.cell
        if service.suite is None:  # only imported then, but the rest of the request is the same
            cell = replace(cell, service=replace(service, suite=Suite(kind=SuiteKind.PYTEST)))
        job = suite_job(cell, side.build, side.environment, root=self._root, built=side.built, attempt=seed)
        core = True if self._core is None else self._core
        request = {**job.request, **asked, "kind": "benchmark", "core": core}
        identifier = f"{cell.identifier}-{self._number}-benchmark"
        return read_sample(self._station.run(replace(job, identifier=identifier, request=request)))


def read_sample(done: CellRun) -> Sample:
    """What the records of one process say.

    :raises MeasuringFailed: it did not come to its end, or says itself that it could not measure.
    """
    values: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    failed: dict[str, str] = {}
    conditions: dict[str, str] = {}
    code = 0
    trouble = done.trouble
    for record in done.records:
        event, name = record.get("event"), str(record.get("name", ""))[:1000]
        value = _positive(record.get("value"))
        if event == "measured" and name and value and len(values) < MOST_NAMES:
            values[name] = value
        elif event == "threshold" and value:
            thresholds[name] = min(value, 10.0)
        elif event == "failed":
            failed[name] = str(record.get("detail", ""))
        elif event == "conditions":
            told = record.get("values")
            conditions = {str(key): str(one)[:500] for key, one in told.items()} if isinstance(told, dict) else {}
        elif event == "trouble":
            trouble = trouble or " ".join((str(record.get("what", "")), str(record.get("detail", ""))[-300:])).strip()
        elif event == "exit":
            found = record.get("code")
            code = found if isinstance(found, int) else 1
    if trouble or not came_to_its_end(done.records):
        raise MeasuringFailed(trouble or f"the process ended early, with exit code {done.exit_code}")
    return Sample(values=values, thresholds=thresholds, failed=failed, conditions=conditions, exit_code=code)


def _positive(value: object) -> float:
    """A number above zero, else 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    return 0.0
