"""One sample of one service: its probes, repeated after a failure to confirm an outage, and those of its control.

Whenever the new version is probed again within a sample, so is the control. Otherwise one control probe would be
compared with several of the new version: an incident that starts between them would count against the new version only,
and a short failure of the control would excuse an outage.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.repository.plan.rollout_settings import ConfirmSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.judge import judge_reprobe
from pytest_py312.rollout.canary_analysis.time_series import CONFIRMED_PREFIX
from pytest_py312.rollout.domain.measurements import CONCLUSIVE, Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.metrics.resource_usage import CPU_COUNTER, RESTART_COUNTER
from pytest_py312.rollout.monitoring.breaches import merge_with_control
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.probes import Probe

START_SLOT = 0
"""Slot of the sample that stores the start of the schedule; it is not part of the soak."""
FirstMeasurements = asyncio.Future[tuple[Measurement, ...]]


@dataclass(kw_only=True)
class ControlReprobe:
    """Results of the control within one sample. ``probes`` are its probes with their pending first measurements."""

    probes: Sequence[tuple[Probe, FirstMeasurements]]
    _repeated_results: dict[str, list[Result]] = field(default_factory=dict)
    _confirmed_results: dict[str, Result] = field(default_factory=dict)

    async def probes_for(self, metrics: Collection[str]) -> list[Probe]:
        """Return the repeatable probes that measure one of ``metrics``."""
        probes_with_measurements = [(probe, await first) for probe, first in self.probes if probe.repeatable]
        return [
            probe
            for probe, measurements in probes_with_measurements
            if any(measurement.metric in metrics for measurement in measurements)
        ]

    def record(self, metrics: Iterable[str], measurements: Sequence[Measurement]) -> None:
        """Record the results of one repetition for ``metrics``."""
        results = {measurement.metric: measurement.result for measurement in measurements}
        for metric in metrics:
            if metric in results:
                self._repeated_results.setdefault(metric, []).append(results[metric])

    def repeated_results(self, metrics: Iterable[str]) -> list[list[Result]]:
        """Return the repeated results of those ``metrics`` that have any."""
        return [self._repeated_results[metric] for metric in metrics if metric in self._repeated_results]

    def confirm(self, metrics: Iterable[str], rule: ConfirmSettings) -> None:
        """Apply ``rule`` to the control for the ``metrics`` in which the new version is confirmed to fail."""
        self._confirmed_results |= {
            metric: judge_reprobe(self._repeated_results[metric], rule)
            for metric in metrics
            if metric in self._repeated_results
        }

    def with_confirmed_results(self, first: Iterable[Measurement]) -> list[Measurement]:
        """Return the first measurements with the confirmed results."""
        return [
            replace(measurement, result=self._confirmed_results.get(measurement.metric, measurement.result))
            for measurement in first
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSampler:
    """Sampler of services by the settings of their soak."""

    settings: SoakSettings
    sleep: Callable[[float], Awaitable[None]]

    async def read_counters(self, monitored: MonitoredService, now: Timestamp) -> tuple[Measurement, ...]:
        """Read the engine's counters, to which the first sample refers."""
        results = await asyncio.gather(
            *(probe.measure(None, now) for probe in monitored.probes if not probe.repeatable)
        )
        return tuple(
            measurement
            for measurements in results
            for measurement in measurements
            if measurement.metric in (CPU_COUNTER, RESTART_COUNTER)
        )

    async def sample(self, monitored: MonitoredService, slot: int, now: Timestamp, last: Sample | None) -> Sample:
        """Take the sample of a service and its control for ``slot``.

        :param last: the newest sample of the service so far.
        """
        previous = last
        if previous is not None and previous.slot == START_SLOT:  # its timestamp is the start of the schedule
            previous = replace(previous, at=_earlier(previous.at, self.settings.initial_delay))
        reprobe = ControlReprobe(
            probes=[
                (control_probe, asyncio.ensure_future(control_probe.measure(previous, now)))
                for control_probe in monitored.control_probes
            ]
        )
        new, old = await asyncio.gather(
            asyncio.gather(
                *(self._measure_and_confirm(monitored, probe, previous, now, reprobe) for probe in monitored.probes)
            ),
            asyncio.gather(*(first_measurements for _, first_measurements in reprobe.probes)),
        )
        is_first = last is None or last.slot == START_SLOT
        measurements = merge_with_control(
            monitored, _flatten(new), reprobe.with_confirmed_results(_flatten(old)), None if is_first else last
        )
        return Sample(service=monitored.service, slot=slot, at=now, measurements=measurements)

    async def _measure_and_confirm(
        self,
        monitored: MonitoredService,
        probe: Probe,
        previous: Sample | None,
        now: Timestamp,
        reprobe: ControlReprobe,
    ) -> tuple[Measurement, ...]:
        """Run a probe. After a failure, repeat it and the control's probe to confirm an outage."""
        first = await probe.measure(previous, now)
        failed = [each.metric for each in first if each.result is Result.FAILED]
        if not failed or not probe.repeatable:
            return first
        rule = monitored.rule_for(failed[0]).limits.confirm
        # the repetitions end before the next sample is due
        pause = min(rule.every, self.settings.interval / (rule.probes + 1))
        bursts: dict[str, list[Result]] = {metric: [] for metric in failed}
        control_probes = await reprobe.probes_for(failed)
        for _ in range(rule.probes):
            await self.sleep(pause)
            measurements = await asyncio.gather(*(each.measure(previous, now) for each in (probe, *control_probes)))
            repeated = {each.metric: each.result for each in measurements[0]}
            for metric, burst in bursts.items():
                burst.append(repeated.get(metric, Result.INCONCLUSIVE))
            reprobe.record(failed, _flatten(measurements[1:]))
            if all(
                judge_reprobe(burst, rule) in CONCLUSIVE
                for burst in (*bursts.values(), *reprobe.repeated_results(failed))
            ):
                break
        confirmed_bursts = {metric: (judge_reprobe(burst, rule), burst) for metric, burst in bursts.items()}
        reprobe.confirm([metric for metric in failed if confirmed_bursts[metric][0] is Result.FAILED], rule)
        return tuple(
            _with_burst(each, *confirmed_bursts[each.metric]) if each.metric in confirmed_bursts else each
            for each in first
        )


def _with_burst(measurement: Measurement, confirmed_result: Result, burst: Sequence[Result]) -> Measurement:
    """Add the repeated results to the detail. The result stays that of the first probe: a short failure is one too."""
    bad = burst.count(Result.FAILED)
    summary = f"{CONFIRMED_PREFIX if confirmed_result is Result.FAILED else ''}{bad} of {len(burst)} more probes failed"
    return replace(measurement, detail=f"{summary}; {measurement.detail}" if measurement.detail else summary)


def _flatten(groups: Sequence[tuple[Measurement, ...]]) -> list[Measurement]:
    return [measurement for group in groups for measurement in group]


def _earlier(at: Timestamp, seconds: float) -> Timestamp:
    return Timestamp(wall=at.wall - seconds, boottime=at.boottime - seconds, boot=at.boot)
