"""The resolvers to choose from: uv, pip-tools, and either of them from nothing but the cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_py312.model import Finding, InterpreterBuild, Plan
from pytest_py312.offline import OfflineResolver
from pytest_py312.pip_tools import PipTools
from pytest_py312.resolution import Lock, Resolver, Wanted
from pytest_py312.runners.base import Runner

RESOLVERS = ("uv", "pip-tools")
"""What ``--py312-resolver`` and the plan's key ``resolver`` may be; the first is the default."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvingPlan(Plan):
    """A plan that says how its sets are resolved as well. ``resolver`` is one of :data:`RESOLVERS`."""

    resolver: str = RESOLVERS[0]
    offline: bool = False


def resolver_of(plan: Plan) -> str:
    """The resolver that ``plan`` asks for."""
    return plan.resolver if isinstance(plan, ResolvingPlan) else RESOLVERS[0]


def is_offline(plan: Plan) -> bool:
    return plan.offline if isinstance(plan, ResolvingPlan) else False


def engine_of(plan: Plan, uv: Resolver, *, cache: Path, runner: Runner) -> Engine:
    """The engine that ``plan`` asks for, on the ground of ``uv``."""
    offline = is_offline(plan)
    if offline:
        uv = OfflineResolver(cache=cache, runner=runner, uv_version=uv.uv_version, lock_hours=plan.lock_hours)
    if resolver_of(plan) == "pip-tools":
        return PipTools(uv=uv, cache=cache, runner=runner, lock_hours=plan.lock_hours, offline=offline)
    return uv
