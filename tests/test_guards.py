"""Tests of the guards in this project's conftest files."""

from pathlib import Path

import pytest

from pytest_py312.runners.docker import ping

ROOT = Path(__file__).parents[1]

MARKED = """
import pytest

@pytest.mark.docker
def test_with_an_engine(): ...

def test_without(): ...
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with this project's conftest files, on a machine without a Docker engine."""
    monkeypatch.setattr(ping, "engine_version", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    pytester.makeini("[pytest]\nmarkers =\n  docker: x\n  network: x\n")
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8"))
    for folder in ("unit/core", "integration"):
        (pytester.path / "tests" / folder).mkdir(parents=True)
    guards = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    (pytester.path / "tests" / "conftest.py").write_text(guards, encoding="utf-8")
    return pytester


def test_docker_tests_are_skipped_without_an_engine(project: pytest.Pytester) -> None:
    """With the reason."""
    project.makepyfile(MARKED)
    result = project.runpytest_inprocess("-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*no Docker engine answers*"])


def test_docker_tests_fail_in_ci_without_an_engine(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped tests in CI would prove nothing."""
    monkeypatch.setenv("CI", "true")
    project.makepyfile(MARKED)
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*CI=true, and no Docker engine answers*"])


def test_workers_begin_with_long_files_and_do_not_all_wait(project: pytest.Pytester) -> None:
    """Files that wait for an engine are in folders below tests/integration."""
    names = ("integration/rollouts/test_a", "integration/rollouts/test_b", "integration/test_c", "unit/core/test_d")
    for name in (*names, "integration/test_real_fleet", "integration/rollouts/test_whole_fleet_rollout"):
        file = project.path / "tests" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text("def test_it(): pass\n", encoding="utf-8")
    result = project.runpytest_inprocess("-v", "-n1", "--dist=loadfile", "tests")
    result.assert_outcomes(passed=6)
    begun = [line.partition("tests/")[2].partition(".py")[0] for line in result.outlines if "PASSED" in line]
    assert begun == [
        "integration/test_real_fleet", "integration/rollouts/test_whole_fleet_rollout",
        "integration/rollouts/test_a", "integration/test_c", "integration/rollouts/test_b", "unit/core/test_d",
    ]  # fmt: skip


STARTS = "import subprocess, sys\ndef test_it():\n    subprocess.run([sys.executable, '-c', ''], check=True)\n"


@pytest.mark.parametrize(
    ("path", "passes"),
    [("unit/test_model.py", False), ("unit/core/test_process.py", True), ("integration/test_x.py", True)],
)
def test_unit_tests_start_no_process(project: pytest.Pytester, path: str, passes: bool) -> None:
    """Except those of modules that are about processes."""
    (project.path / "tests" / path).write_text(STARTS)
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=int(passes), failed=int(not passes))
    if not passes:
        result.stdout.fnmatch_lines(["*that belongs into tests/integration*"])


def test_a_test_that_changes_the_environment_is_an_error(project: pytest.Pytester) -> None:
    """And the environment is restored for the next test."""
    (project.path / "tests" / "unit" / "test_model.py").write_text(
        "import os\ndef test_it():\n    os.environ['LEFT'] = '1'\n\n"
        "def test_next():\n    assert 'LEFT' not in os.environ\n"
    )
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*the test changed the environment*LEFT*"])
