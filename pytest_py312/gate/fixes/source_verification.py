"""Changed source judged as if it were written, by the target and the baseline: only what they agree with is kept.

What a mended name stands in front of is seen only then (a method of a class that was gone), and mended in its turn.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.analysis.services.service_analysis import Inspection
from pytest_py312.core.model.findings import Finding, Outcome, Severity, SourceChange
from pytest_py312.repository.edits.change_set import FileChange, MendingPlan, Refusal, with_source_changes

TOO_NEW = "PY210"
ROUNDS = 4
"""How often what was mended may show something else to mend."""

Judges = Callable[[Mapping[str, bytes], Sequence[str]], Mapping[str, Inspection]]
"""What would be found in the source of services (by name) if some files (by path) held what they are to hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proven:
    """The plan with the changes of source that hold, and what there is to say of the others."""

    plan: MendingPlan
    doubts: tuple[str, ...] = ()


def proven(plan: MendingPlan, outcomes: Iterable[Outcome], changes: Sequence[SourceChange], judges: Judges) -> Proven:
    """``plan``, made of ``changes`` (and of others, of requirements), with its source judged by ``judges``."""
    refused = {refusal.edit for refusal in plan.refusals}
    made = [change for change in changes if change not in refused]
    files = {change.path: change for change in plan.changes if change.path in {one.path for one in made}}
    if not files:
        return Proven(plan=plan)
    concerned = [one for one in outcomes if any(_source_changes(finding) for finding in one.findings)]
    before = [finding for outcome in concerned for finding in outcome.findings]
    services = list(dict.fromkeys(outcome.service for outcome in concerned))
    refusals = list(plan.refusals)
    for _ in range(ROUNDS):
        judged = judges({path: change.after for path, change in files.items()}, services)
        after = [finding for inspection in judged.values() for finding in inspection.findings]
        shown = revealed(before, after, made, files)
        before += shown
        further = [change for finding in shown for change in _source_changes(finding)]
        files, more = _changed(files, further)
        refusals += more
        made += [change for change in further if change not in {refusal.edit for refusal in more}]
        if len(more) == len(further):
            break
    wrong = disproofs(before, after, made, files)
    doubts = [f"{name}: not all could be proven: {one.unchecked}" for name, one in judged.items() if one.unchecked]
    doubts += [f"not changed: {path}: {reason}" for path, reason in wrong.items()]
    kept = tuple(files.get(change.path, change) for change in plan.changes if change.path not in wrong)
    return Proven(plan=replace(plan, changes=kept, refusals=tuple(refusals)), doubts=tuple(doubts))


def _changed(
    files: Mapping[str, FileChange], changes: Sequence[SourceChange]
) -> tuple[dict[str, FileChange], list[Refusal]]:
    done = {}
    refusals: list[Refusal] = []
    for path, file in files.items():
        done[path], more = with_source_changes(file, [change for change in changes if change.path == path])
        refusals += more
    return done, refusals


def _source_changes(finding: Finding) -> list[SourceChange]:
    return [] if finding.waived else [change for change in finding.changes if isinstance(change, SourceChange)]


def revealed(
    before: Iterable[Finding], after: Iterable[Finding], made: Iterable[SourceChange], paths: Iterable[str]
) -> list[Finding]:
    """What is found only now because it is part of what a name was changed to (``ConfigParser.readfp``)."""
    successors = tuple({f"{change.new}." for change in made})
    known = {_key(finding) for finding in before}
    wanted = set(paths)
    return [
        finding
        for finding in after
        if _path(finding) in wanted
        and _key(finding) not in known
        and finding.names
        and finding.names[0].startswith(successors)
    ]


def disproofs(
    before: Iterable[Finding], after: Iterable[Finding], made: Iterable[SourceChange], paths: Iterable[str]
) -> Mapping[str, str]:
    """Path -> the reason why a change of that file is not to be believed.

    ``before`` and ``after`` are the findings of the source as it is, and as it would be. A finding all of whose changes
    were ``made`` has to be gone, and none that blocks may be new.
    """
    places = {_place(change) for change in made}
    known: Counter[object] = Counter()
    mended: set[object] = set()
    for finding in before:
        changed = {_place(change) for change in _source_changes(finding)}
        if changed and changed <= places:
            mended.add(_key(finding))
        else:
            known[_key(finding)] += 1
    wanted = set(paths)
    reasons: dict[str, str] = {}
    for finding in after:
        if _path(finding) not in wanted or finding.waived:
            continue
        key = _key(finding)
        known[key] -= 1
        is_worse = finding.severity is Severity.ERROR or finding.code == TOO_NEW
        if known[key] < 0 and (is_worse or key in mended):
            line = finding.location.line if finding.location else None
            reasons.setdefault(_path(finding), f"line {line} would not be mended: {finding.message}")
    return reasons


def _place(change: SourceChange) -> object:
    return change.path, change.line, change.column, change.old


def _path(finding: Finding) -> str:
    return finding.location.path if finding.location else ""


def _key(finding: Finding) -> object:
    return finding.code, _path(finding), finding.names or finding.message
