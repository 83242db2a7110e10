"""``py312 merge``: join the documents of the parts of a run to one verdict."""

import argparse
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_py312.cli.common import output_width, print_lines, uses_unicode, write_file
from pytest_py312.core import clock
from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import StyledLine, escape_terminal, list_names, pluralize
from pytest_py312.gate.history.documents import DocumentFault
from pytest_py312.gate.report_files import ReportWriter
from pytest_py312.gate.reports import FORMAT_OF_ENDING, format_of_file, terminal
from pytest_py312.gate.run.known_findings_file import KnownFindings
from pytest_py312.gate.run.tasks import CheckTask, tasks_of
from pytest_py312.gate.sharding.documents import DocumentReader, ShardDocument
from pytest_py312.gate.sharding.durations import format_durations, read_durations, updated_durations
from pytest_py312.gate.sharding.merging import MergedRun, merge, refuse

PIPE_WIDTH = 80
"""Columns of a summary that is not printed to a terminal, as in pytest."""
_PARTIAL_OPTIONS = ("paths", "--py312-stage", "--py312-services", "--py312-python")
_COMMIT = re.compile("[0-9a-f]{7,64}", re.IGNORECASE | re.ASCII)
_KNOWN_FINDINGS = "--py312-known-findings"


def merge_parts(options: argparse.Namespace) -> int:
    """Merge the documents, write what is asked for, and return the exit status of the whole run."""
    if options.annotations not in ("auto", "github", "none"):
        raise OptionError(f"--annotations {options.annotations}: expected one of auto, github, none")
    if options.commit is not None and not _COMMIT.fullmatch(options.commit):
        raise OptionError(f'--commit "{options.commit}": expected the SHA of a commit, or its first 7 digits at least')
    reports, formats = _report_files(options)
    durations = _read_durations(options.durations)
    run = merge(_read_documents(options.documents), Path.cwd())
    if options.commit and not (run.commit and run.commit.startswith(options.commit.lower())):
        refuse([f"the parts are of commit {run.commit or 'none'}, and not of {options.commit}"])
    known_findings = _known_findings(options, run)
    exit_status = int(run.report.exit_status)

    _show_summary(run, options)
    if known_findings is not None:
        is_written = known_findings.finish(run.report, lambda service: _tasks_of_service(run.report, service))
        exit_status = exit_status if is_written else 4
        _print_section("recorded findings")
        for text, style in known_findings.messages:
            _print(text, style)
    writer = ReportWriter(Path.cwd(), reports, annotations=options.annotations, formats=formats, prefix=run.prefix)
    if not writer.write(run.report):
        exit_status = 3
    for text, style in writer.messages(run.report):
        _print(text, style)
    for line in writer.annotations(run.report):
        sys.stdout.write(f"{line}\n")
    if options.durations:
        _write_durations(Path(options.durations), durations, run)
    for text in (*run.warnings, *run.incomplete):
        sys.stderr.write(f"py312: {escape_terminal(text)}\n")
    return exit_status


def _read_documents(files: Sequence[str]) -> list[ShardDocument]:
    """Read all documents.

    :raises MergeRefused: some of them cannot be read; each is named.
    """
    reader, documents = DocumentReader(), []
    files_by_fault: dict[str, list[str]] = {}
    for file in dict.fromkeys(files):
        try:
            documents.append(reader.read(Path(file)))
        except DocumentFault as fault:
            files_by_fault.setdefault(str(fault), []).append(file)
    refuse([f"{_listed(faulty)} {fault}" for fault, faulty in files_by_fault.items()])
    return documents


def _listed(files: Sequence[str]) -> str:
    """Return the files, or the first ones if there are many with the same fault. Their sentence is in the singular."""
    return f"{list_names(files)}: each" if len(files) > 1 else list_names(files)


def _report_files(options: argparse.Namespace) -> tuple[tuple[Path, ...], Mapping[Path, str]]:
    """Return the files to write, and the formats of those whose endings do not say it."""
    reports = [Path(file) for file in options.report]
    for path in reports:
        if not format_of_file(path.name):
            raise OptionError(f"--report {path}: the ending has to be one of {', '.join(FORMAT_OF_ENDING)}")
    junit = [Path(options.junitxml)] if options.junitxml else []
    for path in (*reports, *junit, *([Path(options.durations)] if options.durations else [])):
        if not path.parent.is_dir() or path.is_dir():
            raise OptionError(f"{path}: {'it is a folder' if path.is_dir() else f'there is no folder {path.parent}'}")
    return (*reports, *junit), dict.fromkeys(junit, "junit")


# ---- durations


def _read_durations(file: str | None) -> Mapping[tuple[str, str], float]:
    return read_durations(file) if file and Path(file).exists() else {}


def _write_durations(path: Path, previous: Mapping[tuple[str, str], float], run: MergedRun) -> None:
    services = {service.name for service in run.report.services}
    durations = updated_durations(previous, run.report.outcomes, services, covers_all=not _is_partial(run))
    write_file(path, format_durations(durations))
    _print(f"durations: {path}")


def _is_partial(run: MergedRun) -> bool:
    return any(run.options.get(name) for name in _PARTIAL_OPTIONS)


# ---- known findings


def _known_findings(options: argparse.Namespace, run: MergedRun) -> KnownFindings | None:
    """Return the file of recorded findings, if it is that of the parts.

    :raises KnownFindingsError: it is invalid.
    :raises MergeRefused: the parts were checked with another one.
    """
    if not options.known_findings:
        if options.update_known_findings:
            raise OptionError("--update-known-findings needs --known-findings=FILE")
        return None
    known_findings = KnownFindings(
        Path(options.known_findings),
        update=options.update_known_findings,
        covers_all=bool(run.report.plan.source) and not _is_partial(run),
        prefix="--",
    )
    content = known_findings.content
    digest = hashlib.sha256(content).hexdigest() if content else ""
    if digest != run.options.get(_KNOWN_FINDINGS, ""):
        refuse([f"{options.known_findings} is not the file that the parts were checked with ({_KNOWN_FINDINGS})"])
    return known_findings


def _tasks_of_service(report: Report, name: str) -> tuple[CheckTask, ...]:
    return tuple(task for service in report.services if service.name == name for task in tasks_of(report.plan, service))


# ---- the summary


def _show_summary(run: MergedRun, options: argparse.Namespace) -> None:
    about = f" of commit {run.commit[:12]}" if run.commit else ""
    _print(f"py312: {pluralize(len(run.documents), 'part')}{about}, {pluralize(len(run.report.services), 'service')}")
    _print_section(f"py312: readiness for Python {run.report.plan.target}")
    lines = terminal.summary_lines(
        run.report,
        width=output_width(PIPE_WIDTH),
        unicode=uses_unicode(),
        verbosity=int(options.verbose) - int(options.quiet),
        today=clock.today(),
    )
    print_lines(lines)


def _print_section(title: str) -> None:
    _print(f" {title} ".center(output_width(PIPE_WIDTH), "="))


def _print(text: str, style: str = "") -> None:
    indent = text[: len(text) - len(text.lstrip())]
    print_lines([StyledLine(segments=((indent, ""), (escape_terminal(text), style)))])
