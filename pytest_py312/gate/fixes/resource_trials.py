"""Try whether a service that is blocked by ``pkg_resources`` works with the standard library in its place.

Only where no requirement of setuptools fixes it: the finding has no change of one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_py312.core.files import UnsafeFile, read_regular_file
from pytest_py312.core.model.findings import Finding, Outcome, Severity, SourceChange
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.gate.fixes.assertion_trials import passing_tests
from pytest_py312.repository.edits.change_set import SIZE_LIMIT
from pytest_py312.repository.edits.python.package_resources import MODULE, RESOURCES
from pytest_py312.repository.edits.python.rewrite import rewrite
from pytest_py312.repository.edits.python.syntax import decode_source
from pytest_py312.repository.services.file_ownership import is_kept_as_it_is

TrySuite = Callable[[str, Mapping[str, bytes]], Sequence[SuiteRun]]
"""Runs the suite of a service with other contents for some files: on the baseline, and on the target if it has an
environment."""


def confirmed_resources(root: Path, outcomes: Iterable[Outcome], try_suite: TrySuite) -> Iterator[SourceChange]:
    """Yield the changes of services whose suites pass with them wherever they passed on the baseline."""
    by_service: dict[str, dict[str, SourceChange]] = {}
    for outcome in outcomes:
        for finding in outcome.findings:
            if _is_about_import(finding) and (change := _change(finding)) is not None:
                by_service.setdefault(outcome.service, {}).setdefault(change.path, change)
    for service, changes in by_service.items():
        try:
            files = {path: _rewritten(root, change) for path, change in changes.items()}
        except (UnsafeFile, EditRefused):
            continue
        passing_before = passing_tests(try_suite(service, {})[:1])
        if passing_before and passing_before <= passing_tests(try_suite(service, files)):
            yield from changes.values()


def _is_about_import(finding: Finding) -> bool:
    blocks = finding.severity is Severity.ERROR and not finding.waived and not finding.changes
    return blocks and finding.code == "PY209" and finding.names == (MODULE,)


def _change(finding: Finding) -> SourceChange | None:
    location = finding.location
    if location is None or location.line is None or is_kept_as_it_is(location.path):
        return None
    return SourceChange(
        path=location.path, line=location.line, column=location.column or 1, old=MODULE, new=RESOURCES
    )  # fmt: skip


def _rewritten(root: Path, change: SourceChange) -> bytes:
    """Return the changed file.

    :raises UnsafeFile: it cannot be read.
    :raises EditRefused: it has a use without a replacement.
    """
    text, encode = decode_source(read_regular_file(root, change.path, SIZE_LIMIT))
    rewritten = rewrite(text, [change])
    for _, reason in rewritten.refused:
        raise EditRefused(reason)
    return encode(rewritten.text)
