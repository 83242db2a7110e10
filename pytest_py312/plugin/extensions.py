"""Call the hooks of other plugins, and hold their answers to what they may change.

Nothing that a hook answers can make a run green without a trace: a finding cannot be removed, a severity that is
lowered is recorded, services that are added, changed or taken out are assumptions of the report, and a verdict can only
become worse. A hook that fails is an error of that plugin and proves nothing.
"""

import posixpath
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_py312.core.errors import OptionError, Py312Error
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.model.report import Report, ReportSection
from pytest_py312.core.text import join_names
from pytest_py312.gate.run.finalization import HookFailure
from pytest_py312.repository.tree import leaves_root

if TYPE_CHECKING:
    from pytest_py312.dependencies.resolution.resolvers import Resolver
    from pytest_py312.gate.checks.check import Check
    from pytest_py312.repository.plan.rollout_settings import RolloutSettings
    from pytest_py312.rollout.targets.target import Target
    from pytest_py312.runners.runner import Runner

_FAILURES = (Exception, pytest.fail.Exception, pytest.skip.Exception)
"""How a hook can fail: what ``pytest.fail`` and ``pytest.skip`` raise is no ``Exception``."""
_RANK = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.ERROR: 2}


class Extensions:
    """What the other plugins of a session answer."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._hook = config.hook

    def names_of(self, hook: str) -> str:
        """Return the names of the plugins that have a hook."""
        names = [each.plugin_name for each in getattr(self._hook, hook).get_hookimpls()]
        return join_names([Path(name).name if "/" in name else name for name in names])

    # -- discovery

    def change_fleet(self, plan: Plan, fleet: Fleet) -> Fleet:
        """Return the fleet with the services that plugins have added or changed, and what they did as assumptions.

        :raises OptionError: a plugin fails, or two services have one name, or one is outside of the repository.
        """
        if not self.names_of("pytest_py312_services"):
            return fleet
        services = list(fleet.services)
        try:
            self._hook.pytest_py312_services(config=self._config, plan=plan, services=services)
            ordered = tuple(sorted(services, key=lambda service: (service.stage, service.path)))
        except _FAILURES as error:
            raise OptionError(self._failure("pytest_py312_services", error)) from error
        self._check_services(plan, ordered)
        changes = tuple(self._describe_changes(fleet.services, ordered))
        return Fleet(services=ordered, assumptions=(*changes, *fleet.assumptions))

    def announce_fleet(self, plan: Plan, fleet: Fleet) -> None:
        """Let plugins see the services.

        :raises OptionError: a plugin fails.
        """
        with self._reporting_failures("pytest_py312_fleet"):
            self._hook.pytest_py312_fleet(config=self._config, plan=plan, fleet=fleet)

    def more_checks(self) -> list["Check"]:
        """Return the checks of plugins.

        :raises OptionError: a plugin fails.
        """
        with self._reporting_failures("pytest_py312_checks"):
            return list(chain.from_iterable(self._hook.pytest_py312_checks(config=self._config)))

    def _check_services(self, plan: Plan, services: Sequence[Service]) -> None:
        by = self.names_of("pytest_py312_services")
        names = [service.name for service in services]
        for service in services:
            if names.count(service.name) > 1:
                raise OptionError(f"two services are named {service.name}: change pytest_py312_services of {by}")
            if leaves_root(posixpath.normpath(service.path)) or not (plan.root / service.path).is_dir():
                place = f"{service.name}: {service.path} is no folder of the repository"
                raise OptionError(f"{place}: change pytest_py312_services of {by}")
        if not services:
            raise OptionError(f"there is no service left: change pytest_py312_services of {by}")

    def _describe_changes(self, before: Sequence[Service], after: Sequence[Service]) -> Iterator[str]:
        by = self.names_of("pytest_py312_services")
        old, new = ({service.name: service for service in services} for services in (before, after))
        kinds = (
            ("added", [name for name in new if name not in old]),
            ("changed", [name for name in new if name in old and new[name] != old[name]]),
            ("taken out", [name for name in old if name not in new]),
        )
        for kind, names in kinds:
            if names:
                yield f"{join_names(names)}: {kind} by the plugin {by}."

    # -- findings

    def change_finding(self, service: Service, finding: Finding) -> Finding:
        """Return the finding with what a plugin has changed.

        :raises HookFailure: a plugin fails, or changes what it may not change.
        """
        try:
            changed = self._hook.pytest_py312_finding(config=self._config, service=service, finding=finding)
        except _FAILURES as error:
            raise HookFailure(self._failure("pytest_py312_finding", error)) from error
        if changed is None or changed == finding:
            return finding
        by = self.names_of("pytest_py312_finding")
        if not isinstance(changed, Finding) or not _is_allowed(changed, finding):
            raise HookFailure(f"pytest_py312_finding of {by} may change severity, remedy and owner of a finding only")
        if _RANK[changed.severity] < _RANK[finding.severity]:
            note = f"lowered from {finding.severity.value} to {changed.severity.value} by {by}"
            detail = f"{finding.detail}\n{note}" if finding.detail else note
            return replace(changed, lowered_from=finding.severity, lowered_by=by, detail=detail)
        return changed

    @property
    def changes_findings(self) -> bool:
        """Whether any plugin may change findings."""
        return bool(self.names_of("pytest_py312_finding"))

    # -- what is run

    def choose_runner(self, plan: Plan, runner: "Runner") -> "Runner":
        """Return the runner of a plugin, or ``runner``.

        :raises OptionError: a plugin fails.
        """
        with self._reporting_failures("pytest_py312_runner"):
            made: Runner | None = self._hook.pytest_py312_runner(config=self._config, plan=plan, runner=runner)
        return runner if made is None else made

    def choose_resolver(self, plan: Plan, resolver: "Resolver", runner: "Runner") -> "Resolver":
        """Return the resolver of a plugin, or ``resolver``.

        :raises OptionError: a plugin fails.
        """
        with self._reporting_failures("pytest_py312_resolver"):
            made: Resolver | None = self._hook.pytest_py312_resolver(
                config=self._config, plan=plan, resolver=resolver, runner=runner
            )
        return resolver if made is None else made

    def connect_target(self, settings: "RolloutSettings", environment: str) -> "AbstractContextManager[Target] | None":
        """Return what connects the target of a plugin.

        :raises OptionError: a plugin fails.
        """
        with self._reporting_failures("pytest_py312_target"):
            target: AbstractContextManager[Target] | None = self._hook.pytest_py312_target(
                config=self._config, settings=settings, environment=environment
            )
            return target

    # -- the end

    def objections(self, report: Report) -> tuple[str, ...]:
        """Return why the run must not be green; a hook that fails is a reason."""
        try:
            answers = self._hook.pytest_py312_verdict(config=self._config, report=report)
            return tuple(
                str(reason) for reasons in answers for reason in ([reasons] if isinstance(reasons, str) else reasons)
            )
        except _FAILURES as error:
            return (self._failure("pytest_py312_verdict", error),)

    def sections(self, report: Report) -> tuple[ReportSection, ...]:
        """Return the sections of plugins; a hook that fails is one with the error."""
        try:
            answers = self._hook.pytest_py312_report_sections(config=self._config, report=report)
            return tuple(map(_checked_section, chain.from_iterable(answers)))
        except _FAILURES as error:
            failure = self._failure("pytest_py312_report_sections", error)
            return (ReportSection(title="A section is missing", text=failure),)

    def announce_report(self, report: Report) -> str:
        """Let plugins see the report; return how one has failed, empty if none has."""
        try:
            self._hook.pytest_py312_report(config=self._config, report=report)
        except _FAILURES as error:
            return self._failure("pytest_py312_report", error)
        return ""

    @contextmanager
    def _reporting_failures(self, hook: str) -> Iterator[None]:
        try:
            yield
        except Py312Error:
            raise
        except _FAILURES as error:
            raise OptionError(self._failure(hook, error)) from error

    def _failure(self, hook: str, error: BaseException) -> str:
        return f"{hook} of {self.names_of(hook)} failed: {type(error).__name__}: {error}"


def _checked_section(section: object) -> ReportSection:
    """Return a section that a plugin has made.

    :raises TypeError: it is something else.
    """
    if not isinstance(section, ReportSection) or not _are_all(str, section.title, section.text):
        raise TypeError(f"{section!r} is no ReportSection of two texts")
    return section


def _is_allowed(changed: Finding, finding: Finding) -> bool:
    """Return whether only that was changed which may be, to values that a finding can have."""
    unchanged = replace(changed, severity=finding.severity, remedy=finding.remedy, owner=finding.owner)
    is_valid = _are_all(Severity, changed.severity) and _are_all(str, changed.remedy, changed.owner)
    return is_valid and unchanged == finding


def _are_all(kind: type, *values: object) -> bool:
    """Return whether values are of a type, which plugins need not have checked."""
    return all(isinstance(value, kind) for value in values)
