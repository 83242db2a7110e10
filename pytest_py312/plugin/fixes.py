"""``--py312-diff`` and ``--py312-fix``: the changes that the findings name, shown or written, and judged again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.analysis.judging.replacements import asked_for
from pytest_py312.core.errors import Py312Error
from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, Severity, SourceChange, SpecifierChange
from pytest_py312.gate.fixes.ready_services import together
from pytest_py312.gate.fixes.relock import Relock, relock, relocks
from pytest_py312.gate.fixes.source_verification import Judges, proven
from pytest_py312.gate.fixes.verification_run import run_again
from pytest_py312.gate.fixes.version_changes import MovePlan
from pytest_py312.plugin.command_line import relocks_wanted
from pytest_py312.repository.edits.apply import write
from pytest_py312.repository.edits.change_set import Annotation, Edit, FileChange, MendingPlan, diff_of, plan_edits
from pytest_py312.repository.services.compiled_requirements import redirected

ANNOTATED = frozenset(("PY101", "PY102", "PY103", "PY104", "PY105"))
"""Codes of what is said of a requirement, and can stand beside it as a comment."""


Moves = Callable[[Sequence[Outcome], Sequence[FileChange]], MovePlan]
"""The moves of what a run has found ready, on top of other changes."""


def _all_changes(outcomes: Iterable[Outcome]) -> Iterator[SpecifierChange | SourceChange]:
    for outcome in outcomes:
        for finding in outcome.findings:
            if not finding.waived:
                yield from finding.changes


def changes_of(outcomes: Iterable[Outcome]) -> tuple[SpecifierChange, ...]:
    """All changes of requirements together; a file that several services share is changed once."""
    return tuple(dict.fromkeys(one for one in _all_changes(outcomes) if isinstance(one, SpecifierChange)))


def source_changes_of(outcomes: Iterable[Outcome], utc: str = "") -> tuple[SourceChange, ...]:
    """All changes of source together, those of times in UTC only where ``utc`` says how."""
    found = (asked_for(one, utc) for one in _all_changes(outcomes) if isinstance(one, SourceChange))
    return tuple(dict.fromkeys(one for one in found if one is not None))


def annotations_of(outcomes: Iterable[Outcome], target: Interpreter) -> Iterator[Annotation]:
    """A comment for each requirement that blocks on the target and that no change mends."""
    comments: dict[tuple[str, int], dict[str, None]] = {}
    for outcome in outcomes:
        for finding in outcome.findings if outcome.interpreter == target else ():
            if _is_unmendable(finding) and finding.location is not None and finding.location.line:
                place = (finding.location.path, finding.location.line)
                comments.setdefault(place, {})[finding.message] = None
    for (path, line), messages in comments.items():
        yield Annotation(path=path, line=line, comment="; ".join(messages))


def _is_unmendable(finding: Finding) -> bool:
    blocks = finding.severity is Severity.ERROR and not finding.waived and not finding.changes
    # an import that fails on the baseline as well keeps nobody from moving
    return blocks and finding.code in ANNOTATED and not (finding.code == "PY105" and finding.preexisting)


def plan_of(
    root: Path,
    outcomes: Sequence[Outcome],
    *,
    target: Interpreter | None = None,
    annotate: bool = False,
    utc: str = "",
) -> MendingPlan:
    """All edits of a run together; with ``annotate``, also comments where nothing mends a requirement.

    What a tool has written is not edited: what it was made from is (repository/services/compiled_requirements.py).
    """
    edits: list[Edit | Annotation | SourceChange] = [
        Edit(path=change.path, line=change.line, name=change.name, old=change.old, new=change.new)
        for change in redirected(root, changes_of(outcomes))[0]
    ]
    if annotate and target is not None:
        edits += annotations_of(outcomes, target)
    return plan_edits(root, [*edits, *source_changes_of(outcomes, utc)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What of the command line is about changes. ``fix`` writes, else they are only shown."""

    fix: bool
    annotate: bool = False
    allow_dirty: bool = False
    utc: str = ""


class Mending:
    """Shows or writes changes at the end of a session."""

    def __init__(self, root: Path, *, target: Interpreter, wishes: Wishes, judges: Judges, moves: Moves) -> None:
        self._root = root
        self._target = target
        self._wishes = wishes
        self._judges = judges
        self._moves = moves
        self._lines: list[tuple[str, bool]] = []
        self._again = ""

    def finish(self, session: pytest.Session, outcomes: Sequence[Outcome]) -> None:
        """Work the changes out, and write them where asked to. A refusal is told, and fails the run."""
        wishes = self._wishes
        plan = plan_of(self._root, outcomes, target=self._target, annotate=wishes.annotate, utc=wishes.utc)
        plan = self._proven(plan, outcomes)
        moves = self._moves(outcomes, plan.changes)
        plan = replace(plan, changes=together(plan.changes, moves.changes))
        self._say(diff_of(plan.changes))
        for kept in moves.kept:
            self._say(f"not moved: {kept}")
        for advice in moves.advice:
            self._say(advice)
        for refusal in plan.refusals:
            self._say(f"not changed: {refusal}", bad=True)
        stale = self._stale(plan, outcomes)
        if not plan.changes and not stale:
            self._say("nothing to change: nothing was found that a change is known to mend")
        elif not wishes.fix and plan.changes:
            self._say("--py312-fix writes these changes")
        elif plan.changes and not self._write(session, plan):
            return
        written = {change.path for change in plan.changes} if wishes.fix else set()
        anew = self._relock(stale) if relocks_wanted(session.config) else self._name(stale)
        changes: list[SpecifierChange | SourceChange] = [
            change for change in changes_of(outcomes) if change.path in written | anew
        ]
        refused = {(edit.path, edit.old) for refusal in plan.refusals if isinstance(edit := refusal.edit, SourceChange)}
        changes += [
            change
            for change in source_changes_of(outcomes, wishes.utc)
            if change.path in written and (change.path, change.old) not in refused
        ]
        moved = set(moves.moved) if written else set()
        if changes or anew or moved:  # a comment changes nothing that could be judged
            self._run_again(session, changes, anew | moved)

    def _proven(self, plan: MendingPlan, outcomes: Sequence[Outcome]) -> MendingPlan:
        """``plan`` with the source that the interpreters agree with."""
        found = proven(plan, outcomes, source_changes_of(outcomes, self._wishes.utc), self._judges)
        for doubt in found.doubts:
            self._say(doubt, bad=True)
        return found.plan

    def _stale(self, plan: MendingPlan, outcomes: Sequence[Outcome]) -> tuple[Relock, ...]:
        """What has to be made anew: because of what was written and, beside it, because it is stale in any case."""
        written = plan.changes if self._wishes.fix else ()
        findings = [found for outcome in outcomes for found in outcome.findings if not found.waived]
        compiled = redirected(self._root, changes_of(outcomes))[1]
        return relocks(self._root, written, findings, compiled)

    def _name(self, stale: Sequence[Relock]) -> set[str]:
        for job in stale:
            self._say(f"{job.path} has to be made anew by hand: {job.trouble}" if job.trouble else str(job))
        return set()

    def _relock(self, stale: Sequence[Relock]) -> set[str]:
        """The paths of the lock files that were made anew."""
        anew = set()
        for job in stale:
            try:
                trouble = relock(self._root, job, allow_dirty=self._wishes.allow_dirty)
            except Py312Error as error:
                trouble = str(error)
            if trouble:
                self._say(f"{job}; it could not be run here: {trouble}", bad=True)
            else:
                self._say(f"{job.path} was made anew by `{' '.join(job.argv)}`")
                anew.add(job.path)
        return anew

    def _write(self, session: pytest.Session, plan: MendingPlan) -> bool:
        try:
            write(self._root, plan.changes, allow_dirty=self._wishes.allow_dirty)
        except Py312Error as error:
            self._say(str(error), bad=True)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            return False
        self._say(f"{len(plan.changes)} file(s) written")
        return True

    def _run_again(
        self, session: pytest.Session, changes: Sequence[SpecifierChange | SourceChange], anew: set[str]
    ) -> None:
        """The gate has to agree; the exit status is that of the second run."""
        asked = session.config.invocation_params
        again = run_again([str(argument) for argument in asked.args], asked.dir, changes)
        self._again = again.output
        if again.exit_code is None:
            self._say("the gate was run again and came to no end, so nothing is proven; see below", bad=True)
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            return
        session.exitstatus = again.exit_code
        for line in again.disagrees:
            self._say(f"the gate was run again and does not agree: {line}", bad=True)
        if not again.disagrees:
            blamed = {change.name if isinstance(change, SpecifierChange) else change.old for change in changes}
            names = ", ".join(sorted(blamed | anew))
            self._say(f"the gate was run again (exit status {again.exit_code}), and blames none of these: {names}")

    def _say(self, text: str, *, bad: bool = False) -> None:
        if text:
            self._lines.append((text.rstrip("\n"), bad))

    def show(self, terminal: Any) -> None:
        """Print what was found out, and what the second run said."""
        terminal.section("changes", sep="=")
        for text, bad in self._lines:
            terminal.write_line(_printable(text), red=bad)
        if self._again:
            terminal.section("the gate again, after the changes", sep="=")
            terminal.write_line(_printable(self._again.rstrip("\n")))


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
