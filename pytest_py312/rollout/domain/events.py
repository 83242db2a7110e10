"""Events of a run. The journal stores them, and replaying them gives the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.serialization import stored_as
from pytest_py312.rollout.domain.model import AcceptanceResult, Breach, Verdict, problem_key
from pytest_py312.rollout.domain.target_model import Container


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """The environment is locked for this run. ``by`` is the operator, with the machine."""

    by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """The target was observed before the deployment.

    ``old`` is ``None`` if nothing serves; ``interpreter`` is ``None`` if the process did not report it.
    """

    service: str
    old: Container | None
    interpreter: Interpreter | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The new container exists. It does not serve yet."""

    service: str
    new: Container


@dataclass(frozen=True, kw_only=True, slots=True)
class Switched:
    """The new container was started to serve, in place of any other."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BecameReady:
    """The new container reports that it is healthy."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The serving process runs on the target interpreter."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlStarted:
    """The control was started: the previous version beside the new one.

    If it could not be started, ``control`` is ``None`` and ``reason`` says why.
    """

    service: str
    control: Container | None = field(metadata=stored_as("twin"))
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlRemoved:
    """The control was removed."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployFailed:
    """A service could not be deployed, did not become healthy, or runs on the wrong interpreter."""

    service: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SoakCredited:
    """Good samples prove ``seconds`` of the soak."""

    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Breached:
    """A limit was broken, and the breach was confirmed."""

    breach: Breach


@dataclass(frozen=True, kw_only=True, slots=True)
class Drifted:
    """Something that this run did not deploy is serving. Samples up to ``slot`` say nothing about the new version."""

    service: str
    detail: str
    slot: int

    @property
    def key(self) -> str:
        """As :attr:`.model.Breach.key`."""
        return problem_key(self.service, "drift")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractPassed:
    """A contract was tried with all available version pairs and holds. ``detail`` lists the pairs."""

    edge: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptanceTested:
    """Acceptance tests of the stage were run. ``breach`` is the reaction to a result that does not accept the stage."""

    result: AcceptanceResult
    breach: Breach | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The final verdict over the whole soak was reached."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A person has decided about a stage that is held."""

    accept: bool
    by: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RollbackRequested:
    """A rollback was requested. Empty ``services`` means the whole stage."""

    reason: str
    services: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """The previous version of a service serves again, and was verified."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignChangeKept:
    """Someone else deployed a service before this run switched it; nothing is restored there."""

    service: str
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreFailed:
    """The previous version of a service could not be restored, or does not serve."""

    service: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """A process took over a run that a dead process left behind."""

    by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptanceInvalidated:
    """The acceptance of this stage no longer counts."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentMoved:
    """An operator confirmed that the environment has moved. ``place`` is the identity of the target it moved to."""

    place: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DrillFinished:
    """A drill is over. ``fault`` is the injected fault, ``none`` if the rollback was merely requested.

    ``passed`` means that everything was noticed, rolled back and verified; ``seconds`` is the time from the fault to
    the end.
    """

    passed: bool
    fault: str
    by: str
    seconds: float
    detail: str = ""


Event = (
    Locked
    | Observed
    | Prepared
    | Switched
    | BecameReady
    | Verified
    | ControlStarted
    | ControlRemoved
    | DeployFailed
    | SoakCredited
    | Breached
    | Drifted
    | ContractPassed
    | AcceptanceTested
    | Judged
    | Decided
    | RollbackRequested
    | Restored
    | ForeignChangeKept
    | RestoreFailed
    | Resumed
    | AcceptanceInvalidated
    | EnvironmentMoved
    | DrillFinished
)

_STORED_NAMES: Mapping[type, str] = {
    ControlStarted: "TwinMade",
    ControlRemoved: "TwinRemoved",
    SoakCredited: "Credited",
    ContractPassed: "ContractKept",
    RollbackRequested: "RollbackAsked",
    ForeignChangeKept: "LeftAlone",
    AcceptanceInvalidated: "Outdated",
    EnvironmentMoved: "Moved",
    DrillFinished: "Drilled",
}
"""Names under which journals and evidence documents store events, where they differ from the class names."""


def stored_name(event_type: type) -> str:
    """Return the name under which journals and evidence documents store events of a class."""
    return _STORED_NAMES.get(event_type, event_type.__name__)


EVENT_TYPES: Mapping[str, type[Any]] = {stored_name(event_type): event_type for event_type in get_args(Event)}
"""Event classes by the name under which journals and evidence documents store them."""


def breach_in(content: object) -> Breach | None:
    """Return the breach that an entry of the history reports, if it does."""
    return content.breach if isinstance(content, Breached | AcceptanceTested) else None
