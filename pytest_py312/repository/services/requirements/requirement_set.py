"""Read all requirements of a service: its sources, and what they include with ``-r`` and ``-c``.

Only reads files of the repository. Anything that cannot be read or followed is a problem with a location, never an
exception.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.repository.formats.lockfiles import (
    LOCK_FORMATS,
    MAX_LENGTH,
    LockFileText,
    lock_format,
    read_lock_file,
)
from pytest_py312.repository.formats.requirements_file import (
    IncludedFile,
    LocalPath,
    RequirementCollector,
    RequirementEntry,
    RequirementsText,
    read_requirements,
)
from pytest_py312.repository.recipes.commands.index_settings import REMOTE_CONSTRAINTS, is_fetched
from pytest_py312.repository.services.requirements.local_paths import (
    find_local_project,
    local_path_problem,
    path_from_file,
)
from pytest_py312.repository.services.requirements.sources import table_reader
from pytest_py312.repository.tree import Tree, UnreadableFile, join_path, leaves_root

FILE_COUNT_LIMIT = 200
"""Maximum number of files in one set."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedEntry:
    """A requirement or constraint, and its location."""

    entry: RequirementEntry
    location: Location

    @property
    def text(self) -> str:
        """The requirement in PEP 508 form."""
        return self.entry.text

    @property
    def name(self) -> str:
        """The normalized project name."""
        return self.entry.name

    @property
    def decisiveness(self) -> tuple[bool, bool]:
        """A key by which, of the requirements of one project, the greatest decides its version: a pin."""
        return "==" in self.entry.specifier, bool(self.entry.specifier)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalRequirement:
    """A distribution of the repository that is required by its path (relative to the root)."""

    path: str
    extras: tuple[str, ...]
    editable: bool
    location: Location
    marker: str = ""
    no_deps: bool = False
    """Whether it is installed without its dependencies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedOption:
    """An option of pip in a requirements file or of a command, under its long name.

    Relative paths in it start at ``folder`` (relative to the root); ``None``: at the folder of the file that has it.
    """

    name: str
    value: str
    location: Location
    folder: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementProblem:
    """Something that cannot be read or followed; ``message`` is a sentence."""

    text: str
    message: str
    location: Location
    computed: bool = False
    """Whether code computes it, so that a build of the distribution yields it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementSet:
    """Everything that the sources of a service require, without duplicates, in reading order."""

    entries: tuple[LocatedEntry, ...] = ()
    constraints: tuple[LocatedEntry, ...] = ()
    locals: tuple[LocalRequirement, ...] = ()
    options: tuple[LocatedOption, ...] = ()
    problems: tuple[RequirementProblem, ...] = ()
    computed: tuple[Location, ...] = ()
    """Where code computes requirements, which are known once the distribution is built."""
    duplicates: tuple[LocatedEntry, ...] = ()
    """Entries that repeat one of ``entries`` elsewhere."""
    locks: tuple[LockFileText, ...] = ()
    """Lock files beside the tables that were read: the versions that are deployed."""
    files: tuple[str, ...] = ()
    """All files that were read, sorted; the set depends on them."""
    no_deps: bool = False
    """Whether everything is installed without what it requires."""


def read_requirement_set(
    plan_root: Path, sources: Sequence[RequirementSource], *, with_locks: bool = False
) -> RequirementSet:
    """Read ``sources`` and all that they include; with ``with_locks``, also the lock files beside tables."""
    collector = _RequirementSetBuilder(Tree(plan_root), with_locks=with_locks)
    for source in sources:
        collector.read_source(source)
    installed = [source for source in sources if not source.constraints]
    return collector.result(no_deps=bool(installed) and all(source.settings.no_deps for source in installed))


def lock_file_candidates(source: RequirementSource) -> tuple[str, ...]:
    """Return where the lock file of a table of requirements may be, most likely first."""
    folder, _, name = source.path.rpartition("/")
    formats = [lock for lock in LOCK_FORMATS if lock.source_file == name]
    owners = [lock for lock in formats if lock.source_table and source.table.startswith(lock.source_table)]
    formats = owners or formats
    adjacent = [join_path(folder, lock.name) for lock in formats]
    workspace_locks = []
    while folder:
        folder = folder.rpartition("/")[0]
        workspace_locks += [join_path(folder, lock.name) for lock in formats if lock.covers_workspace]
    return (*adjacent, *workspace_locks)


def with_nested_extras(lines: Iterable[str], project: str, extras: Collection[str]) -> frozenset[str]:
    """Return ``extras`` of ``project``, and those that they ask of the project itself: ``all = ["project[a,b]"]``."""
    own = []
    for line in lines if extras else ():
        name = _NAME.match(line)  # most lines are about others, and reading them takes long
        if name is not None and canonicalize_name(name[0]) == project:
            with suppress(InvalidRequirement):
                own.append(Requirement(line))
    asked = {*extras}
    for _ in own:  # each may add some
        for requirement in own:
            if requirement.marker and any(requirement.marker.evaluate({"extra": extra}) for extra in sorted(asked)):
                asked |= requirement.extras
    return frozenset(asked)


def requirement_with_extras(line: str, project: str, extras: Collection[str], interpreter: Interpreter) -> str:
    """Return the requirement in a Requires-Dist ``line`` of ``project`` that applies with ``extras``; empty if none
    does.
    """
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return ""
    if requirement.marker is None or "extra" not in str(requirement.marker):
        return line
    environment = {"python_version": str(interpreter), "python_full_version": f"{interpreter}.0"}
    if not any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)):
        return ""
    requirement.marker = None  # resolvers evaluate markers without an extra
    return "" if canonicalize_name(requirement.name) == project else str(requirement)


@dataclass(slots=True)
class _RequirementSetBuilder:
    tree: Tree
    with_locks: bool
    entries: dict[tuple[object, ...], LocatedEntry] = field(default_factory=dict)
    constraints: dict[tuple[object, ...], LocatedEntry] = field(default_factory=dict)
    locals: dict[tuple[str, tuple[str, ...]], LocalRequirement] = field(default_factory=dict)
    options: dict[tuple[str, str, str | None], LocatedOption] = field(default_factory=dict)
    no_deps: bool = False
    """Whether the source that is read is installed without its dependencies."""
    image_folders: tuple[tuple[str, str], ...] = ()
    """What lies at absolute paths where the source that is read is installed."""
    problems: dict[tuple[str, str], RequirementProblem] = field(default_factory=dict)
    duplicates: list[LocatedEntry] = field(default_factory=list)
    locks: dict[str, LockFileText] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    visited: set[tuple[str, str, str | None]] = field(default_factory=set)

    def read_source(self, source: RequirementSource) -> None:
        where = Location(path=source.path, line=source.line)
        self.no_deps, self.image_folders = source.settings.no_deps, source.settings.image_folders
        for name, value in source.settings.options:
            option = LocatedOption(name=name, value=value, location=where, folder=".")
            self.options.setdefault((name, value, "."), option)
        if source.arguments:
            self._read_arguments(source)
            return
        if lock_format(source.path.rpartition("/")[2]):
            self._add_standalone_lock(source.path, where)
            return
        try:
            text = self.tree.read(source.path)
        except UnreadableFile as error:
            self._add_problem(str(source), f"{source.path} {error}.", where)
            return
        self.files.add(source.path)
        reader = table_reader(source)
        if not source.table or reader is None:
            kind = "constraints" if source.constraints else "requirements"
            self._read_file(source.path, kind, where, (), text, source.folder)
            return
        tables = reader(text, source.path)
        selected = next((table for table in tables if table.table in (source.table, "")), None)
        if selected is None:
            table_names = ", ".join(table.table for table in tables) or "none"
            self._add_problem(str(source), f"{source.path} has no table {source.table}; it has: {table_names}.", where)
            return
        self._add(selected.requirements, "requirements", (source.path,))
        if self.with_locks and not source.unlocked:
            self._add_lock_of(source, where)

    def _read_arguments(self, source: RequirementSource) -> None:
        """Add the requirements in the arguments of a command."""
        collector = RequirementCollector(source.path)
        for argument in source.arguments:
            collector.add_requirement(argument, source.line or 1)
        if self.tree.is_file(source.path):
            self.files.add(source.path)
        self._add(collector.build(), "requirements", (source.path,), source.folder)

    def _add_lock_of(self, source: RequirementSource, where: Location) -> None:
        """Add the lock file of a table of requirements: beside it or, for uv workspaces, above it."""
        folder = source.path.rpartition("/")[0]
        for path in lock_file_candidates(source):
            if path in self.locks:
                return
            if self.tree.is_file(path):
                lock = self._read_lock(path, where)
                member = folder[len(path.rpartition("/")[0]) :].strip("/")
                is_adjacent = path.rpartition("/")[0] == folder
                if lock is not None and (is_adjacent or any(pin.path == member for pin in lock.pins)):
                    self.locks[path] = lock
                if is_adjacent or lock is not None:
                    return

    def _read_lock(self, path: str, requested_at: Location) -> LockFileText | None:
        try:
            text = self.tree.read(path, limit=4 * MAX_LENGTH)
        except UnreadableFile as error:
            self._add_problem(path, f"{path} {error}.", requested_at)
            return None
        self.files.add(path)
        lock = read_lock_file(text, path)
        for problem in lock.problems:
            where = Location(path=path, line=problem.line, column=problem.column)
            self._add_problem(problem.text, problem.message, where)
        return None if lock.problems else lock

    def _add_standalone_lock(self, path: str, requested_at: Location) -> None:
        """Add the pins of a lock file without requirements beside it as requirements."""
        lock = self._read_lock(path, requested_at)
        collector = RequirementCollector(path)
        for pin in lock.pins if lock else ():
            if pin.source == "index" and pin.version:
                marker = " or ".join(f"({alternative})" for alternative in pin.markers)
                collector.add_requirement(
                    f"{pin.name}=={pin.version}" + (f" ; {marker}" if marker else ""), pin.line or 1
                )
        self._add(collector.build(), "requirements", (path,))

    def _read_file(
        self,
        path: str,
        kind: str,
        requested_at: Location,
        include_chain: tuple[str, ...],
        text: str | None,
        folder: str | None = None,
    ) -> None:
        """Read one requirements file.

        ``requested_at`` is where it is named, ``include_chain`` the files that led to it, ``folder`` where pip is run.
        """
        if path in include_chain:
            chain = " -> ".join([*include_chain[include_chain.index(path) :], path])
            self._add_problem(path, f"The files include each other in a circle: {chain}.", requested_at)
            return
        if (path, kind, folder) in self.visited:
            return
        if len(self.files) > FILE_COUNT_LIMIT:
            self._add_problem(
                path, f"More than {FILE_COUNT_LIMIT} files are included; {path} is not read.", requested_at
            )
            return
        self.visited.add((path, kind, folder))
        try:
            text = self.tree.read(path) if text is None else text
        except UnreadableFile as error:
            self._add_problem(path, f"{path} {error}.", requested_at)
            return
        self.files.add(path)
        self._add(read_requirements(text, path), kind, (*include_chain, path), folder)

    def _add(
        self, parsed: RequirementsText, kind: str, include_chain: tuple[str, ...], folder: str | None = None
    ) -> None:
        entries = self.entries if kind == "requirements" else self.constraints
        for entry in parsed.entries:
            key = (entry.name, entry.extras, entry.specifier, entry.marker, entry.url, entry.hashes)
            located = LocatedEntry(entry=entry, location=Location(path=parsed.path, line=entry.line, column=1))
            if entries.setdefault(key, located) is not located and kind == "requirements":
                self.duplicates.append(located)
        for local in parsed.local_paths:
            where = Location(path=parsed.path, line=local.line)
            self._add_local(local, where, folder)
        for option in parsed.options:
            where = Location(path=parsed.path, line=option.line)
            located_option = LocatedOption(name=option.name, value=option.value, location=where)
            self.options.setdefault((option.name, option.value, None), located_option)
        for problem in parsed.problems:
            where = Location(path=parsed.path, line=problem.line, column=problem.column)
            self._add_problem(problem.text, problem.message, where, computed=problem.is_computed)
        for include in parsed.includes:
            self._follow_include(include, kind, include_chain, folder)

    def _follow_include(
        self, include: IncludedFile, kind: str, include_chain: tuple[str, ...], folder: str | None
    ) -> None:
        where = Location(path=include_chain[-1], line=include.line)
        # everything that a constraints file includes is a constraint, even with -r
        inner = "constraints" if "constraints" in (kind, include.kind) else "requirements"
        target = join_path(include_chain[-1], "..", include.path) if not include.path.startswith("/") else include.path
        if inner == "constraints" and is_fetched(include.path):
            remote = LocatedOption(name=REMOTE_CONSTRAINTS, value=include.path, location=where)
            self.options.setdefault((remote.name, remote.value, None), remote)
        elif "://" in include.path:
            self._add_problem(include.path, f"{include.path} is not in the repository, so it is not read.", where)
        elif leaves_root(target) or "\0" in target:
            self._add_problem(include.path, f"{include.path} lies outside the repository, so it is not read.", where)
        elif "${" in target:
            self._add_problem(include.path, f"{include.path} depends on an environment variable.", where)
        else:
            self._read_file(target, inner, where, include_chain, None, folder)

    def _add_local(self, required: LocalPath, where: Location, folder: str | None) -> None:
        path = path_from_file(self.tree, required.path, where.path, self.image_folders)
        target = find_local_project(self.tree, path, where.path, folder)
        if problem := local_path_problem(self.tree, path, target):
            self._add_problem(path, problem, where)
        else:
            local = LocalRequirement(
                path=target,
                extras=required.extras,
                editable=required.editable,
                location=where,
                marker=required.marker,
                no_deps=self.no_deps,
            )
            earlier = self.locals.setdefault((target, required.extras), local)
            self.locals[(target, required.extras)] = replace(
                local if earlier.no_deps and not local.no_deps else earlier,
                marker=local.marker if local.marker == earlier.marker else "",
            )

    def _add_problem(self, text: str, message: str, where: Location, *, computed: bool = False) -> None:
        problem = RequirementProblem(text=text, message=message, location=where, computed=computed)
        self.problems.setdefault((str(where), message), problem)

    def result(self, *, no_deps: bool) -> RequirementSet:
        return RequirementSet(
            entries=tuple(self.entries.values()),
            constraints=tuple(self.constraints.values()),
            locals=tuple(self.locals.values()),
            options=tuple(self.options.values()),
            problems=tuple(self.problems.values()),
            duplicates=tuple(self.duplicates),
            locks=tuple(self.locks.values()),
            files=tuple(sorted(self.files)),
            no_deps=no_deps,
        )
