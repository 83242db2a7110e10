"""Choose the services to migrate to the target: those that pass all checks apart from their versions. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.analysis.judging.replacements import needs_trial
from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.checks.static_analysis import VersionCheck
from pytest_py312.gate.fixes.version_changes import MigrationPlan, Unmigrated, plan_migrations
from pytest_py312.repository.declarations.declaration import DeclarationRole
from pytest_py312.repository.edits.change_set import FileChange
from pytest_py312.repository.edits.declarations import MigrationTarget
from pytest_py312.repository.edits.version_ranges import oldest_supported
from pytest_py312.repository.services.detection.service_files import SCAN_DEPTH
from pytest_py312.repository.services.requirements.compiled_files import CompiledRequirements, compiled_for_older
from pytest_py312.repository.services.version_survey import VersionSurvey
from pytest_py312.repository.tree import Tree, join_path

_MAX_ADVICE = 3
"""Number of services for which the advice is given in full."""
_SHARED = "its versions are shared with services that are not proven"
NOT_READY = (Status.FAILED, Status.ERRORED)


def plan_ready_migrations(
    plan: Plan,
    services: Sequence[Service],
    outcomes: Sequence[Outcome],
    *,
    drop_old_versions: bool = False,
    builds: Iterable[InterpreterBuild] = (),
    earlier_changes: Iterable[FileChange] = (),
    propose_unproven: bool = False,
    incomplete: Mapping[str, str] | None = None,
) -> MigrationPlan:
    """Plan the migrations of those ``services`` that the run has checked and found ready.

    :param drop_old_versions: remove the old versions from lists and ranges, at the end of the rollout.
    :param builds: the interpreters that were used: a declaration of a patch release gets that of the target.
    :param earlier_changes: changes that are applied before the migrations.
    :param incomplete: the services of which something that was to be run was not, and what.
    :param propose_unproven: also plan the migrations of the others, as far as that is possible: somebody reviews them.
    """
    by_service: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_service.setdefault(outcome.service, []).append(outcome)
    asked = {outcome.service for outcome in outcomes if outcome.check == VersionCheck.name}
    asked_services = [service for service in services if service.name in asked]
    reasons = {
        service.name: blocking_reason(by_service[service.name])
        or (incomplete or {}).get(service.name, "")
        or ("" if drop_old_versions else _incomparable(service, by_service[service.name]))
        for service in asked_services
    }
    survey = VersionSurvey(plan.root, services, exclude=plan.exclude)
    migrations = _migration_targets(plan, asked_services, survey, builds, drop_old_versions=drop_old_versions)
    ready = [service for service in asked_services if not reasons[service.name]]
    earlier = tuple(earlier_changes)
    migration_plan = plan_migrations(survey, plan.root, migrations, ready, earlier_changes=earlier)
    unready: tuple[Unmigrated, ...] = ()
    if propose_unproven:
        for_review = {name: replace(migration, for_review=True) for name, migration in migrations.items()}
        proposed = plan_migrations(survey, plan.root, for_review, asked_services, earlier_changes=earlier)
        doubts = {name: doubt_about(by_service[name]) or reason for name, reason in reasons.items()}
        migration_plan = _with_proposals(migration_plan, proposed, doubts)
        migration_plan = _with_outdated_files(migration_plan, plan, asked_services, survey, keeps=not drop_old_versions)
    else:
        blocked = [service for service in asked_services if reasons[service.name]]
        hypothetical = plan_migrations(survey, plan.root, migrations, blocked)
        unready = tuple(Unmigrated(service=name, reason=reasons[name]) for name in hypothetical.migrated)
    migrated = [service for service in ready if service.name in migration_plan.migrated]
    advice = () if drop_old_versions else tuple(_advice(migrated, plan))
    return replace(migration_plan, unmigrated=(*unready, *migration_plan.unmigrated), advice=advice)


def _migration_targets(
    plan: Plan,
    services: Iterable[Service],
    survey: VersionSurvey,
    builds: Iterable[InterpreterBuild],
    *,
    drop_old_versions: bool,
) -> dict[str, MigrationTarget]:
    """Return the migration of each service by its name, with the patch release of the target that was used."""
    releases = (build.version for build in builds if build.interpreter == plan.target)
    full_version = next((text for text in releases if re.fullmatch(r"3\.\d+\.\d+", text, re.ASCII)), "")
    return {
        service.name: MigrationTarget(
            baseline=service.baseline,
            target=plan.target,
            drop_old_versions=drop_old_versions,
            full_version=full_version,
            oldest_supported=oldest_supported(survey.read(service).declarations),
        )
        for service in services
    }


def _with_proposals(
    proven: MigrationPlan, proposed: MigrationPlan, doubts: Mapping[str, str]
) -> MigrationPlan:  # fmt: skip
    """Return the plan of all services: that of the ``proven`` ones is written, the others are proposed."""
    refused = {unmigrated.service: unmigrated.reason for unmigrated in proven.unmigrated}
    unproven = [
        Unmigrated(service=name, reason=doubts[name] or refused.get(name, _SHARED))
        for name in proposed.migrated
        if name not in proven.migrated
    ]
    if not unproven and proposed.changes != proven.changes:  # a file is for the fleet as a whole
        unproven = [Unmigrated(service=name, reason=doubt) for name, doubt in doubts.items() if doubt]
    return replace(
        proven,
        changes=proposed.changes,
        unmigrated=proposed.unmigrated,
        unproven=tuple(unproven),
        remarks=proposed.remarks,
    )


def _outdated_files(plan: Plan, services: Iterable[Service]) -> tuple[CompiledRequirements, ...]:
    """Return the requirement files of the services that were compiled with an older Python."""
    tree = Tree(plan.root)
    paths = {
        join_path(service.path, name)
        for service in services
        for name in tree.scan_folder(service.path, depth=SCAN_DEPTH).files
        if name.endswith(".txt")
    }
    return compiled_for_older(tree, sorted(paths), plan.target)


def _kept_versions(
    survey: VersionSurvey, services: Iterable[Service], target: Interpreter
) -> tuple[Interpreter, ...]:  # fmt: skip
    """Return the older versions that stay in lists of the services, such as the matrix of a workflow."""
    declarations = [declaration for service in services for declaration in survey.read(service).declarations]
    listed = [item.version for item in declarations if item.role is DeclarationRole.LIST_ITEM and item.version]
    return tuple(sorted({version for version in listed if version < target}))


def _with_outdated_files(
    moves: MigrationPlan, plan: Plan, services: Iterable[Service], survey: VersionSurvey, *, keeps: bool
) -> MigrationPlan:
    """Add the files that were compiled with an older Python, and what that means for the versions that stay listed.

    :param keeps: whether lists keep the older versions.
    """
    changed = {*moves.migrated, *(unproven.service for unproven in moves.unproven)}
    moved = [service for service in services if service.name in changed]
    outdated = _outdated_files(plan, moved)
    kept = _kept_versions(survey, moved, plan.target) if keeps else ()
    if not outdated or not kept:
        return replace(moves, outdated=outdated)
    more = f" and {len(outdated) - 1} more" if len(outdated) > 1 else ""
    older = ", ".join(map(str, kept))
    remark = (
        f"{outdated[0].path}{more}: compiled with {plan.target}, a file lacks what only {older} needs, which stays "
        "listed: give that a marker in its source, or compile a file for each Python."
    )
    return replace(moves, outdated=outdated, remarks=(*moves.remarks, remark))


def _advice(migrated: Iterable[Service], plan: Plan) -> Iterator[str]:
    """Yield advice to declare the baseline: after the migration, no file contains the old version any more."""
    undeclared = [
        service for service in migrated if service.settings.baseline is None and service.baseline < plan.target
    ]
    for service in undeclared[:_MAX_ADVICE]:
        yield (
            f"to have {service.name} compared with {service.baseline} until the rollout is closed, add to the plan: "
            f'[service."{service.name}"] baseline = "{service.baseline}"'
        )
    if len(undeclared) > _MAX_ADVICE:
        yield f"likewise for the {len(undeclared) - _MAX_ADVICE} other migrated services"


def doubt_about(outcomes: Sequence[Outcome]) -> str:
    """Return why a service is not proven, in half a line: what blocks it before what could not be checked.

    Empty if nothing keeps it back.
    """
    failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED and outcome.check != VersionCheck.name]
    if not failed:
        return blocking_reason(outcomes)
    blocking = [finding for outcome in failed for finding in outcome.findings if _blocks(finding)]
    are_fixed = blocking and all(finding.changes and not needs_trial(finding) for finding in blocking)
    remedies = " (the remedies are in this diff)" if are_fixed else " (not every remedy is in this diff)"
    return f"blocked: {blocking_reason(failed)}{remedies}"


def _blocks(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR and not finding.waived


def blocking_reason(outcomes: Iterable[Outcome]) -> str:
    """Return the reason why a service cannot be migrated, as the end of a sentence; empty if it can."""
    for outcome in outcomes:
        versions = outcome.check == VersionCheck.name
        if versions and outcome.status is Status.ERRORED:
            return f"not all of its version declarations could be understood ({outcome.reason})"
        if not versions and outcome.status in NOT_READY:
            on = f" on {outcome.interpreter}" if outcome.interpreter else ""
            word = "failed" if outcome.status is Status.FAILED else "could not be checked"
            return f"{outcome.check}{on} {word}"
    return ""


def _incomparable(service: Service, outcomes: Iterable[Outcome]) -> str:
    """Return why a service whose tests fail on its baseline as well waits; empty if the plan says the baseline.

    No file says it after the move, so these failures would count as those of the target.
    """
    if service.settings.baseline is not None:
        return ""
    fails = any(finding.code == "PY404" for outcome in outcomes for finding in outcome.findings)
    setting = f'[service."{service.name}"] baseline = "{service.baseline}"'
    return (
        f"tests fail on {service.baseline} as well: to have them compared after the move, set {setting}"
        if fails
        else ""
    )


def merge_changes(first: Sequence[FileChange], second: Sequence[FileChange]) -> tuple[FileChange, ...]:
    """Merge changes of the same files, of which ``second`` was planned on top of ``first``."""
    later = {change.path: change for change in second}
    merged = {change.path: later.get(change.path, change) for change in first} | later
    return tuple(merged[path] for path in sorted(merged))
