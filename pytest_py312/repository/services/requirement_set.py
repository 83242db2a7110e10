"""All requirements of a service together: its sources read, ``-r`` and ``-c`` followed inside the repository.

Reads files only. What cannot be read or followed is a problem with a place, never an exception.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.repository.formats.lockfiles import LENGTH_LIMIT, LockText, is_lock_file, read_lock_file
from pytest_py312.repository.formats.requirements_file import (
    Collector,
    Entry,
    Include,
    RequirementsText,
    read_requirements,
)
from pytest_py312.repository.services.requirement_sources import TABLE_READERS
from pytest_py312.repository.tree import Tree, Unreadable, escapes, join

FILE_COUNT_LIMIT = 200
"""Files that one set may be made of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedEntry:
    """One requirement (or constraint) and where it stands."""

    entry: Entry
    location: Location

    @property
    def text(self) -> str:
        """PEP 508."""
        return self.entry.text

    @property
    def name(self) -> str:
        """The normalised project name."""
        return self.entry.name


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalRequirement:
    """A distribution of the repository that is required by path; ``path`` is relative to the root."""

    path: str
    extras: tuple[str, ...]
    editable: bool
    location: Location


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedOption:
    """An option of pip in a requirements file, under its long name. Relative paths in it start at the file's folder."""

    name: str
    value: str
    location: Location


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementProblem:
    """What cannot be read or followed; ``message`` is a sentence."""

    text: str
    message: str
    location: Location
    computed: bool = False
    """It is code that says it, so a build of the distribution can tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementSet:
    """Everything that a service's sources ask for, identical entries once, in reading order."""

    entries: tuple[LocatedEntry, ...] = ()
    constraints: tuple[LocatedEntry, ...] = ()
    locals: tuple[LocalRequirement, ...] = ()
    options: tuple[LocatedOption, ...] = ()
    problems: tuple[RequirementProblem, ...] = ()
    computed: tuple[Location, ...] = ()
    """Where code says what is required, which is known once the distribution was built."""
    repeats: tuple[LocatedEntry, ...] = ()
    """Entries that say again, elsewhere, what one of ``entries`` says."""
    locks: tuple[LockText, ...] = ()
    """Lock files beside the tables that were read: the versions that are deployed."""
    files: tuple[str, ...] = ()
    """Every file that was read, sorted: what the set depends on."""


def requirement_set(
    plan_root: Path, sources: Sequence[RequirementSource], *, with_locks: bool = False
) -> RequirementSet:
    """Read ``sources`` and everything that they include; with ``with_locks``, the lock files beside tables as well."""
    gathered = _Gathered(Tree(plan_root), with_locks=with_locks)
    for source in sources:
        gathered.read_source(source)
    return gathered.result()


def lock_places(source: RequirementSource) -> tuple[str, ...]:
    """Where the lock file of a table of requirements may lie, the likeliest first."""
    folder, _, name = source.path.rpartition("/")
    if name == "Pipfile":
        return (join(folder, "Pipfile.lock"),)
    if name != "pyproject.toml":
        return ()
    if source.table.startswith("tool.poetry."):
        return (join(folder, "poetry.lock"),)
    beside = [join(folder, lock) for lock in ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")]
    above = []
    while folder:
        folder = folder.rpartition("/")[0]
        above.append(join(folder, "uv.lock"))
    return (*beside, *above)


def asked_by(line: str, project: str, extras: Collection[str], interpreter: Interpreter) -> str:
    """What a Requires-Dist ``line`` of ``project`` asks for with ``extras``, as a requirement; empty for nothing."""
    try:
        required = Requirement(line)
    except InvalidRequirement:
        return ""
    if required.marker is None or "extra" not in str(required.marker):
        return line
    here = {"python_version": str(interpreter), "python_full_version": f"{interpreter}.0"}
    if not any(required.marker.evaluate({**here, "extra": extra}) for extra in ("", *extras)):
        return ""
    required.marker = None  # a resolver knows of no extra here
    return "" if canonicalize_name(required.name) == project else str(required)


@dataclass(slots=True)
class _Gathered:
    tree: Tree
    with_locks: bool
    entries: dict[tuple[object, ...], LocatedEntry] = field(default_factory=dict)
    constraints: dict[tuple[object, ...], LocatedEntry] = field(default_factory=dict)
    locals: dict[tuple[str, tuple[str, ...]], LocalRequirement] = field(default_factory=dict)
    options: dict[tuple[str, str], LocatedOption] = field(default_factory=dict)
    problems: dict[tuple[str, str], RequirementProblem] = field(default_factory=dict)
    repeats: list[LocatedEntry] = field(default_factory=list)
    locks: dict[str, LockText] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    done: set[tuple[str, str, str]] = field(default_factory=set)

    def read_source(self, source: RequirementSource) -> None:
        where = Location(path=source.path)
        if is_lock_file(source.path.rpartition("/")[2]):
            self._take_lock_alone(source.path, where)
            return
        try:
            text = self.tree.read(source.path)
        except Unreadable as error:
            self._problem(str(source), f"{source.path} {error}.", where)
            return
        self.files.add(source.path)
        reader = TABLE_READERS.get(source.path.rpartition("/")[2])
        if not source.table or reader is None:
            self._read_file(source.path, "requirements", where, (), text)
            return
        tables = reader(text, source.path)
        found = next((table for table in tables if table.table in (source.table, "")), None)
        if found is None:
            known = ", ".join(table.table for table in tables) or "none"
            self._problem(str(source), f"{source.path} has no table {source.table}; it has: {known}.", where)
            return
        self._take(found.requirements, "requirements", (source.path,))
        if self.with_locks:
            self._look_for_lock(source, where)

    def _look_for_lock(self, source: RequirementSource, where: Location) -> None:
        """The lock file that goes with a table of requirements: beside it or, of uv's workspaces, above it."""
        folder = source.path.rpartition("/")[0]
        for path in lock_places(source):
            if path in self.locks:
                return
            if self.tree.is_file(path):
                lock = self._lock(path, where)
                member = folder[len(path.rpartition("/")[0]) :].strip("/")
                beside = path.rpartition("/")[0] == folder
                if lock is not None and (beside or any(pin.path == member for pin in lock.pins)):
                    self.locks[path] = lock
                if beside or lock is not None:
                    return

    def _lock(self, path: str, asked: Location) -> LockText | None:
        try:
            text = self.tree.read(path, limit=4 * LENGTH_LIMIT)
        except Unreadable as error:
            self._problem(path, f"{path} {error}.", asked)
            return None
        self.files.add(path)
        lock = read_lock_file(text, path)
        for problem in lock.problems:
            where = Location(path=path, line=problem.line, column=problem.column)
            self._problem(problem.text, problem.message, where)
        return None if lock.problems else lock

    def _take_lock_alone(self, path: str, asked: Location) -> None:
        """A lock file without requirements beside it: what it holds is what is required."""
        lock = self._lock(path, asked)
        found = Collector(path)
        for pin in lock.pins if lock else ():
            if pin.source == "index" and pin.version:
                marker = " or ".join(f"({one})" for one in pin.markers)
                found.requirement(f"{pin.name}=={pin.version}" + (f" ; {marker}" if marker else ""), pin.line or 1)
        self._take(found.result(), "requirements", (path,))

    def _read_file(self, path: str, kind: str, asked: Location, above: tuple[str, ...], text: str | None) -> None:
        """Read one requirements file. ``asked`` is the place that names it, ``above`` the files that led to it."""
        if path in above:
            chain = " -> ".join([*above[above.index(path) :], path])
            self._problem(path, f"The files include each other in a circle: {chain}.", asked)
            return
        if (path, kind, "") in self.done:
            return
        if len(self.files) > FILE_COUNT_LIMIT:
            self._problem(path, f"More than {FILE_COUNT_LIMIT} files are included; {path} is not read.", asked)
            return
        self.done.add((path, kind, ""))
        try:
            text = self.tree.read(path) if text is None else text
        except Unreadable as error:
            self._problem(path, f"{path} {error}.", asked)
            return
        self.files.add(path)
        self._take(read_requirements(text, path), kind, (*above, path))

    def _take(self, found: RequirementsText, kind: str, above: tuple[str, ...]) -> None:
        entries = self.entries if kind == "requirements" else self.constraints
        for entry in found.entries:
            key = (entry.name, entry.extras, entry.specifier, entry.marker, entry.url, entry.hashes)
            located = LocatedEntry(entry=entry, location=Location(path=found.path, line=entry.line, column=1))
            if entries.setdefault(key, located) is not located and kind == "requirements":
                self.repeats.append(located)
        for local in found.locals:
            self._take_local(local.path, local.extras, local.editable, Location(path=found.path, line=local.line))
        for option in found.options:
            where = Location(path=found.path, line=option.line)
            placed = LocatedOption(name=option.name, value=option.value, location=where)
            self.options.setdefault((option.name, option.value), placed)
        for problem in found.problems:
            where = Location(path=found.path, line=problem.line, column=problem.column)
            self._problem(problem.text, problem.message, where, computed=problem.computed)
        for include in found.includes:
            self._follow(include, kind, above)

    def _follow(self, include: Include, kind: str, above: tuple[str, ...]) -> None:
        where = Location(path=above[-1], line=include.line)
        # what a constraints file includes constrains, however it includes it
        inner = "constraints" if "constraints" in (kind, include.kind) else "requirements"
        target = join(above[-1], "..", include.target) if not include.target.startswith("/") else include.target
        if "://" in include.target:
            self._problem(include.target, f"{include.target} is not in the repository, so it is not read.", where)
        elif escapes(target) or "\0" in target:
            self._problem(include.target, f"{include.target} lies outside the repository, so it is not read.", where)
        elif "${" in target:
            self._problem(include.target, f"{include.target} depends on an environment variable.", where)
        else:
            self._read_file(target, inner, where, above, None)

    def _take_local(self, path: str, extras: tuple[str, ...], editable: bool, where: Location) -> None:
        # pip takes such a path from the folder it is run in: the file's own, or that around a folder of such files
        target = join(where.path, "..", path)
        if (
            not self._is_project(target)
            and "/" in where.path
            and self._is_project(outer := join(where.path, "../..", path))
        ):
            target = outer
        if path.startswith(("/", "~")) or escapes(target):
            self._problem(path, f"{path} lies outside the repository.", where)
        elif not (self.tree.is_folder(target) or self.tree.is_file(target)):
            self._problem(path, f"{target} does not exist.", where)
        else:
            local = LocalRequirement(path=target, extras=extras, editable=editable, location=where)
            self.locals.setdefault((target, extras), local)

    def _is_project(self, path: str) -> bool:
        """Whether something can be installed from there: a wheel or an archive, or a folder with metadata."""
        if path.startswith(("/", "~")) or escapes(path):
            return False
        return self.tree.is_file(path) or any(
            self.tree.is_file(join(path, name)) for name in ("pyproject.toml", "setup.py", "setup.cfg")
        )

    def _problem(self, text: str, message: str, where: Location, *, computed: bool = False) -> None:
        found = RequirementProblem(text=text, message=message, location=where, computed=computed)
        self.problems.setdefault((str(where), message), found)

    def result(self) -> RequirementSet:
        return RequirementSet(
            entries=tuple(self.entries.values()),
            constraints=tuple(self.constraints.values()),
            locals=tuple(self.locals.values()),
            options=tuple(self.options.values()),
            problems=tuple(self.problems.values()),
            repeats=tuple(self.repeats),
            locks=tuple(self.locks.values()),
            files=tuple(sorted(self.files)),
        )
