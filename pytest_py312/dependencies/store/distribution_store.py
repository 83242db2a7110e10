"""Store of installed distributions: each is installed once per interpreter build, and hard-linked into environments.

    <cache>/store/<runner>-<build digest>/<name>-<version>-<digest>/
        lib/...       files of site-packages
        data/...      files outside of it (bin/, share/, include/)
        entry.json    metadata for environments and checks, and digests of the files

Entries include byte code. An entry that has changed since is removed when a run first uses it. An entry is renamed into
its place when it is complete. A lock per interpreter build serializes the installation of wheels, and a lock per source
its build.
"""

import hashlib
import shutil
import threading
import uuid
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.files import discard_folder
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import DEFAULT_BUILD_LIMIT
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.store.install_failures import (
    BuildFailureCache,
    HashMismatch,
    refuse_unfit_wheel,
    require_permitted_sources,
    unfinished_build,
)
from pytest_py312.dependencies.store.pin_installer import InstallJob, PinInstaller, SourceTree, UvSettingsRenderer
from pytest_py312.dependencies.store.recorded_files import link_or_copy
from pytest_py312.dependencies.store.stored_distribution import (
    OF_REPOSITORY,
    StoredDistribution,
    is_unchanged,
    load_distribution,
)
from pytest_py312.runners.runner import Runner, confinement_of

LIMIT_AFTER_FAILURE = 90.0
"""Time limit of the build of one source of a set that is blocked by another one, in seconds."""


def _tree_of(source: Path, key: str, *, editable: bool) -> SourceTree:
    """Return the tree of a project at ``source`` in a copy whose folder is named ``key``, or whose file lies in it."""
    copy = next((path for path in source.parents if path.name == key), None) if source.is_dir() else None
    folder = source.relative_to(copy).as_posix() if copy else ""
    return SourceTree(copy=copy or source, folder=folder, editable=editable and source.is_dir())


_NO_SOURCE = "has no source distribution"
"""In uv's message about a project that must not be installed from a wheel."""


class DistributionStore:
    """Store that installs distributions and returns the installed ones. Safe for several processes at once."""

    def __init__(
        self,
        *,
        cache: Path,
        runner: Runner,
        lock_hours: float = 0.0,
        uv_version: str = "",
        uv_settings: UvSettingsRenderer = lambda options, build: "",
        parallel_builds: int = 2,
    ) -> None:
        self._root = cache / "store"
        self._runner = runner
        self._installer = PinInstaller(cache=cache, runner=runner, uv_settings=uv_settings, folder_of=self._folder)
        self._verified: set[Path] = set()
        self.discarded: list[str] = []
        """Names and versions of entries that had changed since they were installed, and were removed."""
        self._build_slots = threading.BoundedSemaphore(parallel_builds)
        self._build_failures = BuildFailureCache(
            cache=cache, tools=f"{runner.name} {uv_version}", lock_hours=lock_hours
        )

    def get(self, pin: Pin, build: InterpreterBuild) -> StoredDistribution | None:
        """Return the stored distribution of ``pin``, or ``None`` if it is not installed yet, or has changed since."""
        folder = self._folder(pin, build)
        distribution = load_distribution(folder)
        if distribution is None or folder in self._verified:
            return distribution
        if not is_unchanged(folder):
            self.discarded.append(f"{pin.name} {distribution.version}")
            discard_folder(folder)
            return None
        self._verified.add(folder)
        return distribution

    def fill(
        self,
        pins: Iterable[Pin],
        build: InterpreterBuild,
        request: ResolutionRequest,
        build_limit: float = DEFAULT_BUILD_LIMIT,
        *,
        stop_at_failure: bool = False,
    ) -> None:
        """Install the missing ones of ``pins``: all wheels together, then each source on its own.

        :param build_limit: time limit of each source build, in seconds.
        :param stop_at_failure: build nothing after a source that does not build, so that one failure is reported.
        :raises Unresolvable: a source does not build on this interpreter.
        :raises Undetermined: something could not be installed for another reason (network, disk).
        """
        pins_by_line = {pin.line: pin for pin in pins}
        stored = {line: self.get(pin, build) for line, pin in pins_by_line.items()}
        refused = [pin for line, pin in pins_by_line.items() if _replaces_wheel(stored[line], pin)]
        if all(stored.values()):
            require_permitted_sources(refused, request)
            return
        with self._lock(build):
            missing = [pin for pin in pins_by_line.values() if self.get(pin, build) is None]
            wheels = sorted((pin for pin in missing if not pin.from_source), key=lambda pin: pin.index)
            refused += [pin for batch in _batches(wheels) for pin in self._install_wheels(batch, build, request)]
        require_permitted_sources(refused, request)
        replacements = [replace(pin, from_source=True) for pin in refused if self.get(pin, build) is None]
        sources = [*(pin for pin in missing if pin.from_source), *replacements]
        self._build_sources(sources, build, request, build_limit, stop_at_failure=stop_at_failure)
        for pin in refused:
            self._keep_as_wheel(pin, build)

    def _keep_as_wheel(self, pin: Pin, build: InterpreterBuild) -> None:
        """Store what was built for ``pin`` as what it is in its lock, a wheel; another lock may have it as a source."""
        with self._lock(build, pin):
            if self.get(pin, build) is not None:
                return
            target = self._folder(pin, build)
            staging = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
            built = self._folder(replace(pin, from_source=True), build)
            shutil.copytree(built, staging, symlinks=True, copy_function=link_or_copy)
            shutil.rmtree(target, ignore_errors=True)  # an entry whose entry.json is damaged
            staging.rename(target)

    def _install_wheels(self, batch: Sequence[Pin], build: InterpreterBuild, request: ResolutionRequest) -> list[Pin]:
        """Install the wheels of ``batch``; return the pins of which no wheel has a required hash.

        pip takes another file of the same version then, if one has: usually the source, whose hash is older than the
        wheels for a new interpreter.
        """
        refused: list[Pin] = []
        pins = list(batch)
        while pins:
            try:
                self._installer.install(InstallJob(pins=pins, build=build, request=request))
                break
            except HashMismatch as mismatch:
                rejected = [pin for pin in pins if pin.name == mismatch.name]
                if not rejected:
                    raise
                refused += rejected
                pins = [pin for pin in pins if pin not in rejected]
        # those that share a path with others, and whose file was overwritten
        for pin in pins if len(pins) > 1 else ():
            if self.get(pin, build) is None:
                self._installer.install(InstallJob(pins=[pin], build=build, request=request))
        return refused

    def _build_sources(
        self,
        pins: Sequence[Pin],
        build: InterpreterBuild,
        request: ResolutionRequest,
        limit: float,
        *,
        stop_at_failure: bool,
    ) -> None:
        """Build each source on its own, also after a failure, so that all failures are reported at once.

        Those that are known to fail, here or on another interpreter, come first: after a failure the others only
        complete the report, and have less time.
        """
        findings: list[Finding] = []
        unchecked: Undetermined | None = None
        for pin in sorted(pins, key=lambda pin: -self._build_failures.expectation(pin, build)):
            try:
                self._build_source(pin, build, request, limit)
            except Unresolvable as error:
                findings += error.findings
                if stop_at_failure:
                    break
                limit = min(limit, LIMIT_AFTER_FAILURE)
            except Undetermined as reason:
                unchecked = unchecked or reason
        if findings:
            raise Unresolvable(findings)
        if unchecked is not None:
            raise unchecked

    def _build_source(
        self,
        pin: Pin,
        build: InterpreterBuild,
        request: ResolutionRequest,
        limit: float,
        tree: SourceTree | None = None,
    ) -> None:
        # not under the lock of the wheels: other cells must not wait for a compiler
        with self._lock(build, pin), self._build_slots:
            if self.get(pin, build) is not None:
                return
            self._build_failures.raise_if_known(pin, build, request, limit)
            options = ["--no-binary", pin.name] if pin.version else []
            job = InstallJob(pins=[pin], build=build, request=request, options=options, limit=limit, tree=tree)
            started = clock.stopwatch()
            try:
                self._installer.install(job)
            except Unresolvable as error:
                self._build_failures.put(pin, build, error)
                raise
            except Undetermined as reason:
                if _NO_SOURCE in str(reason) and "--hash" in pin.line:  # a wheel was refused before
                    raise HashMismatch(pin.name, request) from None
                if clock.stopwatch() - started < limit:
                    self._build_failures.put_undetermined(pin, build, reason)
                    raise
                self._build_failures.put_unfinished(pin, build, limit)
                raise unfinished_build(pin, build, limit) from None

    def builds_without_compiler(self, pin: Pin, build: InterpreterBuild, limit: float) -> bool:
        """Return whether a source can also be built where there is no compiler, as one with optional extensions can.

        It is tried, so ``False`` if builds cannot be confined here, and if one has found a compiler all the same.

        :raises Undetermined: it could not be built for another reason (network, disk).
        """
        confinement = confinement_of(self._runner)
        if confinement is None:
            return False
        request, options = ResolutionRequest(lines=()), ["--no-binary", pin.name]
        job = InstallJob(pins=[pin], build=build, request=request, options=options, limit=limit)
        with self._build_slots:
            return self._installer.builds_without_compiler(job, confinement)

    def install_tree(
        self,
        source: Path,
        key: str,
        build: InterpreterBuild,
        limit: float = DEFAULT_BUILD_LIMIT,
        *,
        editable: bool = False,
    ) -> StoredDistribution:
        """Build and install the source tree ``source``, a folder in the cache; ``key`` identifies its content.

        A wheel is installed as it is. One that is ``editable`` has all files that lie beside its modules.

        :raises Unresolvable, Undetermined: as :meth:`fill`.
        """
        distribution = self.get_tree(source, key, build, editable=editable)
        if distribution is None:
            pin = self._tree_pin(source, key, editable=editable)
            if pin.is_wheel_file:
                refuse_unfit_wheel(source.name, build)
            tree = _tree_of(source, key, editable=editable)
            self._build_source(pin, build, ResolutionRequest(lines=()), limit, tree)
            distribution = self.get_tree(source, key, build, editable=editable)
        if distribution is None:
            raise Undetermined(f"{source.name} installed nothing")
        return distribution

    def get_tree(
        self, source: Path, key: str, build: InterpreterBuild, *, editable: bool = False
    ) -> StoredDistribution | None:
        """Return the stored distribution of a source tree, or ``None`` if it is not built yet."""
        return self.get(self._tree_pin(source, key, editable=editable), build)

    def _tree_pin(self, source: Path, key: str, *, editable: bool) -> Pin:
        name = f"{OF_REPOSITORY}{key}{'-editable' if editable else ''}"
        return Pin(name=name, version="", line=self._runner.path_inside(source), from_source=True)

    def _lock(self, build: InterpreterBuild, pin: Pin | None = None) -> AbstractContextManager[object]:
        """Return the lock for installing wheels on ``build``, or for building the source ``pin`` on it."""
        from filelock import FileLock  # takes 6 ms to import, which an unchanged run saves

        self._root.mkdir(parents=True, exist_ok=True)
        suffix = f"-{self._folder(pin, build).name}" if pin else ""
        return FileLock(self._root / f"{build.digest}{suffix}.lock")

    def _folder(self, pin: Pin, build: InterpreterBuild) -> Path:
        # the markers of a line do not change what is installed; a URL and hashes do
        has_own_file = " @ " in pin.line or "--hash" in pin.line or not pin.version
        requirement = pin.line if has_own_file else f"{pin.name}=={pin.version}"
        kind = "built" if pin.from_source else "wheel"  # "source" may have been built by another interpreter
        digest = hashlib.sha256(f"{requirement}\0{kind}\0{pin.index}".encode()).hexdigest()[:12]
        return self._root / f"{self._runner.name}-{build.digest}" / f"{pin.name}-{pin.version or 'tree'}-{digest}"


def _replaces_wheel(distribution: StoredDistribution | None, pin: Pin) -> bool:
    """Return whether what is stored for a wheel was built from the source, since no wheel has a required hash."""
    return distribution is not None and distribution.from_source and not pin.from_source


def _batches(pins: Sequence[Pin]) -> list[list[Pin]]:
    """Group pins by index so that no group has a project twice: an environment holds one version of each."""
    batches: list[dict[str, Pin]] = []
    for pin in pins:
        for batch in batches:
            if pin.name not in batch and next(iter(batch.values())).index == pin.index:
                batch[pin.name] = pin
                break
        else:
            batches.append({pin.name: pin})
    return [list(batch.values()) for batch in batches]
