"""Assemble the parts of a run: state file, run folder, runner, fact provider, scheduler. Each is created on demand."""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from pytest_py312.core import directories
from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.directories import STATE_FOLDER
from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.model.findings import Finding, Outcome
from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, with_resolution
from pytest_py312.core.model.report import Report
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.resolution.resolvers import Resolver, resolver_description
from pytest_py312.gate.checks.check import Check, CheckResult
from pytest_py312.gate.run.fact_provider import FactProvider
from pytest_py312.gate.run.finalization import Finalizer, SourceLines
from pytest_py312.gate.run.known_findings import KnownFindingsByKey
from pytest_py312.gate.run.outcome_keys import OutcomeKeys
from pytest_py312.gate.run.run_report import RunResults, build_report
from pytest_py312.gate.run.scheduler import Scheduler, available_cores, new_run_id
from pytest_py312.gate.run.state import BenchmarkHistory, StateFile
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.runners.bubblewrap import find_bubblewrap
from pytest_py312.runners.docker.ping import engine_version
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import Runner, SupportsFurtherCells, further_cells


class AssemblyOptions(Protocol):
    """The command line options that the assembly needs."""

    @property
    def plan(self) -> Plan: ...
    @property
    def runner(self) -> str: ...
    @property
    def isolation(self) -> str: ...
    @property
    def cache_folder(self) -> Path: ...
    @property
    def jobs(self) -> int: ...
    @property
    def reuse_outcomes(self) -> bool: ...
    @property
    def reuse_failures(self) -> bool: ...
    @property
    def resolver(self) -> str: ...
    @property
    def offline(self) -> bool: ...


class PluginAnswers(Protocol):
    """What other plugins may answer; see :mod:`pytest_py312.plugin.hookspecs`."""

    @property
    def changes_findings(self) -> bool: ...
    def names_of(self, hook: str) -> str: ...
    def change_finding(self, service: Service, finding: Finding) -> Finding: ...
    def choose_runner(self, plan: Plan, runner: Runner) -> Runner: ...
    def choose_resolver(self, plan: Plan, resolver: Resolver, runner: Runner) -> Resolver: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerRemarks:
    """What one of xdist's workers knows of its cells beside their outcomes."""

    builds: tuple[InterpreterBuild, ...] = ()
    notes: tuple[str, ...] = ()
    """What the outcomes assume of the cache and of the runner."""


class GateAssembly:
    """The parts of one run.

    ``shared_folder`` is the folder through which xdist workers share results; ``None`` outside of workers.
    """

    def __init__(
        self,
        options: AssemblyOptions,
        *,
        shared_folder: Path | None = None,
        fleet: Fleet | None = None,
        known_findings: KnownFindingsByKey | None = None,
        plugins: PluginAnswers | None = None,
    ) -> None:
        self._options = options
        self._plugins = plugins
        self._fleet = fleet
        self._known_findings = known_findings or {}
        self._shared_folder = shared_folder
        self._plan = options.plan
        if options.isolation:
            self._plan = replace(self._plan, isolation=options.isolation)
        self._plan = with_resolution(self._plan, resolver=options.resolver, offline=options.offline)
        self.history = BenchmarkHistory(self._plan.root / STATE_FOLDER)
        self.run_id = new_run_id()
        self._is_open = False
        self._has_workers = False
        self._facts: FactProvider | None = None
        self._remarks: list[WorkerRemarks] = []
        self._other_runner = ""
        """Description of the runner that another plugin has put in the place of that of the plan."""

    @cached_property
    def _chosen_runner(self) -> tuple[str, str]:
        """Return (runner, reason): resolves ``auto`` on this machine."""
        requested = self._options.runner or self._plan.runner
        if requested == "local":
            return "local", ""
        engine = engine_version()
        if engine:
            return "docker", f"engine {engine} answers"
        if requested == "docker":
            raise RunnerUnavailable(
                "--py312-runner=docker: no Docker engine answers. Start one, set DOCKER_HOST, or use "
                "--py312-runner=local"
            )
        return "local", "no Docker engine answers"

    @property
    def runner_name(self) -> str:
        return self._chosen_runner[0]

    def describe_runner(self) -> str:
        """Describe the runner and why it was chosen, for the header."""
        name, reason = self._chosen_runner
        isolation = f", one container for each {self._plan.isolation}" if name == "docker" else ""
        if isolation and self._plan.engines:
            isolation += f"; further engines: {', '.join(self._plan.engines)}"
        text = f"{name} ({reason})" + isolation if reason else name + isolation
        if self._other_runner:
            return f"{self._other_runner} (of another plugin, for {text})"
        return text + ("" if "_runner" in self.__dict__ else self._possible_change("pytest_py312_runner"))

    def _possible_change(self, hook: str) -> str:
        """Return which plugins may have put something else in place; with xdist only the workers know."""
        names = self._plugins.names_of(hook) if self._plugins is not None else ""
        return f", unless {names} has put another one in its place" if names else ""

    def describe_resolver(self) -> str:
        other = self._facts.installer.other_resolver if self._facts is not None else None
        if other is not None:
            return f"{other.describe()} (of another plugin)"
        text = resolver_description(self._plan, version("uv"))
        return text + ("" if self._facts is not None else self._possible_change("pytest_py312_resolver"))

    def shared_folder(self) -> Path:
        """Return the folder for the xdist workers of this run, and create it if necessary."""
        self._has_workers = True
        folder = self._run_folder / "shared"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @cached_property
    def _run_folder(self) -> Path:
        directories.remove_abandoned_runs()
        self._is_open = True
        return directories.create_run_folder(self.run_id)

    @cached_property
    def _runner(self) -> Runner:
        runner = self._online_runner()
        if self._plugins is not None and (chosen := self._plugins.choose_runner(self._plan, runner)) is not runner:
            self._other_runner, runner = chosen.describe(), chosen
        if not self._options.offline:
            return runner
        from pytest_py312.dependencies.resolution.offline import offline_runner

        return offline_runner(runner)

    def _online_runner(self) -> Runner:
        from uv import find_uv_bin

        name, reason = self._chosen_runner
        cache, uv = self._options.cache_folder, Path(find_uv_bin())
        cache.mkdir(parents=True, exist_ok=True)
        if name == "docker":
            from pytest_py312.runners.docker.runner import DockerRunner
            from pytest_py312.runners.engines.runner import SeveralEnginesRunner

            return (SeveralEnginesRunner if self._plan.engines else DockerRunner)(
                plan=self._plan,
                cache=cache,
                uv=uv,
                run_id=self.run_id,
                run_folder=self._run_folder,
                parallel=self._parallel,
            )
        return LocalRunner(
            cache=cache,
            uv=uv,
            run_id=self.run_id,
            run_folder=self._run_folder,
            download_interpreters=self._plan.fetch_interpreters and not self._options.offline,
            choice_reason=reason,
            parallel=self._parallel,
            build_network=self._plan.build_network,
        )

    @property
    def _parallel(self) -> int:
        return self._options.jobs or available_cores()

    @cached_property
    def finalizer(self) -> Finalizer:
        """What completes the outcomes of this run."""
        return Finalizer(
            waivers=self._plan.waivers,
            known_findings=self._known_findings,
            source_lines=SourceLines(self._plan.root),
            change_finding=(
                self._plugins.change_finding if self._plugins is not None and self._plugins.changes_findings else None
            ),
        )

    @cached_property
    def scheduler(self) -> Scheduler:
        """The scheduler of this run; ``scheduler.facts`` has its facts."""
        single_flight, state = SingleFlight(self._shared_folder), StateFile(self._plan.root / STATE_FOLDER)
        runner = self._runner
        services = self._fleet.services if self._fleet else ()
        facts = self._facts = FactProvider(
            plan=self._plan,
            runner=runner,
            cache=self._options.cache_folder,
            uv_version=version("uv"),
            parallel=self._parallel,
            single_flight=single_flight,
            services=services,
            choose_resolver=self._plugins.choose_resolver if self._plugins is not None else None,
        )
        keys = OutcomeKeys(
            plan=self._plan,
            runner=runner,
            installer=facts.installer,
            uv_version=version("uv"),
            services=services,
        )
        return Scheduler(
            facts=facts,
            keys=keys,
            finalizer=self.finalizer,
            runner=runner,
            state=state,
            single_flight=single_flight,
            parallel=self._parallel + further_cells(runner),
            reuse=self._options.reuse_outcomes,
            reuse_failures=self._options.reuse_failures,
        )

    def prefetch(self, tasks: Sequence[CheckTask]) -> None:
        """Compute ``tasks`` in the background.

        :raises Py312Error: they cannot be computed at all.
        """
        self.scheduler.prefetch(tasks)

    def run(self, task: CheckTask) -> CheckResult:
        """Return the result of ``task``."""
        return self.scheduler.run(task)

    def finished(self, task: CheckTask) -> CheckResult | None:
        """Return the result of ``task`` if it is there already, though pytest has not asked for it."""
        return self.scheduler.finished(task) if "scheduler" in self.__dict__ else None

    def assumptions(self, outcomes: Iterable[Outcome]) -> tuple[str, ...]:
        """Return what the outcomes assume of builds of dependencies and of the cache."""
        texts = list(dict.fromkeys((*self._notes(), *(note for remarks in self._remarks for note in remarks.notes))))
        codes = {finding.code for outcome in outcomes for finding in outcome.findings}
        if not codes & {"PY104", "PY110"}:
            return tuple(texts)
        if self._plan.build_network:
            texts.append("Builds of dependencies from source had the network, as the plan has `build-network = true`.")
        if self._chosen_runner[0] == "local" and not find_bubblewrap():
            texts.append(
                "Builds of dependencies from source were not confined: they could read and write what you can, and use "
                "the network. Install bubblewrap (bwrap), or use the docker runner, if you do not trust all of them."
            )
        return tuple(texts)

    def _notes(self) -> tuple[str, ...]:
        texts = [
            f"{name} in the cache had changed since it was installed; it was removed, and is installed again."
            for name in dict.fromkeys(self._facts.discarded_distributions() if self._facts else ())
        ]
        if "_runner" in self.__dict__ and isinstance(self._runner, SupportsFurtherCells):
            texts += self._runner.notes()
        return tuple(texts)

    def builds(self) -> tuple[InterpreterBuild, ...]:
        """Return the interpreter builds that cells ran on, here and in xdist's workers."""
        own = self.scheduler.facts.builds() if "scheduler" in self.__dict__ else ()
        builds = dict.fromkeys((*own, *(build for remarks in self._remarks for build in remarks.builds)))
        return tuple(sorted(builds, key=lambda build: build.interpreter))

    def remarks(self) -> str:
        """Return what a worker hands over to the process that reports, as text; see :class:`WorkerRemarks`."""
        return json.dumps(encode(WorkerRemarks(builds=self.builds(), notes=self._notes())))

    def add_remarks(self, text: str) -> None:
        """Add what a worker has handed over."""
        self._remarks.append(decode(WorkerRemarks, json.loads(text)))

    def report(self, run: RunResults, checks: Sequence[Check]) -> Report:
        """Return the report of ``run``, in which each service was to have ``checks``."""
        report = build_report(self._options.plan, self._fleet or Fleet(services=()), run)
        return replace(
            report,
            checks=tuple(check.name for check in checks),
            benchmarks=self.history.with_history(report.benchmarks),
            runner=self.describe_runner(),
            resolver=self.describe_resolver(),
            builds=self.builds(),
            assumptions=(*report.assumptions, *self.assumptions(report.outcomes)),
        )

    def close(self) -> None:
        """Stop everything and remove the run folder. May be called twice."""
        if "scheduler" in self.__dict__:
            self.scheduler.close()
            del self.__dict__["scheduler"]
        if self._is_open:
            shutil.rmtree(self._run_folder, ignore_errors=True)
            self._is_open = False
        if self._has_workers:  # xdist has ended them, and kills those that are slow to end
            directories.remove_abandoned_runs()
            self._has_workers = False
