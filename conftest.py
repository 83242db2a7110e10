"""Project-wide configuration: pytester, and the markers ``docker``, ``network`` and ``browser``."""

import gc
import os
import subprocess
from collections.abc import Generator
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

INTERPRETERS = ("3.9", "3.10", "3.11", "3.12")
INTEGRATION = Path(__file__).parent / "tests" / "integration"
LONGEST = (
    "test_example_fleet_runs.py",
    "test_whole_example.py",
    "test_tutorial.py",
    "test_real_fleet.py",
    "rollouts/test_swarm_target.py",
    "rollouts/test_whole_fleet_rollout.py",
    "test_fixed_platform.py",
    "rollouts/test_injected_faults.py",
    "test_installed_as_required.py",
    "rollouts/test_kill_during_deployment.py",
    "test_cluster_faults.py",
    "test_benchmark_reports.py",
    "test_truth_set.py",
    "rollouts/test_kill_during_soak.py",
    "test_fixed_truth_set.py",
    "docker_runner/test_docker_engines.py",
)
"""Files of a minute or more, below :data:`INTEGRATION`."""


def pytest_configure(config: pytest.Config) -> None:
    """Have xdist hand out files in the order of their items: the slowest have few tests.

    By itself it hands out those with most tests first, so that at the end one worker runs a slow one alone.
    """
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage, and leave what was collected out of later searches.

    These are a million objects that stay until the end, and each worker has them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files under xdist, and alternate those that wait for an engine with those that compute.

    In the order of their folders all workers would wait at the same time, and later all compute.
    """
    if not hasattr(config, "workerinput"):
        return
    files = dict.fromkeys(item.path for item in items)
    longest = [INTEGRATION / name for name in LONGEST if INTEGRATION / name in files]
    others = [file for file in files if file not in longest]
    waiting = [file for file in others if file.parent.parent == INTEGRATION]
    computing = [file for file in others if file.parent.parent != INTEGRATION]
    mixed = chain.from_iterable(zip_longest(waiting, computing))
    places = {file: place for place, file in enumerate(chain(longest, filter(None, mixed)))}
    items.sort(key=lambda item: places[item.path])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that this machine cannot run, with the reason; fail them in CI, where everything must be available."""
    requirements = (("docker", _docker_obstacle), ("network", _network_obstacle), ("browser", _browser_obstacle))
    for marker, find_obstacle in requirements:
        if item.get_closest_marker(marker) is None:
            continue
        reason = find_obstacle()
        if reason and os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)


@cache
def _docker_obstacle() -> str:
    """Return why a test that needs Docker cannot be run; empty if it can."""
    from pytest_py312.runners.docker.engine import connect
    from pytest_py312.runners.docker.ping import engine_version

    if engine_version() is None:
        return "no Docker engine answers"
    engine = connect()
    try:
        missing = [image for version in INTERPRETERS if engine.image_id(image := f"python:{version}-slim") is None]
    finally:
        engine.close()
    return f"the Docker engine has no {', '.join(missing)}" if missing else ""


@cache
def _network_obstacle() -> str:
    """Return why a test that needs the package index cannot be run, by a request through uv with its settings."""
    from uv import find_uv_bin

    argv = [find_uv_bin(), "pip", "compile", "--no-cache", "--quiet", "-"]
    try:
        resolved = subprocess.run(argv, input="iniconfig", capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "the package index does not answer"
    lines = resolved.stderr.strip().splitlines()
    return (
        "" if resolved.returncode == 0 else f"the package index cannot be used: {lines[-1] if lines else 'no reason'}"
    )


@cache
def _browser_obstacle() -> str:
    """Return why a test that needs a browser cannot be run; empty if it can."""
    from tests.integration.browsers import browser_obstacle

    return browser_obstacle()
