"""Inspects what is installed for a service on the target; what was found of the same things before still holds."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from pytest_py312.analysis.files.newer_syntax import NewerSyntax
from pytest_py312.analysis.files.source_reader import SourceRead
from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.libraries.findings import Located, findings_of, located, troubles_of
from pytest_py312.analysis.libraries.import_graph import Installed, Library, Root
from pytest_py312.analysis.libraries.missing_requirements import (
    OwnImports,
    declared,
    missing_names,
    needs_findings,
    only_for_tools,
)
from pytest_py312.analysis.libraries.reader import LibraryReader, digest_version, names_alone
from pytest_py312.analysis.libraries.service_imports import (
    Around,
    foreign_roots,
    is_run_time,
    own_names,
    refined,
    used_files,
)
from pytest_py312.analysis.libraries.setuptools_state import Packaging
from pytest_py312.analysis.libraries.summarize import questions_of
from pytest_py312.analysis.libraries.upgrade_advice import Adviser, NewerVersions
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.oracle.probe_protocol import Unanswered
from pytest_py312.analysis.scanner.facts.stdlib_queries import Testimony
from pytest_py312.analysis.services.service_analysis import Inspection
from pytest_py312.core.files import write_whole
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.diagnosis.compatibility import target_of
from pytest_py312.dependencies.installation.distribution_store import Entry, Store
from pytest_py312.dependencies.installation.installer import Installation, Installer
from pytest_py312.dependencies.resolution.lock import Unchecked
from pytest_py312.repository.services.requirement_set import requirement_set
from pytest_py312.repository.services.requirement_sources import further_services
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.runner import CellUnavailable, Runner


class LibraryInspector:
    """Inspects installations. Safe for several threads.

    ``read`` reads the Python files of a service, ``ended`` is set when nobody waits any more.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        cache: Path,
        runner: Runner,
        installer: Installer,
        store: Store,
        read: Callable[[Service], SourceRead],
        processes: int,
        ended: threading.Event,
    ) -> None:
        self._plan = plan
        self._tree = Tree(plan.root)
        self._around = Around(self._tree)
        self._runner = runner
        self._installer = installer
        self._store = store
        self._read = read
        # apart from what services ask: there is much more of it, and it is asked for in few runs
        self._oracle = Oracle(cache=cache / "libraries", door=runner)
        newer = NewerSyntax(cache=cache / "libraries", door=runner)
        self._reader = LibraryReader(cache=cache, oracle=self._oracle, newer=newer, processes=processes, ended=ended)

    def inspect(self, cell: Cell, here: Installation, before: Installation) -> Inspection:
        """What the cell's interpreter lacks of what is installed for it, and what nothing of the service requires.

        ``here`` is the cell's installation, which has an environment; ``before`` is that on the baseline.
        """
        try:
            asked = self._asked(cell, here, before)
            place = asked.place(cell)
            known = _kept(place)
            if known is not None:
                return known
            found = Inspection(findings=tuple(self._findings(cell, asked)))
        except (Unanswered, Unchecked, CellUnavailable) as reason:
            return Inspection(unchecked=str(reason))
        with suppress(OSError):
            write_whole(place, encode(found))
        return found

    def _findings(self, cell: Cell, asked: "_Asked") -> list[Finding]:
        """
        :raises Unanswered, Unchecked, CellUnavailable: an interpreter could not be asked, or nothing be imported.
        """
        here, before = asked.here, asked.before
        version = (cell.interpreter.major, cell.interpreter.minor)
        roots = refined(list(foreign_roots(asked.read.facts, asked.local, version)), asked.read.contents)
        installed = self._installed(cell, asked)
        troubles = list(troubles_of(installed, self._witnesses(cell, asked, installed), _packaging(cell, asked)))
        findings = findings_of(
            located(troubles, installed.reach(roots)) if troubles else (),
            installed.proven(here.imports or {}),
            lambda modules: self._installer.tried(cell, modules),
            lambda modules: self._tried_before(cell, before, modules),
            lambda one: self._advice(cell, asked, one),
        )
        if cell.service.requirements:
            findings += _needs(cell, asked, roots, installed)
        return findings

    def _installed(self, cell: Cell, asked: "_Asked") -> Installed:
        entries = asked.here.entries
        passed_over = only_for_tools(entries, {*asked.run_time, *asked.anywhere}) | self._own(cell.service, entries)
        scanned = self._digested(
            [one for one in entries if one.name not in passed_over], self._runner.find(cell.interpreter)
        )
        named = [
            Library(name=one.name, version=one.version, digest=names_alone(one))
            for one in entries
            if one.name in passed_over
        ]
        return Installed([*scanned, *named])

    def _own(self, service: Service, entries: Sequence[Entry]) -> frozenset[str]:
        """The service itself, where it was built and installed: its source is judged where it lies."""
        if service.distribution is None or service.distribution.static:
            return frozenset()
        key = self._installer.demands.source(service.path)[1]
        return frozenset(entry.name for entry in entries if key in entry.folder.name)

    def _digested(self, entries: Sequence[Entry], build: InterpreterBuild) -> list[Library]:
        digests = self._reader.digests(entries, build)
        return [Library(name=one.name, version=one.version, digest=digests[one.folder]) for one in entries]

    def _advice(self, cell: Cell, asked: "_Asked", one: Located) -> str:
        """What to do about something that dies when it is imported, as far as the index tells."""
        build = self._runner.find(cell.interpreter)
        try:
            index = self._installer.index(cell)
        except Unchecked:
            return ""
        target = target_of(build, exclude_newer=self._plan.exclude_newer)
        adviser = Adviser(
            versions=NewerVersions(store=self._store, index=index, target=target, build=build),
            entries=asked.here.entries,
            pins=asked.here.lock.pins if asked.here.lock else (),
            packaging=_packaging(cell, asked),
            digested=lambda entry: self._digested([entry], build)[0],
            witnesses=lambda installed: self._witnesses(cell, asked, installed),
        )
        return adviser(one)

    def _tried_before(self, cell: Cell, before: Installation, modules: Sequence[str]) -> Mapping[str, str]:
        if before.environment is None or cell.is_baseline:
            return {}
        baseline = Cell(service=cell.service, interpreter=cell.service.baseline)
        return self._installer.tried(baseline, modules)

    # -- what is asked

    def _asked(self, cell: Cell, here: Installation, before: Installation) -> "_Asked":
        service = cell.service
        demands = self._installer.demands
        sets = [demands.requirements(one) for one in (service, *further_services(service))]
        run_time: dict[str, set[str]] = {}
        for item in requirement_set(self._plan.root, service.requirements).entries:
            run_time.setdefault(item.name, set()).update(_extras(item.text))
        for entry in here.entries:
            if entry.folder.name.startswith("tree-"):  # required by its path
                run_time.setdefault(entry.name, set())
        read = self._read(service)
        return _Asked(
            read=read,
            local=own_names(service, [facts.path for facts in read.facts], self._tree, self._around),
            run_time=run_time,
            anywhere=frozenset(item.name for one in sets for item in one.entries),
            here=here,
            before=before,
            between=tuple(cells.interpreter for cells in cells_of(self._plan, service)),
        )

    def _witnesses(self, cell: Cell, asked: "_Asked", installed: Installed) -> Witnesses:
        """What the interpreters say to what the target may have something against."""
        questions = questions_of(
            module.suspects
            for one in installed.libraries
            for module in one.digest.modules
            if module.suspects is not None
        )
        baseline = min(cell.service.baseline, cell.interpreter)

        def say(interpreter: Interpreter) -> Testimony:
            return self._oracle.ask(questions, self._runner.find(interpreter))

        between = []
        for interpreter in asked.between:
            if not baseline < interpreter < cell.interpreter:
                continue
            try:
                between.append(say(interpreter))
            except CellUnavailable:
                continue  # then a finding names a later interpreter as the first
        return Witnesses(baseline=say(baseline), target=say(cell.interpreter), between=between)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """All that an answer depends on, besides the code that gives it.

    ``local`` are the service's own top-level names, ``run_time`` the projects that its run-time files name, with the
    extras they ask for, ``anywhere`` those that any of its requirement files names.
    """

    read: SourceRead
    local: frozenset[str]
    run_time: Mapping[str, Collection[str]]
    anywhere: frozenset[str]
    here: Installation
    before: Installation
    between: tuple[Interpreter, ...]

    def place(self, cell: Cell) -> Path:
        """Where the answer is kept: beside the environment that it is about."""
        assert self.here.environment is not None
        environment = self.here.environment
        source = hashlib.blake2b(digest_size=16)
        for path, content in sorted(self.read.contents.items()):
            source.update(f"{path}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
            source.update(content)
        parts: list[Any] = [digest_version(), source.hexdigest(), cell.service.path, str(cell.service.baseline)]
        parts += [sorted(self.local), sorted(self.anywhere), self.here.imports]
        parts += [sorted((name, sorted(extras)) for name, extras in self.run_time.items())]
        parts += [[str(entry.folder) for entry in one.entries] for one in (self.here, self.before)]
        parts += [str(one) for one in self.between]
        digest = hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return environment.folder.with_name(f"{environment.key}.libraries-{digest}.json")


def _packaging(cell: Cell, asked: _Asked) -> Packaging:
    return Packaging(
        target=cell.interpreter,
        baseline=cell.service.baseline,
        here=_versions(asked.here.entries),
        before=_versions(asked.before.entries),
    )


def _needs(cell: Cell, asked: _Asked, roots: Sequence[Root], installed: Installed) -> list[Finding]:
    own = OwnImports(
        roots=tuple(root for root in roots if is_run_time(root.path, cell.service.path)),
        used=used_files(asked.read.facts, cell.service.path),
    )
    required = declared(asked.run_time, asked.anywhere, asked.here.entries, cell.interpreter)
    was_there = {name: _holds(asked.before.entries, name) for name in missing_names(own, installed)}
    return needs_findings(own, required, installed, cell.interpreter, was_there)


def _kept(place: Path) -> Inspection | None:
    try:
        return decode(Inspection, json.loads(place.read_bytes()))
    except (OSError, ValueError, KeyError, RecursionError):
        return None


def _versions(entries: Sequence[Entry]) -> dict[str, str]:
    return {entry.name: entry.version for entry in entries}


def _extras(text: str) -> set[str]:
    try:
        return set(Requirement(text).extras)
    except InvalidRequirement:
        return set()


def _holds(entries: Sequence[Entry], module: str) -> bool:
    """Whether one of ``entries`` has a module, by the names of its files."""
    if not re.fullmatch(r"[\w.]+", module):
        return False
    path = module.replace(".", "/")
    for entry in entries:
        place = entry.folder / "lib" / path
        if place.is_dir() or place.with_name(f"{place.name}.py").is_file():
            return True
        if next(place.parent.glob(f"{place.name}.*.so"), None) is not None:
            return True
    return False
