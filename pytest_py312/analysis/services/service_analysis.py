"""Analyze the source of services: read and scan the files, query the interpreters, judge."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pytest_py312.analysis.files.embedded_python import may_embed_python
from pytest_py312.analysis.files.file_kinds import is_runtime_file
from pytest_py312.analysis.files.newer_syntax import NewerSyntaxScanner
from pytest_py312.analysis.files.source_reader import ScannedSource, SourceReader
from pytest_py312.analysis.judging.compiled_modules import compiled_module_findings, find_compiled_modules
from pytest_py312.analysis.judging.compiler_messages import NOT_CHECKED
from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.judge import judge_files
from pytest_py312.analysis.judging.shadowed_modules import shadowing_findings
from pytest_py312.analysis.judging.unused_files import mark_unused_files
from pytest_py312.analysis.judging.warning_filters import WarningFilters, filters_in_code
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.oracle.probe_protocol import InterpreterUnavailable
from pytest_py312.analysis.scanner.gc_pause import gc_paused
from pytest_py312.analysis.services.analysis_cache import AnalysisCache, analysis_key
from pytest_py312.analysis.services.batch_inputs import BatchInputs, MessagesByFile
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.tree import join_path
from pytest_py312.runners.runner import CellUnavailable, Runner

CODES_WITH_RELEASE = frozenset({"PY201", "PY202", "PY203", "PY204", "PY209"})
"""Findings that name the release of a removal. Only for these the intermediate interpreters are queried."""
MIGRATION_CODES = frozenset({"PY208", "PY210", "PY230"})
"""Findings that no longer apply to a service that already runs on the target."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisResult:
    """The findings of one cell. ``unchecked_reason`` describes what could not be checked, if anything."""

    findings: tuple[Finding, ...] = ()
    unchecked_reason: str = ""


T = TypeVar("T")


class ServiceAnalyzer:
    """Analysis of the source of services. Safe for several threads; shared work is done once.

    :param overrides: contents, by path, that replace those of the files.
    """

    def __init__(
        self, *, plan: Plan, cache: Path, runner: Runner, processes: int, overrides: Mapping[str, bytes] | None = None
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._lock = threading.Lock()
        self._batches: dict[str, _Batch] = {}
        self._reader = SourceReader(root=plan.root, cache=cache, processes=processes, overrides=overrides)
        self._oracle = Oracle(cache=cache, tool_runner=runner)
        self._newer = NewerSyntaxScanner(cache=cache, tool_runner=runner)
        self._cache = AnalysisCache(root=plan.root, cache=cache)

    def register(self, services: Iterable[Service]) -> None:
        """Announce which services will be analyzed, so that they are read in one batch."""
        batch_services = tuple(dict.fromkeys(services))
        inputs = BatchInputs(batch_services, self._plan, self._runner, self._reader, self._oracle, self._newer)
        batch = _Batch(inputs, self._plan, self._runner, self._cache)
        with self._lock:
            self._batches |= {service.path: batch for service in batch_services}

    def prefetch(self) -> None:
        """Read all registered services and query the interpreters ahead of the first analysis."""
        for batch in list(dict.fromkeys(self._batches.values())):
            with suppress(InterpreterUnavailable, CellUnavailable):  # reported by the analyses that need it
                batch.prefetch()

    def read(self, service: Service) -> ScannedSource:
        """Return the Python files of a service with their facts."""
        return self._from_batch(service, lambda batch: batch.inputs.scanned()[service.path])

    def _from_batch(self, service: Service, ask: "Callable[[_Batch], T]") -> T:
        """Ask the batch of a service; one of that service alone if there is an error of ours in the others."""
        if service.path not in self._batches:
            self.register([service])
        batch = self._batches[service.path]
        try:
            return ask(batch)
        except (InterpreterUnavailable, CellUnavailable):
            raise
        except Exception:
            if batch.is_alone:
                raise
            self.register([service])
            return ask(self._batches[service.path])

    def analyze(self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str] = ()) -> AnalysisResult:
        """Return what of the service's source fails on the cell's interpreter, the target, or on the baseline.

        :param lock: versions of the installed distributions by normalised name; ``None`` if they are unknown.
        :param declared: projects that the service itself requires. They are used if ``lock`` is ``None``.
        """
        try:
            return self._from_batch(cell.service, lambda batch: batch.analyze(cell, lock, declared))
        except (InterpreterUnavailable, CellUnavailable) as reason:
            return AnalysisResult(unchecked_reason=str(reason))


class _Batch:
    """Services that are read and analyzed together."""

    def __init__(self, inputs: BatchInputs, plan: Plan, runner: Runner, cache: AnalysisCache) -> None:
        self.inputs = inputs
        self._plan = plan
        self._runner = runner
        self._cache = cache

    @property
    def is_alone(self) -> bool:
        return len(self.inputs.services) == 1

    def prefetch(self) -> None:
        """See :meth:`ServiceAnalyzer.prefetch`.

        :raises InterpreterUnavailable, CellUnavailable: an available interpreter does not answer.
        """
        target = self._plan.target
        keys = {
            service.path: self._cache_key(Cell(service=service, interpreter=target), None, (), include_lock=False)
            for service in self.inputs.services
        }
        if all(key and self._cache.get(path, key) is not None for path, key in keys.items()):
            return
        interpreters = sorted({*map(self.inputs.baseline_of, self.inputs.services), target}, reverse=True)
        self.inputs.compiler_run(target)
        with gc_paused(), ThreadPoolExecutor(len(interpreters) + 1) as threads:
            compiled = threads.submit(
                lambda: [self.inputs.compiler_messages(interpreter) for interpreter in interpreters]
            )  # compiling needs no facts
            self.inputs.linked_facts()
            list(threads.map(self.inputs.answers_of, interpreters))
            compiled.result()
        for path, key in keys.items():
            if key:
                self._cache.put(path, key, ())

    def analyze(self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str]) -> AnalysisResult:
        """See :meth:`ServiceAnalyzer.analyze`.

        :raises InterpreterUnavailable, CellUnavailable: an available interpreter does not answer.
        """
        key = self._cache_key(cell, lock, declared, include_lock=True)
        cached = self._cache.get(cell.service.path, key) if key else None
        if cached is not None:
            return AnalysisResult(findings=cached)
        result = self._analyze(cell, lock, declared)
        if key and not result.unchecked_reason:
            self._cache.put(cell.service.path, key, result.findings)
        return result

    def _cache_key(
        self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str], *, include_lock: bool
    ) -> str:
        """Return the cache key; empty if an interpreter is missing, because it may become available later."""
        try:
            interpreters = {planned.interpreter for planned in cells_of(self._plan, cell.service)} | {
                self.inputs.baseline_of(cell.service)
            }
            builds = [self._runner.find_interpreter(interpreter) for interpreter in sorted(interpreters)]
        except CellUnavailable:
            return ""
        return analysis_key(
            cell, self.inputs.sources()[cell.service.path], builds, lock, declared, include_lock=include_lock
        )

    def _analyze(self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str]) -> AnalysisResult:
        read = self.inputs.scanned()[cell.service.path]
        facts = self.inputs.linked_facts()[cell.service.path]
        target, baseline = cell.interpreter, self.inputs.baseline_of(cell.service)
        evidence = Evidence(
            baseline=self.inputs.answers_of(baseline).interpreter_answers,
            target=self.inputs.answers_of(target).interpreter_answers,
            baseline_messages=_messages_of(read, self.inputs.compiler_messages(baseline)),
            target_messages=_messages_of(read, self.inputs.compiler_messages(target)),
            without_pth=str(cell.service.runs_without_pth or ""),
            without_shim=_without_shim(cell.service),
            warning_filters=_warning_filters(cell.service, read),
        )
        findings = judge_files(facts, evidence, lock=lock, declared=declared)
        if any(finding.code in CODES_WITH_RELEASE for finding in findings):
            candidates = [planned.interpreter for planned in cells_of(self._plan, cell.service)]
            intermediate = [
                self.inputs.intermediate_answers(candidate, baseline, target)
                for candidate in candidates
                if baseline < candidate < target
            ]
            findings = judge_files(facts, replace(evidence, intermediate=intermediate), lock=lock, declared=declared)
        programs = [program.name for program in cell.service.programs if program.is_module]
        source = self.inputs.sources()[cell.service.path]
        compiled = find_compiled_modules(source.compiled, read.contents, dict(source.bytecode))
        findings = (*findings, *compiled_module_findings(compiled, facts, evidence))
        findings = mark_unused_files(
            findings, facts, read.contents, evidence, programs, cell.service.path, cell.service.settings.needs
        )
        findings = (*findings, *shadowing_findings(self.inputs.shadowing_modules(cell.service), evidence))
        findings = tuple(map(_changeable, findings))
        is_migrated = cell.service.baseline >= target
        return AnalysisResult(
            findings=_mark_preexisting(findings) if is_migrated else findings,
            unchecked_reason=self._unchecked_reason(read, (target,) if is_migrated else (baseline, target), findings),
        )

    def _unchecked_reason(
        self, read: ScannedSource, interpreters: Sequence[Interpreter], findings: Sequence[Finding]
    ) -> str:
        """Return why the result is incomplete; empty if it is complete."""
        if read.unread:
            path, reason = read.unread[0]
            more = f" (and {len(read.unread) - 1} more)" if len(read.unread) > 1 else ""
            return f"{path} was not read: {reason}{more}"
        for interpreter in interpreters if read.facts else ():
            answered = self.inputs.answers_of(interpreter)
            if answered.build is None:
                origin = answered.interpreter_answers.origin
                return f"{answered.reason}. The answers for Python {interpreter} are from {origin}"
        for finding in findings:
            if finding.code == NOT_CHECKED and finding.location is not None:
                return f"{finding.location.path} was {finding.message} ({finding.remedy})"
        return ""


def _without_shim(service: Service) -> str:
    """Return the place that turns off the ``distutils`` of setuptools; empty if there is none.

    https://setuptools.pypa.io/en/latest/deprecated/distutils-legacy.html
    """
    variables = (each for each in service.interpreter_variables if each.name == "SETUPTOOLS_USE_DISTUTILS")
    return next((str(each.location) for each in variables if each.value not in ("", "local")), "")


def _warning_filters(service: Service, read: ScannedSource) -> WarningFilters:
    """Return what production does with warnings, and the files in which it does so."""
    variables = tuple(variable for variable in service.interpreter_variables if variable.name == "PYTHONWARNINGS")
    ends = (".py", "/__init__.py", "/__main__.py")
    places = (join_path(module.folder, module.name.replace(".", "/")) for module in service.start_modules)
    started = {join_path(service.path, place + end) for place in places for end in ends} & read.contents.keys()
    of_code = tuple(each for path in sorted(started) for each in filters_in_code(path, read.contents[path]))
    files = read.contents if variables or of_code else {}
    return WarningFilters(
        variables=variables,
        files={path: text for path, text in files.items() if is_runtime_file(path, service.path)},
        of_code=of_code,
    )


def _messages_of(read: ScannedSource, messages: MessagesByFile) -> MessagesByFile:
    return {path: messages[path] for path in read.contents if path in messages}


def _mark_preexisting(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Adapt the findings of a service that already runs on the target.

    Errors are pre-existing, and findings about the migration no longer apply.
    """
    return tuple(
        replace(finding, preexisting=True) if finding.severity is Severity.ERROR else finding
        for finding in findings
        if finding.code not in MIGRATION_CODES
    )


def _changeable(finding: Finding) -> Finding:
    """Return the finding without its changes if it is in a file that is not Python, which no editor here rewrites."""
    is_embedded = finding.location is not None and may_embed_python(finding.location.path)
    return replace(finding, changes=()) if is_embedded and finding.changes else finding
