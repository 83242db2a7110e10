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

from pytest_py312 import __version__, clock
from pytest_py312.checks import CHECKS
from pytest_py312.checks.base import Check, Judgement, comes_last
from pytest_py312.codec import decode, encode
from pytest_py312.config import check_against_fleet
from pytest_py312.errors import OptionError, Py312Error
from pytest_py312.excerpts import SourceLines
from pytest_py312.items import Item, errored_by_mistake, items_of
from pytest_py312.matrix import choose, choose_interpreters
from pytest_py312.model import Cell, Fleet, Outcome, Report, Service, Status
from pytest_py312.plugin_aim import Aim, Chosen, aim_of, fleet_of
from pytest_py312.plugin_items import GateFailed, GateItem, Plant, directory
from pytest_py312.plugin_recorded import recorded_of
from pytest_py312.plugin_reports import Reports
from pytest_py312.reports import terminal
from pytest_py312.speed_history import SpeedHistory
from pytest_py312.workshop import Workshop, default_cache

if TYPE_CHECKING:
    from pytest_py312.inspection import Inspection
    from pytest_py312.mending import FileChange
    from pytest_py312.plugin_mending import Mending, Moves
    from pytest_py312.source_proof import Judges
    from pytest_py312.version_moves import MovePlan

PAYLOAD = "py312_judgement"
"""Attribute of a test report that carries its judgement, as plain data, from xdist's workers to the controller."""


def register(config: pytest.Config) -> None:
    """Read the command line and the fleet, and take the session over.

    :raises pytest.UsageError: the user's mistake, in words.
    """
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
        self.plant: Plant = self._plant()
        self.workshop = Workshop(self.aim, shared=_shared(config), fleet=self.fleet)
        if not config.option.collectonly:
            self.workshop.describe_runner()  # a runner that cannot work is told before the first item
        self._judged: dict[str, Judgement] = {}
        self._cut_short = False
        self._lines = SourceLines(self.aim.plan.root)
        self._recorded = recorded_of(self.aim)
        self._reports = Reports(self.aim.plan.root, self.aim.reports, annotations=self.aim.annotations)
        self._history = SpeedHistory(self.aim.plan.root / ".py312")
        self._mending = _mending(self.aim, self._judged_with, self._moves)

    # -- what is chosen

    def _asked_for(self) -> tuple[Check, ...]:
        """The checks that an option adds, loaded where it is given."""
        asked: list[Check] = []
        if self.aim.build:
            from pytest_py312.checks.image import Image

            asked.append(Image())
        if self.aim.benchmark:
            from pytest_py312.checks.benchmark import Benchmark

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
            return directory(parent, path, root, self.plant, self.judge)
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
        from pytest_py312.moving import moves_of

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
            if items and _is_worker(session.config):
                self.workshop.gate.prepare_shared(items)
            elif items and not _is_controller(session.config):
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
        if _is_worker(self._config):
            setattr(report, PAYLOAD, encode(self._judged[item.nodeid]))
        properties = _properties(outcome)
        report.user_properties += properties
        # JUnit takes them from the teardown's report; an item that is run again (--reruns) has them once
        item.user_properties = [found for found in item.user_properties if found[0] not in _ANSWERED] + properties
        if outcome.status is Status.ERRORED and report.failed:
            report.when = "setup"  # pytest's own word for "could not be tried": shown as ERROR, counted apart
        if isinstance(call.excinfo and call.excinfo.value, GateFailed):
            report.location = _location(item, outcome)
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
        if _is_worker(session.config) or session.config.option.collectonly:
            return
        report = self.report(int(exitstatus))
        self._history.keep(report.speeds, report.generated)
        session.config.hook.pytest_py312_report(config=session.config, report=report)
        if self._recorded is not None:
            self._recorded.finish(session, report, self._all_items)
        self._reports.write(session, report)
        if self._mending is not None:
            self._mending.finish(session, report.outcomes)  # last: what it changes is judged, and reported, anew

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
        if config.option.collectonly:
            return
        writer = terminalreporter
        unicode = "utf" in (getattr(writer._tw._file, "encoding", "") or "").lower()
        report = self.report(int(exitstatus))
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
        self._reports.show(writer, report)

    def pytest_unconfigure(self) -> None:
        self.workshop.close()
        gc.freeze()  # pytest now looks for garbage several times over, and this process ends

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist's controller tells its workers where they meet."""
        node.workerinput["py312_shared"] = str(self.workshop.shared_folder())


_ANSWERED = ("py312_status", "py312_codes", "py312_cached")


def _mending(aim: Aim, judges: "Judges", moves: "Moves") -> "Mending | None":
    if not (aim.diff or aim.fix):
        return None
    from pytest_py312.plugin_mending import Mending, Wishes  # brings the editors, which few runs need

    wishes = Wishes(fix=aim.fix, annotate=aim.annotate, allow_dirty=aim.allow_dirty, utc=aim.utc)
    return Mending(aim.plan.root, target=aim.plan.target, wishes=wishes, judges=judges, moves=moves)


def _properties(outcome: Outcome) -> list[tuple[str, object]]:
    codes = sorted({finding.code for finding in outcome.findings if finding.blocks})
    found: list[tuple[str, object]] = [("py312_status", outcome.status.value)]
    if codes:
        found.append(("py312_codes", ",".join(codes)))
    if outcome.cached:
        found.append(("py312_cached", "true"))
    return found


def _location(item: GateItem, outcome: Outcome) -> tuple[str, int | None, str]:
    """Where the first blocking finding is, for annotations and editors; paths are relative to pytest's rootdir."""
    path, line, domain = item.location
    for finding in outcome.findings:
        if finding.blocks and finding.location is not None:
            file = item.fleet_root() / finding.location.path
            if file.is_relative_to(item.config.rootpath):
                path = file.relative_to(item.config.rootpath).as_posix()
            return path, (finding.location.line or 1) - 1, domain
    return path, line, domain


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _is_controller(config: pytest.Config) -> bool:
    """xdist's controller: it collects nothing, and learns of outcomes from its workers' reports."""
    return config.pluginmanager.hasplugin("dsession")


def _shared(config: pytest.Config) -> Path | None:
    folder = getattr(config, "workerinput", {}).get("py312_shared")
    return Path(folder) if folder else None
