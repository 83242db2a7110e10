"""PY7xx: does the service's own image build on this interpreter, import its entry point, and become healthy?"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.text import last_line, shorten
from pytest_py312.dependencies.installation.findings import finding_identity
from pytest_py312.gate.checks.check import CheckResult, Facts
from pytest_py312.gate.checks.failure_hints import remedy_for
from pytest_py312.repository.services.images import ImageCheckResult, ImageHealth

_BUILDER_OUTPUT = re.compile(
    r"\s*(?:Step \d+/\d+ :|--->|The command '|Removed intermediate|Removing intermediate|ERROR: failed to solve|-{4,}"
    r"|#\d+ |>|\d+ \||[\w./-]*Dockerfile[\w.-]*:\d+|\d+ warnings? found)"
)
_MAX_DETAIL_LENGTH = 3_000
"""Characters of output in a finding."""


class ImageCheck:
    """Check of the service's own Dockerfiles: they build with all version declarations migrated, and the images work.

    Runs on baseline and target only. Pre-existing findings do not block, with one exception: a build that also
    fails on the baseline still fails the check, because it proves nothing about the target.
    """

    name = "image"
    needs_installation = False
    ends_only = True
    codes: tuple[str, ...] = ("PY701", "PY702", "PY703", "PY704")

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        runs = facts.image_runs(cell)
        if not runs:
            reason = "the service has no Dockerfile of its own that ends in a Python image"
            return CheckResult(
                outcome=Outcome.skipped(
                    service=cell.service.name, interpreter=cell.interpreter, check=self.name, reason=reason
                )
            )
        findings = [finding for run in runs for finding in _findings(run, cell)]
        if cell.is_baseline:
            findings = [replace(finding, preexisting=True) for finding in findings]
        elif findings:
            baseline = cell.baseline_cell
            known = {
                finding_identity(finding) for run in facts.image_runs(baseline) for finding in _findings(run, baseline)
            }
            findings = [replace(finding, preexisting=finding_identity(finding) in known) for finding in findings]
        return CheckResult(outcome=_outcome(self.name, cell, runs, findings))


def _outcome(name: str, cell: Cell, runs: Sequence[ImageCheckResult], findings: list[Finding]) -> Outcome:
    outcome = Outcome.from_findings(
        service=cell.service.name, interpreter=cell.interpreter, check=name, findings=findings
    )
    reasons = (f"{run.dockerfile}: {run.unchecked}" for run in runs if run.unchecked)
    outcome = outcome.with_unchecked(next(reasons, ""))
    build_finding = next((finding for finding in findings if finding.code == "PY701"), None)
    if outcome.status is Status.PASSED and build_finding is not None and not cell.is_baseline:
        reason = f"{build_finding.message} (also fails on {cell.service.baseline})"
        return replace(outcome, status=Status.FAILED, reason=reason)
    return outcome


def _last_instruction_output(output: str) -> str:
    """Return the last output of the failed instruction, without messages of the builder."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not _BUILDER_OUTPUT.match(line)]
    return f" ({shorten(lines[-1], 240)})" if lines else ""


def _findings(run: ImageCheckResult, cell: Cell) -> Iterator[Finding]:
    if run.unchecked:
        return
    if run.failed:
        yield _image_finding(
            run,
            code="PY701",
            message=f"{run.dockerfile} cannot be built on {cell.interpreter}: {shorten(run.failed, 300)}"
            f"{_last_instruction_output(run.output)}",
            remedy=remedy_for(run.output) or "fix the error at the end of the output",
            detail=run.output,
        )
        return
    if run.interpreter != cell.interpreter:
        has_other = f"has Python {run.interpreter} instead of {cell.interpreter}"
        has_none = f"has no working Python; it needs Python {cell.interpreter}"
        yield _image_finding(
            run,
            code="PY702",
            message=f"the image of {run.dockerfile} {has_other if run.interpreter else has_none}",
            remedy="change the base image of its last stage, or the Python that it installs",
            severity=Severity.WARNING if cell.is_baseline else Severity.ERROR,
            detail=run.output,
        )
    yield from _entry_point_findings(run)
    if run.health in (ImageHealth.UNHEALTHY, ImageHealth.ENDED):
        is_late = run.health is ImageHealth.UNHEALTHY
        word = "is not healthy within the time that its health check declares" if is_late else run.health.value
        yield _image_finding(
            run,
            code="PY704",
            message=f"a container of {run.dockerfile} {word}",
            remedy="start a container of the image, and fix what its log and its health check report",
            detail=run.last_output,
        )


def _entry_point_findings(run: ImageCheckResult) -> Iterator[Finding]:
    """Yield findings on the import of the module that the image starts."""
    if run.import_error:
        error = last_line(run.import_error)
        yield _image_finding(
            run,
            code="PY703",
            message=f"{run.entry_point}, which the image of {run.dockerfile} starts, cannot be imported: "
            f"{shorten(error, 240)}",
            remedy=remedy_for(run.import_error) or "fix the error at the end of the traceback",
            names=(run.dockerfile, run.entry_point),
            detail=run.import_error,
        )
    elif not run.entry_point:
        yield _image_finding(
            run,
            code="PY703",
            message=f"the module that the image of {run.dockerfile} starts is unknown, so none was imported",
            remedy="declare a health check, which proves more than an import",
            severity=Severity.NOTE,
        )


def _image_finding(
    run: ImageCheckResult,
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
        detail=detail[-_MAX_DETAIL_LENGTH:],
    )
