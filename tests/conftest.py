"""Guards around every test: the environment stays unchanged, and unit tests start no process."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from pytest_py312.core.process import enable_interrupts

if not os.environ.get("CI"):  # hypothesis's own profile for CI has the same settings
    # the time per example depends on the load of the machine, and is no property of the code
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")

TESTS = Path(__file__).parent

ABOUT_PROCESSES = frozenset(
    (
        "core/test_directories.py", "core/test_process.py", "core/test_process_identity.py",
        "runners/agent/test_job_supervisor.py", "runners/agent/test_probe.py", "runners/docker/test_runner.py",
        "runners/docker/test_tool_container.py", "runners/test_git_version.py", "runners/test_interpreters.py",
        "runners/test_local.py",
    )
)  # fmt: skip
"""Unit tests of modules that are about processes; all other unit tests start none."""


def pytest_configure(config: pytest.Config) -> None:
    """Remove xdist's variables, so that child processes are not taken for workers: pytest-benchmark measures nothing in
    workers. And enable interrupts, which a shell disables for background jobs."""
    enable_interrupts()
    if hasattr(config, "workerinput"):
        for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
            os.environ.pop(name, None)


@pytest.fixture(scope="session")
def gate_cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all runs of the gate that need no empty one and use the package index, of all of xdist's workers.

    With an empty one, a run asks each interpreter about its standard library, and installs and compiles pytest: more
    than half of the time that a service without requirements takes.
    """
    folder = tmp_path_factory.getbasetemp()
    shared = (folder.parent if hasattr(request.config, "workerinput") else folder) / "gate-cache"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(autouse=True)
def _environment_stays() -> Iterator[None]:
    """Fail a test that changes ``os.environ``: use ``monkeypatch.setenv``."""
    variables_before = dict(os.environ)
    yield
    variables_after = dict(os.environ)
    for variables in (variables_before, variables_after):
        variables.pop("PYTEST_CURRENT_TEST", None)
    changed = sorted({*variables_before.items()} ^ {*variables_after.items()})
    if changed:
        for name in {name for name, _ in changed}:
            os.environ.pop(name, None)
            if name in variables_before:
                os.environ[name] = variables_before[name]
        pytest.fail(f"the test changed the environment: {changed}")


@pytest.fixture(autouse=True)
def _unit_tests_start_no_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a unit test that starts a process: it is slow, depends on the machine, and belongs in tests/integration."""
    path = request.path
    unit = TESTS / "unit"
    if not path.is_relative_to(unit) or path.relative_to(unit).as_posix() in ABOUT_PROCESSES:
        return

    def refuse(*arguments: Any, **_: Any) -> NoReturn:
        pytest.fail(f"{path.name} starts a process ({arguments[1:2]}): that belongs into tests/integration")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
