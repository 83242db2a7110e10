"""The nouns of judgement: what was found where, how bad it is, and what becomes of a check. Frozen, without
behaviour.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


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
