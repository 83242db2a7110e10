"""Worker processes of a container: one that has ended or was replaced behind a health check that still succeeds. Pure.

A queue consumer or a worker of a server can die while the main process answers its health check. What is compared is
the number of processes that live longer than a moment: short ones are commands, health checks and jobs. Why a process
has ended is not known, so that its end is inconclusive: it is no failure, but earns no credit either.
"""

from collections.abc import Sequence

from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp, values_by_metric
from pytest_py312.rollout.metrics.reading import MetricReading

PROCESSES = "processes"
"""Number of processes of the container that live longer than a moment."""
WORKER_RESTARTS = "worker restarts"
"""How many of them were replaced since the last sample."""
PROCESS_METRICS = frozenset({PROCESSES, WORKER_RESTARTS})
EXPECTED_PROCESSES = "expected processes"
"""The number once the container had started, by which later samples are judged."""
CONTROL_EXPECTED_PROCESSES = "control expected processes"
MIN_AGE = 10.0
"""Seconds; younger processes are not counted."""
START_TIME = 120.0
"""Seconds that a container has to start its workers; within them their number may still change."""


def process_readings(
    previous: Sample | None, ages: Sequence[float] | None, now: Timestamp, *, expected_metric: str = EXPECTED_PROCESSES
) -> tuple[dict[str, MetricReading], Measurement | None]:
    """Judge the processes by their ages in seconds; also return the expected number, stored for the next sample.

    There are no readings where the target does not know the processes (``None``), or none runs.
    """
    long_lived = [age for age in ages or () if age >= MIN_AGE]
    if not long_lived:
        return {}, None
    expected = values_by_metric(previous.measurements).get(expected_metric) if previous else None
    elapsed = now.seconds_since(previous.at) if previous else None
    count = len(long_lived)
    # at the last sample it was still starting, or another container was there
    if expected is None or elapsed is None or max(long_lived) - elapsed < START_TIME:
        readings, expected = {PROCESSES: MetricReading(value=float(count))}, float(count)
    else:
        replaced = min(sum(age < elapsed for age in long_lived), round(expected)) - max(0, count - round(expected))
        readings = {PROCESSES: _judge_count(count, round(expected)), WORKER_RESTARTS: _judge_restarts(max(0, replaced))}
    return readings, Measurement(metric=expected_metric, result=Result.SUCCESSFUL, value=expected)


def result_beside_control(
    measurement: Measurement, of_control: Measurement, new: Sequence[Measurement], old: Sequence[Measurement]
) -> Result:
    """Return the result of a measurement of processes, given all of the new version and of the control in a sample.

    What both have is usual: they lost workers, or replace them by their own rules, such as after a number of requests.
    A new version that has lost more than the control is not.
    """
    if not (measurement.result is of_control.result is Result.INCONCLUSIVE):
        return measurement.result
    has_lost_more = _lost_share(new, EXPECTED_PROCESSES) > _lost_share(old, CONTROL_EXPECTED_PROCESSES)
    return measurement.result if measurement.metric == PROCESSES and has_lost_more else Result.SUCCESSFUL


def missing_beside_control(measurement: Measurement, new: Sequence[Measurement], old: Sequence[Measurement]) -> str:
    """Return that fewer processes run than of the control, once both have started; empty if that is not so.

    A process that ended while the container started has never been expected, so that only the control shows it.
    """
    has_started = all(any(item.metric == WORKER_RESTARTS for item in side) for side in (new, old))
    control_values = values_by_metric(old)
    of_control = [control_values.get(metric) or 0.0 for metric in (PROCESSES, CONTROL_EXPECTED_PROCESSES)]
    if not has_started or measurement.metric != PROCESSES or measurement.result is not Result.SUCCESSFUL:
        return ""
    count, usual = measurement.value or 0.0, min(of_control)
    return f"{_count_processes(round(count))}, and {round(usual)} of the control" if count < usual else ""


def _lost_share(measurements: Sequence[Measurement], expected_metric: str) -> float:
    """Return the share of the expected processes that has ended: a service may have more replicas than its control."""
    values = values_by_metric(measurements)
    count, expected = values.get(PROCESSES), values.get(expected_metric)
    return max(0.0, 1 - count / expected) if count is not None and expected else 0.0


def _judge_count(count: int, expected: int) -> MetricReading:
    if count >= expected:
        return MetricReading(value=float(count))
    lost = _count_processes(expected - count)
    detail = f"{lost} of {expected} ended, although the service answers its health check"
    return MetricReading(value=float(count), result=Result.INCONCLUSIVE, detail=detail)


def _judge_restarts(replaced: int) -> MetricReading:
    if not replaced:
        return MetricReading(value=0.0)
    detail = f"{_count_processes(replaced)} ended since the last sample, and new ones took over"
    return MetricReading(value=float(replaced), result=Result.INCONCLUSIVE, detail=detail)


def _count_processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
