"""PY4xx: does the service's own suite do on this interpreter what it does on the baseline?"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import SuiteComparison, SuiteRun
from pytest_py312.core.text import last_words
from pytest_py312.dependencies.installation.findings import obstacle
from pytest_py312.dependencies.installation.installer import Installation, versions_of
from pytest_py312.dependencies.resolution.known_replacements import SUCCESSORS
from pytest_py312.gate.checks.check import Facts, Judgement
from pytest_py312.gate.checks.deprecations import foretold
from pytest_py312.gate.checks.failure_hints import GENERAL, remedy_for
from pytest_py312.gate.checks.suite_comparison import (
    compare,
    confirm,
    covers,
    first_bad,
    nothing_ran,
    telling_line,
    without_addresses,
)

LONGEST_CAUSE = 240
"""Characters of an exception's line that are told; the whole of it is in the detail."""

TOO_NEW = re.compile(r"\b(?:ImportError|ModuleNotFoundError|AttributeError|SyntaxError|NameError|TypeError)\b")
"""What code that is written for a newer Python dies of on an older one."""


class SuiteCheck:
    """The suite runs, and every test that passes on the baseline passes here.

    Failing on both is shown and does not block. What newly fails is run again on both sides first.
    """

    name = "suite"
    codes: tuple[str, ...] = ("PY250", "PY401", "PY402", "PY403", "PY404", "PY405")

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        if cell.service.suite is None:
            return Judgement(outcome=_without_suite(cell))
        here = facts.installation(cell)
        if here.environment is None:
            return Judgement(outcome=_errored(cell, _no_environment(cell, here), _foretold(cell, facts)))
        run = facts.suite_run(cell)
        reason = _unusable(cell, run)
        if reason and not _taken_by_collection(cell, run):
            return Judgement(outcome=_errored(cell, reason, _foretold(cell, facts)))
        judged = _judge_baseline(cell, run, facts) if cell.is_baseline else _judge_against_baseline(cell, run, facts)
        reason = _nothing_passes(cell, run, facts) if judged.outcome.status is Status.PASSED else ""
        return replace(judged, outcome=_errored(cell, reason, judged.outcome.findings)) if reason else judged


def _outcome(cell: Cell, findings: list[Finding]) -> Outcome:
    return Outcome.judged(service=cell.service.name, interpreter=cell.interpreter, check="suite", findings=findings)


def _errored(cell: Cell, reason: str, findings: Iterable[Finding] = ()) -> Outcome:
    return Outcome.errored(
        service=cell.service.name, interpreter=cell.interpreter, check="suite", reason=reason, findings=findings
    )


def _without_suite(cell: Cell) -> Outcome:
    service = cell.service
    if service.settings.suite_skip_reason:
        return Outcome.skipped(
            service=service.name,
            interpreter=cell.interpreter,
            check="suite",
            reason=service.settings.suite_skip_reason,
        )
    return _errored(
        cell,
        f"no tests were found in {service.path}: name them with `suite` in the plan, "
        "or say `suite = false` with a reason",
    )


def _no_environment(cell: Cell, here: Installation) -> str:
    return f"the suite has no environment to run in on {cell.interpreter}: {obstacle(here)}"


def _taken_by_collection(cell: Cell, run: SuiteRun) -> bool:
    """No test ran because no file could be collected: broken, where the baseline has tests, and not unknown."""
    return run.complete and not run.results and bool(run.collection_errors) and not cell.is_baseline


def _unusable(cell: Cell, run: SuiteRun) -> str:
    if not run.complete:
        said = last_words(run.output_tail) if not run.results else ""
        because = f"; it said: {said}" if said and said not in run.trouble else ""
        remedy = remedy_for(said)
        because += f" ({remedy})" if remedy else ""
        ended = f"{run.trouble} ({len(run.results)} tests had ended)"
        return f"the suite did not come to its end on {run.interpreter}: {ended}{because}"
    return nothing_ran(run, cell.service)


def _nothing_passes(cell: Cell, run: SuiteRun, facts: Facts) -> str:
    """The sentence for a suite of which no test passes, here or where it is compared with; else empty.

    All of it fails on both where what it needs (a database, a setting) is not there: nothing can be worse then, and
    nothing is proven.
    """
    other = facts.cells(cell.service)[-1 if cell.is_baseline else 0]
    there = facts.suite_run(other) if facts.installation(other).environment is not None else run
    if any(result.ran_well for side in (run, there) for result in side.results.values()):
        return ""
    first = next((name for name, result in sorted(run.results.items()) if result.broken), "")
    cause = f" ({first}: {_cause(run, first)})" if first else ""
    places = " or ".join(str(one) for one in sorted({run.interpreter, there.interpreter}))
    return f"no test of {cell.service.path} passes on {places}, so nothing can be told of a move{cause}"


def _judge_baseline(cell: Cell, run: SuiteRun, facts: Facts) -> Judgement:
    """The baseline passes when its suite ran; of what fails there, code that is too new for it is told apart."""
    broken = [name for name, result in run.results.items() if result.broken] + list(run.collection_errors)
    others = [other for other in facts.cells(cell.service) if not other.is_baseline]
    if broken and not others:
        findings = list(_told(cell, broken, run, Telling(code="PY401", place="")))
    else:
        findings = _broken_on_baseline(cell, broken, run, others[-1], facts) if broken else []
    comparison = SuiteComparison(
        service=cell.service.name,
        baseline=run.interpreter,
        target=run.interpreter,
        counts={run.interpreter: run.counts},
    )
    return Judgement(outcome=_outcome(cell, findings), comparison=comparison)


def _broken_on_baseline(cell: Cell, broken: list[str], run: SuiteRun, target: Cell, facts: Facts) -> list[Finding]:
    there = facts.suite_run(target) if facts.installation(target).environment is not None else None
    too_new = [name for name in broken if there is not None and _works(there, name) and _looks_too_new(run, name)]
    before = [name for name in broken if name not in too_new]
    no_way_back = f" on the baseline, but not on {target.interpreter} (too new for a way back)"
    return [
        *_told(cell, too_new, run, Telling(code="PY405", place=no_way_back)),
        *_told(
            cell,
            before,
            run,
            Telling(code="PY404", place=", before any move", severity=Severity.NOTE),
        ),
    ]


def _works(run: SuiteRun, name: str) -> bool:
    result = run.results.get(name)
    if result is not None:
        return result.ran_well
    return name not in run.collection_errors and any(test.startswith(f"{name}::") for test in run.results)


def _looks_too_new(run: SuiteRun, name: str) -> bool:
    return bool(TOO_NEW.search(telling_line(_detail(run, name))))


def _judge_against_baseline(cell: Cell, run: SuiteRun, facts: Facts) -> Judgement:
    baseline = facts.cells(cell.service)[0]
    installed = facts.installation(baseline)
    if installed.environment is None:
        return Judgement(outcome=_errored(cell, f"nothing to compare with: {_no_environment(baseline, installed)}"))
    before = facts.suite_run(baseline)
    reason = _unusable(baseline, before)
    if reason:
        return Judgement(outcome=_errored(cell, f"nothing to compare with: {reason}"))

    def again(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        return facts.suite_run(replace(cell, interpreter=interpreter), attempt, select)

    comparison = confirm(compare(cell.service.name, before, run), before, run, again, facts.plan.reruns)
    runs = _runs_up_to(cell, facts)
    comparison = replace(
        comparison,
        first_bad=first_bad(comparison, runs),
        counts={**{other.interpreter: other.counts for other in (before, *runs)}},
    )
    findings = _as_notes_where_only_between(cell, facts, _worse(cell, comparison, run, facts))
    findings += _shown(cell, comparison, run)
    findings += _foretold(cell, facts, run, worse=bool(comparison.newly_failing or comparison.missing))
    return Judgement(outcome=_outcome(cell, findings), comparison=comparison)


def _foretold(cell: Cell, facts: Facts, run: SuiteRun | None = None, *, worse: bool = True) -> list[Finding]:
    """On the target: what the suite was warned of on the baseline, and on the interpreter before the target."""
    cells = facts.cells(cell.service)
    if cell != cells[-1]:
        return []
    older = [one for one in dict.fromkeys((cells[0], *cells[-2:-1])) if one != cell]
    runs = [facts.suite_run(one) for one in older if facts.installation(one).environment is not None]

    def source() -> Sequence[Finding] | None:
        inspection = facts.inspection(cell)
        return None if inspection.unchecked else inspection.findings

    warned = [one for one in runs if one.warnings]
    return foretold(cell.service, warned, cell.interpreter, run, source, worse=worse)


def _runs_up_to(cell: Cell, facts: Facts) -> list[SuiteRun]:
    """The runs on the interpreters after the baseline, up to this cell's, that came to an end."""
    between = [other for other in facts.cells(cell.service)[1:] if other.interpreter <= cell.interpreter]
    usable = [other for other in between if facts.installation(other).environment is not None]
    return [run for other in usable if (run := facts.suite_run(other)).complete]


def _worse(cell: Cell, comparison: SuiteComparison, run: SuiteRun, facts: Facts) -> list[Finding]:
    differing = _differing(facts, cell)
    failing = Telling(
        code="PY401",
        place=f" (not on {comparison.baseline})",
        since=comparison.first_bad,
        note=differing,
    )
    missing = Telling(
        code="PY402",
        place=f" (not on {comparison.baseline})",
        verb=("is missing", "are missing"),
        since=comparison.first_bad,
        note=differing,
    )
    return [*_told(cell, comparison.newly_failing, run, failing), *_told(cell, comparison.missing, run, missing)]


def _as_notes_where_only_between(cell: Cell, facts: Facts, findings: list[Finding]) -> list[Finding]:
    """On an interpreter between, a regression that the target does not have is a note: nobody stays there."""
    target = facts.cells(cell.service)[-1]
    if cell == target or not findings or facts.installation(target).environment is None:
        return findings
    there = facts.suite_run(target)
    return [
        replace(found, severity=Severity.NOTE, message=f"{found.message} (not on {target.interpreter})")
        if there.complete and all(_works(there, name) for name in found.names)
        else found
        for found in findings
    ]


def _shown(cell: Cell, comparison: SuiteComparison, run: SuiteRun) -> list[Finding]:
    flaky = Telling(code="PY403", place=" once and not again (flaky)", severity=Severity.WARNING)
    both = Telling(
        code="PY404",
        place=f" as on {comparison.baseline}",
        severity=Severity.NOTE,
        preexisting=True,
    )
    return [*_told(cell, comparison.flaky, run, flaky), *_told(cell, comparison.failing_on_both, run, both)]


def _differing(facts: Facts, cell: Cell) -> str:
    """Libraries that the interpreters made the resolver take in other versions: they may be the cause as well."""
    before = versions_of(facts.installation(replace(cell, interpreter=cell.service.baseline)))
    after = versions_of(facts.installation(cell))
    changed = [
        f"{name} {before[name]} -> {after[name]}"
        for name in sorted(before)
        if after.get(name, before[name]) != before[name]
    ]
    if not changed:
        return ""
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    return f"the two sides also differ in: {', '.join(changed[:5])}{more}"


def _detail(run: SuiteRun, name: str) -> str:
    """What is known of a test that did not run well: its own traceback, or that of the file that took it along."""
    result = run.results.get(name)
    if result is not None:
        return result.detail or result.outcome
    for place, detail in run.collection_errors.items():
        if covers(place, name):
            return detail
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Telling:
    """How a kind of trouble is told: ``3 tests <verb><place>: <cause>``.

    The interpreter is not in it: it stands in the node id, and the same trouble on several is told once.
    """

    code: str
    place: str
    severity: Severity = Severity.ERROR
    verb: tuple[str, str] = ("fails", "fail")
    since: Mapping[str, Interpreter] = field(default_factory=dict)
    note: str = ""
    preexisting: bool = False


def _told(cell: Cell, names: Iterable[str], run: SuiteRun, telling: Telling) -> Iterator[Finding]:
    """One finding for each cause: tests that die of the same line are told together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_cause(run, name), []).append(name)
    for cause, members in groups.items():
        detail = _detail(run, members[0])
        one, many = telling.verb
        count = f"1 test {one}" if len(members) == 1 else f"{len(members)} tests {many}"
        yield Finding(
            code=telling.code,
            message=f"{count}{telling.place}: {cause}",
            remedy=_remedy(telling.code, cause, detail),
            severity=telling.severity,
            location=_location(cell, members[0], detail),
            names=tuple(members),
            preexisting=telling.preexisting,
            detail="\n".join(part for part in (detail, _since(telling, members, run), telling.note) if part),
        )


def _since(telling: Telling, names: list[str], run: SuiteRun) -> str:
    """``since 3.11``, where the trouble began before the run's interpreter."""
    begun = {telling.since[name] for name in names if name in telling.since}
    return f"since {min(begun)}" if begun and min(begun) != run.interpreter else ""


def _cause(run: SuiteRun, name: str) -> str:
    """What tests have in common that are told together."""
    result = run.results.get(name)
    if result is not None and result.outcome in ("skipped", "xfailed"):
        word = "skipped" if result.outcome == "skipped" else "expected to fail"
        return f"{word}: {result.detail.removeprefix('Skipped: ')}"
    detail = _detail(run, name)
    if not detail:
        return "there is no such test any more"
    line = without_addresses(telling_line(detail))[:LONGEST_CAUSE]
    return line if result is not None else f"cannot be collected: {line}"


def _remedy(code: str, cause: str, detail: str) -> str:
    if code == "PY403":
        return "make it independent of what changes from run to run, such as the order of a set"
    if code == "PY404":
        return ""
    library = _library(detail)
    if library:
        return f"the cause is in {library}: {SUCCESSORS.get(library) or 'require a version of it that runs there'}"
    if cause.startswith(("skipped", "expected to fail", "there is no such test")):
        return "let it run there as well, or waive it in the plan with a reason"
    return remedy_for(cause) or GENERAL


def _library(detail: str) -> str:
    """The installed package in which a traceback ends, or empty when it ends in the service's own code."""
    places = re.findall(r"^(\S+\.py):\d+: ", detail, re.MULTILINE)
    found = re.search(r"site-packages/([A-Za-z]\w*)", places[-1]) if places else None
    return found[1] if found else ""


def _location(cell: Cell, name: str, detail: str) -> Location:
    """The test's file and, where the traceback names it, the line."""
    file = name.split("::")[0]
    path = (
        f"{cell.service.path}/{file}"
        if "/" in file or file.endswith(".py")
        else cell.service.manifest or cell.service.path
    )
    lines = re.findall(rf"^{re.escape(file)}:(\d+): ", detail, re.MULTILINE)
    return Location(path=path.removeprefix("./"), line=int(lines[-1]) if lines else None)
