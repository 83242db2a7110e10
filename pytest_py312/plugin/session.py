"""The gate in a pytest session: what is registered once a ``--py312`` option asks for it.

Three kinds of process: a plain run (collects, works ahead in threads, reports), xdist's controller (only reports) and
xdist's workers (collect and judge; what they need in common is made by the first that comes).
"""

import gc
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_py312 import __version__
from pytest_py312.core import clock
from pytest_py312.core.directories import STATE_FOLDER, default_cache
from pytest_py312.core.errors import OptionError, Py312Error
from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Cell, Fleet, Service
from pytest_py312.core.model.report import Report
from pytest_py312.core.process import enable_interrupts
from pytest_py312.core.serialization import decode, encode
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import Check, Judgement, comes_last
from pytest_py312.gate.reports import terminal
from pytest_py312.gate.run.assembly import Workshop
from pytest_py312.gate.run.benchmark_history import SpeedHistory
from pytest_py312.gate.run.selection import choose, choose_interpreters
from pytest_py312.gate.run.source_excerpts import SourceLines
from pytest_py312.gate.run.tasks import Item, errored_by_mistake, items_of, unproven
from pytest_py312.plugin.baseline import recorded_of
from pytest_py312.plugin.command_line import Aim, Chosen, aim_of, fleet_of, is_rollout
from pytest_py312.plugin.nodes import (
    ANSWERED,
    GateFailed,
    GateItem,
    Plant,
    Planting,
    directory,
    location_of,
    nothing_beside,
    properties_of,
)
from pytest_py312.plugin.report_files import Reports
from pytest_py312.plugin.xdist import is_controller, is_worker, shared_folder
from pytest_py312.repository.plan.fleet_check import check_against_fleet

if TYPE_CHECKING:
    from pytest_py312.analysis.services.service_analysis import Inspection
    from pytest_py312.gate.fixes.source_verification import Judges
    from pytest_py312.gate.fixes.version_changes import MovePlan
    from pytest_py312.plugin.fixes import Mending, Moves
    from pytest_py312.plugin.rollout import RolloutItems
    from pytest_py312.repository.edits.change_set import FileChange
    from pytest_py312.rollout.execution.stage_runner import Unproven

PAYLOAD = "py312_judgement"
"""Attribute of a test report that carries its judgement, as plain data, from xdist's workers to the controller."""


def register(config: pytest.Config) -> None:
    """Read the command line and the fleet, and take the session over.

    :raises pytest.UsageError: the user's mistake, in words.
    """
    enable_interrupts()
    try:
        config.pluginmanager.register(GateSession(config), "py312-session")
    except Py312Error as error:
        raise pytest.UsageError(str(error)) from None


class GateSession:
    """Hooks of one pytest session with the gate in it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.aim: Aim = aim_of(config, default_cache)
        self.fleet: Fleet = fleet_of(config, self.aim.plan)
        names = [(service.name, service.path) for service in self.fleet.services]
        check_against_fleet(self.aim.plan, names)
        config.hook.pytest_py312_fleet(config=config, plan=self.aim.plan, fleet=self.fleet)
        extra = [check for checks in config.hook.pytest_py312_checks(config=config) or () for check in checks]
        self._checks = (*CHECKS, *self._asked_for(), *extra)
        for check in extra:
            config.addinivalue_line("markers", f"py312_{check.name}: a check that was added to the gate's own")
        self.rollout = _rollout(config, self.aim, self.fleet, self._unproven)
        self.plant: Plant = [] if self.rollout is not None and self.rollout.stands_alone else self._plant()
        self.workshop = Workshop(self.aim, shared=shared_folder(config), fleet=self.fleet)
        if not config.option.collectonly:
            self.workshop.describe_runner()  # a runner that cannot work is told before the first item
        self._judged: dict[str, Judgement] = {}
        self._cut_short = False
        self._exit_status: int | None = None
        self._lines = SourceLines(self.aim.plan.root)
        self._recorded = recorded_of(self.aim)
        self._reports = Reports(self.aim.plan.root, self.aim.reports, annotations=self.aim.annotations)
        self._history = SpeedHistory(self.aim.plan.root / STATE_FOLDER)
        self._mending = _mending(self.aim, self._judged_with, self._moves)

    # -- what is chosen

    def _asked_for(self) -> tuple[Check, ...]:
        """The checks that an option adds, loaded where it is given."""
        asked: list[Check] = []
        if self.aim.build:
            from pytest_py312.gate.checks.image import Image

            asked.append(Image())
        if self.aim.benchmark:
            from pytest_py312.gate.checks.benchmark import Benchmark

            asked.append(Benchmark())
        return tuple(asked)

    def _plant(self) -> Plant:
        services = [
            service
            for service in choose(self.fleet, self.aim.plan, stages=self.aim.stages, patterns=self.aim.services)
            if self._is_on_a_chosen_path(service)
        ]
        if not services:
            paths = ", ".join(str(item.path) for item in self.aim.chosen)
            raise OptionError(f"no chosen service is at {paths}; `py312 inventory` lists the services")
        plant: list[tuple[Service, Sequence[Item]]] = [(service, self._items(service)) for service in services]
        if self.aim.interpreters:
            choose_interpreters([item.cell for _, items in plant for item in items], self.aim.interpreters)
        plant = [(service, self._wanted(service, items)) for service, items in plant]
        for chosen in self.aim.chosen:
            self._must_match(chosen, plant)
        return [(service, items) for service, items in plant if items]

    def _folder(self, service: Service) -> Path:
        return (self.aim.plan.root / service.path).resolve()

    def _is_on_a_chosen_path(self, service: Service) -> bool:
        folder = self._folder(service)
        return not self.aim.chosen or any(chosen.takes_service(folder) for chosen in self.aim.chosen)

    def _items(self, service: Service) -> tuple[Item, ...]:
        return items_of(self.aim.plan, service, self._checks)

    def _wanted(self, service: Service, items: Sequence[Item]) -> list[Item]:
        folder = self._folder(service)
        return [
            item
            for item in items
            if (not self.aim.interpreters or item.cell.interpreter in self.aim.interpreters)
            and (not self.aim.chosen or any(chosen.takes_item(folder, item.parts) for chosen in self.aim.chosen))
        ]

    def _must_match(self, chosen: Chosen, plant: Plant) -> None:
        if any(chosen.takes_service(self._folder(service)) and items for service, items in plant):
            return
        written = "::".join((str(chosen.path), *chosen.parts))
        known = [
            "::".join(item.parts)
            for service in self.fleet.services
            if chosen.takes_service(self._folder(service))
            for item in self._items(service)
        ]
        raise OptionError(f"{written}: there is no such item; the service has {', '.join(known[:12]) or 'none'}")

    # -- collection

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        # a node id of a service is a folder with ::parts behind it, which pytest would refuse: the parts are in the
        # aim, and what pytest collects is the one folder of the plan
        session.config.args = [str(self.aim.plan.root)]
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        root = self.aim.plan.root
        if path == root or path in root.parents:
            beside = self.rollout.nodes if self.rollout is not None else nothing_beside
            return directory(parent, path, Planting(root=root, plant=self.plant, judge=self.judge, beside=beside))
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        return False if collection_path == self.aim.plan.root else None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # a sort keeps the order of the others: what is measured waits until nothing else runs
        items.sort(key=lambda item: isinstance(item, GateItem) and comes_last(item.item.check))
        if not self._config.pluginmanager.hasplugin("xdist"):
            return
        for item in items:
            if isinstance(item, GateItem):
                # with --dist loadgroup a service stays on one worker; elsewhere the marker means nothing
                item.add_marker(pytest.mark.xdist_group(item.item.cell.service.name))

    # -- running

    def judge(self, item: Item) -> Judgement:
        """The answer to ``item``, with what is recorded known: laid over it here, it is no part of what is cached."""
        judgement = self.workshop.gate.judge(item)
        outcome = judgement.outcome
        if self._recorded is not None:
            outcome = self._recorded.lay_over(outcome)
        return replace(judgement, outcome=self._lines.laid_into(outcome))

    def _judged_with(self, files: Mapping[str, bytes], services: Sequence[str]) -> "Mapping[str, Inspection]":
        return self.workshop.gate.inspection_with(files, [self.fleet[name] for name in services])

    def _moves(self, outcomes: Sequence[Outcome], written: "Sequence[FileChange]") -> "MovePlan":
        from pytest_py312.gate.fixes.ready_services import moves_of

        builds = self.workshop.builds()
        return moves_of(
            self.aim.plan, self.fleet.services, outcomes, close=self.aim.close, builds=builds, written=written
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        if session.config.option.collectonly or session.testsfailed:
            return
        items = [node.item for node in session.items if isinstance(node, GateItem)]
        try:
            if items and is_worker(session.config):
                self.workshop.gate.prepare_shared(items)
            elif items and not is_controller(session.config):
                self.workshop.gate.start_ahead(items)
        except Py312Error as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not isinstance(item, GateItem) or call.when != "call":
            return report
        judgement = item.judgement
        if judgement is None and call.excinfo is not None and isinstance(call.excinfo.value, Exception):
            outcome = errored_by_mistake(item.item, call.excinfo.value)
            judgement = Judgement(outcome=outcome)
        if judgement is None:
            return report
        outcome = replace(judgement.outcome, nodeid=item.nodeid)
        self._judged[item.nodeid] = replace(judgement, outcome=outcome)
        if is_worker(self._config):
            setattr(report, PAYLOAD, encode(self._judged[item.nodeid]))
        properties = properties_of(outcome)
        report.user_properties += properties
        # JUnit takes them from the teardown's report; an item that is run again (--reruns) has them once
        item.user_properties = [found for found in item.user_properties if found[0] not in ANSWERED] + properties
        if outcome.status is Status.ERRORED and report.failed:
            report.when = "setup"  # pytest's own word for "could not be tried": shown as ERROR, counted apart
        if isinstance(call.excinfo and call.excinfo.value, GateFailed):
            report.location = location_of(item, outcome)
        if report.skipped:
            place, line, _ = item.reportinfo()
            report.longrepr = (str(place), (line or 0) + 1, f"Skipped: {outcome.reason}")
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        payload = getattr(report, PAYLOAD, None)
        if payload is not None:
            self._judged[report.nodeid] = decode(Judgement, payload)

    def pytest_report_teststatus(self, report: pytest.TestReport, config: pytest.Config) -> Any:
        judged = self._judged.get(report.nodeid)
        if judged is not None and report.when == "call" and report.passed and judged.outcome.cached:
            return "passed", ".", "PASSED (cached)"
        return None

    def _unproven(self, services: Sequence[str]) -> list[str]:
        """Which items of ``services`` neither passed in this run nor in an earlier one whose answers hold."""
        items = [item for name in services for item in self._items(self.fleet[name])]
        return unproven(items, [one.outcome for one in self._judged.values()], self.workshop.gate.is_proven)

    # -- reporting

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        cells = {item.cell.identifier for _, items in self.plant for item in items}
        asks = not config.option.collectonly  # which engine answers is not asked for a mere list
        return terminal.header(
            target=str(self.aim.plan.target),
            services=len(self.plant),
            cells=len(cells),
            runner=self.workshop.describe_runner() if asks else "",
            resolver=self.workshop.describe_resolver() if asks else "",
            plan=self.aim.plan.source,
        )

    def _all_items(self, name: str) -> tuple[Item, ...]:
        """Everything that could be asked of a service; nothing where the fleet has none of this name."""
        return tuple(item for one in self.fleet.services if one.name == name for item in self._items(one))

    def report(self, exit_status: int) -> Report:
        """Everything that is known of the run so far."""
        judged = list(self._judged.values())
        outcomes = [judgement.outcome for judgement in judged]
        named = {outcome.service for outcome in outcomes} | {service.name for service, _ in self.plant}
        return Report(
            plan=self.aim.plan,
            services=tuple(service for service in self.fleet.services if service.name in named),
            cells=self._cells(outcomes),
            outcomes=tuple(outcomes),
            checks=tuple(check.name for check in self._checks),
            comparisons=tuple(comparison for judgement in judged if (comparison := judgement.comparison) is not None),
            speeds=self._history.laid_beside(speed for judgement in judged for speed in judgement.speeds),
            assumptions=self.fleet.assumptions,
            runner=self.workshop.describe_runner(),
            resolver=self.workshop.describe_resolver(),
            generated=clock.now_text(),
            tool_version=__version__,
            exit_status=exit_status,
            builds=self.workshop.builds(),
            rollout=self.rollout.report() if self.rollout is not None else None,
        )

    def _cells(self, outcomes: Sequence[Outcome]) -> tuple[Cell, ...]:
        """The cells of the run: those that were answered or, when it was cut short, should have been."""
        answered = {(outcome.service, outcome.interpreter) for outcome in outcomes}
        cells = {item.cell.identifier: item.cell for _, items in self.plant for item in items}
        return tuple(
            cell for cell in cells.values() if self._cut_short or (cell.service.name, cell.interpreter) in answered
        )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._cut_short = bool(session.shouldstop or session.shouldfail) or exitstatus == pytest.ExitCode.INTERRUPTED
        if is_worker(session.config) or session.config.option.collectonly:
            return
        self._exit_status = int(exitstatus)
        if self.rollout is not None:
            self._exit_status = self.rollout.finish(session, int(exitstatus))
        report = self.report(self._exit_status)
        self._history.keep(report.speeds, report.generated)
        session.config.hook.pytest_py312_report(config=session.config, report=report)
        if self._recorded is not None:
            self._recorded.finish(session, report, self._all_items)
        self._reports.write(session, report)
        if self._mending is not None:
            self._mending.finish(session, report.outcomes)  # last: what it changes is judged, and reported, anew

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
        if config.option.collectonly or (self.rollout is not None and self.rollout.stands_alone):
            return
        writer = terminalreporter
        unicode = "utf" in (getattr(writer._tw._file, "encoding", "") or "").lower()
        report = self.report(int(exitstatus) if self._exit_status is None else self._exit_status)
        lines = terminal.summary_lines(
            report,
            width=writer._tw.fullwidth,
            unicode=unicode,
            verbosity=config.get_verbosity(),
            today=clock.today(),
        )
        writer.section("services on a new Python", sep="=")
        for line in lines:
            for text, style in line.segments:
                markup = {"light" if style == "dim" else style: True} if style else {}
                writer.write(text, **markup)
            writer.write("\n")
        if self._mending is not None:
            self._mending.show(writer)
        if self._recorded is not None:
            self._recorded.show(writer)
        if self.rollout is not None:
            self.rollout.show(writer)
        self._reports.show(writer, report)

    def pytest_unconfigure(self) -> None:
        self.workshop.close()
        gc.freeze()  # pytest now looks for garbage several times over, and this process ends

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist's controller tells its workers where they meet."""
        node.workerinput["py312_shared"] = str(self.workshop.shared_folder())


def _rollout(config: pytest.Config, aim: Aim, fleet: Fleet, asked: "Unproven") -> "RolloutItems | None":
    """What deploys and watches a stage, where that is asked for.

    :raises OptionError: it cannot be had so.
    """
    if not is_rollout(config):
        return None
    from pytest_py312.plugin.rollout import RolloutItems, rollout_aim

    made = RolloutItems(config, rollout_aim(config, aim, fleet), aim.plan, fleet, asked)
    config.pluginmanager.register(made, "py312-rollout")
    return made


def _mending(aim: Aim, judges: "Judges", moves: "Moves") -> "Mending | None":
    if not (aim.diff or aim.fix):
        return None
    from pytest_py312.plugin.fixes import Mending, Wishes  # brings the editors, which few runs need

    wishes = Wishes(fix=aim.fix, annotate=aim.annotate, allow_dirty=aim.allow_dirty, utc=aim.utc)
    return Mending(aim.plan.root, target=aim.plan.target, wishes=wishes, judges=judges, moves=moves)
