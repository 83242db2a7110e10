"""What the probe measures for benchmarks: standard library only, for Python 3.8 and later. It lies beside probe.py.

A request has ``measure``:

* ``tests``: the service's own pytest-benchmark tests (``select``: only these), each for about ``seconds``;
* ``imports``: how long importing ``module`` takes in a fresh interpreter, and its peak memory, ``repeats`` times;
* ``suite``: how long the suite takes, how long it keeps a core busy, its peak memory, and the first two of each of its
  tests (``watch``: only these, else those that are worth it).

``core``: the core to stay on, or true for any. What was measured is told in records ``measured`` (name, value, unit),
how in one record ``conditions``.
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

WAITED = "/proc/self/schedstat"
"""Of the main thread, in nanoseconds: time on a core, time of waiting for one; and how often it was given one."""


def elapsed_clock() -> Callable[[], float]:
    """A clock of seconds that stands still while this process could run and others have its core.

    So load on the machine is left out as far as the kernel knows of it, and waiting for something (a disk, a sleep, an
    answer) is not. Where the kernel does not tell, it is the plain clock.
    """
    now, pread = time.perf_counter, os.pread
    try:
        descriptor = os.open(WAITED, os.O_RDONLY)
        pread(descriptor, 64, 0).split()[1]
    except (OSError, IndexError):
        return now

    def waited() -> bytes:
        return pread(descriptor, 64, 0).split()[1]

    def elapsed() -> float:
        before = waited()
        while True:
            moment = now()
            after = waited()
            if before == after:  # else the core was lost in between, and the two figures are not of one moment
                return moment - int(after) * 1e-9
            before = after

    return elapsed


def stay_on_one_core(wanted: object = None) -> str:
    """Pin this process and its children to the core that is ``wanted``, or else to the last of those that it may use;
    which, or empty where that is not allowed."""
    try:
        allowed = os.sched_getaffinity(0)
        core = wanted if type(wanted) is int and wanted in allowed else max(allowed)
        os.sched_setaffinity(0, {core})
    except (AttributeError, OSError, ValueError):
        return ""
    return str(core)


def conditions(core: str) -> dict[str, str]:
    """How it is measured here."""
    libc = " ".join(platform.libc_ver())
    return {
        "python": platform.python_version(),
        "compiler": platform.python_compiler(),
        "options": " ".join(sorted((sysconfig.get_config_var("CONFIG_ARGS") or "").split())),
        "libc": libc.strip(),
        "processor": _first_line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "governor": _text("/sys/devices/system/cpu/cpu%s/cpufreq/scaling_governor" % (core or "0")),
        "core": core,
        "clock": "elapsed" if os.path.exists(WAITED) else "wall",
        "garbage collection": "on" if gc.isenabled() else "off",
    }


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(200).strip()
    except OSError:
        return ""


def _first_line(path: str, name: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""


def run(request: Request, records: Any, probe: Any) -> int:
    """Measure what is asked. ``probe`` is the probe's module."""
    wanted = request.get("core")
    core = "" if wanted is None or wanted is False else stay_on_one_core(wanted)
    service = probe.copy_source(request)
    probe.prepare_paths(request, service)
    if not probe.run_prepare(request, records):
        return 1
    records.add("conditions", values=conditions(core))
    measures = {"tests": measure_tests, "imports": measure_imports, "suite": measure_suite}
    return measures[request["measure"]](request, records, probe)


# ---- the service's own benchmarks


class BenchmarkRecorder:
    """A pytest plugin that writes down what pytest-benchmark has measured."""

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


class MachineKnown:
    """Answers in pytest-benchmark's place what takes it a second each to find out, and takes its figures.

    Of the rounds of a process the fastest counts. Others on the same core's other thread make rounds take up to twice
    as long, for as long as they run: how many of a process's rounds that hits is luck, and so are mean and median.
    """

    def __init__(self, records: Any, failed: set[str], clock: Callable[[], float]) -> None:
        self._records = records
        self._failed = failed
        self._clock = clock

    def pytest_collection_finish(self) -> None:
        """How fine the clock is; it is asked for the length of a round that is too short to be told."""
        from pytest_benchmark.fixture import BenchmarkFixture

        # an attribute of its own, in 3.4 to 5.2; one that has it no more, or under another name, takes its second
        known = getattr(BenchmarkFixture, "_precisions", None)
        precision = precision_of(self._clock)
        if isinstance(known, dict) and precision:
            known.setdefault(self._clock, precision)

    def pytest_benchmark_generate_machine_info(self) -> dict[str, str]:
        return {"python_version": platform.python_version()}

    def pytest_benchmark_generate_commit_info(self) -> dict[str, str]:
        return {}

    def pytest_benchmark_update_json(self, output_json: Mapping[str, Any]) -> None:
        for found in output_json["benchmarks"]:
            if found["fullname"] in self._failed:
                continue
            self._records.add("measured", name=found["fullname"], value=found["stats"]["min"], unit="s")


def precision_of(clock: Callable[[], float]) -> float:
    """The least seconds that a clock has told between two looks, of a thousand times; 0 where it stood still."""
    gaps = [-(clock() - clock()) for _ in range(1000)]
    return min((gap for gap in gaps if gap > 0), default=0.0)


def _give_clock(clock: Callable[[], float]) -> str:
    """Make the clock importable for pytest-benchmark, and return its dotted name."""
    module = types.ModuleType("py312_clock")
    if clock is time.perf_counter:
        return "time.perf_counter"
    clock.__module__ = module.__name__  # some versions look it up again where it says that it comes from
    module.elapsed = clock  # type: ignore[attr-defined]  # made here
    sys.modules[module.__name__] = module
    return "py312_clock.elapsed"


def measure_tests(request: Request, records: Any, probe: Any) -> int:
    from importlib.metadata import version

    import pytest

    for what in ("machine", "commit"):  # pytest-benchmark is registered later, and would be asked first
        pytest.hookimpl(tryfirst=True)(getattr(MachineKnown, "pytest_benchmark_generate_%s_info" % what))
    # not imported: pytest warns of plugins that were before it could rewrite their asserts
    records.add("tools", versions={"pytest": pytest.__version__, "pytest-benchmark": version("pytest-benchmark")})
    arguments = ["--import-mode=" + request["import_mode"]] if request.get("import_mode") else []
    arguments += request["arguments"]
    if request.get("select"):
        arguments = [item for item in arguments if item.startswith("-") or not os.path.exists(item.split("::")[0])]
    file = os.path.join(request["scratch"], "benchmarks.json")
    clock = elapsed_clock()
    arguments += [
        "--benchmark-enable", "--benchmark-only", "--benchmark-json=" + file, "--benchmark-timer=" + _give_clock(clock),
        "--benchmark-max-time=%s" % request["seconds"], "--benchmark-min-time=0.001", "--benchmark-warmup=on",
        "--benchmark-warmup-iterations=10", "--maxfail=0", "-q", *_without_disturbers(),
    ]  # fmt: skip
    if request.get("select"):
        arguments += ["--", *request["select"]]
    sys.argv = ["pytest", *arguments]
    recorder = BenchmarkRecorder(records, probe.tail)
    code = int(pytest.main(arguments, plugins=[recorder, MachineKnown(records, recorder.failed, clock)]))
    records.add("exit", code=code)
    return code


def _without_disturbers() -> list[str]:
    """Options that turn off what would measure itself, where it is installed."""
    from importlib.util import find_spec

    known = (("xdist", "-n0"), ("pytest_cov", "--no-cov"))
    return [option for module, option in known if find_spec(module) is not None]


# ---- what every service has

_IMPORT = """
import json, os, sys, time
name = sys.argv[1]
def waited():
    try:
        with open("/proc/self/schedstat") as file:
            return int(file.read().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0
sys.path[0:1] = json.loads(sys.argv[2])
before, start = waited(), time.perf_counter()
__import__(name)
seconds = time.perf_counter() - start - (waited() - before)
peak = 0  # not from getrusage: that remembers the size of the process that started this one
try:
    with open("/proc/self/status") as file:
        peak = next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")), 0)
except OSError:
    pass
with open(sys.argv[3], "w") as file:
    json.dump([seconds, peak], file)
os._exit(0)
"""


def measure_imports(request: Request, records: Any, probe: Any) -> int:
    """The median over several fresh interpreters."""
    import subprocess
    from statistics import median

    answer = os.path.join(request["scratch"], "import.json")
    seconds, peaks = [], []
    for _ in range(request["repeats"]):
        with suppress(OSError):
            os.remove(answer)
        argv = [sys.executable, "-c", _IMPORT, request["module"], json.dumps(sys.path[: request["ahead"]]), answer]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        try:
            with open(answer, encoding="utf-8") as file:
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


WORTH_IT = 0.01
"""A test that takes fewer seconds is not told of by itself: what pytest does around it takes as long."""


class Stopwatched:
    """Records that also tell how long each test takes: what lies between the record that it runs and that of its end.

    Of a suite that tells of its tests when all is over there is only what it says itself.
    """

    def __init__(self, records: Any, elapsed: Callable[[], float], watch: list[str] | None) -> None:
        self._records = records
        self._elapsed = elapsed
        self._watch = None if watch is None else set(watch)
        self._begun: dict[str, tuple[float, float]] = {}

    def add(self, event: str, **fields: Any) -> None:
        if event == "test" and fields["outcome"] == "passed":
            self._tell(fields["id"], fields["seconds"])
        self._records.add(event, **fields)
        if event == "running":
            self._begun[fields["id"]] = self._elapsed(), busy()

    def _tell(self, test: str, said: float) -> None:
        begun, processor = self._begun.pop(test, (None, 0.0))
        taken = said if begun is None else self._elapsed() - begun
        used = 0.0 if begun is None else busy() - processor
        if (taken >= WORTH_IT) if self._watch is None else test in self._watch:
            self._records.add("measured", name="time of " + test, value=taken, unit="s")
            self._records.add("measured", name="processor time of " + test, value=used, unit="s")


def measure_suite(request: Request, records: Any, probe: Any) -> int:
    """How long all of the suite takes, without its benchmarks, how long it keeps a core busy, and its peak memory."""
    from importlib.util import find_spec

    runners = {"pytest": probe.run_pytest, "unittest": probe.run_unittest, "command": probe.run_command}
    if request["runner"] == "pytest":
        skipped = ["--benchmark-skip"] if find_spec("pytest_benchmark") is not None else []
        request = {**request, "arguments": [*request["arguments"], *_without_disturbers(), *skipped]}
    elapsed = elapsed_clock()
    before, used = elapsed(), busy()
    code = int(runners[request["runner"]](request, Stopwatched(records, elapsed, request.get("watch"))))
    records.add("measured", name="suite", value=elapsed() - before, unit="s")
    records.add("measured", name="processor", value=busy() - used, unit="s")
    peak = _largest_child() if request["runner"] == "command" else _peak()
    if peak:
        records.add("measured", name="peak", value=peak, unit="B")
    return code


def busy() -> float:
    """Seconds of a core that this process and those of its children that have ended have used."""
    try:
        import resource
    except ImportError:  # on Windows, where nobody knows what children have used
        return time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _peak() -> int:
    """The most bytes of memory that this process has had, or 0. Not from getrusage: that remembers the size of the
    process that started this one."""
    said = _first_line("/proc/self/status", "VmHWM").split()
    return int(said[0]) * 1024 if said else 0


def _largest_child() -> int:
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
