"""``--py312-diff`` and ``--py312-fix``: the changes that the findings name, shown or written."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.errors import Py312Error
from pytest_py312.mending import Edit, MendingPlan, diff_of, plan_edits, stale_locks
from pytest_py312.model import Outcome
from pytest_py312.writing import write


def plan_of(root: Path, outcomes: Iterable[Outcome]) -> MendingPlan:
    """All changes of a run together; a file that several services share is changed once."""
    changes = dict.fromkeys(
        change
        for outcome in outcomes
        for finding in outcome.findings
        if not finding.waived
        for change in finding.changes
    )
    return plan_edits(
        root,
        [
            Edit(path=change.path, line=change.line, name=change.name, old=change.old, new=change.new)
            for change in changes
        ],
    )


class Mending:
    """Shows or writes changes at the end of a session. ``fix`` writes, else they are only shown."""

    def __init__(self, root: Path, *, fix: bool, allow_dirty: bool) -> None:
        self._root = root
        self._fix = fix
        self._allow_dirty = allow_dirty
        self._lines: list[tuple[str, bool]] = []

    def finish(self, session: pytest.Session, outcomes: Iterable[Outcome]) -> None:
        """Work the changes out, and write them where asked to. A refusal is told, and fails the run."""
        plan = plan_of(self._root, outcomes)
        self._say(diff_of(plan.changes))
        for refusal in plan.refusals:
            self._say(f"not changed: {refusal}", bad=True)
        if not plan.changes:
            self._say("nothing to change: no requirement is blocked by what a change of it was found to mend")
        elif self._fix:
            self._write(session, plan)
        else:
            self._say("--py312-fix writes these changes")

    def _write(self, session: pytest.Session, plan: MendingPlan) -> None:
        try:
            write(self._root, plan.changes, allow_dirty=self._allow_dirty)
        except Py312Error as error:
            self._say(str(error), bad=True)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            return
        for path, command in stale_locks(self._root, plan.changes):
            self._say(f"{path} is out of date now: run `{command}` in its folder")
        self._say(f"{len(plan.changes)} file(s) written; run the gate again, which has to agree")

    def _say(self, text: str, *, bad: bool = False) -> None:
        if text:
            self._lines.append((text.rstrip("\n"), bad))

    def show(self, terminal: Any) -> None:
        """Print what was found out."""
        terminal.section("changes", sep="=")
        for text, bad in self._lines:
            terminal.write_line(text.encode("utf-8", "replace").decode(), red=bad)
