"""Text about a soak for people: samples, limits and log summary of a service. Pure."""

from collections import Counter
from collections.abc import Sequence

from pytest_py312.core.text import format_duration
from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.canary_analysis.time_series import ServiceMetrics
from pytest_py312.rollout.domain.measurements import Result, Sample
from pytest_py312.rollout.monitoring.breaches import is_auxiliary

MAX_EXCEPTIONS = 20
"""Maximum number of exceptions that are listed."""
_LOG_METRICS = ("exceptions", "log errors", "log warnings", "deprecations")


def format_samples(service_metrics: ServiceMetrics) -> str:
    """Return a line per metric: counts of results, newest value and its detail."""
    lines = []
    for metric, series in service_metrics.series.items():
        if is_auxiliary(metric) or series.last is None:
            continue
        counts = ", ".join(f"{count} {kind.value}" for kind, count in series.result_counts.items())
        value = "" if series.last.value is None else f"; newest {series.last.value:g}"
        detail = f" ({series.last.detail})" if series.last.detail else ""
        lines.append(f"{metric}: {counts}{value}{detail}")
    return "\n".join(lines) or "no sample yet"


def format_limits(settings: SoakSettings) -> str:
    """Describe the schedule and limits of a soak."""
    return "\n".join(
        (
            f"a sample each {format_duration(settings.interval)} for {format_duration(settings.duration)}, after "
            f"{format_duration(settings.initial_delay)} that are not judged",
            f"confirmed: {settings.confirm.bad} of {settings.confirm.probes} more probes fail",
            f"failed: {settings.consecutive_failure_limit} samples in a row, or more than "
            f"{settings.failure_limit:.2%} of the soak",
            f"inconclusive: {settings.inconclusive_limit} inconclusive samples or {settings.consecutive_error_limit} "
            f"errors in a row; no data is {settings.missing}",
        )
    )


def format_log_summary(samples: Sequence[Sample]) -> str:
    """Summarize the log: number of lines by kind, and number of samples in which each exception occurred."""
    line_counts: Counter[str] = Counter()
    sample_counts: Counter[str] = Counter()
    for sample in samples:
        for measurement in sample.measurements:
            if measurement.metric not in _LOG_METRICS or measurement.result is Result.ERROR:
                continue
            line_counts[measurement.metric] += round(measurement.value or 0)
            sample_counts.update(
                fingerprint for fingerprint in measurement.detail.removeprefix("new: ").split("; ") if fingerprint
            )
    lines = [f"{name}: {line_counts[name]}" for name in _LOG_METRICS if name in line_counts]
    lines += [
        f"  {fingerprint} (in {count} samples)" for fingerprint, count in sample_counts.most_common(MAX_EXCEPTIONS)
    ]
    return "\n".join(lines) or "no log was read"
