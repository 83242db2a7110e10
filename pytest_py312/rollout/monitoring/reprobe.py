"""Repeated probes of the control: whenever the new version is probed again within a sample, so is the control.

Otherwise one control probe would be compared with several of the new version: an incident that starts between them
would count against the new version only, and a short failure of the control would excuse an outage.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.repository.plan.rollout_settings import ConfirmSettings
from pytest_py312.rollout.canary_analysis.judge import judge_reprobe
from pytest_py312.rollout.domain.measurements import Measurement, Result
from pytest_py312.rollout.monitoring.probes import Probe

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
