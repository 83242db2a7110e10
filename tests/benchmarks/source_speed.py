"""Time of the source check for about 600 files: ``python -m tests.benchmarks.source_speed --work FOLDER``.

Everything is held against ``ast.parse`` of the same files in the same run, on one core of this interpreter. Wall times,
and the CPU time of this process and those that it starts; the best of ``--rounds`` of each. Cold: the cache is empty,
the files and all interpreters from 3.9 to 3.12 are read, asked and judged. Unchanged: the same again from the cache.
``--peers`` runs pylint and mypy as well, with the rules of ``source_tools`` and with empty caches, each service by
itself.

``--files`` is a folder whose folders are services; without it 7 MB of today's django, twisted and celery are taken.
"""

import argparse
import ast
import os
import resource
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from uv import find_uv_bin

from pytest_py312.analysis.services.service_analysis import ServiceAnalyzer
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.runners.local import LocalRunner
from tests.benchmarks import source_tools, third_party_code
from tests.truth.verify import find_pythons

BASELINE, TARGET = Interpreter(3, 9), Interpreter(3, 12)
SAMPLED = ("django", "twisted", "celery")
WANTED_FILES, WANTED_BYTES, LEAST_BYTES = 600, 7_000_000, 2_000


class Taken(NamedTuple):
    """Wall seconds and CPU seconds."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description="How long the source of about 600 files takes.")
    parser.add_argument("--work", type=Path, required=True, help="folder for the files, environments and caches")
    parser.add_argument("--files", type=Path, help="a folder whose folders are services")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="run pylint and mypy as well (minutes)")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    root: Path = options.files.resolve() if options.files else sample(work)
    texts = [file.read_bytes() for file in sorted(root.rglob("*.py"))]
    print(f"{len(texts)} files, {sum(map(len, texts)) / 1e6:.1f} MB, {os.cpu_count()} cores\n")
    parse = best([timed(lambda: parsed(texts)) for _ in range(options.rounds)])
    print("| what | seconds | times ast.parse | CPU seconds | times ast.parse |")
    print("|---|---|---|---|---|")
    row("ast.parse", parse, parse)
    for processes in (1, 2):
        cold, warm = inspected(root, work / "speed", processes, options.rounds)
        row(f"cold, processes={processes}", cold, parse)
        row(f"unchanged, processes={processes}", warm, parse)
    if options.peers:
        source_tools.install(work / "environment", find_pythons(work / "found")[3, 12])
        for name in ("pylint", "mypy"):
            row(name, timed(partial(peer, name, root, work)), parse)


def row(name: str, taken: Taken, parse: Taken) -> None:
    cells = [f"{value:.2f} | {value / of_parse:.2f}" for value, of_parse in zip(taken, parse, strict=True)]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def timed(work: Callable[[], object]) -> Taken:
    start = Taken(time.perf_counter(), cpu_seconds())
    work()
    return Taken(time.perf_counter() - start.wall, cpu_seconds() - start.cpu)


def cpu_seconds() -> float:
    """Return the CPU time of this process and its ended children."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def best(measured: Sequence[Taken]) -> Taken:
    return Taken(min(taken.wall for taken in measured), min(taken.cpu for taken in measured))


def sample(work: Path) -> Path:
    """Copy a sample of files of some distributions, none of them tiny, up to the wanted size; return its folder."""
    pinned = [
        requirement for requirement in third_party_code.pinned("now") if requirement.partition("==")[0] in SAMPLED
    ]
    third_party_code.install(work / "now", pinned, find_pythons(work / "found")[3, 12])
    root = work / "sample"
    shutil.rmtree(root, ignore_errors=True)
    files = [file for name in SAMPLED for file in sorted((work / "now" / name).rglob("*.py"))]
    files = [file for file in files if file.stat().st_size >= LEAST_BYTES]
    size = 0
    for file in files[:: max(1, len(files) // WANTED_FILES)]:
        if size < WANTED_BYTES:
            copy = root / file.relative_to(work / "now")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
            size += file.stat().st_size
    return root


def parsed(texts: Sequence[bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in texts:
            try:
                ast.parse(text)
            except SyntaxError:
                continue


def inspected(root: Path, work: Path, processes: int, rounds: int) -> tuple[Taken, Taken]:
    """Measure with an empty and with a full cache. The search for interpreters is not included."""
    cold, warm = [], []
    for _ in range(rounds):
        shutil.rmtree(work, ignore_errors=True)
        runner = LocalRunner(
            cache=work / "cache",
            uv=Path(find_uv_bin()),
            run_id=uuid4().hex,
            run_folder=work / "run",
            download_interpreters=False,
        )
        try:
            for minor in range(BASELINE.minor, TARGET.minor + 1):
                runner.find_interpreter(Interpreter(3, minor))
            cold.append(timed(partial(inspect, root, work / "cache", processes, runner)))
            warm.append(timed(partial(inspect, root, work / "cache", processes, runner)))
        finally:
            runner.close()
    return best(cold), best(warm)


def inspect(root: Path, cache: Path, processes: int, runner: LocalRunner) -> None:
    analyzer = ServiceAnalyzer(plan=Plan(root=root, target=TARGET), cache=cache, runner=runner, processes=processes)
    services = [service(folder.name) for folder in sorted(root.iterdir()) if folder.is_dir()]
    analyzer.register(services)
    analyzer.prefetch()
    for member in services:
        analyzer.analyze(Cell(service=member, interpreter=TARGET), {})


def service(name: str) -> Service:
    return Service(
        name=name, path=name, stage=1, critical=False, baseline=BASELINE, baseline_source="this script",
        requirements=(), test_requirements=(), suite=None, settings=ServiceSettings(),
    )  # fmt: skip


def peer(name: str, root: Path, work: Path) -> None:
    """Run a tool on all services. Output and exit code are ignored: no tool can read every file."""
    (tool,) = (candidate for candidate in source_tools.TOOLS if candidate.name == name)
    shutil.rmtree(work / "mypy", ignore_errors=True)
    arguments = [argument.replace("{work}", str(work)) for argument in tool.arguments]
    for folder in sorted(root.iterdir()):
        files = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*.py"))]
        program = work / "environment/bin" / name
        subprocess.run([program, *arguments, *files], cwd=folder, capture_output=True, check=False, timeout=1800)


if __name__ == "__main__":
    main()
