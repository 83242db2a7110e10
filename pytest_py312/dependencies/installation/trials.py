"""Try a change of a cell's requirements: resolve, install and import the changed set, as the cell itself would."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.installation.cell_locks import CellLocks, InstallationParts
from pytest_py312.dependencies.installation.lock_installation import LockInstaller
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.resolution.lock import (
    PROJECT_NAME,
    DependencyLock,
    Pin,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    preinstalled,
)
from pytest_py312.dependencies.resolution.lockfile_pins import pinned_constraints
from pytest_py312.dependencies.resolution.uv_config import uv_folder
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.runners.runner import CellUnavailable, Runner

if TYPE_CHECKING:
    from pytest_py312.dependencies.diagnosis.package_index import PackageIndex
    from pytest_py312.dependencies.diagnosis.repair_search import RequirementChange

TRIAL_BUILD_TIME_LIMIT = 90.0
"""Time limit of the build of one source when a change is only tried, in seconds."""
TRIAL_SIZE_LIMIT = 1024**3
"""Limit of the download for a change that is only tried, in bytes."""


class Trials:
    """Trials of changed requirements. Thread-safe."""

    def __init__(
        self, parts: InstallationParts, locks: CellLocks, lock_installer: LockInstaller, *, cache: Path, runner: Runner
    ) -> None:
        self._parts = parts
        self._locks = locks
        self._lock_installer = lock_installer
        self._cache = cache
        self._runner = runner

    def index(self, cell: Cell) -> "PackageIndex":
        """Return the package index that the requirements of the cell are taken from.

        :raises CellUnavailable, Undetermined: it could not be determined.
        """
        build = self._parts.builds.find(cell)
        return self._parts.locker.index_for(self._parts.request_builder.request(cell, (), ()), build)

    def blamed_projects(self, cell: Cell, change: "RequirementChange") -> tuple[str, ...] | None:
        """Return the projects that block the set of the cell with ``change``; ``None`` if it resolves.

        :raises CellUnavailable, Undetermined: it could not be determined.
        """
        build = self._parts.builds.find(cell)
        trees, _ = self._parts.trees.build(cell, build, change.without)
        return self._parts.locker.blamed_projects(
            self._parts.request_builder.request(cell, trees, (), change.specifiers, change.without), build
        )

    def try_change(self, cell: Cell, change: "RequirementChange") -> Installation:
        """Resolve, install and import the set of the cell with ``change``.

        The environment stays in the cache, and is used by the cell once the change is written.
        """
        try:
            build = self._parts.builds.find(cell)
            trees, _ = self._parts.trees.build(cell, build, change.without)
            make_request = partial(
                self._parts.request_builder.request, changed=change.specifiers, without=change.without
            )
            try:
                lock = self._parts.locker.lock(make_request(cell, trees, ()), build)
                lock = self._parts.locker.keep_preinstalled(lock, build, partial(make_request, cell, trees))
            except Unresolvable as blocked:
                return Installation(build=build, findings=blocked.findings)
        except (CellUnavailable, Undetermined) as reason:
            self._locks.mark_undetermined(cell)
            return Installation(unchecked=str(reason))
        return self._install(cell, build, lock, make_request, change.without)

    def with_updated_locks(self, cell: Cell, names: Collection[str], unavailable: Collection[str] = ()) -> Installation:
        """Install the set of the cell with newer versions of ``names``, and else with those of its lock files.

        :param unavailable: projects and folders that are left out because they cannot be had here.
        """
        requirements = self._parts.request_builder.requirements.of(cell.service)
        locks = [
            replace(lock, pins=tuple(pin for pin in lock.pins if pin.name not in names)) for lock in requirements.locks
        ]

        def make_request(
            cell: Cell, trees: Sequence[StoredDistribution], constraints: Sequence[str]
        ) -> ResolutionRequest:
            others = pinned_constraints(locks, requirements.entries, cell.interpreter)
            return self._parts.request_builder.request(
                cell, trees, (*others, *constraints), locked=False, unavailable=unavailable
            )

        try:
            build = self._parts.builds.find(cell)
            trees, _ = self._parts.trees.build(cell, build, unavailable)
            lock = self._parts.locker.lock(make_request(cell, trees, ()), build)
        except Unresolvable as blocked:
            return Installation(findings=blocked.findings)
        except (CellUnavailable, Undetermined) as reason:
            return self._locks.unchecked(cell, reason)
        return self._install(cell, build, lock, make_request, unavailable)

    def _install(
        self,
        cell: Cell,
        build: InterpreterBuild,
        lock: DependencyLock,
        make_request: Callable[..., ResolutionRequest],
        without: Collection[str] = (),
    ) -> Installation:
        """Install what is only tried, unless its download is too large for that."""
        missing = [pin for pin in lock.pins if self._parts.store.get(pin, build) is None]
        size = download_size(missing, build, self._runner, self._cache)
        if size > TRIAL_SIZE_LIMIT:
            limit = TRIAL_SIZE_LIMIT // 1024**3
            large = f"the download is {size / 1024**3:.1f} GiB, and the limit of a trial is {limit} GiB"
            return Installation(build=build, lock=lock, unchecked=f"{large}; the next run with the change installs it")
        return self._lock_installer.install(cell, lock, make_request, TRIAL_BUILD_TIME_LIMIT, without=without)

    def with_versions(self, cell: Cell, versions: Mapping[str, str]) -> Installation:
        """Install the set of the cell in these versions.

        Versions of projects outside of the set are ignored, and preinstalled ones are kept.
        """
        try:
            build = self._parts.builds.find(cell)
            trees, _ = self._parts.trees.build(cell, build)
            own = {tree.name for tree in trees} | {pin.name for pin in preinstalled(build)}
            pins = tuple(f"{name}=={version}" for name, version in sorted(versions.items()) if name not in own)
            lock = self._parts.locker.lock(self._parts.request_builder.request(cell, trees, pins), build)
        except Unresolvable as blocked:
            return Installation(findings=blocked.findings)
        except (CellUnavailable, Undetermined) as reason:
            return self._locks.unchecked(cell, reason)

        def make_request(
            cell: Cell, trees: Sequence[StoredDistribution], extra_constraints: Sequence[str]
        ) -> ResolutionRequest:
            return self._parts.request_builder.request(cell, trees, (*pins, *extra_constraints))

        return self._lock_installer.install(cell, lock, make_request, TRIAL_BUILD_TIME_LIMIT)

    def imports_with(
        self, cell: Cell, added: Sequence[str], modules: Sequence[str], change: "RequirementChange | None" = None
    ) -> Mapping[str, str] | None:
        """Import ``modules`` in an environment of the cell that has ``change`` and the requirements ``added`` as well.

        Those replace the requirements of the same projects.

        :returns: each module and the end of its traceback, empty if it imports; ``None`` if it cannot be tried.
        """
        replaced = {canonicalize_name(name[0]) for line in added if (name := re.match(PROJECT_NAME, line))}
        without = replaced | change.without if change else replaced
        make_request = partial(
            self._parts.request_builder.request,
            added=added,
            without=without,
            changed=change.specifiers if change else None,
        )
        try:
            build = self._parts.builds.find(cell)
            trees, _ = self._parts.trees.build(cell, build, without)
            lock = self._parts.locker.lock(make_request(cell, trees, ()), build)
            installation = self._lock_installer.install(
                cell, lock, make_request, TRIAL_BUILD_TIME_LIMIT, without=without
            )
            if installation.environment is None:
                return None
            return self._parts.import_checker.check(cell, build, installation.environment, tuple(sorted(modules)))
        except Unresolvable:
            return None
        except (CellUnavailable, Undetermined):
            self._locks.mark_undetermined(cell)
            return None


def download_size(pins: Sequence[Pin], build: InterpreterBuild, runner: Runner, cache: Path) -> int:
    """Return the size of the wheels of ``pins`` in bytes; a wheel of unknown size counts as 0."""
    wheels = [pin for pin in pins if not pin.from_source and pin.version]
    if not wheels:
        return 0
    with uv_folder(cache) as folder:
        requirements = folder / "requirements.in"
        options = dict.fromkeys(line for pin in wheels for line in pin.index.splitlines())
        lines = [*options, *(f"{pin.name}=={pin.version}" for pin in wheels)]
        requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
        argv = ["{uv}", "pip", "compile", "--quiet", "--offline", "--no-deps", "--format", "pylock.toml"]
        argv += ["--directory", runner.path_inside(folder), "--python", "{python}", "--only-binary", ":all:"]
        answer = runner.run_tool(build, [*argv, runner.path_inside(requirements)], time_limit=60)
    return total_wheel_size(answer.stdout) if answer.ok else 0


def total_wheel_size(lock: str) -> int:
    """Return the summed size of the smallest wheel of each package of a pylock.toml, in bytes. Never raises."""
    try:
        packages = tomllib.loads(lock).get("packages", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return 0
    sizes_by_package = (
        (_wheel_sizes(package) for package in packages if isinstance(package, dict))
        if isinstance(packages, list)
        else ()
    )
    return sum(min(sizes) for sizes in sizes_by_package if sizes)


def _wheel_sizes(package: dict[str, Any]) -> list[int]:
    wheels = package.get("wheels")
    files = [wheel for wheel in wheels if isinstance(wheel, dict)] if isinstance(wheels, list) else []
    return [size for wheel in files if isinstance(size := wheel.get("size"), int)]
