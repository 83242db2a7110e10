"""The local runner: what a cell sees, limits, full disks and killed runs."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from uv import find_uv_bin

from pytest_py312.core import directories, process
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import ExitReason
from pytest_py312.dependencies.store.environments import EnvironmentStore
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import ProbeJob, ProbeResult
from tests.integration.small_disks import small_disk
from tests.support.child_pytest import PYTEST
from tests.support.fakes import service_tree

HERE = Interpreter(*sys.version_info[:2])


class Bench:
    """A local runner on a folder, and an empty environment of this interpreter."""

    def __init__(self, folder: Path, run_folder: Path | None = None) -> None:
        self.folder = folder
        self.runner = LocalRunner(
            cache=folder / "cache",
            uv=Path(find_uv_bin()),
            run_id=uuid4().hex,
            run_folder=run_folder or folder / "run",
            download_interpreters=False,
        )
        self.build: InterpreterBuild = self.runner.find_interpreter(HERE)
        environments = EnvironmentStore(cache=folder / "cache", runner=self.runner)
        self.environment = environments.create(environments.key_for([], self.build), [], self.build).folder

    def suite(self, code: str, **changes: Any) -> ProbeResult:
        """Run ``code`` as the suite of a service: a command that writes a JUnit file."""
        root = service_tree(self.folder / "repository", {"service/run.py": code})
        request = {
            "kind": "suite", "runner": "command", "arguments": ["python", "run.py"], "junit": "junit.xml",
            "service": "service",
        }  # fmt: skip
        job = ProbeJob(
            identifier="service-suite",
            build=self.build,
            environment=self.environment,
            root=root,
            folders=("service",),
            request=request,
        )
        return self.runner.run(replace(job, **changes))

    @property
    def left(self) -> list[Path]:
        return list((self.folder / "run" / "cells").iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.runner.close()


WELL = "open('junit.xml', 'w').write('<s><testcase name=\"a\"/></s>')\n"


@pytest.mark.parametrize("own", [None, "timeout:9"])
def test_tools_retry_dns_lookups_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None) -> None:
    """Unless the user has set ``RES_OPTIONS``."""
    monkeypatch.delenv("RES_OPTIONS", raising=False)
    if own is not None:
        monkeypatch.setenv("RES_OPTIONS", own)
    bench = Bench(tmp_path)
    printed = bench.runner.run_tool(bench.build, ["{python}", "-c", "import os; print(os.environ['RES_OPTIONS'])"])
    assert printed.stdout.strip() == (own or "timeout:2 attempts:5")


def test_output_of_tools_is_not_wrapped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a line may name what a compiler lacked."""
    monkeypatch.setenv("COLUMNS", "40")
    printed = bench.runner.run_tool(bench.build, ["{python}", "-c", "import os; print('COLUMNS' in os.environ)"])
    assert printed.stdout.strip() == "False"


def test_a_passing_suite_leaves_nothing(bench: Bench) -> None:
    done = bench.suite(WELL)

    assert (done.exit_reason, done.exit_code, done.failure) == (ExitReason.EXITED, 0, "")
    assert done.records[-1]["event"] == "end"
    assert bench.left == []


SERVER_TEST = """
import errno, socket, time, unittest

class ServerTest(unittest.TestCase):
    def listen(self):
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.addCleanup(server.close)
        server.bind(("127.0.0.1", PORT))
        server.listen()
        time.sleep(0.3)

    def test_a_server_on_a_fixed_port(self):
        self.listen()

    def test_another_server_on_it(self):
        self.listen()

    def test_a_port_that_this_process_has_bound(self):
        self.listen()
        with self.assertRaises(OSError) as caught, socket.socket() as second:
            second.bind(("127.0.0.1", PORT))
        self.assertEqual(caught.exception.errno, errno.EADDRINUSE)
"""


def test_cells_take_turns_with_a_port(bench: Bench) -> None:
    """All cells share the network of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] % 20_000 + 10_000  # Linux hands out none of these
    service_tree(bench.folder / "repository", {"service/test_server.py": SERVER_TEST.replace("PORT", str(port))})
    request = {"kind": "suite", "runner": "unittest", "arguments": ["discover"], "service": "service"}

    with ThreadPoolExecutor(3) as threads:
        cells = [
            threads.submit(bench.suite, "", identifier=f"service-{number}", request=request) for number in range(3)
        ]
    results = [cell.result() for cell in cells]

    outcomes = [record["outcome"] for done in results for record in done.records if record["event"] == "test"]
    assert outcomes == ["passed"] * 9


def test_a_cell_sees_nothing_of_the_callers_python(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "/leaked")

    done = bench.suite("import json, os\nprint(json.dumps([dict(os.environ), os.getcwd()]))\n" + WELL)

    variables, folder = json.loads(done.output_tail.splitlines()[-1])
    assert "/leaked" not in variables.values()
    assert Path(folder).is_relative_to(bench.folder / "run")
    assert Path(variables["HOME"]).is_relative_to(bench.folder / "run")
    assert Path(variables["TMPDIR"]).is_relative_to(bench.folder / "run")
    assert variables["PATH"].split(os.pathsep)[0] == str(bench.environment / "bin")


def test_variables_of_the_plan_reach_the_suite(bench: Bench) -> None:
    done = bench.suite("import os; print(os.environ['DATABASE'])\n" + WELL, variables=(("DATABASE", "sqlite://"),))

    assert "sqlite://" in done.output_tail


@pytest.mark.parametrize(
    ("limits", "code", "exit_reason", "text"),
    [
        ({"time_limit": 1.0, "grace": 0.5}, "import time; time.sleep(600)", ExitReason.TIMED_OUT, "time limit of 1 s"),
        (
            {"memory_limit": 100 * 1024**2},
            "import time; kept = bytearray(200 * 1024**2); time.sleep(600)",
            ExitReason.OUT_OF_MEMORY,
            "memory limit of 100 MiB",
        ),
        (
            {},
            "import os, signal; os.kill(os.getppid(), signal.SIGKILL)",
            ExitReason.KILLED,
            "killed by signal 9, which this run did not send",
        ),
    ],
)
def test_every_failure_has_a_message(
    bench: Bench, limits: dict[str, float], code: str, exit_reason: ExitReason, text: str
) -> None:
    done = bench.suite(code, **limits)

    assert done.exit_reason is exit_reason
    assert text in done.failure
    assert bench.left == []


ESCAPE = """
import os, subprocess, sys, time
code = "import os, sys, time; os.fork() and os._exit(0); os.setsid(); open(sys.argv[1], 'w').write(str(os.getpid())); "
code += "time.sleep(600)"
null = subprocess.DEVNULL
subprocess.run([sys.executable, "-c", code, PID], env={}, start_new_session=True, stdin=null, stdout=null, stderr=null)
while not os.path.exists(PID) or not open(PID).read():
    time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to another process than init")
@pytest.mark.parametrize(
    ("limits", "code", "exit_reason"),
    [
        ({}, WELL, ExitReason.EXITED),
        ({"time_limit": 5.0, "grace": 0.5}, "time.sleep(600)", ExitReason.TIMED_OUT),
        ({"memory_limit": 100 * 1024**2}, "kept = bytearray(200 * 1024**2); time.sleep(600)", ExitReason.OUT_OF_MEMORY),
        ({}, "import signal; os.kill(os.getppid(), signal.SIGKILL)", ExitReason.KILLED),
    ],
    ids=["exit", "time", "memory", "kill"],
)
def test_a_process_without_group_and_variables_does_not_outlive_its_cell(
    bench: Bench, limits: dict[str, float], code: str, exit_reason: ExitReason
) -> None:
    """However the cell ends: nothing in its environment and no session tells whose process it is."""
    pid_file = bench.folder / "pid"

    done = bench.suite(f"PID = {str(pid_file)!r}\n{ESCAPE}\n{code}", **limits)

    assert done.exit_reason is exit_reason
    assert not psutil.pid_exists(int(pid_file.read_text()))


def test_a_missing_environment_is_reported(bench: Bench) -> None:
    done = bench.suite(WELL, environment=bench.folder / "none")

    assert done.exit_reason is ExitReason.NOT_STARTED
    assert "could not be started" in done.failure


def test_a_missing_service_folder_is_reported(bench: Bench) -> None:
    done = bench.suite(WELL, folders=("service", "gone"))

    assert done.failure
    assert "gone" in done.output_tail


def test_a_closed_runner_cancels_new_jobs(bench: Bench) -> None:
    bench.runner.close()

    assert bench.suite("import time; time.sleep(600)").exit_reason is ExitReason.CANCELLED


def test_a_cell_cannot_make_the_runner_read_other_files(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"event": "test", "id": "stolen", "outcome": "passed"}\n')
    plant = "import os, sys\nrecords = '../../../records.jsonl'\nos.remove(records)\n"

    done = bench.suite(plant + f"os.symlink({str(secret)!r}, records)\n" + WELL)

    assert done.records == ()
    assert done.failure


# ---- full disks


def test_a_suite_that_fills_the_disk_is_reported(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        bench = Bench(tmp_path, run_folder=disk)
        done = bench.suite("open('large', 'wb').write(bytes(8 * 1024**2))")
        bench.runner.close()

    assert "No space left on device" in done.output_tail
    assert done.failure or [record for record in done.records if record["event"] == "trouble"]


def test_a_full_run_folder_is_reported(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        bench = Bench(tmp_path, run_folder=disk)
        (disk / "full").write_bytes(b"")
        with suppress(OSError), (disk / "full").open("wb") as file:
            file.write(bytes(1024**2))
        done = bench.suite(WELL)
        bench.runner.close()

    assert done.exit_reason is ExitReason.DISK_FULL
    assert "disk" in done.failure or "No space left" in done.failure


def test_a_full_cache_folder_is_an_os_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        bench = Bench(tmp_path)
        with suppress(OSError), (disk / "full").open("wb") as file:
            file.write(bytes(1024**2))
        environments = EnvironmentStore(cache=disk, runner=bench.runner)
        with pytest.raises(OSError, match="No space left on device"):
            environments.create("key", [], bench.build)
        assert environments.get("key") is None
        bench.runner.close()


# ---- a run that was killed

SLEEPING = {
    "services/a/requirements.txt": "",
    "services/a/Dockerfile": f"FROM python:{HERE}-slim\n",
    "services/a/tests/test_a.py": """
import os, time
def test_a():
    with open(os.environ["STARTED"], "w") as file: file.write(str(os.getpid()))
    time.sleep(600)
""",
}
PLAN = """\
target = "{target}"
interpreters = ["{target}"]
services = ["services/*"]
[defaults]
suite = ["python", "-c", "import tests.test_a; tests.test_a.test_a()"]
junit = "r.xml"
environment = {{ STARTED = "{started}" }}
"""


def test_the_next_run_cleans_up_after_a_killed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    started = tmp_path / "started"
    os.mkfifo(started)
    root = service_tree(tmp_path / "fleet", SLEEPING)
    (root / "py312.toml").write_text(PLAN.format(target=HERE, started=started))
    argv = [*PYTEST, "-q", "--py312", "--py312-runner=local"]
    argv += [f"--py312-cache-dir={tmp_path / 'cache'}", "-p", "no:cacheprovider"]
    output = (tmp_path / "output").open("wb")
    run = subprocess.Popen(
        argv, cwd=root, env={**os.environ, "TMPDIR": str(temporary)}, stdout=output, stderr=subprocess.STDOUT
    )
    descriptor = os.open(started, os.O_RDONLY | os.O_NONBLOCK)
    leftover_pid = 0
    until = time.monotonic() + 60
    while not leftover_pid and run.poll() is None and time.monotonic() < until:
        with suppress(BlockingIOError):
            leftover_pid = int(os.read(descriptor, 20) or 0)
        time.sleep(0.05)
    os.close(descriptor)
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    output.close()
    assert leftover_pid, (tmp_path / "output").read_text()
    if sys.platform == "linux":  # the processes of a cell end with the run
        ended = [psutil.Process(leftover_pid)] if psutil.pid_exists(leftover_pid) else []
        assert not psutil.wait_procs(ended, timeout=10)[1]
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    (leftover_run,) = directories.runs_folder().iterdir()
    # elsewhere, or if the parent of a cell was killed as well
    escaped = psutil.Popen(["sleep", "600"], env={process.MARK_VARIABLE: f"{leftover_run.name}:a"})

    assert directories.remove_abandoned_runs() == [leftover_run.name]

    assert not leftover_run.exists()
    assert not psutil.wait_procs([escaped], timeout=10)[1]
    assert directories.remove_abandoned_runs() == []
    until = time.monotonic() + 10  # a process that was killed has its environment for a moment yet
    while left := process.kill_marked(lambda value: value.startswith(f"{leftover_run.name}:")):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def test_the_folder_of_an_active_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    folder = directories.create_run_folder("mine")

    assert directories.remove_abandoned_runs() == []
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o777 == 0o700
