"""The files of a batch of services, and what interpreters say about them: each is read and asked once.

The files of all services are scanned together, and each interpreter is queried once for all of them. The target's
compiler reads every file; the baseline's compiler reads those that the target rejects and those that may use newer
syntax, and where production may turn warnings into errors those about which the target warns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.analysis.files.newer_syntax import NewerSyntaxScanner, has_syntax_error, may_use_new_syntax
from pytest_py312.analysis.files.source_reader import ScannedSource, SourceFiles, SourceFolder, SourceReader
from pytest_py312.analysis.judging.shadowed_modules import find_shadowing_modules, shadowing_queries
from pytest_py312.analysis.linking.link import link_files
from pytest_py312.analysis.oracle import typeshed
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage, InterpreterAnswers, StdlibQuery
from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, SuiteKind
from pytest_py312.repository.tree import join_path
from pytest_py312.runners.runner import CellUnavailable, Runner

MessagesByFile = Mapping[str, Sequence[CompilerMessage]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """The answers of one interpreter.

    Without a ``build`` the interpreter is unavailable for a ``reason``, and the answers are from another source.
    """

    interpreter_answers: InterpreterAnswers
    build: InterpreterBuild | None
    reason: str = ""


_SOURCES: Work[Mapping[str, SourceFiles]] = Work("sources")
_SCANNED: Work[Mapping[str, ScannedSource]] = Work("scanned")
_LINKED_FACTS: Work[Mapping[str, tuple[FileFacts, ...]]] = Work("facts")
_QUERIES: Work[frozenset[StdlibQuery]] = Work("queries")
_SHADOWING: Work[Mapping[str, str]] = Work("shadows")
_ANSWERS: Work[Answered] = Work("answers")
_COMPILER: Work[Callable[[], MessagesByFile]] = Work("compiler")
_COMPILER_MESSAGES: Work[MessagesByFile] = Work("compiler messages")


class BatchInputs:
    """What the analysis of several services rests on. Safe for several threads: shared work is done once.

    :raises InterpreterUnavailable, CellUnavailable: (its methods) an available interpreter does not answer.
    """

    def __init__(
        self,
        services: Sequence[Service],
        plan: Plan,
        runner: Runner,
        reader: SourceReader,
        oracle: Oracle,
        newer_syntax: NewerSyntaxScanner,
    ) -> None:
        self.services = services
        self._plan = plan
        self._runner = runner
        self._reader = reader
        self._oracle = oracle
        self._newer_syntax = newer_syntax
        self._single_flight = SingleFlight(None)

    def baseline_of(self, service: Service) -> Interpreter:
        """Return the interpreter to compare the target with, usually the service's baseline.

        A service that already runs on the target is compared with the oldest interpreter of the plan, because it ran on
        an older one before: what was removed since then should no longer be used.
        """
        older = [interpreter for interpreter in self._plan.interpreters if interpreter < self._plan.target]
        if service.baseline < self._plan.target or not older:
            return min(service.baseline, self._plan.target)
        return min(older)

    def sources(self) -> Mapping[str, SourceFiles]:
        """Return the files of each service, by its path."""
        return self._single_flight.run(_SOURCES, lambda: self._reader.load(map(_source_folder, self.services)))

    def scanned(self) -> Mapping[str, ScannedSource]:
        """Return the Python files of each service with their facts, by its path."""
        return self._single_flight.run(_SCANNED, lambda: self._with_newer_syntax(self._reader.scan(self.sources())))

    def _with_newer_syntax(self, reads: Mapping[str, ScannedSource]) -> Mapping[str, ScannedSource]:
        """Let the target scan the files that the running Python rejects and the target accepts."""
        refused = {facts.path for read in reads.values() for facts in read.facts if has_syntax_error(facts)}
        if not refused:
            return reads
        messages = self.compiler_messages(self._plan.target)
        tasks_by_service = {
            service: {
                scan_task.path: scan_task
                for scan_task in source.tasks
                if scan_task.path in refused and not has_error(messages[scan_task.path])
            }
            for service, source in self.sources().items()
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

    def linked_facts(self) -> Mapping[str, tuple[FileFacts, ...]]:
        """Return the facts of each service, linked across its files."""
        return self._single_flight.run(
            _LINKED_FACTS, lambda: {path: link_files(read.facts) for path, read in self.scanned().items()}
        )

    def _queries(self, service: Service) -> frozenset[StdlibQuery]:
        return self._single_flight.run(_QUERIES.of(service.path), lambda: frozenset(self._collect_queries(service)))

    def _collect_queries(self, service: Service) -> Iterator[StdlibQuery]:
        yield from shadowing_queries(self.shadowing_modules(service))
        for facts in self.linked_facts()[service.path]:
            yield from facts.queries()

    def shadowing_modules(self, service: Service) -> Mapping[str, str]:
        """Return the modules of a service that shadow those of the standard library."""
        roots = _source_folder(service).roots
        return self._single_flight.run(
            _SHADOWING.of(service.path), lambda: find_shadowing_modules(self.linked_facts()[service.path], roots)
        )

    def answers_of(self, interpreter: Interpreter) -> Answered:
        """Query an interpreter: the target about all services, a baseline about those that run on it."""

        def queries() -> frozenset[StdlibQuery]:
            services = [
                service for service in self.services if interpreter in (self.baseline_of(service), self._plan.target)
            ]
            return frozenset().union(*map(self._queries, services))

        return self._single_flight.run(_ANSWERS.of(interpreter), lambda: self._ask(interpreter, queries()))

    def intermediate_answers(
        self, interpreter: Interpreter, baseline: Interpreter, target: Interpreter
    ) -> InterpreterAnswers:
        """Query an interpreter about everything on which the baseline and the target disagree."""

        def disputed() -> frozenset[StdlibQuery]:
            baseline_answers, target_answers = (
                self.answers_of(side).interpreter_answers.answers for side in (baseline, target)
            )
            return frozenset(
                query
                for query, answer in baseline_answers.items()
                if (answer.present, answer.signature)
                != (target_answers[query].present, target_answers[query].signature)
            )

        work = _ANSWERS.of(interpreter, baseline, target)
        return self._single_flight.run(work, lambda: self._ask(interpreter, disputed())).interpreter_answers

    def _ask(self, interpreter: Interpreter, queries: frozenset[StdlibQuery]) -> Answered:
        try:
            build = self._runner.find_interpreter(interpreter)
        except CellUnavailable as reason:
            fallback = typeshed.answer_from_typeshed(queries, (interpreter.major, interpreter.minor))
            return Answered(interpreter_answers=fallback, build=None, reason=str(reason))
        return Answered(interpreter_answers=self._oracle.ask(queries, build), build=build)

    def compiler_messages(self, interpreter: Interpreter) -> MessagesByFile:
        """Return what the compiler of an interpreter says about the files that it has to read."""
        return self._single_flight.run(_COMPILER_MESSAGES.of(interpreter), lambda: self.compiler_run(interpreter)())

    def compiler_run(self, interpreter: Interpreter) -> Callable[[], MessagesByFile]:
        """Start the compiler of an interpreter; the result waits for its messages."""
        return self._single_flight.run(_COMPILER.of(interpreter), lambda: self._start_compiler(interpreter))

    def _start_compiler(self, interpreter: Interpreter) -> Callable[[], MessagesByFile]:
        try:
            build = self._runner.find_interpreter(interpreter)
        except CellUnavailable:  # reported when it is queried about names
            return dict
        files: dict[str, bytes] = {}
        for service in self.services:
            contents = self.sources()[service.path].contents
            if interpreter == self._plan.target:
                files |= contents
            elif interpreter == self.baseline_of(service):
                target_messages = self.compiler_messages(self._plan.target)
                files |= {
                    path: content
                    for path, content in contents.items()
                    if has_error(target_messages.get(path, ()))
                    or may_use_new_syntax(content)
                    or (service.interpreter_variables and target_messages.get(path))
                }
        return self._oracle.prepare_compilation(files, build) if files else dict


def has_error(messages: Sequence[CompilerMessage]) -> bool:
    return any(complaint.is_error for complaint in messages)


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
        scripts=tuple(  # without a suffix
            join_path(program.folder, program.name)
            for program in service.programs
            if program.is_script and not program.is_module
        ),
        files=tuple(path for path in recipe_files if not path.startswith(prefix)),
        started_above=service.started_above,
        nested_services=service.nested_folders,
    )
