"""What a check is, what it may ask, and what it answers.

A check asks for facts through :class:`Facts` and turns them into findings. It starts nothing itself: whoever gives it
the facts decides where they come from, so a check is tested with facts made by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pytest_py312.core.model.findings import Finding, Outcome, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import Comparison, SuiteComparison, SuiteRun
from pytest_py312.core.model.plan import Plan

if TYPE_CHECKING:  # a run in which nothing has changed asks for none of them, and does not wait for their modules
    from pytest_py312.analysis.services.service_analysis import Inspection
    from pytest_py312.core.model.measurements import Speeds
    from pytest_py312.dependencies.installation.installer import Installation
    from pytest_py312.repository.services.images import ImageRun
    from pytest_py312.repository.services.requirement_set import RequirementSet
    from pytest_py312.repository.services.version_survey import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """An outcome and, of a suite or of benchmarks, the comparisons it rests on."""

    outcome: Outcome
    comparison: SuiteComparison | None = None
    speeds: tuple[Comparison, ...] = ()


class Facts(Protocol):
    """What a check may ask. Every answer is worked out once in a run."""

    @property
    def plan(self) -> Plan: ...

    def cells(self, service: Service) -> Sequence[Cell]:
        """All cells of the service, baseline first, target last, whatever was chosen for this run."""
        ...

    def requirements(self, service: Service) -> "RequirementSet": ...

    def installation(self, cell: Cell) -> "Installation": ...

    def repair(self, cell: Cell, findings: Sequence[Finding]) -> list[Finding]:
        """``findings`` of a blocked set, with changes that were tried as their remedies where there are some."""
        ...

    def inspection(self, cell: Cell) -> "Inspection":
        """What interpreters say to the source of the cell's service."""
        ...

    def libraries(self, cell: Cell) -> "Inspection":
        """What the source of all that is installed in the cell, and what the service imports of it, comes to."""
        ...

    def version_places(self, service: Service) -> "Reading":
        """Every place that says which Python the service is for."""
        ...

    def images(self, cell: Cell) -> "Sequence[ImageRun]":
        """What came of building the service's own images for the cell, and of trying them."""
        ...

    def speeds(self, cell: Cell) -> "Speeds":
        """The cell's service measured against its baseline."""
        ...

    def suite_run(self, cell: Cell, attempt: int = 0, select: tuple[str, ...] = ()) -> SuiteRun:
        """A run of the cell's suite, or of the tests in ``select``; ``attempt`` 0 is the first."""
        ...


class Check(Protocol):
    """One question asked of every cell or, where it has ``per_service = True``, once of every service: it is then
    handed the cell of the service on the target, and its outcome has no interpreter. With
    ``needs_installation = False`` nothing is resolved or installed for it. What passed is kept for as long as the
    service's files are the same; with ``reads_around = True`` as long as those around all services are, too, with
    ``sees_names_around = True`` as long as there are modules of the same names around the service, and with
    ``keeps_outcome = False`` it is asked anew in every run. ``ends_only = True``: it is asked on the baseline and the
    target, not between. ``comes_last = True``: it measures, and is asked after all others.
    """

    name: str
    """The last part of the node id, and of the marker ``py312_<name>``."""
    codes: tuple[str, ...]
    """The codes of its findings, for waivers."""

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        """Never raises for anything the service did."""
        ...


def inspected(check: Check, cell: Cell, found: "Inspection") -> Judgement:
    """What was found of the cell's service as a whole. What could not be found out lets it not pass."""
    outcome = Outcome.judged(service=cell.service.name, interpreter=None, check=check.name, findings=found.findings)
    if found.unchecked and outcome.status is Status.PASSED:
        outcome = replace(outcome, status=Status.ERRORED, reason=found.unchecked)
    return Judgement(outcome=outcome)


def needs_installation(check: Check) -> bool:
    """Whether a check may ask for what a cell has installed. One that does not says ``needs_installation = False``."""
    return bool(getattr(check, "needs_installation", True))


def keeps_outcome(check: Check) -> bool:
    """Whether an answer that passed holds while all that it is known to depend on is the same."""
    return bool(getattr(check, "keeps_outcome", True))


def reads_around(check: Check) -> bool:
    """Whether a check also reads files that lie outside of all services."""
    return bool(getattr(check, "reads_around", False))


def sees_names_around(check: Check) -> bool:
    """Whether an answer hangs on which modules lie around the service, whatever is in them."""
    return bool(getattr(check, "sees_names_around", False))


def ends_only(check: Check) -> bool:
    """Whether a check asks nothing of the interpreters between baseline and target."""
    return bool(getattr(check, "ends_only", False))


def comes_last(check: Check) -> bool:
    """Whether a check measures, and so is made once nothing else of the run is under way any more."""
    return bool(getattr(check, "comes_last", False))


def is_per_service(check: Check) -> bool:
    """Whether a check asks about a service as a whole. Checks from elsewhere need not say that they do not."""
    return bool(getattr(check, "per_service", False))
