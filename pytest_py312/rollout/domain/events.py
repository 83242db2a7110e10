"""What can happen to a run of a stage. Events are what the journal keeps: a run is what its events make of it."""

from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.model import Breach, Container, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """The environment is ours alone. ``by`` is who began it, with the machine."""

    by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What serves now. ``old`` is ``None`` where nothing does; ``interpreter`` where the old one did not tell."""

    service: str
    old: Container | None
    interpreter: Interpreter | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The new container is there; it does not serve yet."""

    service: str
    new: Container


@dataclass(frozen=True, kw_only=True, slots=True)
class Switched:
    """The new container, and no other, was started to serve."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BecameReady:
    """The new container says that it is healthy."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The process that serves runs on the target."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TwinMade:
    """The old version runs beside the new one; or ``twin`` is ``None`` and ``reason`` says why it does not."""

    service: str
    twin: Container | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TwinRemoved:
    """Nothing of the twin is left."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployFailed:
    """A service could not be deployed, did not become healthy, or runs on something else."""

    service: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Credited:
    """So many seconds of the soak are proven by good samples."""

    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Breached:
    """A limit was broken, confirmed."""

    breach: Breach


@dataclass(frozen=True, kw_only=True, slots=True)
class Drifted:
    """Something that this run did not deploy serves. Samples up to ``slot`` say nothing about the new version."""

    service: str
    detail: str
    slot: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractKept:
    """What two services rely on each other for was tried, in all ways that could be had, and holds.

    ``detail`` is which versions met, and over what.
    """

    edge: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The last judgement, over the whole soak."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A person's answer to a hold."""

    accept: bool
    by: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RollbackAsked:
    """Back to what served before. ``services`` empty: all of the stage."""

    reason: str
    services: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """The old version of a service serves again, proven by asking it."""

    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftAlone:
    """Somebody else has deployed a service before anything of ours served it: nothing is brought back there."""

    service: str
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreFailed:
    """The old version of a service could not be brought back, or does not serve."""

    service: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """Another process takes a run up that a dead one has left."""

    by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outdated:
    """What this stage was judged against is no longer there."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """Somebody says that the environment lies elsewhere by now, on purpose. ``place`` is as a target tells it."""

    place: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Drilled:
    """A rollback that was provoked is over. ``fault`` is how it was: ``none`` for one that was merely asked for.

    ``passed`` is whether all of it was noticed, brought back and verified; ``seconds`` from the fault to the end.
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
    | TwinMade
    | TwinRemoved
    | DeployFailed
    | Credited
    | Breached
    | Drifted
    | ContractKept
    | Judged
    | Decided
    | RollbackAsked
    | Restored
    | LeftAlone
    | RestoreFailed
    | Resumed
    | Outdated
    | Moved
    | Drilled
)
