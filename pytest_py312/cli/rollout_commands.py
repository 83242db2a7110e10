"""The commands of a rollout: ``py312 plan, deploy, status, recover, rollback, unlock``.

Each returns the text to print and the exit code: 0 if the result is the requested one, 1 if not, 4 (raised) if it was
refused.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_py312.cli.rollout_common import CommandOutput, select_services, stage_of_services, with_journal
from pytest_py312.core.errors import OptionError
from pytest_py312.core.serialization import encode
from pytest_py312.core.text import format_duration
from pytest_py312.rollout.canary_analysis.soak_status import (
    SoakStatus,
    compute_soak_status,
    describe_soak_status,
    format_credit,
)
from pytest_py312.rollout.context import RolloutContext, plan_rollout
from pytest_py312.rollout.domain import soak_overrides
from pytest_py312.rollout.domain.acceptance import acceptance_documents, describe_acceptance
from pytest_py312.rollout.domain.journal import Journal, current_timestamp
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.next_act import has_pending_work
from pytest_py312.rollout.domain.preconditions import check_same_target, rollback_order
from pytest_py312.rollout.domain.run_history import describe_restored_version, substitute_run
from pytest_py312.rollout.domain.soak_overrides import sampling_interval
from pytest_py312.rollout.domain.stop_signals import StopRequest, stop_on_signals
from pytest_py312.rollout.domain.target_model import LockHolder
from pytest_py312.rollout.execution.acceptance_runner import AcceptanceRunner, make_acceptance_runner
from pytest_py312.rollout.execution.deploy_gate import report_unmeasured
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import current_operator
from pytest_py312.rollout.targets.target import Target

_NOTHING_UNFINISHED = "nothing is unfinished in {}"


# ---- reading


def show_plan(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Show how a stage would be deployed."""
    run = plan_rollout(
        context, stage=options.stage, environment=options.env, look_up_image_id=lambda reference: reference
    ).run
    if options.json:
        return _runs_document([run]), 0
    lines = [
        f"stage {run.stage} in {run.environment}, to Python {run.target}, monitored for {format_duration(run.soak)}:"
    ]
    lines += [
        f"  {number}. {deployment.service}: container {deployment.spec.container} from {deployment.image}"
        for number, deployment in enumerate(run.deployments, start=1)
    ]
    lines += [
        f"  acceptance tests {tests.name}: {tests.description}"
        for tests in context.settings().acceptance_tests_of(run.stage)
    ]
    return "\n".join(lines) + "\n", 0


@with_journal
def status(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    """Show the stages of an environment, and who holds its lock."""
    runs = journal.current_runs(options.env)
    holder: LockHolder | None = None
    unavailable_reason = ""
    if runs:
        try:
            target = context.target()
            target_identity = target.identity()
            for newest_run in runs:
                check_same_target(newest_run, target_identity)
            holder = target.environment_lock(options.env).holder()
        except Exception as error:  # the journal can be shown without a target
            unavailable_reason = str(error)
    statuses = {run.run: current_status(context, journal, run) for run in runs}
    space_problem = journal.space_problem
    if options.json:
        return _runs_document(runs, holder, statuses, unavailable_reason, space_problem), 0
    run_by_stage = {run.stage: run for run in runs}
    lines = [f"{'stage':<7}{'state':<16}{'verdict':<14}{'credited':<20}services"]
    for number in sorted({*run_by_stage, *(stage.number for stage in context.plan.stages)}):
        run = run_by_stage.get(number)
        if run is None:
            lines.append(f"{number:<7}{'not deployed':<16}")
            continue
        credit = format_credit(run.credited, run.soak)
        state = f"{run.state.value}{' (stale)' if run.stale else ''}{' (drill)' if run.is_drill else ''}"
        lines.append(f"{number:<7}{state:<16}{run.verdict.value:<14}{credit:<19} {', '.join(run.services)}")
        status = statuses[run.run]
        status_text = describe_soak_status(status, run) if status else ""
        earlier_text = describe_restored_version(run, journal.restored_run(run)).strip()
        tested = [describe_acceptance(result) for result in run.acceptance_results]
        lines += [f"{'':<7}{text}" for text in (status_text, *tested, run.reason, run.stale, earlier_text) if text]
    lines.append(f"{options.env} is locked by {holder}" if holder else f"{options.env} is not locked")
    if unavailable_reason:
        lines[-1] = f"the lock of {options.env} cannot be read: {unavailable_reason}"
    lines += [f"{context.state_dir}: {space_problem}"] if space_problem else []
    return "\n".join(lines) + "\n", 0


def current_status(context: RolloutContext, journal: Journal, run: StageRun) -> SoakStatus | None:
    """Return the current soak status of a stage that is up."""
    interval = sampling_interval(run, context.settings())
    return compute_soak_status(run, journal.newest_samples(run.run), current_timestamp(), interval)


# ---- changing


@with_journal
def deploy(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    """Deploy a stage; with --rollback, roll it back."""
    if options.rollback:
        return _roll_back(options, context, journal)
    if options.services:
        raise OptionError("--services is for a rollback; a stage is deployed as a whole: --stage N")
    if options.stage is None:
        raise OptionError("--stage is missing: name the stage to deploy")
    target = context.target()
    planned = plan_rollout(
        context,
        stage=options.stage,
        environment=options.env,
        soak_overrides=requested_overrides(options),
        look_up_image_id=target.image_id,
    )
    run = planned.run
    if options.dry_run:
        return _format_planned(run, options, f"would deploy stage {run.stage} in {run.environment}:"), 0
    report_unmeasured(target, context.settings(), run.stage, context.log)
    with driver_with_signals(context, journal, target, make_acceptance_runner(context)) as driver:
        deployed_run = driver.deploy(run, planned.conditions)
        driver.release(deployed_run.run)
    return _format_results([deployed_run], options, StageState.SOAKING)


@with_journal
def recover(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    """Finish the work of runs that were killed."""
    unfinished = [run for run in journal.current_runs(options.env) if has_pending_work(run)]
    if options.dry_run:
        if options.json:
            return _runs_document(unfinished), 0
        lines = [f"would finish stage {run.stage}, which was left {run.state.value}" for run in unfinished]
        lines += ["would start the stopped services that a rollback has skipped"] if options.start else []
        lines += (
            [f"would accept the current engine as the new place of {options.env}"] if options.accept_new_engine else []
        )
        return "\n".join(lines or [_NOTHING_UNFINISHED.format(options.env)]) + "\n", 0
    target = context.target()
    with driver_with_signals(context, journal, target) as driver:
        relocated = driver.accept_relocation(options.env) if options.accept_new_engine else []
        recovered = driver.recover(options.env)
        down = driver.start_stopped(options.env) if options.start else []
    if not (recovered or relocated or down or options.json):
        return _NOTHING_UNFINISHED.format(options.env) + "\n", 0
    text, code = _format_results(recovered, options, StageState.ROLLED_BACK, StageState.ACCEPTED)
    code = 1 if down else code
    relocated_only = [run for run in relocated if run.run not in {recovered_run.run for recovered_run in recovered}]
    if options.json:
        return _runs_document([*relocated_only, *recovered]), code
    relocation_lines = dict.fromkeys(f"stage {run.stage} is now on {run.place}\n" for run in relocated_only)
    return "".join(relocation_lines) + (text if recovered else ""), code


@with_journal
def rollback(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    """Roll a stage, or some of its services, back to the previous version."""
    return _roll_back(options, context, journal)


def _roll_back(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    runs, stage_requested = journal.current_runs(options.env), options.stage
    if options.run:
        runs, stage_requested = _select_run(journal, runs, options.run, options.env, stage_requested)
    services = select_services(options.services, runs, context.service_paths)
    stage = (
        stage_of_services(options.services, runs, context.service_paths) if stage_requested is None else stage_requested
    )
    stage_order = rollback_order(stage, options.env, runs, cascade=options.cascade, keep_later=options.keep_later)
    run_by_stage = {run.stage: run for run in runs}
    if options.dry_run:
        if options.json:
            return _runs_document([run_by_stage[number] for number in stage_order]), 0
        lines = [
            f"would roll stage {number} back: "
            + ", ".join((services if number == stage else ()) or reversed(run_by_stage[number].services))
            for number in stage_order
        ]
        return "\n".join(lines) + "\n", 0
    rolled_back = []
    with driver_with_signals(context, journal, context.target()) as driver:
        for number in stage_order:
            selected = services if number == stage else ()
            rolled_back.append(driver.rollback(run_by_stage[number].run, reason=options.reason, services=selected))
            if rolled_back[-1].state is not StageState.ROLLED_BACK:
                break  # a stage below must not be rolled back before those that rely on it
    text, code = _format_results(rolled_back, options, StageState.ROLLED_BACK)
    return text + (
        ""
        if options.json
        else "".join(describe_restored_version(run, journal.restored_run(run)) for run in rolled_back)
    ), code


@with_journal
def unlock(options: argparse.Namespace, context: RolloutContext, journal: Journal) -> CommandOutput:
    """Release the lock of an environment whose holder is dead."""
    target = context.target()
    if options.dry_run:
        holder = target.environment_lock(options.env).holder()
    else:
        with driver_with_signals(context, journal, target) as driver:
            holder = driver.locks.unlock(options.env, force=options.force)
    if options.json:
        return _runs_document([], holder), 0
    action_text = "would be taken from" if options.dry_run else "was taken from"
    return (f"the lock of {options.env} {action_text} {holder}\n" if holder else f"{options.env} is not locked\n"), 0


def requested_overrides(options: argparse.Namespace) -> dict[str, float]:
    """Return the command line's settings of the soak."""
    return soak_overrides.parse_soak_overrides(
        {
            soak_overrides.DURATION: ("--duration", options.duration),
            soak_overrides.INTERVAL: ("--interval", options.interval),
        }
    )


@contextmanager
def driver_with_signals(
    context: RolloutContext, journal: Journal, target: Target, acceptance: AcceptanceRunner | None = None
) -> Iterator[Driver]:
    """Yield a driver that a signal asks to stop: a deployment is then rolled back, a rollback is completed.

    :param acceptance: only needed to deploy.
    """
    stop = StopRequest()
    with stop_on_signals(stop):
        yield Driver(
            journal, target, current_operator(), stop_reason=lambda: stop.reason, log=context.log, acceptance=acceptance
        )


def _format_planned(run: StageRun, options: argparse.Namespace, title: str) -> str:
    if options.json:
        return _runs_document([run])
    lines = [
        f"  {deployment.service}: {deployment.spec.container} from {deployment.image}" for deployment in run.deployments
    ]
    return "\n".join([title, *lines]) + "\n"


def _format_results(
    runs: Sequence[StageRun], options: argparse.Namespace, *expected_states: StageState
) -> CommandOutput:
    code = 0 if all(run.state in expected_states for run in runs) else 1
    if options.json:
        return _runs_document(runs), code
    lines = [f"stage {run.stage} is {run.described_state}" for run in runs]
    return "\n".join(lines) + "\n", code


def _runs_document(
    runs: Sequence[StageRun],
    holder: LockHolder | None = None,
    statuses: Mapping[str, SoakStatus | None] | None = None,
    unavailable_reason: str = "",
    space_problem: str = "",
) -> str:
    documents = [_run_document(run) for run in runs]
    for document in documents if statuses is not None else ():
        document["watching"] = encode((statuses or {})[document["run"]])
    holder_document = (
        {"name": holder.name, "host": holder.host, "run": holder.run, "since": holder.since} if holder else None
    )
    problems = {"held_by_unknown": unavailable_reason, "disk_full": space_problem}
    reported_problems = {key: problem for key, problem in problems.items() if problem}
    return (
        json.dumps({"schema": 1, "held_by": holder_document, **reported_problems, "runs": documents}, indent=2) + "\n"
    )


def _run_document(run: StageRun) -> dict[str, Any]:
    return {
        "run": run.run,
        "environment": run.environment,
        "stage": run.stage,
        "state": run.state.value,
        "verdict": run.verdict.value,
        "reason": run.reason,
        "stale": run.stale,
        "place": run.place or None,
        "credited": run.credited,
        "soak": run.soak,
        "held_for": list(run.pending_decisions),
        "drill": (run.drill or "begun") if run.is_drill else None,
        "acceptance_tests": list(run.acceptance),
        "acceptance": acceptance_documents(run),
        "services": [
            {
                "service": deployment.service,
                "container": deployment.spec.container,
                "image": deployment.image,
                "old": deployment.old.id if deployment.old else None,
                "new": deployment.new.id if deployment.new else None,
                "restored": deployment.restored,
                "twin": deployment.control.id if deployment.control and not deployment.control_removed else None,
                "no_twin": deployment.no_control_reason,
            }
            for deployment in run.deployments
        ],
    }


def _select_run(
    journal: Journal, current_runs: list[StageRun], name: str, environment: str, stage: int | None
) -> tuple[list[StageRun], int]:
    """Return the current runs with the named run in the place of its stage's, and the number of that stage.

    :raises OptionError: there is no such run.
    :raises RolloutRefused: the run does not serve.
    """
    run = journal.load_run(name) if journal.has_run(name) else None
    if run is None or run.environment != environment or stage not in (None, run.stage):
        place = environment if stage is None else f"stage {stage} of {environment}"
        raise OptionError(f"--run {name}: {place} has no such run; `py312 status` shows which one serves")
    newest = next(current for current in current_runs if current.stage == run.stage)
    return substitute_run(current_runs, run, journal.restored_run(newest)), run.stage
