"""``--py312-diff`` and ``--py312-fix``: show or write the changes that fix findings, and check the result."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.analysis.judging.replacements import UTC_REPLACEMENTS, apply_utc_choice, needs_trial
from pytest_py312.analysis.services.service_analysis import AnalysisResult
from pytest_py312.core.errors import Py312Error, describe_internal_error
from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, Severity, SourceChange, SpecifierChange
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.model.plan import SuiteKind
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import list_names, pluralize, shorten, without_escapes
from pytest_py312.gate.checks.suite import SuiteCheck
from pytest_py312.gate.fixes.assertion_trials import confirmed_assertions
from pytest_py312.gate.fixes.ready_services import merge_changes, plan_ready_migrations
from pytest_py312.gate.fixes.relock import LockUpdate, is_same_for, plan_lock_updates, update_lock
from pytest_py312.gate.fixes.resource_trials import confirmed_resources
from pytest_py312.gate.fixes.source_verification import verify_source
from pytest_py312.gate.fixes.verification_run import run_second_time
from pytest_py312.gate.fixes.version_changes import MigrationPlan
from pytest_py312.gate.reports.run_verdict import not_run_reasons
from pytest_py312.gate.run.assembly import GateAssembly
from pytest_py312.plugin.command_line import RunOptions
from pytest_py312.repository.edits.apply import apply_changes, is_in_checkout
from pytest_py312.repository.edits.change_set import (
    ChangeSet,
    FileChange,
    RequirementComment,
    SpecifierEdit,
    plan_changes,
    unified_diff,
)
from pytest_py312.repository.edits.python.mock_assertions import REMOVED
from pytest_py312.repository.services.file_ownership import is_kept_as_it_is
from pytest_py312.repository.services.requirements.compiled_files import redirect_to_sources
from pytest_py312.repository.tree import relative_to

_RESULT_LINE = re.compile(r"\b\d+ (?:passed|failed|errors?|skipped|warnings?)\b.* in \d", re.ASCII)
"""The line with which pytest ends."""

ANNOTATED_CODES = frozenset(("PY101", "PY102", "PY103", "PY104", "PY105"))
"""Codes of findings about a requirement, which can be added as a comment."""


_MAX_NAMES = 5
"""Services that one line names."""
_MAX_UNDONE = 50
"""Files that the command which takes the changes back names."""
_MAX_LOCKS = 30
"""Compiled requirement files that are named."""
_COMMENT_LIMIT = 240
"""Maximum length of a comment above the diff."""
COMPILER_WARNING = "PY221"
"""What a later compiler refuses, and what can be changed without a change of meaning."""

REMOVED_NAMES = ("PY202", "PY203")
"""What the target has removed. Where the class of an object is unknown it is a warning, and has a change only if no
other library uses the name.
"""


def _unwaived(outcomes: Iterable[Outcome]) -> Iterator[Finding]:
    return (finding for outcome in outcomes for finding in outcome.findings if not finding.waived)


def specifier_changes(outcomes: Iterable[Outcome]) -> tuple[SpecifierChange, ...]:
    """Return all changes of requirements without duplicates: a file that several services share is changed once."""
    changes = (change for finding in _unwaived(outcomes) for change in finding.changes)
    return tuple(dict.fromkeys(change for change in changes if isinstance(change, SpecifierChange)))


def source_changes(outcomes: Iterable[Outcome], utc: str = "") -> tuple[SourceChange, ...]:
    """Return all changes of source; those of UTC times only if ``utc`` says how."""
    adapted = (apply_utc_choice(change, utc) for change in _wanted_source_changes(outcomes))
    return tuple(dict.fromkeys(change for change in adapted if change is not None))


def _wanted_source_changes(outcomes: Iterable[Outcome]) -> Iterator[SourceChange]:
    """Yield the changes of source for what blocks or what the target's compiler warns of.

    A name that is deprecated and still there keeps nobody back: its change would be one more to review in a pull
    request that is about the Python. Times in UTC have an option of their own. Vendored code is not the service's
    to change: its next copy undoes that.
    """
    for finding in _unwaived(outcomes):
        if needs_trial(finding):
            continue
        blocks = finding.severity is Severity.ERROR or finding.code in (COMPILER_WARNING, *REMOVED_NAMES)
        for change in finding.changes:
            if not isinstance(change, SourceChange) or is_kept_as_it_is(change.path):
                continue
            if blocks or change.old in UTC_REPLACEMENTS:
                yield change


def requirement_comments(outcomes: Iterable[Outcome], target: Interpreter) -> Iterator[RequirementComment]:
    """Yield a comment for each requirement that blocks on the target and that no change fixes."""
    comments: dict[tuple[str, int], dict[str, None]] = {}
    for outcome in outcomes:
        for finding in outcome.findings if outcome.interpreter == target else ():
            if _is_unfixable(finding) and finding.location is not None and finding.location.line:
                position = (finding.location.path, finding.location.line)
                comments.setdefault(position, {})[finding.message] = None
    for (path, line), messages in comments.items():
        yield RequirementComment(path=path, line=line, comment="; ".join(messages))


def _is_unfixable(finding: Finding) -> bool:
    blocks = finding.severity is Severity.ERROR and not finding.waived and not finding.changes
    # an import that also fails on the baseline does not block the migration
    return blocks and finding.code in ANNOTATED_CODES and not (finding.code == "PY105" and finding.preexisting)


def plan_fixes(
    root: Path,
    outcomes: Sequence[Outcome],
    *,
    target: Interpreter | None = None,
    annotate: bool = False,
    utc: str = "",
    tried: Sequence[SourceChange] = (),
) -> ChangeSet:
    """Plan all edits of a run and those that were ``tried``; with ``annotate``, also comments at other requirements.

    Generated files are not edited, but their sources (repository/services/requirements/compiled_files.py).
    """
    edits: list[SpecifierEdit | RequirementComment | SourceChange] = [
        SpecifierEdit(path=change.path, line=change.line, name=change.name, old=change.old, new=change.new)
        for change in redirect_to_sources(root, specifier_changes(outcomes))[0]
    ]
    if annotate and target is not None:
        edits += requirement_comments(outcomes, target)
    return plan_changes(root, [*edits, *source_changes(outcomes, utc), *tried])


class FixSession:
    """Output of changes, shown or (with ``--py312-fix``) written at the end of a session."""

    def __init__(self, options: RunOptions, fleet: Fleet, assembly: GateAssembly) -> None:
        self._root = options.plan.root
        self._target = options.plan.target
        self._options = options
        self._fleet = fleet
        self._assembly = assembly
        self._tried: tuple[SourceChange, ...] = ()
        self._lines: list[tuple[str, bool]] = []
        self._rerun_output = ""
        self.last_line = ""
        """What the second run ended with; empty if there was none."""

    def finish(self, session: pytest.Session, report: Report) -> None:
        """Plan the changes, and write them if requested. A refusal or an error is reported, and fails the run."""
        try:
            self._finish(session, report)
        except Exception as error:
            self._add_line(describe_internal_error(error), is_error=True)
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def _finish(self, session: pytest.Session, report: Report) -> None:
        fix, outcomes = self._options.fix, report.outcomes
        plan, moves = self._planned(report)
        self._show_diff(plan, moves)
        self._show_remarks(plan, moves)
        stale = self._stale_locks(plan, outcomes)
        if not fix:
            self._name_later_locks(plan, moves, {job.path for job in stale})
        if not plan.changes and not stale:
            self._add_line("nothing to change: there is no known fix for any finding")
        elif not fix and plan.changes:
            self._add_line(self._announcement(moves))
        elif plan.changes and not self._write(session, plan):
            return
        written = {change.path for change in plan.changes} if fix else set()
        regenerated = self._update_locks(stale) if self._options.update_locks else self._name_stale_locks(stale)
        changes = self._made_changes(plan, outcomes, written, regenerated)
        migrated = set(moves.migrated) if written else set()
        if changes or regenerated or migrated:  # comments alone need no second run
            self._rerun_gate(session, changes, regenerated, migrated)

    def _planned(self, report: Report) -> tuple[ChangeSet, MigrationPlan]:
        """Return the changes that the interpreters confirm, with those of versions, and the plan of the latter."""
        outcomes = report.outcomes
        try_file = partial(self._try_file, cut_short=report.cut_short)
        with_suite = {outcome.service for outcome in outcomes if outcome.check == SuiteCheck.name}
        tested = [outcome for outcome in outcomes if outcome.service in with_suite]
        self._tried = (
            *confirmed_assertions(self._root, tested, try_file),
            *confirmed_resources(self._root, tested, lambda service, files: try_file(service, "", files)),
        )
        options = self._options
        plan = plan_fixes(
            self._root, outcomes, target=self._target, annotate=options.annotate, utc=options.utc, tried=self._tried
        )
        verification = verify_source(plan, outcomes, self._source_changes(outcomes), self._analyze_with)
        for doubt in verification.doubts:
            self._add_line(doubt, is_error=True)
        plan = verification.plan
        moves = self._plan_moves(report, plan.changes)
        return replace(plan, changes=merge_changes(plan.changes, moves.changes)), moves

    def _analyze_with(self, files: Mapping[str, bytes], services: Sequence[str]) -> Mapping[str, AnalysisResult]:
        facts = self._assembly.scheduler.facts
        return facts.source_analysis_with(files, [self._fleet[name] for name in services])

    def _try_file(self, name: str, path: str, files: Mapping[str, bytes], *, cut_short: bool) -> Sequence[SuiteRun]:
        """Run the tests of one file of a service, or all if ``path`` is empty, with other contents for some files."""
        service = self._fleet[name]
        suite = service.suite
        if suite is None or suite.kind is not SuiteKind.PYTEST or cut_short:
            return ()
        below = relative_to(suite.folder or service.path, [path] if path else ())
        if path and not below:  # the suite has no such file
            return ()
        return self._assembly.scheduler.facts.suite_trials(service, below, files)

    def _plan_moves(self, report: Report, written: Sequence[FileChange]) -> MigrationPlan:
        """Plan the migration of services that the run found ready, on top of other changes."""
        return plan_ready_migrations(
            self._options.plan,
            self._fleet.services,
            report.outcomes,
            drop_old_versions=self._options.drop_old_versions,
            builds=self._assembly.builds(),
            earlier_changes=written,
            propose_unproven=not self._options.fix,
            incomplete=not_run_reasons(report),
        )

    def _source_changes(self, outcomes: Sequence[Outcome]) -> tuple[SourceChange, ...]:
        return (*source_changes(outcomes, self._options.utc), *self._tried)

    def _made_changes(
        self, plan: ChangeSet, outcomes: Sequence[Outcome], written: Set[str], regenerated: Set[str]
    ) -> list[SpecifierChange | SourceChange]:
        """Return the changes in files that were written or regenerated."""
        refused = {(edit.path, edit.old) for refusal in plan.refusals if isinstance(edit := refusal.edit, SourceChange)}
        return [
            *(change for change in specifier_changes(outcomes) if change.path in written | regenerated),
            *(
                change
                for change in self._source_changes(outcomes)
                if change.path in written and (change.path, change.old) not in refused
            ),
        ]

    def _show_remarks(self, plan: ChangeSet, moves: MigrationPlan) -> None:
        """Say what is removed, what is advised, and what is not changed."""
        for change in self._tried:
            if change.new == REMOVED:
                reason = (
                    f"assert_{change.old} fails here on the baseline; the statement, which asserts nothing, is removed"
                )
                self._add_line(f"{change.path}:{change.line}: {reason}")
        for unmigrated in moves.unmigrated:
            self._add_line(f"not migrated: {unmigrated}")
        for advice in moves.advice:
            self._add_line(advice)
        for refusal in plan.refusals:
            self._add_line(f"not changed: {refusal}", is_error=True)

    def _show_diff(self, plan: ChangeSet, moves: MigrationPlan) -> None:
        """Show the diff, below comment lines (which ``git apply`` and ``patch`` skip) about what is not proven."""
        comments = [f"# not proven on {self._target}: {unproven}" for unproven in moves.unproven]
        comments += [f"# {remark}" for remark in moves.remarks]
        diff = unified_diff(plan.changes)
        lines = [shorten(" ".join(comment.split()), _COMMENT_LIMIT) for comment in comments]
        self._add_line("\n".join((*lines, diff)) if diff else "")

    def _announcement(self, moves: MigrationPlan) -> str:
        names = [unproven.service for unproven in moves.unproven]
        if not names:
            return "--py312-fix writes these changes"
        return (
            f"--py312-fix writes these changes, but no versions of what is not proven on {self._target}: "
            f"{list_names(names, _MAX_NAMES)}"
        )

    def _stale_locks(self, plan: ChangeSet, outcomes: Sequence[Outcome]) -> tuple[LockUpdate, ...]:
        """Return what has to be regenerated: because of written changes, or because it was stale before."""
        written = plan.changes if self._options.fix else ()
        compiled = redirect_to_sources(self._root, specifier_changes(outcomes))[1]
        return plan_lock_updates(self._root, written, _unwaived(outcomes), compiled)

    def _name_stale_locks(self, stale: Sequence[LockUpdate]) -> set[str]:
        for job in stale:
            self._name_lock(job)
        return set()

    def _name_lock(self, job: LockUpdate, when: str = "") -> None:
        """Name a file that has to be regenerated, with the command if there is one."""
        manually = f"{job.path} has to be regenerated manually: {job.unavailable_reason}"
        self._add_line(manually if job.unavailable_reason else f"{job}{when}")

    def _name_later_locks(self, plan: ChangeSet, moves: MigrationPlan, named_paths: Set[str]) -> None:
        """Name what has to be regenerated once the shown changes are made."""
        for job in plan_lock_updates(self._root, plan.changes, (), {}):
            if job.path not in named_paths:
                self._add_line(f"{job} after these changes")
        outdated = [file for file in moves.outdated[:_MAX_LOCKS] if file.path not in named_paths]
        outdated = [file for file in outdated if not is_same_for(self._root, file, self._target)]
        for job in plan_lock_updates(self._root, (), (), dict.fromkeys(outdated, ())):
            self._name_lock(job, f" with Python {self._target} after these changes")

    def _update_locks(self, stale: Sequence[LockUpdate]) -> set[str]:
        """Regenerate stale lock files; return the paths of those that were."""
        regenerated = set()
        for job in stale:
            try:
                problem = update_lock(self._root, job, allow_dirty=self._options.allow_dirty)
            except Py312Error as error:
                problem = str(error)
            if problem:
                self._add_line(f"{job}; it could not be run here: {problem}", is_error=True)
            else:
                self._add_line(f"{job.path} was regenerated by `{' '.join(job.argv)}`")
                regenerated.add(job.path)
        return regenerated

    def _write(self, session: pytest.Session, plan: ChangeSet) -> bool:
        try:
            apply_changes(self._root, plan.changes, allow_dirty=self._options.allow_dirty)
        except Py312Error as error:
            self._add_line(str(error), is_error=True)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            return False
        undo = ""
        if not self._options.allow_dirty and is_in_checkout(self._root.resolve()):
            changed = plan.changes[:_MAX_UNDONE]
            paths = " ".join(shlex.quote(os.path.relpath(self._root / change.path)) for change in changed)
            more = " ..." if len(changed) < len(plan.changes) else ""
            undo = f"; to undo it: git restore -- {paths}{more}"
        self._add_line(f"{pluralize(len(plan.changes), 'file')} written{undo}")
        return True

    def _rerun_gate(
        self,
        session: pytest.Session,
        changes: Sequence[SpecifierChange | SourceChange],
        regenerated: set[str],
        migrated: set[str],
    ) -> None:
        """Run the gate again to verify the changes; the exit status is that of this second run."""
        invocation = session.config.invocation_params
        rerun = run_second_time([str(argument) for argument in invocation.args], invocation.dir, changes, migrated)
        self._rerun_output = rerun.output
        if rerun.exit_code is None:
            self._add_line("the gate was run again and did not finish, so nothing is proven; see below", is_error=True)
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            self.last_line = "py312: after the changes: the gate did not finish; the line above is from before them"
            return
        session.exitstatus = rerun.exit_code
        self.last_line = last_line(rerun.output, rerun.exit_code)
        for line in rerun.disagreements:
            self._add_line(f"the gate was run again and does not confirm it: {line}", is_error=True)
        if not rerun.disagreements:
            blamed = {change.name if isinstance(change, SpecifierChange) else change.old for change in changes}
            names = ", ".join(sorted(blamed | regenerated | migrated))
            self._add_line(
                f"the gate was run again (exit status {rerun.exit_code}), and reports none of these: {names}"
            )

    def _add_line(self, text: str, *, is_error: bool = False) -> None:
        if text:
            self._lines.append((text.rstrip("\n"), is_error))

    def show(self, terminal: Any) -> None:
        """Print the changes, and the output of the second run."""
        terminal.section("changes", sep="=")
        for text, is_error in self._lines:
            terminal.write_line(_printable(text), red=is_error)
        if self._rerun_output:
            terminal.section("the gate again, after the changes", sep="=")
            terminal.write_line(_printable(self._rerun_output.rstrip("\n")))


def last_line(output: str, exit_code: int) -> str:
    """Return the result of the second run, which would otherwise stand above that of the first."""
    lines = [line.strip("= \t") for line in without_escapes(output).splitlines() if line.strip("= \t")]
    result = next((line for line in reversed(lines) if _RESULT_LINE.search(line)), f"exit status {exit_code}")
    return f"py312: after the changes: {shorten(result, 200)}; the line above is from before them"


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
