"""The whole example, judged by a cluster of machines of their own, has the report of one machine."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.cloned_fleets import differences, git
from tests.integration.dask_clusters import commands_with, dask_cluster, environment
from tests.integration.network_namespaces import HUB_ADDRESS, can_make_namespaces, network
from tests.support.child_pytest import PYTEST

pytestmark = [pytest.mark.network, pytest.mark.timeout(900)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "suoke"
JUDGED = ("--py312-offline", "--py312-no-cache")


def test_the_whole_example_is_judged_as_on_one_machine(tmp_path: Path, gate_cache: Path) -> None:
    """By three workers in network namespaces, of which none sees the index: the cache has what they install."""
    if not can_make_namespaces():
        if os.environ.get("CI"):
            pytest.fail("CI=true, and this user may not make network namespaces")
        pytest.skip("needs root and iproute2, for network namespaces")
    root = tmp_path / "fleet"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".py312", "__pycache__"))
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    home = tmp_path / "home"
    home.mkdir()
    (home / "pytest-py312").symlink_to(gate_cache)
    variables = {"XDG_CACHE_HOME": str(home)}
    report = tmp_path / "whole.json"
    for options in (("-m", "py312_dependencies"), JUDGED):  # the first one fills the cache
        argv = [*PYTEST, "--py312", "--py312-runner=local", f"--py312-report={report}", "-p", "no:cacheprovider"]
        whole = subprocess.run(
            [*argv, *options], cwd=root, env={**environment(), **variables}, check=False, capture_output=True, text=True
        )
        assert whole.returncode == 1, whole.stdout

    with network(4) as machines, dask_cluster(tmp_path) as cluster:
        cluster.variables = variables
        cluster.start_scheduler(HUB_ADDRESS, prefix=machines.inside())
        for number in (1, 2, 3):
            cluster.start_worker(f"worker-{number}", prefix=machines.inside(number))
        gate = cluster.gate(root, *JUDGED, prefix=machines.inside())
        assert gate.wait(600) == 1, gate.output
        different = differences(json.loads(gate.report.read_text()), json.loads(report.read_text()))
        # the paths in an excerpt of a traceback are those of its machine
        assert [text for text in different if ".detail: " not in text] == []
        assert "(0 of 20 left)" in gate.output
        assert commands_with("cluster_service", str(tmp_path)) == []
