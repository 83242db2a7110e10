"""The size of a set before its download, from the output of uv."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.installation.trials import download_size, total_wheel_size
from pytest_py312.dependencies.resolution.lock import Pin
from tests.support.fakes import FakeRunner, build_of, command_run_of

LOCK = """
lock-version = "1.0"
[[packages]]
name = "torch"
wheels = [{ url = "a", size = 700 }, { url = "b", size = 600 }]
[[packages]]
name = "six"
wheels = [{ url = "c", size = 10 }]
[[packages]]
name = "unknown"
wheels = [{ url = "d" }]
"""
TORCH = Pin(name="torch", version="2.2.0", line="torch==2.2.0", index="--index-url https://own")
SOURCE = Pin(name="jieba", version="0.42.1", line="jieba==0.42.1", from_source=True)


def test_the_smallest_wheel_of_each_package_counts() -> None:
    assert total_wheel_size(LOCK) == 610


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_only_uvs_cache_is_used_and_temporary_files_are_removed(tmp_path: Path, interpreter: str) -> None:
    runner = FakeRunner(answers=[command_run_of(stdout=LOCK)])

    assert download_size([TORCH, SOURCE], build_of(interpreter), runner, tmp_path) == 610
    assert "--offline" in runner.tools[0]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_unknown_sizes_count_as_zero(tmp_path: Path) -> None:
    runner = FakeRunner(answers=[command_run_of(stderr="No solution found", exit_code=1)])

    assert download_size([TORCH], build_of(), runner, tmp_path) == 0
    assert download_size([SOURCE], build_of(), runner, tmp_path) == 0


@given(st.text() | st.sampled_from(["packages = 1", "packages = [1]", "[[packages]]\nwheels = 3", "[" * 5000]))
def test_invalid_output_never_raises(text: str) -> None:
    assert total_wheel_size(text) >= 0
