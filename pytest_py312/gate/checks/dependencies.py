"""PY1xx: do the requirements of a cell resolve, install and import?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import Finding, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.findings import faults_of, same_trouble
from pytest_py312.dependencies.installation.installer import Installation
from pytest_py312.gate.checks.check import Facts, Judgement
from pytest_py312.repository.services.requirement_sources import further_services

BLOCK_EVERYWHERE = frozenset(("PY101", "PY102", "PY103", "PY104", "PY107", "PY114"))
"""What keeps a set from being installed at all: as bad on the baseline, it proves nothing here either."""


class Dependencies:
    """The requirements resolve, install, and what they name can be imported.

    A requirement that resolves may still be impossible to build, and one that installs may die when it is imported:
    the set is proven only when all three were done in the cell.
    """

    name = "dependencies"
    codes: tuple[str, ...] = (
        "PY101",
        "PY102",
        "PY103",
        "PY104",
        "PY105",
        "PY106",
        "PY107",
        "PY110",
        "PY111",
        "PY112",
        "PY113",
        "PY114",
        "PY115",
        "PY116",
    )

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        sets = [cell, *(replace(cell, service=further) for further in further_services(cell.service))]
        judged = [_judged_set(one, facts, is_further=one is not cell) for one in sets]
        return Judgement(outcome=_outcome(cell, judged))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Set:
    """What was found of one set of requirements: that of the cell, or a further one of its service."""

    here: Installation
    before: Installation
    findings: list[Finding]


def _judged_set(cell: Cell, facts: Facts, *, is_further: bool) -> _Set:
    here = facts.installation(cell)
    baseline = replace(cell, interpreter=cell.service.baseline)
    before = here if cell.is_baseline else facts.installation(baseline)
    unreadable = list(_unreadable(cell, facts))
    if is_further:
        # nobody installs a file that pip stops at: the service runs with others, and moves without it
        unreadable = [replace(found, severity=Severity.WARNING) for found in unreadable]
    findings = [*unreadable, *_findings(cell, here, facts)]
    if not cell.is_baseline:
        # baseline findings, with the baseline's own code, tell what was as bad before
        known = {same_trouble(found) for found in (*unreadable, *_findings(baseline, before, facts))}
        findings = [replace(found, preexisting=same_trouble(found) in known) for found in findings]
    elif cell != facts.cells(cell.service)[-1]:
        # what the service lives with today, such as a module that wants an extra, keeps nobody from moving
        findings = [replace(found, severity=Severity.NOTE) if found.code == "PY105" else found for found in findings]
    if cell == facts.cells(cell.service)[-1] and not here.unchecked:
        findings = facts.repair(cell, findings)  # what has to be mended is what the target says
    return _Set(here=here, before=before, findings=findings)


def _findings(cell: Cell, here: Installation, facts: Facts) -> Iterator[Finding]:
    yield from faults_of(cell, here, facts.requirements(cell.service).entries)
    yield from _built(here)


def _outcome(cell: Cell, judged: Sequence[_Set]) -> Outcome:
    # two sets may share files, and what is wrong with those is told once
    told: dict[Finding, Finding] = {}
    for found in (found for one in judged for found in one.findings):
        told.setdefault(replace(found, severity=Severity.ERROR), found)
    findings = list(told.values())
    unchecked = next((one.here.unchecked for one in judged if one.here.unchecked), "")
    if unchecked:
        return Outcome.errored(
            service=cell.service.name,
            interpreter=cell.interpreter,
            check="dependencies",
            reason=unchecked,
            findings=findings,
        )
    for before in (one.before for one in judged):
        if not cell.is_baseline and before.environment is None and before.unchecked:
            note = f"{cell.service.baseline}, the baseline, could not be checked: {before.unchecked}"
            findings.append(Finding(code="PY111", message=note, severity=Severity.WARNING))
    outcome = Outcome.judged(
        service=cell.service.name, interpreter=cell.interpreter, check="dependencies", findings=findings
    )
    installed = all(one.here.environment is not None for one in judged)
    if outcome.status is Status.PASSED and (not installed or _blocks_everywhere(findings)):
        # as bad on the baseline is no excuse: a set that cannot be installed proves nothing here either
        worst = next(found for found in findings if found.severity is Severity.ERROR)
        return replace(outcome, status=Status.FAILED, reason=f"{worst.message} (as on {cell.service.baseline})")
    dead = next(filter(None, map(_dead_before, judged)), None)
    if outcome.status is Status.PASSED and cell.service.suite is None and dead is not None:
        reason = f"{dead.message} (as on {cell.service.baseline}), and without a suite nothing shows that it runs"
        return replace(outcome, status=Status.ERRORED, reason=reason)
    return outcome


def _dead_before(one: _Set) -> Finding | None:
    """A project of which nothing can be imported, here as on the baseline: what needs it may run on neither."""
    imports, environment = one.here.imports or {}, one.here.environment
    for found in one.findings:
        if found.code == "PY105" and found.preexisting and found.severity is Severity.ERROR and not found.waived:
            modules = [
                module
                for name in found.names
                for module in (environment.modules.get(name, ()) if environment is not None else ())
                if module in imports
            ]
            if all(imports[module] for module in modules):
                return found
    return None


def _blocks_everywhere(findings: list[Finding]) -> bool:
    """Whether something keeps the set from being installed at all, here as on the baseline."""
    errors = (found for found in findings if found.severity is Severity.ERROR and not found.waived)
    return any(found.code in BLOCK_EVERYWHERE for found in errors)


def _unreadable(cell: Cell, facts: Facts) -> Iterator[Finding]:
    """Lines that pip would refuse."""
    for problem in facts.requirements(cell.service).problems:
        yield Finding(
            code="PY107",
            message=f"{problem.location}: {problem.message}",
            remedy="correct or remove the line: pip stops at it on every Python",
            location=problem.location,
            names=(problem.text.strip()[:80],),
        )


def _built(here: Installation) -> Iterator[Finding]:
    for entry in here.entries:
        if entry.from_source and entry.name and here.lock and entry.name in here.lock.versions:
            yield Finding(
                code="PY110",
                message=f"{entry.name}=={entry.version} has no wheel for this interpreter; it was built from source",
                severity=Severity.NOTE,
                names=(entry.name,),
            )
