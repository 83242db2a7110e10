"""Findings about ``distutils``, ``setuptools`` and ``pkg_resources``, which depend on the installed distributions.

Until 3.11 ``venv`` installs setuptools, from 3.12 on it does not. setuptools provides ``distutils`` from version 60 on
and no longer has ``pkg_resources`` from version 82 on.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.analysis.judging.evidence import Evidence, confidence_of, in_release, location_of, version_label
from pytest_py312.analysis.judging.reachability import Reachability
from pytest_py312.analysis.judging.replacement_table import BACKPORTS, replacement_of
from pytest_py312.analysis.scanner.facts.facts import IMPORT_ERRORS, FileFacts, ModuleImport, Reference
from pytest_py312.core.model.findings import Finding, Severity

SETUPTOOLS_MODULES = ("pkg_resources", "setuptools")
SETUPTOOLS_WITHOUT_PKG_RESOURCES = Version("82")
PKG_RESOURCES_FOR_312 = Version("66.1")
"""https://setuptools.pypa.io/en/latest/history.html#v66-1-0"""
SETUPTOOLS_WITH_DISTUTILS = Version("60")
VENV_WITHOUT_SETUPTOOLS = (3, 12)
BUILD_SCRIPTS = ("setup.py",)


_TEST_FILE = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$|conftest\.py$|[^/]*_test\.py$)")
"""Tests run in an environment of their own."""


class CellDistributions:
    """The distributions of the target's cell, and the names of the service's own modules."""

    def __init__(
        self, versions: Mapping[str, str] | None, files: Sequence[FileFacts], declared: Collection[str] = ()
    ) -> None:
        self.is_known = versions is not None
        self._declared = frozenset(() if self.is_known else map(canonicalize_name, declared))
        self._versions: dict[str, str] = {
            canonicalize_name(name): version for name, version in (versions or {}).items()
        }
        self._own_modules = {part.removesuffix(".py") for facts in files for part in facts.path.split("/")}

    @property
    def setuptools_version(self) -> Version | None:
        """The locked version of setuptools; ``None`` if it is not in the lock."""
        try:
            return Version(self._versions["setuptools"])
        except (KeyError, InvalidVersion):
            return None

    def contains(self, name: str) -> bool:
        """Return whether a project is in the lock or, without a lock, is required by the service."""
        return name in self._versions or name in self._declared

    def restores_module(self, module: str) -> bool:
        """Return whether a project in the lock installs a module that was removed from the standard library."""
        top = module.partition(".")[0]
        return any(map(self.contains, (f"standard-{canonicalize_name(top)}", *BACKPORTS.get(top, ()))))

    def is_provided(self, module: str) -> bool | None:
        """Return whether a third-party module can be imported in the cell; ``None`` if this is unknown."""
        top = module.partition(".")[0]
        if not top or top in self._own_modules:
            return True
        if not self.is_known:
            return None
        name = canonicalize_name(top)
        return any(name in distribution_name for distribution_name in self._versions) or (
            None if self._versions else False
        )

    def distutils_finding(self, reference: Reference, path: str, evidence: Evidence) -> Finding:
        """Return the finding about an import of ``distutils``, which the target's standard library lacks."""
        setuptools = self.setuptools_version
        lacks_shim = bool(evidence.without_pth or evidence.without_shim) and not _TEST_FILE.search(path)
        is_provided = setuptools >= SETUPTOOLS_WITH_DISTUTILS if setuptools is not None else self.contains("setuptools")
        name = f"{reference.module}.{reference.path}" if reference.path else reference.module
        builds = path.rpartition("/")[2] in BUILD_SCRIPTS
        replacement = replacement_of(name)
        message = f"{reference.module} was removed{in_release(evidence.first_release_without('distutils', ''))}"
        if is_provided and lacks_shim:
            is_provided = False
            message += (
                "; setuptools provides a replacement by a .pth file, and none runs in the folder that "
                f"{evidence.without_pth} installs into"
                if evidence.without_pth
                else f"; setuptools provides a replacement, which SETUPTOOLS_USE_DISTUTILS in {evidence.without_shim} "
                "turns off"
            )
        elif is_provided:
            which = f"setuptools {setuptools}" if setuptools is not None else "setuptools"
            message += f" and works only because {which} provides a replacement"
        elif builds:
            message += " and works only during a build with setuptools"
        return Finding(
            code="PY209",
            message=message,
            remedy=replacement.remedy if replacement is not None else "use setuptools",
            severity=Severity.WARNING if is_provided or builds else Severity.ERROR,
            confidence=confidence_of(reference.sure),
            location=location_of(path, reference),
            names=(name.replace("()", ""),),
        )


def packaging_findings(
    facts: FileFacts, evidence: Evidence, on_target: Reachability, distributions: CellDistributions
) -> Iterator[Finding]:
    """Report imports of setuptools and pkg_resources in a cell that does not install them."""
    if evidence.target.version < VENV_WITHOUT_SETUPTOOLS or facts.path.rpartition("/")[2] in BUILD_SCRIPTS:
        return
    seen: set[tuple[str, int]] = set()
    for module_import in facts.imports:
        top = module_import.module.partition(".")[0]
        if (
            module_import.level
            or top not in SETUPTOOLS_MODULES
            or module_import.scope == "type checking"
            or (top, module_import.line) in seen
        ):
            continue
        seen.add((top, module_import.line))
        diagnosis = _diagnose(top, evidence, distributions)
        if (
            diagnosis
            and on_target.may_run(module_import.guard)
            and not on_target.is_caught(module_import.guard, IMPORT_ERRORS)
        ):
            yield _finding(facts.path, module_import, top, *diagnosis, distributions.is_known)


def _diagnose(top: str, evidence: Evidence, distributions: CellDistributions) -> tuple[str, str] | None:
    version = distributions.setuptools_version
    if not distributions.contains("setuptools") and evidence.baseline.version < VENV_WITHOUT_SETUPTOOLS:
        requirement = "setuptools<82" if top == "pkg_resources" else "setuptools"
        target = version_label(evidence.target.version)
        return (
            f"'{top}' is missing: nothing requires setuptools, and Python {target} environments no longer include it",
            f"require {requirement}" + _alternative_text(top),
        )
    if version is not None and top == "pkg_resources" and version >= SETUPTOOLS_WITHOUT_PKG_RESOURCES:
        message = f"setuptools {version} no longer includes pkg_resources"
        return message, "require setuptools<82" + _alternative_text(top)
    if version is not None and top == "pkg_resources" and version < PKG_RESOURCES_FOR_312:
        return (
            f"pkg_resources of setuptools {version} fails on import: it uses pkgutil.ImpImporter",
            f"require setuptools>={PKG_RESOURCES_FOR_312},<82" + _alternative_text(top),
        )
    return None


def _alternative_text(top: str) -> str:
    return ", or use importlib.metadata and importlib.resources" if top == "pkg_resources" else ""


def offered_setuptools(finding: Finding) -> str:
    """Return the requirement of setuptools that the remedy of a finding begins with; empty if there is none."""
    match = (
        re.match(r"require (setuptools(?:>=66\.1,<82|<82)?)(?:,|$)", finding.remedy)
        if finding.code == "PY209"
        else None
    )
    return match[1] if match else ""


def without_setuptools_offer(finding: Finding, requirement: str) -> Finding:
    """Return a finding without the advice to require setuptools, which was tried and does not work."""
    alternative = finding.remedy.removeprefix(f"require {requirement}").removeprefix(", or ")
    tried = f"the other requirements do not work with {requirement}"
    return replace(finding, remedy=f"{alternative or f'do without {finding.names[0]}'} ({tried})")


def _finding(path: str, module_import: ModuleImport, top: str, message: str, remedy: str, certain: bool) -> Finding:
    return Finding(
        code="PY209",
        message=message,
        remedy=remedy,
        confidence=confidence_of(certain),
        location=location_of(path, module_import),
        names=(top,),
    )
