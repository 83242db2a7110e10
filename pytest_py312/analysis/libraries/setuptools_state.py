"""What an environment has of setuptools, pkg_resources and distutils, now and before. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.findings import Interpreter

WITH_SETUPTOOLS = frozenset({"distutils", "pkg_resources", "setuptools"})
"""Top-level modules that are there or not as the environment has setuptools or not (PY209, PY243)."""
WITHOUT_DISTUTILS = Interpreter(3, 12)
BRINGS_DISTUTILS = Version("60")
WITHOUT_PKG_RESOURCES = Version("82")

_USED_AT_RUN_TIME = frozenset(
    {"dir_util", "file_util", "log", "spawn", "sysconfig", "text_file", "util", "version", "versionpredicate"}
)


def is_for_building(module: str) -> bool:
    """Whether a module of setuptools or distutils is one with which projects are built: those that others use when
    they run are few."""
    top, _, rest = module.partition(".")
    return top == "setuptools" or (top == "distutils" and rest.partition(".")[0] not in _USED_AT_RUN_TIME)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lacking:
    """Why a module is not there, and what would bring it back. ``works_before``: the baseline has it."""

    what: str
    remedy: str
    works_before: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Packaging:
    """``here`` and ``before`` are what is installed on the target and the baseline: normalised name to version."""

    target: Interpreter
    baseline: Interpreter
    here: Mapping[str, str]
    before: Mapping[str, str]

    def lacking(self, top: str) -> Lacking | None:
        """Why the target's environment has no module ``top``; ``None`` where it has it."""
        if _has(top, self.target, self.here):
            return None
        setuptools = self.here.get("setuptools")
        wanted = "setuptools<82" if top == "pkg_resources" else "setuptools"
        if top == "pkg_resources" and setuptools:
            what = f"setuptools {setuptools} has no pkg_resources any more"
        else:
            what = f"{top} is not there, and nothing requires setuptools"
        return Lacking(what=what, remedy=f"require {wanted}", works_before=_has(top, self.baseline, self.before))


def _has(top: str, interpreter: Interpreter, versions: Mapping[str, str]) -> bool:
    try:
        setuptools = Version(versions["setuptools"])
    except (KeyError, InvalidVersion):
        return top == "distutils" and interpreter < WITHOUT_DISTUTILS
    if top == "pkg_resources":
        return setuptools < WITHOUT_PKG_RESOURCES
    return top == "setuptools" or interpreter < WITHOUT_DISTUTILS or setuptools >= BRINGS_DISTUTILS
