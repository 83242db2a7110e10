"""The file of known findings in a run: read at its start, compared with what was found at its end, and updated."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

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
from pytest_py312.core.text import pluralize
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

_MAX_LISTED = 10
_COMPLETE_EXITS = (0, 1)
"""pytest's exit codes OK and TESTS_FAILED."""
_CONCLUSIVE = (Status.PASSED, Status.FAILED)

TasksOfService = Callable[[str], Sequence[CheckTask]]
"""Returns all tasks of a service by its name, selected or not, the target's last; empty if there is no such service."""


class KnownFindings:
    """The recorded findings of a session: reports those that occur, and removes fixed ones from the file.

    :param update: write the file: create it, or remove what is fixed.
    :param covers_all: the run covers all services of a plan, so a service that is missing no longer exists.
    :param is_part: the run is one part of a divided one: what no longer occurs is known once all parts are merged.
    :param prefix: the beginning of the names of options.
    """

    def __init__(
        self, file: Path, *, update: bool, covers_all: bool, is_part: bool = False, prefix: str = "--py312-"
    ) -> None:
        self._file = file
        self._update = update
        self._covers_all = covers_all
        self._is_part = is_part
        self._option = f"{prefix}known-findings"
        self._update_option = f"{prefix}update-known-findings"
        self._content = self._read()
        self.entries = parse_file(self._content, str(file)) if self._content is not None else {}
        self.messages: list[tuple[str, str]] = []
        """What to show at the end: lines with their styles."""

    def _read(self) -> bytes | None:
        """Return the content of the file; ``None`` if it is to be created."""
        if not os.path.lexists(self._file):
            if self._update:
                return None
            raise KnownFindingsError(
                f"{self._option}={self._file}: there is no such file; record it with {self._update_option}"
            )
        try:
            return read_regular_file(self._file.parent, self._file.name, SIZE_LIMIT)
        except UnsafeFile as refused:
            raise KnownFindingsError(f"{self._option}={self._file}: {refused}") from None

    @property
    def content(self) -> bytes | None:
        """The content of the file; ``None`` if it is to be created."""
        return self._content

    def finish(self, report: Report, tasks_of_service: TasksOfService) -> bool:
        """Determine which entries of the file are still needed, and update it if requested.

        Return whether what was to be written was written.
        """
        if self._content is None:
            return self._record(report)
        self._report_known(report)
        if self._is_part:
            return True
        remaining_entries = still_needed(
            self.entries.values(), report.outcomes, self._judged_in(report, tasks_of_service)
        )
        remaining_counts = {entry.key: entry.count for entry in remaining_entries}
        obsolete = [entry for entry in self.entries.values() if remaining_counts.get(entry.key, 0) < entry.count]
        if not obsolete:
            return True
        subject = "recorded finding no longer occurs" if len(obsolete) == 1 else "recorded findings no longer occur"
        if self._update:
            self._add_message(f"{len(obsolete)} {subject}; removed from {self._file}:")
            self._list_entries(obsolete)
            return self._write(format_file(remaining_entries))
        self._add_message(f"{len(obsolete)} {subject}: {self._update_option} removes them", "yellow")
        self._list_entries(obsolete)
        return True

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

    def _record(self, report: Report) -> bool:
        if report.cut_short or report.not_run or report.exit_status not in _COMPLETE_EXITS:
            self._add_message("nothing was recorded: the run did not come to its end, or nothing was checked", "red")
            return True
        entries = findings_to_record(report.outcomes)
        services = len({entry.service for entry in entries})
        self._add_message(
            f"{pluralize(len(entries), 'finding')} of {pluralize(services, 'service')} recorded in {self._file}; "
            "from the next run on they do not block. Keep the file with the code: it can only shrink"
        )
        return self._write(format_file(entries))

    def _write(self, text: str) -> bool:
        folder, name, content = self._file.parent, self._file.name, text.encode("utf-8")
        try:
            if self._content is None:
                create_file(folder, name, content)
            else:
                replace_files(folder, [FileReplacement(path=name, before=self._content, after=content)])
        except WriteFailed as error:
            self.messages = [(f"{self._option}={self._file} was not written: {error}", "red")]
            return False
        return True

    def _judged_in(self, report: Report, tasks_of_service: TasksOfService) -> Callable[[str, str], bool]:
        """Return whether the run checked a service for a code on every interpreter."""
        statuses = {outcome.key: outcome.status for outcome in report.outcomes}

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
        self.messages.append((text, style))
