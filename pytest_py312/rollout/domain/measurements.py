"""What is measured: a *measurement* is one value of one metric, a *sample* all those of a service at one time. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum


class Result(Enum):
    """Result of one measurement.

    An *error* is a problem of measuring (no engine, no Prometheus) and never a failure of the service. *Inconclusive*
    is a value that meets neither the success nor the failure condition, or a missing value.
    """

    SUCCESSFUL = "successful"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


CONCLUSIVE = frozenset({Result.SUCCESSFUL, Result.FAILED})
"""Results that say something about the service."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timestamp:
    """A point in time on three clocks.

    ``wall`` is in seconds since the epoch and may jump. ``boottime`` is in seconds since the machine was booted
    (``boot`` identifies the boot), sleep included, and never jumps.
    """

    wall: float
    boottime: float
    boot: str

    def seconds_since(self, earlier: "Timestamp") -> float | None:
        """Return the seconds since ``earlier``, on the clock that never jumps; ``None`` across a reboot."""
        return self.boottime - earlier.boottime if self.boot == earlier.boot else None

    def elapsed_since(self, earlier: "Timestamp") -> float:
        """Return the seconds since ``earlier``; across a reboot by the date."""
        passed = self.seconds_since(earlier)
        return self.wall - earlier.wall if passed is None else passed


MAX_DETAIL_LENGTH = 300
"""Maximum length of :attr:`Measurement.detail`, in characters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One value of a metric. ``detail`` is the evidence: the query, the broken limit, or why there is no value."""

    metric: str
    result: Result
    value: float | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """All measurements of one service at one time.

    ``slot`` is the position in the schedule of the soak, from 1. A slot has one sample, whichever process takes it.
    """

    service: str
    slot: int
    at: Timestamp
    measurements: tuple[Measurement, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether this sample counts towards the soak: something was measured, and everything was successful."""
        return bool(self.measurements) and all(each.result is Result.SUCCESSFUL for each in self.measurements)


def values_by_metric(measurements: Iterable[Measurement]) -> Mapping[str, float | None]:
    """Return the value of each metric."""
    return {measurement.metric: measurement.value for measurement in measurements}
