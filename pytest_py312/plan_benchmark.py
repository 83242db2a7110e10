"""The key ``benchmark`` of a service in the plan -> :class:`~pytest_py312.model.BenchmarkSettings`."""

from pytest_py312.errors import perhaps
from pytest_py312.model import BenchmarkSettings
from pytest_py312.plan_values import Node, duration

KEYS = ("threshold", "thresholds", "budget", "unlike-builds", "accept-inconclusive")


def benchmark_settings(node: Node) -> BenchmarkSettings:
    """A table of :data:`KEYS`; what is not in it has its default."""
    members = node.members("{ threshold = 0.2 }")
    for name, member in members.items():
        if name not in KEYS:
            hint = perhaps(name.replace("_", "-"), list(KEYS))
            raise member.error(f"`benchmark` has no such key{hint}; its keys are {', '.join(KEYS)}")
    base = BenchmarkSettings()
    thresholds = members["thresholds"].members('{ "tests/test_speed.py::*" = 0.2 }') if "thresholds" in members else {}
    return BenchmarkSettings(
        threshold=share(members["threshold"]) if "threshold" in members else base.threshold,
        thresholds=tuple((pattern, share(member)) for pattern, member in thresholds.items()),
        budget=duration(members["budget"]) if "budget" in members else base.budget,
        unlike_builds=members["unlike-builds"].flag() if "unlike-builds" in members else base.unlike_builds,
        accept_inconclusive=(
            members["accept-inconclusive"].flag() if "accept-inconclusive" in members else base.accept_inconclusive
        ),
    )


def share(node: Node) -> float:
    """A relative change, more than nothing and at most tenfold."""
    value = node.value
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise node.unexpected("a share", "0.1 (10 %)")
    if not 0 < value <= 10:
        hint = f"; for {value} % write {value / 100}" if 1 < value <= 100 else ""
        raise node.error(f"expected a share of more than 0 and at most 10; found {value}{hint}")
    return float(value)
