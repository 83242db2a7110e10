"""What an operator does around a rollout: ``py312 doctor, evidence``.

Each returns the text to print and the exit code.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_py312.cli.common import would
from pytest_py312.cli.rollout_commands import opened_journal, standing_in
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.canary_analysis.soak_status import Standing
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.journal import FILE, Journal
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.soak_overrides import with_asked


def run_command(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    """
    :raises Py312Error: it was refused, or cannot be done here.
    """
    return _COMMANDS[options.command](options, ground)


# ---- doctor


def _doctor(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    from pytest_py312.rollout.domain.deployment_plan import stage_services
    from pytest_py312.rollout.preflight.health_checks import examined
    from pytest_py312.rollout.preflight.health_rows import is_well

    if options.stage is not None:
        stage_services(ground.plan, ground.fleet(), options.stage)  # refuses a stage that is none
    rows = examined(ground, options.env, options.stage)
    code = 0 if is_well(rows) else 1
    if options.json:
        document = {"schema": 1, "environment": options.env, "well": code == 0, "rows": [encode(row) for row in rows]}
        return json.dumps(document, indent=2) + "\n", code
    lines = table([(row.health.value, row.area, row.what, row.detail) for row in rows])
    text = []
    for row, line in zip(rows, lines, strict=True):
        text.append(line if row.needed else f"{line} (does not count)")
        text += [f"    {row.remedy}"] if row.remedy else []
    text.append("all that is needed is well" if code == 0 else "not all that is needed is well")
    return "\n".join(text) + "\n", code


# ---- evidence


def _evidence(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    if options.verify is not None:
        return _verified(options, ground)
    from pytest_py312.rollout.reporting.evidence import document_of
    from pytest_py312.rollout.reporting.evidence_bundle import write_bundle

    with opened_journal(options, ground) as journal:
        names = journal.names(options.env, options.stage)
        if not names:
            raise OptionError(f"stage {options.stage} was never deployed in {options.env}: there is nothing to prove")
        folder = Path(options.out).expanduser() if options.out else ground.state / "evidence"
        if options.dry_run:
            text = f"would write down the runs {', '.join(names)} in {folder}"
            return would(text, journal.run(names[-1]).services, as_json=options.json)
        document = document_of(
            journal,
            options.env,
            options.stage,
            intervals=_intervals(ground, [journal.run(name) for name in names]),
            compatibility=_compatibility(options.report, journal.run(names[-1])) if options.report else None,
        )
    try:
        made = write_bundle(folder, document)
    except OSError as error:
        raise OptionError(f"--out {folder}: cannot be written to: {error.strerror or error}") from error
    if options.json:
        found = {
            "schema": 1, "json": str(made.document), "html": str(made.page), "sha256": made.digest,
            "manifest": str(made.manifest), "manifest_sha256": made.sealed,
        }  # fmt: skip
        return json.dumps(found, indent=2) + "\n", 0
    paths = "\n".join(map(str, (made.document, made.page, made.manifest)))
    return f"{paths}\nSHA-256 of the JSON: {made.digest}\nSHA-256 of the manifest, to be noted: {made.sealed}\n", 0


def _intervals(ground: Ground, runs: Sequence[StageRun]) -> dict[str, float]:
    """Of the runs that were begun under the settings that the plan has now."""
    found = {}
    for run in runs:
        if ground.settings().digest == run.configuration:
            settings = with_asked(ground.settings(), run.stage, run.asked)
            found[run.run] = settings.soak_of(stage=run.stage).interval
    return found


def _compatibility(name: str, run: StageRun) -> dict[str, Any]:
    from pytest_py312.rollout.reporting.evidence import compatibility_in

    try:
        content = Path(name).read_bytes()
        return compatibility_in(json.loads(content), run.services, hashlib.sha256(content).hexdigest())
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"--report {name}: {error}") from error


def _verified(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    from pytest_py312.rollout.reporting.evidence_bundle import NoEvidence, troubles_of

    try:
        troubles, document = troubles_of(Path(options.verify), noted=options.digest or "")
    except NoEvidence as error:
        raise OptionError(f"--verify: {error}") from error
    journal = _against_journal(ground, document)
    code = 1 if troubles or journal == "differs" else 0
    if options.json:
        found = {"schema": 1, "as_it_was": not troubles, "troubles": troubles, "journal": journal}
        return json.dumps(found, indent=2) + "\n", code
    lines = troubles or ["the files are what the manifest names, and the page says what the JSON says"]
    told = {"agrees": "the journal has it all", "differs": "the journal here has another history", "elsewhere": ""}
    return "\n".join([*lines, *filter(None, [told[journal]])]) + "\n", code


def _against_journal(ground: Ground, document: dict[str, Any]) -> str:
    """``agrees``, ``differs``, or ``elsewhere`` where it is another journal's, or there is none."""
    from pytest_py312.rollout.reporting.evidence import document_of

    if not (ground.state / FILE).exists():
        return "elsewhere"
    journal = Journal(ground.state)
    try:
        if journal.identity != document.get("journal"):
            return "elsewhere"
        environment, stage = str(document.get("environment")), document.get("stage")
        if not isinstance(stage, int) or not journal.names(environment, stage):
            return "differs"
        now = {run["run"]: run for run in document_of(journal, environment, stage, intervals={})["runs"]}
        then = document.get("runs")
        same = isinstance(then, list) and all(isinstance(run, dict) and _bears_out(now, run) for run in then)
        return "agrees" if same else "differs"
    finally:
        journal.close()


def _bears_out(now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    """Whether the journal has what a bundle says of a run; it may have gone on since, and samples are not for ever."""
    known, history, samples = now.get(str(then.get("run"))), then.get("history"), then.get("samples")
    if known is None or not isinstance(history, list) or known["history"][: len(history)] != history:
        return False
    taken = {one["service"]: one for one in known["samples"]}
    for one in samples if isinstance(samples, list) else ():
        mine = taken.get(one.get("service")) if isinstance(one, dict) else None
        if mine is not None and mine["taken"] == one.get("taken") and mine["sha256"] != one.get("sha256"):
            return False
    return True


# ---- roadmap


def _roadmap(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    from pytest_py312.rollout.reporting import roadmap

    settings = ground.settings()
    runs, standings = stood(ground)
    environments = [options.env] if options.env else roadmap.environments_of(settings, runs)
    # also those that come before the one that is asked for: whether it has to wait hangs on them
    known = list(dict.fromkeys([*environments, *roadmap.environments_of(settings, runs)]))
    lines = roadmap.lines_of(ground.plan, ground.fleet(), settings, known, runs, standings)
    after = {one.name: one.after for one in settings.environments}
    if options.json:
        return json.dumps(roadmap.document(ground.plan, lines, environments, after), indent=2) + "\n", 0
    return roadmap.markdown(ground.plan, lines, environments, after), 0


def stood(ground: Ground) -> tuple[list[StageRun], dict[str, Standing | None]]:
    """The newest run of each stage in each environment, and how each stands; none where there is no journal yet."""
    if not (ground.state / FILE).exists():
        return [], {}
    journal = Journal(ground.state)
    try:
        runs = journal.newest()
        return runs, {run.run: standing_in(ground, journal, run) for run in runs}
    finally:
        journal.close()


# ---- compare


def _compare(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    from pytest_py312.cli import compare_command

    if options.old or options.new:
        return compare_command.told(compare_command.of_loads(options, ground), options, table)
    with opened_journal(options, ground) as journal:
        return compare_command.told(compare_command.of_stage(options, ground, journal), options, table)


# ---- contract


def _contract(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    from pytest_py312.cli import contract_command

    with opened_journal(options, ground) as journal:
        return contract_command.run_command(options, ground, journal)


# ---- drill


def _drill(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    from pytest_py312.cli.rollout_commands import driving
    from pytest_py312.rollout.context import wanted_of
    from pytest_py312.rollout.execution import drill

    where = ground.settings().environment(options.env)
    if not where.drill and not options.force:
        raise RolloutRefused(
            f"the plan does not allow drills in {options.env}: write {options.env} = {{ drill = true }} in "
            "[deploy.environments], or give --force"
        )
    with opened_journal(options, ground) as journal:
        drill.check_ground(options.stage, options.env, journal.newest(options.env))
        target = ground.target()
        wanted = wanted_of(ground, stage=options.stage, environment=options.env, asked={}, image_id=target.image_id)
        service = drill.chosen(wanted.run, options.service)
        if options.dry_run:
            what = f"stop {service} then" if options.fault == "stop" else "ask for a rollback then"
            text = f"would deploy stage {options.stage} in {options.env}, {what}, and expect what serves now to be back"
            return would(text, wanted.run.services, as_json=options.json)
        with driving(ground, journal, target) as driver:
            tried = drill.Drill(ground=ground, journal=journal, driver=driver, target=target)
            run, event = tried.run(wanted, fault=options.fault, service=service)
    code = 0 if event.passed else 1
    if options.json:
        document = {"schema": 1, "run": run.run, "state": run.state.value, **encode(event)}
        return json.dumps(document, indent=2) + "\n", code
    told = "passed" if event.passed else "failed"
    return f"the drill {told}: {event.detail}; the way back took {event.seconds:.1f} s\n", code


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, the last as wide as it is; each line harmless to a terminal."""
    from pytest_py312.core.text import columns, padded, prose

    plain = [[prose(cell) for cell in row] for row in rows]
    widths = [max(columns(cell) for cell in column) for column in zip(*plain, strict=True)][:-1] if plain else []
    return [
        "".join(f"{padded(cell, width)}  " for cell, width in zip(row, widths, strict=False)) + row[-1] for row in plain
    ]


_COMMANDS: dict[str, Callable[[argparse.Namespace, Ground], tuple[str, int]]] = {
    "doctor": _doctor,
    "evidence": _evidence,
    "drill": _drill,
    "contract": _contract,
    "compare": _compare,
    "roadmap": _roadmap,
}
