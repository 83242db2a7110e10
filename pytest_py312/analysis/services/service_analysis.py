"""Analyze the source of services: read and scan the files, query the interpreters, judge.

The files of all services are scanned together, and each interpreter is queried once for all of them. The target's
compiler reads every file; the baseline's compiler reads those that the target rejects and those that may use newer
syntax, and where production may turn warnings into errors those about which the target warns.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pytest_py312.analysis.files.embedded_python import may_embed_python
from pytest_py312.analysis.files.file_kinds import is_runtime_file
from pytest_py312.analysis.files.newer_syntax import NewerSyntaxScanner, has_syntax_error, may_use_new_syntax
from pytest_py312.analysis.files.source_reader import ScannedSource, SourceFiles, SourceFolder, SourceReader
from pytest_py312.analysis.judging.compiled_modules import compiled_module_findings, find_compiled_modules
from pytest_py312.analysis.judging.compiler_messages import NOT_CHECKED
from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.judge import judge_files
from pytest_py312.analysis.judging.shadowed_modules import find_shadowing_modules, shadowing_findings, shadowing_queries
from pytest_py312.analysis.judging.unused_files import mark_unused_files
from pytest_py312.analysis.judging.warning_filters import WarningFilters, filters_in_code
from pytest_py312.analysis.linking.link import link_files
from pytest_py312.analysis.oracle import typeshed
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.oracle.probe_protocol import InterpreterUnavailable
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage, InterpreterAnswers, StdlibQuery
from pytest_py312.analysis.scanner.gc_pause import gc_paused
from pytest_py312.analysis.services.analysis_cache import AnalysisCache, analysis_key
from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from pytest_py312.core.model.fleet import Cell, Program, Service, cells_of
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, SuiteKind
from pytest_py312.repository.tree import join_path
from pytest_py312.runners.runner import CellUnavailable, Runner

MessagesByFile = Mapping[str, Sequence[CompilerMessage]]

CODES_WITH_RELEASE = frozenset({"PY201", "PY202", "PY203", "PY204", "PY209"})
"""Findings that name the release of a removal. Only for these the intermediate interpreters are queried."""
MIGRATION_CODES = frozenset({"PY208", "PY210", "PY230"})
"""Findings that no longer apply to a service that already runs on the target."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisResult:
    """The findings of one cell. ``unchecked_reason`` describes what could not be checked, if anything."""

    findings: tuple[Finding, ...] = ()
    unchecked_reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answered:
    """The answers of one interpreter.

    Without a ``build`` the interpreter is unavailable for a ``reason``, and the answers are from another source.
    """

    interpreter_answers: InterpreterAnswers
    build: InterpreterBuild | None
    reason: str = ""


T = TypeVar("T")
_SOURCES: Work[Mapping[str, SourceFiles]] = Work("sources")
_SCANNED: Work[Mapping[str, ScannedSource]] = Work("scanned")
_LINKED_FACTS: Work[Mapping[str, tuple[FileFacts, ...]]] = Work("facts")
_QUERIES: Work[frozenset[StdlibQuery]] = Work("queries")
_SHADOWING: Work[Mapping[str, str]] = Work("shadows")
_ANSWERS: Work[_Answered] = Work("answers")
_COMPILER: Work[Callable[[], MessagesByFile]] = Work("compiler")
_COMPILER_MESSAGES: Work[MessagesByFile] = Work("compiler messages")


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
        batch = _Batch(batch_services, self._plan, self._runner, self._reader, self._oracle, self._newer, self._cache)
        with self._lock:
            self._batches |= {service.path: batch for service in batch_services}

    def prefetch(self) -> None:
        """Read all registered services and query the interpreters ahead of the first analysis."""
        for batch in list(dict.fromkeys(self._batches.values())):
            with suppress(InterpreterUnavailable, CellUnavailable):  # reported by the analyses that need it
                batch.prefetch()

    def read(self, service: Service) -> ScannedSource:
        """Return the Python files of a service with their facts."""
        return self._from_batch(service, lambda batch: batch.read(service))

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

    def __init__(
        self,
        services: Sequence[Service],
        plan: Plan,
        runner: Runner,
        reader: SourceReader,
        oracle: Oracle,
        newer_syntax: NewerSyntaxScanner,
        cache: AnalysisCache,
    ) -> None:
        self._services = services
        self._plan = plan
        self._runner = runner
        self._reader = reader
        self._oracle = oracle
        self._newer_syntax = newer_syntax
        self._cache = cache
        self._single_flight = SingleFlight(None)

    @property
    def is_alone(self) -> bool:
        return len(self._services) == 1

    def prefetch(self) -> None:
        """See :meth:`ServiceAnalyzer.prefetch`.

        :raises InterpreterUnavailable, CellUnavailable: an available interpreter does not answer.
        """
        target = self._plan.target
        keys = {
            service.path: self._cache_key(Cell(service=service, interpreter=target), None, (), include_lock=False)
            for service in self._services
        }
        if all(key and self._cache.get(path, key) is not None for path, key in keys.items()):
            return
        interpreters = sorted({*map(self._baseline_of, self._services), target}, reverse=True)
        self._compiler_run(target)
        with gc_paused(), ThreadPoolExecutor(len(interpreters) + 1) as threads:
            compiled = threads.submit(
                lambda: [self._compiler_messages(interpreter) for interpreter in interpreters]
            )  # compiling needs no facts
            self._linked_facts()
            list(threads.map(self._answers_of, interpreters))
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
                self._baseline_of(cell.service)
            }
            builds = [self._runner.find_interpreter(interpreter) for interpreter in sorted(interpreters)]
        except CellUnavailable:
            return ""
        return analysis_key(cell, self._sources()[cell.service.path], builds, lock, declared, include_lock=include_lock)

    def _analyze(self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str]) -> AnalysisResult:
        read = self._scanned()[cell.service.path]
        facts = self._linked_facts()[cell.service.path]
        target, baseline = cell.interpreter, self._baseline_of(cell.service)
        evidence = Evidence(
            baseline=self._answers_of(baseline).interpreter_answers,
            target=self._answers_of(target).interpreter_answers,
            baseline_messages=_messages_of(read, self._compiler_messages(baseline)),
            target_messages=_messages_of(read, self._compiler_messages(target)),
            without_pth=str(cell.service.runs_without_pth or ""),
            without_shim=_without_shim(cell.service),
            warning_filters=_warning_filters(cell.service, read),
        )
        findings = judge_files(facts, evidence, lock=lock, declared=declared)
        if any(finding.code in CODES_WITH_RELEASE for finding in findings):
            candidates = [planned.interpreter for planned in cells_of(self._plan, cell.service)]
            intermediate = [
                self._intermediate_answers(candidate, baseline, target)
                for candidate in candidates
                if baseline < candidate < target
            ]
            findings = judge_files(facts, replace(evidence, intermediate=intermediate), lock=lock, declared=declared)
        programs = [program.name for program in cell.service.programs if program.is_module]
        source = self._sources()[cell.service.path]
        compiled = find_compiled_modules(source.compiled, read.contents, dict(source.bytecode))
        findings = (*findings, *compiled_module_findings(compiled, facts, evidence))
        findings = mark_unused_files(
            findings, facts, read.contents, evidence, programs, cell.service.path, cell.service.settings.needs
        )
        findings = (*findings, *shadowing_findings(self._shadowing_modules(cell.service), evidence))
        findings = tuple(map(_changeable, findings))
        if cell.service.baseline >= target:
            return AnalysisResult(
                findings=_mark_preexisting(findings), unchecked_reason=self._unchecked_reason(read, (target,), findings)
            )
        return AnalysisResult(
            findings=findings, unchecked_reason=self._unchecked_reason(read, (baseline, target), findings)
        )

    def _baseline_of(self, service: Service) -> Interpreter:
        """Return the interpreter to compare the target with, usually the service's baseline.

        A service that already runs on the target is compared with the oldest interpreter of the plan, because it ran on
        an older one before: what was removed since then should no longer be used.
        """
        older = [interpreter for interpreter in self._plan.interpreters if interpreter < self._plan.target]
        if service.baseline < self._plan.target or not older:
            return min(service.baseline, self._plan.target)
        return min(older)

    def _unchecked_reason(
        self, read: ScannedSource, interpreters: Sequence[Interpreter], findings: Sequence[Finding]
    ) -> str:
        """Return why the result is incomplete; empty if it is complete."""
        if read.unread:
            path, reason = read.unread[0]
            more = f" (and {len(read.unread) - 1} more)" if len(read.unread) > 1 else ""
            return f"{path} was not read: {reason}{more}"
        for interpreter in interpreters if read.facts else ():
            answered = self._answers_of(interpreter)
            if answered.build is None:
                origin = answered.interpreter_answers.origin
                return f"{answered.reason}. The answers for Python {interpreter} are from {origin}"
        for finding in findings:
            if finding.code == NOT_CHECKED and finding.location is not None:
                return f"{finding.location.path} was {finding.message} ({finding.remedy})"
        return ""

    # -- for all services at once

    def read(self, service: Service) -> ScannedSource:
        """See :meth:`ServiceAnalyzer.read`."""
        return self._scanned()[service.path]

    def _sources(self) -> Mapping[str, SourceFiles]:
        return self._single_flight.run(_SOURCES, lambda: self._reader.load(map(_source_folder, self._services)))

    def _scanned(self) -> Mapping[str, ScannedSource]:
        return self._single_flight.run(_SCANNED, lambda: self._with_newer_syntax(self._reader.scan(self._sources())))

    def _with_newer_syntax(self, reads: Mapping[str, ScannedSource]) -> Mapping[str, ScannedSource]:
        """Let the target scan the files that the running Python rejects and the target accepts."""
        refused = {facts.path for read in reads.values() for facts in read.facts if has_syntax_error(facts)}
        if not refused:
            return reads
        messages = self._compiler_messages(self._plan.target)
        tasks_by_service = {
            service: {
                scan_task.path: scan_task
                for scan_task in source.tasks
                if scan_task.path in refused and not _has_syntax_error(messages[scan_task.path])
            }
            for service, source in self._sources().items()
            if messages
        }
        # two services may share a file, but their own modules may shadow different standard ones
        tasks = {task.key: task for service_tasks in tasks_by_service.values() for task in service_tasks.values()}
        if not tasks:
            return reads
        newer_facts = self._newer_syntax.scan(list(tasks.values()), self._runner.find_interpreter(self._plan.target))

        def substitute(service: str, facts: FileFacts) -> FileFacts:
            task = tasks_by_service[service].get(facts.path)
            return (
                replace(newer_facts[task.key], path=facts.path)
                if task is not None and task.key in newer_facts
                else facts
            )

        return {
            path: replace(read, facts=tuple([substitute(path, facts) for facts in read.facts]))
            for path, read in reads.items()
        }

    def _linked_facts(self) -> Mapping[str, tuple[FileFacts, ...]]:
        return self._single_flight.run(
            _LINKED_FACTS, lambda: {path: link_files(read.facts) for path, read in self._scanned().items()}
        )

    def _queries(self, service: Service) -> frozenset[StdlibQuery]:
        return self._single_flight.run(_QUERIES.of(service.path), lambda: frozenset(self._collect_queries(service)))

    def _collect_queries(self, service: Service) -> Iterator[StdlibQuery]:
        yield from shadowing_queries(self._shadowing_modules(service))
        for facts in self._linked_facts()[service.path]:
            yield from facts.queries()

    def _shadowing_modules(self, service: Service) -> Mapping[str, str]:
        roots = _source_folder(service).roots
        return self._single_flight.run(
            _SHADOWING.of(service.path), lambda: find_shadowing_modules(self._linked_facts()[service.path], roots)
        )

    def _answers_of(self, interpreter: Interpreter) -> _Answered:
        """Query an interpreter: the target about all services, a baseline about those that run on it."""

        def queries() -> frozenset[StdlibQuery]:
            services = [
                service for service in self._services if interpreter in (self._baseline_of(service), self._plan.target)
            ]
            return frozenset().union(*map(self._queries, services))

        return self._single_flight.run(_ANSWERS.of(interpreter), lambda: self._ask(interpreter, queries()))

    def _intermediate_answers(
        self, interpreter: Interpreter, baseline: Interpreter, target: Interpreter
    ) -> InterpreterAnswers:
        """Query an interpreter about everything on which the baseline and the target disagree."""

        def disputed() -> frozenset[StdlibQuery]:
            baseline_answers, target_answers = (
                self._answers_of(side).interpreter_answers.answers for side in (baseline, target)
            )
            return frozenset(
                query
                for query, answer in baseline_answers.items()
                if (answer.present, answer.signature)
                != (target_answers[query].present, target_answers[query].signature)
            )

        work = _ANSWERS.of(interpreter, baseline, target)
        return self._single_flight.run(work, lambda: self._ask(interpreter, disputed())).interpreter_answers

    def _ask(self, interpreter: Interpreter, queries: frozenset[StdlibQuery]) -> _Answered:
        try:
            build = self._runner.find_interpreter(interpreter)
        except CellUnavailable as reason:
            fallback = typeshed.answer_from_typeshed(queries, (interpreter.major, interpreter.minor))
            return _Answered(interpreter_answers=fallback, build=None, reason=str(reason))
        return _Answered(interpreter_answers=self._oracle.ask(queries, build), build=build)

    def _compiler_messages(self, interpreter: Interpreter) -> MessagesByFile:
        return self._single_flight.run(_COMPILER_MESSAGES.of(interpreter), lambda: self._compiler_run(interpreter)())

    def _compiler_run(self, interpreter: Interpreter) -> Callable[[], MessagesByFile]:
        return self._single_flight.run(_COMPILER.of(interpreter), lambda: self._start_compiler(interpreter))

    def _start_compiler(self, interpreter: Interpreter) -> Callable[[], MessagesByFile]:
        try:
            build = self._runner.find_interpreter(interpreter)
        except CellUnavailable:  # reported when it is queried about names
            return dict
        files: dict[str, bytes] = {}
        for service in self._services:
            contents = self._sources()[service.path].contents
            if interpreter == self._plan.target:
                files |= contents
            elif interpreter == self._baseline_of(service):
                target_messages = self._compiler_messages(self._plan.target)
                files |= {
                    path: content
                    for path, content in contents.items()
                    if _has_syntax_error(target_messages.get(path, ()))
                    or may_use_new_syntax(content)
                    or (service.interpreter_variables and target_messages.get(path))
                }
        return self._oracle.prepare_compilation(files, build) if files else dict


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


def _has_syntax_error(messages: Sequence[CompilerMessage]) -> bool:
    return any(complaint.is_error for complaint in messages)


def _is_bare(program: Program) -> bool:
    """Return whether Python runs a file without a suffix."""
    return program.is_script and not program.is_module


def _runs_other_tests(service: Service) -> bool:
    """Return whether the suite of a service may run tests outside of it."""
    suite, recipe = service.suite, service.test_recipe
    if suite is None:
        return False
    is_elsewhere = bool(suite.folder) or suite.kind is not SuiteKind.PYTEST
    is_elsewhere = is_elsewhere or any(".." in argument for argument in suite.arguments)
    return is_elsewhere or (recipe is not None and bool(recipe.further_paths or recipe.further_tests))


def _source_folder(service: Service) -> SourceFolder:
    prefix = "" if service.path == "." else f"{service.path}/"
    recipe_files = service.recipe.files if service.recipe is not None else ()
    roots = [
        *service.python_path,
        *service.appended_path,
        *(service.distribution.source_roots if service.distribution else ()),
    ]
    return SourceFolder(
        path=service.path,
        roots=tuple(join_path(service.path, root) for root in (".", *roots)),
        needs=service.settings.needs,
        runs_other_tests=_runs_other_tests(service),
        scripts=tuple(join_path(program.folder, program.name) for program in service.programs if _is_bare(program)),
        files=tuple(path for path in recipe_files if not path.startswith(prefix)),
        started_above=service.started_above,
        nested_services=service.nested_folders,
    )
