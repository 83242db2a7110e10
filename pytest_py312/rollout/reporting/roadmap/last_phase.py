"""The last phase of a migration, verify and optimise: waivers that end, compatibility code that can go, benchmarks.

Pure, but for :func:`collect_leftovers`, which reads the files of the services.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Waiver
from pytest_py312.core.model.readiness import BenchmarkRecord
from pytest_py312.core.text import pluralize
from pytest_py312.repository.tree import Tree
from pytest_py312.rollout.reporting.roadmap.leftovers import Leftover, find_leftovers

SOON_DAYS = 30
"""A waiver that ends within this time is shown as such."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverEnd:
    """A waiver of the plan, and in how many days it ends; 0 is today."""

    waiver: Waiver
    days: int

    @property
    def is_soon(self) -> bool:
        return self.days <= SOON_DAYS

    @property
    def sentence(self) -> str:
        """Describe it: ``PY203 of user-service, until 2026-12-20 (in 21 days), data team: tests are rewritten``."""
        waiver = self.waiver
        when = "today is its last day" if not self.days else f"in {pluralize(self.days, 'day')}"
        subject = f"{waiver.code or waiver.test} of {waiver.service}"
        return f"{subject}, until {waiver.until.isoformat()} ({when}), {waiver.owner}: {waiver.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceLeftovers:
    """What a service keeps for older Pythons. ``missing`` are the environments that have not accepted it yet."""

    service: str
    stage: int
    missing: tuple[str, ...]
    older: tuple[Interpreter, ...]
    """Older Pythons that its files declare."""
    places: tuple[Leftover, ...]

    @property
    def can_go(self) -> bool:
        """Whether no environment may have to be rolled back to an older Python."""
        return not self.missing


@dataclass(frozen=True, kw_only=True, slots=True)
class LastPhase:
    """What is left to do when all stages are accepted, as far as it is known now."""

    waivers: tuple[WaiverEnd, ...]
    leftovers: tuple[ServiceLeftovers, ...]
    slower: tuple[BenchmarkRecord, ...]
    faster: tuple[BenchmarkRecord, ...]
    measured: int
    """Number of benchmarks in the last reports."""

    @property
    def needless_places(self) -> list[Leftover]:
        """The code that can go now."""
        return [place for item in self.leftovers if item.can_go for place in item.places]


def waiver_ends(waivers: Sequence[Waiver], today: date) -> list[WaiverEnd]:
    """Return the waivers in the order in which they end."""
    ordered = sorted(waivers, key=lambda waiver: (waiver.until, waiver.service))
    return [WaiverEnd(waiver=waiver, days=max(0, (waiver.until - today).days)) for waiver in ordered]


def collect_leftovers(
    services: Sequence[Service], tree: Tree, target: Interpreter, missing: Mapping[str, tuple[str, ...]]
) -> list[ServiceLeftovers]:
    """Return what each service keeps for older Pythons; those with nothing are left out.

    :param missing: the environments that have not accepted a service, by its name.
    """
    collected = []
    for service in services:
        older = {
            declaration.interpreter
            for declaration in service.declarations
            if declaration.interpreter is not None and declaration.interpreter < target
        }
        places = find_leftovers(service, tree, target)
        if older or places:
            collected.append(
                ServiceLeftovers(
                    service=service.name,
                    stage=service.stage,
                    missing=missing.get(service.name, ()),
                    older=tuple(sorted(older)),
                    places=tuple(places),
                )
            )
    return collected


def last_phase(
    waivers: Sequence[WaiverEnd], leftovers: Sequence[ServiceLeftovers], benchmarks: Sequence[BenchmarkRecord]
) -> LastPhase:
    """Return the last phase; of the benchmarks those that are slower or faster, the most first."""
    return LastPhase(
        waivers=tuple(waivers),
        leftovers=tuple(leftovers),
        slower=tuple(
            sorted((one for one in benchmarks if one.verdict == "slower"), key=lambda one: one.ratio, reverse=True)
        ),
        faster=tuple(sorted((one for one in benchmarks if one.verdict == "faster"), key=lambda one: one.ratio)),
        measured=len(benchmarks),
    )
