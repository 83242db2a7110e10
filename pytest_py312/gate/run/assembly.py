"""Puts the parts of a run together: cache, state, run folder, runner, gate. Made when first needed, closed once."""

import shutil
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from pytest_py312.core import directories
from pytest_py312.core.concurrency import Once
from pytest_py312.core.directories import STATE_FOLDER
from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, plan_with
from pytest_py312.dependencies.resolution.resolvers import engine_in_words
from pytest_py312.gate.run.fact_provider import Gathering
from pytest_py312.gate.run.outcome_keys import OutcomeKeys
from pytest_py312.gate.run.scheduler import Gate, cores, new_run_id
from pytest_py312.gate.run.state import State
from pytest_py312.runners.docker.ping import engine_version
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import Runner


class Settings(Protocol):
    """What of the command line the workshop needs."""

    @property
    def plan(self) -> Plan: ...
    @property
    def runner(self) -> str: ...
    @property
    def isolation(self) -> str: ...
    @property
    def cache(self) -> Path: ...
    @property
    def jobs(self) -> int: ...
    @property
    def reuse(self) -> bool: ...
    @property
    def resolver(self) -> str: ...
    @property
    def offline(self) -> bool: ...


class Workshop:
    """The parts of one run. ``shared`` is the folder in which xdist's workers meet, ``None`` elsewhere."""

    def __init__(self, settings: Settings, *, shared: Path | None = None, fleet: Fleet | None = None) -> None:
        self._settings = settings
        self._fleet = fleet
        self._shared = shared
        self._plan = settings.plan
        if settings.isolation:
            from dataclasses import replace

            self._plan = replace(self._plan, isolation=settings.isolation)
        self._plan = plan_with(self._plan, resolver=settings.resolver, offline=settings.offline)
        self._run_id = new_run_id()
        self._open = False

    @cached_property
    def _choice(self) -> tuple[str, str]:
        """(runner, why): what ``auto`` comes to on this machine."""
        asked = self._settings.runner or self._plan.runner
        if asked == "local":
            return "local", ""
        engine = engine_version()
        if engine:
            return "docker", f"engine {engine} answers"
        if asked == "docker":
            raise RunnerUnavailable(
                "--py312-runner=docker: no Docker engine answers. Start one, set DOCKER_HOST, or use "
                "--py312-runner=local"
            )
        return "local", "no Docker engine answers"

    def describe_runner(self) -> str:
        """For the header: which runner, and why."""
        name, why = self._choice
        isolation = f", one container for each {self._plan.isolation}" if name == "docker" else ""
        return f"{name} ({why})" + isolation if why else name + isolation

    def describe_resolver(self) -> str:
        return engine_in_words(self._plan, version("uv"))

    def shared_folder(self) -> Path:
        """The folder in which this run's xdist workers meet (made when first asked for)."""
        folder = self._folder / "shared"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @cached_property
    def _folder(self) -> Path:
        directories.sweep()
        self._open = True
        return directories.open_run(self._run_id)

    @cached_property
    def _runner(self) -> Runner:
        runner = self._online_runner()
        if not self._settings.offline:
            return runner
        from pytest_py312.dependencies.resolution.offline import OfflineRunner

        return OfflineRunner(runner)

    def _online_runner(self) -> Runner:
        from uv import find_uv_bin

        name, why = self._choice
        cache, uv = self._settings.cache, Path(find_uv_bin())
        cache.mkdir(parents=True, exist_ok=True)
        if name == "docker":
            from pytest_py312.runners.docker.runner import DockerRunner

            return DockerRunner(
                plan=self._plan,
                cache=cache,
                uv=uv,
                run_id=self._run_id,
                run_folder=self._folder,
                parallel=self._parallel,
            )
        return LocalRunner(
            cache=cache,
            uv=uv,
            run_id=self._run_id,
            run_folder=self._folder,
            fetch=self._plan.fetch_interpreters and not self._settings.offline,
            reason=why,
            parallel=self._parallel,
        )

    @property
    def _parallel(self) -> int:
        return self._settings.jobs or cores()

    @cached_property
    def gate(self) -> Gate:
        """The gate of this run."""
        once, state = Once(self._shared), State(self._plan.root / STATE_FOLDER)
        services = self._fleet.services if self._fleet else ()
        facts = Gathering(
            plan=self._plan,
            runner=self._runner,
            cache=self._settings.cache,
            state=state,
            uv_version=version("uv"),
            parallel=self._parallel,
            once=once,
            services=services,
        )
        keys = OutcomeKeys(
            plan=self._plan,
            runner=self._runner,
            installer=facts.installer,
            uv_version=version("uv"),
            services=services,
        )
        return Gate(
            facts=facts,
            keys=keys,
            runner=self._runner,
            state=state,
            once=once,
            parallel=self._parallel,
            reuse=self._settings.reuse,
        )

    def builds(self) -> tuple[InterpreterBuild, ...]:
        """The interpreter builds that cells ran on; none where this process ran no cell."""
        return self.gate.builds() if "gate" in self.__dict__ else ()

    def close(self) -> None:
        """End everything and remove the run's folder. Closing twice is fine."""
        if "gate" in self.__dict__:
            self.gate.close()
            del self.__dict__["gate"]
        if self._open:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._open = False
