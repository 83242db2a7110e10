"""For all tests of this project: pytester, and what the markers ``docker``, ``network`` and ``browser`` mean."""

import os
import subprocess
from functools import cache

import pytest

pytest_plugins = ["pytester"]

INTERPRETERS = ("3.9", "3.10", "3.11", "3.12")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot do, with the reason; but not silently where everything has to be there."""
    lacks = (("docker", _lack_of_docker), ("network", _lack_of_network), ("browser", _lack_of_browser))
    for marker, lack in lacks:
        if item.get_closest_marker(marker) is None:
            continue
        reason = lack()
        if reason and os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)


@cache
def _lack_of_docker() -> str:
    """Why a test that needs Docker cannot be run; empty where it can."""
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
def _lack_of_network() -> str:
    """Why a test that needs the package index cannot be run: uv, with the settings that it has here, is asked."""
    from uv import find_uv_bin

    argv = [find_uv_bin(), "pip", "compile", "--no-cache", "--quiet", "-"]
    try:
        asked = subprocess.run(argv, input="iniconfig", capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "the package index does not answer"
    words = asked.stderr.strip().splitlines()
    return "" if asked.returncode == 0 else f"the package index cannot be used: {words[-1] if words else 'no reason'}"


@cache
def _lack_of_browser() -> str:
    """Why a test that needs a browser cannot be run; empty where it can."""
    from tests.integration.browsers import lack_of_browser

    return lack_of_browser()
