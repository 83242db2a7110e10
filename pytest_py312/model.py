"""The nouns of the gate: frozen values that say what is known, and nothing that does anything.

Words: a *fleet* is all services, a *service* a folder deployed on its own, an *interpreter* one CPython minor, the
*baseline* the interpreter a service runs on today, the *target* the one it moves to, a *cell* one service on one
interpreter, a *finding* one answer worth reading, an *outcome* passed / failed / skipped / errored.

All paths are strings in POSIX form relative to the fleet's root, unless a field says otherwise.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from pathlib import Path


@dataclass(frozen=True, order=True, slots=True)
class Interpreter:
    """One CPython minor. Ordered as a version: ``3.9 < 3.10``."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Interpreter":
        """``"3.12"``, ``"3.12.1"``, ``"py3.12"``, ``"py312"``, ``"cp312"`` or ``"python3.12"``.

        :raises ValueError: when ``text`` names no single CPython minor.
        """
        match = re.fullmatch(r"\s*(?:python|py|cp)?(3)\.?(\d{1,2})(?:\.\d+)?\s*", text, re.ASCII)
        if not match:
            raise ValueError(f"{text!r} is not a Python version like 3.12")
        return cls(int(match[1]), int(match[2]))

    @property
    def label(self) -> str:
        """The form in node ids: ``py3.12``."""
        return f"py{self}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A place in a file of the fleet. ``line`` and ``column`` count from 1; ``None`` is the whole file."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


class Severity(Enum):
    """An *error* blocks, a *warning* is shown and does not block, a *note* explains."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Confidence(Enum):
    """How sure a check is of its finding."""

    CERTAIN = "certain"
    LIKELY = "likely"


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecifierChange:
    """A change of one requirement's specifier. ``line`` counts from 1; ``old`` may be empty (no specifier yet)."""

    path: str
    line: int
    name: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceChange:
    """A change of Python source: ``old``, which stands at a place, is written as ``new``.

    Both are dotted names of the standard library (``collections.Mapping``), or an escape of a string (a backslash and
    the letter after it) and what stands for the same. ``line`` and ``column`` count from 1, columns in characters.
    """

    path: str
    line: int
    column: int
    old: str
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One answer worth reading.

    ``message`` says what is, ``remedy`` what to do. ``names`` are what is to blame: normalised project names of a
    dependencies finding, test ids of a suite finding. ``preexisting`` is true where the baseline is as bad, ``waived``
    where the plan accepts it, ``known`` where it stands in the file of recorded findings. ``detail`` is the evidence, a
    few lines at most.
    """

    code: str
    message: str
    remedy: str = ""
    severity: Severity = Severity.ERROR
    confidence: Confidence = Confidence.CERTAIN
    location: Location | None = None
    names: tuple[str, ...] = ()
    preexisting: bool = False
    waived: bool = False
    known: bool = False
    detail: str = ""
    source_line: str = ""
    """The line that ``location`` names, as it stands in the file; empty where it is not known."""
    changes: tuple[SpecifierChange | SourceChange, ...] = ()
    """The remedy as edits: of requirements one that was tried, of source one that means the same."""

    @property
    def blocks(self) -> bool:
        """Whether this finding keeps its cell from being proven."""
        return self.severity is Severity.ERROR and not (self.preexisting or self.waived or self.known)

    @property
    def fingerprint(self) -> str:
        """The same for the same trouble in the next run, whatever the line it has moved to (16 hex digits)."""
        path = self.location.path if self.location else ""
        parts = (self.code, path, *self.names) if self.names else (self.code, path, self.message)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Status(Enum):
    """The four ends of a check. *Errored* means could not be checked, and is never a pass."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERRORED = "errored"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one check of one service (``interpreter is None``) or of one cell ended.

    Build it with :meth:`judged`, :meth:`skipped` or :meth:`errored`: a skip and an error need their reason.
    ``seconds`` is wall time spent on it in this run (0.0 when ``cached``).
    """

    service: str
    interpreter: Interpreter | None
    check: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    cached: bool = False
    findings: tuple[Finding, ...] = ()
    nodeid: str = ""

    @classmethod
    def judged(
        cls, *, service: str, interpreter: Interpreter | None, check: str, findings: Iterable[Finding], reason: str = ""
    ) -> "Outcome":
        """Failed when a finding blocks, else passed. A ``reason`` is worked out when none is given."""
        found = tuple(findings)
        blocking = [finding for finding in found if finding.blocks]
        status = Status.FAILED if blocking else Status.PASSED
        if not reason and blocking:
            more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
            reason = blocking[0].message + more
        return cls(service=service, interpreter=interpreter, check=check, status=status, reason=reason, findings=found)

    @classmethod
    def skipped(cls, *, service: str, interpreter: Interpreter | None, check: str, reason: str) -> "Outcome":
        """Not made, on purpose."""
        return cls(service=service, interpreter=interpreter, check=check, status=Status.SKIPPED, reason=_given(reason))

    @classmethod
    def errored(
        cls,
        *,
        service: str,
        interpreter: Interpreter | None,
        check: str,
        reason: str,
        findings: Iterable[Finding] = (),
    ) -> "Outcome":
        """Could not be checked."""
        return cls(
            service=service,
            interpreter=interpreter,
            check=check,
            status=Status.ERRORED,
            reason=_given(reason),
            findings=tuple(findings),
        )


def _given(reason: str) -> str:
    if not reason.strip():
        raise ValueError("a skipped or errored outcome needs its reason")
    return reason


# ---- the plan: what the user settled


class SuiteKind(Enum):
    """How a service's own tests are run."""

    PYTEST = "pytest"
    UNITTEST = "unittest"
    COMMAND = "command"


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """How to run a service's own tests, from the service's folder.

    ``arguments`` are added to the command of the kind (paths, options); for ``COMMAND`` they are the whole command
    line, and ``junit`` is the JUnit file that it writes, relative to the service. ``import_mode`` is pytest's
    ``--import-mode`` where the suite needs one (test files of one basename in several folders without
    ``__init__.py``), else empty.
    """

    kind: SuiteKind
    arguments: tuple[str, ...] = ()
    junit: str = ""
    import_mode: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkSettings:
    """How a service is measured. Changes are relative: 0.1 is 10 %."""

    threshold: float = 0.10
    """The change that counts, of the service's own benchmarks."""
    thresholds: tuple[tuple[str, float], ...] = ()
    """The same for single ones: (glob of test ids, change), the last that fits holds."""
    budget: float = 120.0
    """Seconds that a round of measurements of the service's benchmarks may take; half of it each of what every service
    has (its import, its start, its suite)."""
    unlike_builds: bool = False
    """Whether interpreters that were built with other optimisations are compared all the same."""
    accept_inconclusive: bool = False
    """Whether a benchmark of which nothing could be told lets the service pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSettings:
    """What the plan says of one service; ``None`` (or empty) where it says nothing and discovery infers."""

    baseline: Interpreter | None = None
    requirements: tuple[str, ...] | None = None
    test_requirements: tuple[str, ...] | None = None
    suite: Suite | None = None
    suite_skip_reason: str = ""
    """Not empty: the plan says ``suite = false``, and this is the reason it gives."""
    python_path: tuple[str, ...] | None = None
    prepare: tuple[tuple[str, ...], ...] = ()
    """Commands (argv) run in the scratch copy before the suite, such as compiling ``.proto`` files."""
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    """Further folders of the repository that the suite reads, relative to the root."""
    time_limit: float = 900.0
    """Seconds of wall time for one run of the suite."""
    memory_limit: int = 2 * 1024**3
    """Bytes, for all processes of a cell together."""
    network: bool = False
    """Whether the suite may use the network (docker runner only; the local runner cannot take it away)."""
    benchmark: BenchmarkSettings = BenchmarkSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A numbered group of services that move together. ``services`` are names, paths or globs of either."""

    number: int
    name: str = ""
    services: tuple[str, ...] = ()
    critical: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """An accepted finding. One of ``code`` and ``test`` is given; ``test`` is a test id, globs allowed."""

    service: str
    reason: str
    owner: str
    until: date
    code: str = ""
    test: str = ""
    location: Location | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All settings, read once. Nothing else reads the file.

    ``source`` is the plan file relative to ``root``, empty when there is none and defaults hold.
    """

    root: Path
    source: str = ""
    target: Interpreter = Interpreter(3, 12)
    interpreters: tuple[Interpreter, ...] = tuple(Interpreter(3, minor) for minor in (9, 10, 11, 12))
    services: tuple[str, ...] = ()
    """Globs of folders, relative to ``root``, that are services; empty: found by what folders contain."""
    exclude: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    defaults: ServiceSettings = ServiceSettings()
    overrides: tuple[tuple[str, ServiceSettings], ...] = ()
    """(name or path glob, settings), in the plan's order, each already laid over ``defaults``; the last match holds."""
    waivers: tuple[Waiver, ...] = ()
    fetch_interpreters: bool = False
    runner: str = "auto"
    isolation: str = "cell"
    """Docker runner: a container for each ``cell``, or one for each ``interpreter`` with a clean process per cell."""
    images: tuple[tuple[Interpreter, str], ...] = ()
    image: str = "python:{version}-slim"
    """The base image of interpreters that ``images`` does not name."""
    reruns: int = 2
    """How often a newly failing test is run again on both sides before it is called a regression."""
    exclude_newer: str = ""
    """Cut-off date of resolution, RFC 3339 in UTC; empty: none."""
    lock_hours: float = 24.0
    """How long a resolution without a cut-off date may be used again."""

    def image_of(self, interpreter: Interpreter) -> str:
        """The base image of ``interpreter``, such as ``python:3.12-slim``."""
        return dict(self.images).get(interpreter) or self.image.format(version=interpreter)


# ---- the fleet: what was found in the tree


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """A place where a service says or uses a Python version.

    ``kind`` is one of ``image``, ``workflow``, ``metadata``, ``tool``, ``pin``; ``text`` what stands there, in its own
    words (``python:3.10-slim``, ``>=3.9,<3.11``). ``interpreter`` is set where it names exactly one minor.
    """

    kind: str
    text: str
    location: Location
    interpreter: Interpreter | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementSource:
    """Where requirements stand: a requirements file, or a table of a pyproject (``table``), or both of setup.cfg."""

    path: str
    table: str = ""

    def __str__(self) -> str:
        return f"{self.path} [{self.table}]" if self.table else self.path


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """A service that is itself a distribution.

    ``name`` and ``version`` are empty where only a build can tell. ``static`` is true where the metadata stands in
    the file and the code is pure Python: then it is laid into a cell without running its build.
    ``source_roots`` are the folders, relative to the service, that hold its importable code.
    """

    name: str
    version: str
    static: bool
    source_roots: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...] = ()
    """Console scripts: (name, ``module:function``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What a start command runs: a console script, or a module (``python -m NAME``)."""

    name: str
    is_module: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A folder that is deployed on its own, with what discovery read from it. No code of it was run."""

    name: str
    path: str
    stage: int
    critical: bool
    baseline: Interpreter
    baseline_source: str
    """In words: where the baseline comes from (``deploy/docker/Dockerfile:3 says python:3.10-slim``)."""
    requirements: tuple[RequirementSource, ...]
    test_requirements: tuple[RequirementSource, ...]
    suite: Suite | None
    """``None``: no tests were found, or the plan says ``suite = false``."""
    settings: ServiceSettings
    python_path: tuple[str, ...] = ()
    """Folders, relative to the service, put on the path of its suite."""
    distribution: Distribution | None = None
    declarations: tuple[Declaration, ...] = ()
    manifest: str = ""
    """The file that best stands for the service in an editor, relative to the root (may be empty)."""
    further: tuple[RequirementSource, ...] = ()
    """Requirements files that neither run time nor tests take: each is judged as a set of its own."""
    inner: tuple[str, ...] = ()
    """Folders of other services beneath it, relative to the root: what lies in them is theirs."""
    programs: tuple[Program, ...] = ()
    """What its start commands (of images, processes, compose files) run, as far as that may be Python."""

    @property
    def images(self) -> tuple[Declaration, ...]:
        """The base images of its Dockerfiles."""
        return tuple(found for found in self.declarations if found.kind == "image")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """All services, ordered by stage, then by path; and what had to be assumed about them, in sentences."""

    services: tuple[Service, ...]
    assumptions: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Service:
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One service on one interpreter."""

    service: Service
    interpreter: Interpreter

    @property
    def identifier(self) -> str:
        """``user-service-py3.12``."""
        return f"{self.service.name}-{self.interpreter.label}"

    @property
    def is_baseline(self) -> bool:
        return self.interpreter == self.service.baseline


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
class RolloutReport:
    """What the journal says of the stage that a run was to deploy or watch. Of one that never was, the rest is empty.

    ``status`` is passed, failed or pending; ``credited`` and ``soak`` are seconds.
    """

    environment: str
    stage: int
    status: str
    reason: str = ""
    run: str = ""
    state: str = ""
    verdict: str = ""
    credited: float = 0.0
    soak: float = 0.0
    services: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything a renderer may know of a run."""

    plan: Plan
    services: tuple[Service, ...]
    cells: tuple[Cell, ...]
    outcomes: tuple[Outcome, ...]
    checks: tuple[str, ...] = ()
    """Names of the checks that every cell is asked; what was left out of them keeps a service from being proven."""
    comparisons: tuple[SuiteComparison, ...] = ()
    assumptions: tuple[str, ...] = ()
    runner: str = ""
    """Name of the runner and why it was taken: ``docker (engine 26.1.5 answers)``."""
    resolver: str = ""
    generated: str = ""
    """RFC 3339, UTC."""
    tool_version: str = ""
    exit_status: int = 0
    builds: tuple[InterpreterBuild, ...] = ()
    speeds: tuple[Comparison, ...] = ()
    """Benchmarks, by service, then by name."""
    rollout: RolloutReport | None = None
