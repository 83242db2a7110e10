"""What interpreters say to the source of services: read, asked and judged together, as far as it can be.

The files of all services are scanned together and each interpreter is asked once for all that they use. The target's
compiler sees every file, the baseline's those that it refuses and those that may be too new for the baseline.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_py312.analysis.files.newer_syntax import NewerSyntax, is_refused, may_be_new
from pytest_py312.analysis.files.source_reader import SourceFolder, SourceRead, SourceReader, SourceSeen
from pytest_py312.analysis.judging.compiler_messages import NOT_CHECKED
from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.judging.judge import judge
from pytest_py312.analysis.judging.shadowed_modules import questions_about, shadow_findings, shadows
from pytest_py312.analysis.linking.link import linked
from pytest_py312.analysis.oracle import typeshed
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.oracle.probe_protocol import Unanswered
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import Complaint, Question, Testimony
from pytest_py312.analysis.scanner.gc_pause import no_collector
from pytest_py312.analysis.services.analysis_cache import Verdict, Verdicts, key_of
from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.tree import join
from pytest_py312.runners.runner import CellUnavailable, Runner

Complaints = Mapping[str, Sequence[Complaint]]

DATED = frozenset({"PY201", "PY202", "PY203", "PY204", "PY209"})
"""Findings that say since when something is gone: only for these the interpreters between are asked."""
ABOUT_MOVING = frozenset({"PY208", "PY210", "PY230"})
"""Findings that a service which has moved is past."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What was found in the source of one cell; ``unchecked`` says in words what could not be found out."""

    findings: tuple[Finding, ...] = ()
    unchecked: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    """What one interpreter said; without a ``build`` it is not here, for a ``reason``, and others spoke for it."""

    testimony: Testimony
    build: InterpreterBuild | None
    reason: str = ""


class Inspector:
    """Inspects the source of services. Safe for several threads; what several cells need is worked out once.

    ``instead`` are contents, by path, with which files are judged as if they held them.
    """

    def __init__(
        self, *, plan: Plan, cache: Path, runner: Runner, processes: int, instead: Mapping[str, bytes] | None = None
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._lock = threading.Lock()
        self._surveys: dict[str, _Survey] = {}
        self._reader = SourceReader(root=plan.root, cache=cache, processes=processes, instead=instead)
        self._oracle = Oracle(cache=cache, door=runner)
        self._newer = NewerSyntax(cache=cache, door=runner)
        self._verdicts = Verdicts(root=plan.root, cache=cache)

    def expect(self, services: Iterable[Service]) -> None:
        """Say which services will be asked for, so that they are read together."""
        together = tuple(dict.fromkeys(services))
        survey = _Survey(together, self._plan, self._runner, self._reader, self._oracle, self._newer, self._verdicts)
        with self._lock:
            self._surveys |= {service.path: survey for service in together}

    def prepare(self) -> None:
        """Read all services that are expected, and ask the interpreters, ahead of the first inspection."""
        for survey in list(dict.fromkeys(self._surveys.values())):
            with suppress(Unanswered, CellUnavailable):  # told by the inspections that miss it
                survey.prepare()

    def read(self, service: Service) -> SourceRead:
        """The Python files of a service, and what they use."""
        if service.path not in self._surveys:
            self.expect([service])
        return self._surveys[service.path].read(service)

    def inspect(self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str] = ()) -> Inspection:
        """What of the service's source does not run on the cell's interpreter, the target, or not on the baseline.

        ``lock`` are the versions of its distributions by normalised name, ``None`` where they are not known; then the
        projects that the service requires itself count, which are ``declared``.
        """
        if cell.service.path not in self._surveys:
            self.expect([cell.service])
        try:
            return self._surveys[cell.service.path].inspect(cell, lock, declared)
        except (Unanswered, CellUnavailable) as reason:
            return Inspection(unchecked=str(reason))


class _Survey:
    """Services that are read and asked about together."""

    def __init__(
        self,
        services: Sequence[Service],
        plan: Plan,
        runner: Runner,
        reader: SourceReader,
        oracle: Oracle,
        newer: NewerSyntax,
        verdicts: Verdicts,
    ) -> None:
        self._services = services
        self._plan = plan
        self._runner = runner
        self._reader = reader
        self._oracle = oracle
        self._newer = newer
        self._verdicts = verdicts
        self._once = Once(None)

    def prepare(self) -> None:
        """See :meth:`Inspector.prepare`.

        :raises Unanswered, CellUnavailable: an interpreter that is here does not answer.
        """
        target = self._plan.target
        keys = {
            one.path: self._key(Cell(service=one, interpreter=target), None, (), judged=False) for one in self._services
        }
        if all(key and self._verdicts.get(path, key) for path, key in keys.items()):
            return
        interpreters = sorted({*map(self._before, self._services), target}, reverse=True)
        self._compiler(target)
        with no_collector(), ThreadPoolExecutor(len(interpreters) + 1) as threads:
            compiled = threads.submit(lambda: [self._complaints(one) for one in interpreters])  # it needs no facts
            self._facts()
            list(threads.map(self._said, interpreters))
            compiled.result()
        for path, key in keys.items():
            if key:
                self._verdicts.keep(path, key, Verdict(findings=()))

    def inspect(self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str]) -> Inspection:
        """See :meth:`Inspector.inspect`.

        :raises Unanswered, CellUnavailable: an interpreter that is here does not answer.
        """
        key = self._key(cell, lock, declared, judged=True)
        kept = self._verdicts.get(cell.service.path, key) if key else None
        if kept is not None:
            return Inspection(findings=kept.findings)
        found = self._judged(cell, lock, declared)
        if key and not found.unchecked:
            self._verdicts.keep(cell.service.path, key, Verdict(findings=found.findings))
        return found

    def _key(self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str], *, judged: bool) -> str:
        """What the verdict hangs on; empty where an interpreter is missing, which may come."""
        try:
            asked = {one.interpreter for one in cells_of(self._plan, cell.service)} | {self._before(cell.service)}
            builds = [self._runner.find(one) for one in sorted(asked)]
        except CellUnavailable:
            return ""
        return key_of(cell, self._seen()[cell.service.path], builds, lock, declared, judged=judged)

    def _judged(self, cell: Cell, lock: Mapping[str, str] | None, declared: Sequence[str]) -> Inspection:
        read = self._reads()[cell.service.path]
        facts = self._facts()[cell.service.path]
        target, baseline = cell.interpreter, self._before(cell.service)
        witnesses = Witnesses(
            baseline=self._said(baseline).testimony,
            target=self._said(target).testimony,
            baseline_complaints=_of(read, self._complaints(baseline)),
            target_complaints=_of(read, self._complaints(target)),
        )
        findings = judge(facts, witnesses, lock=lock, declared=declared)
        if any(found.code in DATED for found in findings):
            between = [one.interpreter for one in cells_of(self._plan, cell.service)]
            told = [self._between(one, baseline, target) for one in between if baseline < one < target]
            findings = judge(facts, replace(witnesses, between=told), lock=lock, declared=declared)
        findings = (*findings, *shadow_findings(self._shadows(cell.service), witnesses))
        if cell.service.baseline >= target:
            return Inspection(findings=_as_before(findings), unchecked=self._open(read, (target,), findings))
        return Inspection(findings=findings, unchecked=self._open(read, (baseline, target), findings))

    def _before(self, service: Service) -> Interpreter:
        """What the target is compared with: the service's baseline. One that is on the target by now once ran on an
        older one, and what is gone since then should not be there any more."""
        older = [one for one in self._plan.interpreters if one < self._plan.target]
        if service.baseline < self._plan.target or not older:
            return min(service.baseline, self._plan.target)
        return min(older)

    def _open(self, read: SourceRead, asked: Sequence[Interpreter], findings: Sequence[Finding]) -> str:
        """What keeps the answer from being whole, or nothing."""
        if read.unread:
            path, reason = read.unread[0]
            more = f" (and {len(read.unread) - 1} more)" if len(read.unread) > 1 else ""
            return f"{path} was not read: {reason}{more}"
        for interpreter in asked if read.facts else ():
            said = self._said(interpreter)
            if said.build is None:
                return f"{said.reason}. What is known of Python {interpreter} is from {said.testimony.origin}"
        for found in findings:
            if found.code == NOT_CHECKED and found.location is not None:
                return f"{found.location.path} was {found.message} ({found.remedy})"
        return ""

    # -- for all services at once

    def read(self, service: Service) -> SourceRead:
        """See :meth:`Inspector.read`."""
        return self._reads()[service.path]

    def _seen(self) -> Mapping[str, SourceSeen]:
        return self._once("seen", lambda: self._reader.look(map(_folder_of, self._services)))

    def _reads(self) -> Mapping[str, SourceRead]:
        return self._once("reads", lambda: self._with_newer(self._reader.scan(self._seen())))

    def _with_newer(self, reads: Mapping[str, SourceRead]) -> Mapping[str, SourceRead]:
        """Files that the Python which runs pytest refuses, and the target does not, are scanned by the target."""
        refused = {facts.path for read in reads.values() for facts in read.facts if is_refused(facts)}
        if not refused:
            return reads
        said = self._complaints(self._plan.target)
        wanted = {
            service: {one.path: one for one in seen.tasks if one.path in refused and not _is_refused(said[one.path])}
            for service, seen in self._seen().items()
            if said
        }
        # two services may need the same file, and each has modules of its own that hide standard ones
        tasks = {task.key: task for of_service in wanted.values() for task in of_service.values()}
        if not tasks:
            return reads
        found = self._newer.scan(list(tasks.values()), self._runner.find(self._plan.target))

        def instead(service: str, facts: FileFacts) -> FileFacts:
            task = wanted[service].get(facts.path)
            return replace(found[task.key], path=facts.path) if task is not None and task.key in found else facts

        return {
            path: replace(read, facts=tuple([instead(path, facts) for facts in read.facts]))
            for path, read in reads.items()
        }

    def _facts(self) -> Mapping[str, tuple[FileFacts, ...]]:
        return self._once("facts", lambda: {path: linked(read.facts) for path, read in self._reads().items()})

    def _questions(self, service: Service) -> frozenset[Question]:
        return self._once(f"questions {service.path}", lambda: frozenset(self._all_questions(service)))

    def _all_questions(self, service: Service) -> Iterator[Question]:
        yield from questions_about(self._shadows(service))
        for facts in self._facts()[service.path]:
            yield from facts.questions()

    def _shadows(self, service: Service) -> Mapping[str, str]:
        roots = _folder_of(service).roots
        return self._once(f"shadows {service.path}", lambda: shadows(self._facts()[service.path], roots))

    def _said(self, interpreter: Interpreter) -> _Said:
        """What is the target is asked about all services, a baseline about those that run on it."""

        def asked() -> frozenset[Question]:
            services = [one for one in self._services if interpreter in (self._before(one), self._plan.target)]
            return frozenset().union(*map(self._questions, services))

        return self._once(f"said {interpreter}", lambda: self._ask(interpreter, asked()))

    def _between(self, interpreter: Interpreter, baseline: Interpreter, target: Interpreter) -> Testimony:
        """What an interpreter says to what the two beside it disagree about."""

        def disputed() -> frozenset[Question]:
            before, after = (self._said(one).testimony.answers for one in (baseline, target))
            return frozenset(
                question
                for question, answer in before.items()
                if (answer.present, answer.signature) != (after[question].present, after[question].signature)
            )

        name = f"between {baseline} and {target}: {interpreter}"
        return self._once(name, lambda: self._ask(interpreter, disputed())).testimony

    def _ask(self, interpreter: Interpreter, questions: frozenset[Question]) -> _Said:
        try:
            build = self._runner.find(interpreter)
        except CellUnavailable as reason:
            known = typeshed.testimony(questions, (interpreter.major, interpreter.minor))
            return _Said(testimony=known, build=None, reason=str(reason))
        return _Said(testimony=self._oracle.ask(questions, build), build=build)

    def _complaints(self, interpreter: Interpreter) -> Complaints:
        return self._once(f"complaints {interpreter}", lambda: self._compiler(interpreter)())

    def _compiler(self, interpreter: Interpreter) -> Callable[[], Complaints]:
        return self._once(f"compiler {interpreter}", lambda: self._new_compiler(interpreter))

    def _new_compiler(self, interpreter: Interpreter) -> Callable[[], Complaints]:
        try:
            build = self._runner.find(interpreter)
        except CellUnavailable:  # told of when it is asked about names
            return dict
        files: dict[str, bytes] = {}
        for service in self._services:
            contents = self._seen()[service.path].contents
            if interpreter == self._plan.target:
                files |= contents
            elif interpreter == self._before(service):
                refused = self._complaints(self._plan.target)
                files |= {
                    path: content
                    for path, content in contents.items()
                    if _is_refused(refused.get(path, ())) or may_be_new(content)
                }
        return self._oracle.compiler(files, build) if files else dict


def _of(read: SourceRead, complaints: Complaints) -> Complaints:
    return {path: complaints[path] for path in read.contents if path in complaints}


def _as_before(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What is found in a service that has moved: what is broken was so before, and its way back is no matter."""
    return tuple(
        replace(found, preexisting=True) if found.severity is Severity.ERROR else found
        for found in findings
        if found.code not in ABOUT_MOVING
    )


def _is_refused(complaints: Sequence[Complaint]) -> bool:
    return any(complaint.error for complaint in complaints)


def _folder_of(service: Service) -> SourceFolder:
    roots = [*service.python_path, *(service.distribution.source_roots if service.distribution else ())]
    return SourceFolder(
        path=service.path,
        roots=tuple(join(service.path, root) for root in (".", *roots)),
        needs=service.settings.needs,
        inner=service.inner,
    )
