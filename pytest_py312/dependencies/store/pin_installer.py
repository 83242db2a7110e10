"""Install distributions with uv, each job into an environment of its own, and split that into stored distributions.

Sources are built apart from everything else, where the runner can confine that.
"""

import json
import shutil
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.text import list_names
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_config import uv_folder
from pytest_py312.dependencies.store.install_failures import raise_unless_installed
from pytest_py312.dependencies.store.recorded_files import add_unpackaged, is_overwritten, move_recorded, read_record
from pytest_py312.dependencies.store.stored_distribution import (
    ENTRY,
    StoredDistribution,
    compile_modules,
    installed_content,
    installed_state,
    top_level_modules,
)
from pytest_py312.dependencies.system.built_wheels import UntrustworthyWheel, take_wheel
from pytest_py312.dependencies.system.confined_builds import SourceBuild, run_source_build
from pytest_py312.runners.git_version import describe
from pytest_py312.runners.runner import Runner, SupportsConfinement, confinement_of

NO_COMPILER = ("env", "CC=/bin/false", "CXX=/bin/false")
"""The start of a command whose builds find no compiler. Setuptools, CMake and Meson heed these variables."""
INSTALLATION_TIME_LIMIT = 1800.0
"""Time limit of an installation of wheels, in seconds."""

UvSettingsRenderer = Callable[[tuple[str, ...], InterpreterBuild], str]
"""Renderer of uv's settings file for some index options (``--index-url ...``) and an interpreter build."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceTree:
    """A copy in the cache of what a build of a source tree needs.

    ``folder`` is where the project lies in the copy: deeper only if it packs what lies beside its folder. One that is
    ``editable`` is imported from there, so its packages have files that no wheel of it has.
    """

    copy: Path
    folder: str = ""
    editable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallJob:
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


class PinInstaller:
    """Installs pins for the store. Safe for several threads.

    :param folder_of: returns where the store keeps the distribution of a pin.
    """

    def __init__(
        self,
        *,
        cache: Path,
        runner: Runner,
        uv_settings: UvSettingsRenderer,
        folder_of: Callable[[Pin, InterpreterBuild], Path],
    ) -> None:
        self._cache = cache
        self._builds = cache / "built"
        self._runner = runner
        self._uv_settings = uv_settings
        self._folder_of = folder_of

    def builds_without_compiler(self, job: InstallJob, confinement: SupportsConfinement) -> bool:
        """Return whether a source can also be built where there is no compiler.

        :raises Undetermined: it could not be built for another reason (network, disk).
        """
        try:
            with uv_folder(self._cache, self._settings_of(job)) as work:
                self._build_confined(job, confinement, work, NO_COMPILER)
                return not any(map(_has_extension, (work / "wheels").glob("*.whl")))
        except Unresolvable:
            return False

    def _settings_of(self, job: InstallJob) -> str:
        return self._uv_settings(tuple(job.pins[0].index.splitlines()), job.build)

    def install(self, job: InstallJob) -> list[StoredDistribution]:
        """Install the pins of ``job`` into an environment of their own, and move them from there into the store."""
        with PROGRESS.activity(*_describe_installation(job)), uv_folder(self._cache, self._settings_of(job)) as work:
            return self._install_in(work, job)

    def _install_in(self, work: Path, job: InstallJob) -> list[StoredDistribution]:
        pins, build, options, tree = job.pins, job.build, job.options, job.tree
        inside = self._runner.path_inside
        environment, requirements = work / "environment", work / "requirements.txt"
        is_built = any(pin.from_source and not pin.is_wheel_file for pin in pins)
        confinement = confinement_of(self._runner) if is_built else None
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
        return self._split_by_record(environment, job)

    def _build_confined(
        self, job: InstallJob, confinement: SupportsConfinement, work: Path, variables: Sequence[str] = ()
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

    def _split_by_record(self, environment: Path, job: InstallJob) -> list[StoredDistribution]:
        """Move the files of an environment into one stored distribution each, as listed in their RECORD files."""
        pins, build, tree = job.pins, job.build, job.tree
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
            target = self._folder_of(pin, build)
            staging = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
            move_recorded(records[info], site, environment, staging, shared=shared)
            if tree is not None and tree.editable:
                add_unpackaged(staging / "lib", tree.copy / tree.folder)
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


def _describe_installation(job: InstallJob) -> tuple[str, str]:
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
