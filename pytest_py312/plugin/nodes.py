"""The gate's nodes in pytest's tree: fleet, service, interpreter, check."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.text import escape_control
from pytest_py312.gate.reports.terminal_findings import failure_text
from pytest_py312.gate.run.tasks import CheckTask

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from pytest_py312.gate.checks.check import CheckResult


class GateFailed(Exception):
    """Raised by an item whose check failed or could not be carried out; never shown as a traceback."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.reason)


RunTask = Callable[[CheckTask], "CheckResult"]
ServiceTasks = Sequence[tuple[Service, Sequence[CheckTask]]]
"""The services of the run with their selected tasks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionContext:
    """What the collectors need: the fleet's root, its tasks, how to run one, and extra nodes (a rollout)."""

    root: Path
    tasks: ServiceTasks
    run_task: RunTask
    extra_nodes: Callable[[pytest.Collector], Iterable[pytest.Collector]]


def no_extra_nodes(parent: pytest.Collector) -> Iterable[pytest.Collector]:
    """Return no nodes: the ``extra_nodes`` of a run without a rollout."""
    return ()


class AncestorDirectory(pytest.Directory):
    """A directory above the fleet's root. Collects only the path down to it, so nothing else is imported."""

    context: CollectionContext

    def collect(self) -> Iterator[pytest.Collector]:
        child = self.context.root.relative_to(self.path).parts[0]
        yield directory_node(self, self.path / child, self.context)


class FleetNode(pytest.Directory):
    """The fleet's root: the plan's folder."""

    context: CollectionContext

    def collect(self) -> Iterator[pytest.Collector]:
        for service, tasks in self.context.tasks:
            path = self.path / service.path
            node_id = service_id(path, self.config.rootpath, self.path)
            names: dict[str, Any] = {"name": node_id.rpartition("/")[2], "nodeid": node_id} if node_id else {}
            node = ServiceNode.from_parent(self, path=path, **names)
            node.service, node.tasks, node.run_task = service, tasks, self.context.run_task
            yield node
        yield from self.context.extra_nodes(self)


def service_id(path: Path, rootpath: Path, root: Path) -> str:
    """Return the node id of the service at ``path``; empty if that is the one that pytest would give it.

    Ids are relative to pytest's root directory. If that lies inside of ``root``, the fleet's root, as it does where a
    service with a ``pytest.ini`` is named, they are relative to ``root``: a service has one id, whatever was typed.
    What a terminal must not get is escaped. Such an id ends with a digest: two services never have one id, and so one
    result, whatever their names are.
    """
    is_inside = rootpath != root and rootpath.is_relative_to(root)
    base = root if is_inside else rootpath
    relative = (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()
    if str(path).isprintable():
        return relative if is_inside else ""
    return f"{escape_control(relative)}~{hashlib.sha256(os.fsencode(relative)).hexdigest()[:12]}"


def show_own_ids(config: pytest.Config) -> None:
    """Let pytest print node ids as they are, and not relative to the working directory.

    Relative to the folder of a service, its own id would be ``.``.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.startpath = config.rootpath
    config.cwd_relative_nodeid = lambda nodeid: nodeid  # type: ignore[method-assign]


def directory_node(parent: pytest.Collector, path: Path, context: CollectionContext) -> pytest.Directory:
    """Return the node of ``path``, which is the fleet's root or above it."""
    if path == context.root:
        fleet = FleetNode.from_parent(parent, path=path)
        fleet.context = context
        return fleet
    ancestor = AncestorDirectory.from_parent(parent, path=path)
    ancestor.context = context
    return ancestor


class ServiceNode(pytest.File):
    """A service, at its real path.

    It is a File and not a Directory, because pytest imports the ``conftest.py`` of every Directory that it collects,
    and a service's must only be imported in its cells.
    """

    service: Service
    tasks: Sequence[CheckTask]
    run_task: RunTask

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        cells: dict[Cell, list[CheckTask]] = {}
        for task in self.tasks:
            if task.interpreter is None:
                yield make_check_item(self, task, self.run_task)
            else:
                cells.setdefault(task.cell, []).append(task)
        for cell, cell_tasks in cells.items():
            node = CellNode.from_parent(self, name=cell.interpreter.label)
            node.tasks, node.run_task = cell_tasks, self.run_task
            yield node


class CellNode(pytest.Collector):
    """One interpreter of a service."""

    tasks: Sequence[CheckTask]
    run_task: RunTask

    def collect(self) -> Iterator[pytest.Item]:
        for task in self.tasks:
            yield make_check_item(self, task, self.run_task)


def make_check_item(parent: pytest.Collector, task: CheckTask, run_task: RunTask) -> "CheckItem":
    """Return the item of ``task`` below ``parent``."""
    node = CheckItem.from_parent(parent, name=task.check.name)
    node.bind(task, run_task)
    return node


class CheckItem(pytest.Item):
    """One check of one cell, or of one service."""

    task: CheckTask
    result: "CheckResult | None" = None

    def bind(self, task: CheckTask, run_task: RunTask) -> None:
        """Set the task of this node; called once, right after it was created."""
        self.task = task
        self._run_task = run_task
        service = task.cell.service
        attributes = {
            "service": service.name,
            "interpreter": str(task.interpreter or ""),
            "stage": service.stage,
            "check": task.check.name,
        }
        self.user_properties += [(f"py312_{name}", str(value)) for name, value in attributes.items()]
        self.add_marker(pytest.mark.py312(**attributes))
        self.add_marker(f"py312_{task.check.name}")
        self.extra_keyword_matches.update((service.name, f"stage{service.stage}", task.cell.identifier))

    def runtest(self) -> None:
        self.result = None  # of an earlier attempt, if the item is run again
        self.result = self._run_task(self.task)
        outcome = self.result.outcome
        if outcome.status is Status.SKIPPED:
            pytest.skip(outcome.reason)
        if outcome.status in (Status.FAILED, Status.ERRORED):
            raise GateFailed(outcome)

    def repr_failure(self, excinfo: "ExceptionInfo[BaseException]", style: Any = None) -> "str | TerminalRepr":
        if isinstance(excinfo.value, GateFailed):
            return failure_text(excinfo.value.outcome, verbosity=self.config.get_verbosity())
        if not isinstance(
            excinfo.value, Exception
        ):  # another plugin has ended it: where the gate was then says nothing
            return f"{type(excinfo.value).__name__}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        service = self.task.cell.service
        path = self.fleet_root() / (service.manifest or service.path)
        name = " ".join(("-".join((service.name, *self.task.node_parts[:-1])), self.task.check.name))
        return Path(escape_control(str(path))), 0, escape_control(name)

    def fleet_root(self) -> Path:
        """Return the fleet's root."""
        for node in self.listchain():
            if isinstance(node, FleetNode):
                return node.path
        return self.config.rootpath


RESULT_PROPERTIES = ("py312_status", "py312_codes", "py312_cached")
"""The user properties of an item that depend on its result."""


def result_properties(outcome: Outcome) -> list[tuple[str, object]]:
    """Return the user properties :data:`RESULT_PROPERTIES` of an item; those that do not apply are missing."""
    codes = sorted({finding.code for finding in outcome.findings if finding.blocks})
    properties: list[tuple[str, object]] = [("py312_status", outcome.status.value)]
    if codes:
        properties.append(("py312_codes", ",".join(codes)))
    if outcome.cached:
        properties.append(("py312_cached", "true"))
    return properties


def finding_location(item: CheckItem, outcome: Outcome) -> tuple[str, int | None, str]:
    """Return path, line (from 0) and test name of the first blocking finding, for annotations and editors.

    The path is relative to pytest's root directory. It is the item's own location if no finding has one there.
    """
    _, _, test_name = item.location
    for finding in outcome.findings:
        if finding.blocks and finding.location is not None:
            file = item.fleet_root() / finding.location.path
            if file.is_relative_to(item.config.rootpath):
                path = escape_control(file.relative_to(item.config.rootpath).as_posix())
                return path, (finding.location.line or 1) - 1, test_name
    return item.location
