"""PY3xx: do all places that say the service's Python agree, and take the target in?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.service_patterns import matches
from pytest_py312.gate.checks.check import Facts, Judgement

if TYPE_CHECKING:
    from pytest_py312.repository.declarations.declaration import Place
    from pytest_py312.repository.services.version_survey import Reading


class Versions:
    """Images, workflows, metadata, pins and tools agree, and none shuts the target out.

    Where nothing has moved yet this passes, with notes of what will have to. What only a run could tell is no pass:
    it could not be checked, unless the plan waives it.
    """

    name = "versions"
    per_service = True
    needs_installation = False
    reads_around = True
    codes: tuple[str, ...] = ("PY301", "PY302", "PY303", "PY304", "PY305", "PY306", "PY307")

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        from pytest_py312.gate.checks.version_consistency import (  # with its editors, for what has changed only
            UNCLEAR,
            judge,
        )
        from pytest_py312.repository.edits.declarations import Aim

        service = cell.service
        reading = facts.version_places(service)
        aim = Aim(baseline=service.baseline, target=cell.interpreter)
        found = judge(reading.places, aim, service=service.path)
        outcome = Outcome.judged(service=service.name, interpreter=None, check=self.name, findings=found.findings)
        accepted = any(
            waiver.code == UNCLEAR and matches(waiver.service, service.name, service.path)
            for waiver in facts.plan.waivers
        )
        reasons = [*_unread(reading), *_unclear(() if accepted else found.unclear)]
        if reasons and outcome.status is Status.PASSED:
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            outcome = Outcome.errored(
                service=service.name, interpreter=None, check=self.name, reason=reasons[0] + more,
                findings=found.findings,
            )  # fmt: skip
        elif not reading.places and not reasons:
            reason = "no file of the service says which Python it is for"
            outcome = Outcome.skipped(service=service.name, interpreter=None, check=self.name, reason=reason)
        return Judgement(outcome=outcome)


def _unread(reading: "Reading") -> Iterator[str]:
    for path, reason in reading.unread:
        yield f"{path} was not read: it {reason}"


def _unclear(places: "Sequence[Place]") -> Iterator[str]:
    for place in places:
        yield f"{place.location}: {place.subject} could not be understood. {place.unclear}".strip()
