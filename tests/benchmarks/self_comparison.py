"""Compares workloads with themselves repeatedly, and counts how often the verdict is slower or faster.

    python -m tests.benchmarks.self_comparison [--python PROGRAM] [--runs 20] [--slow-runs 10] [--load 1]
        [--simulated | --runner local | --runner docker] [--workloads 10]

Every run compares ten small workloads, measured together in fresh processes as a service's benchmarks are, on a core
chosen as for these, while ``--load`` further processes do nothing but compute. Three series:

* the same on both sides, threshold 10 %: slower and faster are false alarms;
* 15 % more work on one side, threshold 10 %: should be slower;
* 5 % more work on one side, threshold 3 %: must never be the same.

``--runner`` measures them as a service's own pytest-benchmark tests, in the cells of that runner and by its whole
way, on the version of Python that runs this. ``--simulated`` takes figures from a random source instead of processes:
many more of them, and nothing of this machine.
"""

import argparse
import atexit
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from pytest_py312.core.model.measurements import SpeedVerdict
from pytest_py312.core.model.plan import ServiceSettings
from pytest_py312.gate.benchmarks.cpu_cores import exclusive_core
from pytest_py312.gate.benchmarks.sampling import (
    BenchmarkResult,
    Measure,
    SamplingSettings,
    SidePair,
    measure_and_compare,
)
from pytest_py312.runners.agent import benchmark_probe
from tests.benchmarks import benchmark_rig as rig

WORKLOADS = ("numbers", "text", "objects", "json", "sort", "words", "floats", "calls", "copies", "errors")
UNITS = 20
"""Units of work on the baseline; 15 % more work are 23 of them."""

WORK = """
import copy, json, math
from functools import reduce

def numbers():
    total = 0
    for value in range(400):
        total += value * value % 7
def text():
    "".join(str(value) for value in range(100)).replace("1", "one").split("9")
class Thing:
    def __init__(self, value):
        self.value = value
def objects():
    sum(thing.value for thing in [Thing(value) for value in range(90)])
DATA = {str(value): [value, {"name": "x" * 5}] for value in range(12)}
def through_json():
    json.loads(json.dumps(DATA))
def sort():
    sorted((value * 7919 % 1009 for value in range(160)), key=lambda value: -value)

def words():
    found = {}
    for word in ("one two three four five six seven " * 9).split():
        found[word] = found.get(word, 0) + 1
def floats():
    math.fsum(math.sqrt(value) * 1.5 for value in range(220))
def calls():
    reduce(lambda one, other: one ^ other, map(abs, range(-200, 0)))
def copies():
    copy.deepcopy([{"a": [1, 2]}, {"b": (3, 4)}])
def errors():
    for value in range(60):
        try:
            DATA[value]
        except KeyError:
            pass

work = {
    "numbers": numbers, "text": text, "objects": objects, "json": through_json, "sort": sort, "words": words,
    "floats": floats, "calls": calls, "copies": copies, "errors": errors,
}
"""

CHILD = (
    """
import sys
sys.path.insert(0, sys.argv[1])
from benchmark_probe import elapsed_clock, stay_on_one_core
stay_on_one_core(int(sys.argv[3]))
elapsed = elapsed_clock()
"""
    + WORK
    + """
found = {}
for name in sys.argv[4:]:
    function, times, taken = work[name], int(sys.argv[2]), []
    function()
    for _ in range(30):
        begin = elapsed()
        for _ in range(times):
            function()
        taken.append(elapsed() - begin)
    found[name] = min(taken)
print(json.dumps(found))
"""
)

SUITE = (
    """
import os
import pytest
"""
    + WORK
    + """
@pytest.mark.benchmark(max_time=0.05)
@pytest.mark.parametrize("name", list(work))
def test_it(benchmark, name):
    function, times = work[name], int(os.environ["UNITS"])
    @benchmark
    def done():
        for _ in range(times):
            function()
"""
)
"""The same workloads as a service's own benchmarks."""
PATH = "services/workloads"
TEST = "tests/test_work.py::test_it[%s]"


@dataclass(kw_only=True)
class Series:
    """The results of all comparisons of one kind."""

    title: str
    verdicts: Counter[SpeedVerdict] = field(default_factory=Counter)
    pairs: list[int] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    def add(self, results: Mapping[str, BenchmarkResult]) -> None:
        for result in results.values():
            self.verdicts[result.test_result.verdict] += 1
            self.pairs.append(len(result.samples.pairs))
            self.ratios.append(result.test_result.ratio)

    def counts(self) -> str:
        return ", ".join(
            f"{verdict.value} {self.verdicts[verdict]}" for verdict in SpeedVerdict if self.verdicts[verdict]
        )

    def print_summary(self, seconds: float) -> None:
        low, high, middle = min(self.ratios), max(self.ratios), statistics.median(self.pairs)
        print(
            f"{self.title}: {sum(self.verdicts.values())} comparisons: {self.counts()}; pairs: median {middle:g}, most "
            f"{max(self.pairs)}; ratios {low:.3f} to {high:.3f}; {seconds:.0f} s",
            flush=True,
        )


def by_process(python: str, core: int, units: int) -> AbstractContextManager[Measure]:
    """Return a measure that runs workloads in a fresh process of ``python`` on one core."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    shutil.copy(benchmark_probe.__file__, folder)  # edits of the file meanwhile must not matter

    def measure(names: Sequence[str], seed: int) -> Mapping[str, float]:
        argv = [python, "-c", CHILD, folder, str(units), str(core), *names]
        done = subprocess.run(argv, env={"PYTHONHASHSEED": str(seed)}, stdout=subprocess.PIPE, check=True)
        figures: dict[str, float] = json.loads(done.stdout)
        return figures

    return nullcontext(measure)


@contextmanager
def by_runner(name: str) -> Iterator[Callable[[int, int], AbstractContextManager[Measure]]]:
    """Return a measure that runs workloads as benchmarks of a service, each side in its own session."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        suite = work / "fleet" / PATH / "tests/test_work.py"
        suite.parent.mkdir(parents=True)
        suite.write_text(SUITE, encoding="utf-8")
        local, environment = rig.local(work)
        runner, environment = rig.docker(work, work / "fleet") if name == "docker" else (local, environment)

        @contextmanager
        def of(core: int, units: int) -> Iterator[Measure]:
            settings = ServiceSettings(environment=(("UNITS", str(units)),))
            benchmark_session = rig.benchmark_session(
                runner, work / "fleet", PATH, environment, settings=settings, core=core
            )

            def measure(names: Sequence[str], seed: int) -> Mapping[str, float]:
                values = benchmark_session.tests([TEST % name for name in names], seed).values
                return {name: values[TEST % name] for name in names}

            try:
                yield measure
            finally:
                benchmark_session.close()

        try:
            yield of
        finally:
            runner.close()
            local.close()


def simulated(source: random.Random) -> Callable[[int, int], AbstractContextManager[Measure]]:
    """Return simulated values with 4 % of noise, an outlier in twenty, and a varying load."""
    level = [0.0]

    def of(core: int, units: int) -> AbstractContextManager[Measure]:
        def measure(names: Sequence[str], seed: int) -> Mapping[str, float]:
            level[0] = 0.8 * level[0] + source.gauss(0, 0.02)
            spikes = {name: source.expovariate(1.0) if source.random() < 0.05 else 0.0 for name in names}
            return {name: units * math.exp(source.gauss(0, 0.04) + level[0] + spikes[name]) for name in names}

        return nullcontext(measure)

    return of


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Run other processes that compete for the cores."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: sum(range(10000))"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def run(
    title: str,
    runs: int,
    more: float,
    threshold: float,
    measures: Callable[[int, int], AbstractContextManager[Measure]],
    budget: float,
    workloads: int,
) -> None:
    if not runs:
        return
    series = Series(title=title)
    begin = time.monotonic()
    for number in range(runs):
        with ExitStack() as stack:
            core = stack.enter_context(exclusive_core(Path(tempfile.gettempdir()) / "self-comparison", Event()))
            both = (UNITS, round(UNITS * (1 + more)))
            old, new = (stack.enter_context(measures(core or 0, units)) for units in both)
            settings = SamplingSettings(budget=budget, seed=number)
            series.add(
                measure_and_compare(
                    SidePair(baseline=old, target=new), dict.fromkeys(WORKLOADS[:workloads], threshold), settings
                )
            )
        print(f"{number + 1} of {runs}: {series.counts()}", file=sys.stderr, flush=True)
    series.print_summary(time.monotonic() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter on both sides")
    parser.add_argument("--runs", type=int, default=20, help="of the same with itself, ten comparisons each")
    parser.add_argument("--slow-runs", type=int, default=10, help="of each planted slowdown, ten comparisons each")
    parser.add_argument("--load", type=int, default=1, help="further processes that compute meanwhile")
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds for a round of ten (default: any time)")
    parser.add_argument("--workloads", type=int, default=len(WORKLOADS), help="so many of the ten")
    parser.add_argument("--runner", choices=("local", "docker"))
    parser.add_argument("--simulated", action="store_true")
    options = parser.parse_args()

    with ExitStack() as stack:
        if options.simulated:
            chosen = simulated(random.Random(312))
        elif options.runner:
            chosen = stack.enter_context(by_runner(options.runner))
        else:
            chosen = partial(by_process, options.python)
        stack.enter_context(load(0 if options.simulated else options.load))
        run("the same, threshold 10 %", options.runs, 0.0, 0.10, chosen, options.budget, options.workloads)
        run("15 % slower, threshold 10 %", options.slow_runs, 0.15, 0.10, chosen, options.budget, options.workloads)
        run("5 % slower, threshold 3 %", options.slow_runs, 0.05, 0.03, chosen, options.budget, options.workloads)


if __name__ == "__main__":
    main()
