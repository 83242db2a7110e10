"""Measure services one at a time, while no suite of the run is running.

The import of a service is measured with the module that its image runs, if that can be imported without starting it.
"""

import ast
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import BenchmarkResults
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.python_syntax import parse_python
from pytest_py312.dependencies.installation.findings import incomplete_environment_reason, missing_environment_reason
from pytest_py312.dependencies.installation.result import Installation, installed_versions
from pytest_py312.gate.benchmarks.cpu_cores import exclusive_core
from pytest_py312.gate.benchmarks.jobs import BenchmarkSide
from pytest_py312.gate.benchmarks.measurement import ServiceBenchmark, ServiceStarter
from pytest_py312.gate.benchmarks.sampling import MeasurementFailed
from pytest_py312.repository.formats.dockerfile import read_dockerfile
from pytest_py312.repository.recipes.commands.file_map import instruction_words
from pytest_py312.repository.services.images import (
    ImageJob,
    ImageStarter,
    entry_point_of,
    service_images,
)
from pytest_py312.repository.tree import Tree, join_path
from pytest_py312.runners.runner import Runner


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkRunner:
    """Benchmark runner for services, each on its own.

    ``slots`` is the semaphore of running suites, of size ``parallel``. ``files_of`` lists the files of a service, and
    ``startable_image`` returns its image in a cell (or why there is none). ``cache`` holds the locks of CPU cores.
    """

    plan: Plan
    runner: Runner
    cache: Path
    slots: threading.Semaphore
    parallel: int
    installation: Callable[[Cell], Installation]
    files_of: Callable[[Service], tuple[str, ...]]
    startable_image: Callable[[Cell], ImageJob | str]
    run_ended: threading.Event
    _one_service: threading.Lock = field(default_factory=threading.Lock)

    def measure(self, cell: Cell, *, measured_services: int) -> BenchmarkResults:
        """Compare the service on the interpreter of ``cell`` with its baseline.

        :param measured_services: the number of services that are measured in the run.
        """
        sides = [self._prepared_side(side_cell) for side_cell in (cell.baseline_cell, cell)]
        old, new = sides
        if isinstance(old, str) or isinstance(new, str):
            return BenchmarkResults(unchecked=next(side for side in sides if isinstance(side, str)))
        module = entry_module(Tree(self.plan.root), cell.service, self.files_of(cell.service))
        with (
            self._exclusive_run(),
            exclusive_core(self.cache / "measured", self.run_ended) as core,
            PROGRESS.activity("measuring", cell.title),
        ):
            if self.run_ended.is_set():
                return BenchmarkResults(unchecked="the run was ended")
            benchmark = ServiceBenchmark(
                self.runner, self.plan.root, baseline=old, target=new, measured_services=measured_services, core=core
            )
            return benchmark.measure(module, self._starters(cell.baseline_cell, cell))

    def _starters(self, baseline_cell: Cell, target_cell: Cell) -> tuple[ServiceStarter, ServiceStarter] | str:
        """Return how to start the service on both sides, or why its start is not measured."""
        if not isinstance(self.runner, ImageStarter):
            return f"only the docker runner can start images, and this is the {self.runner.name} runner"
        old, new = self.startable_image(baseline_cell), self.startable_image(target_cell)
        if isinstance(old, str) or isinstance(new, str):
            return old if isinstance(old, str) else str(new)
        return _starter(self.runner, old), _starter(self.runner, new)

    def _prepared_side(self, cell: Cell) -> BenchmarkSide | str:
        """Return the cell with its environment, or why it has none."""
        cell_installation = self.installation(cell)
        if cell_installation.environment is None or cell_installation.build is None:
            return f"there is no environment on {cell.interpreter}: {missing_environment_reason(cell_installation)}"
        if cell_installation.incomplete:
            return incomplete_environment_reason(cell_installation)
        return BenchmarkSide(
            cell=cell,
            build=cell_installation.build,
            environment=cell_installation.environment.folder,
            built=cell_installation.built,
            versions=installed_versions(cell_installation),
        )

    @contextmanager
    def _exclusive_run(self) -> Iterator[None]:
        """Wait until no suite of this run is running, and prevent new ones.

        Only one service at a time does this, as two could wait for each other's slots.
        """
        with self._one_service:
            for _ in range(self.parallel):
                self.slots.acquire()
            try:
                yield
            finally:
                self.slots.release(self.parallel)


def _starter(runner: ImageStarter, job: ImageJob) -> ServiceStarter:
    def start(seed: int) -> dict[str, float]:
        image_start = runner.start_image(job, seed)
        if image_start.unchecked:
            raise MeasurementFailed(image_start.unchecked)
        return {"start": image_start.seconds} | ({"memory": float(image_start.memory)} if image_start.memory else {})

    return start


def entry_module(tree: Tree, service: Service, files: tuple[str, ...]) -> str:
    """Return the module whose import is measured, such as ``app.main``; empty if no image defines one.

    ``files`` are the files of the service. For ``python -m package`` this is ``package.__main__`` if its import starts
    nothing, and otherwise the package.
    """
    for image in service_images(tree, service, files):
        dockerfile = read_dockerfile(tree.read_or_none(image.dockerfile) or "", image.dockerfile)
        commands = [
            instruction for instruction in dockerfile.instructions if instruction.keyword in ("CMD", "ENTRYPOINT")
        ]
        entry = entry_point_of(instruction_words(commands[-1].arguments)) if commands else None
        if entry is not None and entry.kind == "module":
            return _import_target(tree, service, entry.name)
    return ""


def _import_target(tree: Tree, service: Service, module: str) -> str:
    inner = f"{module.replace('.', '/')}/__main__.py"
    for home in ("", "src", *service.python_path, *service.appended_path):
        text = tree.read_or_none(join_path(service.path, f"{home}/{inner}" if home else inner))
        if text is not None:
            return f"{module}.__main__" if _is_safe_to_import(text) else module
    return module


def _is_safe_to_import(text: str) -> bool:
    """Return whether a ``__main__.py`` contains only imports, definitions and code under ``if __name__ == ...``."""
    tree = parse_python(text)
    plain = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return tree is not None and all(
        isinstance(node, plain)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))
        for node in tree.body
    )
