"""How long the items of a run are expected to take: as recorded, else by what is known without running."""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from pytest_py312.core.model.fleet import Service
from pytest_py312.gate.checks.check import CheckTraits
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.gate.sharding.durations import Durations
from pytest_py312.gate.sharding.packing import WeighedItem, item_key
from pytest_py312.repository.tree import Tree, relative_to

_ESTIMATES = {"versions": 200, "source": 1_000, "dependencies": 4_000, "libraries": 3_000, "image": 90_000}
_DEFAULT_ESTIMATE = 5_000
_PER_REQUIREMENT_FILE = 2_000
_SUITE_START, _PER_TEST_FILE = 3_000, 1_000
_SCAN_DEPTH = 8
_TEST_FILES = ("test_*.py", "*_test.py")
_BENCHMARK_ROUNDS = 2.5
"""Budgets that the measurements of a service take: its own benchmarks one, import, start and suite half of it each."""

CountTestFiles = Callable[[Service], int]


def count_test_files(tree: Tree, service: Service) -> int:
    """Return the number of files by whose names pytest finds tests, without those of services inside."""
    scan = tree.scan_folder(service.path, depth=_SCAN_DEPTH)
    files = scan.without(relative_to(service.path, service.nested_folders)).files
    return sum(any(fnmatchcase(file.rpartition("/")[2], pattern) for pattern in _TEST_FILES) for file in files)


def weighed_items(
    tasks: Sequence[CheckTask], durations: Durations, count_test_files: CountTestFiles
) -> tuple[WeighedItem, ...]:
    """Return the items of ``tasks`` with their expected times.

    Estimates are scaled to the machine that the recorded durations are of.

    :param count_test_files: only called if something is not recorded.
    """
    is_complete = all(item_key(task) in durations for task in tasks)
    services = {} if is_complete else {task.cell.service.name: task.cell.service for task in tasks}
    test_files = {name: count_test_files(service) for name, service in services.items()}
    estimates = {item_key(task): _estimate(task, test_files.get(task.cell.service.name, 1)) for task in tasks}
    numerator, denominator = _scale(estimates.items(), durations)
    return tuple(
        WeighedItem(
            service=key[0],
            name=key[1],
            weight=max(
                1,
                round(durations[key] * 1000) if key in durations else estimates[key] * numerator // denominator,
            ),
        )
        for key in map(item_key, tasks)
    )


def _scale(estimates: Iterable[tuple[tuple[str, str], int]], durations: Durations) -> tuple[int, int]:
    """Return the recorded time of the known items, and the estimate of the same ones: integers, equal everywhere."""
    recorded, estimated = 0, 0
    for key, estimate in estimates:
        if key in durations:
            recorded += round(durations[key] * 1000)
            estimated += estimate
    return (recorded, estimated) if recorded and estimated else (1, 1)


def _estimate(task: CheckTask, test_files: int) -> int:
    """Return milliseconds, for a service that has ``test_files``."""
    service = task.cell.service
    if task.check.name == "suite":
        return _SUITE_START + _PER_TEST_FILE * test_files if service.suite is not None else 1
    if CheckTraits.of(task.check).comes_last:
        return round(service.settings.benchmark.budget * _BENCHMARK_ROUNDS * 1000)
    estimate = _ESTIMATES.get(task.check.name, _DEFAULT_ESTIMATE)
    if task.check.name == "dependencies":
        estimate += _PER_REQUIREMENT_FILE * (len(service.requirements) + len(service.test_requirements))
    return estimate
