"""The file of recorded findings, which do not block (``--py312-known-findings``, ``--py312-update-known-findings``)."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.files import (
    FileReplacement,
    UnsafeFile,
    WriteFailed,
    create_file,
    read_regular_file,
    replace_files,
)
from pytest_py312.core.model.findings import Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import escape_terminal, pluralize
from pytest_py312.gate.run.known_findings import (
    SIZE_LIMIT,
    KnownFinding,
    KnownFindingsError,
    findings_to_record,
    format_file,
    over_limit,
    parse_file,
    still_needed,
)
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.plugin.command_line import RunOptions

_MAX_LISTED = 10
_COMPLETE_EXITS = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
_CONCLUSIVE = (Status.PASSED, Status.FAILED)

TasksOfService = Callable[[str], Sequence[CheckTask]]
"""Returns all tasks of a service by its name, selected or not, the target's last; empty if there is no such service."""


def read_known_findings(options: RunOptions, *, is_part: bool = False) -> "KnownFindings | None":
    """Read the file that the options name; ``None`` if they name none.

    :param is_part: the run is one part of a divided one.
    :raises RecordError: the file is invalid.
    """
    if options.known_findings is None:
        return None
    is_partial = options.selections or options.stages or options.services or options.interpreters
    return KnownFindings(
        options.known_findings,
        update=options.update_known_findings,
        covers_all=bool(options.plan.source) and not is_partial,
        is_part=is_part,
    )


class KnownFindings:
    """The recorded findings of a session: reports those that occur, and removes fixed ones from the file.

    :param update: write the file: create it, or remove what is fixed.
    :param covers_all: the run covers all services of a plan, so a service that is missing no longer exists.
    :param is_part: the run is one part of a divided one: what no longer occurs is known once all parts are merged.
    """

    def __init__(self, file: Path, *, update: bool, covers_all: bool, is_part: bool = False) -> None:
        self._file = file
        self._update = update
        self._covers_all = covers_all
        self._is_part = is_part
        self._content = self._read()
        self.entries = parse_file(self._content, str(file)) if self._content is not None else {}
        self._messages: list[tuple[str, str]] = []

    def _read(self) -> bytes | None:
        """Return the content of the file; ``None`` if it is to be created."""
        if not os.path.lexists(self._file):
            if self._update:
                return None
            raise KnownFindingsError(
                f"--py312-known-findings={self._file}: there is no such file; "
                "record it with --py312-update-known-findings"
            )
        try:
            return read_regular_file(self._file.parent, self._file.name, SIZE_LIMIT)
        except UnsafeFile as refused:
            raise KnownFindingsError(f"--py312-known-findings={self._file}: {refused}") from None

    def finish(self, session: pytest.Session, report: Report, tasks_of_service: TasksOfService) -> None:
        """Determine which entries of the file are still needed, and update it if requested."""
        if self._content is None:
            self._record(session, report)
            return
        self._report_known(report)
        if self._is_part:
            return
        remaining_entries = still_needed(
            self.entries.values(), report.outcomes, self._judged_in(report, tasks_of_service)
        )
        remaining_counts = {entry.key: entry.count for entry in remaining_entries}
        obsolete = [entry for entry in self.entries.values() if remaining_counts.get(entry.key, 0) < entry.count]
        if not obsolete:
            return
        subject = "recorded finding no longer occurs" if len(obsolete) == 1 else "recorded findings no longer occur"
        if self._update:
            self._add_message(f"{len(obsolete)} {subject}; removed from {self._file}:")
            self._list_entries(obsolete)
            self._write(session, format_file(remaining_entries))
        else:
            self._add_message(f"{len(obsolete)} {subject}: --py312-update-known-findings removes them", "yellow")
            self._list_entries(obsolete)

    def _report_known(self, report: Report) -> None:
        occurring = {
            (outcome.service, finding.fingerprint)
            for outcome in report.outcomes
            for finding in outcome.findings
            if finding.known
        }
        self._add_message(
            f"{len(occurring)} of {pluralize(len(self.entries), 'recorded finding')} in {self._file} "
            "occur and do not block"
        )
        for entry, occurrences in over_limit(report.outcomes, self.entries):
            self._add_message(
                f"{entry}: {entry.count} recorded, {occurrences} found: it is not clear which are new, so all block",
                "red",
            )

    def _record(self, session: pytest.Session, report: Report) -> None:
        if report.cut_short or report.not_run or report.exit_status not in _COMPLETE_EXITS:
            self._add_message("nothing was recorded: the run did not come to its end, or nothing was checked", "red")
            return
        entries = findings_to_record(report.outcomes)
        services = len({entry.service for entry in entries})
        self._add_message(
            f"{pluralize(len(entries), 'finding')} of {pluralize(services, 'service')} recorded in {self._file}; "
            "from the next run on they do not block. Keep the file with the code: it can only shrink"
        )
        self._write(session, format_file(entries))

    def _write(self, session: pytest.Session, text: str) -> None:
        folder, name, content = self._file.parent, self._file.name, text.encode("utf-8")
        try:
            if self._content is None:
                create_file(folder, name, content)
            else:
                replace_files(folder, [FileReplacement(path=name, before=self._content, after=content)])
        except WriteFailed as error:
            self._messages = [(f"--py312-known-findings={self._file} was not written: {error}", "red")]
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def _judged_in(self, report: Report, tasks_of_service: TasksOfService) -> Callable[[str, str], bool]:
        """Return whether the run checked a service for a code on every interpreter."""
        statuses = {
            (outcome.service, outcome.interpreter, outcome.check): outcome.status for outcome in report.outcomes
        }

        def was_judged(service: str, code: str) -> bool:
            tasks = tasks_of_service(service)
            if not tasks:
                return self._covers_all
            relevant_tasks = [task for task in tasks if code in task.check.codes]
            answers = [statuses.get((service, task.interpreter, task.check.name)) for task in relevant_tasks]
            return (
                bool(answers) and None not in answers and Status.ERRORED not in answers and answers[-1] in _CONCLUSIVE
            )

        return was_judged

    def _list_entries(self, entries: Sequence[KnownFinding]) -> None:
        for entry in entries[:_MAX_LISTED]:
            self._add_message(f"  {entry}")
        if len(entries) > _MAX_LISTED:
            self._add_message(f"  and {len(entries) - _MAX_LISTED} more")

    def _add_message(self, text: str, style: str = "") -> None:
        self._messages.append((text, style))

    def show(self, terminal: Any) -> None:
        """Print the messages."""
        terminal.section("recorded findings", sep="=")
        for text, style in self._messages:
            indent = text[: len(text) - len(text.lstrip())]
            terminal.write_line(indent + escape_terminal(text), **({style: True} if style else {}))
