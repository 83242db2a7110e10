"""The probe's measurements for benchmarks: standard library only, for Python 3.8 and later. Used by probe.py.

A request has ``measure``:

* ``tests``: the service's own pytest-benchmark tests (``select``: only these), each for about ``seconds``;
* ``imports``: the time of importing ``module`` in a fresh interpreter, and its peak memory, ``repeats`` times;
* ``suite``: time, processor time and peak memory of the suite, and the two times of each of its tests (``watch``: only
  these, otherwise those above a minimal duration).

``core``: the core to run on, or true for any. Results are records ``measured`` (name, value, unit), and one record
``conditions`` describes the machine.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import sysconfig
import time
import types
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import pytest

    Request = Mapping[str, Any]

SCHEDSTAT = "/proc/self/schedstat"
"""The main thread's time on a core and time waiting for a core, in nanoseconds, and how often it got one."""


def elapsed_clock() -> Callable[[], float]:
    """Return a clock in seconds that stops while this process is ready to run but has no core.

    So it excludes load by other processes as far as the kernel accounts for it, but includes waiting for a disk, a
    sleep or a response. Without the kernel's figures it is the plain clock.
    """
    now, pread = time.perf_counter, os.pread
    try:
        descriptor = os.open(SCHEDSTAT, os.O_RDONLY)
        pread(descriptor, 64, 0).split()[1]
    except (OSError, IndexError):
        return now

    def waited() -> bytes:
        return pread(descriptor, 64, 0).split()[1]

    def elapsed() -> float:
        waited_before = waited()
        while True:
            timestamp = now()
            waited_after = waited()
            if (
                waited_before == waited_after
            ):  # otherwise the core was lost in between, and the two figures do not belong together
                return timestamp - int(waited_after) * 1e-9
            waited_before = waited_after

    return elapsed


def stay_on_one_core(requested: object = None) -> str:
    """Pin this process and its children to a core: the ``requested`` one if allowed, else the last allowed one.

    Return the core, or an empty text if pinning is not allowed.
    """
    try:
        allowed = os.sched_getaffinity(0)
        core = requested if type(requested) is int and requested in allowed else max(allowed)
        os.sched_setaffinity(0, {core})
    except (AttributeError, OSError, ValueError):
        return ""
    return str(core)


def measurement_conditions(core: str) -> dict[str, str]:
    """Return the properties of this interpreter and machine that affect measurements."""
    libc = " ".join(platform.libc_ver())
    return {
        "python": platform.python_version(),
        "compiler": platform.python_compiler(),
        "options": " ".join(sorted((sysconfig.get_config_var("CONFIG_ARGS") or "").split())),
        "libc": libc.strip(),
        "processor": _first_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "governor": _read_text("/sys/devices/system/cpu/cpu%s/cpufreq/scaling_governor" % (core or "0")),
        "core": core,
        "clock": "elapsed" if os.path.exists(SCHEDSTAT) else "wall",
        "garbage collection": "on" if gc.isenabled() else "off",
    }


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(200).strip()
    except OSError:
        return ""


def _first_value(path: str, name: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""


def run(request: Request, records: Any, probe: Any) -> int:
    """Measure what the request says. ``probe`` is the module of probe.py."""
    requested_core = request.get("core")
    core = "" if requested_core is None or requested_core is False else stay_on_one_core(requested_core)
    service = probe.copy_source(request)
    probe.prepare_paths(request, service)
    if not probe.run_prepare(request, records, service):
        return 1
    records.add("conditions", values=measurement_conditions(core))
    measures = {"tests": measure_tests, "imports": measure_imports, "suite": measure_suite}
    return measures[request["measure"]](request, records, probe)


# ---- the service's own benchmarks


class BenchmarkRecorder:
    """A pytest plugin that records thresholds and failures of benchmarks."""

    def __init__(self, records: Any, tail: Callable[[str], str]) -> None:
        self._records = records
        self._tail = tail
        self.failed: set[str] = set()

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "py312_benchmark(threshold): the change of this benchmark that counts")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            marker = item.get_closest_marker("py312_benchmark")
            if marker is not None and "threshold" in marker.kwargs:
                self._records.add("threshold", name=item.nodeid, value=marker.kwargs["threshold"])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)
            self._records.add("failed", name=report.nodeid, detail=self._tail(report.longreprtext))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._records.add("failed", name=report.nodeid or ".", detail=self._tail(report.longreprtext))


class PresetMachineInfo:
    """Saves pytest-benchmark its slow queries of the machine (a second each), and records its results.

    The fastest round of a process counts. Other processes on the sibling hyperthread make rounds take up to twice as
    long while they run. How many rounds that affects is random, and so are mean and median.
    """

    def __init__(self, records: Any, failed: set[str], clock: Callable[[], float]) -> None:
        self._records = records
        self._failed = failed
        self._clock = clock

    def pytest_collection_finish(self) -> None:
        """Preset the clock's precision, from which pytest-benchmark derives the minimal length of a round."""
        from pytest_benchmark.fixture import BenchmarkFixture

        # private, in 3.4 to 5.2; a version without it measures the precision itself, which takes a second
        precisions = getattr(BenchmarkFixture, "_precisions", None)
        precision = clock_precision(self._clock)
        if isinstance(precisions, dict) and precision:
            precisions.setdefault(self._clock, precision)

    def pytest_benchmark_generate_machine_info(self) -> dict[str, str]:
        return {"python_version": platform.python_version()}

    def pytest_benchmark_generate_commit_info(self) -> dict[str, str]:
        return {}

    def pytest_benchmark_update_json(self, output_json: Mapping[str, Any]) -> None:
        for benchmark in output_json["benchmarks"]:
            if benchmark["fullname"] in self._failed:
                continue
            self._records.add("measured", name=benchmark["fullname"], value=benchmark["stats"]["min"], unit="s")


def clock_precision(clock: Callable[[], float]) -> float:
    """Return the smallest positive difference of two consecutive readings of a clock, in seconds; 0 if none."""
    gaps = [-(clock() - clock()) for _ in range(1000)]
    return min((gap for gap in gaps if gap > 0), default=0.0)


def _register_clock(clock: Callable[[], float]) -> str:
    """Make the clock importable for pytest-benchmark, and return its dotted name."""
    module = types.ModuleType("py312_clock")
    if clock is time.perf_counter:
        return "time.perf_counter"
    clock.__module__ = module.__name__  # some versions import it again by its module name
    module.elapsed = clock  # type: ignore[attr-defined]  # made here
    sys.modules[module.__name__] = module
    return "py312_clock.elapsed"


def measure_tests(request: Request, records: Any, probe: Any) -> int:
    from importlib.metadata import version

    import pytest

    for what in ("machine", "commit"):  # pytest-benchmark registers later, so its hooks would run first
        pytest.hookimpl(tryfirst=True)(getattr(PresetMachineInfo, "pytest_benchmark_generate_%s_info" % what))
    # by metadata: pytest warns about plugins that were imported before it could rewrite their asserts
    records.add("tools", versions={"pytest": pytest.__version__, "pytest-benchmark": version("pytest-benchmark")})
    arguments = ["--import-mode=" + request["import_mode"]] if request.get("import_mode") else []
    arguments += request["arguments"]
    if request.get("select"):
        arguments = [item for item in arguments if item.startswith("-") or not os.path.exists(item.split("::")[0])]
    file = os.path.join(request["scratch"], "benchmarks.json")
    clock = elapsed_clock()
    arguments += [
        "--benchmark-enable", "--benchmark-only", "--benchmark-json=" + file,
        "--benchmark-timer=" + _register_clock(clock), "--benchmark-max-time=%s" % request["seconds"],
        "--benchmark-min-time=0.001", "--benchmark-warmup=on", "--benchmark-warmup-iterations=10", "--maxfail=0", "-q",
        *_options_disabling_plugins(),
    ]  # fmt: skip
    if request.get("select"):
        arguments += ["--", *request["select"]]
    sys.argv = ["pytest", *arguments]
    recorder = BenchmarkRecorder(records, probe.tail)
    code = int(pytest.main(arguments, plugins=[recorder, PresetMachineInfo(records, recorder.failed, clock)]))
    records.add("exit", code=code)
    return code


def _options_disabling_plugins() -> list[str]:
    """Return options that turn off installed plugins that would distort measurements."""
    from importlib.util import find_spec

    plugins = (("xdist", "-n0"), ("pytest_cov", "--no-cov"))
    return [option for module, option in plugins if find_spec(module) is not None]


# ---- what every service has

_IMPORT_SCRIPT = """
import json, os, sys, time
name, ahead, result_file = sys.argv[1:]
del sys.argv[1:]
def waited():
    try:
        with open("/proc/self/schedstat") as file:
            return int(file.read().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0
sys.path[0:1] = json.loads(ahead)
waited_before, start = waited(), time.perf_counter()
__import__(name)
seconds = time.perf_counter() - start - (waited() - waited_before)
peak = 0  # not from getrusage: its maximum includes the size of the parent process before exec
try:
    with open("/proc/self/status") as file:
        peak = next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")), 0)
except OSError:
    pass
with open(result_file, "w") as file:
    json.dump([seconds, peak], file)
os._exit(0)
"""


def measure_imports(request: Request, records: Any, probe: Any) -> int:
    """Measure the import of a module: the median over several fresh interpreters."""
    import subprocess
    from statistics import median

    result_file = os.path.join(request["scratch"], "import.json")
    seconds, peaks = [], []
    for _ in range(request["repeats"]):
        with suppress(OSError):
            os.remove(result_file)
        argv = [
            sys.executable,
            "-c",
            _IMPORT_SCRIPT,
            request["module"],
            json.dumps(sys.path[: request["ahead"]]),
            result_file,
        ]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        try:
            with open(result_file, encoding="utf-8") as file:
                taken, peak = json.load(file)
        except (OSError, ValueError):
            what = "%s cannot be imported" % request["module"]
            records.add("trouble", what=what, detail=probe.tail(done.stdout.decode("utf-8", "replace")))
            return 1
        seconds.append(taken)
        peaks.append(peak)
    records.add("measured", name="import", value=median(seconds), unit="s")
    if all(peaks):
        records.add("measured", name="memory", value=median(peaks), unit="B")
    return 0


MIN_REPORTED_SECONDS = 0.01
"""Seconds; faster tests are not reported by themselves, as pytest's own work around them takes as long."""


class TimedRecords:
    """Records with the time of each test: from its record ``running`` to its record ``test``.

    A suite that reports its tests only at the end has no such records; then its own times are used.
    """

    def __init__(self, records: Any, elapsed: Callable[[], float], watch: list[str] | None) -> None:
        self._records = records
        self._elapsed = elapsed
        self._watch = None if watch is None else set(watch)
        self._begun: dict[str, tuple[float, float]] = {}

    def add(self, event: str, **fields: Any) -> None:
        if event == "test" and fields["outcome"] == "passed":
            self._add_times(fields["id"], fields["seconds"])
        self._records.add(event, **fields)
        if event == "running":
            self._begun[fields["id"]] = self._elapsed(), cpu_seconds()

    def _add_times(self, test: str, reported_seconds: float) -> None:
        started, cpu_started = self._begun.pop(test, (None, 0.0))
        taken = reported_seconds if started is None else self._elapsed() - started
        cpu_used = 0.0 if started is None else cpu_seconds() - cpu_started
        if (taken >= MIN_REPORTED_SECONDS) if self._watch is None else test in self._watch:
            self._records.add("measured", name="time of " + test, value=taken, unit="s")
            self._records.add("measured", name="processor time of " + test, value=cpu_used, unit="s")


def measure_suite(request: Request, records: Any, probe: Any) -> int:
    """Measure the suite without its benchmarks: time, processor time and peak memory."""
    from importlib.util import find_spec

    runners = {"pytest": probe.run_pytest, "unittest": probe.run_unittest, "command": probe.run_command}
    if request["runner"] == "pytest":
        skipped = ["--benchmark-skip"] if find_spec("pytest_benchmark") is not None else []
        request = {**request, "arguments": [*request["arguments"], *_options_disabling_plugins(), *skipped]}
    elapsed = elapsed_clock()
    started, cpu_started = elapsed(), cpu_seconds()
    code = int(runners[request["runner"]](request, TimedRecords(records, elapsed, request.get("watch"))))
    records.add("measured", name="suite", value=elapsed() - started, unit="s")
    records.add("measured", name="processor", value=cpu_seconds() - cpu_started, unit="s")
    peak = _largest_child_memory() if request["runner"] == "command" else _peak_memory()
    if peak:
        records.add("measured", name="peak", value=peak, unit="B")
    return code


def cpu_seconds() -> float:
    """Return the processor time of this process and of its ended children, in seconds."""
    try:
        import resource
    except ImportError:  # Windows, where the time of children is unknown
        return time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _peak_memory() -> int:
    """Return the peak memory of this process in bytes, or 0.

    Not from getrusage: its maximum includes the size of the parent process before exec.
    """
    fields = _first_value("/proc/self/status", "VmHWM").split()
    return int(fields[0]) * 1024 if fields else 0


def _largest_child_memory() -> int:
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
