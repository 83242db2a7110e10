"""Follow the imports of a service through the installed modules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.analysis.libraries.summaries.module_files import prefixes
from pytest_py312.analysis.libraries.summaries.summary import DistributionSummary, Likelihood, ModuleSummary


@dataclass(frozen=True, kw_only=True, slots=True)
class InstalledLibrary:
    """An installed distribution: normalised name, version and summary of its source.

    ``folder`` is the folder of the repository with its modules, if it is built from there; otherwise empty.
    """

    name: str
    version: str
    summary: DistributionSummary
    folder: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportRoot:
    """An import statement of the service: its place, the imported dotted name and its likelihood."""

    path: str
    line: int
    target: str
    likelihood: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportChain:
    """How a module is reached: with what likelihood, from which import, and through which modules."""

    likelihood: int
    root: ImportRoot
    via: tuple[str, ...]


class EnvironmentModules:
    """All modules of an environment.

    If two distributions contain the same module, the first one counts, as in the installation.
    """

    def __init__(self, libraries: Sequence[InstalledLibrary]) -> None:
        self.libraries = tuple(libraries)
        self._modules: dict[str, ModuleSummary] = {}
        self._owners: dict[str, list[InstalledLibrary]] = {}
        self._folders: set[str] = set()
        for library in libraries:
            for module in library.summary.modules:
                self._modules.setdefault(module.name, module)
                self._add_owner(module.name, library)
            for name in library.summary.compiled:
                self._add_owner(name, library)

    def _add_owner(self, name: str, library: InstalledLibrary) -> None:
        self._owners.setdefault(name, []).append(library)
        package = name.rpartition(".")[0]
        while package and package not in self._folders:
            self._folders.add(package)
            package = package.rpartition(".")[0]

    def module(self, name: str) -> ModuleSummary | None:
        return self._modules.get(name)

    def has(self, name: str) -> bool:
        """Return whether there is a module, a package or a namespace package of this name."""
        return name in self._owners or name in self._folders

    def provides(self, name: str) -> bool:
        """Return whether an import of ``name`` finds something; a namespace package is there without an owner."""
        return name in self._folders or bool(self.owners(name))

    def owners(self, name: str) -> tuple[InstalledLibrary, ...]:
        """Return the distributions that an import of ``name`` leads to; empty if the module is missing.

        A namespace package has no owner; the owner is determined by the module inside of it.
        """
        step_owners: Sequence[InstalledLibrary] = ()
        for step in prefixes(name):
            if step in self._owners:
                step_owners = self._owners[step]
            elif step not in self._folders:
                break
        return tuple(step_owners)

    def modules_run_by(self, name: str) -> list[str]:
        """Return the modules that an import of ``name`` runs, outermost first."""
        return [step for step in prefixes(name) if step in self._modules]

    def import_chains(self, roots: Iterable[ImportRoot]) -> dict[str, ImportChain]:
        """Return the most likely chain to every module that ``roots`` lead to."""
        chains: dict[str, ImportChain] = {}
        levels: dict[int, list[tuple[str, ImportRoot, tuple[str, ...]]]] = {
            Likelihood.AT_IMPORT: [],
            Likelihood.CONDITIONAL: [],
            Likelihood.WHEN_CALLED: [],
        }
        for root in roots:
            levels[root.likelihood].append((root.target, root, ()))
        for likelihood, pending in levels.items():
            for target, root, via in pending:  # grows during the iteration
                for name in self.modules_run_by(target):
                    if name in chains:
                        continue
                    chains[name] = ImportChain(likelihood=likelihood, root=root, via=via)
                    for imported_name, import_likelihood in self._modules[name].imports.items():
                        levels[min(likelihood, import_likelihood)].append((imported_name, root, (*via, name)))
        return chains

    def proven_by(self, imports: Mapping[str, str]) -> frozenset[str]:
        """Return the modules that have run because an import succeeded (``imports``: module to traceback)."""
        worked_roots = [
            ImportRoot(path="", line=0, target=name, likelihood=Likelihood.AT_IMPORT)
            for name, failure in imports.items()
            if not failure
        ]
        return frozenset(
            name for name, chain in self.import_chains(worked_roots).items() if chain.likelihood == Likelihood.AT_IMPORT
        )
