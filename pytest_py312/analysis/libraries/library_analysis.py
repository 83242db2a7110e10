"""Analyze the distributions installed for a service on the target, and cache the result beside the environment."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
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
from pytest_py312.analysis.libraries.missing_requirements import (
    DeclaredRequirements,
    ExcludedRequirement,
    OwnImports,
    declared_requirements,
    excluded_requirements,
    missing_modules,
    requirement_findings,
    tool_only_distributions,
    unrequired_distributions,
)
from pytest_py312.analysis.libraries.refused_versions import refused_version_findings
from pytest_py312.analysis.libraries.service_imports import (
    NeighborModules,
    external_imports,
    own_module_names,
    used_files,
)
from pytest_py312.analysis.libraries.setuptools_state import SetuptoolsState
from pytest_py312.analysis.libraries.summaries.reader import LibraryReader, names_only_summary
from pytest_py312.analysis.libraries.summaries.summarize import queries_of
from pytest_py312.analysis.libraries.unprovided_imports import (
    Providers,
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
from pytest_py312.core.model.findings import Finding, Interpreter, Location
from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.serialization import decode, encode
from pytest_py312.core.service_patterns import matches
from pytest_py312.dependencies.diagnosis.compatibility import target_environment
from pytest_py312.dependencies.installation.findings import setuptools_changes, setuptools_remedy
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.resolution.lock import Undetermined
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.services.detection.suites import settings_of_suite
from pytest_py312.repository.services.requirements.sources import additional_services
from pytest_py312.repository.tree import Tree, join_path
from pytest_py312.runners.fingerprints import code_digest
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
            inputs = self._collect_inputs(cell, installation, baseline_installation)
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

    def _judge(self, cell: Cell, inputs: "_AnalysisInputs") -> AnalysisResult:
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
        self, cell: Cell, inputs: "_AnalysisInputs", roots: Sequence[ImportRoot], installed: EnvironmentModules
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

    def _environment_modules(self, cell: Cell, inputs: "_AnalysisInputs") -> EnvironmentModules:
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

    def _advice(self, cell: Cell, inputs: "_AnalysisInputs", problem: LocatedProblem) -> ImportRemedy:
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

    def _upgrade_advice(self, cell: Cell, inputs: "_AnalysisInputs", problem: LocatedProblem) -> str:
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

    # -- inputs of the analysis

    def _collect_inputs(
        self, cell: Cell, installation: Installation, baseline_installation: Installation
    ) -> "_AnalysisInputs":
        service = cell.service
        request_builder = self._installer.request_builder
        required = tuple(source for source in service.test_requirements if not source.assumed)
        declared = service
        if required != service.test_requirements:  # what only the assumed tools bring is required by nothing
            declared = replace(service, name=f"{service.name}+declared", test_requirements=required)
        requirement_sets = [
            request_builder.requirements.of(owner) for owner in (declared, *additional_services(service))
        ]
        run_time: dict[str, set[str]] = {}
        deployed = replace(service, name=f"{service.name}+run-time", test_requirements=(), separate_tests=False)
        for item in request_builder.requirements.of(deployed).entries:
            run_time.setdefault(item.name, set()).update(_extras(item.text))
        for entry in installation.distributions:
            if entry.is_of_repository:  # required by path
                run_time.setdefault(entry.name, set())
        own_trees = [
            entry
            for entry in installation.distributions
            if entry.is_of_repository and request_builder.folders.is_built_from(service.path, entry)
        ]
        source = self._read(service)
        return _AnalysisInputs(
            source=source,
            local_names=own_module_names(service, [facts.path for facts in source.facts], self._tree, self._neighbors),
            run_time=run_time,
            mentioned=frozenset(
                {
                    *(item.name for requirements in requirement_sets for item in requirements.entries),
                    *request_builder.required_by_trees(cell, own_trees),
                }
            ),
            installation=installation,
            baseline_installation=baseline_installation,
            own_lines=tuple(
                (str(item.location), f"{item.name}; {item.entry.marker}" if item.entry.marker else item.name)
                for item in requirement_sets[0].entries
            ),
            places={item.name: item.location for item in reversed(requirement_sets[0].entries)},
            intermediate=tuple(planned_cell.interpreter for planned_cell in cells_of(self._plan, service)),
            source_trees={
                entry.name: path
                for path in request_builder.requirements.source_trees(service)
                for entry in installation.distributions
                if request_builder.folders.is_built_from(path, entry)
            },
            installed_alone=request_builder.requirements.installed_alone(service),
            left_out=request_builder.requirements.production_leaves_out(service),
            is_waived=any(
                waiver.code == "PY120" and matches(waiver.service, service.name, service.path)
                for waiver in self._plan.waivers
            ),
        )

    def _evidence(self, cell: Cell, inputs: "_AnalysisInputs", installed: EnvironmentModules) -> Evidence:
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _AnalysisInputs:
    """Everything that the result depends on, except the code itself.

    ``local_names`` are the top-level names of the service's own modules. ``run_time`` maps the projects in its run-time
    requirement files to the requested extras; ``mentioned`` are the projects in any of its requirement files.
    ``own_lines`` are the places of its requirements, with their names and markers.
    """

    source: ScannedSource
    local_names: frozenset[str]
    run_time: Mapping[str, Collection[str]]
    mentioned: frozenset[str]
    installation: Installation
    baseline_installation: Installation
    own_lines: tuple[tuple[str, str], ...]
    places: Mapping[str, Location]
    """Where each project is required, by normalised name."""
    intermediate: tuple[Interpreter, ...]
    source_trees: Mapping[str, str]
    """The folders of the repository that distributions are built from, by the names of these."""
    installed_alone: frozenset[str]
    left_out: frozenset[str] = frozenset()
    """What the service's image leaves out although distributions in it require it."""
    is_waived: bool = False
    """Whether the plan accepts imports that nothing provides."""

    def providers(self, cell: Cell, build: InterpreterBuild) -> Providers:
        """Return whose requirements the installed distributions are."""
        entries = self.installation.distributions
        declared = self.declared(cell)
        preinstalled = dict.fromkeys(line.partition("==")[0] for line in build.preinstalled)
        recipe = cell.service.recipe
        # with several images, the recipe is that of one, and another may have what the start imports
        is_certain = recipe is not None and recipe.is_complete and recipe.is_closed and len(cell.service.images) == 1
        libraries = {
            entry.name: None
            for entry in entries
            if entry.is_of_repository and self.source_trees.get(entry.name) != cell.service.path
        }
        deployed = {**self.run_time, **preinstalled, **libraries}
        return Providers(
            gate_only=unrequired_distributions(entries, {**dict.fromkeys(declared.mentioned), **preinstalled}),
            run_time=self.run_time_distributions(cell),
            undeployed=unrequired_distributions(entries, deployed) if is_certain else frozenset(),
        )

    def run_time_distributions(self, cell: Cell) -> frozenset[str] | None:
        """Return the distributions that the service has at run time; ``None`` if its requirements are unknown."""
        return self.declared(cell).run_time_closure - self.left_out if cell.service.requirements else None

    def declared(self, cell: Cell) -> DeclaredRequirements:
        """Return what the service requires, from its files and the installed metadata."""
        return declared_requirements(
            self.run_time, self.mentioned, self.installation.distributions, cell.interpreter, self.installed_alone
        )

    def cache_path(self, cell: Cell) -> Path:
        """Return the file of the cached result, beside the environment that it is about."""
        assert self.installation.environment is not None
        environment = self.installation.environment
        source_digest = hashlib.blake2b(digest_size=16)
        for path, content in sorted(self.source.contents.items()):
            source_digest.update(f"{path}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
            source_digest.update(content)
        # what is reached from the start, and where it runs, depends on most of what discovery has found
        service = replace(cell.service, owners=(), owners_source="", declarations=())
        parts: list[Any] = [code_digest(), source_digest.hexdigest(), encode(service)]
        parts += [sorted(self.local_names), sorted(self.mentioned), self.installation.imports]
        parts += [sorted((name, sorted(extras)) for name, extras in self.run_time.items())]
        parts += [sorted(self.own_lines)]
        parts += [
            [str(entry.folder) for entry in installation.distributions]
            for installation in (self.installation, self.baseline_installation)
        ]
        parts += [str(interpreter) for interpreter in self.intermediate]
        parts += [
            self.is_waived,
            sorted(self.left_out),
            sorted(self.installed_alone),
            sorted(self.source_trees.items()),
        ]
        digest = hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return environment.folder.with_name(f"{environment.key}.libraries-{digest}.json")


def _setuptools_state(cell: Cell, inputs: _AnalysisInputs) -> SetuptoolsState:
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
    cell: Cell, inputs: _AnalysisInputs, roots: Sequence[ImportRoot], installed: EnvironmentModules
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


def _extras(text: str) -> set[str]:
    try:
        return set(Requirement(text).extras)
    except InvalidRequirement:
        return set()


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
