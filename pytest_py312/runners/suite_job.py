"""Run a service's own tests in a cell: build the job for the probe, and parse its records.

Two runs are compared in gate/checks/suite_comparison.py.
"""

import base64
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild, SuiteRun, SuiteWarning, TestResult
from pytest_py312.core.model.plan import FurtherTest
from pytest_py312.core.process import ExitReason
from pytest_py312.runners.runner import ProbeJob, ProbeResult, Runner
from pytest_py312.runners.suite_ids import SuiteIds, read_folders

CRASH_SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}
"""Signals of a crashing interpreter: the test that was running is to blame."""

INTERNAL_ERROR, USAGE_ERROR = 3, 4
"""Exit codes of a pytest that cannot load a plugin or what its configuration names, or was called wrongly."""

OUTCOMES = ("passed", "xpassed", "skipped", "xfailed", "failed", "error")
"""Outcomes of a test, the worst last."""

EXIT_CODE_TEST = "exit code of pytest"
"""Id of an artificial test that stands for a run that failed as a whole."""


START_COLLECTOR = "start of pytest"
"""Id in ``collection_errors`` for a pytest that failed before it ran a test: no file could be collected."""

_START_ERROR = re.compile(
    r"^(?:ImportError while loading conftest|This error occurred:|Error while loading plugin |Error importing plugin )",
    re.MULTILINE,
)
"""What pytest prints if a conftest, a plugin, or a class that a warning filter names cannot be imported."""

MAX_DETAIL_LENGTH = 2400
"""Characters of output that are kept of such an error."""


def folders_read_by(service: Service) -> tuple[str, ...]:
    """Return the folders of the repository that a cell of ``service`` reads."""
    generated = (folder for each in service.generations for folder in each.folders)
    return tuple(dict.fromkeys((service.path, *service.settings.needs, *generated)))


TEST_SHARE = 0.4
"""Share of the time limit of a suite that one test may take: what never ends leaves time for the others."""


COMMAND_LIMIT = 120.0
"""Seconds that a further command may take: one that waits for a running system does not end."""

COMMANDS_LIMIT = 300.0
"""Seconds for all further commands of a suite together, beside the limit of the suite."""


def suite_job(
    cell: Cell,
    build: InterpreterBuild,
    environment: Path,
    *,
    root: Path,
    built: bool,
    attempt: int = 0,
    select: Sequence[str] = (),
    around: Mapping[str, str] | None = None,
    replaced: Mapping[str, bytes] | None = None,
) -> ProbeJob:
    """Return the job that runs the suite of ``cell``, or only the tests in ``select``.

    ``around``: files around the service, see runners/surroundings.py; ``replaced``: other contents for files of it.
    ``built``: the service's distribution is installed in the environment. ``attempt`` becomes the hash seed, the same
    on all interpreters: a test that depends on the order of a set fails in one attempt and passes in another, so it is
    recognized as flaky. With random seeds it could look like a regression.
    """
    service, settings = cell.service, cell.service.settings
    # the baseline may run different tests at the same time, for two interpreters
    selection_digest = f"-{zlib.crc32(chr(0).join(select).encode('utf-8', 'surrogatepass')):08x}" if select else ""
    purpose = f"suite-{attempt}{selection_digest}{'-changed' if replaced else ''}"
    variables = dict(environment_of_tests(service))
    python_warnings = variables.pop("PYTHONWARNINGS", "")  # for the suite, not for the probe
    contents = {path: base64.b64encode(content).decode() for path, content in (replaced or {}).items()}
    return ProbeJob(
        identifier=f"{cell.identifier}-{purpose}",
        build=build,
        environment=environment,
        root=root,
        folders=folders_read_by(service),
        request={
            **_probe_request(service, built=built),
            **_selection(service, select),
            "around": around or {},
            "test_limit": settings.time_limit * TEST_SHARE,
            "replaced": contents,
            "python_warnings": python_warnings,
        },
        variables=(("PYTHONHASHSEED", str(attempt)), *variables.items()),
        time_limit=settings.time_limit + (COMMANDS_LIMIT if further_tests(service) else 0),
        memory_limit=settings.memory_limit,
        network=settings.network,
    )


def environment_of_tests(service: Service) -> tuple[tuple[str, str], ...]:
    """Return the variables of a suite: of a compose file, the recipes, and the plan, of which the last counts most."""
    recipes = (service.recipe, service.test_recipe)
    inferred = [variable for recipe in recipes if recipe is not None for variable in recipe.environment]
    variables = {name: value for name, value in inferred if name != "PYTHONPATH"}  # it is in the service's own path
    return tuple({**dict(service.test_variables), **variables, **dict(service.settings.environment)}.items())


def _selection(service: Service, select: Sequence[str]) -> dict[str, Any]:
    """Return the part of a request that says which tests and further commands run: all without a selection."""
    repeatable = [command for command in further_tests(service) if not select or command.identifier in select]
    commands = [
        {
            "id": command.identifier,
            "words": list(command.words),
            "folder": command.folder,
            "environment": [list(variable) for variable in command.environment],
            "limit": min(COMMAND_LIMIT, service.settings.time_limit * TEST_SHARE),
        }
        for command in repeatable
    ]
    tests = [name for name in select if name not in {command.identifier for command in repeatable}]
    is_only_commands = bool(select) and not tests
    return {
        "select": tests,
        "commands": commands,
        "commands_limit": COMMANDS_LIMIT,
        **({"runner": ""} if is_only_commands else {}),
    }


def further_tests(service: Service) -> tuple[FurtherTest, ...]:
    """Return the commands that a cell runs beside the suite."""
    commands = service.suite.further if service.suite is not None else ()
    return tuple(command for command in commands if command.words)


def _probe_request(service: Service, *, built: bool) -> dict[str, Any]:
    """Return the probe's request; agent/probe.py documents its keys."""
    suite = service.suite
    if suite is None:
        raise ValueError(f"{service.name} has no suite")
    request: dict[str, Any] = {
        "kind": "suite",
        "runner": suite.kind.value,
        "arguments": list(suite.arguments),
        "junit": suite.junit,
        "import_mode": suite.import_mode,
        "working_folder": suite.folder,
        "warning_options": list(suite.warning_options),
        "generate": generation_requests(service),
        "prepare": [
            *(list(argv) for argv in (service.test_recipe.prepare if service.test_recipe else ())),
            *(list(argv) for argv in service.settings.prepare),
        ],
        "started_modules": [
            [module.name, module.folder, module.kind] for module in service.start_modules if module.is_own
        ],
    }
    return {**request, **paths_of_service(service, built=built)}


def paths_of_service(service: Service, *, built: bool) -> dict[str, Any]:
    """Return the part of a probe's request that says where the code of the service is."""
    request: dict[str, Any] = {"service": service.path, "python_path": list(service.python_path), "installed": []}
    distribution = service.distribution
    if distribution is not None and not built:
        request["installed"] += distribution.source_roots
        if distribution.static:
            scripts = [list(script) for script in distribution.scripts]
            request["distribution"] = {"name": distribution.name, "version": distribution.version, "scripts": scripts}
            request["distribution"]["plugins"] = [list(plugin) for plugin in distribution.plugins]
    request["installed"] += service.appended_path
    return request


def generation_requests(service: Service) -> list[dict[str, list[str]]]:
    """Return the part of a probe's request that says how modules of the service are generated."""
    return [{"words": list(each.words), "folders": list(each.outputs)} for each in service.generations]


def run_suite(runner: Runner, job: ProbeJob, cell: Cell, versions: Mapping[str, str]) -> SuiteRun:
    """Run the job and parse its result."""
    return parse_suite_run(runner.run(job), cell, versions)


def parse_suite_run(result: ProbeResult, cell: Cell, versions: Mapping[str, str]) -> SuiteRun:
    """Parse a cell's records. Everything is validated, since a suite may write anything into them."""
    records = _SuiteRecords()
    for record in result.records:
        records.add(record)
    records.add_exit_code_result()
    failure = result.failure or records.failure
    crash = describe_crash(result)
    start_error = _start_error(result, records, crash)
    if start_error:
        records.collection_errors[START_COLLECTOR] = start_error
        failure = ""
    if crash and records.running and cell.is_baseline:
        # without the baseline's results of the later tests, their failures elsewhere prove nothing
        failure = f"the interpreter crashed in {records.running} ({crash})"
    elif crash and records.running:
        # a crash in a test is the test's failure; the run itself is complete
        detail = f"the interpreter crashed here ({crash}).\n{result.output_tail[-1200:]}"
        records.results[records.running] = TestResult(id=records.running, outcome="error", detail=detail)
        failure = ""
    return SuiteRun(
        interpreter=cell.interpreter,
        results=records.results,
        collection_errors=records.collection_errors,
        complete=not failure,
        incomplete_reason=failure,
        seconds=result.seconds,
        output_tail=result.output_tail,
        warnings=tuple(records.warnings),
        versions=versions,
        started_modules=records.started_modules,
        imported_files=records.imported_files,
        commands=records.commands,
    )


def _start_error(result: ProbeResult, records: "_SuiteRecords", crash: str) -> str:
    """Return the error of code under test, or of a plugin, with which pytest ended before its first test, if any.

    That the command line is wrong, a limit is reached or the engine is lost is no such error.
    """
    if records.results or records.running:
        return ""
    if crash in CRASH_SIGNALS.values():
        return f"{result.output_tail[-MAX_DETAIL_LENGTH:]}\nthe interpreter crashed at the start of the suite ({crash})"
    if result.failure:
        return ""
    match = _START_ERROR.search(result.output_tail) if records.exit_code in (INTERNAL_ERROR, USAGE_ERROR) else None
    return records.start_error or (result.output_tail[match.start() :][-MAX_DETAIL_LENGTH:].strip() if match else "")


def describe_crash(result: ProbeResult) -> str:
    """Return the signal or exit code of a cell's process that ended early by itself, else an empty text."""
    code = result.exit_code
    if result.exit_reason not in (ExitReason.EXITED, ExitReason.KILLED) or code is None or not result.failure:
        return ""
    number = -code if code < 0 else code - 128
    return CRASH_SIGNALS.get(number, "") or (f"exit code {code}" if result.exit_reason is ExitReason.EXITED else "")


class _SuiteRecords:
    """The records of one run, collected one by one."""

    def __init__(self) -> None:
        self.results: dict[str, TestResult] = {}
        self.commands: dict[str, TestResult] = {}
        self.collection_errors: dict[str, str] = {}
        self.warnings: list[SuiteWarning] = []
        self.running = ""
        self.failure = ""
        self.start_error = ""
        self.exit_code: object = None
        self.started_modules: tuple[str, ...] | None = None
        self.imported_files: tuple[str, ...] = ()
        self._ids = SuiteIds()
        self._is_started = False

    def add(self, record: Mapping[str, Any]) -> None:
        event = record.get("event")
        if event == "start" and not self._is_started:
            self._ids, self._is_started = SuiteIds(read_folders(record)), True  # the probe's own, before any test
        elif event == "running":
            self.running = self._ids.comparable(str(record.get("id", "")))
        elif event == "test":
            self._add_test(record)
        elif event == "command" and (result := _result_of(record, str(record.get("id", "")))):
            self.commands[result.id] = result
        elif event == "collect_error":
            collector = self._ids.comparable(str(record.get("id", ".")))
            self.collection_errors[collector] = str(record.get("detail", ""))
        elif event == "warning":
            self._add_warning(record)
        elif event == "trouble":
            detail = str(record.get("detail", "")).strip()
            self.failure = str(record.get("what", "")) + (f"\n{detail}" if detail else "")
        elif event == "start_error":
            self.start_error = str(record.get("detail", "")).strip() or "no reason given"
        elif event == "exit":
            self._add_exit(record)
        elif event == "started_modules" and isinstance(record.get("names"), list):
            self.started_modules = tuple(map(str, record["names"]))
            files = record.get("files")
            self.imported_files = tuple(map(str, files)) if isinstance(files, list) else ()

    def _add_exit(self, record: Mapping[str, Any]) -> None:
        self.exit_code = record.get("code")
        if self.exit_code in ((2, 3) if self.collection_errors else (2, 3, 4)):
            # with a collection error, 4 only means that a selected test's file cannot be collected
            self.failure = self.failure or f"{record.get('meaning')} (exit code {self.exit_code})"

    def add_exit_code_result(self) -> None:
        """Add an artificial failed test if pytest's exit code reports a failure although no test failed.

        A plugin or a conftest does that: insufficient coverage, a leak found at the end. If it happens on the baseline
        too, it is pre-existing like any other failed test.
        """
        broken = self.collection_errors or any(result.is_failing for result in self.results.values())
        if not self.results or broken or self.exit_code in (None, 0, 2, 3, 4, 5):
            return
        detail = f"pytest ended with exit code {self.exit_code}, although no test failed"
        self.results[EXIT_CODE_TEST] = TestResult(id=EXIT_CODE_TEST, outcome="error", detail=detail)

    def _add_test(self, record: Mapping[str, Any]) -> None:
        name = self._ids.comparable(str(record.get("id", "")))
        if result := _result_of(record, name):
            previous = self.results.get(name)
            # load_tests may give several tests the same id: the worst outcome counts
            if previous is None or OUTCOMES.index(result.outcome) > OUTCOMES.index(previous.outcome):
                self.results[name] = result
        if self.running == name:
            self.running = ""

    def _add_warning(self, record: Mapping[str, Any]) -> None:
        count = record.get("count")
        self.warnings.append(
            SuiteWarning(
                category=str(record.get("category", "")),
                message=str(record.get("message", "")),
                origin=str(record.get("origin", "")),
                count=count if isinstance(count, int) else 1,
            )
        )


def _result_of(record: Mapping[str, Any], name: str) -> TestResult | None:
    """Return the result that a record says; ``None`` if it is not one, since a suite may write anything."""
    outcome, seconds = str(record.get("outcome", "")), record.get("seconds")
    if not name or outcome not in OUTCOMES:
        return None
    return TestResult(
        id=name,
        outcome=outcome,
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        detail=str(record.get("detail", "")),
    )
