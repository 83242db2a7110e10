"""Build the source trees of a cell: the service itself if its metadata need a build, and requirements by path."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.text import join_names
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.resolution.lock import Undetermined, Unresolvable, project_of
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.build_tools import MissingTool
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.services.detection.packaging import old_build_requirements
from pytest_py312.repository.tree import Tree, join_path
from pytest_py312.runners.fingerprints import copy_tree
from pytest_py312.runners.git_version import write_repository


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeBuild:
    """The result of building a source tree: a distribution, or findings, or why there is no result."""

    distribution: StoredDistribution | None = None
    findings: tuple[Finding, ...] = ()
    unchecked: str = ""
    missing: MissingTool | None = None


_SOURCE_COPY: Work[bool] = Work("copy")
_TREE_BUILD: Work[TreeBuild] = Work("tree")


class SourceTrees:
    """Builder of the source trees of cells, each once per run and interpreter build. Thread-safe."""

    def __init__(
        self, *, plan: Plan, request_builder: RequestBuilder, store: DistributionStore, single_flight: SingleFlight
    ) -> None:
        self._plan = plan
        self._request_builder = request_builder
        self._store = store
        self._single_flight = single_flight

    def cached(self, cell: Cell, build: InterpreterBuild) -> list[StoredDistribution] | None:
        """Return the source trees of a cell; ``None`` if one is not built, since its requirements are unknown then."""
        trees = [
            self._cached_tree(cell, folder, build)
            for folder in self._request_builder.requirements.source_trees(cell.service, build)
        ]
        if requires_service(trees, cell.service):
            trees.append(self._cached_tree(cell, cell.service.path, build))
        built_trees = [tree for tree in trees if tree is not None]
        return built_trees if len(built_trees) == len(trees) else None

    def _cached_tree(self, cell: Cell, folder: str, build: InterpreterBuild) -> StoredDistribution | None:
        editable = self._request_builder.requirements.is_editable(cell.service, folder)
        return self._store.get_tree(*self._request_builder.folders.source_copy(folder), build, editable=editable)

    def build(
        self, cell: Cell, build: InterpreterBuild, without: Collection[str] = ()
    ) -> tuple[list[StoredDistribution], list[Finding]]:
        """Build the source trees; return them, and a finding for each that does not build on this interpreter.

        :param without: folders that are left out.
        :raises Undetermined: some could not be built for another reason; ``names`` are their folders.
        """
        distributions, findings = [], []
        unbuilt: dict[str, TreeBuild] = {}
        folders = list(self._request_builder.requirements.source_trees(cell.service, build))
        for folder in folders:
            if folder in without:
                continue
            editable = self._request_builder.requirements.is_editable(cell.service, folder)
            result = self._built_tree(folder, build, editable=editable)
            if result.distribution is not None:
                distributions.append(result.distribution)
            elif result.unchecked:
                unbuilt[folder] = result
            findings += [self._own_build_finding(finding, folder, cell) for finding in result.findings]
            if cell.service.path not in folders and requires_service(distributions, cell.service):
                folders.append(cell.service.path)
        if unbuilt:
            folder, first = next(iter(unbuilt.items()))
            subject = "the service itself" if folder == cell.service.path else folder
            raise Undetermined(f"{subject}: {first.unchecked}", names=tuple(unbuilt), missing=first.missing)
        return distributions, findings

    def _built_tree(self, folder: str, build: InterpreterBuild, *, editable: bool) -> TreeBuild:
        """Build a source tree, once per run and interpreter build whatever the result is."""
        source, key = self._request_builder.folders.source_copy(folder)
        self._single_flight.run(_SOURCE_COPY.of(key), lambda: self._copy_source_tree(folder, source))

        def built() -> TreeBuild:
            try:
                distribution = self._store.install_tree(source, key, build, self._plan.build_limit, editable=editable)
                return TreeBuild(distribution=distribution)
            except Unresolvable as blocked:
                return TreeBuild(findings=blocked.findings)
            except Undetermined as reason:
                return TreeBuild(unchecked=str(reason), missing=reason.missing)

        return self._single_flight.run(_TREE_BUILD.of(key, build.digest, editable), built)

    def _own_build_finding(self, finding: Finding, folder: str, cell: Cell) -> Finding:
        if folder.endswith(".whl"):
            required = self._request_builder.requirements.of(cell.service).locals
            return replace(finding, location=next((item.location for item in required if item.path == folder), None))
        subject = "the service itself" if folder == cell.service.path else folder
        reason = finding.message.rpartition("fails to build: ")[2]
        text = Tree(self._plan.root).read_or_none(join_path(folder, "pyproject.toml")) or ""
        limited = old_build_requirements(read_toml(text))
        raised = f"require a newer version than {join_names(limited)} in [build-system], or " if limited else ""
        return replace(
            finding,
            code="PY106",
            message=f"{subject} does not build on {cell.interpreter}: {reason}",
            remedy=f"{raised}fix its setup so that it builds there",
            location=Location(path=cell.service.manifest or folder),
            names=(),
        )

    def _copy_source_tree(self, folder: str, source: Path) -> bool:
        if source.exists():
            return True
        outer = self._request_builder.folders.outer_paths(folder)
        is_in_place = self._request_builder.folders.keeps_place(folder)
        copy = source.parents[len(PurePosixPath(folder).parts) - 1] if is_in_place else source
        staging = copy.with_name(f".{copy.name}.part")
        staging.parent.mkdir(parents=True, exist_ok=True)
        for path in (folder, *outer):
            target = staging / path if is_in_place else staging
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_tree(self._plan.root / path, target, within=self._plan.root)
        if version := self._request_builder.folders.git_version(folder):
            write_repository(staging, version)
        staging.rename(copy)
        return True


def requires_service(trees: Iterable[StoredDistribution | None], service: Service) -> bool:
    """Return whether one of ``trees`` requires the service, which needs no build for itself."""
    distribution = service.distribution
    if distribution is None or not distribution.static:
        return False
    own = canonicalize_name(distribution.name)
    return any(project_of(line) == own for tree in trees if tree is not None for line in tree.requires)
