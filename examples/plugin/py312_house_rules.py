"""The rules of one house, as a plugin of pytest-py312. Each hook may be left out."""

import os
from dataclasses import replace
from pathlib import Path

from pytest_py312 import ReportSection, Severity

TEAMS = {"user-service": "accounts team"}


def pytest_py312_services(config, plan, services):
    """Discovery: what is below ``jobs`` is deployed as well, with the last stage."""
    last = max(service.stage for service in services)
    for folder in sorted((plan.root / "jobs").glob("*/")):
        path = folder.relative_to(plan.root).as_posix()
        if all(service.path != path for service in services):
            model = services[0]
            services.append(replace(model, name=folder.name, path=path, stage=last, suite=None, requirements=()))


def pytest_py312_finding(config, service, finding):
    """Findings: name the team, and let what is only about tests wait for another while."""
    changed = replace(finding, owner=TEAMS.get(service.name, ""))
    if finding.location is not None and "/tests/" in finding.location.path:
        changed = replace(changed, severity=Severity.WARNING)
    return changed


def pytest_py312_verdict(config, report):
    """Verdict: nothing is accepted while deployments are frozen."""
    return ["deployments are frozen"] if os.environ.get("HOUSE_FREEZE") else []


def pytest_py312_report_sections(config, report):
    """Report: a section of its own."""
    names = ", ".join(f"{service.name}: {TEAMS[service.name]}" for service in report.services if service.name in TEAMS)
    return [ReportSection(title="Who to ask", text=names)] if names else []


class LoggingRunner:
    """A runner that notes what it runs, and leaves the work to the one of the gate."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def describe(self):
        return f"logging {self._inner.describe()}"

    def run(self, job):
        with Path(os.environ["HOUSE_LOG"]).open("a", encoding="utf-8") as log:
            log.write("run\n")
        return self._inner.run(job)


def pytest_py312_runner(config, plan, runner):
    """Runner: another place for the cells, or the gate's own with something around it."""
    return LoggingRunner(runner) if os.environ.get("HOUSE_LOG") else None


class CountingResolver:
    """A resolver that counts its answers, and asks the one of the gate."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def describe(self):
        return f"counting {self._inner.describe()}"


def pytest_py312_resolver(config, plan, resolver, runner):
    """Resolver: the service of the house that knows which versions are allowed, or the gate's own."""
    return CountingResolver(resolver) if os.environ.get("HOUSE_LOG") else None


def pytest_py312_target(config, settings, environment):
    """Target: where stages are deployed; a context manager that gives a target, or None for that of the plan."""
    if environment != "house":
        return None
    from py312_house_target import connect

    return connect(settings)
