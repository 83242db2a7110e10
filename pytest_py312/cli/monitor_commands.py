"""What an operator does with a stage that is up: ``py312 watch, tick, decide``; and ``load, rules, dashboard``.

Each returns the text to print and the exit code. Of a soak that is 0 for accepted, 1 for whatever else it ended in, 2
for an interruption, and 75 for one that is healthy so far and not over: whoever started it comes back.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit

from pytest_py312.cli import common
from pytest_py312.cli.common import stage_with
from pytest_py312.cli.rollout_commands import asked_in, opened_journal, standing_in
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.events import Decided
from pytest_py312.rollout.domain.journal import Journal, LostRun
from pytest_py312.rollout.domain.model import StageRun, StageState, Verdict
from pytest_py312.rollout.domain.preconditions import UNDECIDED
from pytest_py312.rollout.domain.soak_overrides import interval_of, settings_of
from pytest_py312.rollout.domain.state_machine import WATCHED, is_unfinished
from pytest_py312.rollout.domain.stop_signals import Stop, stopped_by_signals
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import HeldByAnother, is_at_work, myself
from pytest_py312.rollout.execution.watcher import Teller, Watcher
from pytest_py312.rollout.live.live_page import LivePage
from pytest_py312.rollout.live.live_terminal import shown_on
from pytest_py312.rollout.metrics.load_generator import LoadLimits, LoadReport, Step, load, step_in
from pytest_py312.rollout.monitoring.soak import Progress
from pytest_py312.rollout.reporting.alert_rules import (
    alert_rules,
    budget_alerts,
    budgets_in,
    rules_document,
    rules_text,
)
from pytest_py312.rollout.reporting.grafana_dashboard import dashboard
from pytest_py312.rollout.reporting.prometheus_metrics import figures_of, serving
from pytest_py312.rollout.targets.target import TargetError

PENDING = 75
"""EX_TEMPFAIL: try again later."""
INTERRUPTED = 2


def run_command(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    """
    :raises Py312Error: it was refused, or cannot be done here.
    """
    if options.command in _PRINTED:
        return _PRINTED[options.command](options, ground)
    with opened_journal(options, ground) as journal:
        act = _decide if options.command == "decide" else _watch
        return act(options, ground, journal, _run_of(ground, journal, options))


def _run_of(ground: Ground, journal: Journal, options: argparse.Namespace) -> StageRun:
    known = journal.newest(options.env)
    stage = options.stage
    if stage is None:
        stage = stage_with(options.services, known, ground.paths)
    found = next((run for run in known if run.stage == stage), None)
    if found is None:
        raise OptionError(f"stage {stage} was never deployed in {options.env}; see `py312 deploy --help`")
    return found


# ---- watching


def _watch(options: argparse.Namespace, ground: Ground, journal: Journal, run: StageRun) -> tuple[str, int]:
    """Where another process is at it, nothing is done and nothing is wrong: the journal says how the stage stands."""
    if options.dry_run:
        text = common.watching(
            options.command, run, interval_of(run, ground.settings()), standing_in(ground, journal, run)
        )
        return common.would(text, run.services, as_json=options.json)
    try:
        if any(is_unfinished(one) for one in journal.newest(run.environment)):
            run = _finished(ground, journal, run)
        if run.state in WATCHED:
            return _watched(options, ground, journal, run)
    except HeldByAnother as error:
        run = journal.run(run.run)
        if not is_at_work(error.holder, journal, run, interval_of(run, ground.settings())):
            raise
        return _said(Progress(run=run), options, busy=str(error))
    except LostRun as error:
        return _said(Progress(run=journal.run(run.run)), options, busy=str(error))
    return _said(Progress(run=run), options)


def _finished(ground: Ground, journal: Journal, run: StageRun) -> StageRun:
    """What a process has left half done is done before anything else: one that was killed, or whose engine was away,
    just when it brought a stage back."""
    target = ground.target()
    driver = Driver(journal, target, myself(), told=ground.told)
    teller = Teller(journal, ground.settings().environment(run.environment), ground.told)
    before = {one.run: one for one in journal.newest(run.environment)}
    for done in driver.recover(run.environment):
        asyncio.run(teller.changed(before[done.run], done))
    teller.write([figures_of(one, journal.history(one.run)) for one in journal.newest(run.environment)])
    return journal.run(run.run)


def _watched(options: argparse.Namespace, ground: Ground, journal: Journal, run: StageRun) -> tuple[str, int]:
    settings = settings_of(run, ground.settings(), asked_in(options), accept=options.accept_config_change)
    target = ground.target()
    driver = Driver(journal, target, myself(), told=ground.told)
    watcher = Watcher(
        journal,
        driver,
        target,
        run,
        settings=settings,
        services={service.name: service for service in ground.fleet().services},
        root=ground.plan.root,
        told=ground.told,
    )
    page = LivePage(
        watcher, journal, ground.plan, ground.fleet(), settings, lambda one: standing_in(ground, journal, one)
    )
    progress = watcher.ended(asyncio.run(_watching(options, watcher, page)))
    driver.leave(run.run)
    return _said(progress, options)


async def _watching(options: argparse.Namespace, watcher: Watcher, page: LivePage) -> Progress:
    if options.command == "tick":
        return await watcher.soak.tick()
    stop = Stop()
    async with AsyncExitStack() as opened:
        if options.port is not None:
            try:
                port = await opened.enter_async_context(serving(watcher.text, page=page.text, port=options.port))
            except (OSError, OverflowError) as error:
                raise OptionError(f"--port {options.port}: cannot be listened on: {error}") from error
            watcher.teller.told(
                f"to be seen at http://127.0.0.1:{port}/, figures are at http://127.0.0.1:{port}/metrics"
            )
        watcher.soak.on_sample = opened.enter_context(shown_on(sys.stderr, page.view, watcher.teller.told))
        with stopped_by_signals(stop):
            return await watcher.soak.wait(stop)


def exit_code(progress: Progress) -> int:
    """What a soak's state says to whoever started the watching."""
    if progress.interrupted:
        return INTERRUPTED
    if progress.run.is_completed:
        return 0
    return PENDING if progress.run.state in (StageState.SOAKING, StageState.SOAKED) else 1


def _said(progress: Progress, options: argparse.Namespace, busy: str = "") -> tuple[str, int]:
    """:param busy: who is at it instead of this process."""
    run, code = progress.run, exit_code(progress)
    if busy and run.state in UNDECIDED:
        code = PENDING
    if options.json:
        document = {
            "schema": 1, "run": run.run, "environment": run.environment, "stage": run.stage, "state": run.state.value,
            "verdict": run.verdict.value, "reason": run.reason, "credited": run.credited, "soak": run.soak,
            "slot": progress.slot, "missed": progress.missed, "untold": list(progress.untold),
            "interrupted": progress.interrupted, "busy": busy or None, "next_in": round(progress.next_in, 3),
            "exit_status": code,
        }  # fmt: skip
        return json.dumps(document, indent=2) + "\n", code
    lines = [f"stage {run.stage} in {run.environment} is {run.state.value}" + (f": {run.reason}" if run.reason else "")]
    lines.append(f"{run.credited:.0f} s of {run.soak:.0f} s are credited")
    if progress.next_in:
        lines[-1] += f"; the next sample is due in {progress.next_in:.0f} s"
    lines += [f"cannot tell: {why}" for why in progress.untold]
    lines += [f"another one is at work: {busy}"] if busy else []
    return "\n".join(lines) + "\n", code


# ---- deciding


def _decide(options: argparse.Namespace, ground: Ground, journal: Journal, run: StageRun) -> tuple[str, int]:
    """An answer is taken also while somebody watches: that one loses the run, and whoever comes next goes on."""
    if run.state is not StageState.HELD:
        raise RolloutRefused(f"stage {run.stage} is {run.state.value}: there is nothing to decide")
    if options.dry_run:
        return common.would(common.deciding(run, options.answer), run.services, as_json=options.json)
    me = myself()
    teller = Teller(journal, ground.settings().environment(options.env), ground.told)
    driver = Driver(journal, ground.target(), me, told=ground.told)
    if options.answer == "rollback":
        done = driver.rollback(run.run, reason=f"decided by {me.name}: {options.reason}")
    else:
        journal.take(run.run, owner=driver.owner)
        done = journal.record(run.run, Decided(accept=True, by=me.name, reason=options.reason), owner=driver.owner)
    asyncio.run(teller.changed(run, done))
    with suppress(TargetError):  # the lock can be taken from a process that is gone as well
        driver.detach(done.run)
    driver.leave(done.run)
    good = done.state is not StageState.ROLLBACK_FAILED
    return _said(Progress(run=done), options)[0], 0 if good else 1


# ---- printing


def _load(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    if not _is_address(options.url):
        raise OptionError(f"{options.url} cannot be asked: an address is such as http://127.0.0.1:8000/health")
    try:
        steps = [step_in(text) for text in options.step]
        if options.warm_up:
            steps.insert(0, step_in(options.warm_up, is_judged=False))
        if options.dry_run:
            return common.would(common.loading(options.url, steps), (), as_json=options.json)
        limits = LoadLimits(p95=options.p95, p99=options.p99, errors=options.errors)
        report = load(options.url, steps, limits)
    except ValueError as error:
        raise OptionError(f"--step 200x60 is 200 requests a second for 60 seconds: {error}") from None
    text = json.dumps({"schema": 1, **encode(report)}, indent=2) + "\n" if options.json else _told(report, steps)
    return text, 0 if report.verdict is Verdict.PASSED else 1


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _told(report: LoadReport, steps: list[Step]) -> str:
    lines = [f"{'asked':>8}{'achieved':>10}{'errors':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'longest':>10}  "]
    lines += [
        f"{step.rate:>6g}/s{step.achieved:>8.1f}/s{step.errors:>8}"
        + "".join(f"{value * 1000:>6.0f} ms" for value in (step.p50, step.p95, step.p99))
        + f"{step.longest * 1000:>7.0f} ms  {step.reason}"
        for step in report.steps
    ]
    lines.append(report.verdict.value + (f": {report.reason}" if report.reason else ""))
    return "\n".join(lines) + "\n"


def _rules(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    settings = ground.settings()
    # the longest, as a stage that is sampled more seldom must not look like one that nobody watches
    interval = max(
        settings.soak_of(stage=number).interval for number in {0, *(one.number for one in ground.plan.stages)}
    )
    rules = alert_rules(interval=interval, max_ratio=settings.compare.max_ratio)
    found = (*rules, *budget_alerts(budgets_in(settings, ground.fleet().services), interval=interval))
    return json.dumps(rules_document(found), indent=2) + "\n" if options.json else rules_text(found), 0


def _dashboard(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    return json.dumps(dashboard(), indent=2) + "\n", 0


_PRINTED: dict[str, Callable[[argparse.Namespace, Ground], tuple[str, int]]] = {
    "load": _load,
    "rules": _rules,
    "dashboard": _dashboard,
}
