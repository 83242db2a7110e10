"""A check for pytest-py312: an image without a health check cannot be monitored during a rollout."""

from pathlib import Path

import pytest

from pytest_py312 import Cell, Check, CheckResult, Facts, Finding, Location, Outcome, Severity


class HealthCheck:
    """Does each image of the service declare a health check?"""

    name = "health"
    codes = ("HLT001",)
    per_service = True
    needs_installation = False

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        service, root = cell.service, facts.plan.root
        dockerfiles = sorted((root / service.path).rglob("Dockerfile"))
        if not dockerfiles:
            reason = f"{service.name} has no Dockerfile"
            outcome = Outcome.skipped(service=service.name, interpreter=None, check=self.name, reason=reason)
            return CheckResult(outcome=outcome)
        findings = [
            Finding(
                code="HLT001",
                severity=Severity.ERROR,
                message=f"the image of {service.name} declares no health check",
                remedy="add a HEALTHCHECK instruction",
                location=Location(path=file.relative_to(root).as_posix(), line=_last_stage(file)),
            )
            for file in dockerfiles
            if "HEALTHCHECK" not in file.read_text(encoding="utf-8")
        ]
        outcome = Outcome.from_findings(service=service.name, interpreter=None, check=self.name, findings=findings)
        return CheckResult(outcome=outcome)


def _last_stage(dockerfile: Path) -> int:
    """Return the line of the last ``FROM``."""
    lines = dockerfile.read_text(encoding="utf-8").splitlines()
    return max((number for number, line in enumerate(lines, 1) if line.upper().startswith("FROM ")), default=1)


def pytest_py312_checks(config: pytest.Config) -> list[Check]:
    return [HealthCheck()]
