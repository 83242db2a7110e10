"""A service's own tests in a cell: the job for the probe, and what its records say.

Comparing two runs is next door (gate/checks/suite_comparison.py).
"""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild, SuiteRun, SuiteWarning, TestResult
from pytest_py312.core.process import Ended
from pytest_py312.runners.runner import CellJob, CellRun, Runner

CRASHES = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}
"""Signals by which an interpreter dies of its own doing: the test that was running then is to blame."""

OUTCOMES = ("passed", "xpassed", "skipped", "xfailed", "failed", "error")
"""How a test may end, the worst last."""

EXIT_CODE = "exit code of pytest"
"""Stands among the tests for a run that failed as a whole."""


def folders_of(service: Service) -> tuple[str, ...]:
    """The folders of the repository that a cell of ``service`` reads."""
    return (service.path, *service.settings.needs)


def suite_job(
    cell: Cell,
    build: InterpreterBuild,
    environment: Path,
    *,
    root: Path,
    built: bool,
    attempt: int = 0,
    select: Sequence[str] = (),
) -> CellJob:
    """The job that runs the suite of ``cell``, or only the tests in ``select``.

    ``built``: the service's distribution is installed in the environment. ``attempt`` becomes the hash seed, the same
    on all interpreters: a test that hangs on the order of a set then fails in one attempt and passes in another,
    and is seen to be flaky, where with random seeds it may look like a regression.
    """
    service, settings = cell.service, cell.service.settings
    # two interpreters may ask the baseline for different tests at the same moment
    chosen = f"-{zlib.crc32(chr(0).join(select).encode('utf-8', 'surrogatepass')):08x}" if select else ""
    purpose = f"suite-{attempt}{chosen}"
    return CellJob(
        identifier=f"{cell.identifier}-{purpose}",
        build=build,
        environment=environment,
        root=root,
        folders=folders_of(service),
        request={**_request(service, built=built), "select": list(select)},
        variables=(("PYTHONHASHSEED", str(attempt)), *settings.environment),
        time_limit=settings.time_limit,
        memory_limit=settings.memory_limit,
        network=settings.network,
    )


def _request(service: Service, *, built: bool) -> dict[str, Any]:
    """What the probe is asked: see there."""
    suite = service.suite
    if suite is None:
        raise ValueError(f"{service.name} has no suite")
    request: dict[str, Any] = {
        "kind": "suite",
        "runner": suite.kind.value,
        "arguments": list(suite.arguments),
        "junit": suite.junit,
        "import_mode": suite.import_mode,
        "prepare": [list(argv) for argv in service.settings.prepare],
        "service": service.path,
        "python_path": list(service.python_path),
        "installed": [],
    }
    own = service.distribution
    if own is not None and not built:
        request["installed"] = list(own.source_roots)
        if own.static:
            scripts = [list(script) for script in own.scripts]
            request["distribution"] = {"name": own.name, "version": own.version, "scripts": scripts}
    return request


def run_suite(runner: Runner, job: CellJob, cell: Cell, versions: Mapping[str, str]) -> SuiteRun:
    """Run the job and read what came back."""
    return read_run(runner.run(job), cell, versions)


def read_run(done: CellRun, cell: Cell, versions: Mapping[str, str]) -> SuiteRun:
    """What a cell's records say, with everything in them checked, since a suite may write what it likes."""
    reading = _Reading()
    for record in done.records:
        reading.take(record)
    reading.take_exit_code()
    trouble = done.trouble or reading.trouble
    crash = crash_of(done)
    if crash and reading.running and cell.is_baseline:
        # nobody knows how the tests after it end there, so nothing on another interpreter can be held against them
        trouble = f"the interpreter died in {reading.running} ({crash})"
    elif crash and reading.running:
        # the interpreter died in a test: that is the test's failure, not a run that could not be made
        detail = f"the interpreter died here ({crash}).\n{done.output_tail[-1200:]}"
        reading.results[reading.running] = TestResult(id=reading.running, outcome="error", detail=detail)
        trouble = ""
    return SuiteRun(
        interpreter=cell.interpreter,
        results=reading.results,
        collection_errors=reading.collection_errors,
        complete=not trouble,
        trouble=trouble,
        seconds=done.seconds,
        output_tail=done.output_tail,
        warnings=tuple(reading.warnings),
        versions=versions,
    )


def crash_of(done: CellRun) -> str:
    """By what a cell's process ended itself early, or empty: it did not, or others ended it."""
    code = done.exit_code
    if done.ended not in (Ended.EXITED, Ended.KILLED) or code is None or not done.trouble:
        return ""
    number = -code if code < 0 else code - 128
    return CRASHES.get(number, "") or (f"exit code {code}" if done.ended is Ended.EXITED else "")


class _Reading:
    """The records of one run, gathered."""

    def __init__(self) -> None:
        self.results: dict[str, TestResult] = {}
        self.collection_errors: dict[str, str] = {}
        self.warnings: list[SuiteWarning] = []
        self.running = ""
        self.trouble = ""
        self.exit_code: object = None

    def take(self, record: Mapping[str, Any]) -> None:
        event = record.get("event")
        if event == "running":
            self.running = str(record.get("id", ""))
        elif event == "test":
            self._take_test(record)
        elif event == "collect_error":
            self.collection_errors[str(record.get("id", "."))] = str(record.get("detail", ""))
        elif event == "warning":
            self._take_warning(record)
        elif event == "trouble":
            detail = str(record.get("detail", "")).strip()
            self.trouble = str(record.get("what", "")) + (f"\n{detail}" if detail else "")
        elif event == "exit":
            self._take_exit(record)

    def _take_exit(self, record: Mapping[str, Any]) -> None:
        self.exit_code = record.get("code")
        if self.exit_code in ((2, 3) if self.collection_errors else (2, 3, 4)):
            # 4 beside a collection error only means that a chosen test's file cannot be collected
            self.trouble = self.trouble or f"{record.get('meaning')} (exit code {self.exit_code})"

    def take_exit_code(self) -> None:
        """Where no test failed and pytest says that the run did, it is told as if it were a test.

        A plugin or a conftest decides so: too little coverage, a leak that is found in the end. As bad on both sides,
        it is nothing new.
        """
        broken = self.collection_errors or any(result.broken for result in self.results.values())
        if not self.results or broken or self.exit_code in (None, 0, 2, 3, 4, 5):
            return
        detail = f"pytest ended with exit code {self.exit_code}, although no test failed"
        self.results[EXIT_CODE] = TestResult(id=EXIT_CODE, outcome="error", detail=detail)

    def _take_test(self, record: Mapping[str, Any]) -> None:
        name = str(record.get("id", ""))
        outcome = str(record.get("outcome", ""))
        if name and outcome in OUTCOMES:
            seconds = record.get("seconds")
            result = TestResult(
                id=name,
                outcome=outcome,
                seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
                detail=str(record.get("detail", "")),
            )
            before = self.results.get(name)
            # load_tests may give several tests one id: none of them passes for another that did not
            if before is None or OUTCOMES.index(outcome) > OUTCOMES.index(before.outcome):
                self.results[name] = result
        if self.running == name:
            self.running = ""

    def _take_warning(self, record: Mapping[str, Any]) -> None:
        count = record.get("count")
        self.warnings.append(
            SuiteWarning(
                category=str(record.get("category", "")),
                message=str(record.get("message", "")),
                origin=str(record.get("origin", "")),
                count=count if isinstance(count, int) else 1,
            )
        )
