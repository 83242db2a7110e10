"""PY1xx: do the requirements of a cell resolve, install and import?"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.findings import (
    fails_only_here,
    finding_identity,
    imports_another_module,
    incomplete_environment_reason,
    installation_findings,
    without_blocking,
    without_consequences,
    without_unneeded,
)
from pytest_py312.dependencies.installation.image_builds import (
    compiled_here,
    image_build_findings,
    is_built_in_image,
    lacking_build_findings,
)
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.gate.checks.check import CheckResult, Facts, unless_incomplete
from pytest_py312.gate.checks.dependency_findings import once_per_cause, problem_key, without_unneeded_by_tests
from pytest_py312.gate.checks.start_modules import start_findings, start_imports, unproven_start
from pytest_py312.repository.services.requirements.sources import (
    additional_services,
    production_service,
    separate_production,
)

PREVENT_INSTALLATION = frozenset(("PY101", "PY102", "PY103", "PY104", "PY106", "PY107", "PY114"))
"""Codes that prevent the installation of a set: they fail the check even if they are pre-existing."""


class DependencyCheck:
    """The requirements resolve, install, and the required projects can be imported.

    A requirement that resolves may not build, and one that installs may fail on import: the set is proven only if all
    three steps succeeded in the cell.
    """

    name = "dependencies"
    runs_suite = True
    codes: tuple[str, ...] = tuple(f"PY{number}" for number in (*range(101, 108), *range(110, 119)))

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        sets = [
            cell,
            *(replace(cell, service=service) for service in additional_services(cell.service, cell.interpreter)),
        ]
        recipe = cell.service.recipe
        is_described = recipe is not None and bool(recipe.steps) and recipe.is_complete
        results = [
            _check_set(set_cell, facts, is_additional=set_cell is not cell, is_described=is_described)
            for set_cell in sets
        ]
        set_results = [set_result for set_result in results if not set_result.is_uninstalled]
        set_results = _with_production(cell, facts, set_results)
        is_decided = all(set_result.is_decided for set_result in set_results)
        imports, is_complete = start_imports(cell, facts)
        earlier, is_earlier_complete = start_imports(cell.baseline_cell, facts)
        started_set = set_results[0 if separate_production(cell.service) is None else 1]
        installations = (started_set.installation, started_set.baseline_installation)
        started = start_findings(cell, imports, earlier, installations)
        outcome = _on_assumed_baseline(cell, _outcome(cell, set_results, (*started, *_warnings(results))))
        if cell == facts.cells(cell.service)[-1]:
            outcome = outcome.with_unchecked(unproven_start(cell, imports, earlier, None))
        return unless_incomplete(
            CheckResult(outcome=outcome, is_kept=is_complete and is_earlier_complete and is_decided),
            incomplete_environment_reason(*(set_result.installation for set_result in set_results)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _SetResult:
    """The findings on one set of requirements: that of the cell, or an additional one of its service."""

    installation: Installation
    baseline_installation: Installation
    findings: list[Finding]
    is_uninstalled: bool = False
    """Whether nothing is known to install it: then it proves nothing, and blocks nothing."""
    is_decided: bool = True
    """Whether the findings are those of each run: a suite that did not end may say something else in the next."""


def _check_set(
    cell: Cell,
    facts: Facts,
    *,
    is_additional: bool = False,
    is_described: bool = False,
    others: Collection[Finding] = (),
) -> _SetResult:
    """Check one set.

    :param is_described: a file says all that production installs, and an additional set is no part of it. One that
        can be installed nowhere is not what the service runs with.
    :param others: findings on another set of the cell; those that equal one of them are left out.
    """
    installation = facts.installation(cell)
    baseline_installation = installation if cell.is_baseline else facts.installation(cell.baseline_cell)
    findings = _compared_findings(cell, facts, installation, baseline_installation, is_additional=is_additional)
    other_keys = {problem_key(finding) for finding in others}
    findings = [finding for finding in findings if problem_key(finding) not in other_keys]
    findings = without_consequences(findings, installation)
    is_uninstalled = is_additional and (
        all(source.uninstalled for source in cell.service.requirements)
        or (is_described and _installs_nowhere(installation, baseline_installation))
    )
    is_checked = not installation.unchecked or installation.rest is not None
    is_checked = is_checked or any(finding.code == "PY104" and finding.blocks for finding in findings)
    if cell == facts.cells(cell.service)[-1] and is_checked and not is_uninstalled:
        findings = facts.repair(cell, findings)  # only what fails on the target has to be fixed
    findings = [without_blocking(finding, installation) for finding in findings]
    is_decided = True
    if not is_additional:
        findings, is_decided = without_unneeded_by_tests(cell, findings, facts)
    return _SetResult(
        installation=installation,
        baseline_installation=baseline_installation,
        findings=findings,
        is_uninstalled=is_uninstalled,
        is_decided=is_decided,
    )


def _compared_findings(
    cell: Cell, facts: Facts, installation: Installation, baseline_installation: Installation, *, is_additional: bool
) -> list[Finding]:
    """Return the findings of a set, each with whether the baseline has it as well."""
    unreadable = list(_unreadable_lines(cell, facts))
    if is_additional:
        # pip refuses this file, so the service does not run with it and can migrate without it
        unreadable = [replace(finding, severity=Severity.WARNING) for finding in unreadable]
    findings = [
        *unreadable,
        *(
            finding
            for finding in _findings(cell, installation, facts)
            if fails_only_here(finding, installation, baseline_installation)
        ),
        *image_build_findings(
            cell,
            installation,
            baseline_installation,
            facts.requirements(cell.service).entries,
            partial(facts.builds_without_compiler, installation),
        ),
        *lacking_build_findings(cell, installation, baseline_installation, facts.requirements(cell.service).entries),
    ]
    findings = _with_new_compilations(cell, findings, installation, baseline_installation)
    if not cell.is_baseline:
        # findings that the baseline has as well are pre-existing
        baseline_identities = {
            finding_identity(finding)
            for finding in (*unreadable, *_findings(cell.baseline_cell, baseline_installation, facts))
        }
        return [
            without_unneeded(
                replace(finding, preexisting=finding_identity(finding) in baseline_identities),
                installation,
                baseline_installation,
            )
            for finding in findings
        ]
    if cell != facts.cells(cell.service)[-1]:
        # a failing import that the service runs with today, such as of a missing extra, blocks no migration
        return [
            replace(finding, severity=Severity.NOTE) if finding.code == "PY105" else finding for finding in findings
        ]
    # on its own Python a service may lack an extra that one module of a library needs, and that it never imports
    return [
        replace(finding, severity=Severity.NOTE)
        if finding.code == "PY105" and imports_another_module(finding, installation)
        else finding
        for finding in findings
    ]


def _installs_nowhere(*installations: Installation) -> bool:
    """Return whether it is known of all of them that the set cannot be installed."""
    return all(
        installation.environment is None
        and not installation.unchecked
        and _prevents_installation(list(installation.findings))
        for installation in installations
    )


def _warnings(set_results: Sequence[_SetResult]) -> Iterator[Finding]:
    """Yield the findings on files that nothing is known to install, unless a set that counts has them as well."""
    counting = [result for result in set_results if not result.is_uninstalled]
    known = {finding_identity(finding) for result in counting for finding in result.findings}
    for finding in (finding for result in set_results if result.is_uninstalled for finding in result.findings):
        if finding_identity(finding) not in known:
            known.add(finding_identity(finding))
            is_error = finding.severity is Severity.ERROR
            yield replace(
                finding,
                severity=Severity.WARNING if is_error else finding.severity,
                message=f"{finding.message} (nothing is known to install this file)" if is_error else finding.message,
            )


def _with_production(cell: Cell, facts: Facts, set_results: list[_SetResult]) -> list[_SetResult]:
    """Add the run-time requirements as a set of their own, if those of tests are not or cannot be installed with them.

    What only tests need must not hide what breaks production.
    """
    production = production_service(cell.service)
    whole = set_results[0]
    if production is None or (whole.installation.environment is not None and not cell.service.separate_tests):
        return set_results
    blocking = [] if whole.installation.unchecked else [item for item in whole.findings if item.blocks]
    result = _check_set(replace(cell, service=production), facts, others=blocking)
    own = {problem_key(finding) for finding in result.findings}
    others = [finding for finding in whole.findings if problem_key(finding) not in own]
    return [replace(whole, findings=others), result, *set_results[1:]]


def _findings(cell: Cell, installation: Installation, facts: Facts) -> Iterator[Finding]:
    yield from installation_findings(cell, installation, facts.requirements(cell.service).entries)
    if installation.rest is not None:
        yield from installation_findings(cell, installation.rest, facts.requirements(cell.service).entries)
        yield from _source_build_notes(installation.rest)
    yield from installation.dispensed
    yield from _source_build_notes(installation)


def _outcome(cell: Cell, set_results: Sequence[_SetResult], started: Sequence[Finding]) -> Outcome:
    findings = [*once_per_cause(finding for result in set_results for finding in result.findings), *started]
    unchecked = next(
        (set_result.installation.unchecked for set_result in set_results if set_result.installation.unchecked), ""
    )
    notes = dict.fromkeys(
        f"{cell.service.baseline}, the baseline, could not be checked: {baseline_installation.unchecked}"
        for baseline_installation in (set_result.baseline_installation for set_result in set_results)
        if not cell.is_baseline and baseline_installation.environment is None and baseline_installation.unchecked
    )
    if not unchecked or any(finding.blocks for finding in findings):
        findings += [Finding(code="PY111", message=note, severity=Severity.WARNING) for note in notes]
    outcome = Outcome.from_findings(
        service=cell.service.name, interpreter=cell.interpreter, check="dependencies", findings=findings
    ).with_unchecked(unchecked)
    on_both = f"(also fails on {cell.service.baseline})"
    installed = all(set_result.installation.environment is not None for set_result in set_results)
    if outcome.status is Status.PASSED and (not installed or _prevents_installation(findings)):
        # pre-existing or not: a set that cannot be installed proves nothing
        worst = next(finding for finding in findings if finding.severity is Severity.ERROR)
        outcome = replace(outcome, status=Status.FAILED, reason=f"{worst.message} {on_both}")
    unimportable = [finding for finding in map(_unimportable_on_both, set_results) if finding is not None]
    if cell.service.suite is None and unimportable:
        outcome = outcome.with_unchecked(
            f"{unimportable[0].message} {on_both}, and without a suite nothing proves that the service runs"
        )
    started_with = next((finding for finding in unimportable if _is_started(cell, finding)), None)
    if started_with is not None:
        outcome = outcome.with_unchecked(
            f"{started_with.message} {on_both}, and the service is started with it, so nothing proves that it starts. "
            "Install what it needs, as the service's image does"
        )
    return outcome


def _on_assumed_baseline(cell: Cell, outcome: Outcome) -> Outcome:
    """Return an outcome that does not block where a requirement refuses a baseline that no file names.

    The service runs on some Python, so the assumption is wrong, and what else fails there says nothing of the service.
    """
    refused = [finding for finding in outcome.findings if finding.code == "PY103" and finding.blocks]
    if not refused or not cell.is_baseline or cell.service.baseline_is_declared:
        return outcome
    reason = (
        f"{refused[0].message}, so {cell.interpreter} is not the Python of {cell.service.name}, which no file names: "
        "set `baseline` for it in the plan"
    )
    notes = [replace(finding, severity=Severity.NOTE) for finding in outcome.findings]
    return replace(outcome, findings=tuple(notes), status=Status.PASSED, reason="").with_unchecked(reason)


def _is_started(cell: Cell, finding: Finding) -> bool:
    """Whether a program in the start commands of the service is of the project that the finding is about."""
    started = (program.name for program in cell.service.programs if not program.is_script)
    programs = {canonicalize_name(name.partition(".")[0]) for name in started}
    return not programs.isdisjoint(canonicalize_name(name) for name in finding.names)


def _unimportable_on_both(set_result: _SetResult) -> Finding | None:
    """Return the finding on a project of which no module can be imported, neither here nor on the baseline."""
    imports, environment = set_result.installation.imports or {}, set_result.installation.environment
    for finding in set_result.findings:
        if (
            finding.code == "PY105"
            and finding.preexisting
            and finding.severity is Severity.ERROR
            and not finding.waived
        ):
            modules = [
                module
                for name in finding.names
                for module in (environment.modules.get(name, ()) if environment is not None else ())
                if module in imports
            ]
            if all(imports[module] for module in modules):
                return finding
    return None


def _prevents_installation(findings: list[Finding]) -> bool:
    """Return whether a pre-existing error prevents the installation of the set."""
    errors = (finding for finding in findings if finding.severity is Severity.ERROR and not finding.waived)
    return any(finding.code in PREVENT_INSTALLATION for finding in errors)


def _unreadable_lines(cell: Cell, facts: Facts) -> Iterator[Finding]:
    """Yield findings on lines that pip would refuse."""
    for problem in facts.requirements(cell.service).problems:
        yield Finding(
            code="PY107",
            message=f"{problem.location}: {problem.message}",
            remedy="correct or remove the line: pip stops at it on every Python",
            location=problem.location,
            names=(problem.text.strip()[:80],),
        )


def _with_new_compilations(
    cell: Cell, findings: Sequence[Finding], installation: Installation, baseline: Installation
) -> list[Finding]:
    """Make notes on what is compiled here, and is a wheel on the baseline, warnings if no image is known to do so."""
    if cell.is_baseline or is_built_in_image(cell, installation):
        return list(findings)
    names = {distribution.name for distribution in compiled_here(installation, baseline)}
    names.difference_update(name for finding in findings if finding.code == "PY104" for name in finding.names)
    return [
        replace(
            finding,
            severity=Severity.WARNING,
            message=f"{finding.message}; that needs a compiler, and headers it may use, where the service is installed",
            remedy=f"require a version of {finding.names[0]} that has a wheel for {cell.interpreter}",
        )
        if finding.code == "PY110" and names.issuperset(finding.names)
        else finding
        for finding in findings
    ]


def _source_build_notes(installation: Installation) -> Iterator[Finding]:
    for distribution in installation.distributions:
        if (
            distribution.from_source
            and distribution.name
            and installation.lock
            and distribution.name in installation.lock.versions
        ):
            yield Finding(
                code="PY110",
                message=f"{distribution.name}=={distribution.version} has no wheel for this interpreter; it was built "
                "from source",
                severity=Severity.NOTE,
                names=(distribution.name,),
            )
