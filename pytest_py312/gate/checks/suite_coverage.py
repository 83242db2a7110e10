"""How much of a suite proves anything: the files that can be collected and the tests that run, of those that are known.

A file that cannot be collected on either side, or of which every test fails on both, is no evidence about the target.
Where too little is left, or a run proves nothing for another reason, the suite could not be checked.
"""

import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.text import pluralize
from pytest_py312.gate.checks.check import Facts
from pytest_py312.gate.checks.start_modules import start_imports, unproven_start
from pytest_py312.gate.checks.suite_findings import beside_remedy, cause_of, either_interpreter, folder_of
from pytest_py312.repository.tree import Tree, join_path, leaves_root, with_outer_folders
from pytest_py312.runners.suite_job import EXIT_CODE_TEST

_LOST_FILE = re.compile(
    r"FileNotFoundError: \[Errno 2\] No such file or directory: '(?P<path>[^'/\0\n][^'\0\n]{0,300})'"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteCoverage:
    """The test files and tests that are known from either side, and those of them that prove nothing.

    Files of which all tests are skipped, or expected to fail, are left out: the suite excludes them on purpose.
    """

    files: int
    uncollected: tuple[str, ...]
    """Files that cannot be collected on either side."""
    failing: tuple[str, ...]
    """Files in which no test passes on either side, and some fail."""
    tests: int
    tests_run: int
    """Tests that ran and were not skipped."""

    @property
    def share(self) -> float:
        """The share of the files that prove something; 1 if none is known."""
        return 1 - (len(self.uncollected) + len(self.failing)) / self.files if self.files else 1.0

    @property
    def gaps(self) -> str:
        """What proves nothing: ``2 of 6 test files cannot be collected on either side``; empty if there is nothing."""
        kinds = (
            (self.uncollected, "cannot be collected on either side"),
            (self.failing, "has no test that passes" if len(self.failing) == 1 else "have no test that passes"),
        )
        return ", ".join(
            f"{len(names)} of {pluralize(self.files, 'test file')} {what}" for names, what in kinds if names
        )

    @property
    def summary(self) -> str:
        """``35 of 40 tests ran``, with the gaps; empty if every test ran and every file proves something."""
        if self.tests_run == self.tests and not self.gaps:
            return ""
        return "; ".join(filter(None, (f"{self.tests_run} of {pluralize(self.tests, 'test')} ran", self.gaps)))


def measure_coverage(run: SuiteRun, other: SuiteRun, deselected: Collection[str] = ()) -> SuiteCoverage:
    """Return how much of the suite ``run`` covers; ``other`` is the run on the interpreter that it is compared with.

    :param deselected: files that the run of the tests in CI leaves out. Beside tests that pass, they count only if one
        of their own passes.
    """
    passing: set[str] = set()
    failing: set[str] = set()
    for side in (run, other):
        for name, result in side.results.items():
            if name != EXIT_CODE_TEST and (result.is_passing or result.is_failing):
                (passing if result.is_passing else failing).add(file_of_test(name))
    lost = {file_of_test(collector, collector=True) for collector in uncollected_on_both(run, other)} - passing
    uncounted = set(deselected) if passing else set()
    lost -= uncounted
    failing -= passing | lost | uncounted
    tests = {name for side in (run, other) for name in side.results if name != EXIT_CODE_TEST}
    ran = [name for name, result in run.results.items() if name in tests and result.outcome != "skipped"]
    return SuiteCoverage(
        files=len(passing | failing | lost),
        uncollected=tuple(sorted(lost)),
        failing=tuple(sorted(failing)),
        tests=len(tests),
        tests_run=len(ran),
    )


def uncollected_on_both(run: SuiteRun, other: SuiteRun) -> tuple[str, ...]:
    """Return what could not be collected on either side."""
    return tuple(sorted(set(run.collection_errors).intersection(other.collection_errors)))


def file_of_test(name: str, *, collector: bool = False) -> str:
    """Return the file of a test, or its module where ids are dotted, as those of unittest are.

    :param collector: ``name`` is what could not be collected: a file, a module, or ``setUpClass (module.Class)``.
    """
    if "::" in name or "/" in name or name.endswith(".py"):
        return name.partition("::")[0]
    if collector:
        inside = re.fullmatch(r"setUp(Class|Module) \((?P<name>[\w.]+)\)", name)
        if inside is None:
            return name
        return inside["name"].rpartition(".")[0] or inside["name"] if inside[1] == "Class" else inside["name"]
    parts = name.split(".")
    return ".".join(parts[:-2]) or name


def unproven_reason(cell: Cell, run: SuiteRun, other_run: SuiteRun, coverage: SuiteCoverage, facts: Facts) -> str:
    """Return the reason if a complete run of the suite does not prove that the service runs; otherwise empty."""
    return (
        _nothing_passes_reason(cell, run, other_run)
        or _lost_file_reason(cell, run, other_run, facts.plan.root)
        or _small_share_reason(cell, run, other_run, coverage)
        or _unproven_start_reason(cell, run, facts)
    )


def _nothing_passes_reason(cell: Cell, run: SuiteRun, other_run: SuiteRun) -> str:
    """Return the reason if no test passes, neither here nor on the interpreter to compare with; otherwise empty.

    This happens if something that the suite needs (a database, a setting) is missing: then nothing is proven.
    """
    if any(result.is_passing for side in (run, other_run) for result in side.results.values()):
        return ""
    first = next((name for name, result in sorted(run.results.items()) if result.is_failing), "")
    cause = f" ({first}: {cause_of(run, first)})" if first else ""
    where = f"{folder_of(cell.service)} passes on {either_interpreter(run.interpreter, other_run.interpreter)}"
    return f"no test of {where}, so the suite proves nothing{cause}{beside_remedy(cell.service)}"


def _lost_file_reason(cell: Cell, run: SuiteRun, other_run: SuiteRun, root: Path) -> str:
    """Return the reason if tests fail on both sides for a file that the repository has elsewhere; otherwise empty.

    They look for it in another folder than the one in which the suite is run, so they prove nothing, although they may
    well fail on the target only.
    """
    tree, folder, elsewhere = Tree(root), folder_of(cell.service), dict(_lost_files(other_run))
    lost = {name: path for name, path in _lost_files(run) if name in elsewhere}
    for name, path in sorted(lost.items()):
        others = (each for each in with_outer_folders(cell.service.path) if each != folder)
        place = next((each for each in others if tree.exists(join_path(each, path))), "")
        if place:
            on = either_interpreter(run.interpreter, other_run.interpreter)
            return (
                f"{pluralize(len(lost), 'test')} of {folder} cannot find a file on {on}: "
                f"{name} looks for {path}, which is there from {'the root' if place == '.' else place}. "
                "Copy it with `prepare` in the plan, or name a `suite` that runs there"
            )
    return ""


def _lost_files(run: SuiteRun) -> Iterator[tuple[str, str]]:
    """Yield the failing tests that do not find a file of a relative path, and that path."""
    for name, result in run.results.items():
        match = _LOST_FILE.search(result.detail) if result.is_failing else None
        if match is not None and not leaves_root(path := posixpath.normpath(match["path"])):
            yield name, path


def _small_share_reason(cell: Cell, run: SuiteRun, other_run: SuiteRun, coverage: SuiteCoverage) -> str:
    """Return the reason if fewer test files prove something than the plan requires; otherwise empty."""
    required = cell.service.settings.suite_share
    if coverage.share >= required:
        return ""
    first = (*coverage.uncollected, *coverage.failing)[0]
    collectors = [name for name in run.collection_errors if file_of_test(name, collector=True) == first]
    failing = [name for name, result in run.results.items() if result.is_failing and file_of_test(name) == first]
    name = next(iter([*collectors, *failing]), first)
    on = either_interpreter(run.interpreter, other_run.interpreter)
    return (
        f"the suite of {cell.service.path} proves too little on {on}: {coverage.summary} "
        f"({first}: {cause_of(run, name)}). Let more of them run, or set `suite-share` in the plan (now {required:g})"
    )


def _unproven_start_reason(cell: Cell, run: SuiteRun, facts: Facts) -> str:
    """Return the reason if the target's suite does not import what the service is started with, and it cannot be."""
    own = {module.name for module in cell.service.start_modules if module.is_own and not module.is_additional}
    if cell != facts.cells(cell.service)[-1] or own.issubset(run.started_modules or ()):
        return ""
    imports, baseline = (start_imports(each, facts)[0] for each in (cell, cell.baseline_cell))
    return unproven_start(cell, imports, baseline, run)
