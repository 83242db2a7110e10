"""What an outcome depends on, in one digest: where that is what it was, an earlier run's answer holds."""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.serialization import encode
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import keeps_outcome, reads_around, sees_names_around
from pytest_py312.gate.run.tasks import Item
from pytest_py312.gate.run.waivers import waivers_of
from pytest_py312.repository.services.file_ownership import outside_digest
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.fingerprints import code_digest
from pytest_py312.runners.local import LOCAL, TELLING_VARIABLES
from pytest_py312.runners.runner import CellUnavailable, Runner
from pytest_py312.runners.suite_job import folders_of

if TYPE_CHECKING:
    from pytest_py312.analysis.libraries.service_imports import Around


class OutcomeKeys:
    """The keys of one run's items. An empty key is of an outcome that must not be kept, nor taken from before."""

    def __init__(
        self, *, plan: Plan, runner: Runner, installer: Installer, uv_version: str, services: Sequence[Service] = ()
    ) -> None:
        """``services``: all of the fleet."""
        self._plan = plan
        self._runner = runner
        self._installer = installer
        self._uv_version = uv_version
        self._services = services
        self._around = ""
        self._named: Around | None = None
        self._keys: dict[tuple[str, bool], str] = {}

    def of(self, item: Item, *, installs: bool) -> str:
        """The key of an item; empty while a part of it (a lock) is not known, in a run that ``installs`` its cell.

        Of a check from elsewhere it is never known: neither what it reads nor whether its own code has changed.
        """
        if item.check not in CHECKS or not keeps_outcome(item.check):
            return ""
        whole = self._of_service(item.cell.service, installs=installs)
        if not whole:
            return ""
        around = self._digest_around() if reads_around(item.check) else ""
        if sees_names_around(item.check):
            around += " ".join(self._names_around(item.cell.service))
        return hashlib.sha256(
            f"{whole} {item.check.name} {item.interpreter} {around}".encode("utf-8", "surrogatepass")
        ).hexdigest()

    def hold(self, item: Item) -> bool:
        """Whether the files that an item's answer rests on are what they were when its key was made."""
        folders = self._read_folders(item.cell.service)
        own = all(self._installer.demands.is_unchanged(folder) for folder in folders)
        return own and (not reads_around(item.check) or self._digest_around() == self._read_around())

    def _names_around(self, service: Service) -> list[str]:
        from pytest_py312.analysis.libraries.service_imports import Around

        self._named = self._named or Around(Tree(self._plan.root))
        return sorted(self._named.names(service))

    def _digest_around(self) -> str:
        self._around = self._around or self._read_around()
        return self._around

    def _read_around(self) -> str:
        return outside_digest(Tree(self._plan.root), self._services, self._plan.exclude)

    def _of_service(self, service: Service, *, installs: bool) -> str:
        """Source, locks, interpreter builds, this package's code, uv, the runner, and all the plan says of the service.

        For all of the service's cells together, since the baseline's run decides about the others.
        """
        if (service.name, installs) in self._keys:
            return self._keys[service.name, installs]
        cells = cells_of(self._plan, service)
        parts: list[object] = [code_digest(), self._uv_version, self._runner.name, self._plan.isolation]
        parts += [self._plan.reruns, encode(service), [str(one) for one in self._plan.interpreters]]
        if self._runner.name == LOCAL:
            parts.append([os.environ.get(name) for name in TELLING_VARIABLES])
        parts += [encode(waiver) for waiver in waivers_of(self._plan.waivers, cells[0])]
        parts += [self._installer.demands.digest(folder) for folder in self._read_folders(service)]
        outside = [file for file in self._installer.demands.files(service) if not file.startswith(f"{service.path}/")]
        parts += [hashlib.sha256((self._plan.root / file).read_bytes()).hexdigest() for file in sorted(outside)]
        parts += [self._build(cell) for cell in cells]
        known = [self._known_locks(cell) for cell in cells]
        if installs and None in known:
            return ""
        key = hashlib.sha256(json.dumps([*parts, known]).encode("utf-8", "surrogatepass")).hexdigest()
        if None not in known:
            self._keys[service.name, installs] = key  # locks may still come to be known
        return key

    def _read_folders(self, service: Service) -> list[str]:
        local = [required.path for required in self._installer.demands.requirements(service).locals]
        return sorted({*folders_of(service), *local})

    def _build(self, cell: Cell) -> str:
        try:
            return self._runner.find(cell.interpreter).digest
        except CellUnavailable as reason:
            return f"none: {reason}"

    def _known_locks(self, cell: Cell) -> list[str] | None:
        """The locks of a cell, or ``None`` where they are not known without asking anyone."""
        try:
            return self._installer.known_locks(cell)
        except CellUnavailable:
            return None
