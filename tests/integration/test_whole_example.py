"""The whole example fleet, judged on this machine; a cluster of machines of their own judges services of it alike."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cloned_fleets import differences, git
from tests.integration.dask_clusters import commands_with, dask_cluster
from tests.integration.network_namespaces import HUB_ADDRESS, can_make_namespaces, network
from tests.integration.test_example_fleet_runs import (
    CELLS,
    EXAMPLE,
    IN_CONTAINERS,
    OF_SERVICE,
    SERVICES,
    as_expected,
    check,
    statuses,
)

pytestmark = [pytest.mark.network, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the example, without results of earlier runs."""
    root = tmp_path_factory.mktemp("whole") / "fleet"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".py312", "__pycache__"))
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


@pytest.fixture(scope="module")
def whole(root: Path, gate_cache: Path) -> dict[str, Any]:
    """The report of this machine, where two of xdist's workers share the fleet."""
    copy = root.parent / "copy" / root.name
    shutil.copytree(root, copy)
    return check(copy, gate_cache, "--py312", "--py312-runner=local", "-n", "2", "--py312-no-cache")


def test_two_workers_on_this_machine(whole: dict[str, Any]) -> None:
    """Everything is as expected.json says, and nothing comes from an earlier run."""
    assert len(whole["services"]) == SERVICES
    assert len(statuses(whole)) == 2 * CELLS + len(OF_SERVICE) * SERVICES
    assert not any(outcome["cached"] for outcome in whole["outcomes"])
    as_expected(whole)


def entries_of_services(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a report says of the services that the cluster judges."""
    return {
        "services": [entry for entry in report["services"] if entry["name"] in IN_CONTAINERS],
        "outcomes": [entry for entry in report["outcomes"] if entry["service"] in IN_CONTAINERS],
        "suites": [entry for entry in report["suites"] if entry["service"] in IN_CONTAINERS],
    }


def test_a_cluster_judges_services_alike(root: Path, whole: dict[str, Any], tmp_path: Path, gate_cache: Path) -> None:
    """Three workers in network namespaces, of which none sees the index: the cache has what they install.

    They judge services with each kind of problem; test_cluster_runs.py compares whole reports.
    """
    if not can_make_namespaces():
        if os.environ.get("CI"):
            pytest.fail("CI=true, and this user may not make network namespaces")
        pytest.skip("needs root and iproute2, for network namespaces")
    home = tmp_path / "home"
    home.mkdir()
    (home / "pytest-py312").symlink_to(gate_cache)

    with network(4) as machines, dask_cluster(tmp_path) as cluster:
        cluster.variables = {"XDG_CACHE_HOME": str(home)}
        cluster.start_scheduler(HUB_ADDRESS, prefix=machines.inside())
        for number in (1, 2, 3):
            cluster.start_worker(f"worker-{number}", prefix=machines.inside(number))
        chosen = f"--py312-services={','.join(IN_CONTAINERS)}"
        gate = cluster.gate(root, chosen, "--py312-offline", "--py312-no-cache", prefix=machines.inside())
        assert gate.wait(600) == 1, gate.output
        report = json.loads(gate.report.read_text())
        assert len(report["services"]) == len(IN_CONTAINERS)
        different = differences(entries_of_services(report), entries_of_services(whole))
        # the paths in an excerpt of a traceback are those of its machine
        assert [text for text in different if ".detail: " not in text and ".resolver: " not in text] == []
        assert f"(0 of {len(IN_CONTAINERS)} left)" in gate.output
        assert commands_with("cluster_service", str(tmp_path)) == []
