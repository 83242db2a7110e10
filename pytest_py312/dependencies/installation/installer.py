"""Requirements to an installed, proven environment for each cell; whatever is shared is made once.

The order of the work: read the requirements, resolve the whole set for the cell's interpreter, install what the store
lacks (for all cells of an interpreter in one go), link the environment together, import what is directly required.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Interpreter, Location
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.diagnosis.locker import RESOLVED_AT_ONCE, Locking
from pytest_py312.dependencies.installation.console_scripts import modules_of, started_modules
from pytest_py312.dependencies.installation.distribution_store import BUILD_LIMIT, Entry, Store
from pytest_py312.dependencies.installation.download_size import download_size
from pytest_py312.dependencies.installation.environments import Environment, Environments
from pytest_py312.dependencies.installation.import_check import Imports
from pytest_py312.dependencies.installation.lockfile_diagnosis import LockVerdicts
from pytest_py312.dependencies.installation.requests import MOST_STEPS, Demands, older, shut_out, tool_constraints
from pytest_py312.dependencies.resolution.lock import Blocked, Lock, Unchecked, Wanted, seeds
from pytest_py312.dependencies.resolution.resolvers import engine_of
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.repository.services.requirement_sources import further_services
from pytest_py312.runners.fingerprints import copy_tree
from pytest_py312.runners.runner import CellUnavailable, Runner

if TYPE_CHECKING:
    from pytest_py312.dependencies.diagnosis.package_index import Index
    from pytest_py312.dependencies.diagnosis.repair_search import Change

TRIAL_BUILD_LIMIT = 90.0
"""Seconds that the build of one source may take when a change is only tried."""
TRIAL_SIZE_LIMIT = 1024**3
"""Bytes that may be downloaded for a change that is only tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """What became of a cell's requirements.

    ``environment`` is ``None`` when it could not be had: because of blocking ``findings``, or because it could not be
    found out (``unchecked`` says why). ``built``: the service itself was built and is installed in it. ``imports``
    maps each module of the directly required distributions to the end of its traceback, empty where it imports.
    """

    build: InterpreterBuild | None = None
    lock: Lock | None = None
    environment: Environment | None = None
    findings: tuple[Finding, ...] = ()
    unchecked: str = ""
    built: bool = False
    imports: Mapping[str, str] | None = None
    entries: tuple[Entry, ...] = ()


class Installer:
    """Makes installations. Safe for threads and, through ``once``, for xdist's workers."""

    def __init__(
        self,
        *,
        plan: Plan,
        cache: Path,
        runner: Runner,
        resolver: Resolver,
        store: Store,
        environments: Environments,
        once: Once,
        parallel: int,
    ) -> None:
        self._plan = plan
        self._cache = cache
        self._runner = runner
        self._resolver = engine_of(plan, resolver, cache=cache, runner=runner)
        self._store = store
        self._environments = environments
        self._once = once
        self._parallel = parallel
        self._imports = Imports(root=plan.root, runner=runner, environments=environments)
        self._locking = Locking(cache=cache, resolver=self._resolver, once=once, lock_hours=plan.lock_hours)
        self.demands = Demands(plan=plan, cache=cache)
        self._lock_verdicts = LockVerdicts(self.demands, self._locking)

    # -- locks

    def known_lock(self, cell: Cell) -> Lock | None:
        """The cell's lock where an earlier run's still holds; asks nobody. ``None`` for what must be worked out."""
        build = self._runner.find(cell.interpreter)
        trees = [
            self._store.tree_entry(*self.demands.source(folder), build) for folder in self.demands.trees(cell.service)
        ]
        built = [tree for tree in trees if tree is not None]
        if len(built) < len(trees):
            return None  # what a source tree requires is known only after it was built
        constraints: tuple[str, ...] = ()
        if not cell.is_baseline:
            before = self.known_lock(_baseline(cell))
            constraints = tool_constraints(before) if before else ()
        for attempt in dict.fromkeys((constraints, ())):
            lock = self._resolver.known(self.demands.wanted(cell, built, attempt), build)
            if lock is not None:
                found = self._locking.known_like_pip(
                    lock, build, partial(self.demands.wanted, cell, built, more=attempt)
                )
                return self.demands.with_own_hashes(cell, found) if found else None
        return None

    def known_locks(self, cell: Cell) -> list[str] | None:
        """The digests of all that is locked of a cell, further sets of its service too; ``None`` where one is not."""
        cells = [cell, *(replace(cell, service=further) for further in further_services(cell.service))]
        locks = [self.known_lock(one) for one in cells]
        found = [lock.digest for lock in locks if lock is not None]
        return [self._runner.find(cell.interpreter).digest, *found] if len(found) == len(locks) else None

    def _lock(self, cell: Cell, build: InterpreterBuild, trees: Sequence[Entry]) -> Lock:
        """The lock of a cell, with the baseline's tools where they work on its interpreter as well.

        :raises Blocked, Unchecked: see dependencies/resolution/uv_resolver.py.
        """
        constraints: tuple[str, ...] = ()
        if not cell.is_baseline:
            before = self.lock(_baseline(cell))
            constraints = tool_constraints(before) if isinstance(before, Lock) else ()
        if constraints:
            lock = self._locking.attempt(self.demands.wanted(cell, trees, constraints), build)
            if lock is not None:  # else these tools do not work there: what does is reported as a difference
                return self._locking.like_pip(lock, build, partial(self.demands.wanted, cell, trees, more=constraints))
        lock = self._lock_verdicts.lock(cell, build, trees)
        return self._locking.like_pip(lock, build, partial(self.demands.wanted, cell, trees))

    def lock(self, cell: Cell) -> Lock | Installation:
        """The lock of a cell or, where there is none, the installation that says why."""
        return self._once(f"lock {cell.identifier}", lambda: self._lock_or_reason(cell))

    def _lock_or_reason(self, cell: Cell) -> Lock | Installation:
        try:
            build = self._runner.find(cell.interpreter)
            trees, broken = self._built_trees(cell, build)
            try:
                return self.demands.with_own_hashes(cell, self._lock(cell, build, trees))
            except Blocked as blocked:
                told = self._with_sources_tried(cell, build, trees, blocked.findings)
                return Installation(build=build, findings=(*broken, *self._lock_verdicts.stale(cell), *told))
        except (CellUnavailable, Unchecked) as reason:
            return Installation(unchecked=str(reason))

    def _with_sources_tried(
        self, cell: Cell, build: InterpreterBuild, trees: Sequence[Entry], findings: Sequence[Finding]
    ) -> Sequence[Finding]:
        """All that blocks a set, its sources tried; between baseline and target nobody stays, so not there."""
        from pytest_py312.dependencies.installation.source_builds import (
            with_sources_tried,  # only what is blocked needs it
        )

        if cell.interpreter not in (cell.service.baseline, self._plan.target):
            return findings
        return with_sources_tried(findings, self.demands.wanted(cell, trees, ()), build, self._store)

    # -- trying a change out

    def build(self, cell: Cell) -> InterpreterBuild:
        """The build that the cell runs on.

        :raises CellUnavailable: there is none.
        """
        return self._runner.find(cell.interpreter)

    def index(self, cell: Cell) -> "Index":
        """The index that the cell's requirements are taken from.

        :raises CellUnavailable, Unchecked: it cannot be told.
        """
        build = self._runner.find(cell.interpreter)
        return self._locking.index(self.demands.wanted(cell, (), ()), build)

    def blame(self, cell: Cell, change: "Change") -> tuple[str, ...] | None:
        """``None`` where the cell's set resolves with ``change``, else the projects that are to blame.

        :raises CellUnavailable, Unchecked: it could not be found out.
        """
        build = self._runner.find(cell.interpreter)
        trees, _ = self._built_trees(cell, build)
        return self._locking.blame(self.demands.wanted(cell, trees, (), change.specifiers, change.without), build)

    def attempt(self, cell: Cell, change: "Change") -> Installation:
        """What the cell's installation would be with ``change``: resolved, installed and imported for real.

        Its environment stays in the cache by its content: once the change is written, it is the cell's own.
        """
        try:
            build = self._runner.find(cell.interpreter)
            trees, _ = self._built_trees(cell, build)
            wanted = partial(self.demands.wanted, changed=change.specifiers, without=change.without)
            try:
                lock = self._locking.lock(wanted(cell, trees, ()), build)
                lock = self._locking.like_pip(lock, build, partial(wanted, cell, trees))
            except Blocked as blocked:
                return Installation(build=build, findings=blocked.findings)
        except (CellUnavailable, Unchecked) as reason:
            return Installation(unchecked=str(reason))
        missing = [pin for pin in lock.pins if self._store.entry(pin, build) is None]
        size = download_size(missing, build, self._runner, self._cache / "tmp")
        if size > TRIAL_SIZE_LIMIT:
            large = f"it takes {size / 1024**3:.1f} GiB to download, and a trial may take {TRIAL_SIZE_LIMIT // 1024**3}"
            return Installation(build=build, lock=lock, unchecked=f"{large}; the run after it was written installs it")
        return self._installed_or_reason(cell, lock, wanted, TRIAL_BUILD_LIMIT)

    # -- source trees: the service itself where only a build can tell, and what is required by path

    def _built_trees(self, cell: Cell, build: InterpreterBuild) -> tuple[list[Entry], list[Finding]]:
        """Entries of the source trees, and a finding for each that does not build on this interpreter."""
        entries, findings = [], []
        for folder in self.demands.trees(cell.service):
            try:
                entries.append(self._built_tree(folder, build))
            except Blocked as blocked:
                findings += [_own_build(finding, folder, cell) for finding in blocked.findings]
        return entries, findings

    def _built_tree(self, folder: str, build: InterpreterBuild) -> Entry:
        source, key = self.demands.source(folder)
        self._once(f"copy {key}", lambda: self._copied(folder, source))
        return self._once(f"tree {key} {build.digest}", lambda: self._store.install_tree(source, key, build))

    def _copied(self, folder: str, source: Path) -> bool:
        if not source.exists():
            part = source.with_name(f".{source.name}.part")
            part.parent.mkdir(parents=True, exist_ok=True)
            copy_tree(self._plan.root / folder, part)
            part.rename(source)
        return True

    # -- installations

    def by_interpreter(self, cells: Sequence[Cell]) -> dict[Interpreter, list[Cell]]:
        """``cells`` and their baselines' cells, each once, by interpreter in ascending order."""
        found: dict[Interpreter, dict[str, Cell]] = {}
        for cell in cells:
            for one in (cell, _baseline(cell)):
                found.setdefault(one.interpreter, {})[one.identifier] = one
        return {interpreter: list(found[interpreter].values()) for interpreter in sorted(found)}

    def prepare(self, interpreter: Interpreter, cells: Sequence[Cell]) -> bool:
        """Resolve for many cells of an interpreter, and fill the store in one go. What fails is told to who asks."""
        with ThreadPoolExecutor(RESOLVED_AT_ONCE * self._parallel) as pool:
            list(pool.map(self.lock, cells))
        self._fill(interpreter, cells)
        return True

    def _fill(self, interpreter: Interpreter, cells: Sequence[Cell]) -> None:
        locks = [lock for cell in cells if isinstance(lock := self.lock(cell), Lock)]
        wheels = {pin.line: pin for lock in locks for pin in lock.pins if not pin.from_source}
        try:
            build = self._runner.find(interpreter)
            self._store.fill([*wheels.values(), *seeds(build)], build, Wanted(lines=()))
        except (CellUnavailable, Blocked, Unchecked):
            return  # the cell that needs it asks again, and is told

    def installation(self, cell: Cell) -> Installation:
        """The installed and proven environment of a cell, or why there is none."""
        return self._once(f"installation {cell.identifier}", lambda: self._install(cell))

    def _install(self, cell: Cell) -> Installation:
        lock = self.lock(cell)
        return lock if isinstance(lock, Installation) else self._installed_or_reason(cell, lock, self.demands.wanted)

    def _installed_or_reason(
        self, cell: Cell, lock: Lock, wanted: Callable[..., Wanted], build_limit: float = BUILD_LIMIT
    ) -> Installation:
        """``wanted`` makes the set of ``lock``: of a cell, its trees and further constraints."""
        try:
            build = self._runner.find(cell.interpreter)
            return self._as_old_as_needed(cell, build, lock, wanted, build_limit)
        except Blocked as blocked:
            told = self._lock_verdicts.of_lock_files(
                cell, build, lambda: self._built_trees(cell, build)[0], blocked.findings
            )
            return Installation(build=build, lock=lock, findings=told)
        except (CellUnavailable, Unchecked) as reason:
            return Installation(lock=lock, unchecked=str(reason))
        except OSError as error:
            return Installation(lock=lock, unchecked=f"the cache folder cannot be written: {error}")

    def _as_old_as_needed(
        self, cell: Cell, build: InterpreterBuild, lock: Lock, wanted: Callable[..., Wanted], build_limit: float
    ) -> Installation:
        """What ``lock`` comes to, with older versions of what does not allow ``build`` where some fit."""
        found = self._installed(cell, build, lock, build_limit)
        for _ in range(MOST_STEPS):
            refused = shut_out(found.entries, build)
            if not refused:
                break
            try:
                trees, _broken = self._built_trees(cell, build)
                other = self._locking.attempt(wanted(cell, trees, older(lock, refused, build)), build)
                if other is None:
                    break
                lock = self.demands.with_own_hashes(cell, other)
                found = self._installed(cell, build, lock, build_limit)
            except (Blocked, Unchecked):
                break  # then it is told of the newer one that this interpreter is shut out
        return found

    def _installed(self, cell: Cell, build: InterpreterBuild, lock: Lock, build_limit: float) -> Installation:
        trees, findings = self._built_trees(cell, build)
        pins = list(lock.pins)
        pins += [seed for seed in seeds(build) if seed.name not in lock.versions]
        self._store.fill(pins, build, self.demands.wanted(cell, trees, ()), build_limit)
        entries = [entry for pin in pins if (entry := self._store.entry(pin, build))] + trees
        lines = [
            # with its index: the same version from elsewhere may be something else
            *(pin.index + pin.line + (" (source)" if pin.from_source else "") for pin in pins),
            *(str(tree.folder) for tree in trees),
        ]
        key = self._environments.key_of(lines, build)
        environment = self._once(f"environment {key}", lambda: self._environments.make(key, entries, build))
        modules = self._modules(cell.service, environment, trees, entries)
        own = cell.service.distribution
        return Installation(
            build=build,
            lock=lock,
            environment=environment,
            findings=(*findings, *self._lock_verdicts.stale(cell)),
            built=own is not None and not own.static and not findings,
            imports=self._once(f"imports {key} {modules}", lambda: self._imports.of(cell, build, environment, modules)),
            entries=tuple(entries),
        )

    def tried(self, cell: Cell, modules: Sequence[str]) -> Mapping[str, str]:
        """Import ``modules`` in the cell for real: each with the end of its traceback, empty where it imports.

        :raises Unchecked: they could not be tried.
        """
        here = self.installation(cell)
        if here.build is None or here.environment is None:
            raise Unchecked(here.unchecked or "nothing is installed")
        return self._imports.of(cell, here.build, here.environment, tuple(sorted(modules)))

    def is_intact(self, environment: Environment) -> bool:
        """Whether a suite has left its environment as it was; see environments.py."""
        return self._environments.is_intact(environment)

    def _modules(
        self, service: Service, environment: Environment, trees: Sequence[Entry], entries: Sequence[Entry]
    ) -> tuple[str, ...]:
        names = [*self.demands.directly_required(service), *(tree.name for tree in trees)]
        started = {module for name in names for module in started_modules(name, entries)}
        started.update(modules_of(service.programs, entries))
        return tuple(sorted(started.union(*(environment.modules.get(name, ()) for name in names))))


def _baseline(cell: Cell) -> Cell:
    return replace(cell, interpreter=cell.service.baseline)


def _own_build(finding: Finding, folder: str, cell: Cell) -> Finding:
    what = "the service itself" if folder == cell.service.path else folder
    reason = finding.message.rpartition("fails to build: ")[2]
    return replace(
        finding,
        code="PY106",
        message=f"{what} does not build on {cell.interpreter}: {reason}",
        remedy="mend its setup so that it builds there",
        location=Location(path=cell.service.manifest or folder),
        names=(),
    )


def versions_of(installation: Installation) -> dict[str, str]:
    """What is installed: normalised name to version."""
    return dict(installation.environment.versions) if installation.environment else {}
