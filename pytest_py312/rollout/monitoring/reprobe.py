"""The twin in a sample in which the new version is asked again: it is asked again as often, at the same moments.

Otherwise one answer of the old version would stand beside six of the new one: what befalls both a second after the
first would be the new version's fault, and a blip of the old one would excuse an outage.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.repository.plan.rollout_settings import Confirm
from pytest_py312.rollout.canary_analysis.judge import confirmed
from pytest_py312.rollout.domain.model import Measurement, Result
from pytest_py312.rollout.monitoring.probes import Probe

DECIDED = (Result.FAILED, Result.SUCCESSFUL)
First = asyncio.Future[tuple[Measurement, ...]]


@dataclass(kw_only=True)
class Beside:
    """``asked`` are the twin's probes, with what comes of asking each for the first time."""

    asked: Sequence[tuple[Probe, First]]
    _again: dict[str, list[Result]] = field(default_factory=dict)
    _said: dict[str, Result] = field(default_factory=dict)

    async def answering(self, metrics: Collection[str]) -> list[Probe]:
        """Those that may be asked again, and answer one of ``metrics``."""
        found = [(probe, await first) for probe, first in self.asked if probe.repeatable]
        return [probe for probe, answers in found if any(one.metric in metrics for one in answers)]

    def take(self, metrics: Iterable[str], answers: Sequence[Measurement]) -> None:
        """What they have answered this time about ``metrics``."""
        told = {one.metric: one.result for one in answers}
        for metric in metrics:
            if metric in told:
                self._again.setdefault(metric, []).append(told[metric])

    def bursts(self, metrics: Iterable[str]) -> list[list[Result]]:
        """All that they have answered again about ``metrics``, where they did."""
        return [self._again[metric] for metric in metrics if metric in self._again]

    def settle(self, metrics: Iterable[str], rule: Confirm) -> None:
        """``metrics`` are those that the new version is confirmed to fail: the same counts for the old one then."""
        self._said |= {metric: confirmed(self._again[metric], rule) for metric in metrics if metric in self._again}

    def settled(self, first: Iterable[Measurement]) -> list[Measurement]:
        """The first answers, as asking again has settled them."""
        return [replace(one, result=self._said.get(one.metric, one.result)) for one in first]
