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
import json
import shutil
import threading
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from pytest_py312.core import clock
from pytest_py312.core.files import discard_folder
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import DEFAULT_BUILD_LIMIT
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.text import list_names
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.store.install_failures import (
    BuildFailureCache,
    HashMismatch,
    raise_unless_installed,
    refuse_unfit_wheel,
    require_permitted_sources,
    unfinished_build,
)
from pytest_py312.dependencies.store.recorded_files import is_overwritten, link_or_copy, move_recorded, read_record
from pytest_py312.dependencies.store.stored_distribution import (
    ENTRY,
    OF_REPOSITORY,
    StoredDistribution,
    compile_modules,
    installed_content,
    installed_state,
    is_unchanged,
    load_distribution,
    top_level_modules,
)
from pytest_py312.dependencies.system.built_wheels import UntrustworthyWheel, take_wheel
from pytest_py312.dependencies.system.confined_builds import SourceBuild, run_source_build
from pytest_py312.runners.git_version import describe
from pytest_py312.runners.runner import Runner, SupportsConfinement, confinement_of

LIMIT_AFTER_FAILURE = 90.0
"""Time limit of the build of one source of a set that is blocked by another one, in seconds."""

NO_COMPILER = ("env", "CC=/bin/false", "CXX=/bin/false")
"""The start of a command whose builds find no compiler. Setuptools, CMake and Meson heed these variables."""
INSTALLATION_TIME_LIMIT = 1800.0
"""Time limit of an installation of wheels, in seconds."""


UvSettingsRenderer = Callable[[tuple[str, ...], InterpreterBuild], str]
"""Renderer of uv's settings file for some index options (``--index-url ...``) and an interpreter build."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceTree:
    """A copy in the cache of what a build of a source tree needs.

    ``folder`` is where the project lies in the copy: deeper only if it packs what lies beside its folder.
    """

    copy: Path
    folder: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """What uv installs at once: wheels from the same index, or one source.

    ``tree`` is the source of the only pin. A folder is built in a copy: builds write into their source, and those of
    several interpreters run in parallel.
    """

    pins: Sequence[Pin]
    build: InterpreterBuild
    request: ResolutionRequest
    options: Sequence[str] = ()
    limit: float = INSTALLATION_TIME_LIMIT
    tree: SourceTree | None = None


def _tree_of(source: Path, key: str) -> SourceTree:
    """Return the tree of a project at ``source`` in a copy whose folder is named ``key``, or whose file lies in it."""
    copy = next((path for path in source.parents if path.name == key), None) if source.is_dir() else None
    return SourceTree(copy=copy, folder=source.relative_to(copy).as_posix()) if copy else SourceTree(copy=source)


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
        self._temporary = cache / "tmp"
        self._builds = cache / "built"
        self._runner = runner
        self._settings = uv_settings
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
                self._install(_Job(pins=pins, build=build, request=request))
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
                self._install(_Job(pins=[pin], build=build, request=request))
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
            job = _Job(pins=[pin], build=build, request=request, options=options, limit=limit, tree=tree)
            started = clock.stopwatch()
            try:
                self._install(job)
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
        work = self._temporary / uuid.uuid4().hex
        work.mkdir(parents=True)
        try:
            (work / "uv.toml").write_text(self._settings(tuple(pin.index.splitlines()), build), encoding="utf-8")
            request, options = ResolutionRequest(lines=()), ["--no-binary", pin.name]
            job = _Job(pins=[pin], build=build, request=request, options=options, limit=limit)
            with self._build_slots:
                self._build_confined(job, confinement, work, NO_COMPILER)
            return not any(map(_has_extension, (work / "wheels").glob("*.whl")))
        except Unresolvable:
            return False
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def install_tree(
        self, source: Path, key: str, build: InterpreterBuild, limit: float = DEFAULT_BUILD_LIMIT
    ) -> StoredDistribution:
        """Build and install the source tree ``source``, a folder in the cache; ``key`` identifies its content.

        A wheel is installed as it is.

        :raises Unresolvable, Undetermined: as :meth:`fill`.
        """
        distribution = self.get_tree(source, key, build)
        if distribution is None:
            pin = self._tree_pin(source, key)
            if pin.is_wheel_file:
                refuse_unfit_wheel(source.name, build)
            self._build_source(pin, build, ResolutionRequest(lines=()), limit, tree=_tree_of(source, key))
            distribution = self.get_tree(source, key, build)
        if distribution is None:
            raise Undetermined(f"{source.name} installed nothing")
        return distribution

    def get_tree(self, source: Path, key: str, build: InterpreterBuild) -> StoredDistribution | None:
        """Return the stored distribution of a source tree, or ``None`` if it is not built yet."""
        return self.get(self._tree_pin(source, key), build)

    def _tree_pin(self, source: Path, key: str) -> Pin:
        return Pin(name=f"{OF_REPOSITORY}{key}", version="", line=self._runner.path_inside(source), from_source=True)

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

    def _install(self, job: _Job) -> list[StoredDistribution]:
        """Install the pins of ``job`` into an environment of their own, and move them from there into the store."""
        with PROGRESS.activity(*_describe_installation(job)):
            return self._install_in(self._temporary / uuid.uuid4().hex, job)

    def _install_in(self, work: Path, job: _Job) -> list[StoredDistribution]:
        pins, build, options, tree = job.pins, job.build, job.options, job.tree
        work.mkdir(parents=True)
        # uv reads the nearest settings file above its folder: without this one, that of a parent of the cache
        (work / "uv.toml").write_text(self._settings(tuple(pins[0].index.splitlines()), build), encoding="utf-8")
        inside = self._runner.path_inside
        environment, requirements = work / "environment", work / "requirements.txt"
        is_built = any(pin.from_source and not pin.is_wheel_file for pin in pins)
        confinement = confinement_of(self._runner) if is_built else None
        try:
            lines = [pins[0].index, *(pin.line for pin in pins)]
            if confinement is not None:
                lines = self._build_confined(job, confinement, work)
                options, tree = ["--no-index", "--no-cache", "--only-binary", ":all:"], None
            elif tree is not None and tree.copy.is_dir():
                shutil.copytree(tree.copy, work / tree.copy.name, symlinks=True)
                lines = [inside(work / tree.copy.name / tree.folder)]
            requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
            venv_result = self._runner.run_tool(
                build, ["{uv}", "venv", "--quiet", "--no-project", "--python", "{python}", inside(environment)]
            )
            raise_unless_installed(venv_result, job.request, build)
            argv = [*_version_variables(tree), *_install_command(pins[0], inside(work))]
            argv += ["--link-mode", "copy", "--python", inside(environment / "bin" / "python"), *options]
            argv += [] if confinement is not None else self._cache_options(pins, build, work)
            install_result = self._runner.run_tool(
                build, [*argv, "--requirements", inside(requirements)], time_limit=job.limit
            )
            raise_unless_installed(install_result, job.request, build)
            preinstalled = {seed.partition("==")[0] for seed in build.preinstalled}
            if any(pin.name not in preinstalled for pin in pins):
                compile_modules(environment / "lib", preinstalled, build, self._runner)
            return self._split_by_record(environment, pins, build)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _build_confined(
        self, job: _Job, confinement: SupportsConfinement, work: Path, variables: Sequence[str] = ()
    ) -> list[str]:
        """Build a source apart from everything else; return the lines that install its wheel, which is checked.

        :raises Unresolvable, Undetermined: as :meth:`fill`.
        """
        inside = self._runner.path_inside
        pin, build, tree = job.pins[0], job.build, job.tree
        folder, wheels = work / "build", work / "wheels"
        for made in (folder, wheels):
            made.mkdir()
        shutil.copy(work / "uv.toml", folder)
        scratch = folder / "scratch"
        is_folder = tree is not None and tree.copy.is_dir()
        line = inside(scratch / tree.copy.name / tree.folder) if tree is not None and is_folder else pin.line
        (folder / "requirements.txt").write_text(f"{pin.index}\n{line}\n", encoding="utf-8")
        readable = (tree.copy,) if tree is not None and not is_folder else ()
        argv = [*(variables or _version_variables(tree)), *_install_command(pin, inside(folder))]
        argv += ["--python", "{python}", *job.options]
        argv += ["--target", inside(scratch / "target"), "--requirements", inside(folder / "requirements.txt")]
        source = SourceBuild(
            folder=folder,
            argv=tuple(argv),
            time_limit=job.limit,
            options=pin.index.splitlines(),
            readable=readable,
            copied=tree.copy if tree is not None and is_folder else None,
        )
        raise_unless_installed(run_source_build(source, build, self._runner, confinement), job.request, build)
        try:
            wheel = take_wheel(scratch, pin.name if pin.version else "", pin.version, wheels)
        except UntrustworthyWheel as error:
            names = (pin.name,) if pin.version else ()
            raise Undetermined(f"the build of {pin.line} on {build.interpreter} {error}", names=names) from error
        name, version = parse_wheel_filename(wheel.name)[:2]
        return [f"--find-links {inside(wheels)}", f"{name}=={version}"]

    def _cache_options(self, pins: Sequence[Pin], build: InterpreterBuild, work: Path) -> list[str]:
        """Return the options that keep uv from installing a wheel that another interpreter has built.

        A universal wheel fits every interpreter, but says nothing about a build on any other than its own. So builds
        have a cache for each interpreter build, and a project with a wheel in the index is installed from that wheel.
        """
        # of a file in a local folder, uv keeps the first content that it has seen under that name
        in_local_folder = any("--find-links /" in pin.index for pin in pins)
        if any(pin.from_source for pin in pins):
            folder = work / "uv" if in_local_folder else self._builds / f"{self._runner.name}-{build.digest}"
            return ["--cache-dir", self._runner.path_inside(folder)]
        return ["--only-binary", ":all:", *(["--refresh"] if in_local_folder else [])]

    def _split_by_record(
        self, environment: Path, pins: Sequence[Pin], build: InterpreterBuild
    ) -> list[StoredDistribution]:
        """Move the files of an environment into one stored distribution each, as listed in their RECORD files."""
        site = environment / "lib" / f"python{build.interpreter}" / "site-packages"
        by_name = {pin.name: pin for pin in pins}
        distributions = []
        infos = sorted(site.glob("*.dist-info"))
        records = {info: read_record(info) for info in infos}
        owners = Counter(name for record in records.values() for name in record)
        shared = frozenset(name for name, count in owners.items() if count > 1)
        overwritten = {info for info, record in records.items() if is_overwritten(record, shared, site)}
        for info in infos:
            if info in overwritten and len(pins) > 1:
                continue
            metadata = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8", errors="replace"))
            name = canonicalize_name(str(metadata["Name"]))
            pin = by_name.get(name) or (pins[0] if len(pins) == 1 else None)
            if pin is None:
                continue
            target = self._folder(pin, build)
            staging = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
            move_recorded(records[info], site, environment, staging, shared=shared)
            distribution = StoredDistribution(
                name=name,
                version=str(metadata["Version"]),
                folder=target,
                modules=top_level_modules(staging / "lib"),
                requires_python=str(metadata["Requires-Python"] or ""),
                requires=tuple(str(line) for line in metadata.get_all("Requires-Dist") or ()),
                from_source=pin.from_source and not pin.is_wheel_file,
            )
            facts = asdict(distribution) | {"folder": "", "prefix": self._runner.path_inside(environment)}
            facts |= {
                "installed_state": installed_state(staging),
                "installed_content": installed_content(staging),
            }
            (staging / ENTRY).write_text(json.dumps(facts), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)  # an entry whose entry.json is damaged
            staging.rename(target)
            distributions.append(distribution)
        if not distributions:
            raise Undetermined(f"{', '.join(pin.line for pin in pins)} installed nothing")
        return distributions


def _describe_installation(job: _Job) -> tuple[str, str]:
    """Return what is done, and with what: ``installing``, ``numpy 2.1, torch 2.5 and 41 more for 3.12``."""
    if job.tree is not None:
        return "building", ""  # what the activity around it is about
    names = [f"{pin.name} {pin.version}".strip() for pin in job.pins]
    is_built = any(pin.from_source for pin in job.pins)
    return "building" if is_built else "installing", f"{list_names(names, 2)} for {job.build.interpreter}"


def _install_command(pin: Pin, folder: str) -> list[str]:
    """Return the beginning of uv's command that installs from the index of ``pin``, without dependencies."""
    argv = ["{uv}", "pip", "install", "--quiet", "--no-deps", "--color", "never", "--directory", folder]
    # any index may have the version that was chosen
    return argv + (["--index-strategy", "unsafe-best-match"] if "--extra-index-url" in pin.index else [])


def _has_extension(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        return any(name.endswith((".so", ".pyd")) for name in archive.namelist())


def _version_variables(tree: SourceTree | None) -> list[str]:
    """Return the start of a command that gives a build the version of its source's repository; empty without one."""
    version = describe(tree.copy) if tree is not None and (tree.copy / ".git").is_dir() else None
    return ["env", *(f"{name}={value}" for name, value in version.build_variables().items())] if version else []


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
