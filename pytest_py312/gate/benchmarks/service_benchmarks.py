"""Measures services one at a time, with all else that the run has under way held up meanwhile.

Which module stands for a service's start: what its image runs, as far as it can be imported without starting it.
"""

import ast
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import Speeds
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.installation.findings import obstacle
from pytest_py312.dependencies.installation.installer import Installation, versions_of
from pytest_py312.gate.benchmarks.cpu_cores import own_core
from pytest_py312.gate.benchmarks.jobs import Side
from pytest_py312.gate.benchmarks.measurement import Bench, Start
from pytest_py312.gate.benchmarks.sampling import MeasuringFailed
from pytest_py312.repository.formats.dockerfile import read_dockerfile
from pytest_py312.repository.services.images import ImageJob, ImageStarter, entry_of, own_images, words_of
from pytest_py312.repository.tree import Tree, join
from pytest_py312.runners.runner import Runner


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedTests:
    """``slots`` are those in which suites run, ``parallel`` of them; ``files`` lists those of a service that may say
    what it starts, ``startable`` is its image in a cell (or why there is none). In ``cache`` measurements meet that
    must not have one core."""

    plan: Plan
    runner: Runner
    cache: Path
    slots: threading.Semaphore
    parallel: int
    installation: Callable[[Cell], Installation]
    files: Callable[[Service], tuple[str, ...]]
    startable: Callable[[Cell], ImageJob | str]
    ended: threading.Event
    _one: threading.Lock = field(default_factory=threading.Lock)

    def measure(self, cell: Cell, *, families: int) -> Speeds:
        """The service of ``cell`` there against its baseline; ``families`` services are measured in the run."""
        before = replace(cell, interpreter=cell.service.baseline)
        sides = [self._side(one) for one in (before, cell)]
        old, new = sides
        if isinstance(old, str) or isinstance(new, str):
            return Speeds(unchecked=next(side for side in sides if isinstance(side, str)))
        module = entry_module(Tree(self.plan.root), cell.service, self.files(cell.service))
        with self._alone(), own_core(self.cache / "measured", self.ended) as core:
            if self.ended.is_set():
                return Speeds(unchecked="the run was ended")
            bench = Bench(self.runner, self.plan.root, before=old, after=new, families=families, core=core)
            return bench.measure(module, self._starts(before, cell))

    def _starts(self, before: Cell, after: Cell) -> tuple[Start, Start] | str:
        """How to start the service on both sides, or why that is not measured."""
        if not isinstance(self.runner, ImageStarter):
            return f"images are started by the docker runner alone, and this is {self.runner.name}"
        old, new = self.startable(before), self.startable(after)
        if isinstance(old, str) or isinstance(new, str):
            return old if isinstance(old, str) else str(new)
        return _start(self.runner, old), _start(self.runner, new)

    def _side(self, cell: Cell) -> Side | str:
        """The cell, ready to run something, or why it is not."""
        found = self.installation(cell)
        if found.environment is None or found.build is None:
            return f"there is no environment on {cell.interpreter}: {obstacle(found)}"
        return Side(
            cell=cell,
            build=found.build,
            environment=found.environment.folder,
            built=found.built,
            versions=versions_of(found),
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No suite of this run is under way; one service after the other, or two would wait for each other's slots."""
        with self._one:
            for _ in range(self.parallel):
                self.slots.acquire()
            try:
                yield
            finally:
                self.slots.release(self.parallel)


def _start(runner: ImageStarter, job: ImageJob) -> Start:
    def start(seed: int) -> dict[str, float]:
        found = runner.start_image(job, seed)
        if found.unchecked:
            raise MeasuringFailed(found.unchecked)
        return {"start": found.seconds} | ({"memory": float(found.memory)} if found.memory else {})

    return start


def entry_module(tree: Tree, service: Service, files: tuple[str, ...]) -> str:
    """The module whose import is measured, such as ``app.main``; empty where nothing tells.

    ``files`` are the service's own. Of ``python -m package`` it is ``package.__main__`` where that starts nothing when
    it is imported, and else the package.
    """
    for image in own_images(tree, service, files):
        dockerfile = read_dockerfile(tree.text(image.dockerfile) or "", image.dockerfile)
        commands = [one for one in dockerfile.instructions if one.keyword in ("CMD", "ENTRYPOINT")]
        entry = entry_of(words_of(commands[-1].arguments)) if commands else None
        if entry is not None and entry.kind == "module":
            return _importable(tree, service, entry.name)
    return ""


def _importable(tree: Tree, service: Service, module: str) -> str:
    inner = f"{module.replace('.', '/')}/__main__.py"
    for home in ("", "src", *service.python_path):
        text = tree.text(join(service.path, f"{home}/{inner}" if home else inner))
        if text is not None:
            return f"{module}.__main__" if _is_guarded(text) else module
    return module


def _is_guarded(text: str) -> bool:
    """Whether all that a ``__main__.py`` does by itself is imports, definitions, and what stands under the guard."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return False
    plain = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return all(
        isinstance(node, plain)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))
        for node in body
    )
