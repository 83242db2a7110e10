"""Analyze the source of a service with the versions that are installed for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import filterfalse
from typing import TYPE_CHECKING

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.resolution.lock import DependencyLock
from pytest_py312.repository.services.requirements.sources import production_service, separate_production
from pytest_py312.runners.runner import CellUnavailable

if TYPE_CHECKING:
    from pytest_py312.analysis.services.service_analysis import AnalysisResult, ServiceAnalyzer


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceAnalysis:
    """What the source of a cell is analyzed with; a cell that this run does not install is not resolved for it."""

    installer: Installer
    is_installed: Callable[[Cell], bool]
    """Whether this run installs a cell."""

    def with_tried_advice(self, analyzer: "ServiceAnalyzer", cell: Cell) -> "AnalysisResult":
        """Return the analysis of a cell. Advice to require setuptools is tried if the cell is installed."""
        result = self.result(analyzer, cell)
        if not self.is_installed(cell):
            if any(finding.code == "PY209" for finding in result.findings):
                self.installer.locks.mark_undetermined(cell)  # a run that installs the cell tries the advice
            return result
        findings = (self._with_tried_setuptools(cell, finding) for finding in result.findings)
        return replace(result, findings=tuple(findings))

    def _with_tried_setuptools(self, cell: Cell, finding: Finding) -> Finding:
        """Take the advice to require setuptools out of a finding if the set cannot be had with it."""
        if finding.code != "PY209":
            return finding
        from pytest_py312.analysis.judging.packaging import offered_setuptools, without_setuptools_offer
        from pytest_py312.dependencies.installation.findings import setuptools_changes

        cell = replace(cell, service=separate_production(cell.service) or cell.service)
        requirement = offered_setuptools(finding)
        if not requirement or self.installer.installation(cell).environment is None:
            return finding
        imports = self.installer.trials.imports_with(cell, (requirement,), finding.names)
        if imports is None or any(imports.values()):
            return without_setuptools_offer(finding, requirement)
        required = self.installer.requirements.of(cell.service)
        return replace(finding, changes=finding.changes or setuptools_changes(required, requirement))

    def result(self, analyzer: "ServiceAnalyzer", cell: Cell) -> "AnalysisResult":
        """Analyze the source with the versions that are installed: tests may have others than production."""
        result = self._with_versions_of(cell.service, analyzer, cell)
        production = separate_production(cell.service)
        if production is None:
            return self._without_setuptools_of_tests(result, analyzer, cell)
        from pytest_py312.analysis.files.file_kinds import is_test  # lazy: few services need it

        def is_in_test(finding: Finding) -> bool:
            path = finding.location.path if finding.location is not None else ""
            return is_test(path.removeprefix(f"{cell.service.path}/"))

        of_production = self._with_versions_of(production, analyzer, cell)
        findings = [finding for finding in of_production.findings if not is_in_test(finding)]
        return replace(of_production, findings=(*findings, *filter(is_in_test, result.findings)))

    def _without_setuptools_of_tests(
        self, result: "AnalysisResult", analyzer: "ServiceAnalyzer", cell: Cell
    ) -> "AnalysisResult":
        """Judge what runs in production without setuptools, if only tests bring it.

        If it is not known what production installs on its own, the findings stay those of the set with the tests.
        """
        production, is_installed = production_service(cell.service), self.is_installed(cell)
        versions = dict(self._locked_versions(cell, is_installed=is_installed) or {})
        if production is None or not versions.pop("setuptools", ""):
            return result
        directly = self.installer.requirements.directly_required
        if "setuptools" in directly(production):
            return result
        without = analyzer.analyze(cell, versions, directly(cell.service))
        if without.findings == result.findings:
            return result
        self.installer.locks.mark_undetermined(cell)  # the set of production alone is no part of the outcome's key
        of_production = self._locked_versions(replace(cell, service=production), is_installed=is_installed)
        if of_production is None or "setuptools" in of_production:
            return result
        from pytest_py312.analysis.files.file_kinds import is_runtime_file  # lazy: few services need it

        def is_at_run_time(finding: Finding) -> bool:
            return finding.location is not None and is_runtime_file(finding.location.path, cell.service.path)

        findings = [*filter(is_at_run_time, without.findings), *filterfalse(is_at_run_time, result.findings)]
        return replace(result, findings=tuple(findings))

    def _with_versions_of(self, installed: Service, analyzer: "ServiceAnalyzer", cell: Cell) -> "AnalysisResult":
        declared = self.installer.requirements.directly_required(installed)
        is_installed = self.is_installed(cell)
        versions = self._locked_versions(replace(cell, service=installed), is_installed=is_installed)
        return analyzer.analyze(cell, versions, declared)

    def _locked_versions(self, cell: Cell, *, is_installed: bool) -> Mapping[str, str] | None:
        """Return the versions in the lock of a cell. A cell that this run does not install is not resolved for it."""
        try:
            lock = self.installer.locks.lock_or_failure(cell) if is_installed else self.installer.locks.cached(cell)
            if is_installed and not isinstance(lock, DependencyLock):
                lock = self.installer.installation(cell).lock  # without what cannot be had here
        except CellUnavailable:  # reported by the analysis, which needs the interpreter as well
            return None
        return lock.versions if isinstance(lock, DependencyLock) else None
