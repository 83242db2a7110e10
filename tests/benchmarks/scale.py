"""How a run is divided and distributed beyond what one machine can show. Simulated, with reproducible seeds.

    python -m tests.benchmarks.scale packing [--sets 300] [--seed 1]
    python -m tests.benchmarks.scale cluster [--services 10000] [--workers 1000] [--seed 1]

``packing`` divides sets of recorded durations into as many parts as ``py312 emit --shards auto`` does, and into 2, 4, 8
and 16 where there are at least four services for each. A service takes as long as a log-normal, a Pareto or a bimodal
distribution says, between a second and an hour. It compares the longest part with ``max(total / parts, longest
service)``, which no division can be below, and with a closer bound where that is exceeded.

``cluster`` runs the coordinator as it is (``ClusterAssembly`` with its dispatcher) on four Pythons of each service. The
cluster is played: a worker takes the waiting job of the highest priority, as Dask's scheduler does, and ends it after
its time on a clock of the simulation. So the makespan says nothing about Dask's own delays; processor time and memory
are those of the coordinator, the play included.
"""

import argparse
import heapq
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.cluster import assembly as assembling
from pytest_py312.gate.cluster.assembly import ClusterAssembly
from pytest_py312.gate.cluster.jobs import ServiceAnswer, ServiceJob, from_text, to_text
from pytest_py312.gate.cluster.tree_archive import TreeArchive
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.gate.sharding.documents import tool_identity
from pytest_py312.gate.sharding.packing import WeighedItem, divide, item_key, loads_of
from pytest_py312.gate.sharding.workflows import parts_for
from tests.support.fakes import build_of, cell_of, service
from tests.unit.gate.cluster.worker_facts import facts_of

PYTHONS = ("3.9", "3.10", "3.11", "3.12")
SHORTEST, LONGEST = 1.0, 3600.0
MAX_PARTS = 256
FIXED_PARTS = (2, 4, 8, 16)
SERVICES_PER_PART = 4
BAR = 1.1


def draw_durations(count: int, kind: str, random_: random.Random) -> list[float]:
    """Return seconds of ``count`` services."""
    draw: Mapping[str, Callable[[], float]] = {
        "log-normal": lambda: random_.lognormvariate(3.5, 1.2),
        "Pareto": lambda: 10 * random_.paretovariate(1.5),
        "bimodal": lambda: random_.gauss(20, 5) if random_.random() < 0.9 else random_.gauss(600, 120),
    }
    return [min(max(draw[kind](), SHORTEST), LONGEST) for _ in range(count)]


# ---- packing


def lower_bound(weights: list[int], parts: int) -> float:
    """Return what the longest part of no division can be below: of ``k * parts + 1`` services, one has ``k + 1``."""
    ordered = sorted(weights, reverse=True)
    crowded = [sum(ordered[count * parts - count : count * parts + 1]) for count in range(1, len(ordered) // parts + 1)]
    return max(sum(weights) / parts, ordered[0], *(total for total in crowded if total))


def packing(sets: int, seed: int) -> str:
    """Return the ratios of the longest part to the bound."""
    random_ = random.Random(seed)
    ratios: list[tuple[float, float, str]] = []
    for number in range(sets):
        kind = ("log-normal", "Pareto", "bimodal")[number % 3]
        durations = draw_durations(random_.randint(20, 400), kind, random_)
        items = [
            WeighedItem(service=f"s{index}", name="suite", weight=round(seconds * 1000))
            for index, seconds in enumerate(durations)
        ]
        recorded = {(item.service, item.name): item.weight / 1000 for item in items}
        numbers = {parts_for(recorded, MAX_PARTS), *(n for n in FIXED_PARTS if n * SERVICES_PER_PART <= len(items))}
        for parts in sorted(numbers):
            weights = [item.weight for item in items]
            longest = max(loads_of(items, divide(items, parts), parts))
            ratio, best = longest / max(sum(weights) / parts, *weights), longest / lower_bound(weights, parts)
            ratios.append((ratio, best, f"{kind}, {len(items)} services in {parts} parts"))
    ratios.sort()
    above = [
        f"  {ratio:.3f}, {best:.3f} of what is possible at best: {text}" for ratio, best, text in ratios if ratio > BAR
    ]
    lines = [
        f"{sets} sets, {len(ratios)} divisions: longest part / bound: median {ratios[len(ratios) // 2][0]:.4f}, "
        f"99 % {ratios[len(ratios) * 99 // 100][0]:.4f}, at most {ratios[-1][0]:.4f}",
        f"above {BAR}: {len(above)}",
        *above,
    ]
    return "\n".join(lines)


# ---- a cluster


@dataclass(kw_only=True, eq=False)
class SimulatedFuture:
    job: ServiceJob
    on_end: Callable[[Any], None]


@dataclass(kw_only=True)
class SimulatedCluster:
    """A connection to a cluster whose workers need no time of this machine."""

    addresses: tuple[str, ...]
    waiting: list[tuple[int, int, SimulatedFuture]] = field(default_factory=list)
    notify_start: Callable[[Mapping[str, Any]], None] = lambda message: None
    is_alive: bool = True

    def workers(self) -> list[str]:
        return list(self.addresses)

    def run(self, function: Callable[..., Any], *arguments: object, workers: Collection[str]) -> Mapping[str, Any]:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        facts = facts_of(*PYTHONS, tool=tool_identity(), python=python, clock=clock.timestamp())
        return dict.fromkeys(workers, to_text(facts) if function.__name__ == "describe_worker" else "")

    def subscribe(self, topic: str, handler: Callable[[Mapping[str, Any]], None]) -> None:
        self.notify_start = handler

    def submit(self, job: str, key: str, *, priority: int, on_end: Callable[[Any], None], **_: Any) -> SimulatedFuture:
        future = SimulatedFuture(job=from_text(ServiceJob, job), on_end=on_end)
        heapq.heappush(self.waiting, (-priority, len(self.waiting), future))
        return future

    def answer(self, future: SimulatedFuture) -> str:
        outcomes = [
            Outcome.from_findings(service=name, interpreter=interpreter, check=check, findings=[])
            for name, interpreter, check in future.job.items
        ]
        results = [CheckResult(outcome=outcome) for outcome in outcomes]
        builds = tuple(map(build_of, PYTHONS))
        return to_text(ServiceAnswer(results=tuple(results), builds=builds, runner="local", worker="w"))

    def cancel(self, futures: Collection[Any]) -> None:
        """Nothing runs."""

    def close(self) -> None:
        self.is_alive = False

    def play(self, seconds: Mapping[str, float]) -> float:
        """Run all waiting jobs, and return when the last one has ended."""
        free = [(0.0, address) for address in self.addresses]
        ended = 0.0
        while self.waiting:
            _, _, future = heapq.heappop(self.waiting)
            at, address = free[0]
            end = at + seconds[future.job.service]
            heapq.heapreplace(free, (end, address))
            self.notify_start({"service": future.job.service, "measures": future.job.measures, "worker": address})
            future.on_end(future)
            ended = max(ended, end)
        return ended


def cluster(services: int, workers: int, seed: int) -> str:
    """Return makespan, processor time and memory of a run."""
    durations = draw_durations(services, "log-normal", random.Random(seed))
    names = [f"s{number:05}" for number in range(services)]
    tasks = [
        CheckTask(cell=cell_of(python, service(name)), check=check)
        for name in names
        for python in PYTHONS
        for check in CHECKS
        if check.name in ("dependencies", "libraries", "suite")
    ]
    total = dict(zip(names, durations, strict=True))
    share = len(tasks) // services
    recorded = {item_key(task): total[task.cell.service.name] / share for task in tasks}
    connection = SimulatedCluster(addresses=tuple(f"w{number}" for number in range(workers)))
    with tempfile.TemporaryDirectory() as folder:
        options = SimpleNamespace(
            plan=Plan(root=Path(folder)), runner="local", isolation="", cache_folder=Path(folder), jobs=1,
            reuse_outcomes=True, reuse_failures=True, resolver="", offline=False, cluster="tcp://simulated:8786",
            images=False, benchmark=False, known_findings=None,
        )  # fmt: skip
        assembly = ClusterAssembly(
            options, fleet=Fleet(services=()), known_findings={}, durations=recorded, show=lambda line: None
        )
        archive = TreeArchive(content=b"", digest="digest", files=0, folder=".")
        memory_at_start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall, processor = time.perf_counter(), time.process_time()
        with (
            mock.patch.object(assembling, "ClusterConnection", return_value=connection),
            mock.patch.object(assembling, "pack_tree", return_value=archive),
        ):
            assembly.prefetch(tasks)
        makespan = connection.play(total)
        passed = sum(assembly.run(task).outcome.status.value == "passed" for task in tasks)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        assembly.close()
    if passed != len(tasks):
        sys.exit(f"{passed} of {len(tasks)} items passed")
    cells, bound = services * len(PYTHONS), max(sum(durations) / workers, *durations)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        f"{services} services x {len(PYTHONS)} on {workers} workers: makespan {makespan:.0f} s, "
        f"{makespan / bound:.3f} of the bound\n"
        f"coordinator: {processor * 1000 / cells:.2f} ms of processor time for each cell ({wall:.1f} s in all), "
        f"{memory / 1024:.0f} MiB ({(memory - memory_at_start) / 1024:.0f} MiB for the run)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packed = commands.add_parser("packing")
    packed.add_argument("--sets", type=int, default=300)
    clustered = commands.add_parser("cluster")
    clustered.add_argument("--services", type=int, default=10_000)
    clustered.add_argument("--workers", type=int, default=1_000)
    for command in (packed, clustered):
        command.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.command == "packing":
        print(packing(options.sets, options.seed))
    else:
        print(cluster(options.services, options.workers, options.seed))


if __name__ == "__main__":
    main()
