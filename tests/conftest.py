"""Guards around every test: what it changes outside of itself, and what a unit test must not do."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from pytest_py312.core.process import enable_interrupts

if not os.environ.get("CI"):  # there hypothesis's own profile says the same
    # how fast examples are made and tried depends on what else the machine does: that is no property of the code
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")

TESTS = Path(__file__).parent

ABOUT_PROCESSES = frozenset(
    (
        "core/test_directories.py", "core/test_process.py", "core/test_process_identity.py",
        "runners/agent/test_job_supervisor.py", "runners/agent/test_probe.py", "runners/docker/test_runner.py",
        "runners/docker/test_tool_container.py", "runners/test_interpreters.py", "runners/test_local.py",
    )
)  # fmt: skip
"""Unit tests of modules whose very subject is a process; all other unit tests start none."""


def pytest_configure(config: pytest.Config) -> None:
    """What a test starts is no worker of ours, although it inherits what says so: pytest-benchmark measures nothing in
    one. Likewise a test run that was started in the background is interrupted as any other."""
    enable_interrupts()
    if hasattr(config, "workerinput"):
        for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
            os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _environment_stays() -> Iterator[None]:
    """A test leaves ``os.environ`` as it was: use ``monkeypatch.setenv``."""
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    for variables in (before, after):
        variables.pop("PYTEST_CURRENT_TEST", None)
    changed = sorted({*before.items()} ^ {*after.items()})
    if changed:
        for name in {name for name, _ in changed}:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]
        pytest.fail(f"the test changed the environment: {changed}")


@pytest.fixture(autouse=True)
def _unit_tests_start_no_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that starts a process is slow, depends on the machine, and belongs into tests/integration."""
    path = request.path
    unit = TESTS / "unit"
    if not path.is_relative_to(unit) or path.relative_to(unit).as_posix() in ABOUT_PROCESSES:
        return

    def refuse(*arguments: Any, **_: Any) -> NoReturn:
        pytest.fail(f"{path.name} starts a process ({arguments[1:2]}): that belongs into tests/integration")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
