"""``py312 postmortem``: the draft of an analysis after a rollback, from the journal."""

import argparse
from contextlib import suppress

from pytest_py312.cli.rollout_common import CommandOutput, json_output, open_journal, print_or_write
from pytest_py312.core.errors import OptionError, Py312Error, did_you_mean
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.readiness import KnownVerdict
from pytest_py312.core.model.report import Checkout
from pytest_py312.gate.history.latest_verdicts import gate_knowledge, stored_records
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import ROLLBACK_STATES, StageRun
from pytest_py312.rollout.reporting.postmortem import (
    RollbackFacts,
    SampleCount,
    format_markdown,
    to_document,
)


def postmortem(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Print the draft of the analysis of a rollback, or write it to a file."""
    stage = options.stage_option if options.stage is None else options.stage
    if not context.has_journal:
        raise OptionError(f"there is no journal in {context.state_dir}: nothing was deployed from here")
    with open_journal(options, context) as journal:
        facts = _read_facts(_choose_run(stage, options, journal), context, journal)
    text = json_output(to_document(facts))[0] if options.json else format_markdown(facts)
    return print_or_write(text, options.output)


def _choose_run(stage: int | None, options: argparse.Namespace, journal: Journal) -> StageRun:
    """Return the run with the name that is given, else the newest one that was rolled back and is no drill."""
    names = journal.run_names(None if options.run else options.env, stage)
    if options.run:
        matching = [name for name in names if name.startswith(options.run)]
        if len(matching) != 1:
            problem = "several runs begin so" if matching else f"there is no such run{did_you_mean(options.run, names)}"
            raise OptionError(f"--run {options.run}: {problem}")
        run = journal.load_run(matching[0])
        if run.state not in ROLLBACK_STATES:
            raise OptionError(f"run {run.run} is {run.state.value}: there is no rollback to analyse")
        return run
    runs = (journal.load_run(name) for name in reversed(names))
    chosen = next((run for run in runs if run.state in ROLLBACK_STATES and not run.is_drill), None)
    if chosen is None:
        subject = "a stage" if stage is None else f"stage {stage}"
        raise OptionError(
            f"no rollback of {subject} in {options.env} is in the journal; `py312 status --env {options.env}` shows "
            "the stages, --env chooses another environment, --run a drill"
        )
    return chosen


def _read_facts(run: StageRun, context: RolloutContext, journal: Journal) -> RollbackFacts:
    begun, initial = journal.begun_and_initial_run(run.run)
    names = journal.run_names(run.environment, run.stage)
    earlier = names[: names.index(run.run) + 1]
    services = _services(context)
    return RollbackFacts(
        run=run,
        begun=begun,
        initial=initial,
        history=journal.history(run.run),
        samples={name: _count_samples(journal, run, name) for name in run.services},
        stage_name=next((stage.name for stage in context.plan.stages if stage.number == run.stage), ""),
        relying=_relying_services(run, context, services),
        critical=[service.name for service in services if service.critical],
        gate=_gate_texts(run, context, begun),
        attempts=sum(not journal.load_run(name).is_drill for name in earlier) or 1,
    )


def _services(context: RolloutContext) -> tuple[Service, ...]:
    """Return the services as they are now; none if they cannot be read, since the journal has what counts."""
    with suppress(Py312Error):
        return context.fleet().services
    return ()


def _count_samples(journal: Journal, run: StageRun, service: str) -> SampleCount:
    samples = [sample for sample in journal.samples(run.run, service) if sample.slot > 0]
    last_slot = max((sample.slot for sample in samples), default=0)
    return SampleCount(
        taken=len(samples), bad=sum(not sample.is_good for sample in samples), missing=last_slot - len(samples)
    )


def _relying_services(run: StageRun, context: RolloutContext, services: tuple[Service, ...]) -> dict[str, list[str]]:
    """Return the services that need one of the run's services, or have a contract with it, by its name."""
    relying: dict[str, list[str]] = {name: [] for name in run.services}
    with suppress(Py312Error):
        settings = context.settings()
        for service in services:
            deploy = settings.deploy_settings_for(stage=service.stage, name=service.name, path=service.path)
            for needed in set(deploy.needs) & set(relying):
                relying[needed].append(service.name)
    for edge in run.contracts:
        caller, _, callee = edge.partition("->")
        if callee in relying and caller not in relying[callee]:
            relying[callee].append(caller)
    return relying


def _gate_texts(run: StageRun, context: RolloutContext, begun: str) -> dict[str, str]:
    """Return what the newest run of the gate before the deployment found of each service."""
    with suppress(Py312Error):
        records = (record for record in stored_records(context.state_dir) if record.ended_at <= begun)
        verdicts = gate_knowledge(records, run.services, str(run.target), Checkout()).verdicts
        return {name: _gate_text(verdicts[name]) for name in run.services if name in verdicts}
    return {}


def _gate_text(verdict: KnownVerdict) -> str:
    return f"{verdict.service.verdict.value} on {verdict.ended_at[:10]}"
