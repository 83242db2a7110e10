"""Cost of the plugin in runs that do not use it, and of collecting a large fleet in runs that do.

    pytest tests/benchmarks --benchmark-only

The rows of a group are compared with each other: the difference of the two medians of "a plain run" is the price of
having the plugin installed (the budget is 5 ms).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture


def run_pytest(folder: Path, *arguments: str) -> str:
    """Run a whole pytest process, with cached byte code as users have it; return its output."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # other people's plugins would be measured as well
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one test that has nothing to do with the gate."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert True\n")
    return tmp_path


@pytest.mark.benchmark(group="a plain run")
@pytest.mark.parametrize("options", [(), ("-p", "pytest_py312.plugin")], ids=["without the plugin", "with the plugin"])
def test_a_plain_run(benchmark: BenchmarkFixture, project: Path, options: tuple[str, ...]) -> None:
    """One trivial test, in a process of its own."""
    out = benchmark.pedantic(run_pytest, (project, "-q", *options), rounds=20, warmup_rounds=2)

    assert "1 passed" in out


@pytest.mark.benchmark(group="collection")
@pytest.mark.parametrize("count", [10, 100, 1000])
def test_collecting_a_fleet(benchmark: BenchmarkFixture, tmp_path: Path, count: int) -> None:
    """``--collect-only`` reads files only, and grows with the services and not faster."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for number in range(count):
        service = tmp_path / "services" / f"service-{number:04}"
        (service / "tests").mkdir(parents=True)
        (service / "requirements.txt").write_text("attrs==25.1.0\n")
        (service / "Dockerfile").write_text("FROM python:3.10-slim\nCOPY . .\n")
        (service / "tests" / "test_it.py").write_text("def test_it():\n    assert True\n")

    out = benchmark.pedantic(
        run_pytest, (tmp_path, "-p", "pytest_py312.plugin", "--py312", "--collect-only", "-qq"), rounds=3
    )

    assert out.count("services/service-") == count
