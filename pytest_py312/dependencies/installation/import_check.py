"""Imports in a cell, for real: what installs may still die when it is imported."""

import zlib
from collections.abc import Sequence
from pathlib import Path

from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.installation.environments import Environment, Environments
from pytest_py312.dependencies.resolution.lock import Unchecked
from pytest_py312.runners.runner import CellJob, Runner
from pytest_py312.runners.suite_job import crash_of


class Imports:
    """Imports modules in environments below ``root``, and remembers how that went. Safe for threads."""

    def __init__(self, *, root: Path, runner: Runner, environments: Environments) -> None:
        self._root = root
        self._runner = runner
        self._environments = environments

    def of(
        self, cell: Cell, build: InterpreterBuild, environment: Environment, modules: tuple[str, ...]
    ) -> dict[str, str]:
        """Each of ``modules`` with the end of its traceback, empty where it imports. What was found out about this
        environment before still holds.

        :raises Unchecked: they could not be tried.
        """
        question = f"imports-{zlib.crc32(','.join(modules).encode()):x}"
        known = self._environments.recall(environment.key, question)
        if isinstance(known, dict):
            return {str(name): str(detail) for name, detail in known.items()}
        answers: dict[str, str] = {}
        remaining = list(modules)
        while remaining:
            answer = self._some(cell, build, environment, remaining)
            answers.update(answer)
            remaining = [module for module in remaining if module not in answers]
        self._environments.remember(environment.key, question, answers)
        return answers

    def _some(
        self, cell: Cell, build: InterpreterBuild, environment: Environment, modules: Sequence[str]
    ) -> dict[str, str]:
        """One process that imports ``modules`` in order; when one of them ends it, those after it are left out."""
        done = self._runner.run(
            CellJob(
                identifier=f"{cell.identifier}-imports-{environment.key[:8]}-{len(modules)}",
                build=build,
                environment=environment.folder,
                root=self._root,
                folders=(),
                request={"kind": "imports", "modules": list(modules)},
                time_limit=300.0,
                memory_limit=cell.service.settings.memory_limit,
            )
        )
        answers: dict[str, str] = {}
        importing = ""
        for record in done.records:
            if record.get("event") == "importing":
                importing = str(record.get("module"))
            elif record.get("event") == "import" and record.get("module") in modules:
                answers[str(record["module"])] = (
                    "" if record.get("ok") is True else str(record.get("detail") or "failed")
                )
        if done.trouble and importing not in answers:
            if not importing or not crash_of(done):
                # ended by the run or the machine: no fault of the module, and nothing to be remembered
                raise Unchecked(f"the imports could not be tried: {done.trouble}")
            answers[importing] = f"importing it ended the process: {done.trouble}"
        elif not done.trouble and any(module not in answers for module in modules):
            raise Unchecked("the imports could not be tried: the probe reported too little")
        return answers
