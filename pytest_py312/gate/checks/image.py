"""PY7xx: does the service's own image build on this interpreter, start what it starts, and get well?"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.findings import same_trouble
from pytest_py312.gate.checks.check import Facts, Judgement
from pytest_py312.gate.checks.failure_hints import remedy_for
from pytest_py312.repository.services.images import Health, ImageRun

_BUILDERS_OWN = re.compile(
    r"\s*(?:Step \d+/\d+ :|--->|The command '|Removed intermediate|Removing intermediate|ERROR: failed to solve|-{4,}"
    r"|#\d+ |>|\d+ \||[\w./-]*Dockerfile[\w.-]*:\d+|\d+ warnings? found)"
)
_EVIDENCE = 3_000
"""Characters of output that a finding carries."""


class Image:
    """The service's own Dockerfiles build, with all places moved to the target, and what is built works.

    Asked on the baseline and the target only. What is as bad on the baseline does not block, but for a build that
    fails: with it nothing is proven.
    """

    name = "image"
    needs_installation = False
    keeps_outcome = False
    ends_only = True
    codes: tuple[str, ...] = ("PY701", "PY702", "PY703", "PY704")

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        runs = facts.images(cell)
        if not runs:
            reason = "the service has no Dockerfile of its own that ends in a Python image"
            return Judgement(
                outcome=Outcome.skipped(
                    service=cell.service.name, interpreter=cell.interpreter, check=self.name, reason=reason
                )
            )
        findings = [finding for run in runs for finding in _findings(run, cell)]
        if cell.is_baseline:
            findings = [replace(finding, preexisting=True) for finding in findings]
        elif findings:
            baseline = replace(cell, interpreter=cell.service.baseline)
            before = {same_trouble(one) for run in facts.images(baseline) for one in _findings(run, baseline)}
            findings = [replace(one, preexisting=same_trouble(one) in before) for one in findings]
        return Judgement(outcome=_outcome(self.name, cell, runs, findings))


def _outcome(name: str, cell: Cell, runs: Sequence[ImageRun], findings: list[Finding]) -> Outcome:
    outcome = Outcome.judged(service=cell.service.name, interpreter=cell.interpreter, check=name, findings=findings)
    if outcome.status is not Status.PASSED:
        return outcome
    unchecked = next((run for run in runs if run.unchecked), None)
    if unchecked is not None:
        return Outcome.errored(
            service=cell.service.name, interpreter=cell.interpreter, check=name, findings=findings,
            reason=f"{unchecked.dockerfile}: {unchecked.unchecked}",
        )  # fmt: skip
    failed = next((finding for finding in findings if finding.code == "PY701"), None)
    if failed is not None and not cell.is_baseline:
        reason = f"{failed.message} (as on {cell.service.baseline})"
        return replace(outcome, status=Status.FAILED, reason=reason)
    return outcome


def _telling(output: str) -> str:
    """The last words of the instruction that failed, beside what the builder says itself."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not _BUILDERS_OWN.match(line)]
    return f" ({lines[-1][:240]})" if lines else ""


def _findings(run: ImageRun, cell: Cell) -> Iterator[Finding]:
    if run.unchecked:
        return
    if run.failed:
        yield _of(
            run,
            code="PY701",
            message=f"{run.dockerfile} cannot be built on {cell.interpreter}: {run.failed[:300]}{_telling(run.output)}",
            remedy=remedy_for(run.output) or "mend what the end of the output names",
            detail=run.output,
        )
        return
    if run.interpreter != cell.interpreter:
        said = f"Python {run.interpreter}" if run.interpreter else "no Python that answers"
        yield _of(
            run,
            code="PY702",
            message=f"the image of {run.dockerfile} has {said}, and not {cell.interpreter}",
            remedy="move what its last stage is based on, or what it installs there",
            severity=Severity.WARNING if cell.is_baseline else Severity.ERROR,
            detail=run.output,
        )
    yield from _of_entry(run)
    if run.health in (Health.UNHEALTHY, Health.ENDED):
        word = "is not healthy within the time that it declares" if run.health is Health.UNHEALTHY else run.health.value
        yield _of(
            run,
            code="PY704",
            message=f"a container of {run.dockerfile} {word}",
            remedy="see its last words",
            detail=run.said,
        )


def _of_entry(run: ImageRun) -> Iterator[Finding]:
    """What importing the module that the image starts has shown."""
    if run.import_error:
        last = run.import_error.strip().splitlines()[-1]
        yield _of(
            run,
            code="PY703",
            message=f"{run.entry}, which the image of {run.dockerfile} starts, cannot be imported: {last[:240]}",
            remedy=remedy_for(run.import_error) or "mend what the traceback ends with",
            names=(run.dockerfile, run.entry),
            detail=run.import_error,
        )
    elif not run.entry:
        yield _of(
            run,
            code="PY703",
            message=f"nothing tells which module the image of {run.dockerfile} starts, so none was imported",
            remedy="a health check proves what an import cannot",
            severity=Severity.NOTE,
        )


def _of(
    run: ImageRun,
    *,
    code: str,
    message: str,
    remedy: str,
    severity: Severity = Severity.ERROR,
    names: tuple[str, ...] = (),
    detail: str = "",
) -> Finding:
    return Finding(
        code=code,
        message=message,
        remedy=remedy,
        severity=severity,
        location=Location(path=run.dockerfile, line=run.line),
        names=names or (run.dockerfile,),
        detail=detail[-_EVIDENCE:],
    )
