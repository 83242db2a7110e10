"""The ``Resolver`` protocol, and the choice of its implementation: uv or pip-tools, each online or offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.resolution.lock import DependencyLock, ResolutionRequest
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.runners.runner import Runner


class Resolver(Protocol):
    """Decision whether requirements resolve on an interpreter. Safe for threads and several processes."""

    @property
    def offline(self) -> bool:
        """Whether only the cache is used."""
        ...

    @property
    def diagnoser(self) -> UvResolver:
        """The resolver that explains unresolvable sets and tests repairs: always uv, as it is much faster."""
        ...

    def describe(self) -> str:
        """Return name and version of the resolver, for the report's header."""
        ...

    def cache_key(self, request: ResolutionRequest, build: InterpreterBuild) -> str:
        """Return a digest of everything that a lock of this resolver depends on."""
        ...

    def cached_lock(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock | None:
        """Return the still valid lock of an earlier run, without running the resolver."""
        ...

    def resolve(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        """Return the lock of ``request``.

        :raises Unresolvable: no set of versions exists.
        :raises Undetermined: the resolver or the index did not answer.
        """
        ...

    def explain(
        self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
    ) -> Finding | None:
        """Return why ``request`` is unresolvable, or ``None`` if it resolves. Stores no lock.

        :raises Undetermined: the resolver or the index did not answer.
        """
        ...


def resolver_description(plan: Plan, uv_version: str) -> str:
    """Return the name of the planned resolver, for the report's header."""
    pip_tools = ""
    if plan.resolver == "pip-tools":
        from pytest_py312.dependencies.resolution.pip_tools_resolver import PIP_TOOLS_VERSION

        pip_tools = f"pip-tools {PIP_TOOLS_VERSION} under each interpreter, with "
    return f"{pip_tools}uv {uv_version}{', offline' if plan.offline else ''}"


def make_resolver(plan: Plan, uv: UvResolver, *, cache: Path, runner: Runner) -> Resolver:
    """Return the resolver of ``plan``; ``uv`` is its base, also for pip-tools."""
    offline = plan.offline
    if offline:
        from pytest_py312.dependencies.resolution.offline import OfflineResolver

        uv = OfflineResolver(cache=cache, runner=runner, uv_version=uv.uv_version, lock_hours=plan.lock_hours)
    if plan.resolver == "pip-tools":
        from pytest_py312.dependencies.resolution.pip_tools_resolver import PipToolsResolver

        return PipToolsResolver(uv=uv, cache=cache, runner=runner, lock_hours=plan.lock_hours, offline=offline)
    return uv
