"""What the analysis of the distributions of a service depends on: its source, its requirements, what is installed."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_py312.analysis.files.source_reader import ScannedSource
from pytest_py312.analysis.libraries.missing_requirements import (
    DeclaredRequirements,
    asked_extras,
    declared_requirements,
    unrequired_distributions,
)
from pytest_py312.analysis.libraries.service_imports import NeighborModules, own_module_names
from pytest_py312.analysis.libraries.unprovided_imports import Providers
from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.serialization import encode
from pytest_py312.core.service_patterns import matches
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry
from pytest_py312.repository.services.requirements.sources import additional_services
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.fingerprints import code_digest


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryInputs:
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


def collect_inputs(
    cell: Cell,
    installation: Installation,
    baseline_installation: Installation,
    *,
    plan: Plan,
    request_builder: RequestBuilder,
    source: ScannedSource,
    neighbors: NeighborModules,
) -> LibraryInputs:
    """Return the inputs of the analysis of a cell.

    :param source: the Python files of the service.
    """
    service, requirements = cell.service, request_builder.requirements
    entries = installation.distributions
    is_built_from = request_builder.folders.is_built_from
    declared, mentioned = _required_entries(service, request_builder)
    own_trees = [entry for entry in entries if entry.is_of_repository and is_built_from(service.path, entry)]
    files = [facts.path for facts in source.facts]
    return LibraryInputs(
        source=source,
        local_names=own_module_names(service, files, Tree(plan.root), neighbors),
        run_time=_run_time_extras(service, request_builder, entries),
        mentioned=frozenset({*mentioned, *request_builder.required_by_trees(cell, own_trees)}),
        installation=installation,
        baseline_installation=baseline_installation,
        own_lines=tuple(
            (str(item.location), f"{item.name}; {item.entry.marker}" if item.entry.marker else item.name)
            for item in declared
        ),
        places={item.name: item.location for item in reversed(declared)},
        intermediate=tuple(planned_cell.interpreter for planned_cell in cells_of(plan, service)),
        source_trees={
            entry.name: path
            for path in requirements.source_trees(service)
            for entry in entries
            if is_built_from(path, entry)
        },
        installed_alone=requirements.installed_alone(service),
        left_out=requirements.production_leaves_out(service),
        is_waived=any(
            waiver.code == "PY120" and matches(waiver.service, service.name, service.path) for waiver in plan.waivers
        ),
    )


def _required_entries(
    service: Service, request_builder: RequestBuilder
) -> tuple[Sequence[LocatedEntry], frozenset[str]]:
    """Return what the files of a service require, and the projects that these or its additional files name.

    What only the assumed tools for tests bring is required by nothing.
    """
    required = tuple(source for source in service.test_requirements if not source.assumed)
    declared = service
    if required != service.test_requirements:
        declared = replace(service, name=f"{service.name}+declared", test_requirements=required)
    sets = [request_builder.requirements.of(owner) for owner in (declared, *additional_services(service))]
    return sets[0].entries, frozenset(item.name for requirements in sets for item in requirements.entries)


def _run_time_extras(
    service: Service, request_builder: RequestBuilder, entries: Sequence[StoredDistribution]
) -> dict[str, set[str]]:
    """Return the projects of the run-time requirements, also those required by path, and the extras that they name."""
    extras: dict[str, set[str]] = {}
    deployed = replace(service, name=f"{service.name}+run-time", test_requirements=(), separate_tests=False)
    for item in request_builder.requirements.of(deployed).entries:
        extras.setdefault(item.name, set()).update(asked_extras(item.text))
    for entry in entries:
        if entry.is_of_repository:
            extras.setdefault(entry.name, set())
    return extras
