"""Environments and runners for benchmarks of the benchmark check itself, on this interpreter."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.plan import Plan, ServiceSettings, Suite, SuiteKind
from pytest_py312.gate.benchmarks.jobs import BenchmarkSession, BenchmarkSide
from pytest_py312.runners.docker.runner import DockerRunner
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import DirectSession, Runner, open_session
from tests.support.fakes import service

HERE = Interpreter(*sys.version_info[:2])
PINS = ("pytest==8.4.2", "pytest-benchmark==5.1.0", "bottle==0.13.4", "waitress==3.0.2")


def environment(folder: Path, python: str) -> Path:
    """Create an environment with the distributions that the benchmarks need."""
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--relocatable", "-p", python, str(folder)], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", str(folder / "bin/python"), *PINS], check=True)
    return folder


def local(work: Path) -> tuple[Runner, Path]:
    """Return the local runner and an environment for it. ``work`` is a scratch folder."""
    uv = Path(find_uv_bin())
    runner = LocalRunner(
        cache=work / "cache", uv=uv, run_id="rig", run_folder=work / "run", download_interpreters=False
    )
    return runner, environment(work / "cache/envs/local", runner.find_interpreter(HERE).executable)


def docker(work: Path, root: Path) -> tuple[Runner, Path]:
    """Return the docker runner for the fleet at ``root`` and an environment for it: a copy of that of :func:`local`,
    which must exist, with the image's interpreter."""
    (work / "docker").mkdir()
    runner = DockerRunner(
        plan=Plan(root=root), cache=work / "cache", uv=Path(find_uv_bin()), run_id=f"rig-{os.getpid()}",
        run_folder=work / "docker",
    )  # fmt: skip
    inner, program = work / "cache/envs/docker", Path(runner.find_interpreter(HERE).executable)
    shutil.copytree(work / "cache/envs/local", inner, symlinks=True)
    (inner / "bin/python").unlink()
    (inner / "bin/python").symlink_to(program)
    (inner / "pyvenv.cfg").write_text(f"home = {program.parent}\n")
    return runner, inner


def benchmark_session(
    runner: Runner,
    root: Path,
    path: str,
    folder: Path,
    *,
    settings: ServiceSettings | None = None,
    core: int | None = None,
    keep_container: bool = True,
) -> BenchmarkSession:
    """Open a session that measures the service in ``path`` below ``root`` with the environment in ``folder``: in a
    container that is kept between jobs, or (not ``keep_container``) as any job of a cell."""
    measured_service = service(
        path.rpartition("/")[2], path=path, baseline=HERE, suite=Suite(kind=SuiteKind.PYTEST), python_path=("src",),
        settings=settings or ServiceSettings(),
    )  # fmt: skip
    side = BenchmarkSide(
        cell=Cell(service=measured_service, interpreter=HERE),
        build=runner.find_interpreter(HERE),
        environment=folder,
        built=False,
        versions={},
    )
    return BenchmarkSession(open_session(runner) if keep_container else DirectSession(runner), root, side, core=core)
