"""Try whether an assertion holds that was misspelt, so that a mock took it for an attribute and it never failed.

From 3.12 on mocks reject such names. What was meant is known, but not whether it is true: a test's own run on the
baseline shows it. An assertion that fails there is removed instead, which changes nothing on the baseline.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_py312.analysis.judging.replacements import needs_trial
from pytest_py312.core.files import UnsafeFile, read_regular_file
from pytest_py312.core.model.findings import Outcome, SourceChange
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.edits.change_set import SIZE_LIMIT
from pytest_py312.repository.edits.python.mock_assertions import REMOVED, test_around
from pytest_py312.repository.edits.python.rewrite import rewrite
from pytest_py312.repository.edits.python.syntax import PythonSource, decode_source
from pytest_py312.repository.services.file_ownership import is_kept_as_it_is

FILE_LIMIT = 20
"""Files that are tried: each is run at least two times on each side."""
ASSERTION_LIMIT = 4
"""Assertions of one test that are tried, each in a run of its own."""

TryFile = Callable[[str, str, Mapping[str, bytes]], Sequence[SuiteRun]]
"""Runs the tests of a file of a service, with other contents for some files: on the baseline, and on the target if it
has an environment."""


def confirmed_assertions(root: Path, outcomes: Iterable[Outcome], try_file: TryFile) -> Iterator[SourceChange]:
    """Yield the changes of misspelt assertions with which the tests around them pass."""
    by_file: dict[tuple[str, str], dict[SourceChange, None]] = {}
    for outcome in outcomes:
        for finding in outcome.findings:
            for change in finding.changes if needs_trial(finding) and not finding.waived else ():
                if isinstance(change, SourceChange):
                    by_file.setdefault((outcome.service, change.path), {})[change] = None
    for (service, path), changes in list(by_file.items())[:FILE_LIMIT]:
        try:
            content = read_regular_file(root, path, SIZE_LIMIT)
            if not is_kept_as_it_is(path):
                yield from _confirmed(content, list(changes), lambda files: try_file(service, path, files))  # noqa: B023
        except (UnsafeFile, EditRefused):
            continue


def _confirmed(
    content: bytes, changes: Sequence[SourceChange], try_with: Callable[[Mapping[str, bytes]], Sequence[SuiteRun]]
) -> Iterator[SourceChange]:
    text, encode = decode_source(content)
    source = PythonSource(text)
    passing_before = passing_tests(try_with({})[:1])
    names = {change: test_around(source, change.line, change.column) for change in changes}
    tests = {change: ids for change, name in names.items() if (ids := _tests_named(name, passing_before))}
    trials: dict[bytes, Sequence[SuiteRun]] = {}

    def try_changes(wanted: Collection[SourceChange]) -> tuple[list[SourceChange], Sequence[SuiteRun]]:
        """Return those of the changes that can be made, and the runs with them."""
        rewritten = rewrite(text, wanted)
        made = [change for change in wanted if change not in dict(rewritten.refused)]
        edited = encode(rewritten.text)
        if made and edited not in trials:
            trials[edited] = try_with({made[0].path: edited})
        return made, trials[edited] if made else ()

    decided: dict[SourceChange, frozenset[str]] = {}
    for group in _one_of_each_test(tests):
        made, runs = try_changes(group)
        for change in made:
            if tests[change] <= passing_tests(runs[:1]):
                decided[change] = tests[change]
            elif runs and all(_is_refuted(runs[0], test, change) for test in tests[change] - passing_tests(runs[:1])):
                decided[replace(change, new=REMOVED)] = tests[change]
    made, runs = try_changes(decided)
    yield from (change for change in made if decided[change] <= passing_tests(runs))


def _one_of_each_test(tests: Mapping[SourceChange, frozenset[str]]) -> list[list[SourceChange]]:
    """Divide the changes, so that a test that fails shows which of its assertions does not hold."""
    groups: list[list[SourceChange]] = []
    for change, ids in tests.items():
        free = (group for group in groups if all(ids.isdisjoint(tests[other]) for other in group))
        group = next(free, None)
        if group is not None:
            group.append(change)
        elif len(groups) < ASSERTION_LIMIT:
            groups.append([change])
    return groups


def _is_refuted(run: SuiteRun, test: str, change: SourceChange) -> bool:
    """Return whether a test fails because the assertion does not hold, and not because the object has none."""
    result = run.results.get(test)
    return result is not None and result.is_failing and f"has no attribute '{change.new}'" not in result.detail


def passing_tests(runs: Sequence[SuiteRun]) -> frozenset[str]:
    """Return the tests that pass in each of the runs."""
    passing = [frozenset(test for test, result in run.results.items() if result.is_passing) for run in runs]
    return frozenset.intersection(*passing) if passing else frozenset()


def _tests_named(name: str, tests: Iterable[str]) -> frozenset[str]:
    return frozenset(test for test in tests if name and test.partition("[")[0].rpartition("::")[2] == name)
