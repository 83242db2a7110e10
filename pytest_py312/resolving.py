"""How the sets of a plan are resolved: by which resolver, and whether anything but the cache is asked."""

from dataclasses import dataclass, fields

from pytest_py312.model import Plan

RESOLVERS = ("uv", "pip-tools")
"""What ``--py312-resolver`` and the plan's key ``resolver`` may be; the first is the default."""


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


def plan_with(plan: Plan, *, resolver: str = "", offline: bool = False) -> Plan:
    """``plan``, resolved by ``resolver`` (empty: as it says itself), from nothing but the cache where ``offline``."""
    chosen = resolver or resolver_of(plan)
    if chosen == resolver_of(plan) and offline == is_offline(plan):
        return plan
    values = {found.name: getattr(plan, found.name) for found in fields(Plan)}
    return ResolvingPlan(**values, resolver=chosen, offline=offline or is_offline(plan))
