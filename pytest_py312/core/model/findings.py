"""Values of the gate's judgement: interpreters, findings and outcomes. Frozen, without logic."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum


@dataclass(frozen=True, order=True, slots=True)
class Interpreter:
    """One CPython minor version. Ordered as a version: ``3.9 < 3.10``."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Interpreter":
        """Parse ``"3.12"``, ``"3.12.1"``, ``"py3.12"``, ``"py312"``, ``"cp312"`` or ``"python3.12"``.

        :raises ValueError: ``text`` does not name exactly one CPython minor version.
        """
        match = re.fullmatch(r"\s*(?:python|py|cp)?(3)\.?(\d{1,2})(?:\.\d+)?\s*", text, re.ASCII)
        if not match:
            raise ValueError(f"{text!r} is not a Python version like 3.12")
        return cls(int(match[1]), int(match[2]))

    @property
    def label(self) -> str:
        """The form used in node ids: ``py3.12``."""
        return f"py{self}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def interpreter_order(interpreter: Interpreter | None) -> tuple[int, int]:
    """Return what sorts by version. A service as a whole, which has no interpreter, comes first."""
    return (interpreter.major, interpreter.minor) if interpreter else (0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A position in a file of the repository. ``line`` and ``column`` count from 1; ``None`` means the whole file."""

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
    """How certain a check is of its finding."""

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
    """A replacement of ``old`` by ``new`` at a position in Python source.

    Both are dotted names of the standard library (``collections.Mapping``), an escape sequence of a string and its
    equivalent, or a function with the type of its arguments (``random.randint(float)``). ``line`` and ``column`` count
    from 1, columns in characters.
    """

    path: str
    line: int
    column: int
    old: str
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A problem or note that a check reports.

    ``message`` describes the problem, ``remedy`` the solution. ``names`` are the culprits: normalised project names of
    a dependency finding, test ids of a suite finding. ``preexisting`` is true if the baseline has the same problem,
    ``waived`` if the plan accepts it, ``known`` if it is listed in the file of known findings. ``detail`` is the
    evidence, a few lines at most.
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
    """The line at ``location``; empty if it is not available."""
    owner: str = ""
    """Who is to act, if another plugin knows."""
    lowered_from: Severity | None = None
    """The severity that the check gave it, if another plugin has lowered that."""
    lowered_by: str = ""
    """The plugin that lowered it."""
    changes: tuple[SpecifierChange | SourceChange, ...] = ()
    """The remedy as edits. Changes of requirements were tested; changes of source keep its meaning."""

    @property
    def blocks(self) -> bool:
        """Whether this finding keeps its cell from being proven."""
        return self.severity is Severity.ERROR and not (self.preexisting or self.waived or self.known)

    @property
    def fingerprint(self) -> str:
        """Identity of the problem across runs, independent of its line (16 hex digits)."""
        path = self.location.path if self.location else ""
        parts = (self.code, path, *self.names) if self.names else (self.code, path, self.message)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Status(Enum):
    """The four results of a check. *Errored* means that it could not be checked, and never counts as passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERRORED = "errored"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result of one check for one service (``interpreter is None``) or for one cell.

    Create it with :meth:`from_findings`, :meth:`skipped` or :meth:`errored`; the last two require a reason. ``seconds``
    is the wall time spent in this run (0.0 if ``cached``).
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
    unchecked: str = ""
    """What could not be checked: the check is errored for it where no finding blocks, also once all are accepted."""

    @property
    def key(self) -> tuple[str, Interpreter | None, str]:
        """What tells it apart from the other outcomes of a run: service, interpreter and check."""
        return self.service, self.interpreter, self.check

    @classmethod
    def from_findings(
        cls, *, service: str, interpreter: Interpreter | None, check: str, findings: Iterable[Finding], reason: str = ""
    ) -> "Outcome":
        """Build a failed outcome if a finding blocks, else a passed one. The default ``reason`` is the first blocking
        finding.
        """
        all_findings = tuple(findings)
        blocking = [finding for finding in all_findings if finding.blocks]
        status = Status.FAILED if blocking else Status.PASSED
        if not reason and blocking:
            remainder = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
            reason = blocking[0].message + remainder
        return cls(
            service=service, interpreter=interpreter, check=check, status=status, reason=reason, findings=all_findings
        )

    def with_unchecked(self, reason: str) -> "Outcome":
        """Return the outcome of a check that could not check everything, for ``reason``; the same if that is empty.

        A failure remains one: what fails has been seen to fail.
        """
        if not reason:
            return self
        outcome = replace(self, unchecked=self.unchecked or reason)
        return replace(outcome, status=Status.ERRORED, reason=reason) if self.status is Status.PASSED else outcome

    @classmethod
    def skipped(cls, *, service: str, interpreter: Interpreter | None, check: str, reason: str) -> "Outcome":
        """Build the outcome of a check that was not run on purpose."""
        return cls(
            service=service, interpreter=interpreter, check=check, status=Status.SKIPPED, reason=_require_reason(reason)
        )

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
        """Build the outcome of a check that could not be completed."""
        return cls(
            service=service,
            interpreter=interpreter,
            check=check,
            status=Status.ERRORED,
            reason=_require_reason(reason),
            findings=tuple(findings),
        )


def _require_reason(reason: str) -> str:
    if not reason.strip():
        raise ValueError("a skipped or errored outcome needs its reason")
    return reason
