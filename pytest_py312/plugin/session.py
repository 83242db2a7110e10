"""Run the gate in a pytest session; registered when a ``--py312`` option asks for it.

There are three kinds of processes: a plain run (collects, prefetches in threads, reports), xdist's controller (only
reports) and xdist's workers (collect and check; shared results are computed by the first one that needs them).
"""

import gc
import os
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_py312.core import clock
from pytest_py312.core.directories import STATE_FOLDER, default_cache_folder
from pytest_py312.core.errors import Py312Error
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.report import EXIT_INCONCLUSIVE, Checkout, Report, ReportSection
from pytest_py312.core.process import enable_interrupts
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import Check, CheckResult, CheckTraits
from pytest_py312.gate.fixes.verification_run import is_second_run
from pytest_py312.gate.history.history_store import HistoryStore
from pytest_py312.gate.history.stored_runs import RunStore
from pytest_py312.gate.report_files import ReportWriter
from pytest_py312.gate.reports import terminal
from pytest_py312.gate.reports.run_verdict import summarize
from pytest_py312.gate.run.assembly import GateAssembly
from pytest_py312.gate.run.run_report import RunResults
from pytest_py312.gate.run.tasks import CheckTask, unproven_tasks
from pytest_py312.plugin.command_line import (
    RunOptions,
    asks_for_rollout,
    discover_fleet,
    read_known_findings,
    read_options,
    refuse_unknown_markers,
)
from pytest_py312.plugin.extensions import Extensions
from pytest_py312.plugin.item_results import ItemResults
from pytest_py312.plugin.nodes import (
    CheckItem,
    CollectionContext,
    ServiceTasks,
    directory_node,
    no_extra_nodes,
    show_own_ids,
)
from pytest_py312.plugin.progress import register_progress
from pytest_py312.plugin.pytest_support.processes import (
    TerminationHandler,
    garbage_collection_paused,
    hand_over_remarks,
    is_cluster_service,
    is_controller,
    is_worker,
    remarks_of,
    shared_folder,
)
from pytest_py312.plugin.pytest_support.terminal_output import write_known_findings, write_lines, write_report_files
from pytest_py312.plugin.shard_options import prepare_shard
from pytest_py312.plugin.task_selection import TaskSelection
from pytest_py312.repository.checkout import read_checkout

if TYPE_CHECKING:
    from pytest_py312.plugin.fixes import FixSession
    from pytest_py312.plugin.rollout import RolloutPlugin
    from pytest_py312.plugin.shards import ShardPlugin
    from pytest_py312.rollout.execution.stage_runner import FindUnproven


def register(config: pytest.Config) -> None:
    """Read the command line and the fleet, and register the session's hooks.

    :raises pytest.UsageError: the command line, the plan or the repository has a mistake.
    """
    enable_interrupts()
    try:
        session = GateSession(config)
        config.pluginmanager.register(session, "py312-session")
        register_progress(config, session.assembly.shared_folder)
    except Py312Error as error:
        raise pytest.UsageError(str(error)) from None


class GateSession:
    """Hooks of a pytest session with the gate."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.options: RunOptions = read_options(config, default_cache_folder)
        if self.options.cluster:
            from pytest_py312.plugin.cluster import refuse_combinations

            refuse_combinations(config, self.options)
        self.fleet: Fleet = discover_fleet(config, self.options.plan)
        self._extensions = Extensions(config)
        self._extensions.announce_fleet(self.options.plan, self.fleet)
        extra = self._extensions.more_checks()
        self._checks = (*CHECKS, *self._optional_checks(), *extra)
        for check in extra:
            config.addinivalue_line("markers", f"py312_{check.name}: a check that was added to the gate's own")
        refuse_unknown_markers(config)
        self._selection = TaskSelection(options=self.options, fleet=self.fleet, checks=self._checks)
        self._objections: tuple[str, ...] = ()
        self._sections: tuple[ReportSection, ...] = ()
        self.rollout = _make_rollout(config, self.options, self.fleet, self._find_unproven)
        self.tasks: ServiceTasks = (
            [] if self.rollout is not None and self.rollout.verify_only else self._selection.selected()
        )
        shard = prepare_shard(config, self.options)
        self._known_findings = read_known_findings(self.options, is_part=shard is not None)
        self._termination = TerminationHandler()
        self.assembly = self._make_assembly(config)
        config.add_cleanup(self._end)
        if not config.option.collectonly:
            self.assembly.describe_runner()  # reports a runner that does not work before the first item
        self._results = ItemResults(config)
        self._cut_short = False
        self._termination.install()
        self._exit_status: int | None = None
        self._report_writer = ReportWriter(
            self.options.plan.root, self.options.reports, annotations=self.options.annotations
        )
        self._runs = RunStore(self.options.plan.root / STATE_FOLDER)
        self._checkout: Future[Checkout] | None = None
        self._is_stored = (
            bool(self.tasks) and not (is_worker(config) or is_second_run()) and not config.option.collectonly
        )
        self._fix_session = self._make_fix_session()
        self._shard: ShardPlugin | None = None
        if shard is not None:
            from pytest_py312.plugin.shards import register_shard

            names = [check.name for check in self._checks]
            self._shard = register_shard(
                config, shard, self.options, self.tasks, self.assembly, names, self._narrow_tasks
            )

    def _make_fix_session(self) -> "FixSession | None":
        if not (self.options.diff or self.options.fix):
            return None
        from pytest_py312.plugin.fixes import FixSession  # imports the editors, which few runs need

        return FixSession(self.options, self.fleet, self.assembly)

    def _make_assembly(self, config: pytest.Config) -> GateAssembly:
        known_findings = self._known_findings.entries if self._known_findings is not None else {}
        chosen = [service.name for service, _ in self.tasks]
        fleet = replace(self.fleet, assumptions=self.fleet.assumptions_about(chosen)) if chosen else self.fleet
        if self.options.cluster:
            from pytest_py312.plugin.cluster import make_cluster_assembly

            return make_cluster_assembly(config, self.options, fleet, known_findings)
        return GateAssembly(
            self.options,
            shared_folder=shared_folder(config),
            fleet=fleet,
            known_findings=known_findings,
            plugins=self._extensions,
        )

    def _narrow_tasks(self, tasks: ServiceTasks) -> None:
        """Restrict the run to ``tasks``, those of its part, when they are known."""
        self.tasks = tasks

    # -- selection

    def _optional_checks(self) -> tuple[Check, ...]:
        """Return the checks that options add, which are imported only then."""
        checks: list[Check] = []
        if self.options.images:
            from pytest_py312.gate.checks.image import ImageCheck

            checks.append(ImageCheck())
        if self.options.benchmark:
            from pytest_py312.gate.checks.benchmark import BenchmarkCheck

            checks.append(BenchmarkCheck())
        return tuple(checks)

    # -- collection

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        # a node id of a service is a folder with ::parts behind it, which pytest would refuse: the parts are in
        # ``self.options.selections``, and what pytest collects is the one folder of the plan
        session.config.args = [str(self.options.plan.root)]
        show_own_ids(session.config)
        if self._is_stored:
            thread = ThreadPoolExecutor(1)  # git reads all of a large repository; the answer is needed at the end
            self._checkout = thread.submit(read_checkout, self.options.plan.root, os.environ)
            thread.shutdown(wait=False)
            self._runs.begin(self.assembly.run_id, clock.now_text())
        with garbage_collection_paused():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        root = self.options.plan.root
        if path == root or path in root.parents:
            extra_nodes = self.rollout.nodes if self.rollout is not None else no_extra_nodes
            return directory_node(
                parent,
                path,
                CollectionContext(
                    root=root,
                    tasks=self.tasks,
                    run_task=self.assembly.run,
                    extra_nodes=extra_nodes,
                ),
            )
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        return False if collection_path == self.options.plan.root else None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # stable: only benchmarks move, to the end, when nothing else runs any more
        items.sort(key=lambda item: isinstance(item, CheckItem) and CheckTraits.of(item.task.check).comes_last)
        if not self._config.pluginmanager.hasplugin("xdist"):
            return
        for item in items:
            if isinstance(item, CheckItem):
                # keeps a service on one worker with --dist loadgroup; otherwise it has no effect
                item.add_marker(pytest.mark.xdist_group(item.task.cell.service.name))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._results.select_items(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        self._results.select_ids(ids, self._selected, self.options.plan.root)

    # -- running

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        if session.config.option.collectonly or session.testsfailed:
            return
        tasks = [node.task for node in session.items if isinstance(node, CheckItem)]
        try:
            if tasks and is_worker(session.config):
                self.assembly.scheduler.prepare_shared(tasks)
            elif tasks and not is_controller(session.config):
                self.assembly.prefetch(tasks)
        except Py312Error as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        return self._results.record(item, call, report) if isinstance(item, CheckItem) else report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._results.receive(report)

    def pytest_report_teststatus(self, report: pytest.TestReport, config: pytest.Config) -> Any:
        result = self._results.get(report.nodeid)
        if result is None or report.when != "call" or report.skipped or not result.outcome.cached:
            return None
        return ("passed", ".", "PASSED (cached)") if report.passed else ("failed", "F", "FAILED (cached)")

    def _find_unproven(self, services: Sequence[str]) -> list[str]:
        """Return the tasks of ``services`` that passed neither in this run nor in an earlier one that still holds."""
        tasks = [task for name in services for task in self._selection.tasks_of(self.fleet[name])]
        unproven = unproven_tasks(tasks, self._results.outcomes, self.assembly.scheduler.is_proven)
        return unproven or list(self._extensions.objections(self.report(0)))

    # -- reporting

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        cells = {task.cell.identifier for task in self._selected}
        is_run = not config.option.collectonly  # listing items does not look for an engine
        return terminal.header_lines(
            target=str(self.options.plan.target),
            services=len(self.tasks),
            cells=len(cells),
            runner=self.assembly.describe_runner() if is_run else "",
            resolver=self.assembly.describe_resolver() if is_run else "",
            plan=self.options.plan.source,
        )

    @property
    def results(self) -> list[CheckResult]:
        """The results of the run so far."""
        return self._results.results

    @property
    def _selected(self) -> list[CheckTask]:
        return [task for _, tasks in self.tasks for task in tasks]

    def report(self, exit_status: int) -> Report:
        """Return the report of the run so far."""
        results = RunResults(
            tasks=self._selected,
            results=self._results.results,
            exit_status=exit_status,
            cut_short=self._cut_short,
            not_run=self._results.not_run,
            end_signal=self._termination.signal_name,
            rollout=self.rollout.report() if self.rollout is not None else None,
            checkout=self._checkout.result() if self._checkout is not None else Checkout(),
        )
        report = self.assembly.report(results, self._checks)
        return replace(report, objections=self._objections, sections=self._sections)

    def pytest_keyboard_interrupt(self) -> None:
        self._results.end_early()
        self._termination.begin_ending()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._termination.begin_ending()
        if self._shard is not None:
            exitstatus = self._shard.exit_status(session, int(exitstatus))
        if is_worker(session.config):
            hand_over_remarks(session.config, self.assembly.remarks())
            return
        if session.config.option.collectonly:
            return
        self._exit_status, self._cut_short = self._results.finish(
            session, int(exitstatus), self._selected, self.assembly.finished
        )
        if self.options.tolerates_inconclusive and self._results.is_inconclusive(session, self._exit_status):
            self._exit_status = EXIT_INCONCLUSIVE
        if self._exit_status != exitstatus:
            session.exitstatus = self._exit_status
        self._results.shorten_failures()
        if self.rollout is not None:
            self._exit_status = self.rollout.finish(session, self._exit_status)
        report = self._complete_report(session)
        if self._shard is not None:
            report = self._shard.attach(report)
        self.assembly.history.record(report.benchmarks, report.generated)
        if not is_cluster_service(session.config):
            report = self._show_to_plugins(session, report)
        if self._known_findings is not None and not self._known_findings.finish(report, self._selection.tasks_of_name):
            self._exit_status = session.exitstatus = pytest.ExitCode.USAGE_ERROR
            report = replace(report, exit_status=int(self._exit_status))
        if not self._report_writer.write(report):
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        try:
            if self._fix_session is not None:  # last, because the changes are checked and reported in a second run
                self._fix_session.finish(session, report)
        finally:
            if self._is_stored:
                exit_status = int(session.exitstatus)
                self._runs.complete(self.assembly.run_id, report, summarize(report).sentence, exit_status)
                HistoryStore(self.options.plan.root / STATE_FOLDER).add(self.assembly.run_id, report, exit_status)

    def _show_to_plugins(self, session: pytest.Session, report: Report) -> Report:
        """Show the report to other plugins; one that fails is an objection, which is added to the report."""
        problem = self._extensions.announce_report(report)
        if not problem:
            return report
        report = self._with_objections(session, replace(report, shard=None), (*self._objections, problem))
        return self._shard.attach(report) if self._shard is not None else report

    def _with_objections(self, session: pytest.Session, report: Report, objections: tuple[str, ...]) -> Report:
        """Return the report with the objections of plugins, which turn a green run red."""
        self._objections = objections
        if objections and self._exit_status in (pytest.ExitCode.OK, EXIT_INCONCLUSIVE):
            self._exit_status = session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return replace(report, exit_status=int(self._exit_status or 0), objections=objections)

    def _complete_report(self, session: pytest.Session) -> Report:
        """Return the report with what other plugins add."""
        report = self.report(self._exit_status or 0)
        if is_cluster_service(session.config):
            return report
        report = self._with_objections(session, report, self._extensions.objections(report))
        self._sections = self._extensions.sections(report)
        report = replace(report, sections=self._sections)
        if self._is_stored and any(path.suffix == ".html" for path in self.options.reports):
            history = HistoryStore(self.options.plan.root / STATE_FOLDER)
            report = replace(report, history=history.table(report, self.assembly.run_id))
        return report

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
        if config.option.collectonly or (self.rollout is not None and self.rollout.verify_only):
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
        writer.section(f"py312: readiness for Python {self.options.plan.target}", sep="=")
        write_lines(writer, lines)
        if self._fix_session is not None:
            self._fix_session.show(writer)
        if self._known_findings is not None:
            write_known_findings(writer, self._known_findings)
        if self.rollout is not None:
            self.rollout.show(writer)
        write_report_files(writer, self._report_writer, report)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if self._fix_session is not None and self._fix_session.last_line and terminal is not None:
            terminal.write_line(self._fix_session.last_line)

    def _end(self) -> None:
        """End what runs, and remove what is temporary; also if nobody reads the output any more, and hooks fail."""
        self.assembly.close()
        self._termination.restore()
        gc.freeze()  # pytest collects garbage several times now, which is useless in a process that ends

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Send xdist's workers the path of their shared folder."""
        node.workerinput["py312_shared"] = str(self.assembly.shared_folder())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        remarks = remarks_of(node)
        if remarks:
            self.assembly.add_remarks(remarks)


def _make_rollout(
    config: pytest.Config, options: RunOptions, fleet: Fleet, find_unproven: "FindUnproven"
) -> "RolloutPlugin | None":
    """Return the plugin that deploys and monitors a stage, if the command line asks for it.

    :raises OptionError: an option is invalid, or they cannot be combined.
    """
    if not asks_for_rollout(config):
        return None
    from pytest_py312.plugin.rollout import RolloutPlugin, read_rollout_options

    rollout = RolloutPlugin(config, read_rollout_options(config, options, fleet), options.plan, fleet, find_unproven)
    config.pluginmanager.register(rollout, "py312-rollout")
    return rollout
