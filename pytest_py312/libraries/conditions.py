"""How sure it is that an import runs, from what stands round it. Nobody is asked: the version alone decides."""

from collections.abc import Sequence

from pytest_py312.libraries.digest import How
from pytest_py312.source.facts import Condition, Guard, ModuleImport
from pytest_py312.source.reach import version_truth


def how_run(one: ModuleImport, guards: Sequence[Guard], version: tuple[int, int]) -> int | None:
    """How an import runs on ``version`` of Python (:class:`How`); ``None`` where it does not."""
    how = How.WHEN_CALLED if one.place == "function" else How.AT_IMPORT
    number = one.guard
    while number > 0:
        guard = guards[number]
        holds = truth(guard.condition, version) if guard.condition else True
        if holds is False:
            return None
        if holds is None or guard.caught:
            how = min(how, How.PERHAPS)
        number = guard.parent
    return how


def truth(condition: Condition, version: tuple[int, int]) -> bool | None:
    """Whether a condition holds on ``version``; ``None`` where that hangs on more than the version."""
    kind = condition[0]
    if kind == "version":
        return version_truth(version, condition[1], condition[2], condition[3])
    if kind == "not":
        inner = truth(condition[1], version)
        return None if inner is None else not inner
    if kind in ("and", "or"):
        parts = [truth(part, version) for part in condition[1:]]
        decisive = kind == "or"
        return decisive if decisive in parts else None if None in parts else not decisive
    return False if kind == "false" else None
