"""The nodes of the gate in pytest's tree: fleet, service, interpreter, item."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.gate.reports.terminal_findings import failure_text
from pytest_py312.gate.run.tasks import Item

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from pytest_py312.gate.checks.check import Judgement


class GateFailed(Exception):
    """Ends an item that failed or could not be checked. Carries the outcome; never shown as a traceback."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.reason)


Judge = Callable[[Item], "Judgement"]
Plant = Sequence[tuple[Service, Sequence[Item]]]
"""What grows in the tree: services with their chosen items."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planting:
    """What grows where: ``root`` is the fleet's folder, ``beside`` makes the nodes that stand beside its services."""

    root: Path
    plant: Plant
    judge: Judge
    beside: Callable[[pytest.Collector], Iterable[pytest.Collector]]


def nothing_beside(parent: pytest.Collector) -> Iterable[pytest.Collector]:
    return ()


class WayToFleet(pytest.Directory):
    """A folder above the fleet. Only the way down is collected, so nothing else of the repository is imported."""

    planting: Planting

    def collect(self) -> Iterator[pytest.Collector]:
        down = self.planting.root.relative_to(self.path).parts[0]
        yield directory(self, self.path / down, self.planting)


class FleetNode(pytest.Directory):
    """The folder of the plan."""

    planting: Planting

    def collect(self) -> Iterator[pytest.Collector]:
        for service, items in self.planting.plant:
            node = ServiceNode.from_parent(self, path=self.path / service.path)
            node.service, node.items, node.judge = service, items, self.planting.judge
            yield node
        yield from self.planting.beside(self)


def directory(parent: pytest.Collector, path: Path, planting: Planting) -> pytest.Directory:
    """The node for ``path``, which is the fleet's root or lies above it."""
    if path == planting.root:
        fleet = FleetNode.from_parent(parent, path=path)
        fleet.planting = planting
        return fleet
    way = WayToFleet.from_parent(parent, path=path)
    way.planting = planting
    return way


class ServiceNode(pytest.File):
    """A service, at its real path.

    A File and not a Directory, because pytest imports the ``conftest.py`` of every Directory before it collects it,
    and the service's must only ever be imported in its cells.
    """

    service: Service
    items: Sequence[Item]
    judge: Judge

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        cells: dict[Cell, list[Item]] = {}
        for item in self.items:
            if item.interpreter is None:
                yield gate_item(self, item, self.judge)
            else:
                cells.setdefault(item.cell, []).append(item)
        for cell, items in cells.items():
            node = CellNode.from_parent(self, name=cell.interpreter.label)
            node.items, node.judge = items, self.judge
            yield node


class CellNode(pytest.Collector):
    """One interpreter of a service."""

    items: Sequence[Item]
    judge: Judge

    def collect(self) -> Iterator[pytest.Item]:
        for item in self.items:
            yield gate_item(self, item, self.judge)


def gate_item(parent: pytest.Collector, item: Item, judge: Judge) -> "GateItem":
    """The node of one item."""
    node = GateItem.from_parent(parent, name=item.check.name)
    node.take(item, judge)
    return node


class GateItem(pytest.Item):
    """One check of one cell, or of one service."""

    item: Item
    judgement: "Judgement | None" = None

    def take(self, item: Item, judge: Judge) -> None:
        """Say what this node is about; called once, right after it was made."""
        self.item = item
        self._judge = judge
        service = item.cell.service
        about = {
            "service": service.name,
            "interpreter": str(item.interpreter or ""),
            "stage": service.stage,
            "check": item.check.name,
        }
        self.user_properties += [(f"py312_{name}", str(value)) for name, value in about.items()]
        self.add_marker(pytest.mark.py312(**about))
        self.add_marker(f"py312_{item.check.name}")
        self.extra_keyword_matches.update((service.name, f"stage{service.stage}", item.cell.identifier))

    def runtest(self) -> None:
        self.judgement = self._judge(self.item)
        outcome = self.judgement.outcome
        if outcome.status is Status.SKIPPED:
            pytest.skip(outcome.reason)
        if outcome.status in (Status.FAILED, Status.ERRORED):
            raise GateFailed(outcome)

    def repr_failure(self, excinfo: "ExceptionInfo[BaseException]", style: Any = None) -> "str | TerminalRepr":
        if isinstance(excinfo.value, GateFailed):
            return failure_text(excinfo.value.outcome, verbosity=self.config.get_verbosity())
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        service = self.item.cell.service
        place = self.fleet_root() / (service.manifest or service.path)
        return place, 0, " ".join(("-".join((service.name, *self.item.parts[:-1])), self.item.check.name))

    def fleet_root(self) -> Path:
        """The folder of the plan."""
        for node in self.listchain():
            if isinstance(node, FleetNode):
                return node.path
        return self.config.rootpath


ANSWERED = ("py312_status", "py312_codes", "py312_cached")
"""What of an item's properties is known once it was answered."""


def properties_of(outcome: Outcome) -> list[tuple[str, object]]:
    codes = sorted({finding.code for finding in outcome.findings if finding.blocks})
    found: list[tuple[str, object]] = [("py312_status", outcome.status.value)]
    if codes:
        found.append(("py312_codes", ",".join(codes)))
    if outcome.cached:
        found.append(("py312_cached", "true"))
    return found


def location_of(item: GateItem, outcome: Outcome) -> tuple[str, int | None, str]:
    """Where the first blocking finding is, for annotations and editors; paths are relative to pytest's rootdir."""
    path, line, domain = item.location
    for finding in outcome.findings:
        if finding.blocks and finding.location is not None:
            file = item.fleet_root() / finding.location.path
            if file.is_relative_to(item.config.rootpath):
                path = file.relative_to(item.config.rootpath).as_posix()
            return path, (finding.location.line or 1) - 1, domain
    return path, line, domain
