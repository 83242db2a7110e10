"""The nouns of a rollout: stages, runs, deployments and breaches. Frozen values without behaviour.

A *run* is one attempt to bring a stage into service in one environment. An *intent* is an act that was recorded before
it started. The *control* is the previous version, which runs beside the new one for comparison.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.serialization import stored_as
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec, TargetAddress

CONTRACT_METRIC = "contract"
"""Name of the metric of a contract; its edge follows."""
ACCEPTANCE_METRIC = "acceptance"
"""Name of the metric of acceptance tests; their name and the phase follow."""


class StageState(Enum):
    """State of a stage in an environment. Only an *accepted* stage is done."""

    PLANNED = "planned"
    LOCKED = "locked"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    SOAKING = "soaking"
    SOAKED = "soaked"
    ACCEPTED = "accepted"
    HELD = "held"
    """A person has to decide. The new version stays up and monitored."""
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    ROLLBACK_FAILED = "rollback failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done unless someone requests it."""
        return self in (StageState.ACCEPTED, StageState.ROLLED_BACK)


DEPLOYMENT_STATES = frozenset({StageState.PLANNED, StageState.LOCKED, StageState.DEPLOYING, StageState.VERIFYING})
"""States that only a process at work, or a dead one, leaves behind."""
SOAK_STATES = frozenset({StageState.SOAKING, StageState.SOAKED})
"""States of a stage that is healthy so far, and not over."""
MONITORED = SOAK_STATES | {StageState.HELD}
"""States in which the new version is up and verified."""
UNFINISHED_ROLLBACK = frozenset({StageState.ROLLING_BACK, StageState.ROLLBACK_FAILED})
ROLLBACK_STATES = UNFINISHED_ROLLBACK | {StageState.ROLLED_BACK}


class Verdict(Enum):
    """Verdict on a stage, apart from its state. Inconclusive never counts as passed."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


WORST_FIRST = (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PENDING, Verdict.PASSED)
"""Of several verdicts the first of these counts."""


class BreachSeverity(Enum):
    """Severity of a breach: *severe* is an outage or leads to one, *minor* is a degradation."""

    SEVERE = "severe"
    MINOR = "minor"


class Reaction(Enum):
    """Reaction to a breach."""

    ROLL_BACK = "roll back"
    HOLD = "hold"
    RECORD = "record"


class AcceptancePhase(Enum):
    """When the acceptance tests of a stage run."""

    BEFORE = "before the deployment"
    AFTER = "after the deployment"
    END = "at the end of the soak"


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptanceResult:
    """Result of acceptance tests in one phase. Tests are ids; a command counts as one test.

    *Failed* means that a test newly fails and, before the deployment, that any test fails. *Inconclusive* means that
    too little was run to tell.
    """

    name: str
    phase: AcceptancePhase
    result: Result
    reason: str = ""
    passed: int = 0
    """Number of tests that passed."""
    passing: tuple[str, ...] = ()
    """The tests that passed; only before the deployment, because none of them may be missing later."""
    known_failing: tuple[str, ...] = ()
    """Fail, and failed before the deployment as well, or a person has accepted that."""
    newly_failing: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Passed before the deployment, and were not run or were skipped this time."""
    output: str = ""
    """The end of the output, unless all is well."""

    @property
    def metric(self) -> str:
        """Name of the metric in a :class:`Breach`."""
        return acceptance_metric(self.name, self.phase)

    def breach_key(self, stage: int) -> str:
        """Return :attr:`Breach.key` of the breach that this result is for a stage."""
        return problem_key(stage_subject(stage), self.metric)


def acceptance_metric(name: str, phase: AcceptancePhase) -> str:
    """Return the name of the metric of acceptance tests in a phase."""
    return f"{ACCEPTANCE_METRIC} {name} {phase.value}"


def stage_subject(stage: int) -> str:
    """Return what the breaches of a stage as a whole have in place of a service."""
    return f"stage {stage}"


def problem_key(subject: str, metric: str) -> str:
    """Return what identifies the same problem of the same service, or stage, in breaches and decisions about them."""
    return f"{subject}: {metric}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """Deployment and rollback of one service: what served before, what was created, and which of both should serve.

    ``old`` is ``None`` if nothing served before; ``observed`` distinguishes that from not having looked yet.
    ``restored`` means that the previous version was restored and verified.
    """

    spec: ServiceSpec
    """As of the start of the run: a plan that has changed since must not misdirect a rollback."""
    image: str
    """Id of the new image."""
    observed: bool = False
    old: Container | None = None
    old_interpreter: Interpreter | None = None
    new: Container | None = None
    switched: bool = False
    ready: bool = False
    verified: bool = False
    restored: bool = False
    foreign_change: str = field(default="", metadata=stored_as("stranger"))
    """What someone else deployed before this run switched anything; it is left as it is. Empty: nothing."""
    wants_control: bool = field(default=False, metadata=stored_as("wants_twin"))
    """Whether a control should run beside the new version during the soak."""
    control: Container | None = field(default=None, metadata=stored_as("twin"))
    no_control_reason: str = field(default="", metadata=stored_as("no_twin"))
    """Why no control runs, if one is wanted and was tried."""
    control_removed: bool = field(default=False, metadata=stored_as("twin_removed"))

    @property
    def may_have_control(self) -> bool:
        """Whether the target may still have something of the control."""
        return (self.control is not None or bool(self.no_control_reason)) and not self.control_removed

    @property
    def service(self) -> str:
        return self.spec.service


class Act(Enum):
    """An act on a target. It is recorded as an intent before it starts, and can be repeated."""

    OBSERVE = "observe"
    TEST_BEFORE = "run before the deployment"
    PREPARE = "prepare"
    SWITCH = "switch"
    READY = "ready"
    VERIFY = "verify"
    START_CONTROL = "run the old version beside"
    TEST_AFTER = "run after the deployment"
    REMOVE_CONTROL = "remove the old version beside"
    RESTORE = "restore"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """An act that is about to start. Without an event after it, it is unknown whether it was done.

    ``service`` is what it is about: a service, or acceptance tests by their name.
    """

    act: Act
    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRun:
    """One attempt to bring a stage into service, in its current state. Only :mod:`.state_machine` changes it.

    ``soak`` is the required time of good samples in seconds, ``credited`` the time so far. ``configuration`` is a
    digest of all settings of the plan that the verdict depends on; it does not include ``asked``.
    """

    run: str
    environment: str
    stage: int
    target: Interpreter
    deployments: tuple[Deployment, ...]
    """In the order of deployment."""
    soak: float
    configuration: str = ""
    asked: Mapping[str, float] = field(default_factory=dict)
    """Soak settings from the command line that replace the plan's: ``duration``, ``interval``."""
    planned: Mapping[str, float] = field(default_factory=dict)
    """The plan's values of these settings; empty for runs that are older than this field."""
    state: StageState = StageState.PLANNED
    credited: float = 0.0
    verdict: Verdict = Verdict.PENDING
    reason: str = ""
    """Why it is held, was rolled back or could not be; empty while all is well."""
    scope: tuple[str, ...] = ()
    """Services that are, or were, rolled back; empty: all of them."""
    unrestored: tuple[str, ...] = ()
    """Services whose previous version could not be restored."""
    pending_decisions: tuple[str, ...] = field(default=(), metadata=stored_as("held_for"))
    """What a person has to decide about, as :attr:`Breach.key`."""
    accepted_breaches: tuple[str, ...] = field(default=(), metadata=stored_as("decided"))
    """What a person has accepted and need not decide again."""
    first_slot: int = 1
    """Samples of earlier slots no longer count: something else was serving."""
    stale: str = ""
    """Why the acceptance no longer counts; empty if it does."""
    needs_drill: bool = False
    """Whether its rollback must have been drilled before it may start, if other environments come first."""
    is_drill: bool = False
    """Whether it is deployed only to be rolled back; it never counts as accepted."""
    contracts: tuple[str, ...] = ()
    """Edges, ``caller->callee``, of all contracts that involve services of the stage."""
    kept: tuple[str, ...] = ()
    """Edges whose contracts were tried and hold."""
    acceptance: tuple[str, ...] = ()
    """Names of the acceptance tests of the stage."""
    acceptance_results: tuple[AcceptanceResult, ...] = ()
    """Their results so far; of a soak that has to start over, without those at its end."""
    place: str = ""
    """Identity of the environment's target; empty if the target did not report one."""
    address: TargetAddress | None = None
    """How to reach the target without the plan; ``None`` for runs that are older than this field."""
    shares: tuple[str, ...] = ()
    """Other environments that may share this target, according to the plan."""
    drill: str = ""
    """Result of a drill: ``passed``, ``failed``, or empty if it is not a drill or not over."""

    @property
    def described_state(self) -> str:
        """The state, and the reason if there is one."""
        return f"{self.state.value}: {self.reason}" if self.reason else self.state.value

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(deployment.service for deployment in self.deployments)

    @property
    def images(self) -> Mapping[str, str]:
        """Id of the new image by service."""
        return {deployment.service: deployment.image for deployment in self.deployments}

    @property
    def is_up(self) -> bool:
        """Whether a new version may be serving, as far as is known."""
        if self.state is StageState.ROLLED_BACK:
            return any(deployment.switched for deployment in self.deployments)  # only part of it was rolled back
        return self.state not in (StageState.PLANNED, StageState.LOCKED)

    @property
    def may_have_changed_target(self) -> bool:
        """Whether anything may have been changed for it. A run that ended while it was still observing, or running its
        acceptance tests, has changed nothing.
        """
        has_looked = all(deployment.observed for deployment in self.deployments)
        is_ready = has_looked and not self.pending_acceptance(AcceptancePhase.BEFORE)
        return self.state is not StageState.ROLLED_BACK or is_ready

    @property
    def is_completed(self) -> bool:
        """Whether later stages may build on this one."""
        return self.state is StageState.ACCEPTED and not self.stale and not self.is_drill

    def decisions_about(self, service: str) -> list[str]:
        """Return what a person has to decide about a service."""
        return [key for key in self.pending_decisions if key.startswith(problem_key(service, ""))]

    @property
    def untested_contracts(self) -> tuple[str, ...]:
        """Contracts that have not been shown to hold, and that no person has accepted."""
        answered = {key.partition(f": {CONTRACT_METRIC} ")[2] for key in self.accepted_breaches}
        return tuple(edge for edge in self.contracts if edge not in self.kept and edge not in answered)

    def acceptance_result(self, name: str, phase: AcceptancePhase) -> AcceptanceResult | None:
        """Return the result of acceptance tests in a phase; ``None`` if they have none."""
        return next(
            (result for result in self.acceptance_results if (result.name, result.phase) == (name, phase)), None
        )

    def pending_acceptance(self, phase: AcceptancePhase) -> tuple[str, ...]:
        """Return the acceptance tests that have no result in a phase.

        If nothing served before the deployment, there is nothing to test then.
        """
        if phase is AcceptancePhase.BEFORE and not any(deployment.old for deployment in self.deployments):
            return ()
        return tuple(name for name in self.acceptance if self.acceptance_result(name, phase) is None)

    def without_final_acceptance(self) -> "StageRun":
        """Return this run without the results at the end of its soak, and what a person has accepted of them."""
        kept = tuple(result for result in self.acceptance_results if result.phase is not AcceptancePhase.END)
        void = {result.breach_key(self.stage) for result in self.acceptance_results if result not in kept}
        accepted = tuple(key for key in self.accepted_breaches if key not in void)
        return replace(self, acceptance_results=kept, accepted_breaches=accepted)

    def has_accepted(self, result: AcceptanceResult) -> bool:
        """Return whether a person has accepted this result, which was not successful."""
        return result.breach_key(self.stage) in self.accepted_breaches

    @property
    def unproven_acceptance(self) -> tuple[str, ...]:
        """Acceptance tests, as metrics, whose success is not recorded and that no person has accepted."""
        return tuple(
            acceptance_metric(name, phase)
            for phase in (AcceptancePhase.AFTER, AcceptancePhase.END)
            for name in self.acceptance
            if (result := self.acceptance_result(name, phase)) is None
            or not (result.result is Result.SUCCESSFUL or self.has_accepted(result))
        )

    @property
    def untested(self) -> tuple[str, ...]:
        """What has to be proven besides the soak, as metrics: contracts and acceptance tests."""
        contracts = tuple(f"{CONTRACT_METRIC} {edge}" for edge in self.untested_contracts)
        return (*contracts, *self.unproven_acceptance)

    def __getitem__(self, service: str) -> Deployment:
        for deployment in self.deployments:
            if deployment.service == service:
                return deployment
        raise KeyError(service)

    def with_deployment(self, service: str, **changes: object) -> "StageRun":
        """Return this run with ``changes`` to the deployment of ``service``."""
        changed = replace(self[service], **changes)  # type: ignore[arg-type]  # names are those of the fields
        return replace(
            self,
            deployments=tuple(
                changed if deployment.service == service else deployment for deployment in self.deployments
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """A broken limit, confirmed. ``reaction`` follows from the plan and from the service."""

    service: str
    metric: str
    severity: BreachSeverity
    reaction: Reaction
    detail: str

    @property
    def key(self) -> str:
        """See :func:`problem_key`."""
        return problem_key(self.service, self.metric)
