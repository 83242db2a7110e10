"""Determine whether an environment has setuptools, pkg_resources and distutils, on the target and on the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from pytest_py312.analysis.judging.packaging import SETUPTOOLS_WITH_DISTUTILS, SETUPTOOLS_WITHOUT_PKG_RESOURCES
from pytest_py312.core.model.findings import Interpreter

DISTUTILS_REMOVED_IN = Interpreter(3, 12)

_USED_AT_RUN_TIME = frozenset(
    {"dir_util", "file_util", "log", "spawn", "sysconfig", "text_file", "util", "version", "versionpredicate"}
)


def is_for_building(module: str) -> bool:
    """Return whether a module of setuptools or distutils is used to build projects, not at run time."""
    top, _, rest = module.partition(".")
    return top == "setuptools" or (top == "distutils" and rest.partition(".")[0] not in _USED_AT_RUN_TIME)


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingModule:
    """Why a module is missing, and what to require. ``works_on_baseline`` is whether the baseline has it."""

    message: str
    remedy: str
    works_on_baseline: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SetuptoolsState:
    """The installed distributions (normalised name to version) of the target and the baseline."""

    target: Interpreter
    baseline: Interpreter
    target_versions: Mapping[str, str]
    baseline_versions: Mapping[str, str]
    without_pth: bool = False
    """Whether no .pth file runs where the service does, by which setuptools puts its distutils in place."""
    run_time: frozenset[str] | None = None
    """The distributions that are deployed; ``None``: all. The others are used in tests, where .pth files run."""

    def why_missing(self, top: str, importer: str) -> MissingModule | None:
        """Return why the target's environment lacks the module ``top``; ``None`` if it has it.

        :param importer: the normalised name of the distribution that imports it.
        """
        without_pth = self.without_pth and (self.run_time is None or importer in self.run_time)
        if _provides(top, self.target, self.target_versions, without_pth=without_pth):
            return None
        setuptools = self.target_versions.get("setuptools")
        requirement = "setuptools<82" if top == "pkg_resources" else "setuptools"
        if top == "pkg_resources" and setuptools:
            message = f"setuptools {setuptools} no longer includes pkg_resources"
        else:
            message = f"'{top}' is missing, and nothing requires setuptools"
        remedy = f"require {requirement}"
        if top == "distutils" and without_pth:
            message = "'distutils' is missing: setuptools provides it by a .pth file, which does not run as deployed"
            remedy = "require a version that does not need distutils"
        return MissingModule(
            message=message,
            remedy=remedy,
            works_on_baseline=_provides(top, self.baseline, self.baseline_versions, without_pth=without_pth),
        )


def _provides(top: str, interpreter: Interpreter, versions: Mapping[str, str], *, without_pth: bool = False) -> bool:
    if top == "distutils" and without_pth:
        return interpreter < DISTUTILS_REMOVED_IN
    try:
        setuptools = Version(versions["setuptools"])
    except (KeyError, InvalidVersion):
        return top == "distutils" and interpreter < DISTUTILS_REMOVED_IN
    if top == "pkg_resources":
        return setuptools < SETUPTOOLS_WITHOUT_PKG_RESOURCES
    return top == "setuptools" or interpreter < DISTUTILS_REMOVED_IN or setuptools >= SETUPTOOLS_WITH_DISTUTILS
