"""Resolve without the network: from earlier locks and uv's own cache.

If uv resolves a set from its cache, the set resolves. If not, nothing is proven: a project that is not in the cache
looks like one that does not exist. So a failure is never a verdict here. Blockers are reported only from cached index
pages (dependencies/diagnosis/package_index.py) and findings of earlier runs that are still valid.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.measurements import ImagePackages, InterpreterBuild
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.resolution.lock import (
    PROJECT_NAME,
    DependencyLock,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
)
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.system.confined_builds import with_offline_option
from pytest_py312.runners.runner import (
    CellUnavailable,
    ConfinedCommand,
    ProbeJob,
    ProbeResult,
    Runner,
    SupportsSystemPackages,
    confinement_of,
)


class OfflineRunner:
    """A runner around another one that keeps uv from using the network."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.name = runner.name

    def describe(self) -> str:
        return self._runner.describe()

    def find_interpreter(self, interpreter: Interpreter) -> InterpreterBuild:
        return self._runner.find_interpreter(interpreter)

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        return self._runner.run_tool(build, _offline_command(argv), stdin=stdin, time_limit=time_limit)

    @property
    def confines(self) -> bool:
        return confinement_of(self._runner) is not None

    def run_confined(self, build: InterpreterBuild, command: ConfinedCommand) -> CommandResult:
        confined = confinement_of(self._runner)
        assert confined is not None
        return confined.run_confined(build, replace(command, fetches=False))

    def path_inside(self, path: Path) -> str:
        return self._runner.path_inside(path)

    def run(self, job: ProbeJob) -> ProbeResult:
        return self._runner.run(job)

    def close(self) -> None:
        self._runner.close()


class OfflineImageRunner(OfflineRunner):
    """As :class:`OfflineRunner`, for a runner with images: those that exist are used, and no packages are added."""

    def __init__(self, runner: Runner, images: SupportsSystemPackages) -> None:
        super().__init__(runner)
        self._images = images

    def find_with_packages(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild | None:
        return self._images.find_with_packages(build, packages)

    def add_packages(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild:
        existing = self.find_with_packages(build, packages)
        if existing is None:
            raise CellUnavailable("offline, and no image of an earlier run has them")
        return existing


def offline_runner(runner: Runner) -> Runner:
    """Return a runner around ``runner`` that keeps uv and apt from using the network."""
    return OfflineImageRunner(runner, runner) if isinstance(runner, SupportsSystemPackages) else OfflineRunner(runner)


def _offline_command(argv: Sequence[str]) -> list[str]:
    """Return the command line of a tool; uv's gets ``--offline``."""
    words = with_offline_option(argv)
    if words != list(argv) and "--refresh" in words:
        # offline nothing can be refreshed: an empty cache works the same for local files, and fails for the rest
        position = words.index("--refresh")
        words[position : position + 1] = ["--cache-dir", f"{words[words.index('--directory') + 1]}/uv"]
    return words


class OfflineResolver(UvResolver):
    """uv without the network. Locks of earlier runs are valid whatever their age."""

    offline = True

    def describe(self) -> str:
        return f"{super().describe()}, offline"

    def cached_lock(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock | None:
        return self._locks.get(self.cache_key(request, build), request, any_age=True)

    def resolve(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        """Return a lock. A new one is not stored: with the network, uv might have selected newer versions.

        :raises Undetermined: the set does not resolve from the cache. Never ``Unresolvable``.
        """
        return self.cached_lock(request, build) or self._resolve_from_cache(request, build, ())

    def explain(
        self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
    ) -> Finding | None:
        """Return ``None`` if ``request`` resolves.

        :raises Undetermined: it does not resolve from the cache.
        """
        self._resolve_from_cache(request, build, from_source)
        return None

    def _resolve_from_cache(
        self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str]
    ) -> DependencyLock:
        try:
            return self._resolve_uncached(request, build, from_source, offline=True)
        except Unresolvable as unresolvable:
            raise _undetermined_offline(unresolvable.findings[0]) from None
        except Undetermined as reason:
            raise Undetermined(_shorten_reason(str(reason)), reason.names) from None


def _undetermined_offline(finding: Finding) -> Undetermined:
    missing = re.findall(rf"{PROJECT_NAME}\S* was not found in the cache", finding.message)
    if missing:
        return Undetermined(f"offline, and {' and '.join(missing)} is not in the cache", finding.names)
    about = ", ".join(finding.names) or "the set"
    return Undetermined(f"offline, and the cache does not suffice to resolve {about}: {finding.message}", finding.names)


def _shorten_reason(reason: str) -> str:
    file = re.search(r"wasn't found in the cache[^:]*:\s+`?\S*/([^\s/`]+)", reason)
    return f"offline, and {file[1]} is not in the cache" if file else f"offline: {reason}"
