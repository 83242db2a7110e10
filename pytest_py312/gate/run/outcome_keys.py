"""Compute cache keys of outcomes: digests of everything that an outcome depends on.

With an equal key, the outcome of an earlier run is still valid.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.serialization import encode
from pytest_py312.dependencies.installation.cell_locks import WITHOUT_LOCK
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import CheckTraits
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.gate.run.waivers import waivers_for
from pytest_py312.repository.services.file_ownership import shared_files_digest
from pytest_py312.repository.services.requirements.sources import installed_sets
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.fingerprints import code_digest
from pytest_py312.runners.local import LOCAL, RESULT_AFFECTING_VARIABLES
from pytest_py312.runners.runner import CellUnavailable, Runner
from pytest_py312.runners.suite_job import folders_read_by
from pytest_py312.runners.surroundings import Surroundings

if TYPE_CHECKING:
    from pytest_py312.analysis.libraries.service_imports import NeighborModules


_ABOUT_REPOSITORY = re.compile(
    r"(?:README|CHANGELOG|CONTRIBUTING|LICENSE|NOTICE)(?:\.(?:md|rst|txt))?|py312\.toml|\.gitignore|(?:.*/)?CODEOWNERS"
)
"""Files of the root that say nothing to a suite. The plan has its part in the key as it is read."""


class OutcomeKeys:
    """The cache keys of the tasks of one run. An empty key means that the outcome must not be cached."""

    def __init__(
        self, *, plan: Plan, runner: Runner, installer: Installer, uv_version: str, services: Sequence[Service] = ()
    ) -> None:
        """
        :param services: all services of the fleet.
        """
        self._plan = plan
        self._runner = runner
        self._installer = installer
        self._uv_version = uv_version
        self._services = services
        self._surroundings = Surroundings(plan.root, services)
        self._shared_digest = ""
        self._digests_around: dict[str, str] = {}
        self._sibling_names: NeighborModules | None = None
        self._keys: dict[tuple[str, bool], str] = {}
        self._without_lock: set[str] = set()

    def key_of(self, task: CheckTask, *, installs: bool) -> str:
        """Return the key of a task; empty if a part of it is not known yet: a lock, or why there is none.

        A check of another plugin has no key, because neither its inputs nor its code are known. Neither have image and
        benchmark, which depend on more than files.

        :param installs: whether this run installs the cell.
        """
        traits = CheckTraits.of(task.check)
        if task.check not in CHECKS:
            return ""
        service_key = self._service_key(task.cell.service, installs=installs)
        if not service_key:
            return ""
        surroundings = self._cached_shared_digest() if traits.reads_around else ""
        if traits.runs_suite:
            surroundings += self._files_around(task.cell.service)
        if traits.sees_names_around:
            surroundings += " ".join(self._sibling_module_names(task.cell.service))
        return hashlib.sha256(
            f"{service_key} {task.check.name} {task.interpreter} {surroundings}".encode("utf-8", "surrogatepass")
        ).hexdigest()

    def is_locked(self, service: Service) -> bool:
        """Return whether a lock of each cell is part of the keys of ``service``."""
        return service.name not in self._without_lock

    def is_still_valid(self, task: CheckTask) -> bool:
        """Return whether the files that an outcome depends on are unchanged since its key was computed."""
        folders = self._folders_read(task.cell.service)
        own_unchanged = all(self._installer.request_builder.folders.is_unchanged(folder) for folder in folders)
        return own_unchanged and (
            not CheckTraits.of(task.check).reads_around or self._cached_shared_digest() == self._compute_shared_digest()
        )

    def _files_around(self, service: Service) -> str:
        """Return a digest of the files around a service that its suite may read; not of those about the repository."""
        if service.name not in self._digests_around:
            files = self._surroundings.files(service)
            relevant = [(path, text) for path, text in sorted(files.items()) if not _ABOUT_REPOSITORY.fullmatch(path)]
            self._digests_around[service.name] = hashlib.sha256(json.dumps(relevant).encode()).hexdigest()
        return self._digests_around[service.name]

    def _sibling_module_names(self, service: Service) -> list[str]:
        from pytest_py312.analysis.libraries.service_imports import NeighborModules

        self._sibling_names = self._sibling_names or NeighborModules(Tree(self._plan.root))
        return sorted(self._sibling_names.names(service))

    def _cached_shared_digest(self) -> str:
        self._shared_digest = self._shared_digest or self._compute_shared_digest()
        return self._shared_digest

    def _compute_shared_digest(self) -> str:
        return shared_files_digest(Tree(self._plan.root), self._services, self._plan.exclude)

    def _service_key(self, service: Service, *, installs: bool) -> str:
        """Return the digest of source, locks, interpreter builds, this package, uv, the runner and the service's plan.

        It covers all cells of the service, because the outcomes of the others depend on the baseline.
        """
        if (service.name, installs) in self._keys:
            return self._keys[service.name, installs]
        cells = cells_of(self._plan, service)
        plan = self._plan
        parts: list[object] = [code_digest(), self._uv_version, self._runner.name, plan.isolation, plan.engines]
        parts += [plan.reruns, encode(_without_owners(service)), [str(on) for on in plan.interpreters]]
        if self._runner.name == LOCAL:
            parts.append([os.environ.get(name) for name in RESULT_AFFECTING_VARIABLES])
        parts += [encode(waiver) for waiver in waivers_for(self._plan.waivers, service)]
        parts += [self._installer.request_builder.folders.digest(folder) for folder in self._folders_read(service)]
        read = {
            *self._installer.requirements.files(service),
            *(service.recipe.files if service.recipe else ()),
        }
        outside = [file for file in read if not file.startswith(f"{service.path}/")]
        paths = [path for file in sorted(outside) if (path := self._plan.root / file).is_file()]
        parts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        parts += [self._build_digest(cell) for cell in cells]
        lock_digests = [self._cached_lock_digests(cell) for cell in cells]
        if installs and None in lock_digests:
            return ""
        if any(digest.startswith(WITHOUT_LOCK) for digests in lock_digests for digest in digests or ()):
            self._without_lock.add(service.name)
        key = hashlib.sha256(json.dumps([*parts, lock_digests]).encode("utf-8", "surrogatepass")).hexdigest()
        if None not in lock_digests:
            self._keys[service.name, installs] = key  # unknown locks may be known later
        return key

    def _folders_read(self, service: Service) -> list[str]:
        builder = self._installer.request_builder
        trees = set()
        for each in installed_sets(service):
            trees |= {required.path for required in builder.requirements.of(each).locals}
            trees |= {*builder.requirements.own_distributions(each).values()}
        built = {folder for each in installed_sets(service) for folder in builder.requirements.source_trees(each)}
        packed = {path for folder in trees | built for path in builder.folders.outer_paths(folder)}
        return sorted({*folders_read_by(service), *trees, *packed})

    def _build_digest(self, cell: Cell) -> str:
        try:
            return self._installer.build(cell).digest
        except CellUnavailable as reason:
            return f"none: {reason}"

    def _cached_lock_digests(self, cell: Cell) -> list[str] | None:
        """Return the digests of the locks of a cell, or ``None`` if they are not cached."""
        try:
            return self._installer.locks.cached_digests(cell)
        except CellUnavailable:
            return None


def _without_owners(service: Service) -> Service:
    """Return the service without those who are responsible for it, on whom no outcome depends."""
    settings = replace(service.settings, owner=())
    return replace(service, owners=(), owners_source="", settings=settings)
