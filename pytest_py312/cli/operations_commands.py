"""The commands around a rollout: ``py312 doctor, evidence, drill``.

Each returns the text to print and the exit code.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pytest_py312.cli.rollout_common import CommandOutput, describe_dry_run, format_table, json_output, open_journal
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.soak_overrides import sampling_interval

# ---- doctor


def doctor(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Check whether a rollout would work on this machine."""
    from pytest_py312.rollout.domain.deployment_plan import stage_services
    from pytest_py312.rollout.preflight.health_checks import run_health_checks
    from pytest_py312.rollout.preflight.health_rows import all_required_ok

    if options.stage is not None:
        stage_services(context.plan, context.fleet(), options.stage)  # raises for an unknown stage
    rows = run_health_checks(context, options.env, options.stage)
    code = 0 if all_required_ok(rows) else 1
    if options.json:
        document = {"schema": 1, "environment": options.env, "well": code == 0, "rows": [encode(row) for row in rows]}
        return json_output(document, code)
    lines = format_table([(row.health.value, row.area, row.what, row.detail) for row in rows])
    output = []
    for row, line in zip(rows, lines, strict=True):
        output.append(line if row.needed else f"{line} (optional)")
        output += [f"    {row.remedy}"] if row.remedy else []
    output.append("all required checks passed" if code == 0 else "not all required checks passed")
    return "\n".join(output) + "\n", code


# ---- evidence


def evidence(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Write the evidence of a stage, or verify one."""
    if options.verify is not None:
        return _verify_evidence(options, context)
    from pytest_py312.rollout.reporting.evidence import build_evidence
    from pytest_py312.rollout.reporting.evidence_bundle import write_bundle

    with open_journal(options, context) as journal:
        run_names = journal.run_names(options.env, options.stage)
        if not run_names:
            raise OptionError(f"stage {options.stage} was never deployed in {options.env}: there is no evidence")
        folder = Path(options.out).expanduser() if options.out else context.state_dir / "evidence"
        if options.dry_run:
            text = f"would write the evidence of runs {', '.join(run_names)} to {folder}"
            return describe_dry_run(text, journal.load_run(run_names[-1]).services, as_json=options.json)
        document = build_evidence(
            journal,
            options.env,
            options.stage,
            intervals=_soak_intervals(context, [journal.load_run(name) for name in run_names]),
            compatibility=_read_compatibility(options.report, journal.load_run(run_names[-1]))
            if options.report
            else None,
        )
    try:
        bundle = write_bundle(folder, document)
    except OSError as error:
        raise OptionError(f"--out {folder}: cannot be written to: {error.strerror or error}") from error
    if options.json:
        document_paths = {
            "schema": 1, "json": str(bundle.document), "html": str(bundle.page), "sha256": bundle.digest,
            "manifest": str(bundle.manifest), "manifest_sha256": bundle.manifest_digest,
        }  # fmt: skip
        return json_output(document_paths)
    paths = "\n".join(map(str, (bundle.document, bundle.page, bundle.manifest)))
    return (
        f"{paths}\nSHA-256 of the JSON: {bundle.digest}\n"
        f"SHA-256 of the manifest, to be kept elsewhere: {bundle.manifest_digest}\n",
        0,
    )


def _soak_intervals(context: RolloutContext, runs: Sequence[StageRun]) -> dict[str, float]:
    """Return the sampling interval of each run that started with the current settings of the plan."""
    settings = context.settings()
    return {run.run: sampling_interval(run, settings) for run in runs if run.configuration == settings.digest}


def _read_compatibility(name: str, run: StageRun) -> dict[str, Any]:
    from pytest_py312.rollout.reporting.evidence import summarize_gate_report

    try:
        content = Path(name).read_bytes()
        return summarize_gate_report(json.loads(content), run.services, hashlib.sha256(content).hexdigest())
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"--report {name}: {error}") from error


def _verify_evidence(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    from pytest_py312.rollout.reporting.evidence_bundle import InvalidBundle, verify_bundle

    try:
        problems, document = verify_bundle(Path(options.verify), noted_digest=options.digest or "")
    except InvalidBundle as error:
        raise OptionError(f"--verify: {error}") from error
    journal = _compare_with_journal(context, document)
    code = 1 if problems or journal == "differs" else 0
    if options.json:
        result_document = {"schema": 1, "as_it_was": not problems, "troubles": problems, "journal": journal}
        return json_output(result_document, code)
    lines = problems or ["the files match the manifest, and the page matches the JSON"]
    journal_text = {
        "agrees": "the journal has the same history",
        "differs": "the journal here has a different history",
        "elsewhere": "",
    }
    return "\n".join([*lines, *filter(None, [journal_text[journal]])]) + "\n", code


def _compare_with_journal(context: RolloutContext, document: dict[str, Any]) -> str:
    """Return ``agrees``, ``differs``, or ``elsewhere`` if it is from another journal or there is no journal."""
    from pytest_py312.rollout.reporting.evidence import build_evidence

    if not context.has_journal:
        return "elsewhere"
    with closing(Journal(context.state_dir)) as journal:
        if journal.identity != document.get("journal"):
            return "elsewhere"
        environment, stage = str(document.get("environment")), document.get("stage")
        if not isinstance(stage, int) or not journal.run_names(environment, stage):
            return "differs"
        runs_now = {run["run"]: run for run in build_evidence(journal, environment, stage, intervals={})["runs"]}
        runs_recorded = document.get("runs")
        is_same = isinstance(runs_recorded, list) and all(
            isinstance(run, dict) and _confirms_run(runs_now, run) for run in runs_recorded
        )
        return "agrees" if is_same else "differs"


def _confirms_run(current_runs: Mapping[str, Any], recorded_run: Mapping[str, Any]) -> bool:
    """Return whether the journal contains the bundle's record of a run. It may have more entries and lack samples."""
    current_run, history, samples = (
        current_runs.get(str(recorded_run.get("run"))),
        recorded_run.get("history"),
        recorded_run.get("samples"),
    )
    if current_run is None or not isinstance(history, list) or current_run["history"][: len(history)] != history:
        return False
    samples_by_service = {service_samples["service"]: service_samples for service_samples in current_run["samples"]}
    for service_samples in samples if isinstance(samples, list) else ():
        current_samples = (
            samples_by_service.get(service_samples.get("service")) if isinstance(service_samples, dict) else None
        )
        if (
            current_samples is not None
            and current_samples["taken"] == service_samples.get("taken")
            and current_samples["sha256"] != service_samples.get("sha256")
        ):
            return False
    return True


# ---- drill


def drill(options: argparse.Namespace, context: RolloutContext) -> CommandOutput:
    """Deploy a stage and roll it back on purpose."""
    from pytest_py312.cli.rollout_commands import driver_with_signals
    from pytest_py312.rollout.context import plan_rollout
    from pytest_py312.rollout.execution import drill

    environment = context.settings().environment_settings(options.env)
    if not environment.drill and not options.force:
        raise RolloutRefused(
            f"the plan does not allow drills in {options.env}: write {options.env} = {{ drill = true }} in "
            "[deploy.environments], or give --force"
        )
    with open_journal(options, context) as journal:
        drill.check_drill_allowed(options.stage, options.env, journal.current_runs(options.env))
        target = context.target()
        planned = plan_rollout(context, stage=options.stage, environment=options.env, look_up_image_id=target.image_id)
        service = drill.choose_service(planned.run, options.service)
        if options.dry_run:
            fault_text = f"then stop {service}" if options.fault == "stop" else "then request a rollback"
            text = (
                f"would deploy stage {options.stage} in {options.env}, {fault_text}, "
                "and expect the current version to serve again"
            )
            return describe_dry_run(text, planned.run.services, as_json=options.json)
        with driver_with_signals(context, journal, target) as driver:
            new_drill = drill.Drill(context=context, journal=journal, driver=driver, target=target)
            run, event = new_drill.run(planned, fault=options.fault, service=service)
    code = 0 if event.passed else 1
    if options.json:
        document = {"schema": 1, "run": run.run, "state": run.state.value, **encode(event)}
        return json_output(document, code)
    outcome = "passed" if event.passed else "failed"
    return f"the drill {outcome}: {event.detail}; the rollback took {event.seconds:.1f} s\n", code
