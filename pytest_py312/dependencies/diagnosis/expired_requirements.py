"""Find the marker of a pin that only older Pythons need, such as a backport that pip-compile wrote for them. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Interpreter

_ONLY_VERSION = re.compile(r"""python_version\s*<=?\s*["'][0-9.]+["']""")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiredRequirement:
    """A requirement that applies on the baseline only: the ``marker`` that says so, and who has it."""

    marker: str
    requirers: tuple[str, ...]


def expired_requirement(
    name: str, requires: Iterable[tuple[str, str]], baseline: Interpreter, target: Interpreter
) -> ExpiredRequirement | None:
    """Return the marker with which others require the project ``name``, if none of them needs it on the target.

    :param requires: pairs of an installed project and one of its requirements, as installed on the baseline.
    """
    markers: dict[str, list[str]] = {}
    for requirer, line in requires:
        try:
            requirement = Requirement(line)
            if canonicalize_name(requirement.name) != name or not _applies(requirement, baseline):
                continue
            if _applies(requirement, target):
                return None
        except (InvalidRequirement, UndefinedEnvironmentName):
            return None
        markers.setdefault(str(requirement.marker), []).append(requirer)
    # the marker that holds on the newest Python covers the others
    versions = {marker: version for marker in markers if (version := _upper_bound(marker)) is not None}
    if not markers or len(versions) < len(markers):
        return None
    marker = max(versions, key=lambda item: versions[item])
    return ExpiredRequirement(
        marker=marker, requirers=tuple(sorted({requirer for names in markers.values() for requirer in names}))
    )


def _applies(requirement: Requirement, interpreter: Interpreter) -> bool:
    variables = {"python_version": str(interpreter), "python_full_version": f"{interpreter}.0", "extra": ""}
    return requirement.marker is None or requirement.marker.evaluate(variables)


def _upper_bound(marker: str) -> tuple[tuple[int, ...], bool] | None:
    """Return the version of ``python_version < "3.9"``, and whether it is included; ``None`` for other markers."""
    if not _ONLY_VERSION.fullmatch(marker):
        return None
    version = re.search(r"[0-9][0-9.]*", marker.partition("<")[2])
    return (tuple(int(part) for part in version[0].split(".") if part), "<=" in marker) if version else None
