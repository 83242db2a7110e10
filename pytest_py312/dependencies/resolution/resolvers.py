"""The resolvers to choose from: uv, pip-tools, and either of them from nothing but the cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, is_offline, resolver_of
from pytest_py312.dependencies.resolution.lock import Lock, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.runners.runner import Runner


class Engine(Protocol):
    """Who says whether a set of requirements can be had on an interpreter. Safe for threads and several processes."""

    @property
    def offline(self) -> bool:
        """Whether nothing but the cache is asked."""
        ...

    @property
    def uv(self) -> Resolver:
        """Who tells all that blocks a set that was refused, and tries repairs out: uv, in a fraction of the time."""
        ...

    def describe(self) -> str: ...

    def key(self, wanted: Wanted, build: InterpreterBuild) -> str:
        """What a lock of this engine's depends on, in one digest."""
        ...

    def known(self, wanted: Wanted, build: InterpreterBuild) -> Lock | None:
        """The lock of an earlier run that still holds, without asking anyone."""
        ...

    def resolve(self, wanted: Wanted, build: InterpreterBuild) -> Lock:
        """:raises Blocked, Unchecked: no set of versions exists, or it could not be found out."""
        ...

    def refusal(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
        """Why ``wanted`` cannot be had, or ``None`` when it can. Keeps nothing.

        :raises Unchecked: it could not be found out.
        """
        ...


def engine_in_words(plan: Plan, uv_version: str) -> str:
    """For the header: who resolves, and from what."""
    by_pip = ""
    if resolver_of(plan) == "pip-tools":
        from pytest_py312.dependencies.resolution.pip_tools_resolver import PIP_TOOLS

        by_pip = f"pip-tools {PIP_TOOLS} under each interpreter, with "
    return f"{by_pip}uv {uv_version}{', offline' if is_offline(plan) else ''}"


def engine_of(plan: Plan, uv: Resolver, *, cache: Path, runner: Runner) -> Engine:
    """The engine that ``plan`` asks for, on the ground of ``uv``."""
    offline = is_offline(plan)
    if offline:
        from pytest_py312.dependencies.resolution.offline import OfflineResolver

        uv = OfflineResolver(cache=cache, runner=runner, uv_version=uv.uv_version, lock_hours=plan.lock_hours)
    if resolver_of(plan) == "pip-tools":
        from pytest_py312.dependencies.resolution.pip_tools_resolver import PipTools

        return PipTools(uv=uv, cache=cache, runner=runner, lock_hours=plan.lock_hours, offline=offline)
    return uv
