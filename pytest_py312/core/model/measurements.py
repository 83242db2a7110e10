"""Results of suites and benchmarks, and the interpreters that they ran on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from textwrap import shorten

from pytest_py312.core.model.findings import Interpreter


class SpeedVerdict(Enum):
    """The result of comparing a benchmark on the target with the baseline."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, kw_only=True, slots=True)
class PastComparison:
    """The result of an earlier run for a benchmark, with the same builds of both interpreters on the same processor.

    ``ended_at`` is the end of that run (RFC 3339, UTC), ``baseline_median`` and ``target_median`` are the median
    measurements; the other fields are those of :class:`BenchmarkComparison`.
    """

    ended_at: str
    verdict: SpeedVerdict
    ratio: float
    low: float
    high: float
    baseline_median: float
    target_median: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkComparison:
    """A subject (a test, an import, ...) that was measured alternately on baseline and target.

    ``ratio`` is target divided by baseline; less is better.

    ``low`` and ``high`` contain the median ratio with ``confidence``, whatever the distribution of the measurements;
    ``high`` is infinite if there were too few pairs. ``p_value`` is corrected for the number of benchmarks and of
    interim looks.
    """

    service: str
    baseline: Interpreter
    target: Interpreter
    name: str
    """The id of a test, or another subject (``import of app.main``)."""
    kind: str
    """``benchmark`` (the service's own), ``import``, ``start``, ``memory``, ``suite``, ``test`` (one of the suite)."""
    unit: str
    """``s`` or ``B`` (bytes)."""
    verdict: SpeedVerdict
    ratio: float
    low: float
    high: float
    confidence: float
    p_value: float
    threshold: float
    """The relative change that counts: 0.1 is 10 %."""
    pairs: tuple[tuple[float, float], ...] = ()
    """Measurements (baseline, target) in the order in which they were taken, without the warm-up."""
    pairs_needed: int | None = 0
    """About how many more pairs would make it conclusive; 0: it is; ``None``: no number suffices."""
    control: tuple[float, float, float] | None = None
    """Baseline divided by baseline, measured alongside: ratio, low, high. Expected to lie within the threshold."""
    confirmed: bool = False
    """Whether a second, independent round had the same result."""
    note: str = ""
    """Why it cannot be compared, or what else differs between the sides."""
    conditions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """How each side was measured: compiler, options, libc, processor."""
    past_comparisons: tuple[PastComparison, ...] = ()
    """Results of earlier runs, the oldest first."""

    @property
    def medians(self) -> tuple[float, float]:
        """The median measurements of baseline and target; 0 if nothing was measured."""
        from statistics import median  # imports fractions and decimal, which nothing else needs at start-up

        if not self.pairs:
            return 0.0, 0.0
        return median(baseline for baseline, _ in self.pairs), median(target for _, target in self.pairs)


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkResults:
    """All comparisons of a service.

    ``unchecked`` is the reason if its benchmarks could not be measured; ``notes`` name what else was not measured, and
    why.
    """

    comparisons: tuple[BenchmarkComparison, ...] = ()
    unchecked: str = ""
    notes: tuple[str, ...] = ()


# ---- what was measured


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePackages:
    """Packages of the system that are added to an image; ``recommends``: with those that they recommend."""

    names: tuple[str, ...]
    recommends: bool = False

    def __str__(self) -> str:
        more = len(self.names) - 5
        return ", ".join(self.names[:5]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpreterBuild:
    """One actual interpreter: a program on this machine, or one inside an image.

    ``digest`` changes if anything about the build changes (version, compiler, flags, libc, image).
    """

    interpreter: Interpreter
    version: str
    executable: str
    """Absolute path; inside the image if there is one."""
    origin: str
    """Where it was found: ``pyenv``, ``PATH``, ``image python:3.12-slim``."""
    digest: str
    flags: str
    """``pgo+lto``, ``pgo``, ``lto`` or ``plain``: builds that differ here are not compared for speed."""
    preinstalled: tuple[str, ...] = ()
    """What ``python -m venv`` installs besides pip on this interpreter (``setuptools==65.5.0`` before 3.12)."""
    packages: ImagePackages | None = None
    """What was added to the image."""

    @property
    def sort_key(self) -> tuple[object, ...]:
        """What the builds of a report are ordered by."""
        return self.interpreter, self.version, self.origin, self.digest


@dataclass(frozen=True, kw_only=True, slots=True)
class TestResult:
    """One test of one run. ``outcome``: passed, failed, error, skipped, xfailed or xpassed."""

    __test__ = False  # keeps pytest from collecting it as a test class

    id: str
    outcome: str
    seconds: float = 0.0
    detail: str = ""
    """The end of the traceback, or the reason of a skip."""

    @property
    def is_passing(self) -> bool:
        return self.outcome in ("passed", "xpassed")

    @property
    def is_failing(self) -> bool:
        return self.outcome in ("failed", "error")


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteWarning:
    """A warning of the suite: its category, text and origin (path:line as reported by the interpreter)."""

    category: str
    message: str
    origin: str
    count: int = 1


_TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True, kw_only=True, slots=True)
class StartImport:
    """How the import of a module that a service is started with ended."""

    detail: str = ""
    """The end of the traceback; empty if it imports."""
    placeholders: tuple[tuple[str, str], ...] = ()
    """Variables that it lacked, and the values that they got instead."""
    declared: frozenset[str] = frozenset()
    """Those of them whose value the repository declares; the others are invented."""
    without_placeholders: str = ""
    """The end of its traceback without them."""
    is_unfinished: bool = False
    """Whether it did not end in its time, or with its process. Then ``detail`` says so, and is no proof of a fault."""
    remedy: str = ""
    """What a trial has shown to help."""

    @property
    def last_line(self) -> str:
        """The exception; one of several lines, such as those of pydantic, in one."""
        return _exception_of(self.detail)


def _exception_of(detail: str) -> str:
    """Return what follows the frames of the last traceback in ``detail``, on one line."""
    lines = detail.strip("\n").rpartition(_TRACEBACK)[2].splitlines()
    frame = max((number for number, line in enumerate(lines) if line.startswith('  File "')), default=-1)
    first = next((number for number in range(frame + 1, len(lines)) if lines[number][:1].strip()), len(lines) - 1)
    return shorten(" ".join(lines[first:]), 240, placeholder=" ...") if lines else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteRun:
    """One run of a service's suite in one cell.

    ``complete`` is false if it did not run to its end (time limit, memory limit, crash, lost engine);
    ``incomplete_reason`` then states why. ``collection_errors`` maps a file (or another collector id) to the end of its
    traceback. ``output_tail`` is the end of what it printed.
    """

    interpreter: Interpreter
    results: Mapping[str, TestResult]
    collection_errors: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    incomplete_reason: str = ""
    seconds: float = 0.0
    output_tail: str = ""
    warnings: tuple[SuiteWarning, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """What was installed: normalised project name to version."""
    started_modules: tuple[str, ...] | None = None
    """The modules among those which the service is started with that the suite has imported; ``None``: not known."""
    imported_files: tuple[str, ...] = ()
    """The files of the service that its process has imported, relative to the service."""
    commands: Mapping[str, TestResult] = field(default_factory=dict)
    """How further commands ended that test the service: identifier to result."""

    def with_commands(self) -> "SuiteRun":
        """Return the run with its commands as further tests, for the comparison of two sides."""
        return replace(self, results={**self.results, **self.commands}) if self.commands else self

    @property
    def counts(self) -> dict[str, int]:
        """The number of tests per outcome, plus ``collection_errors`` if there are any."""
        counts: dict[str, int] = {}
        for result in self.results.values():
            counts[result.outcome] = counts.get(result.outcome, 0) + 1
        if self.collection_errors:
            counts["collection_errors"] = len(self.collection_errors)
        return counts


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteComparison:
    """A suite on an interpreter compared with the same suite on the baseline. Tests are sorted ids.

    Where a file cannot be collected, the id of its collector is listed like that of a test.
    """

    service: str
    baseline: Interpreter
    target: Interpreter
    newly_failing: tuple[str, ...] = ()
    """Fail on the target and do not fail on the baseline."""
    missing: tuple[str, ...] = ()
    """Pass on the baseline; are skipped, expected to fail, or absent on the target, so they prove nothing there."""
    fixed: tuple[str, ...] = ()
    """Fail on the baseline and pass on the target."""
    failing_on_both: tuple[str, ...] = ()
    """Fail on the baseline, and fail or are absent on the target."""
    uncollected: tuple[str, ...] = ()
    """Files (or other collectors) that could be collected on neither side."""
    flaky: tuple[str, ...] = ()
    """Gave different results when they were run again."""
    new: tuple[str, ...] = ()
    """Exist on the target only."""
    first_bad: Mapping[str, Interpreter] = field(default_factory=dict)
    """Test that is newly failing or missing -> the first interpreter after the baseline where it is."""
    counts: Mapping[Interpreter, Mapping[str, int]] = field(default_factory=dict)
    """Interpreter -> the number of its tests per outcome (:attr:`SuiteRun.counts`)."""
    test_files: int = 0
    """The number of known test files."""
    silent_files: tuple[str, ...] = ()
    """Test files that prove nothing: not collected on either side, or none of their tests passes."""
