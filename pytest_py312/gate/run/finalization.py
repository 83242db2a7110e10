"""Complete the outcome that a check has returned. What is cached is the outcome before that."""

from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.plan import Waiver
from pytest_py312.gate.run.known_findings import KnownFindingsByKey, apply_known_findings
from pytest_py312.gate.run.source_excerpts import SourceLines
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.gate.run.waivers import apply_waivers, waivers_for


@dataclass(frozen=True, kw_only=True, slots=True)
class Finalizer:
    """What completes the outcomes of a run: the plan's waivers, the recorded findings, and the lines of the source."""

    waivers: tuple[Waiver, ...]
    known_findings: KnownFindingsByKey
    source_lines: SourceLines

    def finalize(
        self, outcome: Outcome, task: CheckTask, *, is_target: bool, seconds: float = 0.0, cached: bool = False
    ) -> Outcome:
        """Return ``outcome`` with waived and known findings, the lines that they are about, and its time.

        :param is_target: the cell is the service's last, where a waiver that is not needed is reported.
        """
        waivers = waivers_for(self.waivers, task.cell)
        outcome = apply_waivers(outcome, waivers, task.check.codes, is_target=is_target)
        if self.known_findings:
            outcome = apply_known_findings(outcome, self.known_findings)
        return replace(self.source_lines.annotate(outcome), seconds=round(seconds, 3), cached=cached)
