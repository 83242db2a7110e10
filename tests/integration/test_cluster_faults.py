"""Workers, schedulers and networks that fail in the middle of a run on a cluster: nothing is lost, or judged twice.

Suites wait until the test lets them end, so that each fault comes while they run.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pytest_py312.runners.docker.container_specs import CELL_LABEL
from tests.integration.cloned_fleets import commit_fleet, differences
from tests.integration.dask_clusters import (
    DaskCluster,
    GateOnCluster,
    commands_with,
    dask_cluster,
    environment,
    session_of,
    wait_until,
)
from tests.integration.network_namespaces import HUB_ADDRESS, MachineNetwork, can_make_namespaces, network
from tests.support.child_pytest import PYTEST

pytestmark = [pytest.mark.network, pytest.mark.timeout(400)]

SERVICES = ("alpha", "beta", "gamma", "delta")
SUITE = """
import os, pathlib, time

def test_it():
    folder = pathlib.Path({folder!r})
    number = len(list(folder.glob("{name}-*")))
    (folder / "{name}-{{}}".format(number)).write_text(str(os.getpid()))
    while not (folder / "go").exists() and not (folder / "go-{name}").exists():
        time.sleep(0.05)
"""
PLAN = 'target = "3.12"\ninterpreters = ["3.12"]\nservices = ["services/*"]\n'
SELECTION = ("-m", "py312_suite", "--py312-offline", "--py312-no-cache")
QUICK_TIMEOUTS = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "12s"}


class HeldFleet:
    """A repository whose suites wait for the test, a cache with all that they need, and the report of one machine."""

    def __init__(self, folder: Path) -> None:
        self.hold = folder / "hold"
        self.cache = folder / "home"
        self.hold.mkdir()
        files = {"py312.toml": PLAN, ".gitignore": "*.xml\n"}
        for name in SERVICES:
            files[f"services/{name}/Dockerfile"] = "FROM python:3.12-slim\n"
            files[f"services/{name}/requirements.txt"] = ""
            files[f"services/{name}/tests/test_{name}.py"] = SUITE.format(folder=str(self.hold), name=name)
        self.root = commit_fleet(folder / "fleet", files)
        self.let_go()
        report = folder / "whole.json"
        for options in (["-m", "py312_suite"], SELECTION):  # the first one fills the cache
            argv = [*PYTEST, "--py312", "--py312-runner=local", f"--py312-report={report}"]
            done = subprocess.run(
                [*argv, "-p", "no:cacheprovider", *options],
                cwd=self.root, env={**environment(), **self.variables}, check=False, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout
        self.whole: Any = json.loads(report.read_text(encoding="utf-8"))

    @property
    def variables(self) -> dict[str, str]:
        return {"XDG_CACHE_HOME": str(self.cache)}

    def let_go(self, name: str = "") -> None:
        """Let the suite of a service end; of all if it is empty."""
        (self.hold / (f"go-{name}" if name else "go")).touch()

    def reset(self) -> None:
        for file in self.hold.iterdir():
            file.unlink()

    def starts(self, name: str = "*") -> list[int]:
        """Return the processes in which the suite of a service was started, one for each start."""
        files = sorted(self.hold.glob(f"{name}-[0-9]*"))
        return [int(text) for file in files if (text := file.read_text())]

    def await_starts(self, count: int, name: str = "*") -> None:
        wait_until(lambda: len(self.starts(name)) >= count, f"{count} starts of {name}")


@pytest.fixture(scope="module")
def prepared_fleet(tmp_path_factory: pytest.TempPathFactory) -> HeldFleet:
    return HeldFleet(tmp_path_factory.mktemp("held"))


@pytest.fixture
def fleet(prepared_fleet: HeldFleet) -> Iterator[HeldFleet]:
    prepared_fleet.reset()
    yield prepared_fleet
    prepared_fleet.let_go()


@pytest.fixture
def machines() -> Iterator[MachineNetwork]:
    if not can_make_namespaces():
        if os.environ.get("CI"):
            pytest.fail("CI=true, and this user may not make network namespaces")
        pytest.skip("needs root and iproute2, for network namespaces")
    with network(4) as made:
        yield made


@pytest.fixture
def cluster(tmp_path: Path, fleet: HeldFleet, machines: MachineNetwork) -> Iterator[DaskCluster]:
    """A scheduler, and three workers on machines of their own."""
    with dask_cluster(tmp_path) as made:
        made.variables = {**fleet.variables, **QUICK_TIMEOUTS}
        made.start_scheduler(HUB_ADDRESS, prefix=machines.inside())
        for number in (1, 2, 3):
            made.start_worker(f"worker-{number}", prefix=machines.inside(number))
        yield made


def read(gate: GateOnCluster) -> Any:
    return json.loads(gate.report.read_text(encoding="utf-8"))


def suite_statuses(gate: GateOnCluster) -> dict[str, str]:
    """Map each service to the status of its only outcome."""
    outcomes = read(gate)["outcomes"]
    assert len(outcomes) == len(SERVICES)
    return {outcome["service"]: outcome["status"] for outcome in outcomes}


def assert_no_processes(cluster: DaskCluster, fleet: HeldFleet) -> None:
    """No check of a service, and no cell, on any worker."""
    services, cells = ("cluster_service", str(cluster.folder)), ("probe", str(fleet.cache))
    wait_until(lambda: not commands_with(*services) and not commands_with(*cells), "the end of all checks")
    assert commands_with(*services) + commands_with(*cells) == []


def assert_nothing_left(cluster: DaskCluster, fleet: HeldFleet) -> None:
    """No process of a check, and no tree or folder of a run on any worker."""
    assert_no_processes(cluster, fleet)
    pattern = "worker-*/pytest-py312-*/*"
    wait_until(lambda: not list(cluster.folder.glob(pattern)), "the removal of all trees")
    assert list(cluster.folder.glob(pattern)) == []


def test_a_killed_worker_loses_nothing(cluster: DaskCluster, fleet: HeldFleet, machines: MachineNetwork) -> None:
    """Its service runs again on another one, and the report is that of one machine."""
    gate = cluster.gate(fleet.root, *SELECTION, prefix=machines.inside())
    fleet.await_starts(3)
    cluster.kill("worker-2")
    wait_until(lambda: "left the cluster" in gate.output or "was lost" in gate.output, "the loss")
    fleet.let_go()

    assert gate.wait() == 0, gate.output
    assert list(differences(read(gate), fleet.whole)) == []
    assert "(0 of 4 left)" in gate.output
    assert_nothing_left(cluster, fleet)


def test_a_worker_that_is_cut_off_and_comes_back_is_not_counted_twice(
    cluster: DaskCluster, fleet: HeldFleet, machines: MachineNetwork
) -> None:
    gate = cluster.gate(fleet.root, *SELECTION, prefix=machines.inside())
    fleet.await_starts(3)
    machines.cut(1)
    wait_until(lambda: "left the cluster" in gate.output or "was lost" in gate.output, "the loss")
    machines.join(1)
    fleet.let_go()

    assert gate.wait() == 0, gate.output
    assert list(differences(read(gate), fleet.whole)) == []
    assert_nothing_left(cluster, fleet)


def test_a_lost_scheduler_ends_the_run_and_keeps_what_had_ended(
    cluster: DaskCluster, fleet: HeldFleet, machines: MachineNetwork
) -> None:
    gate = cluster.gate(fleet.root, *SELECTION, prefix=machines.inside())
    fleet.let_go("alpha")
    wait_until(lambda: "alpha was checked by" in gate.output, "the first service")
    fleet.await_starts(4)
    assert cluster.scheduler is not None
    os.kill(cluster.scheduler.pid, signal.SIGKILL)

    assert gate.wait(60) == 1, gate.output
    assert suite_statuses(gate) == {"alpha": "passed", "beta": "errored", "gamma": "errored", "delta": "errored"}
    reasons = {outcome["reason"] for outcome in read(gate)["outcomes"]} - {""}
    assert reasons == {"the check did not come to its end: the scheduler of the cluster was lost"}
    assert_nothing_left(cluster, fleet)


def test_an_interrupt_ends_the_checks_on_all_workers(
    cluster: DaskCluster, fleet: HeldFleet, machines: MachineNetwork
) -> None:
    gate = cluster.gate(fleet.root, *SELECTION, prefix=machines.inside())
    fleet.await_starts(3)
    os.kill(gate.process.pid, signal.SIGINT)

    assert gate.wait(60) == pytest.ExitCode.INTERRUPTED, gate.output
    assert_nothing_left(cluster, fleet)


def test_an_interrupt_in_a_terminal_ends_a_cluster_of_this_machine(fleet: HeldFleet, tmp_path: Path) -> None:
    """It reaches all processes: the gate, and the workers that it has started."""
    scratch = tmp_path / "worker-local"
    scratch.mkdir()
    with dask_cluster(tmp_path) as cluster:
        cluster.address = "local:2"
        cluster.variables = {**fleet.variables, "TMPDIR": str(scratch)}
        gate = cluster.gate(fleet.root, *SELECTION)
        fleet.await_starts(2)
        os.killpg(gate.process.pid, signal.SIGINT)

        assert gate.wait() == pytest.ExitCode.INTERRUPTED, gate.output
        assert_nothing_left(cluster, fleet)
        wait_until(lambda: not session_of(gate.process.pid), "the end of the workers")
        assert session_of(gate.process.pid) == []


@pytest.mark.docker
def test_an_interrupt_leaves_no_container_on_a_worker(tmp_path: Path, gate_cache: Path) -> None:
    """The suite would run for minutes; it is in a container that a worker has started."""
    name = f"held-{uuid4().hex[:8]}"
    files = {
        "py312.toml": PLAN,
        f"services/{name}/requirements.txt": "",
        f"services/{name}/tests/test_it.py": "import time\n\ndef test_it():\n    time.sleep(300)\n",
    }
    root = commit_fleet(tmp_path / "fleet", files)

    def containers() -> list[str]:
        listed = ["docker", "ps", "-a", "--format", f'{{{{.Label "{CELL_LABEL}"}}}}']
        done = subprocess.run(listed, check=True, capture_output=True, text=True)
        return [label for label in done.stdout.split() if name in label]

    with dask_cluster(tmp_path) as cluster:
        cluster.address = "local:1"
        selection = ("--py312-runner=docker", f"--py312-cache-dir={gate_cache}", "-m", "py312_suite")
        gate = cluster.gate(root, *selection)
        wait_until(lambda: any("suite" in label for label in containers()), "the container of the suite")
        os.kill(gate.process.pid, signal.SIGINT)

        assert gate.wait(60) == pytest.ExitCode.INTERRUPTED, gate.output
        wait_until(lambda: not containers(), "the removal of all containers")
        assert containers() == []


def test_a_killed_run_ends_the_checks_on_all_workers(
    cluster: DaskCluster, fleet: HeldFleet, machines: MachineNetwork
) -> None:
    gate = cluster.gate(fleet.root, *SELECTION, prefix=machines.inside())
    fleet.await_starts(3)
    gate.process.kill()
    gate.wait()
    assert_no_processes(cluster, fleet)


def test_a_service_that_takes_worker_after_worker_is_named(
    cluster: DaskCluster, fleet: HeldFleet, machines: MachineNetwork
) -> None:
    """It is started three times, and the others are checked by who is left.

    The coordinator stands still when the third worker is lost, as it may on a busy machine: it can cancel nothing.
    """
    cluster.start_worker("worker-4", prefix=machines.inside(4))
    gate = cluster.gate(fleet.root, *SELECTION, prefix=machines.inside())
    for start in (1, 2, 3):
        fleet.await_starts(start, "beta")
        for name in ("alpha", "gamma", "delta"):
            fleet.let_go(name)
        if start == 3:
            wait_until(lambda: "(1 of 4 left)" in gate.output, "the end of the others")
            os.killpg(gate.process.pid, signal.SIGSTOP)
        cluster.kill(cluster.worker_of(fleet.starts("beta")[start - 1]))
    last = next(name for name, process in cluster.workers.items() if process.poll() is None)
    wait_until(lambda: "TooManyStarts" in cluster.log(last), "a refused start")
    os.killpg(gate.process.pid, signal.SIGCONT)

    assert gate.wait() == 1, gate.output
    assert suite_statuses(gate) == {"alpha": "passed", "beta": "errored", "gamma": "passed", "delta": "passed"}
    reason = next(outcome["reason"] for outcome in read(gate)["outcomes"] if outcome["service"] == "beta")
    assert "3 workers were lost while they checked it" in reason
    assert len(fleet.starts("beta")) == 3
