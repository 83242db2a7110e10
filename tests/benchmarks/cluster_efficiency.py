"""What a cluster costs: a fleet is checked on one core by a plain run, and by 1, 2, ... workers of one core each.

    python -m tests.benchmarks.cluster_efficiency REPOSITORY [--workers 1,2] [--rounds 3]

REPOSITORY is a fleet for the local runner, in git. The first run fills the cache and does not count. It prints the best
wall time and the least processor time of all rounds. The overhead is that of one worker over the plain run; processor
time shows it also on a machine that has other work. Efficiency is the wall time of one worker, divided by the number of
workers and their wall time.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.integration.dask_clusters import dask_cluster, environment

FIXED = ("--py312", "--py312-runner=local", "--py312-no-cache", "-p", "no:cacheprovider", "-q")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Seconds of wall time, and of processors for all processes."""

    wall: float
    processor: float


def cost_since(wall: float, processor: float) -> Cost:
    return Cost(wall=time.perf_counter() - wall, processor=used() - processor)


def used() -> float:
    """Return the processor time of all processes that have ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def plain(root: Path, variables: dict[str, str]) -> Cost:
    wall, processor = time.perf_counter(), used()
    argv = ["taskset", "-c", "0", sys.executable, "-m", "pytest", *FIXED, "--py312-jobs=1"]
    variables = {**environment(), **variables}
    done = subprocess.run(argv, cwd=root, env=variables, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(done.stdout + done.stderr)
    return cost_since(wall, processor)


def clustered(root: Path, variables: dict[str, str], workers: int) -> Cost:
    """Return the cost of a run, with the start of neither scheduler nor workers in its wall time."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        processor = used()
        with dask_cluster(Path(folder)) as cluster:
            cluster.variables = variables
            cluster.start_scheduler()
            for number in range(workers):
                prefix = ["taskset", "-c", str(cores[number % len(cores)])]
                cluster.start_worker(f"worker-{number + 1}", prefix=prefix)
            started = time.perf_counter()
            gate = cluster.gate(root, *FIXED[2:])
            if gate.wait(3600) not in (0, 1):
                sys.exit(gate.output)
            wall = time.perf_counter() - started
        return Cost(wall=wall, processor=used() - processor)


def best(costs: Sequence[Cost]) -> Cost:
    return Cost(wall=min(cost.wall for cost in costs), processor=min(cost.processor for cost in costs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    numbers = [int(text) for text in options.workers.split(",")]
    root = options.repository.resolve()
    with tempfile.TemporaryDirectory() as home:
        variables = {"XDG_CACHE_HOME": home}
        plain(root, variables)
        rounds = [
            (plain(root, variables), [clustered(root, variables, number) for number in numbers])
            for _ in range(options.rounds)
        ]
    alone = best([cost for cost, _ in rounds])
    by_number = {number: best([costs[index] for _, costs in rounds]) for index, number in enumerate(numbers)}
    print(f"plain run on one core: {alone.wall:.1f} s, processor {alone.processor:.1f} s")
    for number, cost in by_number.items():
        efficiency = by_number[numbers[0]].wall * numbers[0] / (number * cost.wall)
        overhead = cost.processor / alone.processor - 1
        print(
            f"{number} workers of one core: {cost.wall:.1f} s, processor {cost.processor:.1f} s; "
            f"efficiency {efficiency:.2f}, processor time over the plain run {overhead:+.1%}"
        )


if __name__ == "__main__":
    main()
