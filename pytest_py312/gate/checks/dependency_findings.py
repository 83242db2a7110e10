"""Which findings on requirements count: one for each cause, and of what only tests need, what these tests need.

An import of what is installed for tests alone may fail where none of them needs it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.text import pluralize
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.gate.checks.check import Facts
from pytest_py312.repository.services.requirements.sources import production_service


def problem_key(finding: Finding) -> tuple[object, ...]:
    """Return a key that is equal for the same finding on two sets of a cell."""
    return finding.code, finding.names, finding.message


def once_per_cause(findings: Iterable[Finding]) -> list[Finding]:
    """Return ``findings`` without those that two sets share, and with one for each cause why imports of a project fail.

    The detail of that one names the other modules. Conflicts that one change resolves are one finding too.
    """
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        key: object = replace(finding, severity=Severity.ERROR)
        if finding.code == "PY105":
            cause = finding.message.partition(" fails: ")[2]
            key = (finding.names, cause, finding.preexisting, finding.severity)
        elif finding.code == "PY101" and finding.changes:
            key = (finding.changes, finding.preexisting, finding.severity)
        groups.setdefault(key, []).append(finding)
    return _without_repeats(
        [
            _with_other_conflicts(group) if group[0].code == "PY101" else _with_other_modules(group)
            for group in groups.values()
        ]
    )


def _with_other_conflicts(group: Sequence[Finding]) -> Finding:
    others = {finding.message: None for finding in group if finding.message != group[0].message}
    if not others:
        return group[0]
    return replace(
        group[0],
        message=f"{group[0].message} (and {pluralize(len(others), 'more conflict')} that the same change resolves)",
        names=tuple(dict.fromkeys(name for finding in group for name in finding.names)),
        detail="\n".join([group[0].detail, *others]).strip(),
    )


def _without_repeats(findings: Sequence[Finding]) -> list[Finding]:
    """Return ``findings`` without those that say less than another one.

    A source that was not tried in one set was built for another; a version that cannot be had is pinned by a lock
    file; a warning is an error of another set. One that blocks is kept in any case.
    """
    built = {_built_source(finding) for finding in findings if finding.code in ("PY104", "PY110")}
    pinned = {(finding.names, finding.blocks) for finding in findings if finding.code == "PY115"}
    kept: dict[object, Finding] = {}
    for finding in findings:
        is_untried = finding.code == "PY112" and _built_source(finding) in built
        is_pinned = finding.code in ("PY102", "PY104") and (finding.names, finding.blocks) in pinned
        if is_untried or (is_pinned and not finding.changes):
            continue
        key = (*problem_key(finding), finding.location)
        if key not in kept or _weight(finding) > _weight(kept[key]):
            kept[key] = finding
    return list(kept.values())


def _weight(finding: Finding) -> tuple[bool, bool, bool]:
    """Return what orders findings on the same problem: what is pre-existing in one set may be new in another."""
    return finding.blocks, finding.severity is Severity.ERROR, bool(finding.changes)


def _built_source(finding: Finding) -> str:
    """Return the ``name==version`` with which the message about a source begins."""
    return finding.message.partition(" ")[0].rstrip(":")


def _with_other_modules(group: Sequence[Finding]) -> Finding:
    group = sorted(group, key=lambda finding: finding.severity is not Severity.ERROR)
    first = next((finding for finding in group if finding.changes and finding.severity is group[0].severity), group[0])
    modules = {_failing_import(finding) for finding in group} - {_failing_import(first)}
    if first.code != "PY105" or not modules:
        return first
    return replace(
        first, detail="\n".join([first.detail, *(f"{name} fails alike" for name in sorted(modules))]).strip()
    )


def _failing_import(finding: Finding) -> str:
    return "`import " + finding.message.partition(" fails: ")[0].rpartition("`import ")[2]


def without_unneeded_by_tests(cell: Cell, findings: Sequence[Finding], facts: Facts) -> tuple[list[Finding], bool]:
    """Return ``findings``, with failing imports as warnings if no test needs them, and whether to keep that.

    Only where production does without the lines of the tests: it is checked apart if they have an environment of their
    own; otherwise all that it requires has to be importable in one without them. The tests have to pass as on the
    baseline, for which the suite is run if there is such a finding; a run that did not end says nothing. If no test
    runs on the baseline, they prove nothing there either: the check of the suite says so, and the service is not
    blocked by what only they require.
    """
    suspects = [finding for finding in findings if finding.code == "PY105" and finding.blocks]
    suspects = [finding for finding in suspects if _is_only_of_tests(cell, finding)]
    production = production_service(cell.service)
    if not suspects or cell.is_baseline or cell.service.suite is None or production is None:
        return list(findings), True
    made = facts.installation(replace(cell, service=production))
    if not all(_does_without(made, finding.names) for finding in suspects):
        return list(findings), True
    # what cannot be imported there is reported by the check of that environment, if it is one of its own
    if not cell.service.separate_tests and _fails_newly(
        made, facts.installation(replace(cell.baseline_cell, service=production))
    ):
        return list(findings), True
    if any(facts.installation(each).environment is None for each in (cell, cell.baseline_cell)):
        return list(findings), True
    baseline = facts.suite_run(cell.baseline_cell)
    if baseline.complete and not baseline.results and not baseline.commands:
        reason = f"none of them runs on {cell.service.baseline}"
    else:
        run = facts.suite_run(cell)
        if not _pass_alike(run, baseline):
            return list(findings), run.complete and baseline.complete
        reason = "they pass without it"
    return [
        replace(finding, severity=Severity.WARNING, message=f"{finding.message} (only tests require it, and {reason})")
        if finding in suspects
        else finding
        for finding in findings
    ], cell.service.separate_tests  # else the outcome depends on a set that is no part of its key


def _does_without(production: Installation, names: Collection[str]) -> bool:
    """Whether production has none of these projects, or each can be imported in its environment."""
    if production.environment is None or production.incomplete:
        return False
    imports = production.imports or {}
    versions, modules = production.environment.versions, production.environment.modules
    return all(
        name not in versions or any(imports.get(module) == "" for module in modules.get(name, ())) for name in names
    )


def _fails_newly(production: Installation, baseline: Installation) -> bool:
    """Whether a module of production cannot be imported that can be on the baseline."""
    failing = {module for module, error in (production.imports or {}).items() if error}
    return any(not (baseline.imports or {}).get(module) for module in failing)


def _is_only_of_tests(cell: Cell, finding: Finding) -> bool:
    """Whether the line that a finding is about is in a file of the tests."""
    of_production = {source.path for source in cell.service.requirements}
    of_tests = {source.path for source in cell.service.test_requirements} - of_production
    return finding.location is not None and finding.location.path in of_tests


def _pass_alike(run: SuiteRun, baseline: SuiteRun) -> bool:
    """Whether each test that passes on the baseline passes here as well, some do, and no file is lost."""
    is_whole = run.complete and baseline.complete and run.collection_errors.keys() <= baseline.collection_errors.keys()
    return is_whole and bool(_passed(baseline)) and _passed(baseline) <= _passed(run)


def _passed(run: SuiteRun) -> set[str]:
    return {name for name, result in run.results.items() if result.outcome == "passed"}
