"""What a run shows of services: ready or not, and why. As it is kept, compared and passed to the roadmap.

A *record* is a run without its details: what is left when its report has been read from a file or from the state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum

from pytest_py312.core.model.report import Checkout


class ServiceVerdict(Enum):
    """The verdict of a run on one service. Only *ready* is proven."""

    READY = "ready"
    BLOCKED = "blocked"
    ERRORED = "could not be checked"
    INCOMPLETE = "incomplete"
    """Nothing failed, but not everything was checked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Why a service is not ready: a blocking finding, or the reason of a check that failed or could not be made.

    ``fingerprint`` identifies the same problem of the same service in other runs; of a reason without a finding it is
    the check with the reason. ``subject`` is what many services may have in common: the project to blame, or the
    message.
    """

    fingerprint: str
    subject: str
    message: str
    code: str = ""
    """The finding's code; empty for a reason without a finding."""
    remedy: str = ""
    place: str = ""
    """``app.py:3``; may be empty."""
    check: str = ""
    about_projects: bool = False
    """Whether the subject are projects, and not a message."""
    accepted: str = ""
    """``waived`` or ``known`` if it does not block because of that, else empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceRecord:
    """One service in a run. ``reason`` is why it is incomplete, else empty."""

    name: str
    path: str
    stage: int
    verdict: ServiceVerdict
    reason: str = ""
    causes: tuple[Cause, ...] = ()
    """What blocks it, in the order of checks; of one that could not be checked, why."""
    accepted: tuple[Cause, ...] = ()
    """What would block it, and is waived or known."""
    has_suite: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverRecord:
    """A waiver of the plan of a run. ``subject`` is its code or its test."""

    service: str
    subject: str
    owner: str
    reason: str
    until: date

    @property
    def key(self) -> tuple[str, str]:
        """What it is about: a waiver with another end or reason is still the same."""
        return self.service, self.subject


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkRecord:
    """The verdict on one benchmark in a run. A ``ratio`` above 1 is slower, or more memory."""

    service: str
    name: str
    kind: str
    verdict: str
    ratio: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """A run as its document shows it.

    ``origin`` is the file of the document, or the id of a stored run. ``ended_at`` is in RFC 3339, UTC.
    """

    origin: str
    ended_at: str
    target: str
    tool_version: str
    exit_status: int
    complete: bool
    services: tuple[ServiceRecord, ...]
    stages: Mapping[int, str]
    """Number of each stage of the plan and its name, which may be empty."""
    waivers: tuple[WaiverRecord, ...] = ()
    benchmarks: tuple[BenchmarkRecord, ...] = ()
    checkout: Checkout = field(default_factory=Checkout)
    objections: tuple[str, ...] = ()
    """Why the run was not accepted, by plugins: none of its services is proven then."""

    def count(self, *verdicts: ServiceVerdict) -> int:
        """Return the number of services with one of these verdicts."""
        return sum(service.verdict in verdicts for service in self.services)


@dataclass(frozen=True, kw_only=True, slots=True)
class PastRun:
    """What is kept of a run for years: when, of what, and the verdict on each service.

    ``origin`` is as in :class:`RunRecord`. A run that was killed before its report has no ``verdicts``, and no
    ``exit_status``; ``ended_at`` is then when it began.
    """

    origin: str
    ended_at: str
    target: str = ""
    exit_status: int | None = None
    complete: bool = False
    commit: str = ""
    branch: str = ""
    modified: bool = False
    stages: tuple[int, ...] = ()
    """The stages of its services."""
    all_stages: bool = False
    """Whether these are all stages of the plan."""
    verdicts: tuple[tuple[str, ServiceVerdict], ...] = ()
    """(service, verdict), in the order of the report."""

    def count(self, *verdicts: ServiceVerdict) -> int:
        """Return the number of services with one of these verdicts."""
        return sum(verdict in verdicts for _, verdict in self.verdicts)

    @property
    def without_origin(self) -> "PastRun":
        """This run without the name of its file: copies of one report are equal."""
        return replace(self, origin="")


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownVerdict:
    """The newest verdict on a service, and the run that it is from: ``origin``, ``ended_at`` and ``checkout`` are as in
    :class:`RunRecord`.
    """

    service: ServiceRecord
    origin: str
    ended_at: str
    checkout: Checkout


@dataclass(frozen=True, kw_only=True, slots=True)
class GateKnowledge:
    """What is known of the services, from all reports that were read.

    Only verdicts for the target of the plan are in it. ``checkout`` is what is checked out now, and ``same_commits``
    are the commits with the same files. ``remarks`` are sentences on what could not be read.
    """

    verdicts: Mapping[str, KnownVerdict]
    checkout: Checkout = field(default_factory=Checkout)
    same_commits: frozenset[str] = frozenset()
    benchmarks: tuple[BenchmarkRecord, ...] = ()
    """Those of the newest run of each service that measured anything."""
    remarks: tuple[str, ...] = ()
