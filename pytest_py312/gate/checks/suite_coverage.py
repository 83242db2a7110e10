"""How much of a suite proves anything: the files that can be collected and the tests that run, of those that are known.

A file that cannot be collected on either side, or of which every test fails on both, is no evidence about the target.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.text import pluralize
from pytest_py312.runners.suite_job import EXIT_CODE_TEST


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
