"""What an operator does with a rollout from a shell: ``py312 plan, deploy, status, recover, rollback, unlock``.

Each returns the text to print and the exit code: 0 it is as was asked for, 1 it is not, 4 (raised) it was refused.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_py312.cli.common import chosen, stage_with
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.canary_analysis.soak_status import Standing, in_words, standing_of
from pytest_py312.rollout.context import Ground, wanted_of
from pytest_py312.rollout.domain import soak_overrides
from pytest_py312.rollout.domain.deployment_plan import image_of, stage_services
from pytest_py312.rollout.domain.identity import this_moment
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.journal_queries import chosen_run
from pytest_py312.rollout.domain.model import Holder, StageRun, StageState
from pytest_py312.rollout.domain.preconditions import check_same_place, rollback_order
from pytest_py312.rollout.domain.run_history import told_below
from pytest_py312.rollout.domain.soak_overrides import interval_of
from pytest_py312.rollout.domain.state_machine import is_unfinished
from pytest_py312.rollout.domain.stop_signals import Stop, flagged_by_signals
from pytest_py312.rollout.execution.deploy_gate import tell_unmeasured
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import myself
from pytest_py312.rollout.execution.relocation import moved
from pytest_py312.rollout.targets.target import Target, TargetError

CREDIT_STEPS = 3600.0
_NOTHING_LEFT = "nothing was left half done in {}"


def run_command(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    """
    :raises Py312Error: it was refused, or cannot be done here.
    """
    if options.command == "plan":
        return _plan(options, ground)
    with opened_journal(options, ground) as journal:
        if options.command == "status":
            return _status(options, ground, journal)
        return _ACTIONS[options.command](options, ground, journal)


@contextmanager
def opened_journal(options: argparse.Namespace, ground: Ground) -> Iterator[Journal]:
    """The journal, for one command.

    :raises RolloutRefused: what the target said no to, with the name of the environment.
    """
    journal = Journal(ground.state)
    try:
        yield journal
    except TargetError as error:
        raise RolloutRefused(f"{options.env}: {error}") from error
    finally:
        journal.close()


# ---- looking


def _plan(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    settings, fleet = ground.settings(), ground.fleet()
    references: dict[str, str] = {}
    for service in stage_services(ground.plan, fleet, options.stage):
        deploy = settings.deploy_of(stage=options.stage, name=service.name, path=service.path)
        references[service.name] = image_of(service, deploy, ground.plan.target)
    run = wanted_of(
        ground, stage=options.stage, environment=options.env, asked={}, image_id=lambda reference: reference
    ).run
    if options.json:
        return _document([run]), 0
    lines = [f"stage {run.stage} in {run.environment}, to Python {run.target}, watched for {_hours(run.soak)}:"]
    lines += [
        f"  {number}. {one.service}: container {one.spec.container} from {references[one.service]}"
        for number, one in enumerate(run.deployments, start=1)
    ]
    return "\n".join(lines) + "\n", 0


def _status(options: argparse.Namespace, ground: Ground, journal: Journal) -> tuple[str, int]:
    runs = journal.newest(options.env)
    holder: Holder | None = None
    away = ""
    if runs:
        try:
            target = ground.target()
            here = target.identity()
            for one in runs:
                check_same_place(one, here)
            holder = target.lock(options.env).holder()
        except Exception as error:  # what is in the journal can be shown without any target
            away = str(error)
    standings = {run.run: standing_in(ground, journal, run) for run in runs}
    if options.json:
        return _document(runs, holder, standings, away), 0
    known = {run.stage: run for run in runs}
    lines = [f"{'stage':<7}{'state':<16}{'verdict':<14}{'credited':<18}services"]
    for number in sorted({*known, *(stage.number for stage in ground.plan.stages)}):
        run = known.get(number)
        if run is None:
            lines.append(f"{number:<7}{'not deployed':<16}")
            continue
        credit = f"{_hours(run.credited)} of {_hours(run.soak)}"
        state = f"{run.state.value}{' (stale)' if run.stale else ''}{' (drill)' if run.is_drill else ''}"
        lines.append(f"{number:<7}{state:<16}{run.verdict.value:<14}{credit:<18}{', '.join(run.services)}")
        standing = standings[run.run]
        told = in_words(standing, run) if standing else ""
        below = told_below(run, journal.below(run)).strip()
        lines += [f"{'':<7}{text}" for text in (told, run.reason, run.stale, below) if text]
    lines.append(f"{options.env} is held by {holder}" if holder else f"nobody holds {options.env}")
    if away:
        lines[-1] = f"who holds {options.env} cannot be told: {away}"
    return "\n".join(lines) + "\n", 0


def standing_in(ground: Ground, journal: Journal, run: StageRun) -> Standing | None:
    """How a stage that is up stands just now."""
    interval = interval_of(run, ground.settings())
    return standing_of(run, journal.newest_samples(run.run), this_moment(), interval)


# ---- acting


def _deploy(options: argparse.Namespace, ground: Ground, journal: Journal) -> tuple[str, int]:
    if options.rollback:
        return _rollback(options, ground, journal)
    if options.services:
        raise OptionError("--services is for a rollback; a stage is deployed as a whole: --stage N")
    if options.stage is None:
        raise OptionError("--stage is missing: which stage is to be deployed?")
    target = ground.target()
    wanted = wanted_of(
        ground, stage=options.stage, environment=options.env, asked=asked_in(options), image_id=target.image_id
    )
    run = wanted.run
    if options.dry_run:
        return _told_only(run, options, f"would deploy stage {run.stage} in {run.environment}:"), 0
    tell_unmeasured(target, ground.settings(), run.stage, ground.told)
    with driving(ground, journal, target) as driver:
        done = driver.deploy(run, earlier=wanted.earlier, after=wanted.after, keep=wanted.keep)
        driver.leave(done.run)
    return _ended([done], options, StageState.SOAKING)


def _recover(options: argparse.Namespace, ground: Ground, journal: Journal) -> tuple[str, int]:
    left = [run for run in journal.newest(options.env) if is_unfinished(run)]
    if options.dry_run:
        if options.json:
            return _document(left), 0
        lines = [f"would finish stage {run.stage}, which was left {run.state.value}" for run in left]
        lines += ["would start again what a way back has left alone and does not run"] if options.start else []
        lines += [f"would take it that {options.env} lies where its engine is by now"] if options.moved else []
        return "\n".join(lines or [_NOTHING_LEFT.format(options.env)]) + "\n", 0
    target = ground.target()
    with driving(ground, journal, target) as driver:
        elsewhere = moved(journal, driver, target, options.env, by=str(myself())) if options.moved else []
        done = driver.recover(options.env)
        down = driver.start_again(options.env) if options.start else []
    if not (done or elsewhere or down or options.json):
        return _NOTHING_LEFT.format(options.env) + "\n", 0
    text, code = _ended(done, options, StageState.ROLLED_BACK, StageState.ACCEPTED)
    code = 1 if down else code
    settled = [run for run in elsewhere if run.run not in {one.run for one in done}]
    if options.json:
        return _document([*settled, *done]), code
    said = dict.fromkeys(f"stage {run.stage} lies on {run.place}\n" for run in settled)
    return "".join(said) + (text if done else ""), code


def _rollback(options: argparse.Namespace, ground: Ground, journal: Journal) -> tuple[str, int]:
    known, asked = journal.newest(options.env), options.stage
    if options.run:
        known, asked = chosen_run(journal, known, options.run, options.env, asked)
    services = chosen(options.services, known, ground.paths)
    stage = stage_with(options.services, known, ground.paths) if asked is None else asked
    order = rollback_order(stage, options.env, known, cascade=options.cascade, only=options.only)
    runs = {run.stage: run for run in known}
    if options.dry_run:
        if options.json:
            return _document([runs[number] for number in order]), 0
        lines = [
            f"would roll stage {number} back: "
            + ", ".join((services if number == stage else ()) or reversed(runs[number].services))
            for number in order
        ]
        return "\n".join(lines) + "\n", 0
    done = []
    with driving(ground, journal, ground.target()) as driver:
        for number in order:
            these = services if number == stage else ()
            done.append(driver.rollback(runs[number].run, reason=options.reason, services=these))
            if done[-1].state is not StageState.ROLLED_BACK:
                break  # what stands on it must not lose its ground
    text, code = _ended(done, options, StageState.ROLLED_BACK)
    return text + ("" if options.json else "".join(told_below(run, journal.below(run)) for run in done)), code


def _unlock(options: argparse.Namespace, ground: Ground, journal: Journal) -> tuple[str, int]:
    target = ground.target()
    if options.dry_run:
        found = target.lock(options.env).holder()
    else:
        with driving(ground, journal, target) as driver:
            found = driver.unlock(options.env, force=options.force)
    if options.json:
        return _document([], found), 0
    done = "would be taken from" if options.dry_run else "was taken from"
    return (f"{options.env} {done} {found}\n" if found else f"nobody holds {options.env}\n"), 0


_ACTIONS: dict[str, Callable[[argparse.Namespace, Ground, Journal], tuple[str, int]]] = {
    "deploy": _deploy,
    "recover": _recover,
    "rollback": _rollback,
    "unlock": _unlock,
}


def asked_in(options: argparse.Namespace) -> dict[str, float]:
    """What a command line says of the soak."""
    return soak_overrides.asked_in(
        {
            soak_overrides.DURATION: ("--duration", options.duration),
            soak_overrides.INTERVAL: ("--interval", options.interval),
        }
    )


@contextmanager
def driving(ground: Ground, journal: Journal, target: Target) -> Iterator[Driver]:
    """A driver that a signal asks to stop: what goes up is then brought back, what comes back is not cut short."""
    stop = Stop()
    with flagged_by_signals(stop):
        yield Driver(journal, target, myself(), stopping=lambda: stop.why, told=ground.told)


def _told_only(run: StageRun, options: argparse.Namespace, title: str) -> str:
    if options.json:
        return _document([run])
    lines = [f"  {one.service}: {one.spec.container} from {one.image}" for one in run.deployments]
    return "\n".join([title, *lines]) + "\n"


def _ended(runs: Sequence[StageRun], options: argparse.Namespace, *wanted: StageState) -> tuple[str, int]:
    code = 0 if all(run.state in wanted for run in runs) else 1
    if options.json:
        return _document(runs), code
    lines = [f"stage {run.stage} is {run.state.value}" + (f": {run.reason}" if run.reason else "") for run in runs]
    return "\n".join(lines) + "\n", code


def _document(
    runs: Sequence[StageRun],
    holder: Holder | None = None,
    standings: Mapping[str, Standing | None] | None = None,
    away: str = "",
) -> str:
    documents = [_of(run) for run in runs]
    for document in documents if standings is not None else ():
        document["watching"] = encode((standings or {})[document["run"]])
    held = {"name": holder.name, "host": holder.host, "run": holder.run, "since": holder.since} if holder else None
    told = {"held_by_unknown": away} if away else {}
    return json.dumps({"schema": 1, "held_by": held, **told, "runs": documents}, indent=2) + "\n"


def _of(run: StageRun) -> dict[str, Any]:
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
        "held_for": list(run.held_for),
        "drill": (run.drill or "begun") if run.is_drill else None,
        "services": [
            {
                "service": one.service,
                "container": one.spec.container,
                "image": one.image,
                "old": one.old.id if one.old else None,
                "new": one.new.id if one.new else None,
                "restored": one.restored,
                "twin": one.twin.id if one.twin and not one.twin_removed else None,
                "no_twin": one.no_twin,
            }
            for one in run.deployments
        ],
    }


def _hours(seconds: float) -> str:
    if seconds < CREDIT_STEPS:
        return f"{seconds / 60:g} min"
    return f"{seconds / 3600:.1f} h"
