"""The commands for a deployed stage, ``py312 watch, sample, promote, abort``, and ``load-test, export``.

Each returns the text to print and the exit code. For a soak, that is 0 if it was accepted, 1 for any other final state,
2 if it was interrupted, and 75 if it is healthy but not over: call again later.
"""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit

from pytest_py312.cli.rollout_commands import current_status, driver_with_signals, requested_overrides
from pytest_py312.cli.rollout_common import (
    CommandOutput,
    describe_decision,
    describe_dry_run,
    describe_load,
    describe_monitoring,
    json_output,
    stage_of_services,
    with_journal,
)
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.serialization import encode
from pytest_py312.core.text import format_duration
from pytest_py312.rollout.canary_analysis.soak_status import format_credit
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.acceptance import acceptance_documents, describe_acceptance
from pytest_py312.rollout.domain.events import Decided
from pytest_py312.rollout.domain.journal import Journal, LostOwnership
from pytest_py312.rollout.domain.model import DEPLOYMENT_STATES, MONITORED, SOAK_STATES, StageRun, StageState, Verdict
from pytest_py312.rollout.domain.next_act import has_pending_work
from pytest_py312.rollout.domain.soak_overrides import effective_settings, sampling_interval
from pytest_py312.rollout.domain.stop_signals import StopRequest, stop_loop_on_signals, stop_on_signals
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import LockedByAnother, current_operator, is_holder_active
from pytest_py312.rollout.execution.watcher import StateReporter, Watcher, make_watcher
from pytest_py312.rollout.live.live_page import LivePage
from pytest_py312.rollout.live.live_terminal import live_display
from pytest_py312.rollout.metrics.load_generator import parse_step, run_load
from pytest_py312.rollout.metrics.load_report import LoadLimits, LoadReport
from pytest_py312.rollout.monitoring.soak import SoakSnapshot
from pytest_py312.rollout.reporting.alert_rules import (
    alert_rules,
    budget_alerts,
    collect_budgets,
    format_rules,
    rules_document,
)
from pytest_py312.rollout.reporting.grafana_dashboard import build_dashboard
from pytest_py312.rollout.reporting.prometheus_metrics import StageMetrics, serve_metrics
from pytest_py312.rollout.targets.target import Target, TargetError

EXIT_PENDING = 75
"""EX_TEMPFAIL: try again later."""
EXIT_INTERRUPTED = 2


def _selected_run(context: RolloutContext, journal: Journal, options: argparse.Namespace) -> StageRun:
    newest_runs = journal.current_runs(options.env)
    stage = options.stage
    if stage is None:
        stage = stage_of_services(options.services, newest_runs, context.service_paths)
    selected = next((run for run in newest_runs if run.stage == stage), None)
    if selected is None:
        raise OptionError(f"stage {stage} was never deployed in {options.env}; see `py312 deploy --help`")
    return selected


# ---- monitoring


@with_journal
def watch(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    """Monitor a stage, or take one sample of it.

    If another process already does so, that is no error: only report the stage's state from the journal.
    """
    run = _selected_run(context, journal, options)
    if options.dry_run:
        text = describe_monitoring(
            options.command, run, sampling_interval(run, context.settings()), current_status(context, journal, run)
        )
        return describe_dry_run(text, run.services, as_json=options.json)
    is_unfinished = any(has_pending_work(newest_run) for newest_run in journal.current_runs(run.environment))
    if not is_unfinished and run.state not in MONITORED:
        return _format_progress(SoakSnapshot(run=run), options)
    target, stop = context.target(), StopRequest()
    try:
        with stop_on_signals(stop):  # not only while it samples: a rollback must not be interrupted
            if is_unfinished:
                run = _recover_unfinished(context, journal, run, target)
            if run.state in MONITORED:
                return _soak(options, context, journal, run, target, stop)
    except LockedByAnother as error:
        run = journal.load_run(run.run)
        if not is_holder_active(error.holder, journal, run, sampling_interval(run, context.settings())):
            raise
        return _format_progress(SoakSnapshot(run=run), options, busy=str(error))
    except LostOwnership as error:
        return _format_progress(SoakSnapshot(run=journal.load_run(run.run)), options, busy=str(error))
    return _format_progress(SoakSnapshot(run=run), options)


def _recover_unfinished(context: RolloutContext, journal: Journal, run: StageRun, target: Target) -> StageRun:
    """Finish the work of a process that was killed, or that lost the engine while rolling back a stage."""
    driver = Driver(journal, target, current_operator(), log=context.log)
    notifier = StateReporter(journal, context.settings().environment_settings(run.environment), context.log)
    runs_before = {newest_run.run: newest_run for newest_run in journal.current_runs(run.environment)}
    for recovered in driver.recover(run.environment):
        asyncio.run(notifier.report_change(runs_before[recovered.run], recovered))
    notifier.write_metrics(
        [
            StageMetrics(run=newest_run, history=journal.history(newest_run.run))
            for newest_run in journal.current_runs(run.environment)
        ]
    )
    return journal.load_run(run.run)


def _soak(
    options: argparse.Namespace,
    context: RolloutContext,
    journal: Journal,
    run: StageRun,
    target: Target,
    stop: StopRequest,
) -> CommandOutput:
    settings = effective_settings(
        run, context.settings(), requested_overrides(options), accept_changes=options.accept_config_change
    )
    driver = Driver(journal, target, current_operator(), log=context.log)
    watcher = make_watcher(context, journal, driver, target, run, settings)
    page = LivePage(
        watcher,
        journal,
        context.plan,
        context.fleet(),
        settings,
        lambda stage_run: current_status(context, journal, stage_run),
    )
    progress = watcher.finish(asyncio.run(_wait_for_soak(options, watcher, page, stop)))
    driver.release(run.run)
    return _format_progress(progress, options)


async def _wait_for_soak(
    options: argparse.Namespace, watcher: Watcher, page: LivePage, stop: StopRequest
) -> SoakSnapshot:
    if options.command == "sample":
        with stop_loop_on_signals(stop):
            return await watcher.soak.sample_once(stop)
    async with AsyncExitStack() as exit_stack:
        if options.port is not None:
            try:
                port = await exit_stack.enter_async_context(
                    serve_metrics(watcher.metrics_text, render_page=page.render, port=options.port)
                )
            except (OSError, OverflowError) as error:
                raise OptionError(f"--port {options.port}: cannot listen on this port: {error}") from error
            watcher.reporter.log(f"live page: http://127.0.0.1:{port}/, metrics: http://127.0.0.1:{port}/metrics")
        watcher.soak.on_sample = exit_stack.enter_context(live_display(sys.stderr, page.view, watcher.reporter.log))
        with stop_loop_on_signals(stop):
            return await watcher.soak.wait(stop)


def exit_code(progress: SoakSnapshot) -> int:
    """Return the exit code for the state of a soak."""
    if progress.interrupted_by:
        return EXIT_INTERRUPTED
    if progress.run.is_completed:
        return 0
    return EXIT_PENDING if progress.run.state in SOAK_STATES else 1


def _format_progress(progress: SoakSnapshot, options: argparse.Namespace, busy: str = "") -> CommandOutput:
    """:param busy: which other process works on the stage; empty for this one."""
    run, code = progress.run, exit_code(progress)
    if busy and run.state in DEPLOYMENT_STATES:
        code = EXIT_PENDING
    if options.json:
        document = {
            "schema": 1, "run": run.run, "environment": run.environment, "stage": run.stage, "state": run.state.value,
            "verdict": run.verdict.value, "reason": run.reason, "credited": run.credited, "soak": run.soak,
            "slot": progress.slot, "missed": progress.missed, "untold": list(progress.inconclusive_reasons),
            "interrupted": progress.interrupted_by, "busy": busy or None, "next_in": round(progress.seconds_to_next, 3),
            "exit_status": code, "acceptance": acceptance_documents(run),
        }  # fmt: skip
        return json_output(document, code)
    lines = [f"stage {run.stage} in {run.environment} is {run.described_state}"]
    lines.append(f"{format_credit(run.credited, run.soak)} are credited")
    if progress.seconds_to_next:
        lines[-1] += f"; the next sample is due in {format_duration(progress.seconds_to_next)}"
    lines += [describe_acceptance(result) for result in run.acceptance_results]
    lines += [f"inconclusive: {reason}" for reason in progress.inconclusive_reasons]
    lines += [f"another process is working on this stage: {busy}"] if busy else []
    return "\n".join(lines) + "\n", code


# ---- deciding


@with_journal
def decide(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    """Record a decision, even while another process monitors the stage: that one loses ownership of the run."""
    run = _selected_run(context, journal, options)
    if run.state is not StageState.HELD:
        raise RolloutRefused(f"stage {run.stage} is {run.state.value}: there is nothing to decide")
    if options.dry_run:
        return describe_dry_run(
            describe_decision(run, accept=options.command == "promote"), run.services, as_json=options.json
        )
    operator = current_operator()
    notifier = StateReporter(journal, context.settings().environment_settings(options.env), context.log)
    with driver_with_signals(context, journal, context.target()) as driver:
        if options.command == "abort":
            decided_run = driver.rollback(run.run, reason=f"decided by {operator.name}: {options.reason}")
        else:
            journal.acquire(run.run, owner=driver.owner)
            decided_run = journal.record(
                run.run, Decided(accept=True, by=operator.name, reason=options.reason), owner=driver.owner
            )
        asyncio.run(notifier.report_change(run, decided_run))
        with suppress(TargetError):  # the lock can also be taken from a dead process later
            driver.detach(decided_run.run)
        driver.release(decided_run.run)
    is_successful = decided_run.state is not StageState.ROLLBACK_FAILED
    return _format_progress(SoakSnapshot(run=decided_run), options)[0], 0 if is_successful else 1


# ---- printing


def load_test(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Send requests at fixed rates, and check the latencies."""
    if not _is_http_address(options.url):
        raise OptionError(f"{options.url} is not an HTTP address, such as http://127.0.0.1:8000/health")
    try:
        steps = [parse_step(text) for text in options.step]
        if options.warm_up:
            steps.insert(0, parse_step(options.warm_up, is_judged=False))
        if options.dry_run:
            return describe_dry_run(describe_load(options.url, steps), (), as_json=options.json)
        limits = LoadLimits(p95=options.p95, p99=options.p99, errors=options.errors)
        report = run_load(options.url, steps, limits)
    except ValueError as error:
        raise OptionError(f"--step 200x60 is 200 requests a second for 60 seconds: {error}") from None
    code = 0 if report.verdict is Verdict.PASSED else 1
    return json_output({"schema": 1, **encode(report)}, code) if options.json else (_format_load_report(report), code)


def _is_http_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _format_load_report(report: LoadReport) -> str:
    lines = [f"{'rate':>8}{'achieved':>10}{'errors':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'longest':>10}  "]
    lines += [
        f"{step.rate:>6g}/s{step.achieved:>8.1f}/s{step.errors:>8}"
        + "".join(f"{value * 1000:>6.0f} ms" for value in (step.p50, step.p95, step.p99))
        + f"{step.longest * 1000:>7.0f} ms  {step.reason}"
        for step in report.steps
    ]
    lines.append(report.verdict.value + (f": {report.reason}" if report.reason else ""))
    return "\n".join(lines) + "\n"


def export(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Print alert rules or the dashboard."""
    if options.document == "dashboard":
        return json_output(build_dashboard())
    settings = context.settings()
    # the longest interval: a stage with fewer samples must not look like one without monitoring
    interval = max(
        settings.soak_settings_for(stage=stage_number).interval
        for stage_number in {0, *(stage.number for stage in context.plan.stages)}
    )
    rules = alert_rules(interval=interval, max_ratio=settings.compare.max_ratio)
    all_rules = (*rules, *budget_alerts(collect_budgets(settings, context.fleet().services), interval=interval))
    return json_output(rules_document(all_rules)) if options.json else (format_rules(all_rules), 0)
