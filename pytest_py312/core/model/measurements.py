"""The nouns of what was run: interpreters, suites, tests, and how fast something is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pytest_py312.core.model.findings import Interpreter


class Verdict(Enum):
    """What a benchmark says of the target, beside the baseline."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, kw_only=True, slots=True)
class PastSpeed:
    """What an earlier run said of a benchmark, with the same builds of both interpreters on the same processor.

    ``at`` is when that run ended (RFC 3339, UTC), ``before`` and ``after`` the middle measurement on baseline and
    target; the others are those of :class:`Comparison`.
    """

    at: str
    verdict: Verdict
    ratio: float
    low: float
    high: float
    before: float
    after: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One thing measured on baseline and target in turn. ``ratio`` is target by baseline; less is better.

    ``low`` and ``high`` hold the median ratio with ``confidence``, whatever the figures are distributed like; ``high``
    is infinite where there were too few pairs. ``p_value`` is corrected for all that was tested and every look taken.
    """

    service: str
    baseline: Interpreter
    target: Interpreter
    name: str
    """The id of a test, or what else was measured (``import of app.main``)."""
    kind: str
    """``benchmark`` (the service's own), ``import``, ``start``, ``memory``, ``suite``, ``test`` (one of the suite)."""
    unit: str
    """``s`` or ``B`` (bytes)."""
    verdict: Verdict
    ratio: float
    low: float
    high: float
    confidence: float
    p_value: float
    threshold: float
    """The change that counts: 0.1 is 10 %."""
    pairs: tuple[tuple[float, float], ...] = ()
    """What was measured, (baseline, target), in the order in which it was; without what warmed up."""
    more_pairs: int | None = 0
    """Of an inconclusive one: about how many more would tell; ``None`` where no number would."""
    control: tuple[float, float, float] | None = None
    """Baseline by baseline, measured along: ratio, low, high. The band should hold it."""
    confirmed: bool = False
    """Whether a second, independent round said the same."""
    note: str = ""
    """Why it cannot be compared, or what else differs between the sides."""
    conditions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """How each side was measured: compiler, options, libc, processor."""
    earlier: tuple[PastSpeed, ...] = ()
    """What earlier runs said of it, the oldest first."""

    @property
    def middles(self) -> tuple[float, float]:
        """The median measurement of baseline and target; 0 where nothing was measured."""
        from statistics import median  # brings fractions and decimals, which nothing else of a start needs

        if not self.pairs:
            return 0.0, 0.0
        return median(before for before, _ in self.pairs), median(after for _, after in self.pairs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speeds:
    """All comparisons of a service. ``unchecked`` is a sentence where its benchmarks could not be measured; ``notes``
    say what else was not measured, and why."""

    comparisons: tuple[Comparison, ...] = ()
    unchecked: str = ""
    notes: tuple[str, ...] = ()


# ---- what was measured


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpreterBuild:
    """One actual interpreter: a program on this machine, or one inside an image.

    ``digest`` changes whenever anything about the build changes (version, compiler, flags, libc, image).
    """

    interpreter: Interpreter
    version: str
    executable: str
    """Absolute path, inside the image where there is one."""
    origin: str
    """In words: ``pyenv``, ``PATH``, ``image python:3.12-slim``."""
    digest: str
    flags: str
    """``pgo+lto``, ``pgo``, ``lto`` or ``plain``: builds that differ here are not compared for speed."""
    seed: tuple[str, ...] = ()
    """What ``python -m venv`` puts beside pip on this interpreter (``setuptools==65.5.0`` before 3.12)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestResult:
    """One test of one run. ``outcome``: passed, failed, error, skipped, xfailed or xpassed."""

    __test__ = False  # not a test class, whatever its name tells pytest

    id: str
    outcome: str
    seconds: float = 0.0
    detail: str = ""
    """The end of the traceback, or the reason of a skip."""

    @property
    def ran_well(self) -> bool:
        return self.outcome in ("passed", "xpassed")

    @property
    def broken(self) -> bool:
        return self.outcome in ("failed", "error")


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteWarning:
    """A warning that the suite raised: its category, text and origin (path:line as the interpreter saw it)."""

    category: str
    message: str
    origin: str
    count: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteRun:
    """One run of a service's suite in one cell.

    ``complete`` is false when it did not come to its end (time limit, memory limit, crash, dead engine); ``trouble``
    then says why. ``collection_errors`` maps a file (or other collector id) to the end of its traceback.
    """

    interpreter: Interpreter
    results: Mapping[str, TestResult]
    collection_errors: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    trouble: str = ""
    seconds: float = 0.0
    output_tail: str = ""
    warnings: tuple[SuiteWarning, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """What was installed: normalised project name to version."""

    @property
    def counts(self) -> dict[str, int]:
        """How many tests ended how, plus ``collection_errors`` where there are some."""
        counts: dict[str, int] = {}
        for result in self.results.values():
            counts[result.outcome] = counts.get(result.outcome, 0) + 1
        if self.collection_errors:
            counts["collection_errors"] = len(self.collection_errors)
        return counts


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteComparison:
    """A suite on an interpreter against the same suite on the baseline, test by test. All are sorted test ids."""

    service: str
    baseline: Interpreter
    target: Interpreter
    newly_failing: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    failing_on_both: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    first_bad: Mapping[str, Interpreter] = field(default_factory=dict)
    counts: Mapping[Interpreter, Mapping[str, int]] = field(default_factory=dict)
