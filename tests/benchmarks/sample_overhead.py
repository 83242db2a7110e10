"""Overhead of one sample compared with running the command by hand, in turn, in one run.

    python -m tests.benchmarks.sample_overhead [--rounds 15] [--docker]

By hand is ``python -m pytest --benchmark-only --benchmark-json=...`` in the service's folder, with the time for each
benchmark that a sample takes; a sample is the same tests through a runner: copied, in a clean process, recorded, read.
Least and median of wall seconds and of processor seconds (children included; a container's are the engine's, and not in
them), and the median of the paired differences. On a machine that is busy the least tells most. With ``--docker`` also
a sample in a container of its own, as any other job of a cell has one. The service is the example fleet's rag-service
on the interpreter that runs this, without its requirements, which its benchmarks do not need.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pytest_py312.gate.benchmarks.jobs import BENCHMARK_SECONDS
from tests.benchmarks import benchmark_rig as rig

EXAMPLE = Path(__file__).parents[2] / "examples" / "suoke"
Timed = tuple[float, float]
"""Wall and processor seconds."""


def timed(work: Callable[[], object]) -> Timed:
    used, begin = _used(), time.monotonic()
    work()
    return time.monotonic() - begin, _used() - used


def _used() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def by_hand(folder: Path, python: Path, scratch: Path) -> None:
    argv = [str(python), "-m", "pytest", "-q", "--benchmark-only", f"--benchmark-max-time={BENCHMARK_SECONDS}"]
    argv += [f"--benchmark-json={scratch / 'by-hand.json'}", "-p", "no:cacheprovider"]
    subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "src"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def print_times(name: str, times: list[Timed], hand: list[Timed]) -> None:
    for what, place in (("wall", 0), ("processor", 1)):
        least = min(time_taken[place] for time_taken in times)
        middle = statistics.median(time_taken[place] for time_taken in times)
        more = statistics.median(
            time_taken[place] - other[place] for time_taken, other in zip(times, hand, strict=True)
        )
        figures = f"{least * 1000:7.0f} ms least {middle * 1000:7.0f} ms median {more * 1000:+7.0f} ms beside by hand"
        print(f"{name:<32} {what:<10} {figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--docker", action="store_true", help="in a container as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        root = work / "fleet"
        path = "services/rag-service"
        shutil.copytree(EXAMPLE / path, root / path)
        runners = {"a sample, local": rig.local(work)}
        if options.docker:
            runners["a sample, docker"] = rig.docker(work, root)
        sessions = {
            name: rig.benchmark_session(runner, root, path, folder) for name, (runner, folder) in runners.items()
        }
        if options.docker:
            docker, folder = runners["a sample, docker"]
            each = rig.benchmark_session(docker, root, path, folder, keep_container=False)
            sessions["a sample, docker, own container"] = each
        python = work / "cache/envs/local/bin/python"
        runs: dict[str, Callable[[], object]] = {
            "by hand": lambda: by_hand(root / path, python, work),
            **{name: partial(session.tests, (), 0) for name, session in sessions.items()},
        }
        times: dict[str, list[Timed]] = {name: [] for name in runs}
        for number in range(options.rounds + 1):
            for name, run in runs.items():
                taken = timed(run)
                if number:  # the first writes byte code
                    times[name].append(taken)
        for name in runs:
            print_times(name, times[name], times["by hand"])
        for session in sessions.values():
            session.close()
        for runner, _ in runners.values():
            runner.close()


if __name__ == "__main__":
    main()
