"""Analyze the distributions installed for a service on the target, and cache the result beside the environment."""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_py312.analysis.files.file_kinds import is_runtime_file
from pytest_py312.analysis.files.newer_syntax import NewerSyntaxScanner
from pytest_py312.analysis.files.source_reader import ScannedSource
from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.libraries.findings import (
    ImportRemedy,
    LocatedProblem,
    find_problems,
    library_findings,
    locate_problems,
)
from pytest_py312.analysis.libraries.import_graph import EnvironmentModules, ImportRoot, InstalledLibrary
from pytest_py312.analysis.libraries.library_inputs import LibraryInputs, collect_inputs
from pytest_py312.analysis.libraries.missing_requirements import (
    ExcludedRequirement,
    OwnImports,
    excluded_requirements,
    missing_modules,
    requirement_findings,
    tool_only_distributions,
)
from pytest_py312.analysis.libraries.refused_versions import refused_version_findings
from pytest_py312.analysis.libraries.service_imports import (
    NeighborModules,
    external_imports,
    used_files,
)
from pytest_py312.analysis.libraries.setuptools_state import SetuptoolsState
from pytest_py312.analysis.libraries.summaries.reader import LibraryReader, names_only_summary
from pytest_py312.analysis.libraries.summaries.summarize import queries_of
from pytest_py312.analysis.libraries.unprovided_imports import (
    describe_unprovided,
    reached_files,
    unprovided_imports,
    unprovided_setuptools_imports,
)
from pytest_py312.analysis.libraries.upgrade_advice import (
    FIRST_GOOD,
    FIRST_GOOD_VERSION,
    UpgradeAdvisor,
    UpgradeFinder,
)
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.oracle.probe_protocol import InterpreterUnavailable
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers
from pytest_py312.analysis.services.service_analysis import AnalysisResult
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.diagnosis.compatibility import target_environment
from pytest_py312.dependencies.installation.findings import setuptools_changes, setuptools_remedy
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.resolution.lock import Undetermined
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.services.detection.suites import settings_of_suite
from pytest_py312.repository.tree import Tree, join_path
from pytest_py312.runners.runner import CellUnavailable, Runner


class LibraryAnalyzer:
    """Analysis of installations. Safe for several threads.

    :param read: returns the Python files of a service.
    :param ended: set when the run was stopped and results are no longer needed.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        cache: Path,
        runner: Runner,
        installer: Installer,
        store: DistributionStore,
        read: Callable[[Service], ScannedSource],
        processes: int,
        ended: threading.Event,
    ) -> None:
        self._plan = plan
        self._tree = Tree(plan.root)
        self._neighbors = NeighborModules(self._tree)
        self._runner = runner
        self._installer = installer
        self._store = store
        self._read = read
        # separate from the cache of services: there are many more queries, and few runs need them
        self._oracle = Oracle(cache=cache / "libraries", tool_runner=runner)
        newer = NewerSyntaxScanner(cache=cache / "libraries", tool_runner=runner)
        self._reader = LibraryReader(cache=cache, oracle=self._oracle, newer=newer, processes=processes, ended=ended)

    def analyze(self, cell: Cell, installation: Installation, baseline_installation: Installation) -> AnalysisResult:
        """Return what installed distributions use that the target lacks, and which imports the service does not
        require.

        :param installation: installation of the cell; it has an environment.
        :param baseline_installation: installation on the baseline.
        """
        try:
            inputs = collect_inputs(
                cell,
                installation,
                baseline_installation,
                plan=self._plan,
                request_builder=self._installer.request_builder,
                source=self._read(cell.service),
                neighbors=self._neighbors,
            )
            cache_file = inputs.cache_path(cell)
            cached = _read_cached(cache_file)
            if cached is not None:
                return cached
            result = self._judge(cell, inputs)
        except (InterpreterUnavailable, Undetermined, CellUnavailable) as reason:
            return AnalysisResult(unchecked_reason=str(reason))
        with suppress(OSError):
            write_json_atomically(cache_file, encode(result))
        return result

    def _judge(self, cell: Cell, inputs: LibraryInputs) -> AnalysisResult:
        """Return the findings, and which imports leave the service unproven.

        :raises InterpreterUnavailable, Undetermined, CellUnavailable: an interpreter could not be queried, or an import
            could not be tried.
        """
        installation, baseline_installation = inputs.installation, inputs.baseline_installation
        version = (cell.interpreter.major, cell.interpreter.minor)
        installed = self._environment_modules(cell, inputs)
        source = inputs.source
        reached = list(external_imports(source.facts, source.contents, inputs.local_names, version, installed.has))
        roots = [root for root in reached if root.target.partition(".")[0] not in inputs.local_names]
        problems = list(
            find_problems(installed, self._evidence(cell, inputs, installed), _setuptools_state(cell, inputs))
        )
        findings = library_findings(
            locate_problems(problems, installed.import_chains(reached)) if problems else (),
            installed.proven_by(installation.imports or {}),
            lambda modules: self._installer.check_imports(cell, modules),
            lambda modules: self._try_on_baseline(cell, baseline_installation, modules),
            lambda problem: self._advice(cell, inputs, problem),
        )
        findings += _missing_requirement_findings(cell, inputs, roots, installed)
        findings += refused_version_findings(
            installation.distributions,
            baseline_installation.distributions,
            interpreter=cell.interpreter,
            lines=inputs.places,
            deployed=inputs.run_time_distributions(cell),
            sources={path: text for path, text in source.contents.items() if is_runtime_file(path, cell.service.path)},
        )
        return AnalysisResult(
            findings=tuple(findings), unchecked_reason=self._unprovided_reason(cell, inputs, roots, installed)
        )

    def _unprovided_reason(
        self, cell: Cell, inputs: LibraryInputs, roots: Sequence[ImportRoot], installed: EnvironmentModules
    ) -> str:
        """Return which imports of the service its requirements do not provide; empty if they provide all.

        A scan can be wrong, so modules that nothing seems to provide are imported in the cell.
        """
        if inputs.is_waived:
            return ""
        files, contents = inputs.source.facts, inputs.source.contents
        settings = settings_of_suite(self._tree, cell.service)
        reached = reached_files(files, contents, cell.service, cell.interpreter, settings)
        providers = inputs.providers(cell, self._runner.find_interpreter(cell.interpreter))
        recipe = cell.service.recipe
        is_incomplete = recipe is not None and not recipe.is_complete
        unprovided = unprovided_imports(roots, reached, installed, providers, contents, is_incomplete=is_incomplete)
        names = frozenset(_versions(inputs.installation.distributions))
        unprovided += unprovided_setuptools_imports(files, contents, reached, providers, cell.interpreter, names)
        suspected = sorted({item.module for item in unprovided if not item.owner})
        failures = self._installer.check_imports(cell, suspected) if suspected else {}
        return describe_unprovided(
            [item for item in unprovided if item.owner or failures.get(item.module)], cell.interpreter
        )

    def _environment_modules(self, cell: Cell, inputs: LibraryInputs) -> EnvironmentModules:
        entries = inputs.installation.distributions
        # the source of the service itself is checked in the repository
        own = {name for name, path in inputs.source_trees.items() if path == cell.service.path}
        name_only = tool_only_distributions(entries, {*inputs.run_time, *inputs.mentioned}) | own
        summarized = self._summarize(
            [entry for entry in entries if entry.name not in name_only], self._runner.find_interpreter(cell.interpreter)
        )
        named = [
            InstalledLibrary(name=entry.name, version=entry.version, summary=names_only_summary(entry))
            for entry in entries
            if entry.name in name_only
        ]
        return EnvironmentModules([*map(partial(self._with_folder, inputs.source_trees), summarized), *named])

    def _with_folder(self, source_trees: Mapping[str, str], library: InstalledLibrary) -> InstalledLibrary:
        """Return a distribution with the folder of the repository that has its modules, if there is one."""
        root = source_trees.get(library.name)
        folders = (root, join_path(root, "src")) if root is not None else ()
        paths = [module.path for module in library.summary.modules]
        has_module = (
            folder for folder in folders if any(self._tree.is_file(join_path(folder, path)) for path in paths)
        )
        return replace(library, folder=next(has_module, ""))

    def _summarize(self, entries: Sequence[StoredDistribution], build: InterpreterBuild) -> list[InstalledLibrary]:
        summaries = self._reader.summaries(entries, build)
        return [
            InstalledLibrary(name=entry.name, version=entry.version, summary=summaries[entry.folder])
            for entry in entries
        ]

    def _advice(self, cell: Cell, inputs: LibraryInputs, problem: LocatedProblem) -> ImportRemedy:
        """Return what to do about a distribution that fails on import, as far as trials and the index show it.

        To require setuptools, where that is what is missing, is a smaller change than another version.
        """
        is_own = bool(problem.problem.library.folder)  # then the index has another project of its name, if any
        upgrade = "" if is_own else self._tried_upgrade(cell, problem, self._upgrade_advice(cell, inputs, problem))
        if not problem.problem.setuptools_module:
            return ImportRemedy(text=upgrade)
        requirement, module = problem.problem.remedy.removeprefix("require "), problem.entry_module
        if not self._imports_with(cell, requirement, module):
            return ImportRemedy(text=upgrade)
        text = setuptools_remedy(requirement, module, cell)
        required = self._installer.requirements.of(cell.service)
        return ImportRemedy(
            text=f"{text}, or {upgrade}" if FIRST_GOOD in upgrade and upgrade.startswith("require ") else text,
            changes=setuptools_changes(required, requirement),
        )

    def _tried_upgrade(self, cell: Cell, problem: LocatedProblem, advice: str) -> str:
        """Return ``advice`` with what a trial of the version that it names in the whole set has shown."""
        version = FIRST_GOOD_VERSION.match(advice)
        if version is None or self._imports_with(cell, version["requirement"], problem.entry_module):
            return advice
        named = version["requirement"]
        return f"other requirements do not work with {named}, {FIRST_GOOD}: raise those together with it"

    def _imports_with(self, cell: Cell, requirement: str, module: str) -> bool:
        results = self._installer.trials.imports_with(cell, (requirement,), (module,))
        return results is not None and results.get(module) == ""

    def _upgrade_advice(self, cell: Cell, inputs: LibraryInputs, problem: LocatedProblem) -> str:
        build = self._runner.find_interpreter(cell.interpreter)
        try:
            index = self._installer.trials.index(cell)
        except Undetermined:
            self._installer.locks.mark_undetermined(cell)
            return ""
        target = target_environment(build, exclude_newer=self._plan.exclude_newer)
        advisor = UpgradeAdvisor(
            versions=UpgradeFinder(
                store=self._store,
                index=index,
                target=target,
                build=build,
                undetermined=lambda: self._installer.locks.mark_undetermined(cell),
            ),
            entries=inputs.installation.distributions,
            pins=inputs.installation.lock.pins if inputs.installation.lock else (),
            setuptools_state=_setuptools_state(cell, inputs),
            summarize=lambda entry: self._summarize([entry], build)[0],
            gather_evidence=lambda installed: self._evidence(cell, inputs, installed),
        )
        return advisor(problem)

    def _try_on_baseline(
        self, cell: Cell, baseline_installation: Installation, modules: Sequence[str]
    ) -> Mapping[str, str]:
        if baseline_installation.environment is None or cell.is_baseline:
            return {}
        return self._installer.check_imports(cell.baseline_cell, modules)

    def _evidence(self, cell: Cell, inputs: LibraryInputs, installed: EnvironmentModules) -> Evidence:
        """Query the interpreters about the suspicious uses of the installed distributions."""
        queries = queries_of(
            module.suspect_facts
            for library in installed.libraries
            for module in library.summary.modules
            if module.suspect_facts is not None
        )
        baseline = min(cell.service.baseline, cell.interpreter)

        def ask(interpreter: Interpreter) -> InterpreterAnswers:
            return self._oracle.ask(queries, self._runner.find_interpreter(interpreter))

        intermediate = []
        for interpreter in inputs.intermediate:
            if not baseline < interpreter < cell.interpreter:
                continue
            try:
                intermediate.append(ask(interpreter))
            except CellUnavailable:
                continue  # findings then name a later release as the first one
        return Evidence(baseline=ask(baseline), target=ask(cell.interpreter), intermediate=intermediate)


def _setuptools_state(cell: Cell, inputs: LibraryInputs) -> SetuptoolsState:
    without_pth = cell.service.runs_without_pth is not None
    return SetuptoolsState(
        target=cell.interpreter,
        baseline=cell.service.baseline,
        target_versions=_versions(inputs.installation.distributions),
        baseline_versions=_versions(inputs.baseline_installation.distributions),
        without_pth=without_pth,
        run_time=inputs.run_time_distributions(cell) if without_pth else None,
    )


def _missing_requirement_findings(
    cell: Cell, inputs: LibraryInputs, roots: Sequence[ImportRoot], installed: EnvironmentModules
) -> list[Finding]:
    own_imports = OwnImports(
        roots=tuple(root for root in roots if is_runtime_file(root.path, cell.service.path)),
        used_files=used_files(inputs.source.facts, cell.service.path),
    )
    required = inputs.declared(cell)
    baseline_entries = inputs.baseline_installation.distributions
    owners = {name: _owner_of_module(baseline_entries, name) for name in missing_modules(own_imports, installed)}
    by_project = excluded_requirements(
        inputs.own_lines, baseline_entries, baseline=cell.service.baseline, target=cell.interpreter
    )
    excluded: dict[str, ExcludedRequirement] = {}
    for name, owner in owners.items():
        project = owner or canonicalize_name(name.partition(".")[0])
        if project in by_project:
            excluded[name] = by_project[project]
    on_baseline = {name: owner is not None for name, owner in owners.items()}
    return requirement_findings(own_imports, required, installed, cell.interpreter, on_baseline, excluded)


def _read_cached(cache_file: Path) -> AnalysisResult | None:
    try:
        return decode(AnalysisResult, json.loads(cache_file.read_bytes()))
    except (OSError, ValueError, KeyError, RecursionError):
        return None


def _versions(entries: Sequence[StoredDistribution]) -> dict[str, str]:
    return {entry.name: entry.version for entry in entries}


def _owner_of_module(entries: Sequence[StoredDistribution], module: str) -> str | None:
    """Return the first of ``entries`` that contains a module, judged by its file names."""
    if not re.fullmatch(r"[\w.]+", module):
        return None
    path = module.replace(".", "/")
    for entry in entries:
        module_path = entry.folder / "lib" / path
        if module_path.is_dir() or module_path.with_name(f"{module_path.name}.py").is_file():
            return entry.name
        if next(module_path.parent.glob(f"{module_path.name}.*.so"), None) is not None:
            return entry.name
    return None
