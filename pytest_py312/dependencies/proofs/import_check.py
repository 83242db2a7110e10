"""Import modules in the environment of a cell: a distribution that installs may still fail on import."""

import zlib
from collections.abc import Sequence
from pathlib import Path

from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.dependencies.resolution.lock import Undetermined
from pytest_py312.dependencies.store.environments import Environment, EnvironmentStore
from pytest_py312.dependencies.system.system_packages import lacks_packages
from pytest_py312.runners.runner import ProbeJob, Runner
from pytest_py312.runners.suite_job import describe_crash


class ImportChecker:
    """Importer of modules in environments, which caches the results. Thread-safe.

    ``root`` is the root of the repository.
    """

    def __init__(self, *, root: Path, runner: Runner, environments: EnvironmentStore) -> None:
        self._root = root
        self._runner = runner
        self._environments = environments

    def check(
        self, cell: Cell, build: InterpreterBuild, environment: Environment, modules: tuple[str, ...]
    ) -> dict[str, str]:
        """Map each of ``modules`` to the end of its traceback, or to an empty string if it imports.

        Cached results are reused, because the content of an environment never changes.

        :raises Undetermined: the modules could not be imported for a reason outside of them.
        """
        without_pth = cell.service.runs_without_pth is not None
        result_name = f"imports-{zlib.crc32(','.join(modules).encode()):x}{'-without-pth' if without_pth else ''}"
        cached_result = self._environments.cached_result(environment.key, result_name)
        if isinstance(cached_result, dict):
            return {str(name): str(detail) for name, detail in cached_result.items()}
        outcomes: dict[str, str] = {}
        remaining = list(modules)
        with PROGRESS.activity("importing what is installed for", cell.title):
            while remaining:
                batch_outcomes = self._import_batch(cell, build, environment, remaining)
                outcomes.update(batch_outcomes)
                remaining = [module for module in remaining if module not in outcomes]
        if not lacks_packages(None, outcomes):  # a library of this machine is no content of the environment
            self._environments.store_result(environment.key, result_name, outcomes)
        return outcomes

    def _import_batch(
        self, cell: Cell, build: InterpreterBuild, environment: Environment, modules: Sequence[str]
    ) -> dict[str, str]:
        """Import ``modules`` in order in one process. If one of them ends the process, the later ones are missing."""
        probe_result = self._runner.run(
            ProbeJob(
                identifier=f"{cell.identifier}-imports-{environment.key[:8]}-{len(modules)}",
                build=build,
                environment=environment.folder,
                root=self._root,
                folders=(),
                request={
                    "kind": "imports",
                    "modules": list(modules),
                    "without_pth": cell.service.runs_without_pth is not None,
                },
                time_limit=300.0,
                memory_limit=cell.service.settings.memory_limit,
            )
        )
        outcomes: dict[str, str] = {}
        importing = ""
        for record in probe_result.records:
            if record.get("event") == "importing":
                importing = str(record.get("module"))
            elif record.get("event") == "import" and record.get("module") in modules:
                outcomes[str(record["module"])] = (
                    "" if record.get("ok") is True else str(record.get("detail") or "failed")
                )
        if probe_result.failure and importing not in outcomes:
            if not importing or not describe_crash(probe_result):
                # the run or the machine ended the process, not the module: the result is not cached
                raise Undetermined(f"the imports could not be checked: {probe_result.failure}")
            outcomes[importing] = f"importing it ended the process: {probe_result.failure}"
        elif not probe_result.failure and any(module not in outcomes for module in modules):
            raise Undetermined("the imports could not be checked: the probe did not report all modules")
        return outcomes
