"""What was measured of a service, what holds for it and what it logged, as text for people. Pure."""

from collections import Counter
from collections.abc import Sequence

from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.canary_analysis.time_series import Tally
from pytest_py312.rollout.domain.model import Result, Sample
from pytest_py312.rollout.monitoring.breaches import is_note

MOST = 20
"""So many different lines of a log are named."""
_LOGGED = ("exceptions", "log errors", "log warnings", "deprecations")


def in_hours(seconds: float) -> str:
    """``12 h 05 m``, ``4 m 30 s``, ``12 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m" + (f" {whole % 60:02} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60:02} m" if whole % 3600 >= 60 else "")


def samples_text(tally: Tally) -> str:
    """A line for each metric: how its samples ended, and the newest value, with what was said about it."""
    lines = []
    for metric, series in tally.series.items():
        if is_note(metric) or series.last is None:
            continue
        counts = ", ".join(f"{count} {kind.value}" for kind, count in series.counts.items())
        value = "" if series.last.value is None else f"; newest {series.last.value:g}"
        detail = f" ({series.last.detail})" if series.last.detail else ""
        lines.append(f"{metric}: {counts}{value}{detail}")
    return "\n".join(lines) or "no sample yet"


def limits_text(settings: SoakSettings) -> str:
    """What breaks a limit of a service."""
    return "\n".join(
        (
            f"a sample each {in_hours(settings.interval)} for {in_hours(settings.duration)}, after "
            f"{in_hours(settings.initial_delay)} that are not judged",
            f"confirmed: {settings.confirm.bad} of {settings.confirm.probes} more are bad",
            f"failed: {settings.consecutive_failure_limit} samples running, or more than "
            f"{settings.failure_limit:.2%} of the soak",
            f"cannot be told: {settings.inconclusive_limit} inconclusive or {settings.consecutive_error_limit} errors "
            f"running; no data is {settings.missing}",
        )
    )


def log_text(samples: Sequence[Sample]) -> str:
    """What was logged, by kind: how many lines, and in how many samples each exception was seen."""
    counted: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for sample in samples:
        for one in sample.measurements:
            if one.metric not in _LOGGED or one.result is Result.ERROR:
                continue
            counted[one.metric] += round(one.value or 0)
            seen.update(template for template in one.detail.removeprefix("new: ").split("; ") if template)
    lines = [f"{name}: {counted[name]}" for name in _LOGGED if name in counted]
    lines += [f"  {template} (in {count} samples)" for template, count in seen.most_common(MOST)]
    return "\n".join(lines) or "nothing was read of its log"
