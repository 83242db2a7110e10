"""``--py312-baseline`` and ``--py312-baseline-update``: the file of recorded findings in a session."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.files import NotWritten, Refused, Replacement, create, read_regular, replace_all
from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import counted, prose
from pytest_py312.gate.run.baseline_file import (
    SIZE_LIMIT,
    Entry,
    RecordError,
    entries_in,
    exceeded,
    lay_over,
    recording_of,
    shrunk,
    text_of,
)
from pytest_py312.gate.run.tasks import Item
from pytest_py312.plugin.command_line import Aim

_SHOWN = 10
_COMPLETE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
_ANSWERED = (Status.PASSED, Status.FAILED)

AllItems = Callable[[str], Sequence[Item]]
"""All items of the service of a name, whatever was chosen, the target's last; none where there is no such service."""


def recorded_of(aim: Aim) -> "Recorded | None":
    """The file that the command line names, read.

    :raises RecordError: it cannot be used.
    """
    if aim.baseline is None:
        return None
    chosen = aim.chosen or aim.stages or aim.services or aim.interpreters
    return Recorded(aim.baseline, update=aim.baseline_update, whole=bool(aim.plan.source) and not chosen)


class Recorded:
    """Says what of a run is known, and takes out of the file what is mended.

    :param update: write the file: record where there is none, else shrink.
    :param whole: the run is about all services of a plan, so that one which is missing is gone.
    """

    def __init__(self, file: Path, *, update: bool, whole: bool) -> None:
        self._file = file
        self._update = update
        self._whole = whole
        self._content = self._read()
        self.entries = entries_in(self._content, str(file)) if self._content is not None else {}
        self._said: list[tuple[str, str]] = []

    def _read(self) -> bytes | None:
        """``None``: there is no file yet, and one is to be recorded."""
        if not os.path.lexists(self._file):
            if self._update:
                return None
            raise RecordError(
                f"--py312-baseline={self._file}: there is no such file; record it with --py312-baseline-update"
            )
        try:
            return read_regular(self._file.parent, self._file.name, SIZE_LIMIT)
        except Refused as refused:
            raise RecordError(f"--py312-baseline={self._file}: {refused}") from None

    def lay_over(self, outcome: Outcome) -> Outcome:
        """``outcome`` with what is recorded known."""
        return lay_over(outcome, self.entries) if self.entries else outcome

    def finish(self, session: pytest.Session, report: Report, all_items: AllItems) -> None:
        """See what of the file is still needed and, where it is to be written, write it."""
        if self._content is None:
            self._record(session, report)
            return
        self._tell_known(report)
        kept = shrunk(self.entries.values(), report.outcomes, self._judged_by(report, all_items))
        left = {entry.key: entry.count for entry in kept}
        gone = [entry for entry in self.entries.values() if left.get(entry.key, 0) < entry.count]
        if not gone:
            return
        several = "recorded finding does" if len(gone) == 1 else "recorded findings do"
        if self._update:
            self._say(f"{len(gone)} {several} not occur any more, and taken out of {self._file}:")
            self._list(gone)
            self._write(session, text_of(kept))
        else:
            self._say(f"{len(gone)} {several} not occur any more: --py312-baseline-update takes them out", "yellow")
            self._list(gone)

    def _tell_known(self, report: Report) -> None:
        known = {
            (outcome.service, finding.fingerprint)
            for outcome in report.outcomes
            for finding in outcome.findings
            if finding.known
        }
        self._say(
            f"{len(known)} of {counted(len(self.entries), 'recorded finding')} in {self._file} occur and do not block"
        )
        for entry, found in exceeded(report.outcomes, self.entries):
            self._say(f"{entry}: {entry.count} recorded, {found} found: which is new is not told, so all block", "red")

    def _record(self, session: pytest.Session, report: Report) -> None:
        if session.shouldstop or session.shouldfail or report.exit_status not in _COMPLETE:
            self._say("nothing was recorded: the run did not come to its end, or nothing was checked", "red")
            return
        entries = recording_of(report.outcomes)
        services = len({entry.service for entry in entries})
        self._say(
            f"{counted(len(entries), 'finding')} of {counted(services, 'service')} recorded in {self._file}; from the "
            "next run on they do not block. Keep the file with the code: it can only shrink"
        )
        self._write(session, text_of(entries))

    def _write(self, session: pytest.Session, text: str) -> None:
        folder, name, content = self._file.parent, self._file.name, text.encode("utf-8")
        try:
            if self._content is None:
                create(folder, name, content)
            else:
                replace_all(folder, [Replacement(path=name, before=self._content, after=content)])
        except NotWritten as error:
            self._said = [(f"--py312-baseline={self._file} was not written: {error}", "red")]
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def _judged_by(self, report: Report, all_items: AllItems) -> Callable[[str, str], bool]:
        """Whether the run has answered, on every interpreter, what could find a code in a service."""
        statuses = {(one.service, one.interpreter, one.check): one.status for one in report.outcomes}

        def was_judged(service: str, code: str) -> bool:
            items = all_items(service)
            if not items:
                return self._whole
            asked = [item for item in items if code in item.check.codes]
            found = [statuses.get((service, item.interpreter, item.check.name)) for item in asked]
            return bool(found) and None not in found and Status.ERRORED not in found and found[-1] in _ANSWERED

        return was_judged

    def _list(self, entries: Sequence[Entry]) -> None:
        for entry in entries[:_SHOWN]:
            self._say(f"  {entry}")
        if len(entries) > _SHOWN:
            self._say(f"  and {len(entries) - _SHOWN} more")

    def _say(self, text: str, style: str = "") -> None:
        self._said.append((text, style))

    def show(self, terminal: Any) -> None:
        """Print what was found out."""
        terminal.section("recorded findings", sep="=")
        for text, style in self._said:
            indent = text[: len(text) - len(text.lstrip())]
            terminal.write_line(indent + prose(text), **({style: True} if style else {}))
